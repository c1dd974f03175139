#include "proxy/config/config_source.h"

#include <google/protobuf/any.pb.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/unknown_field_set.h>

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/envoy/cluster.pb.h"
#include "api/envoy/core.pb.h"
#include "api/envoy/http_connection_manager.pb.h"
#include "api/envoy/tls.pb.h"
#include "api/envoy/type_urls.h"
#include "proxy/config/fields.h"

namespace weft {
namespace {

namespace core = envoy::config::core::v3;
namespace tls = envoy::extensions::transport_sockets::tls::v3;
using envoy::config::cluster::v3::Cluster;
using envoy::extensions::filters::network::http_connection_manager::v3::Rds;
using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// Any in Any in Any: a peer's bytes do not decide how deep the stack goes.
constexpr int kMaxNesting = 100;

// The message packed in `any`; null if its type is not known, or its bytes are not of it.
std::unique_ptr<Message> Unpacked(const google::protobuf::Any& any) {
  const Descriptor* type =
      google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName(
          std::string(TypeOf(any)));
  if (type == nullptr) return nullptr;
  const Message* prototype =
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(type);
  if (prototype == nullptr) return nullptr;
  std::unique_ptr<Message> message(prototype->New());
  return message->ParseFromString(any.value()) ? std::move(message) : nullptr;
}

// Calls visit(field name, message) for each message directly within `message`.
template <typename Visit>
absl::Status ForEachChild(const Message& message, Visit visit) {
  const Reflection& reflection = *message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    if (!field->is_repeated()) {
      absl::Status status = visit(field->name(), reflection.GetMessage(message, field));
      if (!status.ok()) return status;
      continue;
    }
    for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
      absl::Status status =
          visit(Index(field->name(), i), reflection.GetRepeatedMessage(message, field, i));
      if (!status.ok()) return status;
    }
  }
  return absl::OkStatus();
}

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

class NeedsFinder {
 public:
  NeedsFinder(FileRotation rotation, Needs* needs) : rotation_(rotation), needs_(needs) {}

  absl::Status Visit(const Message& message, int depth) {
    if (depth > kMaxNesting) return Invalid("", "is nested too deeply");
    if (const auto* any =
            google::protobuf::DynamicCastToGenerated<google::protobuf::Any>(&message)) {
      const std::unique_ptr<Message> packed = Unpacked(*any);
      return packed == nullptr ? absl::OkStatus() : Visit(*packed, depth + 1);
    }
    absl::Status status = Look(message);
    if (!status.ok()) return status;
    return ForEachChild(message, [&](const std::string& field, const Message& child) {
      absl::Status found = Visit(child, depth + 1);
      return found.ok() ? found : Under(field, found);
    });
  }

 private:
  template <typename M>
  static const M* As(const Message& message) {
    return google::protobuf::DynamicCastToGenerated<M>(&message);
  }

  absl::Status Look(const Message& message) {
    const Descriptor* type = message.GetDescriptor();
    if (type == Cluster::descriptor()) return LookAtCluster(*As<Cluster>(message));
    if (type == Rds::descriptor()) {
      const Rds& rds = *As<Rds>(message);
      return Need("config_source", kRouteType, rds.route_config_name(), rds.config_source());
    }
    if (type == tls::SdsSecretConfig::descriptor()) {
      const auto& secret = *As<tls::SdsSecretConfig>(message);
      if (!secret.has_sds_config()) return absl::OkStatus();  // a static secret
      return Need("sds_config", kSecretType, secret.name(), secret.sds_config());
    }
    if (type == tls::TlsCertificate::descriptor()) {
      const auto& certificate = *As<tls::TlsCertificate>(message);
      WatchFor(certificate, {&certificate.certificate_chain(), &certificate.private_key()});
    }
    if (type == tls::CertificateValidationContext::descriptor()) {
      const auto& context = *As<tls::CertificateValidationContext>(message);
      WatchFor(context, {&context.trusted_ca()});
    }
    return absl::OkStatus();
  }

  absl::Status LookAtCluster(const Cluster& cluster) {
    if (cluster.type() != Cluster::EDS) return absl::OkStatus();
    const auto& eds = cluster.eds_cluster_config();
    const std::string& name = eds.service_name().empty() ? cluster.name() : eds.service_name();
    absl::Status status = Need("eds_config", kEndpointType, name, eds.eds_config());
    return status.ok() ? status : Under("eds_cluster_config", status);
  }

  absl::Status Need(absl::string_view field, absl::string_view type_url, const std::string& name,
                    const core::ConfigSource& from) {
    absl::StatusOr<ConfigSource> source = CompileConfigSource(from);
    if (!source.ok()) return Under(field, source.status());
    needs_->resources.push_back({type_url, name, *std::move(source)});
    return absl::OkStatus();
  }

  template <typename Owner>
  void WatchFor(const Owner& owner, std::initializer_list<const core::DataSource*> files) {
    if (owner.has_watched_directory()) {
      needs_->folders.push_back(owner.watched_directory().path());
    } else if (rotation_ == FileRotation::kEveryFile) {
      for (const core::DataSource* file : files) {
        if (!file->filename().empty()) needs_->folders.push_back(FolderOf(file->filename()));
      }
    }
  }

  const FileRotation rotation_;
  Needs* const needs_;
};

void Look(const Message& message, const std::function<void(const Message&)>& look, int depth) {
  if (depth > kMaxNesting) return;
  if (const auto* any = google::protobuf::DynamicCastToGenerated<google::protobuf::Any>(&message)) {
    const std::unique_ptr<Message> packed = Unpacked(*any);
    if (packed != nullptr) Look(*packed, look, depth + 1);
    return;
  }
  look(message);
  ForEachChild(message, [&](const std::string&, const Message& child) {
    Look(child, look, depth + 1);
    return absl::OkStatus();
  }).IgnoreError();
}

}  // namespace

absl::StatusOr<ConfigSource> CompileApiConfigSource(const core::ApiConfigSource& from) {
  ConfigSource to;
  switch (from.api_type()) {
    case core::ApiConfigSource::GRPC:
      break;
    case core::ApiConfigSource::DELTA_GRPC:
      to.delta = true;
      break;
    case core::ApiConfigSource::AGGREGATED_GRPC:
    case core::ApiConfigSource::AGGREGATED_DELTA_GRPC:
      return to;
    default:
      return Invalid("api_type", "only GRPC and DELTA_GRPC are supported by this proxy");
  }
  to.kind = ConfigSource::Kind::kGrpc;
  to.node_only_once = from.set_node_on_first_message_only();
  if (from.grpc_services().empty() || !from.grpc_services(0).has_envoy_grpc()) {
    return Invalid("grpc_services[0].envoy_grpc", "required, naming a cluster of static_resources");
  }
  to.cluster = from.grpc_services(0).envoy_grpc().cluster_name();
  return to;
}

absl::StatusOr<ConfigSource> CompileConfigSource(const core::ConfigSource& from) {
  absl::StatusOr<ConfigSource> to = ConfigSource();
  switch (from.config_source_specifier_case()) {
    case core::ConfigSource::kApiConfigSource:
      to = CompileApiConfigSource(from.api_config_source());
      if (!to.ok()) return Under("api_config_source", to.status());
      break;
    case core::ConfigSource::kPathConfigSource:
      to->kind = ConfigSource::Kind::kFile;
      to->path = from.path_config_source().path();
      to->watched_directory = from.path_config_source().watched_directory().path();
      if (to->path.empty()) return Invalid("path_config_source.path", "must not be empty");
      break;
    case core::ConfigSource::kPath:
      to->kind = ConfigSource::Kind::kFile;
      to->path = from.path();
      break;
    default:  // ads; self: whence the resource itself came; nothing said: as self
      break;
  }
  if (from.has_initial_fetch_timeout()) {
    to->initial_fetch_timeout = ToTimeout(from.initial_fetch_timeout());
  }
  return to;
}

absl::StatusOr<Needs> FindNeeds(const Message& message, FileRotation rotation) {
  Needs needs;
  absl::Status status = NeedsFinder(rotation, &needs).Visit(message, 0);
  if (!status.ok()) return status;
  return needs;
}

void ForEachMessage(const Message& message, const std::function<void(const Message&)>& look) {
  Look(message, look, 0);
}

size_t CountUnknownFields(const Message& message) {
  size_t count = 0;
  ForEachMessage(message, [&count](const Message& one) {
    count += static_cast<size_t>(one.GetReflection()->GetUnknownFields(one).field_count());
  });
  return count;
}

}  // namespace weft
