#include "test/apiserver/server.h"

#include <algorithm>
#include <future>
#include <thread>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "proxy/net/tcp.h"
#include "proxy/runtime/scope.h"
#include "proxy/tls/tls_stream.h"
#include "test/apiserver/api.h"
#include "test/apiserver/event_faults.h"
#include "test/apiserver/http.h"
#include "test/apiserver/watch.h"

namespace weft::apiserver {
namespace {

constexpr absl::Duration kHandshakeTimeout = absl::Seconds(10);
// Of a watch that states none; kube-apiserver takes between 30 and 60 minutes.
constexpr absl::Duration kWatchTimeout = absl::Minutes(45);
// Events made before they are sent: what one turn of the loop may take.
constexpr size_t kMostEvents = 1000;
constexpr size_t kMostRecords = 1'000'000;

using Kind = Fault::Kind;

// Wakes a watch while it lives.
class Following {
 public:
  Following(Cluster& cluster, std::string resource, Signal* signal)
      : cluster_(cluster), resource_(std::move(resource)), signal_(signal) {
    cluster_.Follow(resource_, signal_);
  }
  ~Following() { cluster_.Unfollow(resource_, signal_); }
  Following(const Following&) = delete;
  Following& operator=(const Following&) = delete;

 private:
  Cluster& cluster_;
  const std::string resource_;
  Signal* const signal_;
};

class Counted {
 public:
  explicit Counted(size_t& count) : count_(count) { ++count_; }
  ~Counted() { --count_; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

 private:
  size_t& count_;
};

absl::Duration TimeoutOf(const Request& request) {
  int64_t seconds = 0;
  const bool stated = absl::SimpleAtoi(request.Query("timeoutSeconds"), &seconds) && seconds > 0;
  return stated ? absl::Seconds(seconds) : kWatchTimeout;
}

Failure FailureOf(const Fault& fault) {
  Failure failure;
  failure.code = fault.code;
  failure.retry_after = fault.retry_after;
  failure.reason = fault.code == 429   ? "TooManyRequests"
                   : fault.code == 503 ? "ServiceUnavailable"
                   : fault.code == 410 ? "Expired"
                                       : "InternalError";
  failure.message = fault.message.empty() ? "a fault that was asked for" : fault.message;
  return failure;
}

}  // namespace

// All but `thread`, `address` and `tls` belongs to the loop's thread once that runs.
struct ApiServer::Running {
  explicit Running(const ApiServerOptions& options)
      : cluster(options.mesh_crds),
        credentials(!options.tokens.empty() || !options.client_ca_pem.empty()),
        admission(loop, cluster, options.services),
        bookmark_interval(options.bookmark_interval) {
    credentials.SetTokens(options.tokens);
  }

  // Runs `call` on the loop and waits for it.
  void Run(std::function<void()> call) {
    std::promise<void> done;
    loop.Post([&] {
      call();
      done.set_value();
    });
    done.get_future().wait();
  }

  Task<> Accept();
  Task<> Serve(std::unique_ptr<TcpStream> accepted);
  Task<> ServeRequests(ByteStream& stream, const PeerCertificate* certificate);
  Task<bool> Answer(const Request& request, RequestReader& reader, ResponseWriter& writer);
  Task<bool> AnswerResource(const Target& target, const Request& request, RequestReader& reader,
                            ResponseWriter& writer);
  Task<bool> Watch(const Target& target, const Request& request, RequestReader& reader,
                   ResponseWriter& writer, ByteStream& stream);
  Task<bool> SendEvents(WatchCursor& cursor, EventFaults& faults_of_watch, const Target& target,
                        ResponseWriter& writer, bool& over);
  std::optional<Response> Control(const Request& request);
  void OnFaultsChanged();
  void Record(const Target* target, const Request& request, int code);

  EventLoop loop;
  Cluster cluster;
  Credentials credentials;
  Admission admission;
  Faults faults;
  std::unique_ptr<Api> api;
  std::unique_ptr<Listener> listener;
  Address address;
  std::shared_ptr<const ServerTlsContext> tls;
  const absl::Duration bookmark_interval;
  std::vector<RequestRecord> records;
  size_t watches = 0;
  Scope accepting;
  Scope connections;  // last: its tasks use what is above
  std::thread thread;
};

Task<> ApiServer::Running::Accept() {
  while (true) {
    std::unique_ptr<TcpStream> accepted = co_await listener->Accept();
    connections.Spawn(Serve(std::move(accepted)));
  }
}

Task<> ApiServer::Running::Serve(std::unique_ptr<TcpStream> accepted) {
  if (tls == nullptr) {
    co_await ServeRequests(*accepted, nullptr);
    co_return;
  }
  auto secured = co_await TlsStream::Accept(loop, std::move(accepted), tls, Buffer(),
                                            loop.Now() + kHandshakeTimeout);
  if (!secured.ok()) co_return;
  co_await ServeRequests(**secured, (*secured)->peer());
  (*secured)->CloseWrite();
}

Task<> ApiServer::Running::ServeRequests(ByteStream& stream, const PeerCertificate* certificate) {
  RequestReader reader(loop, stream);
  Request request;
  std::string authorization;
  while (true) {
    const bool read = co_await reader.Next(request, authorization);
    if (!read) co_return;
    ResponseWriter writer(loop, stream, request, reader.keep_alive());
    auto user = credentials.Authenticate(authorization, certificate, absl::Now());
    bool usable = false;
    if (!user.ok()) {
      const Response refused(user.failure());
      Record(nullptr, request, refused.code);
      usable = co_await writer.Respond(refused);
    } else {
      request.user = *user;
      const auto target = FindTarget(cluster.catalog(), request);
      if (target.ok() && target->verb == "watch" && target->resource->stored) {
        usable = co_await Watch(*target, request, reader, writer, stream);
      } else {
        usable = co_await Answer(request, reader, writer);
      }
    }
    if (!usable || !reader.keep_alive()) co_return;
  }
}

Task<bool> ApiServer::Running::Answer(const Request& request, RequestReader& reader,
                                      ResponseWriter& writer) {
  if (auto control = Control(request)) co_return co_await writer.Respond(*control);
  const auto target = FindTarget(cluster.catalog(), request);
  if (target.ok()) co_return co_await AnswerResource(*target, request, reader, writer);
  if (const auto slow = faults.Take(Kind::kSlow, "", "")) co_await Sleep(loop, slow->delay);
  Response response(target.failure());
  if (const auto fault = faults.Take(Kind::kStatus, "", "")) {
    response = Response(FailureOf(*fault));
  } else if (auto other = api->HandleOther(request)) {
    response = *std::move(other);
  }
  Record(nullptr, request, response.code);
  co_return co_await writer.Respond(response);
}

Task<bool> ApiServer::Running::AnswerResource(const Target& target, const Request& request,
                                              RequestReader& reader, ResponseWriter& writer) {
  const std::string id = target.resource->Id();
  const std::string& verb = target.verb;
  if (const auto slow = faults.Take(Kind::kSlow, verb, id)) co_await Sleep(loop, slow->delay);
  Response response;
  if (const auto fault = faults.Take(Kind::kStatus, verb, id)) {
    response = Response(FailureOf(*fault));
  } else if (request.Has("continue") && faults.Take(Kind::kExpiredContinue, verb, id)) {
    const auto token = ContinueToken::Decode(request.Query("continue"));
    const Store::Key after = token.has_value() ? token->after : Store::Key();
    const ContinueToken go_on = {0, after};
    response = Response(ExpiredContinue(go_on.Encode()));
  } else {
    response = co_await api->Handle(target, request);
  }
  if (response.code == 200) Bloat(faults, verb, id, "", response.body);
  if (const auto cut = faults.Take(Kind::kCut, verb, id)) writer.CutAfter(cut->bytes);
  if (const auto split = faults.Take(Kind::kChunks, verb, id)) writer.SplitInto(split->sizes);
  Record(&target, request, response.code);
  co_return co_await writer.Respond(response);
}

// Sends what there is to be told now. `over`: the watch is to end.
Task<bool> ApiServer::Running::SendEvents(WatchCursor& cursor, EventFaults& faults_of_watch,
                                          const Target& target, ResponseWriter& writer,
                                          bool& over) {
  const std::string id = target.resource->Id();
  while (true) {
    std::vector<std::string> events;
    auto gone =
        Guard([&]() -> Result<std::optional<Failure>> { return cursor.Next(events, kMostEvents); });
    const bool more = events.size() >= kMostEvents;
    faults_of_watch.Apply(events);
    std::optional<Failure> error = gone.ok() ? *gone : std::optional<Failure>(gone.failure());
    if (faults.Take(Kind::kGoneEvent, "watch", id)) {
      error = ExpiredVersion(1, cluster.store().version());
    }
    if (error.has_value()) events.push_back(WatchCursor::ErrorEvent(*error));
    std::string text;
    for (const std::string& event : events) text += event;
    if (!text.empty()) {
      const bool sent = co_await writer.Send(text);
      if (!sent) co_return false;
    }
    over = error.has_value();
    if (over || !more) co_return true;
  }
}

Task<bool> ApiServer::Running::Watch(const Target& target, const Request& request,
                                     RequestReader& reader, ResponseWriter& writer,
                                     ByteStream& stream) {
  const std::string id = target.resource->Id();
  if (const auto slow = faults.Take(Kind::kSlow, "watch", id)) co_await Sleep(loop, slow->delay);
  auto cursor = Guard([&] { return WatchCursor::Open(cluster, target, request); });
  std::optional<Failure> refused;
  if (!cursor.ok()) refused = cursor.failure();
  if (faults.Take(Kind::kGoneStatus, "watch", id)) {
    refused = ExpiredVersion(1, cluster.store().version());
  }
  if (const auto fault = faults.Take(Kind::kStatus, "watch", id)) refused = FailureOf(*fault);
  Record(&target, request, refused.has_value() ? refused->code : 200);
  if (refused.has_value()) {
    const Response response(*refused);
    co_return co_await writer.Respond(response);
  }
  const Counted counted(watches);
  Signal changed;
  const Following following(cluster, id, &changed);
  EventFaults event_faults(faults, id);
  const MonotonicTime end = loop.Now() + TimeoutOf(request);
  MonotonicTime bookmark = cursor->wants_bookmarks() ? loop.Now() + bookmark_interval : kNever;
  bool silent = false, over = false;
  bool usable = co_await writer.Begin();
  while (usable && !over) {
    if (const auto cut = faults.Take(Kind::kCut, "watch", id)) {
      writer.CutAfter(cut->bytes);
      if (cut->bytes == 0) {
        stream.ResetOnClose();
        co_return false;
      }
    }
    if (const auto split = faults.Take(Kind::kChunks, "watch", id)) writer.SplitInto(split->sizes);
    silent = silent || faults.Take(Kind::kSilent, "watch", id).has_value();
    if (!silent) {
      usable = co_await SendEvents(*cursor, event_faults, target, writer, over);
      if (!usable) co_return false;
      // The kind went while it was watched.
      if (cluster.catalog().Find(target.resource->group, target.version, target.resource->plural) ==
          nullptr) {
        over = true;
      }
      if (loop.Now() >= bookmark) {
        const std::string line = cursor->Bookmark();
        usable = co_await writer.Send(line);
        bookmark = loop.Now() + bookmark_interval;
      }
      over = over || loop.Now() >= end;
    }
    if (!usable || over) break;
    const MonotonicTime deadline = silent ? kNever : std::min(end, bookmark);
    (void)co_await Wait(loop, {&changed, &stream.readable()}, deadline);
    if (reader.Gone()) co_return false;
  }
  co_return usable&& co_await writer.End();
}

std::optional<Response> ApiServer::Running::Control(const Request& request) {
  if (request.path == "/compact" && request.method == "POST") {
    cluster.store().Compact();
    return Response(Json{{"resourceVersion", absl::StrCat(cluster.store().version())}});
  }
  if (request.path != "/faults") return std::nullopt;
  if (request.method == "POST") {
    const Json json = Json::parse(request.body, nullptr, false);
    auto fault = Guard([&] { return ParseFault(json); });
    if (!fault.ok()) return Response(fault.failure());
    const uint64_t id = faults.Add(*std::move(fault));
    OnFaultsChanged();
    return Response(Json{{"id", id}}, 201);
  }
  if (request.method == "DELETE") {
    faults.Clear();
    OnFaultsChanged();
  }
  return Response(Json{{"faults", faults.ToJson()}});
}

void ApiServer::Running::OnFaultsChanged() {
  cluster.catalog().Hide(faults.NotInstalled());
  cluster.WakeAll();
}

void ApiServer::Running::Record(const Target* target, const Request& request, int code) {
  if (records.size() >= kMostRecords) return;
  RequestRecord record;
  if (target != nullptr) {
    record.verb = target->verb;
    record.resource = target->resource->Id();
  }
  record.target = request.raw_path;
  record.user = request.user.name;
  record.code = code;
  records.push_back(std::move(record));
}

absl::StatusOr<std::unique_ptr<ApiServer>> ApiServer::Start(ApiServerOptions options) {
  auto running = std::make_unique<Running>(options);
  for (const Json& object : options.objects) {
    const auto put = Guard([&] { return running->cluster.Put(object); });
    if (put.ok()) continue;
    return absl::InvalidArgumentError(absl::StrCat(put.failure().message, ": ", object.dump()));
  }
  if (options.tls.has_value()) {
    ServerTlsOptions tls;
    tls.certificate = *options.tls;
    tls.alpn = {"http/1.1"};
    if (!options.client_ca_pem.empty()) {
      tls.client_trust.emplace();
      tls.client_trust->ca_pem = options.client_ca_pem;
    }
    auto context = ServerTlsContext::Create(std::move(tls));
    if (!context.ok()) return context.status();
    running->tls = *context;
  }
  const auto listen = Address::Parse(options.listen);
  if (!listen.ok()) return listen.status();
  Listener::Options listening;
  listening.reuse_port = false;
  auto listener = Listener::Create(running->loop, *listen, listening);
  if (!listener.ok()) return listener.status();
  running->listener = *std::move(listener);
  running->address = running->listener->address();
  running->api = std::make_unique<Api>(running->cluster, running->admission, running->credentials,
                                       running->address.ToString());
  Running* started = running.get();
  running->thread = std::thread([started] {
    started->accepting.Spawn(started->Accept());
    started->loop.Run();
    started->accepting.Cancel();
    started->connections.Cancel();
  });
  return std::unique_ptr<ApiServer>(new ApiServer(std::move(running)));
}

ApiServer::ApiServer(std::unique_ptr<Running> running) : running_(std::move(running)) {}

ApiServer::~ApiServer() {
  running_->loop.Stop();
  running_->thread.join();
}

const Address& ApiServer::address() const { return running_->address; }

std::string ApiServer::url() const {
  return absl::StrCat(running_->tls == nullptr ? "http://" : "https://",
                      running_->address.ToString());
}

Result<Json> ApiServer::Put(Json object) {
  std::optional<Result<Json>> result;
  running_->Run([&] {
    const std::string api_version = object.value("apiVersion", "");
    const std::string kind = object.value("kind", "");
    const auto put = Guard([&] { return running_->cluster.Put(std::move(object)); });
    result.emplace(put.ok() ? Result<Json>((*put)->Parse(api_version, kind))
                            : Result<Json>(put.failure()));
  });
  return *std::move(result);
}

Result<Json> ApiServer::Get(const std::string& resource, const std::string& ns,
                            const std::string& name) {
  std::optional<Result<Json>> result;
  running_->Run([&] {
    const auto kind = running_->cluster.catalog().FindById(resource);
    if (kind == nullptr) return result.emplace(NoSuchPath()), void();
    const auto found = running_->cluster.Get(*kind, ns, name);
    result.emplace(found.ok() ? Result<Json>((*found)->Parse(
                                    kind->ApiVersion(kind->versions.front()), kind->kind))
                              : Result<Json>(found.failure()));
  });
  return *std::move(result);
}

Result<bool> ApiServer::Delete(const std::string& resource, const std::string& ns,
                               const std::string& name) {
  std::optional<Result<bool>> result;
  running_->Run([&] {
    const auto kind = running_->cluster.catalog().FindById(resource);
    if (kind == nullptr) return result.emplace(NoSuchPath()), void();
    const auto deleted = running_->cluster.Delete(*kind, ns, name);
    result.emplace(deleted.ok() ? Result<bool>(deleted->gone) : Result<bool>(deleted.failure()));
  });
  return *std::move(result);
}

uint64_t ApiServer::AddFault(Fault fault) {
  uint64_t id = 0;
  running_->Run([&] {
    id = running_->faults.Add(std::move(fault));
    running_->OnFaultsChanged();
  });
  return id;
}

void ApiServer::RemoveFault(uint64_t id) {
  running_->Run([&] {
    running_->faults.Remove(id);
    running_->OnFaultsChanged();
  });
}

void ApiServer::ClearFaults() {
  running_->Run([&] {
    running_->faults.Clear();
    running_->OnFaultsChanged();
  });
}

void ApiServer::Compact() {
  // Running watches are told what is theirs first.
  running_->Run([&] { running_->cluster.WakeAll(); });
  running_->Run([&] { running_->cluster.store().Compact(); });
}

void ApiServer::SetHistoryLimit(size_t changes) {
  running_->Run([&] { running_->cluster.store().SetHistoryLimit(changes); });
}

std::string ApiServer::IssueToken(const AccountToken& wanted) {
  std::string token;
  running_->Run([&] { token = running_->credentials.Issue(wanted, running_->cluster.NewUid()); });
  return token;
}

void ApiServer::SetService(const std::string& service, const std::string& address) {
  running_->Run([&] { running_->admission.SetService(service, address); });
}

void ApiServer::DropConnections() {
  running_->Run([&] { running_->connections.Cancel(); });
}

std::vector<RequestRecord> ApiServer::requests() const {
  std::vector<RequestRecord> records;
  running_->Run([&] { records = running_->records; });
  return records;
}

size_t ApiServer::watches() const {
  size_t count = 0;
  running_->Run([&] { count = running_->watches; });
  return count;
}

}  // namespace weft::apiserver
