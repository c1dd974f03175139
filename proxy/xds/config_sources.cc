#include "proxy/xds/config_sources.h"

#include <algorithm>

#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "certs/file.h"
#include "proxy/base/log.h"
#include "proxy/xds/resource_file.h"

namespace weft {
namespace {

constexpr absl::string_view kByName[] = {kEndpointType, kRouteType, kSecretType};
// In the order their first requests are sent: what others refer to first.
constexpr absl::string_view kAdsTypes[] = {kClusterType, kEndpointType, kListenerType,
                                           kRouteType,   kSecretType,   kNameTableType};

struct Service {
  absl::string_view type_url;
  const char* whole;
  const char* delta;
};
constexpr Service kServices[] = {
    {kClusterType, "/envoy.service.cluster.v3.ClusterDiscoveryService/StreamClusters",
     "/envoy.service.cluster.v3.ClusterDiscoveryService/DeltaClusters"},
    {kEndpointType, "/envoy.service.endpoint.v3.EndpointDiscoveryService/StreamEndpoints",
     "/envoy.service.endpoint.v3.EndpointDiscoveryService/DeltaEndpoints"},
    {kListenerType, "/envoy.service.listener.v3.ListenerDiscoveryService/StreamListeners",
     "/envoy.service.listener.v3.ListenerDiscoveryService/DeltaListeners"},
    {kRouteType, "/envoy.service.route.v3.RouteDiscoveryService/StreamRoutes",
     "/envoy.service.route.v3.RouteDiscoveryService/DeltaRoutes"},
    {kSecretType, "/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets",
     "/envoy.service.secret.v3.SecretDiscoveryService/DeltaSecrets"},
};

const char* PathOf(absl::string_view type_url, bool delta) {
  for (const Service& service : kServices) {
    if (service.type_url == type_url) return delta ? service.delta : service.whole;
  }
  return "";
}

bool IsByName(absl::string_view type_url) {
  return std::find(std::begin(kByName), std::end(kByName), type_url) != std::end(kByName);
}

Subscription::Scope ScopeOf(absl::string_view type_url) {
  return IsByName(type_url) ? Subscription::Scope::kNamed : Subscription::Scope::kAll;
}

uint64_t Seed() {
  absl::BitGen random;
  return absl::Uniform<uint64_t>(random);
}

std::string FolderToWatch(const ConfigSource& source) {
  if (!source.watched_directory.empty()) return source.watched_directory;
  const size_t slash = source.path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : source.path.substr(0, slash);
}

// A watched_directory is swapped as a whole, whatever it is that was moved in it.
bool Concerns(const ConfigSource& source, const std::string& folder, const std::string& name) {
  if (FolderToWatch(source) != folder) return false;
  return !source.watched_directory.empty() || source.path == name ||
         source.path == absl::StrCat(folder == "/" ? "" : folder, "/", name);
}

}  // namespace

ConfigSources::ConfigSources(EventLoop& loop, ConfigState& config, Options options)
    : loop_(loop), config_(config), options_(std::move(options)) {}

void ConfigSources::AddAds(AdsClient::Options options) {
  options.seed = Seed();
  ads_ = std::make_unique<AdsClient>(loop_, std::move(options), this);
}

void ConfigSources::AddAll(absl::string_view type_url, const ConfigSource& source) {
  const Awaited all = {std::string(type_url), ""};
  awaited_.insert(all);
  Await(all.first, all.second, source.initial_fetch_timeout);
  switch (source.kind) {
    case ConfigSource::Kind::kAds:
      all_from_ads_.insert(std::string(type_url));
      break;
    case ConfigSource::Kind::kGrpc:
      StreamOf(type_url, source);
      break;
    case ConfigSource::Kind::kFile:
      AddFile(type_url, source);
      break;
  }
}

void ConfigSources::Start() {
  started_ = true;
  auto folders = FolderWatch::Create(
      loop_, [this](const std::string& folder, const std::string& name) { OnMoved(folder, name); });
  if (folders.ok()) {
    folders_ = *std::move(folders);
  } else {
    Log(LogLevel::kError, "files_not_watched",
        {{"error", std::string(folders.status().message())}});
  }
  tasks_.Spawn(GiveUpInTime());
  for (auto& [key, stream] : streams_) Run(stream);
  std::vector<File> files;
  for (const auto& [key, file] : files_) files.push_back(file);
  for (const File& file : files) ReadResources(file);
  Follow();
}

void ConfigSources::StartAds() {
  if (ads_ == nullptr || ads_running_ != nullptr) return;
  for (absl::string_view type : kAdsTypes) {
    if (IsByName(type) || all_from_ads_.count(std::string(type)) != 0) {
      ads_->Subscribe(type, ScopeOf(type));
    }
  }
  Follow();
  ads_running_ = std::make_unique<Scope>();
  ads_running_->Spawn(ads_->Run());
}

ConfigSources::Stream& ConfigSources::StreamOf(absl::string_view type_url,
                                               const ConfigSource& source) {
  Stream& stream = streams_[{std::string(type_url), source}];
  if (stream.client != nullptr) return stream;
  AdsClient::Options options;
  options.connect = [this, cluster = source.cluster] { return options_.connect(cluster); };
  options.node = options_.node;
  options.node_only_once = source.node_only_once;
  options.path = PathOf(type_url, source.delta);
  options.form = source.delta ? Subscription::Form::kDelta : Subscription::Form::kStateOfTheWorld;
  options.seed = Seed();
  stream.client = std::make_unique<AdsClient>(loop_, std::move(options), this);
  stream.client->Subscribe(type_url, ScopeOf(type_url));
  if (started_) Run(stream);
  return stream;
}

void ConfigSources::Run(Stream& stream) {
  stream.running = std::make_unique<Scope>();
  stream.running->Spawn(stream.client->Run());
}

void ConfigSources::Follow() {
  // A file that is new may bring what needs the next.
  size_t files;
  do {
    files = files_.size();
    for (absl::string_view type : kByName) AskFor(type);
  } while (files_.size() > files);
  ForgetArrived();
  WatchFolders();
}

void ConfigSources::AskFor(absl::string_view type_url) {
  std::map<ConfigSource, std::set<std::string>> needed = config_.NeededOf(type_url);
  // What is asked for already, and is needed from there no more.
  for (auto& [key, stream] : streams_) {
    if (key.first == type_url && needed.count(key.second) == 0) {
      stream.client->SetNames(type_url, {});
    }
  }
  std::set<std::string> from_ads = type_url == kSecretType ? always_ : std::set<std::string>();
  for (const auto& [source, names] : needed) {
    for (const std::string& name : names) {
      Await(std::string(type_url), name, source.initial_fetch_timeout);
    }
    switch (source.kind) {
      case ConfigSource::Kind::kAds:
        from_ads.insert(names.begin(), names.end());
        break;
      case ConfigSource::Kind::kGrpc:
        StreamOf(type_url, source).client->SetNames(type_url, {names.begin(), names.end()});
        break;
      case ConfigSource::Kind::kFile:
        if (AddFile(type_url, source) && started_) ReadResources({std::string(type_url), source});
        break;
    }
  }
  if (ads_ != nullptr) ads_->SetNames(type_url, {from_ads.begin(), from_ads.end()});
}

bool ConfigSources::AddFile(absl::string_view type_url, const ConfigSource& source) {
  File file = {std::string(type_url), source};
  return files_.try_emplace({file.type_url, source}, file).second;
}

void ConfigSources::ReadResources(const File& file) {
  const auto refuse = [&file](const absl::Status& status) {
    Log(LogLevel::kWarning, "config_file_rejected",
        {{"path", file.source.path}, {"error", std::string(status.message())}});
  };
  absl::StatusOr<std::string> content = certs::ReadFile(file.source.path);
  if (!content.ok()) return refuse(content.status());
  absl::StatusOr<ResourceFile> parsed =
      ParseResourceFile(file.source.path, *content, file.type_url);
  if (!parsed.ok()) {
    ++counts_[file.type_url].rejected;
    return refuse(parsed.status());
  }
  ConfigUpdate update;
  update.type_url = file.type_url;
  update.version = parsed->version;
  update.resources = parsed->resources;
  update.full = !IsByName(file.type_url);
  absl::Status applied = Apply(update);
  if (!applied.ok()) refuse(applied);
}

absl::Status ConfigSources::Apply(const ConfigUpdate& update) {
  ConfigUpdate now = update;
  now.now = absl::Now();
  absl::Status applied = config_.Apply(now);
  Count& count = counts_[std::string(update.type_url)];
  ++(applied.ok() ? count.accepted : count.rejected);
  if (applied.ok()) {
    const Awaited all = {std::string(update.type_url), ""};
    awaited_.erase(all);
    deadlines_.erase(all);
  }
  options_.on_change();
  return applied;
}

absl::Status ConfigSources::OnResources(const ResourceUpdate& update) {
  std::vector<EncodedResource> resources;
  resources.reserve(update.sent.size());
  for (const Subscription::Resource& one : update.sent) {
    resources.push_back({one.name, one.bytes, one.version});
  }
  ConfigUpdate to_apply;
  to_apply.type_url = update.type_url;
  to_apply.version = update.version;
  to_apply.resources = resources;
  to_apply.removed = update.removed;
  to_apply.full = update.full;
  absl::Status applied = Apply(to_apply);
  if (!applied.ok()) {
    Log(LogLevel::kWarning, "config_rejected",
        {{"type", std::string(update.type_url)}, {"error", std::string(applied.message())}});
  }
  Follow();
  return applied;
}

void ConfigSources::OnStream(const absl::Status& status) {
  if (status.ok()) {
    Log(LogLevel::kInfo, "ads_connected");
  } else {
    Log(LogLevel::kWarning, "ads_disconnected", {{"reason", std::string(status.message())}});
    if (absl::IsUnauthenticated(status)) options_.on_unauthenticated();
  }
}

// ---- Files.

void ConfigSources::WatchFolders() {
  if (folders_ == nullptr) return;
  std::set<std::string> folders = config_.WatchedFolders();
  for (const auto& [key, file] : files_) folders.insert(FolderToWatch(file.source));
  absl::Status followed = folders_->Follow(folders);
  if (!followed.ok()) {
    Log(LogLevel::kWarning, "folder_not_watched", {{"error", std::string(followed.message())}});
  }
}

void ConfigSources::OnMoved(const std::string& folder, const std::string& name) {
  std::vector<File> moved;
  for (const auto& [key, file] : files_) {
    if (Concerns(file.source, folder, name)) moved.push_back(file);
  }
  for (const File& file : moved) ReadResources(file);
  if (config_.WatchedFolders().count(folder) != 0) {
    absl::Status reloaded = config_.ReloadFilesIn(folder);
    if (reloaded.ok()) {
      Log(LogLevel::kInfo, "certificates_reloaded", {{"folder", folder}});
    } else {
      Log(LogLevel::kWarning, "certificates_rejected",
          {{"folder", folder}, {"error", std::string(reloaded.message())}});
    }
    options_.on_change();
  }
  Follow();
}

// ---- Waiting.

void ConfigSources::Await(const std::string& type_url, const std::string& name,
                          absl::Duration timeout) {
  const Awaited awaited = {type_url, name};
  if (timeout == absl::InfiniteDuration() || given_up_.count(awaited) != 0) return;
  if (!name.empty() && config_.Has(type_url, name)) return;
  if (deadlines_.try_emplace(awaited, loop_.Now() + timeout).second) deadlines_changed_.Notify();
}

void ConfigSources::ForgetArrived() {
  for (auto it = deadlines_.begin(); it != deadlines_.end();) {
    const auto& [type_url, name] = it->first;
    const bool arrived = !name.empty() && config_.Has(type_url, name);
    it = arrived ? deadlines_.erase(it) : std::next(it);
  }
}

Task<> ConfigSources::GiveUpInTime() {
  while (true) {
    MonotonicTime next = kNever;
    for (const auto& [awaited, deadline] : deadlines_) next = std::min(next, deadline);
    co_await Wait(loop_, {&deadlines_changed_}, next);
    std::vector<Awaited> due;
    for (const auto& [awaited, deadline] : deadlines_) {
      if (deadline <= loop_.Now()) due.push_back(awaited);
    }
    for (const Awaited& awaited : due) {
      deadlines_.erase(awaited);
      given_up_.insert(awaited);
      awaited_.erase(awaited);
      Log(LogLevel::kWarning, "initial_fetch_timeout",
          {{"type", awaited.first}, {"name", awaited.second}});
      if (!awaited.second.empty()) config_.StopWaitingFor(awaited.first, awaited.second);
    }
    if (due.empty()) continue;
    options_.on_change();
    Follow();
  }
}

// ---- Counting.

ConfigSources::Stats ConfigSources::stats() const {
  Stats stats;
  const auto add = [&stats](const AdsClient& client) {
    stats.streams += client.stats().streams;
    stats.accepted += client.stats().accepted;
    stats.rejected += client.stats().rejected;
    stats.connected += client.connected() ? 1 : 0;
  };
  if (ads_ != nullptr) add(*ads_);
  for (const auto& [key, stream] : streams_) add(*stream.client);
  return stats;
}

uint64_t ConfigSources::accepted_of(absl::string_view type_url) const {
  const auto found = counts_.find(std::string(type_url));
  return found == counts_.end() ? 0 : found->second.accepted;
}

uint64_t ConfigSources::rejected_of(absl::string_view type_url) const {
  const auto found = counts_.find(std::string(type_url));
  return found == counts_.end() ? 0 : found->second.rejected;
}

}  // namespace weft
