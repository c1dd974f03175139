#include "proxy/upstream/check_endpoint.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/grpc/health.pb.h"
#include "proxy/grpc/grpc_client.h"
#include "proxy/http/h1_decoder.h"
#include "proxy/http/h1_encoder.h"
#include "proxy/net/tcp.h"
#include "proxy/net/write_all.h"
#include "proxy/tls/tls_stream.h"

namespace weft {
namespace {

using Stream = std::unique_ptr<ByteStream>;

constexpr char kGrpcCheck[] = "/grpc.health.v1.Health/Check";
// What is read in search of the payloads to receive: more than any greeting.
constexpr size_t kMostReceived = 64 * 1024;

CheckOutcome Failed(std::string reason) { return {CheckResult::kFailed, std::move(reason)}; }
CheckOutcome Refused(std::string reason) { return {CheckResult::kRefused, std::move(reason)}; }

Address TargetOf(const HealthCheckConfig& check, const EndpointConfig& endpoint) {
  const CheckTarget* target = endpoint.check_target.get();
  const Address& address =
      target != nullptr && target->address.has_value() ? *target->address : endpoint.address;
  if (target != nullptr && target->port != 0) return address.WithPort(target->port);
  return check.alt_port != 0 ? address.WithPort(check.alt_port) : address;
}

const std::string& HostOf(const ClusterConfig& cluster, const EndpointConfig& endpoint) {
  const CheckTarget* target = endpoint.check_target.get();
  if (target != nullptr && !target->host_name.empty()) return target->host_name;
  return cluster.health_check->host.empty() ? cluster.name : cluster.health_check->host;
}

bool Within(const std::vector<StatusRange>& ranges, int status) {
  return std::any_of(ranges.begin(), ranges.end(), [&](const StatusRange& range) {
    return range.first <= status && status <= range.last;
  });
}

CheckOutcome Judge(const HealthCheckConfig& check, const ResponseHead& head) {
  if (!Within(check.expected_statuses, head.status)) {
    const std::string reason = absl::StrCat("status ", head.status);
    return Within(check.retriable_statuses, head.status) ? Failed(reason) : Refused(reason);
  }
  if (head.headers.Has("x-envoy-immediate-health-check-fail")) {
    return Refused("x-envoy-immediate-health-check-fail");
  }
  if (head.headers.Has("x-envoy-degraded")) return {CheckResult::kDegraded, ""};
  return {CheckResult::kPassed, ""};
}

Task<absl::StatusOr<Stream>> Reach(EventLoop& loop, const ClusterConfig& cluster,
                                   const EndpointConfig& endpoint,
                                   std::optional<uint32_t> default_mark, MonotonicTime deadline) {
  ConnectOptions options;
  const Address target = TargetOf(*cluster.health_check, endpoint);
  options.source = SourceFor(cluster, target);
  options.keepalive = cluster.keepalive;
  options.mark = cluster.mark.has_value() ? cluster.mark : default_mark;
  options.deadline = deadline;
  auto connected = co_await Connect(loop, target, options);
  if (!connected.ok()) co_return connected.status();
  Stream stream = std::move(*connected);
  if (endpoint.tls == nullptr) co_return stream;
  auto secured = co_await TlsStream::Connect(loop, std::move(stream), endpoint.tls, deadline,
                                             endpoint.host_name);
  if (!secured.ok()) co_return secured.status();
  stream = std::move(*secured);
  co_return stream;
}

// Reads more into `in`, waiting for it. What went wrong, or nothing.
Task<std::string> ReadMore(EventLoop& loop, ByteStream& stream, Buffer& in,
                           MonotonicTime deadline) {
  while (true) {
    const IoResult got = stream.Read(in, Buffer::kBlockSize);
    if (got.ok()) co_return "";
    if (got.status == IoStatus::kEof) co_return "the endpoint closed";
    if (got.status == IoStatus::kError) co_return stream.error();
    const bool notified = co_await Wait(loop, {&stream.readable()}, deadline);
    if (!notified) co_return "timeout";
  }
}

Task<CheckOutcome> CheckHttp(EventLoop& loop, const ClusterConfig& cluster,
                             const EndpointConfig& endpoint, ByteStream& stream,
                             MonotonicTime deadline) {
  const HealthCheckConfig& check = *cluster.health_check;
  RequestHead head;
  head.method = check.method;
  head.authority = HostOf(cluster, endpoint);
  head.path = check.path;
  head.headers.Add(KnownHeader::kUserAgent, "weft-health-check");
  for (const auto& [name, value] : check.headers) head.headers.Add(name, value);
  Buffer out;
  AppendRequestHead(head, BodyLength(), out);
  const bool sent = co_await WriteAll(loop, stream, out, deadline);
  if (!sent) co_return Failed("the request could not be sent");
  H1Decoder decoder(H1Decoder::Role::kResponses);
  decoder.ExpectResponse(check.method);
  Buffer in;
  while (true) {
    switch (decoder.Next(in)) {
      case H1Decoder::Event::kHead:
        if (decoder.response().status >= 200) co_return Judge(check, decoder.response());
        continue;
      case H1Decoder::Event::kNeedMore:
        break;
      default:
        co_return Failed("no valid response");
    }
    std::string problem = co_await ReadMore(loop, stream, in, deadline);
    if (!problem.empty()) co_return Failed(std::move(problem));
  }
}

// How many of the payloads are in `bytes`, in order.
size_t Found(const std::vector<std::string>& payloads, absl::string_view bytes) {
  size_t found = 0;
  for (const std::string& payload : payloads) {
    const size_t at = bytes.find(payload);
    if (at == absl::string_view::npos) break;
    bytes.remove_prefix(at + payload.size());
    ++found;
  }
  return found;
}

Task<CheckOutcome> CheckTcp(EventLoop& loop, const HealthCheckConfig& check, ByteStream& stream,
                            MonotonicTime deadline) {
  Buffer out;
  out.Append(check.send);
  const bool sent = co_await WriteAll(loop, stream, out, deadline);
  if (!sent) co_return Failed("the payload could not be sent");
  Buffer in;
  while (Found(check.receive, in.view()) < check.receive.size()) {
    if (in.size() > kMostReceived) co_return Failed("the payload is not in what came");
    std::string problem = co_await ReadMore(loop, stream, in, deadline);
    if (!problem.empty()) co_return Failed(std::move(problem));
  }
  co_return CheckOutcome{CheckResult::kPassed, ""};
}

Task<CheckOutcome> CheckGrpc(EventLoop& loop, const ClusterConfig& cluster,
                             const EndpointConfig& endpoint, Stream stream,
                             MonotonicTime deadline) {
  const HealthCheckConfig& check = *cluster.health_check;
  GrpcConnection::Options options;
  options.authority = HostOf(cluster, endpoint);
  if (endpoint.tls != nullptr) options.scheme = "https";
  GrpcConnection connection(loop, std::move(stream), std::move(options));
  grpc::health::v1::HealthCheckRequest request;
  request.set_service(check.service);
  GrpcMetadata metadata(check.headers.begin(), check.headers.end());
  absl::StatusOr<std::string> answer = co_await UnaryCall(
      connection, kGrpcCheck, std::move(metadata), request.SerializeAsString(), deadline);
  if (!answer.ok()) {
    const std::string reason(answer.status().message());
    // Unavailable and late are the network's; anything else the endpoint said.
    const bool network =
        absl::IsUnavailable(answer.status()) || absl::IsDeadlineExceeded(answer.status());
    co_return network ? Failed(reason) : Refused(reason);
  }
  grpc::health::v1::HealthCheckResponse response;
  if (!response.ParseFromString(*answer)) co_return Refused("no valid HealthCheckResponse");
  if (response.status() != grpc::health::v1::HealthCheckResponse::SERVING) {
    co_return Refused(absl::StrCat("serving status ", static_cast<int>(response.status())));
  }
  co_return CheckOutcome{CheckResult::kPassed, ""};
}

}  // namespace

Task<CheckOutcome> CheckEndpoint(EventLoop& loop, const ClusterConfig& cluster,
                                 const EndpointConfig& endpoint,
                                 std::optional<uint32_t> default_mark) {
  const HealthCheckConfig& check = *cluster.health_check;
  const MonotonicTime deadline = loop.Now() + check.timeout;
  absl::StatusOr<Stream> stream = co_await Reach(loop, cluster, endpoint, default_mark, deadline);
  if (!stream.ok()) co_return Failed(std::string(stream.status().message()));
  if (check.kind == HealthCheckConfig::Kind::kHttp) {
    co_return co_await CheckHttp(loop, cluster, endpoint, **stream, deadline);
  }
  if (check.kind == HealthCheckConfig::Kind::kTcp) {
    co_return co_await CheckTcp(loop, check, **stream, deadline);
  }
  co_return co_await CheckGrpc(loop, cluster, endpoint, std::move(*stream), deadline);
}

}  // namespace weft
