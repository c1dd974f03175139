// ConfigSources: brings ConfigState what the proxy was told, from wherever it is to come: the
// aggregated stream, streams of single types, and files. It asks for what ConfigState says is
// needed, ACKs or NACKs by what it thinks of the answer, and gives up waiting when
// initial_fetch_timeout has passed.
//
// Belongs to the main loop. What nobody needs any more is not asked for; its stream stays open.
#ifndef WEFT_PROXY_XDS_CONFIG_SOURCES_H_
#define WEFT_PROXY_XDS_CONFIG_SOURCES_H_

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "proxy/config/config_state.h"
#include "proxy/runtime/folder_watch.h"
#include "proxy/runtime/scope.h"
#include "proxy/xds/ads_client.h"

namespace weft {

class ConfigSources : public AdsObserver {
 public:
  struct Options {
    // A stream to a cluster of static_resources; in time, or an error.
    std::function<Task<absl::StatusOr<std::unique_ptr<ByteStream>>>(std::string cluster)> connect;
    std::string node;                 // a serialized envoy.config.core.v3.Node
    std::function<void()> on_change;  // ConfigState has something new
    // A server took us for nobody, or for somebody whose certificate is no longer good.
    std::function<void()> on_unauthenticated = [] {};
  };

  struct Stats {
    uint64_t streams = 0;  // begun
    uint64_t accepted = 0;
    uint64_t rejected = 0;
    int connected = 0;  // now
  };

  // `config` must outlive this.
  ConfigSources(EventLoop& loop, ConfigState& config, Options options);

  // The aggregated stream, with what `options` says beyond this class' own node and connect; it
  // runs from StartAds() on.
  void AddAds(AdsClient::Options options);
  // All resources of a type (listeners, clusters, the name table) from `source`.
  void AddAll(absl::string_view type_url, const ConfigSource& source);
  // A type of the aggregated stream that nothing waits for.
  void AlsoAsk(absl::string_view type_url) { all_from_ads_.insert(std::string(type_url)); }
  // A secret of the aggregated stream that is needed whatever the resources say.
  void AlwaysAskFor(const std::string& secret) { always_.insert(secret); }
  bool any() const { return ads_ != nullptr || !streams_.empty() || !files_.empty(); }

  // Reads the files and starts the streams but the aggregated one.
  void Start();
  void StartAds();
  // After each change of ConfigState: asks for what it needs now.
  void Follow();

  const std::string& node() const { return options_.node; }

  // Whether each AddAll() had its first answer, or was waited for in vain.
  bool complete() const { return awaited_.empty(); }
  Stats stats() const;
  uint64_t accepted_of(absl::string_view type_url) const;
  uint64_t rejected_of(absl::string_view type_url) const;

 private:
  // (type URL, name); the name is "" for all of a type.
  using Awaited = std::pair<std::string, std::string>;
  struct Stream {
    std::unique_ptr<AdsClient> client;
    std::unique_ptr<Scope> running;
  };
  struct File {
    std::string type_url;
    ConfigSource source;
  };
  struct Count {
    uint64_t accepted = 0;
    uint64_t rejected = 0;
  };

  absl::Status OnResources(const ResourceUpdate& update) override;
  void OnStream(const absl::Status& status) override;

  absl::Status Apply(const ConfigUpdate& update);
  Stream& StreamOf(absl::string_view type_url, const ConfigSource& source);
  void Run(Stream& stream);
  void AskFor(absl::string_view type_url);
  // Whether it is a file that was not known.
  bool AddFile(absl::string_view type_url, const ConfigSource& source);
  void ReadResources(const File& file);
  void OnMoved(const std::string& folder, const std::string& name);
  void WatchFolders();
  void Await(const std::string& type_url, const std::string& name, absl::Duration timeout);
  void ForgetArrived();
  Task<> GiveUpInTime();

  EventLoop& loop_;
  ConfigState& config_;
  const Options options_;
  std::unique_ptr<AdsClient> ads_;
  std::unique_ptr<Scope> ads_running_;
  std::map<std::pair<std::string, ConfigSource>, Stream> streams_;
  std::map<std::pair<std::string, ConfigSource>, File> files_;
  std::set<std::string> all_from_ads_;  // types
  std::set<std::string> always_;
  std::map<std::string, Count> counts_;
  std::set<Awaited> awaited_;  // of AddAll() only
  std::map<Awaited, MonotonicTime> deadlines_;
  std::set<Awaited> given_up_;
  Signal deadlines_changed_;
  bool started_ = false;
  std::unique_ptr<FolderWatch> folders_;
  Scope tasks_;  // last: its tasks use all of the above
};

}  // namespace weft

#endif  // WEFT_PROXY_XDS_CONFIG_SOURCES_H_
