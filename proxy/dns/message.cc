#include "proxy/dns/message.h"

#include <algorithm>

#include "absl/strings/ascii.h"

namespace weft::dns {
namespace {

constexpr size_t kHeaderSize = 12;
constexpr size_t kLongestName = 255;  // RFC 1035 section 2.3.4
constexpr size_t kLongestLabel = 63;

constexpr uint16_t kFlagResponse = 0x8000;
constexpr uint16_t kFlagAuthoritative = 0x0400;
constexpr uint16_t kFlagTruncated = 0x0200;
constexpr uint16_t kFlagRecursionDesired = 0x0100;
constexpr uint16_t kFlagRecursionAvailable = 0x0080;

// A cursor over a message; every read checks what is left.
class Reader {
 public:
  explicit Reader(absl::string_view bytes) : bytes_(bytes) {}

  bool Number16(uint16_t* value) {
    if (bytes_.size() - at_ < 2) return false;
    *value = static_cast<uint16_t>(Byte(at_) << 8 | Byte(at_ + 1));
    at_ += 2;
    return true;
  }
  bool Skip(size_t count) {
    if (bytes_.size() - at_ < count) return false;
    at_ += count;
    return true;
  }
  // A name without compression: nothing in a query comes before its first name, so a pointer there
  // can only point forward or at itself.
  bool Name(std::string* name) {
    size_t length = 0;
    while (true) {
      if (at_ >= bytes_.size()) return false;
      const size_t label = Byte(at_++);
      if (label == 0) return true;
      length += label + 1;
      if (label > kLongestLabel || length + 1 > kLongestName) return false;
      if (bytes_.size() - at_ < label) return false;
      if (!name->empty()) name->push_back('.');
      for (size_t i = 0; i < label; ++i) {
        name->push_back(absl::ascii_tolower(bytes_[at_ + i]));
      }
      at_ += label;
    }
  }
  size_t at() const { return at_; }

 private:
  uint8_t Byte(size_t at) const { return static_cast<uint8_t>(bytes_[at]); }

  absl::string_view bytes_;
  size_t at_ = 0;
};

void Put16(std::string& out, uint16_t value) {
  out.push_back(static_cast<char>(value >> 8));
  out.push_back(static_cast<char>(value & 0xff));
}

void Put32(std::string& out, uint32_t value) {
  Put16(out, static_cast<uint16_t>(value >> 16));
  Put16(out, static_cast<uint16_t>(value & 0xffff));
}

void PutHeader(std::string& out, const Query& query, uint16_t flags, Rcode rcode,
               uint16_t answers) {
  flags |= kFlagResponse | kFlagRecursionAvailable | static_cast<uint16_t>(query.opcode << 11);
  if (query.recursion_desired) flags |= kFlagRecursionDesired;
  flags |= static_cast<uint16_t>(rcode) & 0x0f;
  Put16(out, query.id);
  Put16(out, flags);
  Put16(out, query.question.empty() ? 0 : 1);
  Put16(out, answers);
  Put16(out, 0);
  Put16(out, query.edns ? 1 : 0);
  out += query.question;
}

// The OPT record closes an answer to a query that had one (RFC 6891 section 6.1.1).
void PutOpt(std::string& out, const Query& query, Rcode rcode) {
  if (!query.edns) return;
  out.push_back(0);
  Put16(out, kTypeOpt);
  Put16(out, kLargestUdpSize);
  out.push_back(static_cast<char>(static_cast<uint16_t>(rcode) >> 4));  // extended rcode
  out.push_back(0);                                                     // version
  Put16(out, 0);
  Put16(out, 0);
}

// The additional section: at most one OPT record, and nothing else of interest.
bool ParseAdditional(Reader& reader, uint16_t records, Query* query) {
  for (int i = 0; i < records; ++i) {
    std::string owner;
    uint16_t type, class_, ttl_high, ttl_low, length;
    if (!reader.Name(&owner) || !reader.Number16(&type) || !reader.Number16(&class_) ||
        !reader.Number16(&ttl_high) || !reader.Number16(&ttl_low) || !reader.Number16(&length) ||
        !reader.Skip(length)) {
      return false;
    }
    if (type != kTypeOpt) continue;
    if (query->edns || !owner.empty()) return false;
    query->edns = true;
    query->edns_version = static_cast<uint8_t>(ttl_high & 0xff);
    query->udp_size = std::max<uint16_t>(class_, kPlainUdpSize);
  }
  return true;
}

}  // namespace

ParseResult ParseQuery(absl::string_view message, Query* query) {
  Reader reader(message);
  uint16_t flags, questions, answers, authorities, additional;
  if (!reader.Number16(&query->id) || !reader.Number16(&flags) || !reader.Number16(&questions) ||
      !reader.Number16(&answers) || !reader.Number16(&authorities) ||
      !reader.Number16(&additional)) {
    return ParseResult::kDrop;
  }
  if (flags & kFlagResponse) return ParseResult::kDrop;
  query->recursion_desired = (flags & kFlagRecursionDesired) != 0;
  query->opcode = (flags >> 11) & 0x0f;
  if (questions != 1 || answers != 0 || authorities != 0) return ParseResult::kMalformed;
  std::string name;
  uint16_t type, class_;
  if (!reader.Name(&name) || !reader.Number16(&type) || !reader.Number16(&class_)) {
    return ParseResult::kMalformed;
  }
  query->name = std::move(name);
  query->type = type;
  query->class_ = class_;
  query->question = std::string(message.substr(kHeaderSize, reader.at() - kHeaderSize));
  return ParseAdditional(reader, additional, query) ? ParseResult::kQuery : ParseResult::kMalformed;
}

std::string AddressAnswer(const Query& query, absl::Span<const Address> addresses, uint32_t ttl,
                          size_t limit) {
  std::string records;
  uint16_t count = 0;
  for (const Address& address : addresses) {
    const bool wanted = query.type == (address.family() == AF_INET ? kTypeA : kTypeAaaa);
    if (!wanted) continue;
    Put16(records, 0xc000 | kHeaderSize);  // the name of the question
    Put16(records, query.type);
    Put16(records, kClassIn);
    Put32(records, ttl);
    Put16(records, static_cast<uint16_t>(address.ip_bytes().size()));
    records.append(address.ip_bytes().data(), address.ip_bytes().size());
    ++count;
  }
  constexpr size_t kOptSize = 11;
  const bool fits = kHeaderSize + query.question.size() + records.size() + kOptSize <= limit;
  std::string out;
  PutHeader(out, query, kFlagAuthoritative | (fits ? 0 : kFlagTruncated), Rcode::kNoError,
            fits ? count : 0);
  if (fits) out += records;
  PutOpt(out, query, Rcode::kNoError);
  return out;
}

std::string EmptyAnswer(const Query& query, Rcode rcode) {
  std::string out;
  PutHeader(out, query, 0, rcode, 0);
  PutOpt(out, query, rcode);
  return out;
}

std::string RefuseAny(const Query& query) {
  static constexpr absl::string_view kCpu("\x07RFC8482", 8);
  std::string out;
  PutHeader(out, query, kFlagAuthoritative, Rcode::kNoError, 1);
  Put16(out, 0xc000 | kHeaderSize);
  Put16(out, kTypeHinfo);
  Put16(out, kClassIn);
  Put32(out, 3600);
  Put16(out, static_cast<uint16_t>(kCpu.size() + 1));
  out.append(kCpu.data(), kCpu.size());
  out.push_back(0);  // an empty OS string
  PutOpt(out, query, Rcode::kNoError);
  return out;
}

bool Answers(absl::string_view response, uint16_t id, const Query& query) {
  Reader reader(response);
  uint16_t got_id, flags, questions;
  if (!reader.Number16(&got_id) || !reader.Number16(&flags) || !reader.Number16(&questions)) {
    return false;
  }
  return got_id == id && (flags & kFlagResponse) != 0 && questions == 1 &&
         response.size() >= kHeaderSize + query.question.size() &&
         response.substr(kHeaderSize, query.question.size()) == query.question;
}

}  // namespace weft::dns
