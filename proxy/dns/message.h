// DNS messages (RFC 1035, EDNS RFC 6891): what a resolver's query asks, and the answers to it that
// the proxy gives itself. Pure: bytes in, values out, values in, bytes out.
#ifndef WEFT_PROXY_DNS_MESSAGE_H_
#define WEFT_PROXY_DNS_MESSAGE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "proxy/net/address.h"

namespace weft::dns {

// RFC 1035 section 4.1.1, RFC 6891 section 9.
enum class Rcode : uint8_t {
  kNoError = 0,
  kFormErr = 1,
  kServFail = 2,
  kNxDomain = 3,
  kNotImp = 4,
  kRefused = 5,
  kBadVers = 16,
};

inline constexpr uint16_t kTypeA = 1;
inline constexpr uint16_t kTypeHinfo = 13;
inline constexpr uint16_t kTypeAaaa = 28;
inline constexpr uint16_t kTypeOpt = 41;
inline constexpr uint16_t kTypeAny = 255;
inline constexpr uint16_t kClassIn = 1;

// The largest UDP answer without EDNS, and the largest we send with it: what fits a common path
// without fragments (the value of DNS flag day 2020).
inline constexpr size_t kPlainUdpSize = 512;
inline constexpr size_t kLargestUdpSize = 1232;

struct Query {
  uint16_t id = 0;
  bool recursion_desired = false;
  uint8_t opcode = 0;
  std::string name;  // lower case, without the final dot; "" is the root
  uint16_t type = 0;
  uint16_t class_ = 0;
  bool edns = false;
  uint8_t edns_version = 0;
  uint16_t udp_size = kPlainUdpSize;
  // The question section as it came: an answer repeats it byte for byte (0x20 case included).
  std::string question;
};

enum class ParseResult {
  kQuery,
  kMalformed,  // answer FORMERR if there is an id to answer to
  kDrop,       // not even a header, or not a query: no answer, so that two servers cannot loop
};

// Reads a query. After kMalformed, `query` holds id and flags, which is what FORMERR needs.
ParseResult ParseQuery(absl::string_view message, Query* query);

// An answer with addresses of the asked type (none: NODATA). Longer than `limit` bytes: truncated
// (TC), so that the resolver comes again over TCP.
std::string AddressAnswer(const Query& query, absl::Span<const Address> addresses, uint32_t ttl,
                          size_t limit);
// An answer without records.
std::string EmptyAnswer(const Query& query, Rcode rcode);
// The minimal answer to ANY (RFC 8482 section 4.2).
std::string RefuseAny(const Query& query);

// Whether `response` is an answer to `query` as it was sent with `id`: same id, a response, same
// question. A forged answer fails here.
bool Answers(absl::string_view response, uint16_t id, const Query& query);

}  // namespace weft::dns

#endif  // WEFT_PROXY_DNS_MESSAGE_H_
