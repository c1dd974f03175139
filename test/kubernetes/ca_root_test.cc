// The ConfigMap with which injected pods believe weftd, in every namespace of a cluster.
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "certs/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/kubernetes/cluster.h"

namespace weft::test {
namespace {

using apiserver::Fault;
using Json = nlohmann::json;
using testing::HasSubstr;

constexpr char kName[] = "weft-ca-root";

class CaRootTest : public testing::Test {
 protected:
  CaRootTest() {
    PutNamespace("weft-system");
    PutNamespace("shop");
    weftd_ = cluster_.StartWeftd();
  }

  apiserver::ApiServer& server() { return cluster_.server(); }
  void PutNamespace(const std::string& name, const Json& labels = Json::object()) {
    EXPECT_TRUE(server()
                    .Put({{"apiVersion", "v1"},
                          {"kind", "Namespace"},
                          {"metadata", {{"name", name}, {"labels", labels}}}})
                    .ok());
  }
  std::string RootsIn(const std::string& name_space) {
    const auto object = server().Get("configmaps", name_space, kName);
    if (!object.ok() || !object->contains("data")) return "";
    return (*object)["data"].value("root-cert.pem", "");
  }
  // The CA's own.
  std::string Roots() const {
    return certs::ReadFile(weftd_->data_folder() + "/root-cert.pem").value();
  }
  void ExpectRootsIn(const std::string& name_space) {
    EXPECT_TRUE(Eventually([&] { return RootsIn(name_space) == Roots(); })) << RootsIn(name_space);
  }
  size_t Writes(const std::string& name_space) {
    const auto all = server().requests();
    return static_cast<size_t>(std::count_if(all.begin(), all.end(), [&](const auto& one) {
      return one.user == "weftd" && one.verb == "patch" && one.resource == "configmaps" &&
             absl::StrContains(one.target, absl::StrCat("/namespaces/", name_space, "/"));
    }));
  }

  Cluster cluster_;
  std::unique_ptr<Weftd> weftd_;
};

TEST_F(CaRootTest, ComesToEveryNamespaceOfPodsAndIsWrittenOnce) {
  PutNamespace("kube-system");
  PutNamespace("plain", {{"istio-injection", "disabled"}});
  ExpectRootsIn("shop");
  ExpectRootsIn("weft-system");
  PutNamespace("late");
  ExpectRootsIn("late");
  EXPECT_EQ(RootsIn("kube-system"), "");
  EXPECT_EQ(RootsIn("plain"), "");
  EXPECT_EQ(Writes("shop"), 1u);
}

TEST_F(CaRootTest, IsPutBackWhenItIsDeletedOrEdited) {
  ExpectRootsIn("shop");
  cluster_.Out({"delete", "configmap", kName, "-n", "shop"});
  ExpectRootsIn("shop");
  cluster_.Out({"patch", "configmap", kName, "-n", "shop", "--type=merge", "-p",
                R"({"data": {"root-cert.pem": "none", "more": "stays"}})"});
  ExpectRootsIn("shop");
  EXPECT_EQ((*server().Get("configmaps", "shop", kName))["data"]["more"], "stays");
  EXPECT_LE(Writes("shop"), 3u);
}

TEST_F(CaRootTest, ANewRootReplacesTheOldOne) {
  ExpectRootsIn("shop");
  const std::string old = Roots();
  weftd_ = cluster_.StartWeftd({}, /*wait_until_ready=*/true, "weftd-2");
  ASSERT_NE(Roots(), old);
  // The Lease of the one before has to stand still for 15 s first.
  EXPECT_TRUE(
      integration::Eventually([&] { return RootsIn("shop") == Roots(); }, absl::Seconds(60)));
}

TEST_F(CaRootTest, NoOtherConfigMapIsRead) {
  ExpectRootsIn("shop");
  for (const auto& request : server().requests()) {
    if (request.user != "weftd" || request.resource != "configmaps") continue;
    if (request.verb != "list" && request.verb != "watch") continue;
    EXPECT_THAT(request.target, HasSubstr("fieldSelector=metadata.name"));
  }
}

TEST_F(CaRootTest, ANamespaceThatCannotBeWrittenHoldsUpNoOther) {
  for (const char* name_space : {"default", "shop", "weft-system"}) ExpectRootsIn(name_space);
  Fault refused;
  refused.kind = Fault::Kind::kStatus;
  refused.verb = "patch";
  refused.resource = "configmaps";
  refused.code = 422;
  server().AddFault(refused);
  PutNamespace("a");
  EXPECT_TRUE(Eventually([&] { return Writes("a") == 1; }));
  PutNamespace("b");
  ExpectRootsIn("b");
  EXPECT_EQ(RootsIn("a"), "");
}

}  // namespace
}  // namespace weft::test
