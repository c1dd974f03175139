// The CPU time of one message's head in the HTTP/1 codec.
#include <benchmark/benchmark.h>

#include "proxy/http/h1_decoder.h"
#include "proxy/http/h1_encoder.h"

namespace weft {
namespace {

// 206 bytes, as a browser-like client sends.
constexpr absl::string_view kRequest =
    "GET /api/v1/products/42?fields=name,price HTTP/1.1\r\n"
    "Host: products.shop.svc.cluster.local:8080\r\n"
    "User-Agent: curl/7.88.1\r\n"
    "Accept: application/json\r\n"
    "X-Request-Id: 0f8fad5b-d9cb-469f-a165-70867728950e\r\n\r\n";

constexpr absl::string_view kResponse =
    "HTTP/1.1 200 OK\r\nServer: echo\r\nDate: Mon, 23 Nov 2026 04:00:00 GMT\r\n"
    "Content-Type: application/json\r\nContent-Length: 4\r\n\r\nbody";

void DecodeRequest(benchmark::State& state) {
  H1Decoder decoder(H1Decoder::Role::kRequests);
  Buffer in;
  for (auto _ : state) {
    in.Append(kRequest);
    benchmark::DoNotOptimize(decoder.Next(in));
    benchmark::DoNotOptimize(decoder.Next(in));
    decoder.NextMessage();
  }
  state.SetBytesProcessed(state.iterations() * kRequest.size());
}
BENCHMARK(DecodeRequest);

void DecodeResponse(benchmark::State& state) {
  H1Decoder decoder(H1Decoder::Role::kResponses);
  Buffer in;
  for (auto _ : state) {
    in.Append(kResponse);
    decoder.ExpectResponse("GET");
    benchmark::DoNotOptimize(decoder.Next(in));
    benchmark::DoNotOptimize(decoder.Next(in));
    in.Consume(decoder.body_size());
    decoder.BodyTaken(decoder.body_size());
    benchmark::DoNotOptimize(decoder.Next(in));
    decoder.NextMessage();
  }
  state.SetBytesProcessed(state.iterations() * kResponse.size());
}
BENCHMARK(DecodeResponse);

void EncodeRequest(benchmark::State& state) {
  H1Decoder decoder(H1Decoder::Role::kRequests);
  Buffer in, out;
  in.Append(kRequest);
  decoder.Next(in);
  for (auto _ : state) {
    AppendRequestHead(decoder.request(), decoder.body(), out);
    out.Clear();
  }
  state.SetBytesProcessed(state.iterations() * kRequest.size());
}
BENCHMARK(EncodeRequest);

}  // namespace
}  // namespace weft

BENCHMARK_MAIN();
