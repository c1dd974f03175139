// Subscription: what an xDS client has to say about one type of resource, in
// state-of-the-world or delta form, and which versions it holds. A pure state
// machine: no stream, no clock.
//
//   wanted ──OnStreamOpened──▶ NextRequest: what is wanted, what is held
//   already, no nonce response ──Accept──▶ NextRequest: its nonce (ACK)
//            ──Reject──▶ NextRequest: its nonce, the error (NACK); what is held
//            stays
//   SetNames ──▶ NextRequest: names (delta: only those that come and go)
//
// Versions are opaque: a server that starts again may count from one. Not
// thread-safe.
#ifndef WEFT_PROXY_XDS_SUBSCRIPTION_H_
#define WEFT_PROXY_XDS_SUBSCRIPTION_H_

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "api/envoy/type_urls.h"

namespace weft {

class Subscription {
 public:
  enum class Scope {
    kAll,    // every resource (LDS, CDS)
    kNamed,  // only those asked for (EDS, RDS, SDS)
  };
  enum class Form {
    kStateOfTheWorld,  // a response of kAll is the full state, and what it lacks
                       // is gone
    kDelta,            // a response has what changed and says what is gone
  };

  struct Request {
    // State of the world.
    std::string version_info;
    std::vector<absl::string_view> resource_names;  // the subscription's, until SetNames()
    // Delta.
    std::vector<std::string> subscribe;
    std::vector<std::string> unsubscribe;
    std::map<std::string, std::string> initial_versions;  // of what is held, at a stream's start

    std::string response_nonce;
    std::optional<std::string> error;  // makes it a NACK
  };

  struct Resource {
    std::string name;
    std::string bytes;    // the serialized message (the `value` of the Any)
    std::string version;  // delta only
  };

  struct Response {
    std::string version;
    std::string nonce;
    std::vector<Resource> resources;
    std::vector<std::string> removed;  // delta only
  };

  Subscription(absl::string_view type_url, Scope scope, Form form = Form::kStateOfTheWorld)
      : type_url_(type_url), scope_(scope), form_(form) {}

  const std::string& type_url() const { return type_url_; }
  Scope scope() const { return scope_; }
  Form form() const { return form_; }

  // For kNamed: what to ask for from now on; sorted here. What is no longer
  // asked for is forgotten. Returns whether that changed anything.
  bool SetNames(std::vector<std::string> names);
  const std::vector<std::string>& names() const { return names_; }

  // A new stream: everything is asked for again.
  void OnStreamOpened();
  // What to send now, if anything; answered once.
  std::optional<Request> NextRequest();

  // Answer each response by one of these, in the order they came.
  void Accept(const Response& response);
  void Reject(const Response& response, absl::string_view error);

  // The resources that were accepted, by name; the version is "" in
  // state-of-the-world form.
  const std::map<std::string, std::string>& held() const { return held_; }
  const std::string& accepted_version() const { return version_; }
  // Whether a response has been accepted on any stream.
  bool answered() const { return answered_; }
  // Of the last response, if it was rejected.
  const std::string& last_error() const { return last_error_; }
  // Names asked for that no server has sent yet.
  std::vector<std::string> missing() const;

 private:
  bool Wants(const std::string& name) const;
  void FillNames(Request& request);
  void FillChanges(Request& request);

  const std::string type_url_;
  const Scope scope_;
  const Form form_;
  std::vector<std::string> names_;
  std::map<std::string, std::string> held_;
  std::string version_;
  std::string nonce_;
  std::string last_error_;
  std::optional<std::string> error_to_send_;
  bool stream_open_ = false;
  bool asked_on_stream_ = false;
  bool must_send_ = false;
  bool names_changed_ = false;  // since they were last said
  bool answered_ = false;
  // Delta: what the server takes us to be subscribed to on this stream; and
  // what of it was forgotten since, so that it has to be asked for again should
  // it be wanted again.
  std::set<std::string> asked_;
  std::set<std::string> forgotten_;
};

}  // namespace weft

#endif  // WEFT_PROXY_XDS_SUBSCRIPTION_H_
