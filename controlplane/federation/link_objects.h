// LinkObjects: links as objects of kind Link of an API server, which weftd's source follows, and
// tokens as one Secret in weftd's namespace. So all weftds of a cluster agree on them, whichever of
// them made a token, and need no disk for them.
//
// Each write is for the version that was read. Of Secrets it asks for that one by its name, and
// watches it, since a weftd has to know when another one awaits a joiner.
//
// The service account needs get, list, watch, create, patch and delete of links.weft.io; of the
// Secret get, list, watch and patch, and create, which Kubernetes does not know by name. Belongs to
// one event loop.
#ifndef WEFT_CONTROLPLANE_FEDERATION_LINK_OBJECTS_H_
#define WEFT_CONTROLPLANE_FEDERATION_LINK_OBJECTS_H_

#include <functional>
#include <memory>
#include <string>

#include "controlplane/federation/link_store.h"
#include "controlplane/sources/kubernetes/client.h"
#include "controlplane/sources/kubernetes/source.h"
#include "proxy/runtime/event_loop.h"

namespace weft {

class LinkObjects final : public LinkStore {
 public:
  static constexpr char kTokensSecret[] = "weft-link-tokens";
  static constexpr absl::Duration kCallTimeout = absl::Seconds(10);

  // On the loop's thread. `on_tokens`: the watch told of other TokensSeen(). `client` must outlive
  // this.
  LinkObjects(EventLoop& loop, KubernetesClient& client, absl::Duration silence,
              std::function<void()> on_tokens);
  LinkObjects(const LinkObjects&) = delete;
  LinkObjects& operator=(const LinkObjects&) = delete;

  Task<absl::StatusOr<StoredTokens>> LoadTokens() override;
  Task<absl::Status> SaveTokens(LinkTokens tokens, std::string version, absl::Time now) override;
  LinkTokens TokensSeen() const override { return seen_; }
  Task<absl::StatusOr<StoredLinks>> LoadLinks() override;
  Task<absl::Status> PutLink(Peer peer, const StoredLinks& read) override;
  Task<absl::Status> RemoveLink(std::string cluster) override;

 private:
  // The body of the answer. Errors have what the server says: NotFound (404), Aborted (409: another
  // one wrote), PermissionDenied (401, 403), InvalidArgument (400, 422), Unavailable.
  Task<absl::StatusOr<std::string>> Ask(std::string method, std::string path, std::string body);
  void OnSecret(const SourceUpdate& update);

  EventLoop& loop_;
  KubernetesClient& client_;
  const std::function<void()> on_tokens_;
  LinkTokens seen_;
  std::unique_ptr<KubernetesSource> source_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_FEDERATION_LINK_OBJECTS_H_
