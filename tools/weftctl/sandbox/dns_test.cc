#include "tools/weftctl/sandbox/dns.h"

#include <gtest/gtest.h>

namespace weft::sandbox {
namespace {

constexpr char kHeader[] = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00";

std::string Query(const std::string& name, int type) {
  std::string query(kHeader, 12);
  return query + name + std::string("\0\0", 2) + static_cast<char>(type) + std::string("\0\1", 2);
}

int Code(const std::string& response) { return response[3] & 15; }
int Answers(const std::string& response) { return response[7]; }

const DnsTable kTable = {{"web.shop.svc", {"10.96.0.21"}},
                         {"both.shop.svc", {"10.96.0.22", "fd00::16"}}};

TEST(AnswerDns, KnowsServicesInAnyCase) {
  std::string response = AnswerDns(Query("\3Web\4SHOP\3svc", 1), kTable);
  EXPECT_EQ(response.substr(0, 2), "\x12\x34");
  EXPECT_EQ(Code(response), 0);
  ASSERT_EQ(Answers(response), 1);
  EXPECT_EQ(response.substr(response.size() - 4), std::string("\x0a\x60\x00\x15", 4));
}

TEST(AnswerDns, TellsAMissingTypeFromAMissingName) {
  std::string no_data = AnswerDns(Query("\3web\4shop\3svc", 28), kTable);
  EXPECT_EQ(Code(no_data), 0);
  EXPECT_EQ(Answers(no_data), 0);
  EXPECT_EQ(Code(AnswerDns(Query("\4none\4shop\3svc", 1), kTable)), 3);
}

TEST(AnswerDns, KnowsBothIpFamilies) {
  const std::string v4 = AnswerDns(Query("\4both\4shop\3svc", 1), kTable);
  ASSERT_EQ(Answers(v4), 1);
  EXPECT_EQ(v4.substr(v4.size() - 6), std::string("\0\4\x0a\x60\x00\x16", 6));
  const std::string v6 = AnswerDns(Query("\4both\4shop\3svc", 28), kTable);
  ASSERT_EQ(Answers(v6), 1);
  EXPECT_EQ(v6.substr(v6.size() - 18),
            std::string("\0\x10\xfd", 3) + std::string(14, '\0') + "\x16");
}

TEST(AnswerDns, RefusesMalformedQueries) {
  EXPECT_EQ(AnswerDns("short", kTable), "");
  std::string response = AnswerDns(Query("\3web", 1), kTable);
  response[2] = static_cast<char>(0x80);
  EXPECT_EQ(AnswerDns(response, kTable), "");
  const std::string bodies[] = {
      "",                                      // no question
      "\xc0\x0c",                              // a pointer to itself
      std::string("\x3fshort\0\0\1\0\1", 11),  // a label longer than the message
      std::string("\3web\0", 5),               // no type
      std::string(300, '\1'),                  // a name that never ends
  };
  for (const std::string& body : bodies) {
    EXPECT_EQ(Code(AnswerDns(std::string(kHeader, 12) + body, kTable)), 1);
  }
}

}  // namespace
}  // namespace weft::sandbox
