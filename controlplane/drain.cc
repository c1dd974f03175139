#include "controlplane/drain.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "api/weft/admin.pb.h"
#include "certs/file.h"
#include "proxy/base/log.h"

namespace weft {
namespace {

std::string FileIn(const std::string& data_folder) {
  return absl::StrCat(data_folder, "/draining");
}

Task<absl::Status> Drain(GrpcCall& call, const std::string& data_folder,
                         const std::function<void(bool)>& set) {
  std::string message;
  const GrpcCall::Event event = co_await call.Receive(&message);
  if (event == GrpcCall::Event::kEnd) co_return absl::InvalidArgumentError("no request");
  admin::v1::DrainRequest request;
  if (!request.ParseFromString(message)) co_return absl::InvalidArgumentError("not a DrainRequest");
  const absl::Status saved = SaveDraining(data_folder, request.draining());
  if (!saved.ok()) co_return saved;
  Log(LogLevel::kInfo, request.draining() ? "cluster_draining" : "cluster_not_draining", {});
  set(request.draining());
  call.Send(admin::v1::DrainResponse().SerializeAsString());
  co_return absl::OkStatus();
}

}  // namespace

absl::StatusOr<bool> LoadDraining(const std::string& data_folder) {
  const auto text = certs::ReadFile(FileIn(data_folder));
  if (absl::IsNotFound(text.status())) return false;
  if (!text.ok()) return text.status();
  const absl::string_view said = absl::StripSuffix(*text, "\n");
  if (said == "true") return true;
  if (said == "false") return false;
  return absl::DataLossError(
      absl::StrCat(FileIn(data_folder), ": says neither \"true\" nor \"false\""));
}

absl::Status SaveDraining(const std::string& data_folder, bool draining) {
  return certs::WriteFileAtomically(FileIn(data_folder), draining ? "true\n" : "false\n", 0600);
}

void AddDrainService(const std::string& data_folder, std::function<void(bool draining)> set,
                     GrpcServices& services) {
  services["/weft.admin.v1.Cluster/Drain"] = [data_folder, set = std::move(set)](GrpcCall& call) {
    return Drain(call, data_folder, set);
  };
}

}  // namespace weft
