#include "proxy/http/head.h"

#include <algorithm>

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

bool IsHopByHop(KnownHeader known) {
  switch (known) {
    case KnownHeader::kConnection:
    case KnownHeader::kKeepAlive:
    case KnownHeader::kProxyConnection:
    case KnownHeader::kTe:
    case KnownHeader::kTransferEncoding:
    case KnownHeader::kUpgrade:
      return true;
    default:
      return false;
  }
}

}  // namespace

KnownHeader IdentifyHeader(absl::string_view name) {
  if (name.size() > kLongestKnownName) return KnownHeader::kOther;
  for (int i = 0; i < kNamesByLength.count[name.size()]; ++i) {
    const uint8_t known = kNamesByLength.known[name.size()][i];
    const absl::string_view candidate = kKnownHeaderNames[known];
    if ((name.back() | 0x20) != candidate.back()) continue;
    if (absl::EqualsIgnoreCase(name, candidate)) return static_cast<KnownHeader>(known);
  }
  return KnownHeader::kOther;
}

absl::string_view KnownHeaderName(KnownHeader known) {
  return known == KnownHeader::kOther ? "" : kKnownHeaderNames[static_cast<size_t>(known)];
}

HeaderView Headers::at(size_t index) const {
  const Field& field = fields_[index];
  const char* bytes = bytes_.data();
  return {{bytes + field.name_offset, field.name_length},
          {bytes + field.value_offset, field.value_length},
          field.known};
}

std::optional<absl::string_view> Headers::Get(KnownHeader known) const {
  const uint16_t index = first_[static_cast<size_t>(known)];
  if (index == kNone) return std::nullopt;
  return at(index).value;
}

std::optional<absl::string_view> Headers::Get(absl::string_view name) const {
  const KnownHeader known = IdentifyHeader(name);
  if (known != KnownHeader::kOther) return Get(known);
  for (const HeaderView header : *this) {
    if (absl::EqualsIgnoreCase(header.name, name)) return header.value;
  }
  return std::nullopt;
}

absl::InlinedVector<absl::string_view, 4> Headers::GetAll(absl::string_view name) const {
  absl::InlinedVector<absl::string_view, 4> values;
  for (const HeaderView header : *this) {
    if (absl::EqualsIgnoreCase(header.name, name)) values.push_back(header.value);
  }
  return values;
}

bool Headers::HasPrefix(absl::string_view prefix) const {
  for (const HeaderView header : *this) {
    if (absl::StartsWithIgnoreCase(header.name, prefix)) return true;
  }
  return false;
}

void Headers::Add(absl::string_view name, absl::string_view value) {
  Field field;
  field.name_offset = static_cast<uint32_t>(bytes_.size());
  field.name_length = static_cast<uint32_t>(name.size());
  field.value_offset = static_cast<uint32_t>(bytes_.size() + name.size());
  field.value_length = static_cast<uint32_t>(value.size());
  field.known = IdentifyHeader(name);
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

void Headers::Set(absl::string_view name, absl::string_view value) {
  size_t first = fields_.size();
  bool repeated = false;
  const auto own = [this](size_t i) {
    return absl::string_view(bytes_.data() + fields_[i].name_offset, fields_[i].name_length);
  };
  for (size_t i = 0; i < fields_.size(); ++i) {
    if (!absl::EqualsIgnoreCase(own(i), name)) continue;
    repeated = first < fields_.size();
    if (repeated) break;
    first = i;
  }
  if (first == fields_.size()) return Add(name, value);
  fields_[first].value_offset = static_cast<uint32_t>(bytes_.size());
  fields_[first].value_length = static_cast<uint32_t>(value.size());
  AppendBytes(value, "");
  if (!repeated) return;
  const absl::string_view kept = own(first);
  bool is_first = true;
  RemoveIf([&](const HeaderView& header) {
    if (!absl::EqualsIgnoreCase(header.name, kept)) return false;
    return !std::exchange(is_first, false);
  });
}

bool Headers::Remove(KnownHeader known) {
  if (!Has(known)) return false;
  return RemoveIf([known](const HeaderView& header) { return header.known == known; });
}

bool Headers::Remove(absl::string_view name) {
  const KnownHeader known = IdentifyHeader(name);
  if (known != KnownHeader::kOther) return Remove(known);
  return RemoveIf(
      [name](const HeaderView& header) { return absl::EqualsIgnoreCase(header.name, name); });
}

bool Headers::RemovePrefix(absl::string_view prefix) {
  return RemoveIf([prefix](const HeaderView& header) {
    return absl::StartsWithIgnoreCase(header.name, prefix);
  });
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
  headers.RemoveIf([&named](const HeaderView& header) {
    if (IsHopByHop(header.known)) return true;
    return std::any_of(named.begin(), named.end(), [&header](const std::string& name) {
      return absl::EqualsIgnoreCase(name, header.name);
    });
  });
}

}  // namespace weft
