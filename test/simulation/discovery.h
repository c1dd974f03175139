// Discovery: what one weftd sends its proxies: the real Translations and delta subscriptions, over
// streams that take a moment each way and end with the weftd.
#ifndef WEFT_TEST_SIMULATION_DISCOVERY_H_
#define WEFT_TEST_SIMULATION_DISCOVERY_H_

#include <functional>
#include <memory>
#include <vector>

#include "controlplane/ads/client.h"
#include "controlplane/translate/resources.h"
#include "controlplane/translations.h"
#include "test/simulation/context.h"
#include "test/simulation/proxy.h"

namespace weft::simulation {

class Discovery : public std::enable_shared_from_this<Discovery> {
 public:
  struct Client {
    Proxy* proxy;  // outlives this, or is replaced
    ProxyView view;
    std::function<void()> updated;  // after it took an update
  };

  Discovery(Context& context, std::vector<Client> clients);

  // The first World lets the proxies in.
  void Publish(std::shared_ptr<const World> world);
  // The proxy at this place restarts as another one.
  void Replace(size_t client, Proxy* proxy);

 private:
  struct Stream {
    Client client;
    uint64_t number = 0;  // of the connection: what is on its way for an earlier one is lost
    std::unique_ptr<DeltaAdsClient> ads;
  };

  void Connect(size_t index);
  void Ask(size_t index, std::vector<ResourceRequest> requests);
  void OnRequest(size_t index, const ResourceRequest& request);
  void Push(size_t index);
  void PushAll();

  Context& context_;
  std::vector<Stream> streams_;
  Translations translations_;
  std::shared_ptr<const World> world_;
  bool push_due_ = false;
  uint64_t version_ = 0;
};

}  // namespace weft::simulation

#endif  // WEFT_TEST_SIMULATION_DISCOVERY_H_
