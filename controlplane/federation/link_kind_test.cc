#include "controlplane/federation/link_kind.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "api/weft/kinds.pb.h"
#include "api/yaml/yaml_to_message.h"
#include "certs/issuer.h"
#include "controlplane/model/decode.h"
#include "controlplane/model/validate.h"

namespace weft {
namespace {

std::string NewRoot() { return certs::Issuer::CreateRoot("west.weft", absl::Now())->ChainPem(); }

Peer West() {
  Peer peer;
  peer.cluster = "west";
  peer.network = "west-net";
  peer.trust_domain = "west.weft";
  peer.roots_pem = NewRoot();
  peer.gateways = {{"192.0.2.1", 15443, 15008}, {"2001:db8::1", 15443, 0}};
  peer.cost = 3;
  peer.accept_config = {"shop"};
  return peer;
}

// The errors of a Link of this name; "" if it can be used.
std::string ErrorsOf(const std::string& spec, const std::string& name = "west") {
  const ParsedObjects parsed =
      ParseObjects(absl::StrCat("{\"apiVersion\": \"weft.io/v1alpha1\", \"kind\": \"Link\", ",
                                "\"metadata\": {\"name\": \"", name, "\"}, \"spec\": ", spec, "}"),
                   "link.yaml");
  if (parsed.objects.size() != 1) return "no object";
  const auto object = Decode(*parsed.objects[0]);
  if (!object.ok()) return std::string(object.status().message());
  std::string errors;
  for (const Problem& problem : Validate(*object)) {
    absl::StrAppend(&errors, problem.field, ": ", problem.message, "\n");
  }
  return errors;
}

TEST(LinkKind, APeerReadsBackFromItsSpec) {
  Peer peer = West();
  for (const bool outbound_only : {false, true}) {
    peer.outbound_only = outbound_only;
    const std::string spec = LinkSpecOf(peer);
    EXPECT_EQ(ErrorsOf(spec), "");
    v1alpha1::LinkSpec read;
    const auto document = YamlDocument::ParseJson(spec);
    ASSERT_TRUE(YamlToMessage((*document)->root(), UnknownFields::kReject, &read).ok());
    EXPECT_EQ(PeerOf("west", read), peer);
  }
}

TEST(LinkKind, OneThatNamesATokenWaitsForItsJoin) {
  EXPECT_EQ(ErrorsOf(R"({"tokenSecretRef": {"name": "to-west"}, "cost": 2})"), "");
  v1alpha1::LinkSpec spec;
  spec.mutable_token_secret_ref()->set_name("to-west");
  EXPECT_EQ(PeerOf("west", spec), std::nullopt);
}

TEST(LinkKind, WhatItHasToldSinceReadsBackAsLongAsItsLinkIsTheSame) {
  const Peer linked = West();
  EXPECT_EQ(ToldBy(linked, linked), "");
  Peer now = linked;
  now.roots_pem = NewRoot();
  now.gateways.pop_back();
  const auto document = YamlDocument::ParseJson(ToldBy(linked, now));
  ASSERT_TRUE(document.ok()) << document.status();
  const auto told = ReadTold((*document)->root(), linked);
  ASSERT_TRUE(told.has_value());
  EXPECT_EQ(told->roots_pem, now.roots_pem);
  EXPECT_EQ(told->gateways, now.gateways);
  // Somebody has given it other roots since: it is another cluster of that name.
  Peer another = linked;
  another.roots_pem = NewRoot();
  EXPECT_FALSE(ReadTold((*document)->root(), another).has_value());
  now.roots_pem = "no certificate";
  const auto broken = YamlDocument::ParseJson(ToldBy(linked, now));
  EXPECT_FALSE(ReadTold((*broken)->root(), linked).has_value());
  EXPECT_FALSE(ReadTold(YamlNode(), linked).has_value());
}

TEST(LinkKind, WhatCannotBeUsedIsRefusedByItsField) {
  const std::string good = LinkSpecOf(West());
  const struct {
    std::string from, to, why;
  } cases[] = {
      {"\"trustDomain\":\"west.weft\"", "\"trustDomain\":\"West/x\"", "spec.trustDomain: "},
      {"\"network\":\"west-net\"", "\"network\":\"\"", "spec.network: is missing"},
      {"192.0.2.1", "gateway.example", "spec.gateways[0].address: 'gateway.example'"},
      {"\"port\":15443", "\"port\":0", "spec.gateways[0].port: 0 is out of range"},
      {"\"tunnelPort\":15008", "\"tunnelPort\":65536", "spec.gateways[0].tunnelPort: 65536"},
      {"\"cost\":3", "\"cost\":-1", "spec.cost"},
      {"\"cost\":3", "\"costs\":3", "did you mean 'cost'?"},
      {"BEGIN CERTIFICATE", "BEGIN NOTHING", "spec.roots: "},
      {"\"shop\"", "\"Shop/x\"", "spec.acceptConfig[0]: 'Shop/x' is not a name"},
  };
  for (const auto& c : cases) {
    const std::string bad = absl::StrReplaceAll(good, {{c.from, c.to}});
    ASSERT_NE(bad, good) << c.from;
    EXPECT_TRUE(absl::StrContains(ErrorsOf(bad), c.why)) << ErrorsOf(bad) << " for " << c.to;
  }
  EXPECT_TRUE(absl::StrContains(ErrorsOf("{}"), "spec.roots: is missing; or have"));
  EXPECT_TRUE(
      absl::StrContains(ErrorsOf(R"({"tokenSecretRef": {}})"), "spec.tokenSecretRef.name: "));
  EXPECT_TRUE(absl::StrContains(ErrorsOf(good, "a.b"), "metadata.name: 'a.b' is not a name"));
}

}  // namespace
}  // namespace weft
