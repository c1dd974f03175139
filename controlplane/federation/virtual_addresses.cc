#include "controlplane/federation/virtual_addresses.h"

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace weft {
namespace {

constexpr absl::string_view kPrefix = "240.240.";
// 1 to 65534: neither the network's own address nor its broadcast address.
constexpr uint32_t kCount = 65534;

// FNV-1a: the same in every build and on every machine, unlike absl::Hash.
uint64_t HashOf(absl::string_view text) {
  uint64_t hash = 14695981039346656037u;
  for (unsigned char c : text) hash = (hash ^ c) * 1099511628211u;
  return hash ^ (hash >> 32);
}

// Of 240.240.0.1 to 240.240.255.254.
std::optional<uint16_t> IndexOf(absl::string_view address) {
  if (!absl::ConsumePrefix(&address, kPrefix)) return std::nullopt;
  const std::vector<absl::string_view> parts = absl::StrSplit(address, '.');
  uint32_t high = 0, low = 0;
  if (parts.size() != 2 || !absl::SimpleAtoi(parts[0], &high) ||
      !absl::SimpleAtoi(parts[1], &low) || high > 255 || low > 255) {
    return std::nullopt;
  }
  const uint32_t index = high << 8 | low;
  if (index < 1 || index > kCount) return std::nullopt;
  return static_cast<uint16_t>(index);
}

}  // namespace

bool VirtualAddresses::Contains(absl::string_view address) { return IndexOf(address).has_value(); }

std::string VirtualAddresses::Ipv6Of(absl::string_view address) {
  const std::optional<uint16_t> index = IndexOf(address);
  return index.has_value() ? absl::StrCat("2001:2::f0f0:", absl::Hex(*index)) : "";
}

bool VirtualAddresses::Reserve(absl::string_view address) {
  const std::optional<uint16_t> index = IndexOf(address);
  if (!index.has_value() || taken_[*index]) return false;
  taken_.set(*index);
  ++count_;
  return true;
}

std::string VirtualAddresses::Allocate(absl::string_view host) {
  if (count_ >= kCount) return "";
  uint32_t index = HashOf(host) % kCount + 1;
  while (taken_[index]) index = index % kCount + 1;
  taken_.set(index);
  ++count_;
  return absl::StrCat(kPrefix, index >> 8, ".", index & 255);
}

}  // namespace weft
