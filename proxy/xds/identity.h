// Identity: gets the proxy's certificate from the control plane's CA and renews it in time.
//
// The private key is made here and never leaves the process. Who the proxy is, the CA learns from a
// token that is read anew for each request, since it is rotated under us.
#ifndef WEFT_PROXY_XDS_IDENTITY_H_
#define WEFT_PROXY_XDS_IDENTITY_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "certs/spiffe_id.h"
#include "certs/trust_bundle.h"
#include "proxy/net/address.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/task.h"
#include "proxy/tls/tls_context.h"

namespace weft {

class ByteStream;

struct IdentityOptions {
  certs::SpiffeId id;
  std::string cluster;  // whose API server knows our token
  std::string token_path;
  std::string root_cert_path;  // trusted for the control plane's trust domain, which is ours
  // What the control plane said since of the roots of that domain, PEM; empty if nothing. Trusted
  // beside the file, which whoever keeps it may bring up to date a while later.
  std::function<std::string()> announced_roots;
  Address discovery;
  std::optional<uint32_t> mark;
};

class Identity {
 public:
  // `on_certificate` is called for the first and each later certificate.
  Identity(EventLoop& loop, IdentityOptions options,
           std::function<void(const TlsCertificate&)> on_certificate);

  // Never ends; destroy it to stop.
  Task<> Run();
  // The present certificate is no longer good: gets another one now. Asked again and again, it does
  // so once a second at most.
  void Renew();

  // A stream to the control plane: TLS with our certificate once there is one, verified to be weftd
  // of our trust domain.
  Task<absl::StatusOr<std::unique_ptr<ByteStream>>> ConnectToControlPlane();

  // Valid once the first certificate came.
  const TlsCertificate& certificate() const { return certificate_; }
  bool has_certificate() const { return !certificate_.chain_pem.empty(); }

 private:
  Task<absl::StatusOr<TlsCertificate>> Request();
  Task<> WaitForRenewal(absl::Duration at_most);

  EventLoop& loop_;
  const IdentityOptions options_;
  const std::function<void(const TlsCertificate&)> on_certificate_;
  TlsCertificate certificate_;
  bool renew_ = false;
  Signal renewal_;
};

}  // namespace weft

#endif  // WEFT_PROXY_XDS_IDENTITY_H_
