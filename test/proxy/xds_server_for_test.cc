#include "test/proxy/xds_server_for_test.h"

#include <google/protobuf/any.pb.h>
#include <gtest/gtest.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "api/yaml/yaml_to_message.h"

namespace weft::test {

namespace discovery = envoy::service::discovery::v3;

XdsServerForTest::XdsServerForTest(int port) : port_(port) { Start(); }

void XdsServerForTest::Start() {
  stopping_ = false;
  server_ = std::make_unique<GrpcServerForTest>(std::initializer_list<grpc::Service*>{this}, port_);
  port_ = server_->address().port();
}

void XdsServerForTest::Stop() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  server_.reset();
}

void XdsServerForTest::Set(absl::string_view type_url, const std::string& name,
                           const std::string& yaml) {
  const auto documents =
      ParseYamlDocuments(absl::StrCat("{\"@type\": ", std::string(type_url), ", ", yaml.substr(1)));
  google::protobuf::Any any;
  absl::Status status =
      documents.ok() && documents->size() == 1
          ? YamlToMessage(documents->front()->root(), UnknownFields::kReject, &any)
          : absl::InvalidArgumentError("not one document");
  ASSERT_TRUE(status.ok()) << status.message() << "\n" << yaml;
  SetBytes(type_url, name, any.value());
}

void XdsServerForTest::SetBytes(absl::string_view type_url, const std::string& name,
                                std::string bytes) {
  std::lock_guard<std::mutex> lock(mutex_);
  types_[std::string(type_url)][name] = {std::move(bytes), ++version_};
  changed_.notify_all();
}

void XdsServerForTest::Remove(absl::string_view type_url, const std::string& name) {
  std::lock_guard<std::mutex> lock(mutex_);
  types_[std::string(type_url)].erase(name);
  ++version_;
  changed_.notify_all();
}

std::vector<std::string> XdsServerForTest::nacks() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return nacks_;
}

std::set<std::string> XdsServerForTest::initial(absl::string_view type_url) const {
  std::lock_guard<std::mutex> lock(mutex_);
  const auto found = initial_.find(std::string(type_url));
  return found == initial_.end() ? std::set<std::string>() : found->second;
}

int XdsServerForTest::requests_with_node() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return requests_with_node_;
}
int XdsServerForTest::requests() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return requests_;
}
int XdsServerForTest::streams() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return streams_;
}

// Under the lock: what a request asks for, and whether it rejects something.
void XdsServerForTest::Take(const discovery::DiscoveryRequest& request,
                            std::map<std::string, Asked>& asked) {
  Asked& of_type = asked[request.type_url()];
  const std::set<std::string> names(request.resource_names().begin(),
                                    request.resource_names().end());
  of_type.dirty = of_type.dirty || names != of_type.names;
  of_type.all = names.empty() && of_type.names.empty();
  of_type.names = names;
}

void XdsServerForTest::Take(const discovery::DeltaDiscoveryRequest& request,
                            std::map<std::string, Asked>& asked) {
  const bool first = asked.count(request.type_url()) == 0;
  Asked& of_type = asked[request.type_url()];
  if (first) {
    of_type.all = request.resource_names_subscribe().empty();
    std::set<std::string>& initial = initial_[request.type_url()];
    initial.clear();
    for (const auto& [name, version] : request.initial_resource_versions()) {
      initial.insert(name);
      of_type.sent[name] = atoi(version.c_str());
    }
  }
  for (const std::string& name : request.resource_names_subscribe()) {
    of_type.names.insert(name);
    if (!first) of_type.sent.erase(name);
  }
  for (const std::string& name : request.resource_names_unsubscribe()) {
    of_type.names.erase(name);
    of_type.sent.erase(name);
  }
}

bool XdsServerForTest::Fill(const std::string& type_url, Asked& asked,
                            discovery::DiscoveryResponse& response) {
  if (!asked.dirty && asked.sent_version == version_) return false;
  const bool first = asked.dirty;
  asked.dirty = false;
  asked.sent_version = version_;
  std::map<std::string, int> now;
  for (const auto& [name, held] : types_[type_url]) {
    if (!asked.all && asked.names.count(name) == 0) continue;
    now[name] = held.version;
    auto* any = response.add_resources();
    any->set_type_url(type_url);
    any->set_value(held.bytes);
  }
  if (now == std::exchange(asked.sent, now) && !first) return false;
  if (!asked.all && now.empty()) return false;  // nothing is known of these names yet
  response.set_type_url(type_url);
  response.set_version_info(absl::StrCat(version_));
  response.set_nonce(absl::StrCat(++nonce_));
  return true;
}

bool XdsServerForTest::Fill(const std::string& type_url, Asked& asked,
                            discovery::DeltaDiscoveryResponse& response) {
  const Type& type = types_[type_url];
  for (const auto& [name, held] : type) {
    if (!asked.all && asked.names.count(name) == 0) continue;
    const auto sent = asked.sent.find(name);
    if (sent != asked.sent.end() && sent->second == held.version) continue;
    asked.sent[name] = held.version;
    auto* resource = response.add_resources();
    resource->set_name(name);
    resource->set_version(absl::StrCat(held.version));
    resource->mutable_resource()->set_type_url(type_url);
    resource->mutable_resource()->set_value(held.bytes);
  }
  for (auto it = asked.sent.begin(); it != asked.sent.end();) {
    if (type.count(it->first) != 0) {
      ++it;
      continue;
    }
    response.add_removed_resources(it->first);
    it = asked.sent.erase(it);
  }
  // The first answer to a wildcard says that there is nothing, if there is nothing.
  const bool first_of_all = asked.all && std::exchange(asked.dirty, false);
  if (response.resources().empty() && response.removed_resources().empty() && !first_of_all) {
    return false;
  }
  response.set_type_url(type_url);
  response.set_nonce(absl::StrCat(++nonce_));
  return true;
}

template <typename Stream, typename Request, typename Response>
grpc::Status XdsServerForTest::Serve(grpc::ServerContext* context, Stream* stream) {
  std::map<std::string, Asked> asked;
  bool over = false;
  std::thread writer([&] {
    std::unique_lock<std::mutex> lock(mutex_);
    ++streams_;
    while (!over && !stopping_) {
      bool wrote = false;
      for (auto& [type_url, of_type] : asked) {
        Response response;
        if (!Fill(type_url, of_type, response)) continue;
        wrote = true;
        lock.unlock();
        stream->Write(response);
        lock.lock();
        break;  // `asked` may have changed
      }
      if (!wrote) changed_.wait(lock);
    }
    if (stopping_) context->TryCancel();
  });
  Request request;
  while (stream->Read(&request)) {
    std::lock_guard<std::mutex> lock(mutex_);
    ++requests_;
    if (request.has_node()) ++requests_with_node_;
    if (request.has_error_detail()) nacks_.push_back(request.error_detail().message());
    Take(request, asked);
    changed_.notify_all();
  }
  {
    std::lock_guard<std::mutex> lock(mutex_);
    over = true;
    changed_.notify_all();
  }
  writer.join();
  return grpc::Status::OK;
}

grpc::Status XdsServerForTest::StreamAggregatedResources(
    grpc::ServerContext* context,
    grpc::ServerReaderWriter<discovery::DiscoveryResponse, discovery::DiscoveryRequest>* stream) {
  using Stream =
      grpc::ServerReaderWriter<discovery::DiscoveryResponse, discovery::DiscoveryRequest>;
  return Serve<Stream, discovery::DiscoveryRequest, discovery::DiscoveryResponse>(context, stream);
}

grpc::Status XdsServerForTest::DeltaAggregatedResources(
    grpc::ServerContext* context,
    grpc::ServerReaderWriter<discovery::DeltaDiscoveryResponse, discovery::DeltaDiscoveryRequest>*
        stream) {
  using Stream =
      grpc::ServerReaderWriter<discovery::DeltaDiscoveryResponse, discovery::DeltaDiscoveryRequest>;
  return Serve<Stream, discovery::DeltaDiscoveryRequest, discovery::DeltaDiscoveryResponse>(context,
                                                                                            stream);
}

}  // namespace weft::test
