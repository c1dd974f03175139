// CaBundle: keeps the webhook configurations of a cluster able to call weftd: the roots by which an
// API server believes weftd's certificate stand in each of their webhooks, whatever anybody else
// writes there.
//
// weftd's configurations are those labelled `app: weftd`; where there is a label `istio.io/rev` as
// well, only those of this weftd's revision. Needs a ClusterRole with list, watch and patch of
// mutatingwebhookconfigurations and validatingwebhookconfigurations.
#ifndef WEFT_CONTROLPLANE_WEBHOOK_CA_BUNDLE_H_
#define WEFT_CONTROLPLANE_WEBHOOK_CA_BUNDLE_H_

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "api/yaml/document.h"
#include "controlplane/sources/kubernetes/client.h"
#include "controlplane/sources/kubernetes/source.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/scope.h"
#include "proxy/runtime/task.h"

namespace weft::webhook {

// What makes `configuration` (a Mutating- or ValidatingWebhookConfiguration) have the roots in all
// its webhooks: a JSON patch that only fits the object as it is. Nothing if there is nothing to do,
// or if it is not weftd's. Pure.
std::optional<std::string> CaBundlePatch(const YamlNode& configuration, absl::string_view roots_pem,
                                         absl::string_view revision);

class CaBundle {
 public:
  // Between two writes of one object: somebody who writes something else there, again and again, is
  // not answered faster.
  static constexpr absl::Duration kBetweenWrites = absl::Seconds(2);
  static constexpr absl::Duration kCallTimeout = absl::Seconds(15);
  // Between attempts that fail, doubling.
  static constexpr absl::Duration kBackoffFirst = absl::Seconds(1);
  static constexpr absl::Duration kBackoffMost = absl::Seconds(30);

  // On the loop's thread. `client` must outlive this.
  CaBundle(EventLoop& loop, KubernetesClient& client, std::string roots_pem, std::string revision);
  CaBundle(const CaBundle&) = delete;
  CaBundle& operator=(const CaBundle&) = delete;

 private:
  struct Due {
    std::string patch;
    MonotonicTime when;
  };

  void OnUpdate(SourceUpdate update);
  Task<> Write();
  Task<> WriteOne(ObjectKey key, std::string patch);
  std::map<ObjectKey, Due>::iterator Next();

  EventLoop& loop_;
  KubernetesClient& client_;
  const std::string roots_pem_;
  const std::string revision_;
  std::map<ObjectKey, Due> due_;
  std::map<ObjectKey, MonotonicTime> written_;
  absl::Duration backoff_ = kBackoffFirst;
  Signal changed_;
  Scope tasks_;
  std::unique_ptr<KubernetesSource> source_;
};

}  // namespace weft::webhook

#endif  // WEFT_CONTROLPLANE_WEBHOOK_CA_BUNDLE_H_
