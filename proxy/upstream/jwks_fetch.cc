#include "proxy/upstream/jwks_fetch.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proxy/base/log.h"
#include "proxy/http/h1_decoder.h"
#include "proxy/http/h1_encoder.h"
#include "proxy/net/write_all.h"
#include "proxy/upstream/connection.h"

namespace weft {
namespace {

constexpr absl::Duration kClusterPoll = absl::Milliseconds(10);
// Between attempts that fail one after the other; an issuer that is back is found this late.
constexpr absl::Duration kLongestPause = absl::Seconds(30);
constexpr size_t kMaxHeadBytes = 64 * 1024;

RequestHead RequestFor(const JwksSource& source) {
  RequestHead head;
  head.method = "GET";
  head.authority = source.authority;
  head.path = source.path;
  head.headers.Add("accept", "application/json");
  head.headers.Add(KnownHeader::kConnection, "close");
  head.headers.Add(KnownHeader::kUserAgent, "weft-proxy");
  return head;
}

absl::Status Broken(absl::string_view why) { return absl::UnavailableError(why); }

// Takes what `in` holds of the response. True once `body` is complete.
absl::StatusOr<bool> TakeResponse(H1Decoder& decoder, Buffer& in, std::string& body) {
  while (true) {
    switch (decoder.Next(in)) {
      case H1Decoder::Event::kNeedMore:
        if (in.size() > kMaxHeadBytes) return Broken("the response's head is too long");
        return false;
      case H1Decoder::Event::kHead: {
        const int status = decoder.response().status;
        if (status >= 200 && status != 200) return Broken(absl::StrCat("status ", status));
        break;
      }
      case H1Decoder::Event::kBody: {
        const size_t bytes = decoder.body_size();
        if (body.size() + bytes > certs::Jwks::kMaxBytes) return Broken("larger than 1 MiB");
        body.append(in.data(), bytes);
        in.Consume(bytes);
        decoder.BodyTaken(bytes);
        break;
      }
      case H1Decoder::Event::kEnd:
        return true;
      case H1Decoder::Event::kClosed:
        return Broken("closed without a response");
      case H1Decoder::Event::kError:
        return Broken("malformed response");
    }
  }
}

Task<absl::StatusOr<std::string>> ReadBody(EventLoop& loop, ByteStream& stream,
                                           MonotonicTime deadline) {
  H1Decoder decoder(H1Decoder::Role::kResponses);
  decoder.ExpectResponse("GET");
  Buffer in;
  std::string body;
  while (true) {
    const IoResult got = stream.Read(in, Buffer::kBlockSize);
    if (got.status == IoStatus::kError) co_return Broken(stream.error());
    if (got.status == IoStatus::kEof) decoder.OnEof();
    if (got.status != IoStatus::kBlocked) {
      const absl::StatusOr<bool> complete = TakeResponse(decoder, in, body);
      if (!complete.ok()) co_return complete.status();
      if (*complete) co_return body;
      if (got.status == IoStatus::kEof) co_return Broken("cut short");
      if (loop.Now() >= deadline) co_return absl::DeadlineExceededError("timed out");
      continue;
    }
    const bool notified = co_await Wait(loop, {&stream.readable()}, deadline);
    if (!notified) co_return absl::DeadlineExceededError("timed out");
  }
}

void LogFailed(const JwksSource& source, const absl::Status& status, bool had_keys) {
  Log(LogLevel::kWarning, "jwks_failed",
      {{"cluster", source.cluster},
       {"host", source.authority},
       {"error", std::string(status.message())},
       {"effect", had_keys ? "the last keys stay" : "tokens of this issuer are refused"}});
}

void LogFetched(const JwksSource& source, size_t keys) {
  Log(LogLevel::kInfo, "jwks_fetched",
      {{"cluster", source.cluster}, {"host", source.authority}, {"keys", absl::StrCat(keys)}});
}

}  // namespace

JwksFetch::JwksFetch(EventLoop& loop, Options options)
    : loop_(loop),
      options_(std::move(options)),
      random_(static_cast<uint32_t>(options_.seed | 1)) {}

void JwksFetch::Follow(const std::vector<JwksSource>& sources) {
  const std::set<JwksSource> wanted(sources.begin(), sources.end());
  for (auto it = tasks_.begin(); it != tasks_.end();) {
    it = wanted.count(it->first) == 0 ? tasks_.erase(it) : std::next(it);
  }
  for (const JwksSource& source : wanted) {
    std::unique_ptr<Scope>& task = tasks_[source];
    if (task != nullptr) continue;
    task = std::make_unique<Scope>();
    task->Spawn(KeepFetched(source));
  }
}

Task<> JwksFetch::KeepFetched(JwksSource source) {
  // Not at once: what Follow() is called from may not be ready to be told.
  co_await Sleep(loop_, absl::ZeroDuration());
  bool had_keys = false;
  bool told = false;
  absl::Duration pause = source.failed_refetch;
  while (true) {
    auto keys = co_await Attempt(source);
    if (keys.ok()) {
      ++stats_.fetched;
      if (!had_keys || pause != source.failed_refetch) LogFetched(source, (*keys)->size());
      had_keys = true;
      pause = source.failed_refetch;
      options_.on_keys(source, *std::move(keys));
    } else {
      ++stats_.failed;
      // Once for each time it goes away, not at each attempt.
      if (pause == source.failed_refetch) LogFailed(source, keys.status(), had_keys);
      if (!told) options_.on_keys(source, nullptr);
    }
    told = true;
    if (keys.ok()) {
      co_await Sleep(loop_, source.cache_duration);
      continue;
    }
    co_await Sleep(loop_, Jittered(pause));
    pause = std::min(2 * pause, std::max(kLongestPause, source.failed_refetch));
  }
}

Task<absl::StatusOr<std::shared_ptr<const certs::Jwks>>> JwksFetch::Attempt(
    const JwksSource& source) {
  absl::Duration pause = source.retry_base;
  for (uint32_t retry = 0;; ++retry) {
    absl::StatusOr<std::string> text = co_await FetchOnce(source, retry);
    absl::Status status = text.status();
    if (status.ok()) {
      auto keys = certs::Jwks::Parse(*text);
      if (keys.ok()) co_return keys;
      status = keys.status();
    }
    if (retry >= source.retries) co_return status;
    co_await Sleep(loop_, Jittered(pause));
    pause = std::min(2 * pause, source.retry_max);
  }
}

// A cluster that is new itself may still wait for its addresses.
Task<std::shared_ptr<const ClusterConfig>> JwksFetch::AwaitCluster(const JwksSource& source) {
  const MonotonicTime give_up = loop_.Now() + source.timeout;
  while (true) {
    std::shared_ptr<const ClusterConfig> cluster = options_.find_cluster(source.cluster);
    if (cluster != nullptr || loop_.Now() >= give_up) co_return cluster;
    co_await Sleep(loop_, kClusterPoll);
  }
}

Task<absl::StatusOr<std::string>> JwksFetch::FetchOnce(const JwksSource& source, size_t turn) {
  const std::shared_ptr<const ClusterConfig> cluster = co_await AwaitCluster(source);
  if (cluster == nullptr || cluster->endpoints == nullptr ||
      cluster->endpoints->endpoints.empty()) {
    co_return Broken(absl::StrCat("cluster '", source.cluster, "' has no endpoint"));
  }
  const std::vector<EndpointConfig>& endpoints = cluster->endpoints->endpoints;
  const EndpointConfig& endpoint = endpoints[(stats_.failed + turn) % endpoints.size()];
  const MonotonicTime deadline = loop_.Now() + source.timeout;
  auto connected = co_await ConnectUpstream(loop_, *cluster, endpoint, options_.mark, deadline);
  if (!connected.ok()) co_return connected.status();
  ByteStream& stream = *(*connected)->stream;
  Buffer out;
  AppendRequestHead(RequestFor(source), BodyLength(), out);
  const bool sent = co_await WriteAll(loop_, stream, out, deadline);
  if (!sent) co_return Broken("the request could not be sent");
  co_return co_await ReadBody(loop_, stream, deadline);
}

// Proxies that lost an issuer together must not come back to it together.
absl::Duration JwksFetch::Jittered(absl::Duration duration) {
  return duration * std::uniform_real_distribution<double>(0.75, 1.25)(random_);
}

}  // namespace weft
