#include "proxy/config/bootstrap.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "api/envoy/bootstrap.pb.h"
#include "api/yaml/yaml_to_message.h"

namespace weft {
namespace {

using envoy::config::bootstrap::v3::Bootstrap;

absl::Status InFile(absl::string_view filename, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(filename, ": ", status.message()));
}

// Reads to the end rather than trusting a size, so that a pipe ("/dev/stdin") will do.
absl::StatusOr<std::string> ReadFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  const absl::Cleanup close_file = [fd] { close(fd); };
  std::string content;
  char block[64 << 10];
  while (content.size() <= kMaxYamlBytes) {  // One block more is refused by the parser.
    const ssize_t length = read(fd, block, sizeof(block));
    if (length == 0) break;
    if (length < 0 && errno == EINTR) continue;
    if (length < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
    content.append(block, length);
  }
  return content;
}

}  // namespace

absl::StatusOr<Bootstrap> ParseBootstrap(absl::string_view text, absl::string_view filename) {
  const auto documents = ParseYamlDocuments(text);
  if (!documents.ok()) return InFile(filename, documents.status());
  if (documents->size() != 1) {
    return InFile(filename, absl::InvalidArgumentError(
                                absl::StrCat("expected one document, got ", documents->size())));
  }
  Bootstrap bootstrap;
  if (const absl::Status status =
          YamlToMessage(documents->front()->root(), UnknownFields::kReject, &bootstrap);
      !status.ok()) {
    return InFile(filename, status);
  }
  return bootstrap;
}

absl::StatusOr<Bootstrap> LoadBootstrap(absl::string_view path) {
  const absl::StatusOr<std::string> text = ReadFile(std::string(path));
  if (!text.ok()) return text.status();
  return ParseBootstrap(*text, path);
}

absl::StatusOr<Bootstrap> LoadBootstrap(absl::string_view path, absl::string_view yaml) {
  absl::StatusOr<Bootstrap> bootstrap = Bootstrap();
  if (!path.empty()) bootstrap = LoadBootstrap(path);
  if (!bootstrap.ok() || yaml.empty()) return bootstrap;
  const absl::StatusOr<Bootstrap> over = ParseBootstrap(yaml, "--config-yaml");
  if (!over.ok()) return over.status();
  bootstrap->MergeFrom(*over);
  return bootstrap;
}

}  // namespace weft
