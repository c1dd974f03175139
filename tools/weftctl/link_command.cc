#include "tools/weftctl/link_command.h"

#include <google/protobuf/util/json_util.h>
#include <stdio.h>

#include <functional>
#include <iostream>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "api/weft/admin.pb.h"
#include "tools/weftctl/link_tables.h"
#include "tools/weftctl/weftd_client.h"

namespace weft {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(5);
// A join tries each of the issuer's gateways for a while, a test each hop of each of them.
constexpr absl::Duration kJoinTimeout = absl::Seconds(30);
constexpr absl::Duration kTestTimeout = absl::Minutes(2);

int Fail(const absl::Status& status) {
  fprintf(stderr, "weftctl: %s\n", std::string(status.message()).c_str());
  return 1;
}

// Calls a method of weft.admin.v1.Links.
template <typename Response, typename Request>
absl::StatusOr<Response> Call(const LinkOptions& options, absl::string_view method,
                              const Request& request, absl::Duration timeout = kTimeout) {
  const absl::StatusOr<std::string> socket = AdminSocketOf(options.of);
  if (!socket.ok()) return socket.status();
  const auto answer = CallWeftd(*socket, absl::StrCat("/weft.admin.v1.Links/", method),
                                request.SerializeAsString(), timeout);
  if (!answer.ok()) return answer.status();
  Response response;
  if (!response.ParseFromString(*answer)) {
    return absl::InternalError(absl::StrCat("weftd's answer to ", method, " cannot be read"));
  }
  return response;
}

void PrintJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions print;
  print.add_whitespace = true;
  print.always_print_primitive_fields = true;
  std::string json;
  if (google::protobuf::util::MessageToJsonString(message, &json, print).ok()) {
    fputs(json.c_str(), stdout);
  }
}

// As JSON, or as `text` says it.
template <typename Message>
void Print(const LinkOptions& options, const Message& message,
           const std::function<std::string(const Message&)>& text) {
  if (options.json) return PrintJson(message);
  fputs(text(message).c_str(), stdout);
}

// In a command line others see it, and a shell keeps it: hence by standard input as well.
std::string TokenOf(const LinkOptions& options) {
  if (options.token != "-") return options.token;
  std::string line;
  std::getline(std::cin, line);
  return line;
}

}  // namespace

absl::StatusOr<absl::Duration> ParseValidity(absl::string_view text) {
  absl::Duration parsed;
  const bool whole = absl::ParseDuration(text, &parsed) && parsed >= absl::Seconds(1) &&
                     parsed % absl::Seconds(1) == absl::ZeroDuration();
  if (whole) return parsed;
  return absl::InvalidArgumentError(
      absl::StrCat("--valid '", text, "': use a time such as 90s, 15m or 1h"));
}

int MakeLinkToken(const LinkOptions& options) {
  const absl::StatusOr<absl::Duration> valid = ParseValidity(options.valid);
  if (!valid.ok()) return Fail(valid.status());
  admin::v1::CreateTokenRequest request;
  request.set_valid_seconds(absl::ToInt64Seconds(*valid));
  const auto made = Call<admin::v1::CreateTokenResponse>(options, "CreateToken", request);
  if (!made.ok()) return Fail(made.status());
  Print<admin::v1::CreateTokenResponse>(
      options, *made, [](const auto& response) { return absl::StrCat(response.token(), "\n"); });
  return 0;
}

int JoinLink(const LinkOptions& options) {
  admin::v1::JoinRequest request;
  request.set_token(TokenOf(options));
  const auto joined = Call<admin::v1::JoinResponse>(options, "Join", request, kJoinTimeout);
  if (!joined.ok()) return Fail(joined.status());
  Print<admin::v1::JoinResponse>(options, *joined, [](const auto& response) {
    return absl::StrCat("linked with ", response.cluster(), "\n");
  });
  return 0;
}

int ListLinks(const LinkOptions& options) {
  const auto links = Call<admin::v1::ListResponse>(options, "List", admin::v1::ListRequest());
  if (!links.ok()) return Fail(links.status());
  Print<admin::v1::ListResponse>(options, *links, LinkTable);
  return 0;
}

int ShowLink(const LinkOptions& options) {
  const auto links = Call<admin::v1::ListResponse>(options, "List", admin::v1::ListRequest());
  if (!links.ok()) return Fail(links.status());
  for (const admin::v1::Link& link : links->links()) {
    if (link.cluster() != options.peer) continue;
    Print<admin::v1::Link>(options, link, LinkDetails);
    return 0;
  }
  return Fail(absl::NotFoundError(absl::StrCat("there is no link with '", options.peer, "'")));
}

int RemoveLink(const LinkOptions& options) {
  admin::v1::RemoveRequest request;
  request.set_cluster(options.peer);
  const auto removed = Call<admin::v1::RemoveResponse>(options, "Remove", request);
  if (!removed.ok()) return Fail(removed.status());
  printf("the link with %s was removed here; remove it there as well\n", options.peer.c_str());
  return 0;
}

int SetLinkCost(const LinkOptions& options) {
  admin::v1::SetCostRequest request;
  request.set_cluster(options.peer);
  request.set_cost(options.cost);
  const auto set = Call<admin::v1::SetCostResponse>(options, "SetCost", request);
  if (!set.ok()) return Fail(set.status());
  printf("the link with %s costs %u\n", options.peer.c_str(), options.cost);
  return 0;
}

int TestLink(const LinkOptions& options) {
  admin::v1::TestRequest request;
  request.set_cluster(options.peer);
  const auto test = Call<admin::v1::TestResponse>(options, "Test", request, kTestTimeout);
  if (!test.ok()) return Fail(test.status());
  Print<admin::v1::TestResponse>(options, *test, HopTable);
  for (const admin::v1::Hop& hop : test->hops()) {
    if (!hop.ok()) return 1;
  }
  return 0;
}

}  // namespace weft
