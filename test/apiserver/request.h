// Request and Response: one exchange, without its transport; Target: what a request is about. Pure.
#ifndef WEFT_TEST_APISERVER_REQUEST_H_
#define WEFT_TEST_APISERVER_REQUEST_H_

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "test/apiserver/resource.h"

namespace weft::apiserver {

// Who asks, as TokenReviews and webhooks are told.
struct User {
  std::string name = "system:anonymous";
  std::string uid;
  std::vector<std::string> groups = {"system:unauthenticated"};
  std::map<std::string, std::vector<std::string>> extra = {};

  Json ToJson() const;
};

// What a token of a service account is to say.
struct AccountToken {
  std::string ns;
  std::string account;
  std::string uid = {};
  std::string pod = {};  // that it is bound to; "": to none
  std::string pod_uid = {};
  std::vector<std::string> audiences = {};  // none: the server's own
  absl::Time expires = absl::InfiniteFuture();
};

struct Request {
  std::string method;
  std::string path;      // decoded, without the query
  std::string raw_path;  // as it came, with the query
  std::vector<std::pair<std::string, std::string>> query;
  std::string accept;
  std::string content_type;  // without parameters
  std::string user_agent;
  bool accepts_gzip = false;
  std::string body;
  User user;

  // The last value, or "".
  std::string Query(absl::string_view name) const;
  bool Has(absl::string_view name) const;
  bool IsTrue(absl::string_view name) const;
  bool dry_run() const { return Query("dryRun") == "All"; }
  // Who is said to have written: fieldManager, or the program's name.
  std::string manager() const;
};

// Splits a target as it stands in a request line.
void ReadTarget(absl::string_view target, Request& request);

struct Response {
  int code = 200;
  std::string type = "application/json";
  std::string body;
  int retry_after = 0;  // seconds; 0: no such header
  std::vector<std::string> warnings;

  Response() = default;
  explicit Response(const Json& json, int code = 200);
  explicit Response(const Failure& failure);
};

struct Target {
  std::shared_ptr<const Resource> resource;
  std::string version;
  std::string ns;           // "": all, or the kind is cluster-wide
  std::string name;         // "": the collection
  std::string subresource;  // "status", "token", or ""
  std::string verb;         // as RBAC has them: "get", "list", "watch", "create", …

  std::string api_version() const { return resource->ApiVersion(version); }
  Subject subject() const { return resource->Named(name); }
};

// What a path below /api/v1 or /apis/GROUP/VERSION means; NoSuchPath() for others.
Result<Target> FindTarget(const Catalog& catalog, const Request& request);

// The body as an object, from JSON or YAML.
Result<Json> DecodeBody(const Request& request);

}  // namespace weft::apiserver

#endif  // WEFT_TEST_APISERVER_REQUEST_H_
