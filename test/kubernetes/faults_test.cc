// weftd through every fault of an API server that the rows of bad input name: whatever went wrong,
// in the end it serves what a weftd serves that is started then.
//
// What is compared is all that is served: for each workload the names and versions (hashes) of
// every resource, and the services with their endpoints. SDS is left out, as it holds the roots,
// which each of the two makes for itself.
#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "test/kubernetes/cluster.h"

namespace weft::test {
namespace {

using apiserver::Fault;
using apiserver::RequestRecord;
using Json = nlohmann::json;
using Kind = Fault::Kind;

constexpr const char* kNames[] = {"a", "b", "c", "d", "e", "f"};
constexpr const char* kWatched[] = {"services", "endpointslices.discovery.k8s.io", "pods",
                                    "virtualservices.networking.istio.io",
                                    "authorizationpolicies.security.istio.io"};

std::string AddressOf(const std::string& name, int pod) {
  return absl::StrCat("10.0.", name[0] - 'a', ".", pod);
}

// NAME, VALUE and ADDRESS stand for what is given.
Json Made(const char* text, const std::string& name, const std::string& value,
          const std::string& address = "") {
  return Json::parse(
      absl::StrReplaceAll(text, {{"NAME", name}, {"VALUE", value}, {"ADDRESS", address}}));
}

Json ServiceOf(const std::string& name, int port) {
  return Made(R"({"apiVersion": "v1", "kind": "Service",
      "metadata": {"name": "NAME", "namespace": "default"},
      "spec": {"selector": {"app": "NAME"}, "ports": [{"name": "http", "port": VALUE}]}})",
              name, absl::StrCat(port));
}

Json SliceOf(const std::string& name, int pods) {
  Json slice = Made(R"({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
      "metadata": {"name": "NAME-x", "namespace": "default",
                   "labels": {"kubernetes.io/service-name": "NAME"}},
      "addressType": "IPv4", "ports": [{"name": "http", "port": 8080}], "endpoints": []})",
                    name, "");
  for (int i = 1; i <= pods; ++i) {
    slice["endpoints"].push_back(Made(R"({"addresses": ["ADDRESS"], "conditions": {"ready": true},
        "targetRef": {"kind": "Pod", "name": "NAME-VALUE"}})",
                                      name, absl::StrCat(i), AddressOf(name, i)));
  }
  return slice;
}

Json PodOf(const std::string& name, int pod, const std::string& version) {
  return Made(R"({"apiVersion": "v1", "kind": "Pod",
      "metadata": {"name": "NAME", "namespace": "default",
                   "labels": {"app": "NAME", "version": "VALUE"}},
      "spec": {"serviceAccountName": "sa", "containers": [{"name": "weft-proxy", "image": "i"}]},
      "status": {"phase": "Running", "podIP": "ADDRESS"}})",
              name, version, AddressOf(name, pod))
      .patch(Json::parse(
          absl::StrReplaceAll(R"([{"op": "replace", "path": "/metadata/name", "value": "NAME"}])",
                              {{"NAME", absl::StrCat(name, "-", pod)}})));
}

Json RouteOf(const std::string& name, const std::string& timeout) {
  return Made(R"({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
      "metadata": {"name": "NAME", "namespace": "default"},
      "spec": {"hosts": ["NAME"],
               "http": [{"timeout": "VALUE", "route": [{"destination": {"host": "NAME"}}]}]}})",
              name, timeout);
}

Json PolicyOf(const std::string& name, const std::string& path) {
  return Made(R"({"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
      "metadata": {"name": "NAME", "namespace": "default"},
      "spec": {"selector": {"matchLabels": {"app": "NAME"}}, "action": "DENY",
               "rules": [{"to": [{"operation": {"paths": ["VALUE"]}}]}]}})",
              name, path);
}

class FaultsTest : public testing::Test {
 protected:
  FaultsTest() : cluster_(Options()) {
    for (const char* name : kNames) {
      Put(ServiceOf(name, 80));
      Put(SliceOf(name, 2));
      for (int pod = 1; pod <= 2; ++pod) Put(PodOf(name, pod, "v1"));
      Put(RouteOf(name, "1s"));
      Put(PolicyOf(name, "/admin"));
    }
  }

  static apiserver::ApiServerOptions Options() {
    apiserver::ApiServerOptions options;
    options.bookmark_interval = absl::Milliseconds(200);
    return options;
  }

  apiserver::ApiServer& server() { return cluster_.server(); }

  void Start(std::vector<std::string> flags = {}) {
    weftd_ = cluster_.StartWeftd(std::move(flags));
    begin_ = StateOf(*weftd_);
    ASSERT_TRUE(absl::StrContains(begin_, "outbound|80||a.default.svc.cluster.local"));
  }

  void Put(Json object) {
    const auto put = server().Put(std::move(object));
    ASSERT_TRUE(put.ok()) << put.failure().message;
  }
  void Remove(const std::string& resource, const std::string& name) {
    ASSERT_TRUE(server().Delete(resource, "default", name).ok()) << resource << " " << name;
  }

  // Something of everything: changed, added, removed.
  void Change() {
    Put(SliceOf("a", 3));
    Put(PodOf("a", 3, "v2"));
    Put(PodOf("a", 1, "v2"));
    Put(RouteOf("a", "2s"));
    Put(PolicyOf("a", "/secret"));
    Put(ServiceOf("b", 81));
    Put(ServiceOf("g", 80));
    Put(SliceOf("g", 1));
    Put(PodOf("g", 1, "v1"));
    Put(RouteOf("g", "3s"));
    Remove("virtualservices.networking.istio.io", "c");
    Remove("authorizationpolicies.security.istio.io", "c");
    Remove("virtualservices.networking.istio.io", "d");
    Remove("services", "d");
    Remove("endpointslices.discovery.k8s.io", "d-x");
    Remove("pods", "e-2");
    Put(SliceOf("e", 1));
  }

  uint64_t Add(Kind kind, const std::string& resource, int times = 1,
               const std::string& verb = "watch", const std::function<void(Fault&)>& more = {}) {
    Fault fault;
    fault.kind = kind;
    fault.verb = verb;
    fault.resource = resource;
    fault.times = times;
    if (more) more(fault);
    return server().AddFault(fault);
  }

  static std::string StateOf(const Weftd& weftd) {
    Json state = {{"registry", Json::parse(weftd.Debug("registryz"), nullptr, false)}};
    for (const std::string name : {"a", "b", "c", "e", "f", "g"}) {
      for (int pod = 1; pod <= 3; ++pod) {
        const std::string address = AddressOf(name, pod);
        Json config = Json::parse(weftd.Debug("configz?address=" + address), nullptr, false);
        if (config.is_object()) config.erase("sds");
        state[address] = config.is_discarded() ? Json("none") : config;
      }
    }
    return state.dump(1);
  }

  // The lines in which they differ, for whoever reads a failure.
  static std::string Difference(const std::string& a, const std::string& b) {
    const std::vector<std::string> left = absl::StrSplit(a, '\n');
    const std::vector<std::string> right = absl::StrSplit(b, '\n');
    const auto at = std::mismatch(left.begin(), left.end(), right.begin(), right.end());
    const auto line = [](auto from, auto end) { return from == end ? "(end)" : *from; };
    return absl::StrCat("line ", at.first - left.begin(), ": ", line(at.first, left.end()),
                        " | fresh: ", line(at.second, right.end()));
  }

  void ExpectAsAFreshStart() {
    server().ClearFaults();
    const auto fresh = cluster_.StartWeftd();
    const std::string wanted = StateOf(*fresh);
    EXPECT_NE(wanted, begin_);  // else nothing was to be learnt
    std::string state;
    EXPECT_TRUE(Eventually([&] {
      state = StateOf(*weftd_);
      return state == wanted;
    })) << Difference(state, wanted);
  }

  size_t Count(const std::function<bool(const RequestRecord&)>& is) const {
    const std::vector<RequestRecord> all =
        const_cast<FaultsTest*>(this)->cluster_.server().requests();
    return static_cast<size_t>(std::count_if(all.begin(), all.end(), is));
  }
  size_t Lists(const std::string& resource) const {
    return Count([&](const RequestRecord& one) {
      return one.verb == "list" && one.resource == resource && one.user == "weftd";
    });
  }
  size_t Refusals(int code) const {
    return Count([&](const RequestRecord& one) { return one.code == code; });
  }
  std::string LastWatch(const std::string& resource) {
    std::string target;
    for (const RequestRecord& one : server().requests()) {
      if (one.verb == "watch" && one.resource == resource) target = one.target;
    }
    return target;
  }

  // Without watches for the time of `meanwhile`, of which no history is left afterwards.
  void WhileItIsAway(const std::function<void()>& meanwhile) {
    const uint64_t away =
        Add(Kind::kStatus, "", -1, "watch", [](Fault& fault) { fault.code = 503; });
    server().DropConnections();
    ASSERT_TRUE(Eventually([&] { return Refusals(503) > 0 && server().watches() == 0; }));
    meanwhile();
    server().Compact();
    server().RemoveFault(away);
  }

  Cluster cluster_;
  std::unique_ptr<Weftd> weftd_;
  std::string begin_;
};

TEST_F(FaultsTest, Row91GoneAsAStatus) {
  Start();
  const size_t lists = Lists("services");
  WhileItIsAway([&] {
    Change();
    for (const char* resource : kWatched) Add(Kind::kGoneStatus, resource, -1);
  });
  ASSERT_TRUE(Eventually([&] { return Refusals(410) > 0 && Lists("services") > lists; }));
  ExpectAsAFreshStart();
}

TEST_F(FaultsTest, Row91GoneSinceTheHistoryIsForgotten) {
  Start();
  const size_t lists = Lists("services");
  WhileItIsAway([&] { Change(); });
  ASSERT_TRUE(Eventually([&] { return Lists("services") > lists; }));
  ExpectAsAFreshStart();
}

TEST_F(FaultsTest, Row91GoneAsAnEventInsideA200) {
  Start();
  const size_t lists = Lists("services");
  for (const char* resource : kWatched) Add(Kind::kGoneEvent, resource, 2);
  Change();
  ASSERT_TRUE(Eventually([&] { return Lists("services") > lists; }));
  ExpectAsAFreshStart();
}

TEST_F(FaultsTest, Row92DuplicateReorderedAndUnknownEvents) {
  Start();
  for (const char* resource : kWatched) {
    Add(Kind::kDuplicate, resource, 5);
    Add(Kind::kUnknownEvent, resource, 2);
  }
  Change();
  // Of two objects: nothing tells of two events of one which is the younger, versions being opaque.
  for (const char* resource : kWatched) Add(Kind::kReorder, resource, 1);
  for (const char* name : {"f", "e"}) {
    Put(ServiceOf(name, 90));
    Put(SliceOf(name, 3));
    Put(PodOf(name, 1, "v3"));
    Put(RouteOf(name, "4s"));
    Put(PolicyOf(name, "/other"));
  }
  ExpectAsAFreshStart();
}

TEST_F(FaultsTest, Row93ABookmarkIsWhereAWatchGoesOn) {
  Start();
  const std::string version = [&] {
    const auto put = server().Put(Json::parse(R"({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "unrelated", "namespace": "default"}})"));
    return (*put)["metadata"]["resourceVersion"].get<std::string>();
  }();
  uint64_t wanted = 0;
  ASSERT_TRUE(absl::SimpleAtoi(version, &wanted));
  // Only bookmarks can have told of that version.
  ASSERT_TRUE(Eventually([&] {
    const std::string target = LastWatch("services");
    const std::string after = target.substr(target.find("resourceVersion=") + 16);
    uint64_t from = 0;
    const bool known = absl::SimpleAtoi(after.substr(0, after.find('&')), &from) && from >= wanted;
    if (!known) {
      absl::SleepFor(absl::Milliseconds(300));
      server().DropConnections();
    }
    return known;
  }));
  const size_t lists = Lists("services");
  server().Compact();
  server().DropConnections();
  Change();
  ExpectAsAFreshStart();
  EXPECT_EQ(Lists("services"), lists + 1);  // the fresh one's
}

TEST_F(FaultsTest, Row94JsonThatIsSplitAnywhere) {
  Start();
  for (const char* resource : kWatched) {
    Add(Kind::kChunks, resource, -1, "watch", [](Fault& f) { f.sizes = {1, 2, 3, 5, 7}; });
    Add(Kind::kChunks, resource, -1, "list", [](Fault& f) { f.sizes = {1, 7, 64}; });
  }
  WhileItIsAway([&] { Change(); });
  Put(RouteOf("f", "5s"));
  ExpectAsAFreshStart();
}

TEST_F(FaultsTest, Row94ALineOf100MegabytesAndNestingOf1000) {
  Start();
  Add(Kind::kLongLine, "services", 1, "watch", [](Fault& f) { f.bytes = 100 << 20; });
  Add(Kind::kDeep, "virtualservices.networking.istio.io", 1, "watch",
      [](Fault& f) { f.depth = 1000; });
  Add(Kind::kDeep, "endpointslices.discovery.k8s.io", 1, "watch",
      [](Fault& f) { f.depth = 100000; });
  Change();
  ExpectAsAFreshStart();
  EXPECT_TRUE(weftd_->Ready());
}

TEST_F(FaultsTest, Row95TooManyRequestsAndErrorsMakeNoStorm) {
  Start();
  Add(Kind::kStatus, "services", 2, "list", [](Fault& fault) {
    fault.code = 429;
    fault.retry_after = 1;
  });
  for (const char* resource : kWatched) {
    Add(Kind::kStatus, resource, 1, "list", [](Fault& fault) { fault.code = 500; });
  }
  const size_t before = server().requests().size();
  WhileItIsAway([&] { Change(); });
  ASSERT_TRUE(Eventually([&] { return Refusals(429) == 2; }));
  ExpectAsAFreshStart();
  // A good many kinds are watched; each comes back, and once more for each refusal.
  EXPECT_LT(server().requests().size() - before, 300u);
}

TEST_F(FaultsTest, Row95AColdStartThroughErrors) {
  for (const char* resource : kWatched) {
    Add(Kind::kStatus, resource, 2, "list", [](Fault& fault) {
      fault.code = 429;
      fault.retry_after = 1;
    });
    Add(Kind::kStatus, resource, 1, "watch", [](Fault& fault) { fault.code = 500; });
  }
  weftd_ = cluster_.StartWeftd({}, /*wait_until_ready=*/false);
  EXPECT_FALSE(weftd_->Ready());
  ASSERT_TRUE(Eventually([&] { return weftd_->Ready(); }));
  Change();
  ExpectAsAFreshStart();
}

TEST_F(FaultsTest, Row96ASilentDeadWatchIsMadeAnew) {
  Start({"--registry-silence", "2"});
  for (const char* resource : kWatched) Add(Kind::kSilent, resource, 1);
  Change();
  ASSERT_NE(StateOf(*weftd_), "");
  ExpectAsAFreshStart();
}

TEST_F(FaultsTest, Row97AnExpiredContinueTokenMeansTheWholeList) {
  const auto expired = [&] {
    return Count([](const RequestRecord& one) {
      return one.verb == "list" && one.resource == "services" && one.code == 410;
    });
  };
  for (int i = 0; i < 600; ++i) Put(ServiceOf(absl::StrCat("many-", i), 80));
  Add(Kind::kExpiredContinue, "services", 1, "list");
  Start();
  EXPECT_EQ(expired(), 1u);
  EXPECT_TRUE(absl::StrContains(begin_, "outbound|80||many-599.default.svc.cluster.local"));
  Add(Kind::kExpiredContinue, "services", 1, "list");
  WhileItIsAway([&] {
    Change();
    Remove("services", "many-300");
  });
  ASSERT_TRUE(Eventually([&] { return expired() == 2; }));
  ExpectAsAFreshStart();
}

}  // namespace
}  // namespace weft::test
