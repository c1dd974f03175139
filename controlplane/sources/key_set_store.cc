#include "controlplane/sources/key_set_store.h"

#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/str_cat.h"
#include "certs/file.h"
#include "certs/jose.h"
#include "certs/jwks.h"

namespace weft {

KeySetStore::KeySetStore(const std::string& data_folder)
    : path_(absl::StrCat(data_folder, "/key_sets.json")) {}

absl::StatusOr<KeySetTexts> KeySetStore::Load() const {
  const absl::StatusOr<std::string> text = certs::ReadFile(path_);
  if (absl::IsNotFound(text.status())) return KeySetTexts();
  if (!text.ok()) return text.status();
  const std::optional<nlohmann::json> json = certs::ParseJsonObject(*text);
  if (!json.has_value()) return absl::DataLossError(absl::StrCat(path_, ": not a JSON object"));
  KeySetTexts key_sets;
  for (const auto& [uri, jwks] : json->items()) {
    if (!jwks.is_string() || !certs::Jwks::Parse(jwks.get<std::string>()).ok()) continue;
    key_sets[uri] = std::make_shared<const std::string>(jwks.get<std::string>());
  }
  return key_sets;
}

absl::Status KeySetStore::Save(const KeySetTexts& key_sets) const {
  nlohmann::json json = nlohmann::json::object();
  for (const auto& [uri, jwks] : key_sets) json[uri] = *jwks;
  // What issuers serve need not be UTF-8.
  return certs::WriteFileAtomically(
      path_, json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n", 0600);
}

}  // namespace weft
