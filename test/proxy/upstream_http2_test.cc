// HTTP/2 to endpoints, through the running proxy: nghttpd, nginx and haproxy, and endpoints made of
// raw frames that misbehave (rows 41 and 42 of bad input).
#include <sys/stat.h>

#include <atomic>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "certs/issuer.h"
#include "certs/key.h"
#include "gtest/gtest.h"
#include "test/proxy/harness.h"
#include "test/proxy/http2_peer.h"

namespace weft::test {
namespace {

constexpr size_t kMiB = 1 << 20;

constexpr char kHttp2Cluster[] =
    "typed_extension_protocol_options: {envoy.extensions.upstreams.http.v3.HttpProtocolOptions: "
    "{\"@type\": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, "
    "explicit_http_config: {http2_protocol_options: {allow_connect: true}}}}, ";

std::string Bytes(size_t size) {
  std::string bytes(size, '\0');
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>('!' + i * i % 93);
  return bytes;
}

struct Proxied {
  explicit Proxied(const std::vector<int>& endpoints, const std::string& route = "timeout: 30s",
                   const std::string& cluster = "")
      : proxy({HttpListener("in", port, RouteTo("up", route),
                            "upgrade_configs: [{upgrade_type: websocket}],")},
              {Cluster("up", endpoints, kHttp2Cluster + cluster)}) {}

  double Connections() { return proxy.Stat("cluster.up.upstream_cx_total"); }

  const int port = FreePort();
  ProxyProcess proxy;
};

Message Exchange(Socket& client, const std::string& request) {
  std::thread sender([&] { EXPECT_TRUE(client.Send(request)); });
  const Message answer = client.ReadResponse(absl::StartsWith(request, "HEAD "));
  sender.join();
  EXPECT_TRUE(answer.complete) << request.substr(0, 100) << answer.head;
  return answer;
}

std::string Post(const std::string& path, const std::string& body) {
  return absl::StrCat("POST ", path, " HTTP/1.1\r\nHost: h\r\nContent-Length: ", body.size(),
                      "\r\n\r\n", body);
}

std::string MakeFolder() {
  const std::string folder = WriteTestFile("htdocs", "") + ".d";
  mkdir(folder.c_str(), 0755);
  return folder;
}

// ---- Programs.

// nghttpd with a folder of files.
class Nghttpd : public testing::TestWithParam<bool> {
 protected:
  static std::vector<std::string> Command(const std::string& folder, int port, bool tls) {
    std::vector<std::string> command = {"/usr/sbin/nghttpd", "--address=127.0.0.1",
                                        "--htdocs=" + folder, "--echo-upload",
                                        "--trailer=x-sum: 42"};
    if (!tls) command.push_back("--no-tls");
    command.push_back(absl::StrCat(port));
    if (!tls) return command;
    const auto issuer = certs::Issuer::CreateRoot("east", absl::Now());
    const certs::PrivateKey key = certs::PrivateKey::Generate();
    const auto chain =
        issuer->Issue(key.public_key(), *certs::SpiffeId::Parse("spiffe://east/ns/a/sa/x"),
                      certs::kLeafValidity, absl::Now());
    command.push_back(WriteTestFile("key.pem", key.ToPem()));
    command.push_back(WriteTestFile("chain.pem", absl::StrJoin(*chain, "")));
    return command;
  }

  static std::string Tls() {
    return "transport_socket: {name: tls, typed_config: {\"@type\": type.googleapis.com/"
           "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext, sni: h, "
           "common_tls_context: {alpn_protocols: [h2]}}}, ";
  }

  void Put(const std::string& name, const std::string& contents) {
    std::ofstream(absl::StrCat(folder_, "/", name)) << contents;
  }

  const std::string folder_ = MakeFolder();
  const int endpoint_ = FreePort();
  PeerProcess nghttpd_{Command(folder_, endpoint_, GetParam())};
  const bool listens_ = nghttpd_.Listens(endpoint_);
  Proxied s_{{endpoint_}, "timeout: 30s", GetParam() ? Tls() : ""};
};

TEST_P(Nghttpd, ServesHttp1ClientsOnOneConnection) {
  ASSERT_TRUE(listens_) << nghttpd_.Output();
  const std::string big = Bytes(kMiB);
  Put("big", big);
  Put("empty", "");
  Socket client = Socket::Connect(s_.port);
  for (int round = 0; round < 3; ++round) {
    const Message file = Exchange(client, Get("/big"));
    EXPECT_EQ(file.status(), 200);
    EXPECT_TRUE(file.body == big) << file.body.size();
    EXPECT_EQ(Exchange(client, Get("/empty")).body, "");
    const Message head = Exchange(client, "HEAD /big HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_EQ(head.status(), 200);
    const Message unchanged = Exchange(
        client,
        Get("/big", absl::StrCat("If-Modified-Since: ", file.Field("last-modified"), "\r\n")));
    EXPECT_EQ(unchanged.status(), 304);
    EXPECT_EQ(Exchange(client, Get("/missing")).status(), 404);
    EXPECT_TRUE(Exchange(client, Post("/upload", big)).body == big);
  }
  EXPECT_EQ(s_.Connections(), 1);
}

TEST_P(Nghttpd, ServesHttp2ClientsWithTrailers) {
  ASSERT_TRUE(listens_) << nghttpd_.Output();
  const std::string big = Bytes(kMiB);
  Put("big", big);
  Http2Peer client = Http2Peer::Client(s_.port);
  for (uint32_t id = 1; id < 20; id += 2)
    client.Send(H2Headers(id, H2RequestFields("GET", "/big")));
  for (uint32_t id = 1; id < 20; id += 2) {
    EXPECT_EQ(client.Await(id).status(), 200);
    EXPECT_TRUE(client.stream(id).body == big) << client.stream(id).body.size();
    EXPECT_EQ(client.stream(id).Field("x-sum"), "42");
  }
  EXPECT_EQ(s_.Connections(), 1);
}

TEST_P(Nghttpd, ManyStreamsShareFewConnections) {
  ASSERT_TRUE(listens_) << nghttpd_.Output();
  Put("file", Bytes(2000));
  for (const char* how : {"-m 10", "--h1"}) {
    const std::string summary =
        RunTool(absl::StrCat("h2load -n 2000 -c 8 ", how, " http://127.0.0.1:", s_.port, "/file"));
    EXPECT_TRUE(absl::StrContains(summary, "2000 succeeded, 0 failed, 0 errored")) << summary;
    EXPECT_TRUE(absl::StrContains(summary, "2000 2xx")) << summary;
  }
  EXPECT_LE(s_.Connections(), 4);
}

INSTANTIATE_TEST_SUITE_P(Over, Nghttpd, testing::Values(false, true), [](const auto& info) {
  return std::string(info.param ? "Tls" : "Plaintext");
});

TEST(NginxAsHttp2Endpoint, ServesFilesAndPassesBodiesOn) {
  Upstream echo(Echo);
  const std::string folder = MakeFolder();
  const std::string big = Bytes(kMiB);
  std::ofstream(folder + "/big") << big;
  const int endpoint = FreePort();
  PeerProcess nginx(
      {"/usr/sbin/nginx", "-e", "stderr", "-c",
       WriteTestFile(
           "nginx.conf",
           absl::StrCat("daemon off; master_process off; pid ", folder,
                        "/pid; error_log stderr; events {} http { access_log off; "
                        "client_body_temp_path ",
                        folder, "/a; proxy_temp_path ", folder, "/b; fastcgi_temp_path ", folder,
                        "/c; uwsgi_temp_path ", folder, "/d; scgi_temp_path ", folder,
                        "/e; client_max_body_size 10m; keepalive_requests 50; "
                        "server { listen 127.0.0.1:",
                        endpoint, " http2; root ", folder,
                        "; location /echo { proxy_pass http://127.0.0.1:", echo.port(),
                        "; } } }"))});
  ASSERT_TRUE(nginx.Listens(endpoint)) << nginx.Output();
  Proxied s({endpoint});
  Socket client = Socket::Connect(s.port);
  // It says GOAWAY after each 50 requests: none is lost.
  for (int i = 0; i < 200; ++i) {
    const Message part = Exchange(client, Get("/big", "Range: bytes=1000-1099\r\n"));
    ASSERT_EQ(part.status(), 206) << i;
    EXPECT_EQ(part.body, big.substr(1000, 100));
  }
  EXPECT_TRUE(Exchange(client, Get("/big")).body == big);
  EXPECT_TRUE(absl::EndsWith(Exchange(client, Post("/echo", big)).body, big));
  EXPECT_EQ(Exchange(client, "HEAD /big HTTP/1.1\r\nHost: h\r\n\r\n").status(), 200);
}

TEST(HaproxyAsHttp2Endpoint, PassesBodiesAndTrailersOn) {
  Upstream behind([](Socket& socket, int) {
    while (true) {
      const Message request = socket.ReadRequest();
      if (!request.complete) return;
      socket.Send(absl::StrCat("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
                               request.body.empty() ? ""
                                                    : absl::StrCat(absl::Hex(request.body.size()),
                                                                   "\r\n", request.body, "\r\n"),
                               "0\r\nx-sum: 42\r\n\r\n"));
    }
  });
  const int endpoint = FreePort();
  PeerProcess haproxy(
      {"/usr/sbin/haproxy", "-db", "-f",
       WriteTestFile("haproxy.cfg",
                     absl::StrCat("defaults\n  mode http\n  timeout connect 5s\n"
                                  "  timeout client 30s\n  timeout server 30s\n"
                                  "frontend f\n  bind 127.0.0.1:",
                                  endpoint, " proto h2\n  default_backend b\nbackend b\n",
                                  "  server s 127.0.0.1:", behind.port(), "\n"))});
  ASSERT_TRUE(haproxy.Listens(endpoint)) << haproxy.Output();
  Proxied s({endpoint});
  const std::string big = Bytes(kMiB);
  Socket client = Socket::Connect(s.port);
  for (int i = 0; i < 3; ++i) {
    const Message answer = Exchange(client, Post("/", big));
    EXPECT_TRUE(answer.body == big) << answer.body.size();
    EXPECT_EQ(answer.trailers, "x-sum: 42\r\n");
    EXPECT_EQ(Exchange(client, Get("/")).body, "");
  }
  EXPECT_EQ(s.Connections(), 1);
}

// ---- Endpoints of raw frames.

const char kStatus200[] = "\x88";

// Streams whose request is complete, each once, until the connection ends.
void EachRequest(Http2Peer& peer, const std::function<void(uint32_t id)>& call) {
  uint32_t next = 1;
  while (peer.ReadUntil([&] { return peer.stream(next).ended; })) {
    call(next);
    next += 2;
  }
}

// Answers every request well.
void Good(Socket& socket, int) {
  Http2Peer peer(std::move(socket));
  peer.Send(H2Frame(kSettingsFrame, 0, 0));
  EachRequest(peer, [&](uint32_t id) {
    peer.Send(H2Headers(id, kStatus200, kEndHeaders) + H2Frame(kDataFrame, kEndStream, id, "good"));
  });
}

std::string Goaway(uint32_t last, uint32_t code = 0) {
  return H2Frame(kGoawayFrame, 0, 0, Number(last, 4) + Number(code, 4));
}

constexpr char kRetry[] =
    "timeout: 10s, retry_policy: {num_retries: 3, retry_on: \"connect-failure,refused-stream,"
    "reset\", retry_back_off: {base_interval: 0.01s, max_interval: 0.02s}}";

TEST(BadHttp2Endpoint, Row41_OneThatAllowsNoStreamAndGoesAway) {
  const std::string kGreetings[] = {
      H2Frame(kSettingsFrame, 0, 0, H2Setting(3, 0)) + Goaway(0),
      Goaway(0) + H2Frame(kSettingsFrame, 0, 0, H2Setting(3, 0)),
      H2Frame(kSettingsFrame, 0, 0) + Goaway(0),
  };
  for (const std::string& greeting : kGreetings) {
    Upstream bad([&](Socket& socket, int) {
      Http2Peer peer(std::move(socket));
      peer.Send(greeting);
      peer.Ended();
    });
    Upstream good(Good);
    Proxied s({bad.port(), good.port()}, kRetry);
    for (int i = 0; i < 20; ++i) {
      const Message answer = Ask(s.port, Get("/"));
      EXPECT_EQ(answer.status(), 200) << answer.body;
      EXPECT_EQ(answer.body, "good");
    }
    EXPECT_TRUE(s.proxy.alive());
    EXPECT_EQ(s.proxy.Stat("cluster.up.upstream_rq_active"), 0);
  }
}

TEST(BadHttp2Endpoint, Row42_ResetsAndGoawaysLeaveNothingBehind) {
  Upstream bad([](Socket& socket, int turn) {
    Http2Peer peer(std::move(socket));
    peer.Send(H2Frame(kSettingsFrame, 0, 0));
    EachRequest(peer, [&](uint32_t id) {
      const std::string head = H2Headers(id, kStatus200, kEndHeaders);
      const std::string part = H2Frame(kDataFrame, 0, id, "part");
      switch (turn % 4) {
        case 0:
          peer.Send(H2Reset(id) + Goaway(id));
          break;
        case 1:
          peer.Send(Goaway(id) + H2Reset(id, 7));
          break;
        case 2:
          peer.Send(head + part + H2Reset(id) + Goaway(id, 2));
          break;
        case 3:
          peer.Send(head + part + Goaway(0, 1));
          break;
      }
    });
  });
  Proxied s({bad.port()}, "timeout: 2s");
  size_t before = 0;
  for (int i = 0; i < 400; ++i) {
    const Message answer = Ask(s.port, Get("/"));
    EXPECT_FALSE(answer.status() == 200 && answer.complete);
    if (i == 100) before = s.proxy.ResidentBytes();
  }
  EXPECT_TRUE(Eventually([&] { return s.proxy.Stat("cluster.up.upstream_cx_active") == 0; }));
  EXPECT_EQ(s.proxy.Stat("cluster.up.upstream_rq_active"), 0);
  EXPECT_EQ(s.proxy.Stat("downstream_rq_active"), 0);
  if (kMemoryMeans) EXPECT_LT(s.proxy.ResidentBytes(), before + (2 << 20));
}

TEST(BadHttp2Endpoint, Row41_OneThatAllowsNoStreamTakesARequestsTimeAtMost) {
  Upstream bad([](Socket& socket, int) {
    Http2Peer peer(std::move(socket));
    peer.Send(H2Frame(kSettingsFrame, 0, 0, H2Setting(3, 0)));
    peer.Ended();
  });
  Proxied s({bad.port()}, "timeout: 0.5s");
  const absl::Time start = absl::Now();
  EXPECT_GE(Ask(s.port, Get("/")).status(), 503);
  EXPECT_LT(absl::Now() - start, absl::Seconds(10));
  EXPECT_TRUE(Eventually([&] { return s.proxy.Stat("downstream_rq_active") == 0; }));
}

// Row 27, over HTTP/2.
TEST(BadHttp2Endpoint, Row27_FailsThatRequestOnly) {
  const struct {
    const char* name;
    std::function<std::string(uint32_t id)> answer;
  } kCases[] = {
      {"DataBeforeHead", [](uint32_t id) { return H2Frame(kDataFrame, kEndStream, id, "x"); }},
      {"NoStatus", [](uint32_t id) { return H2Headers(id, H2Field("a", "b")); }},
      {"StatusOfNoNumber", [](uint32_t id) { return H2Headers(id, H2Field(":status", "2x0")); }},
      {"StatusOfTwoDigits", [](uint32_t id) { return H2Headers(id, H2Field(":status", "20")); }},
      {"SwitchesProtocols", [](uint32_t id) { return H2Headers(id, H2Field(":status", "101")); }},
      {"TransferEncoding",
       [](uint32_t id) {
         return H2Headers(id, kStatus200 + H2Field("transfer-encoding", "chunked"));
       }},
      {"CrLfInValue",
       [](uint32_t id) { return H2Headers(id, kStatus200 + H2Field("a", "b\r\nset-cookie: c")); }},
      {"BodyAboveLength",
       [](uint32_t id) {
         return H2Headers(id, kStatus200 + H2Field("content-length", "1"), kEndHeaders) +
                H2Frame(kDataFrame, kEndStream, id, "22");
       }},
      {"BodyBelowLength",
       [](uint32_t id) {
         return H2Headers(id, kStatus200 + H2Field("content-length", "3"), kEndHeaders) +
                H2Frame(kDataFrame, kEndStream, id, "22");
       }},
      {"Push",
       [](uint32_t id) { return H2Frame(5, kEndHeaders, id, Number(2, 4) + H2RequestFields()); }},
      {"AnotherStream", [](uint32_t) { return H2Headers(99, kStatus200); }},
      {"NotHttp2", [](uint32_t) { return std::string("HTTP/1.1 200 OK\r\n\r\n"); }},
      {"BadHpack", [](uint32_t id) { return H2Headers(id, "\xff\x80\x01"); }},
      {"TooMuchData",
       [](uint32_t id) {
         std::string all = H2Headers(id, kStatus200, kEndHeaders);
         for (int i = 0; i < 200; ++i) {
           all += H2Frame(kDataFrame, 0, id, std::string(16000, 'x'));
         }
         return all + H2Reset(id);
       }},
  };
  for (const auto& one : kCases) {
    SCOPED_TRACE(one.name);
    Upstream bad([&](Socket& socket, int turn) {
      if (turn > 1) return Good(socket, turn);
      Http2Peer peer(std::move(socket));
      peer.Send(H2Frame(kSettingsFrame, 0, 0));
      EachRequest(peer, [&](uint32_t id) {
        if (id == 1) {
          peer.Send(one.answer(id));
        } else {
          peer.Send(H2Headers(id, kStatus200, kEndHeaders) +
                    H2Frame(kDataFrame, kEndStream, id, "good"));
        }
      });
    });
    Proxied s({bad.port()}, "timeout: 5s");
    const Message answer = Ask(s.port, Get("/"));
    EXPECT_FALSE(answer.status() == 200 && answer.complete) << answer.head << answer.body;
    EXPECT_EQ(answer.Field("set-cookie"), "");
    for (int i = 0; i < 3; ++i) EXPECT_EQ(Ask(s.port, Get("/")).body, "good");
  }
}

// A WebSocket of HTTP/1 becomes an extended CONNECT (RFC 8441).
TEST(Http2Endpoint, CarriesUpgrades) {
  Upstream endpoint([](Socket& socket, int) {
    Http2Peer peer(std::move(socket));
    peer.Send(H2Frame(kSettingsFrame, 0, 0, H2Setting(8, 1)));  // ENABLE_CONNECT_PROTOCOL
    EXPECT_TRUE(peer.ReadUntil([&] { return !peer.stream(1).fields.empty(); }));
    EXPECT_EQ(peer.stream(1).Field(":method"), "CONNECT");
    EXPECT_EQ(peer.stream(1).Field(":protocol"), "websocket");
    EXPECT_EQ(peer.stream(1).Field(":path"), "/chat");
    EXPECT_EQ(peer.stream(1).Field("upgrade"), "");
    peer.Send(H2Headers(1, kStatus200, kEndHeaders) + H2Frame(kDataFrame, 0, 1, "hello"));
    EXPECT_TRUE(peer.ReadUntil([&] { return peer.stream(1).body == "from client"; }));
    EXPECT_TRUE(peer.ReadUntil([&] { return peer.stream(1).ended; }));
    peer.Send(H2Frame(kDataFrame, kEndStream, 1, "bye"));
    peer.Ended();
  });
  Proxied s({endpoint.port()});
  Socket client = Socket::Connect(s.port);
  client.Send(Get("/chat",
                  "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"));
  const Message answer = client.ReadResponse();
  EXPECT_EQ(answer.status(), 101) << answer.head;
  EXPECT_EQ(client.Read(5), "hello");
  client.Send("from client");
  client.ShutdownWrite();
  EXPECT_EQ(client.ReadToEnd(), "bye");
}

}  // namespace
}  // namespace weft::test
