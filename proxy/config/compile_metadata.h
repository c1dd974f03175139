// From MetadataMatcher to MetadataMatch. Only compile_*.cc include this.
#ifndef WEFT_PROXY_CONFIG_COMPILE_METADATA_H_
#define WEFT_PROXY_CONFIG_COMPILE_METADATA_H_

#include "absl/status/statusor.h"
#include "api/envoy/metadata_matcher.pb.h"
#include "proxy/config/metadata_match.h"

namespace weft {

absl::StatusOr<MetadataMatch> CompileMetadataMatch(
    const envoy::type::matcher::v3::MetadataMatcher& from);
absl::StatusOr<ValueMatch> CompileValueMatch(const envoy::type::matcher::v3::ValueMatcher& from);

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_COMPILE_METADATA_H_
