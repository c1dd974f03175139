#include "test/apiserver/webhook_for_test.h"

#include <utility>

#include "proxy/tls/tls_stream.h"
#include "test/apiserver/http.h"

namespace weft::apiserver {

WebhookForTest::WebhookForTest(const TlsCertificate& certificate, Answer answer)
    : answer_(std::move(answer)) {
  ServerTlsOptions options;
  options.certificate = certificate;
  tls_ = ServerTlsContext::Create(std::move(options)).value();
  listener_ =
      Listener::Create(loop_, Address::Parse("127.0.0.1:0").value(), Listener::Options()).value();
  thread_ = std::thread([this] {
    accepting_.Spawn(Accept());
    loop_.Run();
    accepting_.Cancel();
    connections_.Cancel();
  });
}

WebhookForTest::~WebhookForTest() {
  loop_.Stop();
  thread_.join();
}

Task<> WebhookForTest::Accept() {
  while (true) {
    std::unique_ptr<TcpStream> accepted = co_await listener_->Accept();
    connections_.Spawn(Serve(std::move(accepted)));
  }
}

Task<> WebhookForTest::Serve(std::unique_ptr<TcpStream> accepted) {
  auto stream = co_await TlsStream::Accept(loop_, std::move(accepted), tls_, Buffer(),
                                           loop_.Now() + absl::Seconds(10));
  if (!stream.ok()) co_return;
  RequestReader reader(loop_, **stream);
  Request request;
  std::string authorization;
  const bool read = co_await reader.Next(request, authorization);
  if (!read) co_return;
  const Json review = Json::parse(request.body, nullptr, false);
  Json answer = {{"apiVersion", "admission.k8s.io/v1"}, {"kind", "AdmissionReview"}};
  answer["response"] = answer_(review["request"]);
  answer["response"]["uid"] = review["request"]["uid"];
  ResponseWriter writer(loop_, **stream, request, false);
  const Response response(answer);
  (void)co_await writer.Respond(response);
  (*stream)->CloseWrite();
}

}  // namespace weft::apiserver
