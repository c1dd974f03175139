// CaSource: where a CA that others made is plugged in (ca/plugged_ca.h), and what is there now:
// Secret `cacerts` of weftd's namespace in an API server, by a list and a watch of it alone, or a
// folder, which is looked at each second; what changes in it counts once it stands still, as files
// that are replaced one by one are at odds with each other meanwhile.
//
// What cannot be used is named, and the last good one stays. What was refused is tried again as
// time goes by, and what was good may expire.
//
// Belongs to one loop's thread.
#ifndef WEFT_CONTROLPLANE_CA_CA_SOURCE_H_
#define WEFT_CONTROLPLANE_CA_CA_SOURCE_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "certs/issuer.h"
#include "controlplane/ca/plugged_ca.h"
#include "controlplane/sources/kubernetes/kubeconfig.h"
#include "controlplane/sources/kubernetes/source.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/scope.h"
#include "proxy/runtime/task.h"

namespace weft {

class CaSource {
 public:
  static constexpr absl::Duration kLook = absl::Seconds(1);
  // Between looks at the dates of what did not change.
  static constexpr absl::Duration kDates = absl::Minutes(1);

  // `silence`: of the watch, after which it is made anew.
  static std::unique_ptr<CaSource> OfSecret(EventLoop& loop, Kubeconfig server,
                                            absl::Duration silence, std::string trust_domain);
  // Was read when this returns.
  static std::unique_ptr<CaSource> OfFolder(EventLoop& loop, std::string folder,
                                            std::string trust_domain);
  ~CaSource();
  CaSource(const CaSource&) = delete;
  CaSource& operator=(const CaSource&) = delete;

  // Called when there() or ca() may be another one.
  void OnChange(std::function<void()> on_change) { on_change_ = std::move(on_change); }

  // Whether it is known what is there. Until then there seems to be nothing.
  bool read() const { return read_; }
  // For messages: "Secret weft-system/cacerts", "folder /etc/cacerts".
  const std::string& origin() const { return origin_; }
  // Whether a CA is to come from here: the Secret exists; always true of a folder.
  bool there() const { return there_; }
  // The last good one since it is there; null if there was none.
  const std::shared_ptr<const certs::Issuer>& ca() const { return ca_; }
  // Why what is there is not used; empty if it is.
  const std::string& problem() const { return problem_; }

 private:
  CaSource(EventLoop& loop, std::string origin, std::string trust_domain);
  void OnSecret(const SourceUpdate& update);
  void Take(absl::StatusOr<CaFiles> files);
  void Leave();
  void SetProblem(const absl::Status& status);
  Task<> FollowFolder(std::string folder, absl::StatusOr<CaFiles> last);
  Task<> FollowDates();

  EventLoop& loop_;
  const std::string origin_;
  const std::string trust_domain_;
  std::function<void()> on_change_ = [] {};
  bool read_ = false;
  bool there_ = false;
  absl::StatusOr<CaFiles> files_;
  std::shared_ptr<const certs::Issuer> ca_;
  std::string problem_;
  std::unique_ptr<KubernetesSource> source_;
  Scope tasks_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_CA_CA_SOURCE_H_
