// Fuzzes what reads DNS messages of strangers: a client's query, and an upstream's answer to it.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "proxy/dns/message.h"

namespace weft::dns {
namespace {

// What is made of a query is an answer to it, of a size that was allowed.
void CheckAnswers(const Query& query) {
  if (query.name.size() > 255) std::abort();
  const std::vector<Address> many(100, *Address::Parse("[2001:db8::1]:53"));
  for (const std::string& answer : {AddressAnswer(query, many, 30, query.udp_size),
                                    EmptyAnswer(query, Rcode::kNxDomain), RefuseAny(query)}) {
    if (!Answers(answer, query.id, query)) std::abort();
    if (answer.size() > kLargestUdpSize && answer.size() > query.udp_size) std::abort();
    Query read;
    if (ParseQuery(answer, &read) != ParseResult::kDrop) std::abort();  // no loop of two servers
  }
}

}  // namespace
}  // namespace weft::dns

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace weft::dns;
  const absl::string_view bytes(reinterpret_cast<const char*>(data), size);
  Query query;
  if (ParseQuery(bytes, &query) == ParseResult::kQuery) CheckAnswers(query);

  // An answer that another's bytes forge: only the very question with its id passes.
  Query asked;
  asked.id = 0x1234;
  asked.question = std::string("\3www\7example\3com\0\0\1\0\1", 21);
  if (Answers(bytes, asked.id, asked) &&
      (size < 12 + asked.question.size() || data[0] != 0x12 || data[1] != 0x34)) {
    std::abort();
  }
  return 0;
}
