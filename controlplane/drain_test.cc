#include "controlplane/drain.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/weft/admin.pb.h"
#include "controlplane/transport/grpc_server_for_test.h"

namespace weft {
namespace {

std::string NewFolder(const char* name) {
  const std::string folder = absl::StrCat(getenv("TEST_TMPDIR"), "/", name);
  std::filesystem::create_directories(folder);
  return folder;
}

grpc::Status Call(const std::string& address, const std::string& request) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  grpc::GenericStub stub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
  grpc::CompletionQueue queue;
  const grpc::Slice slice(request);
  grpc::ByteBuffer reply;
  grpc::Status status;
  auto call = stub.PrepareUnaryCall(&context, "/weft.admin.v1.Cluster/Drain",
                                    grpc::ByteBuffer(&slice, 1), &queue);
  call->StartCall();
  call->Finish(&reply, &status, nullptr);
  void* tag;
  bool ok;
  queue.Next(&tag, &ok);
  return status;
}

std::string Request(bool draining) {
  admin::v1::DrainRequest request;
  request.set_draining(draining);
  return request.SerializeAsString();
}

TEST(Drain, WhatWasAnsweredHoldsAfterARestart) {
  const std::string folder = NewFolder("restart");
  std::atomic<int> in_force{-1};
  GrpcServices services;
  AddDrainService(folder, [&](bool draining) { in_force = draining; }, services);
  GrpcServerForTest server(std::move(services));
  EXPECT_FALSE(*LoadDraining(folder));
  for (bool draining : {true, true, false, true}) {
    const grpc::Status status = Call(server.address(), Request(draining));
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(in_force, draining);
    EXPECT_EQ(*LoadDraining(folder), draining);
  }
}

TEST(Drain, WhatCannotBeKeptIsNotDone) {
  std::atomic<int> calls{0};
  GrpcServices services;
  AddDrainService("/no/such/folder", [&](bool) { ++calls; }, services);
  GrpcServerForTest server(std::move(services));
  EXPECT_FALSE(Call(server.address(), Request(true)).ok());
  EXPECT_FALSE(Call(server.address(), "\xff").ok());
  EXPECT_EQ(calls, 0);
}

TEST(Drain, Row110_ATornFileIsNamed) {
  const std::string folder = NewFolder("torn");
  for (const char* text : {"", "tru", "true\nfalse\n"}) {
    std::ofstream(folder + "/draining") << text;
    const auto read = LoadDraining(folder);
    ASSERT_FALSE(read.ok()) << text;
    EXPECT_TRUE(absl::StrContains(read.status().message(), folder + "/draining"));
  }
}

}  // namespace
}  // namespace weft
