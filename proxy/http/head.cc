#include "proxy/http/head.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"

namespace weft {
namespace {

// In the order of KnownHeader.
constexpr absl::string_view kKnownHeaderNames[] = {
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "date",
    "expect",
    "grpc-status",
    "host",
    "keep-alive",
    "proxy-connection",
    "server",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "x-envoy-attempt-count",
    "x-envoy-decorator-operation",
    "x-envoy-expected-rq-timeout-ms",
    "x-envoy-max-retries",
    "x-envoy-peer-metadata",
    "x-envoy-peer-metadata-id",
    "x-envoy-retry-on",
    "x-envoy-upstream-rq-timeout-ms",
    "x-envoy-upstream-service-time",
    "x-forwarded-client-cert",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-request-id",
};
static_assert(std::size(kKnownHeaderNames) == kKnownHeaders);

constexpr size_t kLongestKnownName = 30;
constexpr size_t kMostOfOneLength = 4;

// The known names of each length: few enough that the first letter nearly decides.
struct NamesByLength {
  uint8_t count[kLongestKnownName + 1] = {};
  uint8_t known[kLongestKnownName + 1][kMostOfOneLength] = {};
};

constexpr NamesByLength MakeNamesByLength() {
  NamesByLength names;
  for (size_t i = 0; i < kKnownHeaders; ++i) {
    const size_t length = kKnownHeaderNames[i].size();
    names.known[length][names.count[length]++] = static_cast<uint8_t>(i);
  }
  return names;
}

constexpr NamesByLength kNamesByLength = MakeNamesByLength();

template <typename Word>
bool SameWord(const char* name, const char* lower) {
  Word a, b;
  std::memcpy(&a, name, sizeof(a));
  std::memcpy(&b, lower, sizeof(b));
  return (a | static_cast<Word>(0x2020202020202020u)) == b;
}

// Whether `name` is the known name `lower`, of the same size, in any case; a word at a time, since
// this is done for every field of every message. Letters, digits and '-', which known names are
// made of, have the bit that tells lower case from capitals; and of what a name may hold (RFC 9110,
// section 5.6.2), setting it turns nothing but capitals into them.
bool IsKnownName(absl::string_view name, absl::string_view lower) {
  const size_t size = lower.size();
  const char* const a = name.data();
  const char* const b = lower.data();
  size_t at = 0;
  for (; size - at >= 8; at += 8) {
    if (!SameWord<uint64_t>(a + at, b + at)) return false;
  }
  if (size - at >= 4) {
    if (!SameWord<uint32_t>(a + at, b + at)) return false;
    at += 4;
  }
  for (; at < size; ++at) {
    if ((a[at] | 0x20) != b[at]) return false;
  }
  return true;
}

// Most names differ in their sizes: no call for those.
inline bool SameName(absl::string_view a, absl::string_view b) {
  return a.size() == b.size() && absl::EqualsIgnoreCase(a, b);
}

inline bool NameStartsWith(absl::string_view name, absl::string_view prefix) {
  return name.size() >= prefix.size() && (name[0] | 0x20) == (prefix[0] | 0x20) &&
         absl::StartsWithIgnoreCase(name, prefix);
}

template <typename Call>  // void(absl::string_view token)
void ForEachToken(const Headers& headers, KnownHeader field, Call call) {
  if (!headers.Has(field)) return;
  for (const HeaderView header : headers) {
    if (header.known != field) continue;
    for (absl::string_view token : absl::StrSplit(header.value, ',')) {
      token = absl::StripAsciiWhitespace(token);
      if (!token.empty()) call(token);
    }
  }
}

constexpr KnownHeader kHopByHop[] = {
    KnownHeader::kConnection, KnownHeader::kKeepAlive,        KnownHeader::kProxyConnection,
    KnownHeader::kTe,         KnownHeader::kTransferEncoding, KnownHeader::kUpgrade,
};

bool IsHopByHop(KnownHeader known) {
  return std::find(std::begin(kHopByHop), std::end(kHopByHop), known) != std::end(kHopByHop);
}

}  // namespace

KnownHeader IdentifyHeader(absl::string_view name) {
  if (name.size() > kLongestKnownName) return KnownHeader::kOther;
  for (int i = 0; i < kNamesByLength.count[name.size()]; ++i) {
    const uint8_t known = kNamesByLength.known[name.size()][i];
    const absl::string_view candidate = kKnownHeaderNames[known];
    if ((name.back() | 0x20) != candidate.back()) continue;
    if (IsKnownName(name, candidate)) return static_cast<KnownHeader>(known);
  }
  return KnownHeader::kOther;
}

absl::string_view KnownHeaderName(KnownHeader known) {
  return known == KnownHeader::kOther ? "" : kKnownHeaderNames[static_cast<size_t>(known)];
}

std::optional<absl::string_view> Headers::Get(KnownHeader known) const {
  const uint16_t index = first_[static_cast<size_t>(known)];
  if (index == kNone) return std::nullopt;
  return at(index).value;
}

std::optional<absl::string_view> Headers::Get(absl::string_view name) const {
  const size_t index = Find(IdentifyHeader(name), name);
  if (index == kNone) return std::nullopt;
  return at(index).value;
}

size_t Headers::Find(KnownHeader known, absl::string_view name) const {
  if (known != KnownHeader::kOther) return first_[static_cast<size_t>(known)];
  for (size_t i = 0; i < fields_.size(); ++i) {
    if (SameName(at(i).name, name)) return i;
  }
  return kNone;
}

absl::InlinedVector<absl::string_view, 4> Headers::GetAll(absl::string_view name) const {
  absl::InlinedVector<absl::string_view, 4> values;
  for (const HeaderView header : *this) {
    if (SameName(header.name, name)) values.push_back(header.value);
  }
  return values;
}

bool Headers::HasPrefix(absl::string_view prefix) const {
  for (const HeaderView header : *this) {
    if (NameStartsWith(header.name, prefix)) return true;
  }
  return false;
}

void Headers::AddField(KnownHeader known, absl::string_view name, absl::string_view value) {
  Field field;
  field.name_offset = static_cast<uint32_t>(bytes_.size());
  field.name_length = static_cast<uint32_t>(name.size());
  field.value_offset = static_cast<uint32_t>(bytes_.size() + name.size());
  field.value_length = static_cast<uint32_t>(value.size());
  field.known = known;
  AppendBytes(name, value);
  Push(field);
}

// Both may lie in the very block that grows.
void Headers::AppendBytes(absl::string_view a, absl::string_view b) {
  const size_t wanted = bytes_.size() + a.size() + b.size();
  if (wanted <= bytes_.capacity()) {
    bytes_.append(a.data(), a.size()).append(b.data(), b.size());
    return;
  }
  std::string larger;
  larger.reserve(std::max(wanted, 2 * bytes_.capacity()));
  larger.append(bytes_).append(a.data(), a.size()).append(b.data(), b.size());
  bytes_.swap(larger);
}

void Headers::SetField(KnownHeader known, absl::string_view name, absl::string_view value) {
  const size_t first = Find(known, name);
  if (first == kNone) return AddField(known, name, value);
  fields_[first].value_offset = static_cast<uint32_t>(bytes_.size());
  fields_[first].value_length = static_cast<uint32_t>(value.size());
  AppendBytes(value, "");
  const HeaderView kept = at(first);
  const auto repeats = [&kept](const HeaderView& other) {
    return other.known == kept.known &&
           (kept.known != KnownHeader::kOther || SameName(other.name, kept.name));
  };
  for (size_t i = first + 1; i < fields_.size(); ++i) {
    if (!repeats(at(i))) continue;
    size_t index = 0;
    RemoveIf([&](const HeaderView& header) { return index++ > first && repeats(header); });
    return;
  }
}

bool Headers::Remove(KnownHeader known) {
  if (!Has(known)) return false;
  return RemoveIf([known](const HeaderView& header) { return header.known == known; });
}

bool Headers::Remove(absl::string_view name) {
  const KnownHeader known = IdentifyHeader(name);
  if (known != KnownHeader::kOther) return Remove(known);
  return RemoveIf([name](const HeaderView& header) { return SameName(header.name, name); });
}

bool Headers::RemovePrefix(absl::string_view prefix) {
  return RemoveIf(
      [prefix](const HeaderView& header) { return NameStartsWith(header.name, prefix); });
}

void Headers::Clear() {
  bytes_.clear();
  fields_.clear();
  first_.fill(kNone);
}

size_t Headers::byte_size() const {
  size_t total = 0;
  for (const Field& field : fields_) total += field.name_length + field.value_length;
  return total;
}

void Headers::Push(const Field& field) {
  if (field.known != KnownHeader::kOther) {
    uint16_t& first = first_[static_cast<size_t>(field.known)];
    if (first == kNone) first = static_cast<uint16_t>(fields_.size());
  }
  fields_.push_back(field);
}

void Headers::IndexKnown() {
  first_.fill(kNone);
  for (size_t i = fields_.size(); i-- > 0;) {
    if (fields_[i].known == KnownHeader::kOther) continue;
    first_[static_cast<size_t>(fields_[i].known)] = static_cast<uint16_t>(i);
  }
}

void RequestHead::Clear() {
  method.clear();
  scheme.clear();
  authority.clear();
  path.clear();
  version = HttpVersion::kHttp11;
  headers.Clear();
}

void ResponseHead::Clear() {
  status = 0;
  reason.clear();
  version = HttpVersion::kHttp11;
  headers.Clear();
}

bool ListHasToken(const Headers& headers, KnownHeader field, absl::string_view token) {
  bool found = false;
  ForEachToken(headers, field, [&](absl::string_view candidate) {
    found = found || absl::EqualsIgnoreCase(candidate, token);
  });
  return found;
}

absl::string_view RequestedUpgrade(const Headers& headers) {
  if (!headers.Has(KnownHeader::kUpgrade)) return "";
  if (!ListHasToken(headers, KnownHeader::kConnection, "upgrade")) return "";
  return *headers.Get(KnownHeader::kUpgrade);
}

void RemoveHopByHop(Headers& headers) {
  absl::InlinedVector<std::string, 2> named;
  ForEachToken(headers, KnownHeader::kConnection, [&](absl::string_view token) {
    // What says how the connection goes on names no field, as a rule.
    if (absl::EqualsIgnoreCase(token, "close") || absl::EqualsIgnoreCase(token, "keep-alive"))
      return;
    const KnownHeader known = IdentifyHeader(token);
    if (known == KnownHeader::kContentLength || known == KnownHeader::kHost) return;
    if (!IsHopByHop(known)) named.emplace_back(token);
  });
  const bool none = std::none_of(std::begin(kHopByHop), std::end(kHopByHop),
                                 [&](KnownHeader known) { return headers.Has(known); });
  if (none && named.empty()) return;
  headers.RemoveIf([&named](const HeaderView& header) {
    if (IsHopByHop(header.known)) return true;
    return std::any_of(named.begin(), named.end(),
                       [&header](const std::string& name) { return SameName(name, header.name); });
  });
}

}  // namespace weft
