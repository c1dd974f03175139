#include "tools/weftctl/weftd_address.h"

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "tools/weftctl/sandbox/state_dir.h"

namespace weft {
namespace {

constexpr char kSocket[] = "/admin.sock";

}  // namespace

absl::StatusOr<std::string> AdminSocketOf(const WeftdAddress& address) {
  std::error_code error;
  if (!address.weftd.empty()) {
    const bool folder = std::filesystem::is_directory(address.weftd, error);
    return folder ? absl::StrCat(address.weftd, kSocket) : address.weftd;
  }
  const absl::StatusOr<sandbox::StateDir> state = sandbox::StateDir::For(address.sandbox);
  if (!state.ok()) return state.status();
  if (!sandbox::IsLabel(address.cluster) ||
      !std::filesystem::is_directory(state->cluster(address.cluster), error)) {
    return absl::NotFoundError(absl::StrCat("no cluster '", address.cluster, "' in sandbox '",
                                            address.sandbox,
                                            "'; --weftd says where one outside of it is"));
  }
  return absl::StrCat(state->cluster(address.cluster), "/weftd", kSocket);
}

}  // namespace weft
