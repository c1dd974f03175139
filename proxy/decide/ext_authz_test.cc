#include "proxy/decide/ext_authz.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/envoy/ext_authz.pb.h"
#include "api/envoy/ext_authz_service.pb.h"
#include "proxy/config/compile_ext_authz.h"
#include "proxy/decide/ext_authz_message.h"

namespace weft {
namespace {

namespace auth = envoy::service::auth::v3;
using Kind = AuthzVerdict::Kind;

constexpr char kHttp[] =
    "http_service { server_uri { uri: 'http://authz' cluster: 'authz' } path_prefix: '/check' "
    "authorization_response { allowed_upstream_headers { patterns { prefix: 'x-user' } } "
    "allowed_upstream_headers_to_append { patterns { exact: 'x-group' } } "
    "allowed_client_headers_on_success { patterns { exact: 'set-cookie' } } } } ";
constexpr char kGrpc[] = "grpc_service { envoy_grpc { cluster_name: 'authz' } } ";

std::shared_ptr<const ExtAuthzConfig> Compile(const std::string& text) {
  envoy::extensions::filters::http::ext_authz::v3::ExtAuthz message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  auto compiled = CompileExtAuthz(message, Secrets());
  EXPECT_TRUE(compiled.ok()) << compiled.status();
  return *compiled;
}

RequestHead Request() {
  RequestHead head;
  head.method = "POST";
  head.scheme = "http";
  head.authority = "shop.example";
  head.path = "/books?id=7";
  head.headers.Add("Authorization", "Bearer t");
  head.headers.Add("Content-Length", "5");
  head.headers.Add("X-Tenant", "a");
  head.headers.Add("x-tenant", "b");
  head.headers.Add("x-other", "\xff\xc3\xa9");
  return head;
}

std::string Text(const Headers& headers) {
  std::vector<std::string> lines;
  for (const HeaderView& field : headers) {
    lines.push_back(absl::StrCat(field.name, "=", field.value));
  }
  return absl::StrJoin(lines, " ");
}

std::string Text(const std::vector<HeaderToAdd>& changes) {
  std::vector<std::string> lines;
  for (const HeaderToAdd& change : changes) {
    static constexpr const char* kActions[] = {"+", "?", "", "!"};
    lines.push_back(
        absl::StrCat(kActions[static_cast<int>(change.action)], change.name, "=", change.value));
  }
  return absl::StrJoin(lines, " ");
}

TEST(ExtAuthz, HttpCheckTellsWhatItMayAndNoMore) {
  const RequestHead request = Request();
  const RequestHead check = HttpCheck(*Compile(kHttp), request, std::nullopt);
  EXPECT_EQ(check.method, "POST");
  EXPECT_EQ(check.authority, "shop.example");
  EXPECT_EQ(check.path, "/check/books?id=7");
  EXPECT_EQ(Text(check.headers), "Authorization=Bearer t");

  const auto more =
      Compile(absl::StrCat(kHttp,
                           "allowed_headers { patterns { prefix: 'X-TEN' } patterns { "
                           "exact: 'content-length' } }"));
  EXPECT_EQ(Text(HttpCheck(*more, request, CheckBody{"hello", true}).headers),
            "Authorization=Bearer t X-Tenant=a x-tenant=b x-envoy-auth-partial-body=true");
}

ResponseHead Answer(int status) {
  ResponseHead head;
  head.status = status;
  for (const auto& [name, value] : std::vector<std::pair<const char*, const char*>>{
           {"x-user", "alice"},
           {"X-User", "bob"},
           {"x-group", "staff"},
           {"set-cookie", "s=1"},
           {"location", "/login"},
           {"content-length", "9"},
           {"connection", "x-user-hop"},
           {"x-user-hop", "1"},
           {"x-envoy-auth-headers-to-remove", "authorization, host ,:path,, content-length"},
       }) {
    head.headers.Add(name, value);
  }
  return head;
}

TEST(ExtAuthz, HttpOkChangesWhatConfigAllows) {
  const auto config = Compile(kHttp);
  ResponseHead answer = Answer(200);
  const AuthzVerdict verdict =
      HttpVerdict(std::get<ExtAuthzConfig::Http>(config->service), answer, "ignored");
  EXPECT_EQ(verdict.kind, Kind::kOk);
  EXPECT_EQ(Text(verdict.request), "x-user=alice +X-User=bob +x-group=staff");
  EXPECT_EQ(Text(verdict.response), "+set-cookie=s=1");
  EXPECT_EQ(absl::StrJoin(verdict.remove, " "), "authorization");
}

TEST(ExtAuthz, HttpDenialGoesToTheClientButForItsFrame) {
  ExtAuthzConfig::Http open;
  ResponseHead answer = Answer(302);
  AuthzVerdict verdict = HttpVerdict(open, answer, "log in");
  EXPECT_EQ(verdict.kind, Kind::kDenied);
  EXPECT_EQ(verdict.status, 302);
  EXPECT_EQ(verdict.body, "log in");
  EXPECT_EQ(Text(verdict.response),
            "+x-user=alice +X-User=bob +x-group=staff +set-cookie=s=1 +location=/login "
            "+x-envoy-auth-headers-to-remove=authorization, host ,:path,, content-length");

  const auto narrow = Compile(
      "http_service { server_uri { uri: 'http://a' cluster: 'a' } authorization_response { "
      "allowed_client_headers { patterns { exact: 'set-cookie' } } } }");
  answer = Answer(401);
  verdict = HttpVerdict(std::get<ExtAuthzConfig::Http>(narrow->service), answer, "");
  EXPECT_EQ(Text(verdict.response), "+set-cookie=s=1 +location=/login");
}

TEST(ExtAuthz, HttpAnswersThatAreNoneAreErrors) {
  for (const int status : {0, 101, 500, 503, 599, 600, 999}) {
    ResponseHead answer = Answer(status);
    EXPECT_EQ(HttpVerdict({}, answer, "").kind, Kind::kError) << status;
  }
}

class CheckMessageTest : public ::testing::Test {
 protected:
  auth::AttributeContext Attributes(const std::string& config) {
    const CheckFacts facts = {.head = head_,
                              .length = {BodyFraming::kLength, 5},
                              .body = body_,
                              .time = absl::FromUnixMillis(1500),
                              .source = source_,
                              .destination = destination_,
                              .source_principal = "spiffe://a/ns/n/sa/client",
                              .destination_principal = "spiffe://a/ns/n/sa/server",
                              .server_name = "sni",
                              .context_extensions = &extensions_,
                              .tokens = {},
                              .shadows = shadows_};
    auth::CheckRequest request;
    EXPECT_TRUE(request.ParseFromString(CheckMessage(*Compile(config), facts)));
    return request.attributes();
  }

  RequestHead head_ = Request();
  std::optional<CheckBody> body_;
  Address source_ = *Address::Parse("10.0.0.1:1234");
  Address destination_ = *Address::Parse("[::1]:80");
  std::map<std::string, std::string> extensions_ = {{"k", "v"}};
  std::vector<ShadowVerdict> shadows_;
};

TEST_F(CheckMessageTest, TellsOfTheRequestAndItsConnection) {
  const auth::AttributeContext told = Attributes(kGrpc);
  EXPECT_EQ(told.source().address().socket_address().address(), "10.0.0.1");
  EXPECT_EQ(told.source().address().socket_address().port_value(), 1234);
  EXPECT_EQ(told.source().principal(), "spiffe://a/ns/n/sa/client");
  EXPECT_EQ(told.destination().address().socket_address().address(), "::1");
  EXPECT_EQ(told.request().time().seconds(), 1);
  EXPECT_EQ(told.request().time().nanos(), 500'000'000);
  const auto& http = told.request().http();
  EXPECT_EQ(http.method(), "POST");
  EXPECT_EQ(http.path(), "/books?id=7");
  EXPECT_EQ(http.host(), "shop.example");
  EXPECT_EQ(http.protocol(), "HTTP/1.1");
  EXPECT_EQ(http.size(), 5);
  EXPECT_EQ(http.headers().at("x-tenant"), "a,b");
  EXPECT_EQ(http.headers().at("x-other"), "!\xc3\xa9") << "a message holds UTF-8 alone";
  EXPECT_EQ(http.headers().at(":path"), "/books?id=7");
  EXPECT_EQ(told.context_extensions().at("k"), "v");
  EXPECT_FALSE(told.has_tls_session());
  EXPECT_EQ(Attributes(absl::StrCat(kGrpc, "include_tls_session: true")).tls_session().sni(),
            "sni");
}

TEST_F(CheckMessageTest, TellsTheBodyAsTextOrBytes) {
  body_ = CheckBody{"a\x80", true};
  const std::string config = absl::StrCat(kGrpc, "with_request_body { max_request_bytes: 2 ");
  EXPECT_EQ(Attributes(absl::StrCat(config, "}")).request().http().body(), "a!");
  const auto http = Attributes(absl::StrCat(config, "pack_as_bytes: true }")).request().http();
  EXPECT_EQ(http.raw_body(), "a\x80");
  EXPECT_EQ(http.body(), "");
  EXPECT_EQ(http.headers().at("x-envoy-auth-partial-body"), "true");
}

TEST_F(CheckMessageTest, NarrowsHeadersAndAddsMetadata) {
  const RbacPolicy policy = {.name = "p"};
  shadows_.push_back({"s_", {false, &policy}});
  const auto told =
      Attributes(absl::StrCat(kGrpc,
                              "allowed_headers { patterns { exact: 'x-tenant' } } "
                              "metadata_context_namespaces: 'envoy.filters.http.rbac' "
                              "metadata_context_namespaces: 'unknown'"));
  EXPECT_EQ(told.request().http().headers().size(), 1);
  const auto& metadata = told.metadata_context().filter_metadata();
  ASSERT_EQ(metadata.size(), 1);
  const auto& fields = metadata.at("envoy.filters.http.rbac").fields();
  EXPECT_EQ(fields.at("s_shadow_effective_policy_id").string_value(), "p");
  EXPECT_EQ(fields.at("s_shadow_engine_result").string_value(), "denied");
}

AuthzVerdict OfMessage(const std::string& text) {
  auth::CheckResponse message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return MessageVerdict(message.SerializeAsString());
}

TEST(ExtAuthzMessage, OkChangesTheRequestAndTheResponse) {
  const AuthzVerdict verdict = OfMessage(
      "ok_response { headers { header { key: 'X-User' value: 'alice' } } "
      "headers { header { key: 'x-group' raw_value: 'staff' } append { value: true } } "
      "headers { header { key: 'x-new' value: '1' } append_action: ADD_IF_ABSENT } "
      "headers { header { key: 'content-length' value: '1' } } "
      "headers_to_remove: 'authorization' headers_to_remove: ':path' headers_to_remove: 'Host' "
      "response_headers_to_add { header { key: 'x-r' value: '' } } }");
  EXPECT_EQ(verdict.kind, Kind::kOk);
  EXPECT_EQ(Text(verdict.request), "x-user=alice +x-group=staff ?x-new=1");
  EXPECT_EQ(absl::StrJoin(verdict.remove, " "), "authorization");
  EXPECT_EQ(Text(verdict.response), "x-r=");
}

TEST(ExtAuthzMessage, AnythingButStatusOkDenies) {
  AuthzVerdict verdict = OfMessage("status { code: 7 }");
  EXPECT_EQ(verdict.kind, Kind::kDenied);
  EXPECT_EQ(verdict.status, 403);
  verdict = OfMessage("status { code: 7 } ok_response { }");
  EXPECT_EQ(verdict.kind, Kind::kDenied) << "what counts is the status";
  verdict = OfMessage(
      "status { code: 16 } denied_response { status { code: Unauthorized } body: 'who?' "
      "headers { header { key: 'www-authenticate' value: 'Basic' } } }");
  EXPECT_EQ(verdict.status, 401);
  EXPECT_EQ(verdict.body, "who?");
  EXPECT_EQ(Text(verdict.response), "www-authenticate=Basic");
}

TEST(ExtAuthzMessage, HostileAnswersAreErrors) {
  const std::string huge(70'000, 'x');
  for (const std::string& text : {
           std::string("ok_response { headers { header { key: ':path' value: '/' } } }"),
           std::string("ok_response { headers { header { key: 'a b' value: '' } } }"),
           std::string("ok_response { headers { header { key: '' value: '' } } }"),
           std::string("ok_response { headers { header { key: 'a' value: 'x\\r\\ny: z' } } }"),
           absl::StrCat("ok_response { headers { header { key: 'a' value: '", huge, "' } } }"),
           std::string("ok_response { response_headers_to_add { header { key: 'a\\n' } } }"),
           std::string("status { code: 7 } denied_response { status { code: Continue } }"),
           std::string("status { code: 7 } denied_response { headers { header { key: ' ' } } }"),
       }) {
    EXPECT_EQ(OfMessage(text).kind, Kind::kError) << text.substr(0, 100);
  }
  auth::CheckResponse odd;
  odd.mutable_status()->set_code(7);
  odd.mutable_denied_response()->mutable_status()->set_code(
      static_cast<envoy::type::v3::HttpStatus::StatusCode>(999));
  EXPECT_EQ(MessageVerdict(odd.SerializeAsString()).kind, Kind::kError);
  EXPECT_EQ(MessageVerdict("\xff\xff").kind, Kind::kError);
}

TEST(ExtAuthz, IsAskedAboutWhatShadowRulesSelect) {
  const std::string by =
      "filter_enabled_metadata { filter: 'envoy.filters.http.rbac' "
      "path { key: 's_shadow_effective_policy_id' } value { string_match { prefix: 'asked-' } } ";
  const auto config = Compile(absl::StrCat(kGrpc, by, "}"));
  const auto inverse = Compile(absl::StrCat(kGrpc, by, "invert: true }"));
  const RbacPolicy asked = {.name = "asked-1"};
  const RbacPolicy other = {.name = "other"};
  const struct {
    std::vector<ShadowVerdict> shadows;
    bool expected;
  } rows[] = {
      {{}, false},
      {{{"s_", {true, nullptr}}}, false},
      {{{"s_", {false, &asked}}}, true},
      {{{"s_", {false, &other}}}, false},
      {{{"t_", {false, &asked}}}, false},
      {{{"t_", {false, &other}}, {"s_", {false, &asked}}}, true},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(IsAskedAbout(*config, row.shadows, 0), row.expected);
    EXPECT_EQ(IsAskedAbout(*inverse, row.shadows, 0), !row.expected);
  }
  const auto half =
      Compile(absl::StrCat(kGrpc, "filter_enabled { default_value { numerator: 50 } }"));
  EXPECT_TRUE(IsAskedAbout(*half, {}, 49));
  EXPECT_FALSE(IsAskedAbout(*half, {}, 50));
}

}  // namespace
}  // namespace weft
