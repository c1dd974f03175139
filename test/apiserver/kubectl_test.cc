// Real kubectl against the server, over TLS with a token.
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "certs/issuer.h"
#include "certs/test_certificate.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/apiserver/server.h"
#include "test/apiserver/webhook_for_test.h"
#include "test/integration/process.h"

namespace weft::apiserver {
namespace {

using integration::Result;
using testing::AllOf;
using testing::AnyOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

constexpr char kService[] = R"(
apiVersion: v1
kind: Service
metadata: {name: web, labels: {app: web}}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80}]
)";

constexpr char kRoute[] = R"(
apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: [web]
  http: [{route: [{destination: {host: web}}]}]
)";

class KubectlTest : public testing::Test {
 protected:
  KubectlTest() : issuer_(*certs::Issuer::CreateRoot("test", absl::Now())) {
    const char* root = getenv("TEST_TMPDIR");
    folder_ = absl::StrCat(root == nullptr ? "/tmp" : root, "/kubectl_test.", getpid(), ".",
                           testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::create_directories(folder_);
    ApiServerOptions options;
    options.tls = Certificate("localhost");
    options.tokens = "secret,alice,1,\"admins\"\n";
    server_ = ApiServer::Start(std::move(options)).value();
    Write("kubeconfig",
          absl::StrCat("apiVersion: v1\nkind: Config\ncurrent-context: test\n"
                       "clusters: [{name: test, cluster: {server: '",
                       server_->url(), "', tls-server-name: localhost, ",
                       "certificate-authority-data: ", absl::Base64Escape(issuer_.ChainPem()),
                       "}}]\nusers: [{name: alice, user: {token: secret}}]\n",
                       "contexts: [{name: test, context: {cluster: test, user: alice}}]\n"));
  }
  ~KubectlTest() override { std::filesystem::remove_all(folder_); }

  TlsCertificate Certificate(const std::string& dns) {
    const certs::PrivateKey key = certs::PrivateKey::Generate();
    certs::TestCertificateOptions options;
    options.dns = {dns};
    options.common_name = dns;
    options.not_before = absl::Now() - absl::Hours(1);
    options.not_after = absl::Now() + absl::Hours(1);
    TlsCertificate certificate;
    certificate.chain_pem = certs::MakeTestCertificate(issuer_, key.public_key(), options).ToPem();
    certificate.key_pem = key.ToPem();
    return certificate;
  }

  std::string Write(const std::string& name, const std::string& text) {
    const std::string path = absl::StrCat(folder_, "/", name);
    std::ofstream(path) << text;
    return path;
  }

  std::vector<std::string> Environment() const {
    return {"KUBECONFIG=" + folder_ + "/kubeconfig", "HOME=" + folder_, "KUBE_EDITOR=false"};
  }

  Result Run(std::vector<std::string> arguments, const std::string& input = "") {
    arguments.insert(arguments.begin(), "kubectl");
    return integration::RunCommand(arguments, Environment(), input);
  }

  // What it prints; it must succeed.
  std::string Out(std::vector<std::string> arguments, const std::string& input = "") {
    const Result result = Run(arguments, input);
    EXPECT_EQ(result.status, 0) << result.err;
    return result.out;
  }

  // What it complains of; it must fail.
  std::string Refused(std::vector<std::string> arguments, const std::string& input = "") {
    const Result result = Run(arguments, input);
    EXPECT_NE(result.status, 0) << result.out;
    return result.err;
  }

  const certs::Issuer issuer_;
  std::string folder_;
  std::unique_ptr<ApiServer> server_;
};

TEST_F(KubectlTest, KnowsVersionAndKinds) {
  EXPECT_THAT(Out({"version"}), HasSubstr("v1.30.0"));
  const std::string resources = Out({"api-resources"});
  EXPECT_THAT(resources, ContainsRegex("services +svc .*true +Service"));
  EXPECT_THAT(resources, ContainsRegex("nodes +no .*false +Node"));
  EXPECT_THAT(resources, ContainsRegex("virtualservices +vs +networking.istio.io"));
  EXPECT_THAT(resources, ContainsRegex("serviceexports +svcex +multicluster.x-k8s.io"));
  EXPECT_THAT(Out({"api-versions"}), HasSubstr("gateway.networking.k8s.io/v1\n"));
}

TEST_F(KubectlTest, ReviewsTheTokensItIssues) {
  Out({"create", "serviceaccount", "web"});
  const std::string token = Out({"create", "token", "web", "--audience", "weft-ca"});
  const auto review = [&](const std::string& audience) {
    return absl::StrCat(
        "apiVersion: authentication.k8s.io/v1\nkind: TokenReview\nspec: {audiences: [", audience,
        "], token: ", absl::StripAsciiWhitespace(token), "}\n");
  };
  EXPECT_EQ(Out({"create", "-f", "-", "-o", "jsonpath={.status.user.username}"}, review("weft-ca")),
            "system:serviceaccount:default:web");
  EXPECT_THAT(Out({"create", "-f", "-", "-o", "jsonpath={.status.error}"}, review("other")),
              HasSubstr("is invalid for the target audiences [\"other\"]"));
}

TEST_F(KubectlTest, RefusesWhoHasNoToken) {
  Write("kubeconfig", absl::StrReplaceAll(integration::ReadFile(folder_ + "/kubeconfig"),
                                          {{"token: secret", "token: guess"}}));
  EXPECT_THAT(Refused({"get", "pods"}), HasSubstr("You must be logged in to the server"));
}

TEST_F(KubectlTest, CreatesGetsAndDeletes) {
  EXPECT_EQ(Out({"create", "-f", "-"}, kService), "service/web created\n");
  EXPECT_THAT(Refused({"create", "-f", "-"}, kService),
              HasSubstr("Error from server (AlreadyExists): error when creating \"STDIN\": "
                        "services \"web\" already exists"));
  EXPECT_THAT(Out({"get", "services"}),
              AllOf(ContainsRegex("NAME +TYPE +CLUSTER-IP +EXTERNAL-IP +PORT\\(S\\) +AGE\n"),
                    ContainsRegex("web +ClusterIP +10\\.96\\.[0-9.]+ +<none> +80/TCP +[0-9]+s\n")));
  EXPECT_THAT(Out({"get", "svc", "web", "-o", "wide"}), ContainsRegex("SELECTOR\n.*app=web\n"));
  EXPECT_THAT(Out({"get", "svc", "web", "-o", "yaml"}),
              AllOf(HasSubstr("apiVersion: v1\nkind: Service\n"), HasSubstr("targetPort: 80\n"),
                    HasSubstr("resourceVersion: \"")));
  EXPECT_EQ(Out({"get", "svc", "-o", "jsonpath={.items[*].metadata.name}"}), "web");
  EXPECT_EQ(Out({"get", "svc", "-o", "name"}), "service/web\n");
  EXPECT_EQ(Out({"delete", "svc", "web"}), "service \"web\" deleted\n");
  EXPECT_THAT(Refused({"get", "svc", "web"}),
              HasSubstr("Error from server (NotFound): services \"web\" not found"));
  EXPECT_THAT(Run({"get", "svc"}).err, HasSubstr("No resources found in default namespace."));
}

TEST_F(KubectlTest, SelectsByNamespaceLabelAndField) {
  Out({"create", "namespace", "shop"});
  Out({"create", "configmap", "a", "--from-literal=k=v"});
  Out({"create", "configmap", "b", "-n", "shop"});
  Out({"label", "configmap", "a", "tier=front"});
  EXPECT_THAT(Out({"get", "cm", "-A"}),
              AllOf(ContainsRegex("default +a +1 "), ContainsRegex("shop +b +0 ")));
  EXPECT_EQ(Out({"get", "cm", "-A", "-o", "name", "-l", "tier=front"}), "configmap/a\n");
  EXPECT_EQ(Out({"get", "cm", "-A", "-o", "name", "-l", "tier notin (front)"}), "configmap/b\n");
  EXPECT_EQ(Out({"get", "cm", "-A", "-o", "name", "--field-selector", "metadata.name=b"}),
            "configmap/b\n");
  EXPECT_EQ(Out({"get", "cm", "-A", "-o", "name", "--chunk-size=1"}), "configmap/a\nconfigmap/b\n");
  EXPECT_THAT(Out({"get", "ns"}), ContainsRegex("shop +Active "));
  EXPECT_THAT(Refused({"create", "configmap", "c", "-n", "nowhere"}),
              HasSubstr("namespaces \"nowhere\" not found"));
}

// A three-way merge on the client: strategic for what is built in, a merge patch for CRDs.
TEST_F(KubectlTest, AppliesChangesAndAppliesAgain) {
  EXPECT_EQ(Out({"apply", "-f", "-"}, kService), "service/web created\n");
  EXPECT_EQ(Out({"apply", "-f", "-"}, kService), "service/web unchanged\n");
  const std::string changed = absl::StrReplaceAll(
      kService, {{"{name: http, port: 80}", "{name: http, port: 80}, {name: tls, port: 443}"}});
  EXPECT_EQ(Out({"apply", "-f", "-"}, changed), "service/web configured\n");
  EXPECT_EQ(Out({"get", "svc", "web", "-o", "jsonpath={.spec.ports[*].port}"}), "80 443");
  EXPECT_EQ(Out({"apply", "-f", "-"}, kService), "service/web configured\n");
  EXPECT_EQ(Out({"get", "svc", "web", "-o", "jsonpath={.spec.ports[*].port}"}), "80");

  EXPECT_EQ(Out({"apply", "-f", "-"}, kRoute), "virtualservice.networking.istio.io/web created\n");
  const std::string more = absl::StrReplaceAll(kRoute, {{"hosts: [web]", "hosts: [web, api]"}});
  EXPECT_EQ(Out({"apply", "-f", "-"}, more), "virtualservice.networking.istio.io/web configured\n");
  EXPECT_EQ(Out({"get", "vs", "web", "-o", "jsonpath={.spec.hosts}/{.metadata.generation}"}),
            "[\"web\",\"api\"]/2");
  EXPECT_THAT(Out({"get", "vs"}), ContainsRegex("web +.*\\[\"web\",\"api\"\\] +[0-9]+s"));
}

TEST_F(KubectlTest, AppliesOnTheServer) {
  const std::vector<std::string> apply = {"apply", "--server-side", "-f", "-"};
  EXPECT_EQ(Out(apply, kService), "service/web serverside-applied\n");
  const std::string other =
      absl::StrReplaceAll(kService, {{"selector: {app: web}", "selector: {app: x}"}});
  EXPECT_THAT(Refused({"apply", "--server-side", "--field-manager=other", "-f", "-"}, other),
              AllOf(HasSubstr("Apply failed with 1 conflict"), HasSubstr(".spec.selector.app")));
  Out({"apply", "--server-side", "--field-manager=other", "--force-conflicts", "-f", "-"}, other);
  EXPECT_EQ(Out({"get", "svc", "web", "-o", "jsonpath={.spec.selector.app}"}), "x");
}

TEST_F(KubectlTest, PatchesLabelsAnnotatesAndReplaces) {
  Out({"create", "-f", "-"}, kService);
  EXPECT_EQ(Out({"patch", "svc", "web", "-p", R"({"spec":{"ports":[{"port":81,"name":"b"}]}})"}),
            "service/web patched\n");
  EXPECT_EQ(Out({"get", "svc", "web", "-o", "jsonpath={.spec.ports[*].port}"}), "80 81");
  Out({"patch", "svc", "web", "--type=json", "-p", R"([{"op":"remove","path":"/spec/ports/1"}])"});
  Out({"patch", "svc", "web", "--type=merge", "-p", R"({"spec":{"selector":{"v":"2"}}})"});
  EXPECT_EQ(Out({"get", "svc", "web", "-o", "jsonpath={.spec.ports[*].port} {.spec.selector}"}),
            "80 {\"app\":\"web\",\"v\":\"2\"}");
  EXPECT_EQ(Out({"label", "svc", "web", "team=a"}), "service/web labeled\n");
  EXPECT_EQ(Out({"annotate", "svc", "web", "note=x"}), "service/web annotated\n");
  EXPECT_EQ(Out({"get", "svc", "web", "-o",
                 "jsonpath={.metadata.labels.team} {.metadata.annotations.note}"}),
            "a x");
  EXPECT_EQ(Out({"label", "svc", "web", "team-"}).substr(0, 12), "service/web ");
  EXPECT_EQ(Out({"replace", "-f", "-"}, kService), "service/web replaced\n");
  EXPECT_THAT(Out({"get", "svc", "web", "-o", "json"}), Not(HasSubstr("note")));
  Out({"create", "-f", "-"}, kRoute);
  EXPECT_THAT(Refused({"patch", "vs", "web", "--type=strategic", "-p", "{}"}),
              AnyOf(HasSubstr("UnsupportedMediaType"), HasSubstr("is not supported by")));
}

TEST_F(KubectlTest, HearsOfAConflict) {
  Out({"create", "-f", "-"}, kService);
  const std::string read = Out({"get", "svc", "web", "-o", "json"});
  Out({"label", "svc", "web", "team=a"});
  EXPECT_THAT(Refused({"replace", "-f", "-"}, read),
              HasSubstr("Operation cannot be fulfilled on services \"web\": the object has been "
                        "modified; please apply your changes to the latest version and try again"));
}

TEST_F(KubectlTest, EditsThroughAnEditor) {
  Out({"create", "-f", "-"}, kService);
  const std::string editor = Write("editor", "#!/bin/sh\nsed -i s/'app: web'/'app: edited'/ $1\n");
  std::filesystem::permissions(editor, std::filesystem::perms::owner_all);
  std::vector<std::string> environment = Environment();
  environment.back() = "KUBE_EDITOR=" + editor;
  const Result edited = integration::RunCommand({"kubectl", "edit", "svc", "web"}, environment);
  EXPECT_EQ(edited.out, "service/web edited\n") << edited.err;
  EXPECT_EQ(Out({"get", "svc", "web", "-o", "jsonpath={.spec.selector.app}"}), "edited");
}

TEST_F(KubectlTest, Watches) {
  Out({"create", "-f", "-"}, kService);
  std::vector<std::string> argv = {"kubectl", "get", "svc", "-w"};
  const std::string printed = folder_ + "/watch";
  integration::Process watch(argv, Environment(), printed);
  ASSERT_TRUE(integration::Eventually([&] { return server_->watches() == 1; }));
  Out({"create", "service", "clusterip", "api", "--tcp=90"});
  Out({"delete", "svc", "web"});
  EXPECT_TRUE(integration::Eventually([&] {
    const std::string text = integration::ReadFile(printed);
    return absl::StrContains(text, "web ") && absl::StrContains(text, "api ") &&
           absl::StrContains(text, "90/TCP");
  })) << integration::ReadFile(printed);
}

TEST_F(KubectlTest, Describes) {
  Out({"apply", "-f", "-"}, absl::StrCat(kService, "---", kRoute));
  EXPECT_THAT(Out({"describe", "svc", "web"}),
              AllOf(ContainsRegex("Selector: +app=web"), ContainsRegex("Port: +http +80/TCP"),
                    ContainsRegex("Events: +<none>")));
  EXPECT_THAT(Out({"describe", "vs", "web"}),
              AllOf(ContainsRegex("Kind: +VirtualService"), HasSubstr("Hosts:\n    web")));
  EXPECT_THAT(Out({"describe", "ns", "default"}), ContainsRegex("Status: +Active"));
  Out({"apply", "-f", "-"}, "apiVersion: v1\nkind: Node\nmetadata: {name: n1}\n");
  EXPECT_THAT(Out({"describe", "node", "n1"}), ContainsRegex("Name: +n1"));
  Out({"run", "p", "--image=i"});
  EXPECT_THAT(Out({"describe", "pod", "p"}), ContainsRegex("Image: +i"));
  EXPECT_THAT(Out({"get", "pods"}), ContainsRegex("p +0/1 +Pending +0 "));
}

TEST_F(KubectlTest, FinalizersHoldWhatIsDeleted) {
  Out({"create", "configmap", "held"});
  Out({"patch", "cm", "held", "-p", R"({"metadata":{"finalizers":["test/hold"]}})"});
  Out({"delete", "cm", "held", "--wait=false"});
  EXPECT_NE(Out({"get", "cm", "held", "-o", "jsonpath={.metadata.deletionTimestamp}"}), "");
  Out({"patch", "cm", "held", "--type=merge", "-p", R"({"metadata":{"finalizers":null}})"});
  EXPECT_THAT(Refused({"get", "cm", "held"}), HasSubstr("NotFound"));
}

TEST_F(KubectlTest, ANamespaceGoesWithWhatIsInIt) {
  Out({"create", "ns", "shop"});
  Out({"create", "configmap", "a", "-n", "shop"});
  EXPECT_EQ(Out({"delete", "ns", "shop"}), "namespace \"shop\" deleted\n");
  EXPECT_EQ(Out({"get", "cm", "-A", "-o", "name"}), "");
}

TEST_F(KubectlTest, UsesACrdThatIsInstalledWhileItRuns) {
  const std::string widget = "apiVersion: test.weft.dev/v1\nkind: Widget\nmetadata: {name: w}\n";
  EXPECT_THAT(Refused({"create", "-f", "-"}, widget), HasSubstr("no matches for kind \"Widget\""));
  Out({"apply", "-f", "-"}, R"(
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.test.weft.dev}
spec:
  group: test.weft.dev
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList, shortNames: [wi]}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
)");
  Out({"wait", "--for=condition=Established", "crd/widgets.test.weft.dev", "--timeout=10s"});
  EXPECT_EQ(Out({"create", "-f", "-"}, widget), "widget.test.weft.dev/w created\n");
  EXPECT_THAT(Out({"get", "wi"}), ContainsRegex("w +[0-9]+s"));
  Out({"delete", "crd", "widgets.test.weft.dev"});
  EXPECT_THAT(Refused({"get", "widgets"}),
              AnyOf(HasSubstr("the server doesn't have a resource type"),
                    HasSubstr("the server could not find the requested resource")));
}

TEST_F(KubectlTest, DryRunsChangeNothing) {
  EXPECT_EQ(Out({"apply", "--dry-run=server", "-f", "-"}, kService),
            "service/web created (server dry run)\n");
  EXPECT_THAT(Refused({"get", "svc", "web"}), HasSubstr("NotFound"));
}

Json Refusal(const std::string& message) {
  return {{"allowed", false}, {"status", {{"message", message}}}};
}

// Refuses hosts that are empty, and labels what it lets pass.
Json Judge(const Json& request) {
  if (request["operation"] == "DELETE") return {{"allowed", true}};
  const Json hosts = request["object"]["spec"].value("hosts", Json::array());
  if (hosts.empty()) return Refusal("spec.hosts: must name at least one host");
  const std::string patch = R"([{"op":"add","path":"/metadata/annotations/judged","value":"yes"}])";
  if (!request["object"]["metadata"].contains("annotations")) return {{"allowed", true}};
  return {{"allowed", true},
          {"patchType", "JSONPatch"},
          {"patch", absl::Base64Escape(patch)},
          {"warnings", Json::array({"mind the gap"})}};
}

class KubectlAdmissionTest : public KubectlTest {
 protected:
  void Register(const std::string& kind, const std::string& client, const std::string& policy) {
    Out({"apply", "-f", "-"},
        absl::StrCat("apiVersion: admissionregistration.k8s.io/v1\nkind: ", kind,
                     "\nmetadata: {name: judge}\nwebhooks:\n- name: judge.weft.dev\n",
                     "  admissionReviewVersions: [v1]\n  sideEffects: None\n  timeoutSeconds: 2\n",
                     "  failurePolicy: ", policy, "\n  clientConfig: {", client,
                     ", caBundle: ", absl::Base64Escape(issuer_.ChainPem()), "}\n",
                     "  rules: [{operations: [CREATE, UPDATE], apiGroups: [networking.istio.io], ",
                     "apiVersions: [v1], resources: [virtualservices]}]\n"));
  }
};

TEST_F(KubectlAdmissionTest, RefusesWithTheWebhooksMessage) {
  WebhookForTest webhook(Certificate("judge.weft-system.svc"), Judge);
  server_->SetService("weft-system/judge:443", webhook.address());
  const std::string client = "service: {namespace: weft-system, name: judge, path: /validate}";
  Register("ValidatingWebhookConfiguration", client, "Fail");
  const std::string bad = absl::StrReplaceAll(kRoute, {{"hosts: [web]", "hosts: []"}});
  // kRoute is of v1beta1, the rule of v1: the same object.
  EXPECT_THAT(Refused({"apply", "-f", "-"}, bad),
              HasSubstr("admission webhook \"judge.weft.dev\" denied the request: spec.hosts: must "
                        "name at least one host"));
  EXPECT_EQ(Out({"apply", "-f", "-"}, kRoute), "virtualservice.networking.istio.io/web created\n");
  EXPECT_THAT(Refused({"apply", "-f", "-"}, bad), HasSubstr("denied the request: spec.hosts"));
  EXPECT_EQ(Out({"get", "vs", "web", "-o", "jsonpath={.spec.hosts}"}), "[\"web\"]");
}

TEST_F(KubectlAdmissionTest, StoresWhatAMutatingWebhookMakesOfIt) {
  WebhookForTest webhook(Certificate("judge.weft-system.svc"), Judge);
  server_->SetService("weft-system/judge:443", webhook.address());
  Register("MutatingWebhookConfiguration", "service: {namespace: weft-system, name: judge}",
           "Fail");
  const Result applied = Run({"apply", "-f", "-"}, kRoute);
  EXPECT_EQ(applied.status, 0) << applied.err;
  EXPECT_THAT(applied.err, HasSubstr("Warning: mind the gap"));
  EXPECT_EQ(Out({"get", "vs", "web", "-o", "jsonpath={.metadata.annotations.judged}"}), "yes");
}

TEST_F(KubectlAdmissionTest, FollowsTheFailurePolicy) {
  Register("ValidatingWebhookConfiguration", "url: \"https://127.0.0.1:1/x\"", "Fail");
  EXPECT_THAT(Refused({"apply", "-f", "-"}, kRoute),
              AllOf(HasSubstr("failed calling webhook \"judge.weft.dev\""), HasSubstr("refused")));
  Register("ValidatingWebhookConfiguration", "url: \"https://127.0.0.1:1/x\"", "Ignore");
  Out({"apply", "-f", "-"}, kRoute);
}

TEST_F(KubectlAdmissionTest, DoesNotWaitLongerThanItsTimeout) {
  WebhookForTest webhook(Certificate("judge.weft-system.svc"), [](const Json& request) {
    absl::SleepFor(absl::Seconds(5));
    return Judge(request);
  });
  server_->SetService("weft-system/judge:443", webhook.address());
  Register("ValidatingWebhookConfiguration", "service: {namespace: weft-system, name: judge}",
           "Fail");
  const absl::Time begun = absl::Now();
  EXPECT_THAT(Refused({"apply", "-f", "-"}, kRoute), HasSubstr("deadline exceeded"));
  EXPECT_LT(absl::Now() - begun, absl::Seconds(5));
}

TEST_F(KubectlAdmissionTest, BelievesNoOtherCertificate) {
  WebhookForTest webhook(Certificate("somebody.else.svc"), Judge);
  server_->SetService("weft-system/judge:443", webhook.address());
  Register("ValidatingWebhookConfiguration", "service: {namespace: weft-system, name: judge}",
           "Fail");
  EXPECT_THAT(Refused({"apply", "-f", "-"}, kRoute), HasSubstr("failed calling webhook"));
}

}  // namespace
}  // namespace weft::apiserver
