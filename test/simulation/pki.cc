#include "test/simulation/pki.h"

#include <map>
#include <memory>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "certs/key.h"
#include "certs/spiffe_id.h"
#include "certs/test_certificate.h"

namespace weft::simulation {
namespace {

constexpr absl::Duration kDay = absl::Hours(24);

// One key for all leaves: who a certificate is of, its names and its signature say.
const certs::PrivateKey& LeafKey() {
  static const auto* const kKey = new certs::PrivateKey(certs::PrivateKey::Generate());
  return *kKey;
}

// What `make` makes, once for each key.
template <typename Key, typename Make>
const auto& Once(const Key& key, const Make& make) {
  using Value = decltype(make());
  static auto* const made = new std::map<Key, std::unique_ptr<const Value>>;
  std::unique_ptr<const Value>& value = (*made)[key];
  if (value == nullptr) value = std::make_unique<const Value>(make());
  return *value;
}

Chain Parse(const std::vector<std::string>& pems) {
  return *certs::ParseCertificates(absl::StrJoin(pems, ""));
}

}  // namespace

absl::Time StartOfTime() { return absl::FromUnixSeconds(1893456000); }  // 2030-01-01

std::string DomainOf(int cluster) { return absl::StrCat("c", cluster, ".test"); }

const certs::Issuer& RootOf(int cluster, int generation) {
  return Once(std::make_pair(cluster, generation), [&] {
    return *certs::Issuer::CreateRoot(DomainOf(cluster), StartOfTime() - 30 * kDay);
  });
}

std::string RootsPem(int cluster, int generations) {
  std::string roots;
  for (int i = 0; i < generations; ++i) absl::StrAppend(&roots, RootOf(cluster, i).root().ToPem());
  return roots;
}

Chain ControlPlaneChain(int cluster, int generation, absl::Time now) {
  const certs::SpiffeId id{DomainOf(cluster), "weft-system", "weftd"};
  return Parse(*RootOf(cluster, generation)
                    .Issue(LeafKey().public_key(), id, certs::kLeafValidity, now));
}

const Chain& WorkloadChain(int cluster, int generation, const std::string& namespace_,
                           const std::string& service_account) {
  return Once(std::make_tuple(cluster, generation, namespace_, service_account), [&] {
    const certs::SpiffeId id{DomainOf(cluster), namespace_, service_account};
    return Parse(*RootOf(cluster, generation)
                      .Issue(LeafKey().public_key(), id, kDay, StartOfTime()));
  });
}

const Chain& ForgedChain(int signer, const std::string& claimed_uri) {
  return Once(std::make_pair(signer, claimed_uri), [&] {
    certs::TestCertificateOptions options;
    options.uris = {claimed_uri};
    options.not_before = StartOfTime() - kDay;
    options.not_after = StartOfTime() + kDay;
    return Chain{MakeTestCertificate(RootOf(signer, 0), LeafKey().public_key(), options)};
  });
}

const KeyPair& ProxyKeyPair(int cluster) {
  return Once(cluster, [&] {
    const auto chain = *RootOf(cluster, 0).Issue(
        LeafKey().public_key(), {DomainOf(cluster), "default", "client"}, kDay, StartOfTime());
    return KeyPair{absl::StrJoin(chain, ""), LeafKey().ToPem()};
  });
}

}  // namespace weft::simulation
