#include "controlplane/sources/kubernetes/client.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "proxy/net/tcp.h"
#include "proxy/tls/tls_stream.h"

namespace weft {
namespace {

absl::Status Annotate(absl::string_view what, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(what, ": ", status.message()));
}

absl::Status TimedOut() { return absl::DeadlineExceededError("no answer in time"); }

// Bytes that a request's path may consist of; what is beyond could end the line.
bool IsPlainPath(absl::string_view path) {
  return !path.empty() && path[0] == '/' &&
         std::all_of(path.begin(), path.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

}  // namespace

struct KubernetesResponse::Connection {
  std::unique_ptr<ByteStream> bytes;
  std::unique_ptr<H1ClientStream> http;  // borrows `bytes`
  std::shared_ptr<const ClientTlsContext> tls;
  bool used = false;
};

// ---- A response.

KubernetesResponse::KubernetesResponse(KubernetesClient& client,
                                       std::unique_ptr<Connection> connection)
    : client_(client), connection_(std::move(connection)) {}

KubernetesResponse::~KubernetesResponse() {
  if (connection_->http->Reusable()) client_.GiveBack(std::move(connection_));
}

absl::Status KubernetesResponse::ReadHead() {
  const ResponseHead& head = connection_->http->response();
  status_ = head.status;
  int64_t seconds = 0;
  if (const auto after = head.headers.Get("retry-after");
      after.has_value() && absl::SimpleAtoi(*after, &seconds) && seconds > 0) {
    retry_after_ = absl::Seconds(seconds);
  }
  const absl::string_view coding = head.headers.Get("content-encoding").value_or("identity");
  if (absl::EqualsIgnoreCase(coding, "gzip")) {
    gunzip_ = std::make_unique<Gunzip>();
  } else if (!absl::EqualsIgnoreCase(coding, "identity")) {
    return absl::UnavailableError(absl::StrCat("a content-encoding not asked for: ", coding));
  }
  return absl::OkStatus();
}

Task<absl::StatusOr<std::string>> KubernetesResponse::Read(MonotonicTime deadline) {
  H1ClientStream& http = *connection_->http;
  while (true) {
    switch (http.Next()) {
      case HttpStream::Event::kHead:
        break;
      case HttpStream::Event::kBody: {
        absl::string_view body = http.body();
        std::string piece;
        if (gunzip_ != nullptr) {
          body = body.substr(0, Gunzip::kMostAtOnce);
          const absl::Status status = gunzip_->Feed(body, &piece);
          if (!status.ok()) co_return status;
        } else {
          piece = std::string(body);
        }
        http.Take(body.size());
        if (piece.empty()) break;
        co_return piece;
      }
      case HttpStream::Event::kEnd:
        if (gunzip_ != nullptr && !gunzip_->ended()) {
          co_return absl::UnavailableError("gzip: cut short");
        }
        co_return std::string();
      case HttpStream::Event::kBroken:
        co_return absl::UnavailableError(http.failure().reason);
      case HttpStream::Event::kBlocked: {
        const bool notified = co_await Wait(client_.loop_, {&http.readable()}, deadline);
        if (!notified) co_return TimedOut();
        break;
      }
    }
  }
}

// ---- The client.

KubernetesClient::KubernetesClient(EventLoop& loop, Kubeconfig config)
    : loop_(loop),
      config_(std::move(config)),
      credentials_(loop, config_),
      resolver_(loop, dns::Resolver::Options()) {}

KubernetesClient::~KubernetesClient() = default;

Task<absl::StatusOr<KubernetesClient::Response>> KubernetesClient::Send(KubernetesRequest request,
                                                                        MonotonicTime deadline) {
  if (!IsPlainPath(request.path)) {
    co_return absl::InvalidArgumentError(absl::StrCat("not a path: \"", request.path, "\""));
  }
  for (bool renewed = false;; renewed = true) {
    auto credentials = co_await credentials_.Get();
    if (!credentials.ok()) co_return credentials.status();
    auto response = co_await SendWith(request, *credentials, deadline);
    if (!response.ok()) co_return Annotate(config_.Authority(), response.status());
    if ((*response)->status() != 401 || renewed || !credentials_.OnRefused()) co_return response;
  }
}

Task<absl::StatusOr<KubernetesClient::Answer>> KubernetesClient::Call(KubernetesRequest request,
                                                                      MonotonicTime deadline) {
  auto response = co_await Send(std::move(request), deadline);
  if (!response.ok()) co_return response.status();
  Answer answer;
  answer.status = (*response)->status();
  answer.retry_after = (*response)->retry_after();
  while (true) {
    absl::StatusOr<std::string> piece = co_await (*response)->Read(deadline);
    if (!piece.ok()) co_return Annotate(config_.Authority(), piece.status());
    if (piece->empty()) co_return answer;
    if (answer.body.size() + piece->size() > kMaxAnswer) {
      co_return absl::ResourceExhaustedError("an answer of more than 16 MiB");
    }
    answer.body += *piece;
  }
}

Task<absl::StatusOr<KubernetesClient::Response>> KubernetesClient::SendWith(
    const KubernetesRequest& request, const Credentials::Current& credentials,
    MonotonicTime deadline) {
  std::unique_ptr<Connection> connection = TakeIdle(credentials.tls);
  if (connection != nullptr) {
    auto response = co_await Exchange(request, credentials, std::move(connection), deadline);
    // The server may have closed it just then. What changes something is not sent twice.
    const bool repeatable = request.method == "GET" || request.repeatable;
    if (response.ok() || !repeatable || absl::IsDeadlineExceeded(response.status())) {
      co_return response;
    }
  }
  auto dialed = co_await Dial(credentials.tls, deadline);
  if (!dialed.ok()) co_return dialed.status();
  connection = *std::move(dialed);
  auto response = co_await Exchange(request, credentials, std::move(connection), deadline);
  co_return response;
}

RequestHead KubernetesClient::HeadOf(const KubernetesRequest& request,
                                     const Credentials::Current& credentials) const {
  RequestHead head;
  head.method = request.method;
  head.authority = config_.Authority();
  head.path = absl::StrCat(config_.path, request.path);
  head.headers.Add("accept", "application/json");
  head.headers.Add("accept-encoding", "gzip");
  head.headers.Add(KnownHeader::kUserAgent, "weftd");
  if (!credentials.authorization.empty()) {
    head.headers.Add("authorization", credentials.authorization);
  }
  if (!request.body.empty()) {
    head.headers.Add(KnownHeader::kContentType, request.content_type.empty()
                                                    ? "application/json"
                                                    : absl::string_view(request.content_type));
  }
  return head;
}

Task<absl::StatusOr<KubernetesClient::Response>> KubernetesClient::Exchange(
    const KubernetesRequest& request, const Credentials::Current& credentials,
    std::unique_ptr<Connection> connection, MonotonicTime deadline) {
  H1ClientStream& http = *connection->http;
  if (std::exchange(connection->used, true)) http.NextRequest();
  BodyLength length;
  if (!request.body.empty()) length = {BodyFraming::kLength, request.body.size()};
  http.WriteHead(HeadOf(request, credentials), length);
  absl::string_view body = request.body;
  Response response(new KubernetesResponse(*this, std::move(connection)));
  bool written = body.empty();
  while (true) {
    if (!written) {
      // Until it is blocked: only then does an edge tell that there is room again.
      while (const size_t taken = http.Write(body)) body.remove_prefix(taken);
      written = body.empty();
      if (written) http.WriteEnd(Headers());
    }
    const HttpStream::Flushed flushed = http.Flush();
    const HttpStream::Event event = http.Next();
    if (event == HttpStream::Event::kHead && http.response().status >= 200) break;
    if (event == HttpStream::Event::kBroken) {
      co_return absl::UnavailableError(http.failure().reason);
    }
    if (event != HttpStream::Event::kBlocked) continue;
    const bool wants_write = !written || flushed == HttpStream::Flushed::kBlocked;
    bool notified = false;
    if (wants_write) {
      notified = co_await Wait(loop_, {&http.readable(), &http.writable()}, deadline);
    } else {
      notified = co_await Wait(loop_, {&http.readable()}, deadline);
    }
    if (!notified) co_return TimedOut();
  }
  absl::Status head = response->ReadHead();
  if (!head.ok()) co_return head;
  co_return response;
}

// ---- Connections.

Task<absl::StatusOr<std::vector<Address>>> KubernetesClient::Addresses() {
  std::vector<Address> addresses;
  const auto ip = Address::Ip(config_.host, config_.port);
  if (ip.ok()) {
    addresses.push_back(*ip);
    co_return addresses;
  }
  dns::Lookup lookup;
  lookup.name = config_.host;
  lookup.family = dns::LookupFamily::kAll;
  auto found = co_await resolver_.Resolve(lookup);
  if (!found.ok()) co_return found.status();
  for (const Address& address : found->addresses) {
    addresses.push_back(address.WithPort(config_.port));
  }
  co_return addresses;
}

Task<absl::StatusOr<std::unique_ptr<KubernetesClient::Connection>>> KubernetesClient::Dial(
    std::shared_ptr<const ClientTlsContext> tls, MonotonicTime deadline) {
  auto addresses = co_await Addresses();
  if (!addresses.ok()) co_return addresses.status();
  absl::Status failed = absl::UnavailableError("no address");
  for (const Address& address : *addresses) {
    auto stream =
        co_await DialAddress(address, tls, std::min(deadline, loop_.Now() + kDialTimeout));
    failed = stream.status();
    if (!stream.ok()) continue;
    auto connection = std::make_unique<Connection>();
    connection->bytes = *std::move(stream);
    connection->http = std::make_unique<H1ClientStream>(*connection->bytes);
    connection->tls = std::move(tls);
    co_return connection;
  }
  co_return failed;
}

Task<absl::StatusOr<std::unique_ptr<ByteStream>>> KubernetesClient::DialAddress(
    Address address, std::shared_ptr<const ClientTlsContext> tls, MonotonicTime deadline) {
  ConnectOptions options;
  options.deadline = deadline;
  auto connected = co_await Connect(loop_, address, options);
  if (!connected.ok()) co_return connected.status();
  std::unique_ptr<ByteStream> stream = *std::move(connected);
  if (tls == nullptr) co_return stream;
  auto secured = co_await TlsStream::Connect(loop_, std::move(stream), tls, deadline);
  if (!secured.ok()) co_return Annotate("TLS", secured.status());
  stream = *std::move(secured);
  co_return stream;
}

std::unique_ptr<KubernetesClient::Connection> KubernetesClient::TakeIdle(
    const std::shared_ptr<const ClientTlsContext>& tls) {
  while (!idle_.empty()) {
    std::unique_ptr<Connection> connection = std::move(idle_.back());
    idle_.pop_back();
    if (connection->tls == tls && connection->http->StillQuiet()) return connection;
  }
  return nullptr;
}

void KubernetesClient::GiveBack(std::unique_ptr<Connection> connection) {
  if (idle_.size() < kMostIdle) idle_.push_back(std::move(connection));
}

}  // namespace weft
