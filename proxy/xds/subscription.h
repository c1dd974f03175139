// Subscription: what an xDS client has to say about one type of resource, in state-of-the-world
// form, and what it holds of it. A pure state machine: no stream, no clock.
//
//   wanted ──OnStreamOpened──▶ NextRequest: names, last accepted version, no nonce
//   response ──Accept──▶ NextRequest: its version and nonce (ACK)
//            ──Reject──▶ NextRequest: last accepted version, its nonce, the error (NACK)
//   SetNames ──▶ NextRequest: names, last accepted version, last nonce
//
// Versions are opaque: a server that starts again may count from one. Not thread-safe.
#ifndef WEFT_PROXY_XDS_SUBSCRIPTION_H_
#define WEFT_PROXY_XDS_SUBSCRIPTION_H_

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "api/envoy/type_urls.h"

namespace weft {

// By name; the value is the serialized message (the `value` of the Any).
using ResourceMap = std::map<std::string, std::string>;

class Subscription {
 public:
  enum class Scope {
    kAll,    // every resource; a response is the full state, and what it lacks is gone (LDS, CDS)
    kNamed,  // only those asked for; a response may be a part (EDS, RDS, SDS)
  };

  struct Request {
    std::string version_info;
    std::vector<std::string> resource_names;
    std::string response_nonce;
    std::optional<std::string> error;  // makes it a NACK
  };

  struct Response {
    std::string version;
    std::string nonce;
    std::vector<std::pair<std::string, std::string>> resources;
  };

  Subscription(absl::string_view type_url, Scope scope) : type_url_(type_url), scope_(scope) {}

  const std::string& type_url() const { return type_url_; }
  Scope scope() const { return scope_; }

  // For kNamed: what to ask for from now on; sorted here. What is no longer asked for is forgotten.
  // Returns whether that changed anything.
  bool SetNames(std::vector<std::string> names);
  const std::vector<std::string>& names() const { return names_; }

  // A new stream: everything is asked for again.
  void OnStreamOpened();
  // What to send now, if anything; answered once.
  std::optional<Request> NextRequest();

  // What would be held if `response` were accepted.
  ResourceMap Merge(const Response& response) const;
  // Answer each response by one of these, in the order they came.
  void Accept(const Response& response);
  void Reject(const Response& response, absl::string_view error);

  const ResourceMap& resources() const { return resources_; }
  const std::string& accepted_version() const { return version_; }
  // Of the last response, if it was rejected.
  const std::string& last_error() const { return last_error_; }
  // Names asked for that no server has sent yet.
  std::vector<std::string> missing() const;

 private:
  bool Wants(const std::string& name) const;

  const std::string type_url_;
  const Scope scope_;
  std::vector<std::string> names_;
  ResourceMap resources_;
  std::string version_;
  std::string nonce_;
  std::string last_error_;
  std::optional<std::string> error_to_send_;
  bool stream_open_ = false;
  bool asked_on_stream_ = false;
  bool must_send_ = false;
};

}  // namespace weft

#endif  // WEFT_PROXY_XDS_SUBSCRIPTION_H_
