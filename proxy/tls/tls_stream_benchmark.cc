// What TLS costs: a handshake, a byte, an idle connection, a cluster's context. Both ends run on one
// core, so a number is the sum of the two sides.
#include <benchmark/benchmark.h>
#include <malloc.h>

#include <cstdlib>
#include <utility>
#include <vector>

#include "certs/issuer.h"
#include "proxy/net/tcp.h"
#include "proxy/tls/tls_stream.h"

namespace weft {
namespace {

using TlsResult = absl::StatusOr<std::unique_ptr<TlsStream>>;
struct Ends {
  TlsResult server = absl::UnknownError("");
  TlsResult client = absl::UnknownError("");
};

TlsCertificate Leaf(const certs::Issuer& issuer) {
  const certs::PrivateKey key = certs::PrivateKey::Generate();
  TlsCertificate leaf;
  leaf.key_pem = key.ToPem();
  leaf.chain_pem = issuer
                       .Issue(key.public_key(), *certs::SpiffeId::Parse("spiffe://td/ns/a/sa/b"),
                              certs::kLeafValidity, absl::Now())
                       ->front();
  return leaf;
}

struct Contexts {
  Contexts() {
    const certs::Issuer issuer = *certs::Issuer::CreateRoot("td", absl::Now());
    auto bundles = std::make_shared<certs::TrustBundles>();
    if (!bundles->Set("td", issuer.ChainPem()).ok()) std::abort();
    ServerTlsOptions server_options;
    server_options.certificate = Leaf(issuer);
    server_options.client_trust.emplace();
    server_options.client_trust->bundles = bundles;
    server_options.require_client_certificate = true;
    ClientTlsOptions client_options;
    client_options.certificate = Leaf(issuer);
    client_options.server_trust.bundles = bundles;
    server = *ServerTlsContext::Create(server_options);
    client = *ClientTlsContext::Create(client_options);
  }
  std::shared_ptr<const ServerTlsContext> server;
  std::shared_ptr<const ClientTlsContext> client;
};

Task<> Store(Task<TlsResult> task, TlsResult* into, int* left) {
  *into = co_await std::move(task);
  --*left;
}

void Handshake(EventLoop& loop, const Contexts& contexts, Ends& ends) {
  const std::pair<int, int> fds = StreamSocketPair();
  int left = 2;
  Scope scope;
  scope.Spawn(Store(TlsStream::Accept(loop, std::make_unique<TcpStream>(loop, fds.first),
                                      contexts.server, Buffer(), kNever),
                    &ends.server, &left));
  scope.Spawn(Store(TlsStream::Connect(loop, std::make_unique<TcpStream>(loop, fds.second),
                                       contexts.client, kNever),
                    &ends.client, &left));
  while (left > 0) loop.RunOnce(absl::Milliseconds(10));
  if (!ends.server.ok() || !ends.client.ok()) std::abort();
}

void BM_MutualHandshake(benchmark::State& state) {
  EventLoop loop;
  const Contexts contexts;
  for (auto _ : state) {
    Ends ends;
    Handshake(loop, contexts, ends);
  }
}
BENCHMARK(BM_MutualHandshake);

void BM_OneWay(benchmark::State& state) {
  EventLoop loop;
  const Contexts contexts;
  Ends ends;
  Handshake(loop, contexts, ends);
  const std::string message(static_cast<size_t>(state.range(0)), 'x');
  Buffer buffer;
  for (auto _ : state) {
    absl::string_view left = message;
    size_t received = 0;
    while (received < message.size()) {
      if (!left.empty()) {
        const IoResult sent = (*ends.client)->Write(left);
        if (sent.ok()) left.remove_prefix(sent.bytes);
      }
      loop.RunOnce(absl::ZeroDuration());
      while ((*ends.server)->Read(buffer, Buffer::kBlockSize).ok()) {
        received += buffer.size();
        buffer.Clear();
      }
    }
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_OneWay)->Arg(1 << 10)->Arg(64 << 10)->Arg(1 << 20);

// Heap of one idle connection (half of a pair), after a request has passed.
void BM_IdleHeap(benchmark::State& state) {
  constexpr size_t kPairs = 200;
  EventLoop loop;
  const Contexts contexts;
  for (auto _ : state) {
    std::vector<Ends> ends(kPairs);
    const size_t before = mallinfo2().uordblks;
    for (Ends& pair : ends) {
      Handshake(loop, contexts, pair);
      Buffer buffer;
      if (!(*pair.client)->Write("ping").ok()) std::abort();
      loop.RunOnce(absl::ZeroDuration());
      (*pair.server)->Read(buffer, Buffer::kBlockSize);
    }
    const size_t used = mallinfo2().uordblks - before;
    state.counters["bytes_per_connection"] = static_cast<double>(used) / (2 * kPairs);
  }
}
BENCHMARK(BM_IdleHeap)->Iterations(1);

// The context of one cluster more, of many that show the same certificate.
void BM_ClusterContext(benchmark::State& state) {
  const certs::Issuer issuer = *certs::Issuer::CreateRoot("td", absl::Now());
  auto bundles = std::make_shared<certs::TrustBundles>();
  if (!bundles->Set("td", issuer.ChainPem()).ok()) std::abort();
  ClientTlsOptions options;
  options.certificate = Leaf(issuer);
  options.server_trust.bundles = bundles;
  std::vector<std::shared_ptr<const ClientTlsContext>> clusters;
  const size_t before = mallinfo2().uordblks;
  for (auto _ : state) clusters.push_back(*ClientTlsContext::Create(options));
  const size_t used = mallinfo2().uordblks - before;
  state.counters["bytes_per_cluster"] = static_cast<double>(used) / clusters.size();
}
BENCHMARK(BM_ClusterContext)->Iterations(1000);

}  // namespace
}  // namespace weft

BENCHMARK_MAIN();
