#include "controlplane/webhook/namespace_labels.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "api/yaml/document.h"

namespace weft::webhook {
namespace {

// It comes from whoever called the webhook, and becomes a part of a path.
bool IsNamespaceName(const std::string& name) {
  return !name.empty() && name.size() <= 63 && std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-';
  });
}

}  // namespace

Task<absl::StatusOr<std::map<std::string, std::string>>> FetchNamespaceLabels(
    EventLoop& loop, KubernetesClient& client, std::string namespace_) {
  if (!IsNamespaceName(namespace_)) co_return absl::InvalidArgumentError("no namespace's name");
  KubernetesRequest request;
  request.path = absl::StrCat("/api/v1/namespaces/", namespace_);
  auto answer = co_await client.Call(std::move(request), loop.Now() + kNamespaceTimeout);
  if (!answer.ok()) co_return answer.status();
  if (answer->status != 200) {
    co_return absl::UnavailableError(absl::StrCat("namespace ", namespace_, ": ", answer->status));
  }
  const auto document = YamlDocument::ParseJson(std::move(answer->body));
  if (!document.ok()) co_return document.status();
  std::map<std::string, std::string> labels;
  for (const YamlItem label : (*document)->root()["metadata"]["labels"]) {
    labels[std::string(label.first.Scalar())] = std::string(label.second.Scalar());
  }
  co_return labels;
}

}  // namespace weft::webhook
