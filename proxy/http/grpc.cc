#include "proxy/http/grpc.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace weft {
namespace {

constexpr absl::string_view kContentType = "application/grpc";
constexpr size_t kMessagePrefix = 5;  // whether it is compressed, and its length

std::optional<absl::Duration> Unit(char unit) {
  switch (unit) {
    case 'H':
      return absl::Hours(1);
    case 'M':
      return absl::Minutes(1);
    case 'S':
      return absl::Seconds(1);
    case 'm':
      return absl::Milliseconds(1);
    case 'u':
      return absl::Microseconds(1);
    case 'n':
      return absl::Nanoseconds(1);
    default:
      return std::nullopt;
  }
}

}  // namespace

bool IsGrpc(const Headers& headers) {
  const auto type = headers.Get(KnownHeader::kContentType);
  if (!type.has_value() || !absl::StartsWithIgnoreCase(*type, kContentType)) return false;
  const absl::string_view rest = type->substr(kContentType.size());
  return rest.empty() || rest[0] == '+' || rest[0] == ';' || rest[0] == ' ';
}

int GrpcStatusOf(int http_status) {
  switch (http_status) {
    case 400:
      return 13;  // INTERNAL
    case 401:
      return 16;  // UNAUTHENTICATED
    case 403:
      return 7;  // PERMISSION_DENIED
    case 404:
      return 12;  // UNIMPLEMENTED
    case 429:
    case 502:
    case 503:
    case 504:
      return 14;  // UNAVAILABLE
    default:
      return 2;  // UNKNOWN
  }
}

std::optional<int> GrpcStatusIn(const Headers& headers) {
  const auto value = headers.Get(KnownHeader::kGrpcStatus);
  int status = 0;
  if (!value.has_value() || !absl::SimpleAtoi(*value, &status)) return std::nullopt;
  return status;
}

std::string GrpcMessage(absl::string_view text) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string message;
  message.reserve(text.size());
  for (const char c : text) {
    const uint8_t byte = static_cast<uint8_t>(c);
    if (byte >= 0x20 && byte <= 0x7e && c != '%') {
      message.push_back(c);
      continue;
    }
    message.push_back('%');
    message.push_back(kHex[byte >> 4]);
    message.push_back(kHex[byte & 15]);
  }
  return message;
}

std::string FramedMessage(absl::string_view message) {
  const auto size = static_cast<uint32_t>(message.size());
  const char prefix[kMessagePrefix] = {0, static_cast<char>(size >> 24),
                                       static_cast<char>(size >> 16), static_cast<char>(size >> 8),
                                       static_cast<char>(size)};
  return absl::StrCat(absl::string_view(prefix, kMessagePrefix), message);
}

std::optional<absl::string_view> OnlyMessage(absl::string_view body) {
  if (body.size() < kMessagePrefix || body[0] != 0) return std::nullopt;
  uint32_t size = 0;
  for (const char c : body.substr(1, kMessagePrefix - 1)) {
    size = size << 8 | static_cast<unsigned char>(c);
  }
  body.remove_prefix(kMessagePrefix);
  return size == body.size() ? std::optional(body) : std::nullopt;
}

std::optional<absl::Duration> GrpcTimeout(const Headers& headers) {
  constexpr size_t kMostDigits = 8;
  const auto value = headers.Get("grpc-timeout");
  if (!value.has_value() || value->size() < 2 || value->size() > kMostDigits + 1) {
    return std::nullopt;
  }
  int64_t count = 0;
  for (const char c : value->substr(0, value->size() - 1)) {
    if (!absl::ascii_isdigit(c)) return std::nullopt;
    count = count * 10 + (c - '0');
  }
  const std::optional<absl::Duration> unit = Unit(value->back());
  if (!unit.has_value()) return std::nullopt;
  return count * *unit;
}

std::string GrpcTimeoutText(absl::Duration timeout) {
  constexpr int64_t kMost = 99'999'999;
  const int64_t milliseconds =
      absl::ToInt64Milliseconds(absl::Ceil(timeout, absl::Milliseconds(1)));
  return absl::StrCat(std::min(milliseconds, kMost), "m");
}

}  // namespace weft
