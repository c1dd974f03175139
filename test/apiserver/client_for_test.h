// ClientForTest: a plain HTTP/1.1 connection to the server, blocking, that shows all that came.
#ifndef WEFT_TEST_APISERVER_CLIENT_FOR_TEST_H_
#define WEFT_TEST_APISERVER_CLIENT_FOR_TEST_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "proxy/base/buffer.h"
#include "proxy/http/h1_decoder.h"
#include "test/apiserver/server.h"

namespace weft::apiserver {

struct Answered {
  int code = 0;  // 0: the connection was cut
  std::string body;
  std::string retry_after;

  Json json() const { return Json::parse(body, nullptr, false); }
};

class ClientForTest {
 public:
  explicit ClientForTest(const ApiServer& server);
  ~ClientForTest();
  ClientForTest(const ClientForTest&) = delete;
  ClientForTest& operator=(const ClientForTest&) = delete;

  Answered Do(const std::string& method, const std::string& target, const std::string& body = "",
              const std::string& type = "application/json");

  // Begins a request whose answer is a stream; the code of its head.
  int Open(const std::string& target);
  // The next line; "" when the stream ended, "cut" when it broke, "silence" after `patience`.
  std::string Line(absl::Duration patience = absl::Seconds(5));
  // The pieces in which the last answer's body came, as chunks.
  const std::vector<size_t>& pieces() const { return pieces_; }

 private:
  void Send(const std::string& method, const std::string& target, const std::string& body,
            const std::string& type);
  H1Decoder::Event Next(absl::Duration patience, bool* silent = nullptr);

  const int fd_;
  H1Decoder decoder_{H1Decoder::Role::kResponses};
  Buffer in_;
  std::string text_;
  std::vector<size_t> pieces_;
  bool used_ = false;
};

}  // namespace weft::apiserver

#endif  // WEFT_TEST_APISERVER_CLIENT_FOR_TEST_H_
