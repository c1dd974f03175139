// Traffic through the running proxy between programs that other people wrote: curl and h2load as
// clients, nginx and haproxy as endpoints; and WebSocket, whose frames are made here.
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
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

std::string Bytes(size_t size) {
  std::string bytes(size, '\0');
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>('!' + i * i % 93);
  return bytes;
}

// A chain's TLS with a certificate of its own.
std::string ServerTls() {
  const auto issuer = certs::Issuer::CreateRoot("east", absl::Now());
  const certs::PrivateKey key = certs::PrivateKey::Generate();
  const auto chain =
      issuer->Issue(key.public_key(), *certs::SpiffeId::Parse("spiffe://east/ns/a/sa/server"),
                    certs::kLeafValidity, absl::Now());
  return absl::StrCat(
      "transport_socket: {name: tls, typed_config: {\"@type\": "
      "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext, "
      "common_tls_context: {alpn_protocols: [h2, http/1.1], tls_certificates: "
      "[{certificate_chain: {filename: ",
      WriteTestFile("chain.pem", absl::StrJoin(*chain, "")),
      "}, private_key: {filename: ", WriteTestFile("key.pem", key.ToPem()), "}}]}}}, ");
}

// ---- Clients.

struct Client {
  const char* name;
  const char* options;
  const char* version;  // as curl tells it
  bool tls;
};

class Curl : public testing::TestWithParam<Client> {
 protected:
  std::string Run(const std::string& arguments, const std::string& path = "/") const {
    return RunTool(absl::StrCat("curl --silent --show-error --insecure --max-time 30 ",
                                GetParam().options, " ", arguments, " ", Url(path)));
  }
  std::string Url(const std::string& path) const {
    return GetParam().tls ? absl::StrCat("https://127.0.0.1:", tls_port_, path)
                          : absl::StrCat("http://127.0.0.1:", port_, path);
  }

  Upstream upstream_{Echo};
  const int port_ = FreePort();
  const int tls_port_ = FreePort();
  ProxyProcess proxy_{{HttpListener("in", port_, RouteTo("up")),
                       HttpListener("tls", tls_port_, RouteTo("up"), "", ServerTls())},
                      {Cluster("up", {upstream_.port()})}};
};

TEST_P(Curl, GetsAnAnswerInTheVersionItAsksFor) {
  const std::string answer = Run("-w '\\n%{http_version} %{http_code}'", "/a?b=c");
  EXPECT_TRUE(absl::StartsWith(answer, "GET /a?b=c HTTP/1.1\r\n")) << answer;
  EXPECT_TRUE(absl::EndsWith(answer, absl::StrCat("\n", GetParam().version, " 200"))) << answer;
}

TEST_P(Curl, UploadsOfEverySizeComeBack) {
  for (const size_t size : {size_t{0}, size_t{1}, size_t{5000}, kMiB}) {
    const std::string body = Bytes(size);
    const std::string file = WriteTestFile("body", body);
    // Of unknown length too, where the version has that.
    for (const char* more : {"", "-H 'Transfer-Encoding: chunked' "}) {
      if (*more != 0 && GetParam().name == std::string("Http10")) continue;
      const std::string answer = Run(absl::StrCat(more, "--data-binary @", file));
      EXPECT_TRUE(absl::EndsWith(answer, "\r\n\r\n" + body)) << size << more << answer.size();
      EXPECT_TRUE(absl::StartsWith(answer, "POST / HTTP/1.1\r\n"));
    }
  }
}

TEST_P(Curl, HeadAndManyRequestsOnAConnection) {
  EXPECT_TRUE(absl::StrContains(Run("--head"), " 200"));
  // curl 7.88 cannot use such a connection twice, whoever serves it.
  if (GetParam().name == std::string("Http2")) return;
  std::string urls;
  for (int i = 0; i < 10; ++i) absl::StrAppend(&urls, Url(absl::StrCat("/", i)), " ");
  const std::string answers = Run(urls, "/last");
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(absl::StrContains(answers, absl::StrCat("GET /", i, " "))) << answers;
  }
  EXPECT_TRUE(absl::StrContains(answers, "GET /last "));
}

INSTANTIATE_TEST_SUITE_P(
    All, Curl,
    testing::Values(Client{"Http10", "--http1.0", "1.1", false},
                    Client{"Http11", "--http1.1", "1.1", false},
                    // Asks to upgrade to HTTP/2, which is a wish that may be ignored.
                    Client{"Http2Upgrade", "--http2", "1.1", false},
                    Client{"Http2", "--http2-prior-knowledge", "2", false},
                    Client{"Https11", "--http1.1", "1.1", true},
                    Client{"Https2", "--http2", "2", true},
                    Client{"Tls12", "--http2 --tls-max 1.2", "2", true}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(H2load, ManyStreamsWithBodiesOverTls) {
  Upstream upstream(Echo);
  const int port = FreePort();
  ProxyProcess proxy({HttpListener("in", port, RouteTo("up"), "", ServerTls())},
                     {Cluster("up", {upstream.port()})});
  const std::string body = WriteTestFile("body", Bytes(20000));
  for (const char* how : {"-m 10", "--h1"}) {
    const std::string summary = RunTool(
        absl::StrCat("h2load -n 1000 -c 5 ", how, " -d ", body, " https://127.0.0.1:", port, "/"));
    EXPECT_TRUE(absl::StrContains(summary, "1000 succeeded, 0 failed, 0 errored")) << summary;
    EXPECT_TRUE(absl::StrContains(summary, "1000 2xx")) << summary;
  }
}

// Row 67: what a gateway does not export is not there, however a client asks.
TEST(Gateway, Row67_AServerNameThatIsNotExportedIsRefused) {
  Upstream upstream(Echo);
  const int port = FreePort();
  const int tls_port = FreePort();
  const std::string gateway = absl::StrCat(
      "{name: gateway, address: {socket_address: {address: 127.0.0.1, port_value: ", port,
      "}}, listener_filters: [{name: tls_inspector, typed_config: {\"@type\": type.googleapis.com/"
      "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector}}], filter_chains: "
      "[{filter_chain_match: {transport_protocol: tls}, filters: [{name: sni, typed_config: "
      "{\"@type\": "
      "type.googleapis.com/envoy.extensions.filters.network.sni_cluster.v3.SniCluster}}, {name: "
      "tcp, typed_config: {\"@type\": type.googleapis.com/"
      "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: gw, cluster: "
      "none}}]}]}");
  ProxyProcess proxy({gateway, HttpListener("tls", tls_port, RouteTo("up"), "", ServerTls())},
                     {Cluster("up", {upstream.port()}), Cluster("exported.test", {tls_port}),
                      Cluster("none", {})});
  const auto get = [&](const std::string& name) {
    return RunTool(absl::StrCat("curl --silent --insecure -o /dev/null -w '%{http_code}' ",
                                "--connect-to ::127.0.0.1:", port, " https://", name, ":", port,
                                "/"));
  };
  EXPECT_EQ(get("exported.test"), "200");
  EXPECT_EQ(get("EXPORTED.test"), "200");
  for (const char* name : {"other.test", "exported.test.evil", "none", "127.0.0.1"}) {
    EXPECT_TRUE(absl::StartsWith(get(name), "000")) << name;
  }
  EXPECT_EQ(upstream.connections(), 1);
}

// ---- WebSocket (RFC 6455).

struct Frame {
  uint8_t opcode = 0;  // 1 text, 2 binary, 8 close, 9 ping, 10 pong; 0 goes on with the last
  bool final = true;
  std::string payload;
};

std::string Encode(const Frame& frame, bool masked) {
  const size_t size = frame.payload.size();
  const uint8_t mask_bit = masked ? 0x80 : 0;
  std::string bytes = Number((frame.final ? 0x80 : 0) | frame.opcode, 1);
  if (size < 126) {
    bytes += Number(mask_bit | size, 1);
  } else if (size < 65536) {
    bytes += Number(mask_bit | 126, 1) + Number(size, 2);
  } else {
    bytes += Number(mask_bit | 127, 1) + Number(size, 8);
  }
  if (!masked) return bytes + frame.payload;
  const std::string key = "\x12\x34\xf6\x78";
  bytes += key;
  for (size_t i = 0; i < size; ++i) bytes.push_back(frame.payload[i] ^ key[i % 4]);
  return bytes;
}

// Takes a frame by what `read` gives; false at the end.
using Reader = std::function<std::string(size_t bytes)>;
bool Decode(const Reader& read, Frame& frame) {
  const auto number = [&](size_t bytes) {
    uint64_t value = 0;
    for (const char c : read(bytes)) value = value << 8 | static_cast<uint8_t>(c);
    return value;
  };
  const std::string start = read(2);
  if (start.size() < 2) return false;
  frame.final = start[0] & 0x80;
  frame.opcode = start[0] & 0xf;
  uint64_t size = start[1] & 0x7f;
  if (size == 126)
    size = number(2);
  else if (size == 127)
    size = number(8);
  const std::string key = start[1] & 0x80 ? read(4) : std::string(4, '\0');
  frame.payload = read(size);
  for (size_t i = 0; i < frame.payload.size(); ++i) frame.payload[i] ^= key[i % 4];
  return frame.payload.size() == size;
}

// The handshake of RFC 6455, section 1.3.
constexpr char kKey[] = "dGhlIHNhbXBsZSBub25jZQ==";
constexpr char kAccept[] = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

// Accepts a WebSocket, echoes frames, answers pings and the close; then ends.
void EchoFrames(Socket& socket, int) {
  const Message request = socket.ReadRequest();
  EXPECT_EQ(request.Field("upgrade"), "websocket");
  EXPECT_TRUE(absl::EqualsIgnoreCase(request.Field("connection"), "upgrade")) << request.head;
  EXPECT_EQ(request.Field("sec-websocket-version"), "13");
  EXPECT_NE(request.Field("sec-websocket-key"), "");
  socket.Send(absl::StrCat(
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Accept: ",
      kAccept, "\r\nSec-WebSocket-Protocol: chat\r\n\r\n"));
  Frame frame;
  while (Decode([&](size_t bytes) { return socket.Read(bytes); }, frame)) {
    if (frame.opcode == 9) frame.opcode = 10;
    socket.Send(Encode(frame, /*masked=*/false));
    if (frame.opcode == 8) return;
  }
  socket.Send("the client ended its side");
}

std::vector<Frame> Conversation() {
  return {{1, true, "hello"},
          {2, true, std::string(125, 'a')},
          {2, true, Bytes(126)},
          {2, true, Bytes(70000)},
          {1, false, "in "},
          {9, true, "still there?"},
          {0, true, "pieces"},
          {2, true, ""},
          {2, true, Bytes(kMiB)},
          {8, true,
           std::string("\x03\xe8"
                       "bye",
                       5)}};
}

// Frame after frame, and at the end all that were sent before any was read.
void Converse(const std::function<void(const std::string&)>& send, const Reader& read) {
  const std::vector<Frame> frames = Conversation();
  for (const bool at_once : {false, true}) {
    std::string all;
    std::thread sender;
    if (at_once) {
      for (const Frame& frame : frames) all += Encode(frame, /*masked=*/true);
      sender = std::thread([&] { send(all); });
    }
    for (const Frame& frame : frames) {
      if (!at_once && frame.opcode == 8) break;
      if (!at_once) send(Encode(frame, /*masked=*/true));
      Frame echo;
      EXPECT_TRUE(Decode(read, echo)) << int{frame.opcode} << " of " << frame.payload.size();
      EXPECT_EQ(echo.opcode, frame.opcode == 9 ? 10 : frame.opcode);
      EXPECT_EQ(echo.final, frame.final);
      EXPECT_TRUE(echo.payload == frame.payload) << echo.payload.size();
    }
    if (at_once) sender.join();
  }
}

constexpr char kUpgrades[] =
    "upgrade_configs: [{upgrade_type: websocket}], http2_protocol_options: {allow_connect: true},";

class WebSocket : public testing::Test {
 protected:
  // Asks as a browser does.
  void Shake(Socket& client, const std::string& early = "") {
    client.Send(
        Get("/chat", absl::StrCat("Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
                                  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: "
                                  "chat\r\nSec-WebSocket-Key: ",
                                  kKey, "\r\n")) +
        early);
    const Message answer = client.ReadResponse();
    EXPECT_EQ(answer.status(), 101) << answer.head;
    EXPECT_EQ(answer.Field("sec-websocket-accept"), kAccept);
    EXPECT_EQ(answer.Field("sec-websocket-protocol"), "chat");
    EXPECT_TRUE(absl::EqualsIgnoreCase(answer.Field("upgrade"), "websocket"));
    EXPECT_TRUE(absl::EqualsIgnoreCase(answer.Field("connection"), "upgrade"));
  }

  // An extended CONNECT on stream 1 (RFC 8441).
  Http2Peer Connect2() {
    Http2Peer client = Http2Peer::Client(port_);
    client.Send(H2Headers(
        1,
        absl::StrCat(H2RequestFields("CONNECT", "/chat"), H2Field(":protocol", "websocket"),
                     H2Field("sec-websocket-version", "13"),
                     H2Field("sec-websocket-protocol", "chat")),
        kEndHeaders));
    EXPECT_TRUE(client.ReadUntil([&] { return client.stream(1).status() != 0; }));
    EXPECT_EQ(client.stream(1).status(), 200);
    EXPECT_EQ(client.stream(1).Field("sec-websocket-protocol"), "chat");
    EXPECT_FALSE(client.stream(1).over());
    return client;
  }

  Upstream upstream_{EchoFrames};
  const int port_ = FreePort();
  ProxyProcess proxy_{{HttpListener("in", port_, RouteTo("up", "timeout: 0.5s"), kUpgrades)},
                      {Cluster("up", {upstream_.port()})}};
};

TEST_F(WebSocket, CarriesFramesBothWays) {
  Socket client = Socket::Connect(port_);
  Shake(client);
  Converse([&](const std::string& bytes) { client.Send(bytes); },
           [&](size_t bytes) { return client.Read(bytes); });
  EXPECT_TRUE(client.Ended());
  EXPECT_FALSE(client.was_reset());
}

TEST_F(WebSocket, OutlivesTheTimeoutOfItsRoute) {
  Socket client = Socket::Connect(port_);
  Shake(client, Encode({1, true, "early"}, true));
  Frame frame;
  EXPECT_TRUE(Decode([&](size_t bytes) { return client.Read(bytes); }, frame));
  EXPECT_EQ(frame.payload, "early");
  absl::SleepFor(absl::Seconds(1));
  client.Send(Encode({1, true, "late"}, true));
  EXPECT_TRUE(Decode([&](size_t bytes) { return client.Read(bytes); }, frame));
  EXPECT_EQ(frame.payload, "late");
}

TEST_F(WebSocket, AHalfCloseIsPassedOn) {
  Socket client = Socket::Connect(port_);
  Shake(client);
  client.ShutdownWrite();
  EXPECT_EQ(client.ReadToEnd(), "the client ended its side");
  EXPECT_FALSE(client.was_reset());
}

TEST_F(WebSocket, OverHttp2CarriesFramesBothWays) {
  Http2Peer client = Connect2();
  size_t taken = 0;
  // The conversation's messages are below what a stream may have under way, but for its last one.
  Converse(
      [&](const std::string& bytes) {
        for (size_t at = 0; at < bytes.size(); at += 16000) {
          client.Send(H2Frame(kDataFrame, 0, 1, bytes.substr(at, 16000)));
        }
      },
      [&](size_t bytes) {
        client.ReadUntil([&] { return client.stream(1).body.size() >= taken + bytes; });
        const std::string got = client.stream(1).body.substr(taken, bytes);
        taken += got.size();
        return got;
      });
  EXPECT_TRUE(client.Await(1).ended);
}

TEST_F(WebSocket, OverHttp2AHalfCloseIsPassedOn) {
  Http2Peer client = Connect2();
  client.Send(H2Frame(kDataFrame, kEndStream, 1));
  EXPECT_EQ(client.Await(1).body, "the client ended its side");
  EXPECT_TRUE(client.stream(1).ended);
}

TEST_F(WebSocket, WhoGivesUpFreesTheEndpoint) {
  {
    Socket client = Socket::Connect(port_);
    Shake(client);
    client.CloseWithReset();
  }
  Http2Peer client = Connect2();
  client.Send(H2Reset(1));
  EXPECT_TRUE(Eventually([&] { return proxy_.Stat("upstream_cx_active") == 0; }));
  EXPECT_TRUE(Eventually([&] { return proxy_.Stat("downstream_rq_active") == 0; }));
}

TEST_F(WebSocket, OverHttp2AProtocolThatIsNotAllowedIsRefused) {
  Http2Peer client = Http2Peer::Client(port_);
  client.Send(
      H2Headers(1, absl::StrCat(H2RequestFields("CONNECT", "/"), H2Field(":protocol", "other")),
                kEndHeaders));
  EXPECT_EQ(client.Await(1).status(), 403);
  EXPECT_EQ(upstream_.connections(), 0);
}

// ---- Endpoints.

struct Proxied {
  explicit Proxied(int endpoint, const std::string& cluster = "")
      : proxy({HttpListener("in", port, RouteTo("up", "timeout: 30s"))},
              {Cluster("up", {endpoint}, cluster)}) {}

  const int port = FreePort();
  ProxyProcess proxy;
};

std::string Post(const std::string& path, const std::string& body) {
  return absl::StrCat("POST ", path, " HTTP/1.1\r\nHost: h\r\nContent-Length: ", body.size(),
                      "\r\n\r\n", body);
}

std::string PostChunked(const std::string& path, const std::string& body) {
  std::string request =
      absl::StrCat("POST ", path, " HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (size_t at = 0; at < body.size(); at += 10000) {
    const std::string piece = body.substr(at, 10000);
    absl::StrAppend(&request, absl::Hex(piece.size()), "\r\n", piece, "\r\n");
  }
  return request + "0\r\n\r\n";
}

Message Exchange(Socket& client, const std::string& request) {
  std::thread sender([&] { EXPECT_TRUE(client.Send(request)); });
  const Message answer = client.ReadResponse(absl::StartsWith(request, "HEAD "));
  sender.join();
  EXPECT_TRUE(answer.complete) << request.substr(0, 100) << answer.head;
  return answer;
}

// nginx with a folder of files, and everything under /echo/ passed on to `echo`.
class Nginx {
 public:
  explicit Nginx(int echo, const std::string& more_of_server = "") {
    root_ = WriteTestFile("nginx", "") + ".d";
    mkdir(root_.c_str(), 0755);
    const std::string config = absl::StrCat(
        "daemon off; master_process off; pid ", root_, "/pid; error_log stderr;\n",
        "events { worker_connections 256; }\n", "http { access_log off; client_body_temp_path ",
        root_, "/body; proxy_temp_path ", root_, "/proxy; fastcgi_temp_path ", root_,
        "/fastcgi; uwsgi_temp_path ", root_, "/uwsgi; scgi_temp_path ", root_,
        "/scgi; client_max_body_size 10m;\n", "server { listen 127.0.0.1:", port, "; root ", root_,
        "; ", more_of_server, "\n", "location /chunked/ { alias ", root_,
        "/; ssi on; ssi_types *; add_trailer x-sum 42; }\n", "location /put/ { alias ", root_,
        "/; dav_methods PUT DELETE; }\n", "location /none { return 204; }\n",
        "location /gone { return 410 gone; }\n",
        "location /echo/ { proxy_pass http://127.0.0.1:", echo,
        "; proxy_request_buffering off; proxy_http_version 1.1; } } }\n");
    process_ = std::make_unique<PeerProcess>(std::vector<std::string>{
        "/usr/sbin/nginx", "-e", "stderr", "-c", WriteTestFile("nginx.conf", config)});
    EXPECT_TRUE(process_->Listens(port)) << process_->Output();
  }

  void Put(const std::string& name, const std::string& contents) {
    std::ofstream(absl::StrCat(root_, "/", name)) << contents;
  }

  const int port = FreePort();

 private:
  std::string root_;
  std::unique_ptr<PeerProcess> process_;
};

TEST(NginxAsEndpoint, ServesEveryKindOfMessageOnOneConnection) {
  Upstream echo(Echo);
  Nginx nginx(echo.port());
  const std::string big = Bytes(kMiB);
  nginx.Put("big", big);
  nginx.Put("empty", "");
  Proxied s(nginx.port);
  Socket client = Socket::Connect(s.port);
  for (int round = 0; round < 3; ++round) {
    const Message file = Exchange(client, Get("/big"));
    EXPECT_EQ(file.status(), 200);
    EXPECT_TRUE(file.body == big);
    EXPECT_EQ(Exchange(client, Get("/empty")).body, "");

    const Message chunked = Exchange(client, Get("/chunked/big"));
    EXPECT_EQ(chunked.Field("transfer-encoding"), "chunked");
    EXPECT_TRUE(chunked.body == big);
    EXPECT_EQ(chunked.trailers, "x-sum: 42\r\n");

    const Message head = Exchange(client, "HEAD /big HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_EQ(head.Field("content-length"), absl::StrCat(kMiB));

    const Message unchanged =
        Exchange(client, Get("/big", absl::StrCat("If-None-Match: ", file.Field("etag"), "\r\n")));
    EXPECT_EQ(unchanged.status(), 304);
    EXPECT_EQ(unchanged.Field("etag"), file.Field("etag"));

    const Message part = Exchange(client, Get("/big", "Range: bytes=1000-1099\r\n"));
    EXPECT_EQ(part.status(), 206);
    EXPECT_EQ(part.body, big.substr(1000, 100));

    EXPECT_EQ(Exchange(client, Get("/none")).status(), 204);
    EXPECT_EQ(Exchange(client, Get("/gone")).body, "gone");
    EXPECT_EQ(Exchange(client, Get("/missing")).status(), 404);

    const std::string put = absl::StrCat("PUT /put/new", round, " HTTP/1.1\r\nHost: h\r\n",
                                         "Content-Length: ", big.size(), "\r\n\r\n");
    EXPECT_EQ(Exchange(client, put + big).status(), 201);
    EXPECT_TRUE(Exchange(client, Get(absl::StrCat("/new", round))).body == big);

    EXPECT_TRUE(absl::EndsWith(Exchange(client, Post("/echo/a", big)).body, big));
    EXPECT_TRUE(
        absl::StrContains(Exchange(client, PostChunked("/echo/b", big)).body, big.substr(0, 5000)));
  }
  EXPECT_EQ(s.proxy.Stat("cluster.up.upstream_cx_total"), 1);
}

TEST(NginxAsEndpoint, ConnectionsThatItEndsCostNoRequest) {
  Upstream echo(Echo);
  // It says that it will end after some requests, and ends idle ones without a word.
  Nginx nginx(echo.port(), "keepalive_requests 7; keepalive_timeout 1s;");
  nginx.Put("file", "contents");
  Proxied s(nginx.port);
  Socket client = Socket::Connect(s.port);
  for (int i = 0; i < 200; ++i) {
    if (i % 70 == 69) absl::SleepFor(absl::Milliseconds(1000));
    ASSERT_EQ(Exchange(client, Get("/file")).body, "contents") << i;
  }
  EXPECT_GE(s.proxy.Stat("cluster.up.upstream_cx_total"), 200 / 7);
}

TEST(HaproxyAsEndpoint, ServesEveryKindOfMessage) {
  Upstream behind([](Socket& socket, int) {
    while (true) {
      const Message request = socket.ReadRequest();
      if (!request.complete) return;
      const bool to_head = absl::StartsWith(request.head, "HEAD ");
      if (absl::StrContains(request.head, " /trailers ")) {
        socket.Send(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n"
            "3\r\nabc\r\n4\r\ndefg\r\n0\r\nx-sum: 42\r\n\r\n");
      } else if (absl::StrContains(request.head, " /unchanged ")) {
        socket.Send("HTTP/1.1 304 Not Modified\r\netag: \"e\"\r\n\r\n");
      } else {
        socket.Send(absl::StrCat("HTTP/1.1 200 OK\r\ncontent-length: ", request.body.size(),
                                 "\r\n\r\n", to_head ? "" : request.body));
      }
    }
  });
  const int haproxy_port = FreePort();
  const std::string config = absl::StrCat(
      "global\n  maxconn 100\ndefaults\n  mode http\n  timeout connect 5s\n  timeout client 30s\n"
      "  timeout server 30s\n  option http-keep-alive\nfrontend f\n  bind 127.0.0.1:",
      haproxy_port,
      "\n  http-request return status 200 content-type text/plain string hello if { path /hello }\n"
      "  http-request deny deny_status 403 if { path /denied }\n"
      "  default_backend b\nbackend b\n  http-reuse always\n  server s 127.0.0.1:",
      behind.port(), "\n");
  PeerProcess haproxy({"/usr/sbin/haproxy", "-db", "-f", WriteTestFile("haproxy.cfg", config)});
  ASSERT_TRUE(haproxy.Listens(haproxy_port)) << haproxy.Output();
  Proxied s(haproxy_port);
  const std::string big = Bytes(kMiB);
  Socket client = Socket::Connect(s.port);
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(Exchange(client, Get("/hello")).body, "hello");
    EXPECT_EQ(Exchange(client, Get("/denied")).status(), 403);
    const Message trailers = Exchange(client, Get("/trailers"));
    EXPECT_EQ(trailers.body, "abcdefg");
    EXPECT_EQ(trailers.trailers, "x-sum: 42\r\n");
    EXPECT_EQ(Exchange(client, Get("/unchanged")).status(), 304);
    const Message head = Exchange(client, "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_EQ(head.status(), 200);
    EXPECT_TRUE(Exchange(client, Post("/", big)).body == big);
    EXPECT_TRUE(Exchange(client, PostChunked("/", big)).body == big);
    EXPECT_EQ(Exchange(client, PostChunked("/", "")).body, "");
  }
  // haproxy ends the connection when it denies.
  EXPECT_LE(s.proxy.Stat("cluster.up.upstream_cx_total"), 4);
}

}  // namespace
}  // namespace weft::test
