// Api: what is answered to each request but watches: discovery, reads, writes with their admission,
// reviews of tokens and of access.
//
// Belongs to the server's loop.
#ifndef WEFT_TEST_APISERVER_API_H_
#define WEFT_TEST_APISERVER_API_H_

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "proxy/runtime/task.h"
#include "test/apiserver/admission.h"
#include "test/apiserver/cluster.h"
#include "test/apiserver/credentials.h"
#include "test/apiserver/request.h"

namespace weft::apiserver {

class Api {
 public:
  // All must outlive this. `address`: the server's own, for /api.
  Api(Cluster& cluster, Admission& admission, Credentials& credentials, std::string address)
      : cluster_(cluster),
        admission_(admission),
        credentials_(credentials),
        address_(std::move(address)) {}

  // A request for a resource. `target` and `request` outlive the task.
  Task<Response> Handle(const Target& target, const Request& request);
  // What is no resource: discovery, health, the version. Nothing if it is none of these.
  std::optional<Response> HandleOther(const Request& request);

 private:
  // What the object is to become; `before` is null if there is none.
  using Wanted = std::function<Result<Json>(const Json& before)>;

  Task<Response> Create(const Target& target, const Request& request);
  Task<Response> CreateFrom(const Target& target, const Request& request, Result<Json> object);
  Task<Response> Change(const Target& target, const Request& request, Wanted wanted);
  Task<Response> Update(const Target& target, const Request& request);
  Task<Response> Patch(const Target& target, const Request& request);
  Task<Response> ServerSideApply(const Target& target, const Request& request);
  Task<Response> Delete(const Target& target, const Request& request);
  Task<Response> DeleteCollection(const Target& target, const Request& request);
  Response Answer(const Target& target, const Request& request);
  Response IssueToken(const Target& target, const Request& request);
  std::optional<Failure> BindToPod(const Json& reference, AccountToken& token);

  Cluster& cluster_;
  Admission& admission_;
  Credentials& credentials_;
  const std::string address_;
};

}  // namespace weft::apiserver

#endif  // WEFT_TEST_APISERVER_API_H_
