// A client of gRPC's own xDS implementation, the full libgrpc++ of Debian, in a process of its own:
// that library brings OpenSSL, which must not meet BoringSSL.
//
//   GRPC_XDS_BOOTSTRAP=FILE grpc_client xds:///NAME.NS.svc.cluster.local:PORT
//
// reads lines "CALLS [HEADER VALUE]" and answers each with how often it was who that replied, in
// order of name: "v1:90 v2:10 UNAVAILABLE:1".
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <iostream>
#include <map>
#include <sstream>
#include <string>

namespace {

constexpr std::chrono::seconds kPatience(5);
constexpr char kMethod[] = "/weft.test.Greeter/Who";

std::string TextOf(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  if (!buffer.Dump(&slices).ok()) return "?";
  std::string text;
  for (const grpc::Slice& slice : slices) {
    text.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return text;
}

// Who answered, or how it failed.
std::string Call(grpc::GenericStub& stub, const std::string& header, const std::string& value) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kPatience);
  if (!header.empty()) context.AddMetadata(header, value);
  const grpc::Slice nothing("x");
  const grpc::ByteBuffer request(&nothing, 1);
  grpc::ByteBuffer reply;
  grpc::Status status;
  grpc::CompletionQueue queue;
  auto call = stub.PrepareUnaryCall(&context, kMethod, request, &queue);
  call->StartCall();
  call->Finish(&reply, &status, nullptr);
  void* tag;
  bool ok;
  queue.Next(&tag, &ok);
  if (status.ok()) return TextOf(reply);
  std::cerr << status.error_message() << std::endl;
  return "error" + std::to_string(status.error_code());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 64;
  grpc::GenericStub stub(grpc::CreateChannel(argv[1], grpc::InsecureChannelCredentials()));
  for (std::string line; std::getline(std::cin, line);) {
    int calls = 0;
    std::string header;
    std::string value;
    std::istringstream(line) >> calls >> header >> value;
    std::map<std::string, int> answers;
    for (; calls > 0; --calls) ++answers[Call(stub, header, value)];
    std::string text;
    for (const auto& [who, times] : answers) {
      text += (text.empty() ? "" : " ") + who + ":" + std::to_string(times);
    }
    std::cout << text << std::endl;
  }
}
