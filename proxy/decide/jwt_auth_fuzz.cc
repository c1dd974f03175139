// Fuzzes what looks for tokens in a request and what it makes of them: a request that shows
// whatever bytes is let through only with a token of the issuer, and whatever a token of the issuer
// says cannot break the request that goes on.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "certs/test_jwt.h"
#include "proxy/decide/jwt_auth.h"

namespace weft {
namespace {

using certs::JwtStatus;

// An HMAC, since it signs and verifies fast.
const certs::TestJwtKey& Key() {
  static const auto* key = new certs::TestJwtKey("HS256");
  return *key;
}

const JwtAuthnConfig& Config() {
  static const auto* config = [] {
    auto* made = new JwtAuthnConfig();
    JwtProvider& provider = made->providers.emplace_back();
    provider.name = "a";
    provider.local_keys = *certs::Jwks::Parse(Key().KeySet());
    provider.from_headers = {{"authorization", "Bearer "}, {"x-token", ""}};
    provider.from_params = {"t"};
    provider.from_cookies = {"t"};
    provider.forward_payload_header = "x-payload";
    provider.claim_headers = {{"x-sub", {"sub"}}, {"x-deep", {"a", "b"}}};
    provider.payload_in_metadata = "payload";
    provider.space_delimited_claims = {"scope"};
    provider.max_cached_bytes = 4096;
    made->rules.emplace_back().requirement.emplace();
    return made;
  }();
  return *config;
}

// The path, and then a field a line, as a decoder would let them through.
RequestHead HeadOf(absl::string_view bytes) {
  RequestHead head;
  head.method = "GET";
  head.authority = "h";
  bool first = true;
  for (absl::string_view line : absl::StrSplit(bytes, '\n')) {
    if (first) {
      head.path = absl::StrCat("/", line);
      first = false;
      continue;
    }
    const size_t colon = line.find(':');
    if (colon == 0 || colon == absl::string_view::npos) continue;
    head.headers.Add(line.substr(0, colon), absl::StripAsciiWhitespace(line.substr(colon + 1)));
  }
  return head;
}

bool HasControls(absl::string_view text) {
  for (const char c : text) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) return true;
  }
  return false;
}

JwtVerdict Ask(const RequestHead& head) {
  static auto* cache = new JwtCache();
  const KeySets none;
  bool problem = false;
  const JwtRequirement* requirement = RequirementFor(Config(), nullptr, head, 0, &problem);
  if (requirement == nullptr || problem) std::abort();
  const JwtSurroundings around = {none, absl::FromUnixSeconds(1'700'000'000), *cache};
  return VerifyTokens(Config(), *requirement, head, around);
}

void Unsigned(absl::string_view bytes) {
  RequestHead head = HeadOf(bytes);
  RemoveForged(Config(), head.headers);
  const JwtVerdict verdict = Ask(head);
  if (verdict.status == JwtStatus::kOk || !verdict.tokens.empty()) std::abort();
  const std::string challenge = Challenge(verdict.status, head, "http");
  if (HasControls(challenge) || HasControls(JwtDetails(verdict.status))) std::abort();
}

void Signed(absl::string_view payload) {
  const std::string token = Key().Token(std::string(payload));
  RequestHead head;
  head.method = "GET";
  head.path = absl::StrCat("/a?x=1&t=", token, "&y=2");
  head.headers.Add("authorization", absl::StrCat("Bearer ", token));
  const JwtVerdict verdict = Ask(head);
  if (verdict.status != JwtStatus::kOk) return;
  ApplyTokens(verdict.tokens, head);
  (void)MetadataOf(verdict.tokens);
  if (absl::StrContains(head.path, token) || head.headers.Has("authorization")) std::abort();
  for (const HeaderView header : head.headers) {
    if (HasControls(header.value)) std::abort();
  }
}

}  // namespace
}  // namespace weft

// The first byte chooses whose the others are: a client's request, or a payload of the issuer's.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const absl::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] & 1) {
    weft::Signed(bytes);
  } else {
    weft::Unsigned(bytes);
  }
  return 0;
}
