#include "tools/weftctl/sandbox/pod_planner.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace weft::sandbox {
namespace {

using kubernetes::Pod;

class PlanPodTest : public testing::Test {
 protected:
  PlanPodTest() {
    pod_.mutable_metadata()->set_name("web-1");
    pod_.mutable_metadata()->set_namespace_("shop");
    (*pod_.mutable_metadata()->mutable_labels())["version"] = "v2";
    pod_.mutable_status()->set_pod_ip("10.244.0.11");
    container_ = pod_.mutable_spec()->add_containers();
    container_->set_name("web");
    container_->set_image("docker.io/team/web:1.0");
    context_.cluster = "east";
    context_.weftctl = "/bin/weftctl";
    context_.weft_proxy = "/bin/weft-proxy";
    context_.objects = &objects_;
    context_.ca_root = "ROOT";
    context_.sign_token = [](const std::string& audience) { return "token for " + audience; };
    context_.exists = [](const std::string& command) { return command == "/bin/sleep"; };
  }

  PodPlan Plan() {
    absl::StatusOr<PodPlan> plan = PlanPod(pod_, "web", context_);
    EXPECT_TRUE(plan.ok()) << plan.status();
    return plan.ok() ? *std::move(plan) : PodPlan();
  }
  static bool Has(const std::vector<std::string>& all, const std::string& one) {
    return std::find(all.begin(), all.end(), one) != all.end();
  }

  Pod pod_;
  kubernetes::Container* container_;
  ClusterObjects objects_;
  PlanContext context_;
};

TEST_F(PlanPodTest, AContainerWithPortsIsAnEcho) {
  container_->add_ports()->set_container_port(8080);
  container_->add_ports()->set_container_port(8081);
  ContainerPlan plan = Plan().containers.at(0);
  EXPECT_EQ(plan.argv[0], "/bin/weftctl");
  EXPECT_TRUE(Has(plan.argv, "--port=8080"));
  EXPECT_TRUE(Has(plan.argv, "--port=8081"));
  EXPECT_TRUE(Has(plan.argv, "--version=v2"));
  EXPECT_TRUE(Has(plan.argv, "--service-account=default"));
  EXPECT_EQ(plan.ready.port, 8080);
}

TEST_F(PlanPodTest, AMappedImageRunsItsCommand) {
  context_.images = {{"web", "python3 app.py"}};
  container_->add_ports()->set_container_port(8080);
  container_->add_args("--verbose");
  ContainerPlan plan = Plan().containers.at(0);
  EXPECT_EQ(plan.argv, (std::vector<std::string>{"/bin/sh", "-c", "python3 app.py \"$@\"", "web",
                                                 "--verbose"}));
  EXPECT_TRUE(Has(plan.environment, "PORT=8080"));
}

TEST_F(PlanPodTest, ACommandThatExistsHereIsRunAndAnyOtherSleeps) {
  container_->add_command("/bin/sleep");
  container_->add_command("7");
  EXPECT_EQ(Plan().containers.at(0).argv, (std::vector<std::string>{"/bin/sleep", "7"}));
  container_->set_command(0, "/opt/their/binary");
  EXPECT_EQ(Plan().containers.at(0).argv, (std::vector<std::string>{"sleep", "infinity"}));
}

TEST_F(PlanPodTest, TheProxyIsTheRealOneAndAskedWhetherItIsReady) {
  container_->set_image(kProxyImage);
  container_->add_command("weft-proxy");
  container_->add_command("sidecar");
  ContainerPlan plan = Plan().containers.at(0);
  EXPECT_EQ(plan.argv, (std::vector<std::string>{"/bin/weft-proxy", "sidecar"}));
  EXPECT_EQ(plan.ready.port, 15000);
  EXPECT_EQ(plan.ready.path, "/ready");
}

TEST_F(PlanPodTest, FieldsAndKeysBecomeEnvironment) {
  auto add = [&](const char* name) {
    auto* variable = container_->add_env();
    variable->set_name(name);
    return variable->mutable_value_from();
  };
  add("IP")->mutable_field_ref()->set_field_path("status.podIP");
  add("V")->mutable_field_ref()->set_field_path("metadata.labels['version']");
  auto* key = add("KEY")->mutable_config_map_key_ref();
  key->set_name("settings");
  key->set_key("colour");
  EXPECT_FALSE(PlanPod(pod_, "web", context_).ok());
  (*objects_.config_maps["shop/settings"].mutable_data())["colour"] = "blue";
  std::vector<std::string> environment = Plan().containers.at(0).environment;
  EXPECT_EQ(environment, (std::vector<std::string>{"IP=10.244.0.11", "V=v2", "KEY=blue"}));
}

TEST_F(PlanPodTest, TokensAndConfigMapsBecomeFilesBelowRunOnly) {
  auto mount = [&](const char* volume, const char* path) {
    auto* m = container_->add_volume_mounts();
    m->set_name(volume);
    m->set_mount_path(path);
  };
  auto* token = pod_.mutable_spec()->add_volumes();
  token->set_name("token");
  auto* source = token->mutable_projected()->add_sources()->mutable_service_account_token();
  source->set_audience("weft-ca");
  source->set_path("weft-token");
  auto* root = pod_.mutable_spec()->add_volumes();
  root->set_name("root");
  root->mutable_config_map()->set_name("weft-ca-root");
  mount("token", "/var/run/secrets/tokens");
  mount("root", "/var/run/secrets/weft");
  mount("root", "/etc/elsewhere");
  std::vector<PodFile> files = Plan().view.files;
  ASSERT_EQ(files.size(), 2u);
  EXPECT_EQ(files[0].path, "/var/run/secrets/tokens/weft-token");
  EXPECT_EQ(files[0].content, "token for weft-ca");
  EXPECT_EQ(files[1].content, "ROOT");
}

TEST(CommandForImage, MatchesByNameRepositoryOrLastPart) {
  std::map<std::string, std::string> images = {{"web", "a"}, {"docker.io/team/db", "b"}};
  EXPECT_EQ(CommandForImage(images, "web"), "a");
  EXPECT_EQ(CommandForImage(images, "localhost:5000/x/web:1.2"), "a");
  EXPECT_EQ(CommandForImage(images, "docker.io/team/db@sha256:00"), "b");
  EXPECT_EQ(CommandForImage(images, "docker.io/team/webby"), "");
}

}  // namespace
}  // namespace weft::sandbox
