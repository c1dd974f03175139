#include "controlplane/ca/rotation_service.h"

#include <optional>
#include <string>
#include <utility>

#include "api/weft/admin.pb.h"

namespace weft {
namespace {

using admin::v1::RotateProgress;
using admin::v1::RotateRequest;

RotateProgress ProgressOf(const Rotator& rotator) {
  RotateProgress progress;
  progress.set_stage(std::string(NameOf(rotator.state().rotation()->stage)));
  progress.set_waiting_for(static_cast<uint32_t>(rotator.waiting_for().size()));
  for (const std::string& name : rotator.waiting_for()) {
    if (progress.waiting_names_size() == kMostWaitingNamed) break;
    progress.add_waiting_names(name);
  }
  progress.set_error(rotator.error());
  return progress;
}

// What is new of one rotation, for one caller.
class News {
 public:
  explicit News(const Rotator& rotator) : rotator_(rotator) {}

  // Whether the rotation is over.
  bool Tell(GrpcCall& call) {
    const auto& rotation = rotator_.state().rotation();
    if (stage_.has_value() && (!rotation.has_value() || rotation->stage != *stage_)) {
      RotateProgress done;
      done.set_stage(std::string(NameOf(*stage_)));
      done.set_done(true);
      call.Send(done.SerializeAsString());
    }
    if (!rotation.has_value()) return true;
    stage_ = rotation->stage;
    std::string now = ProgressOf(rotator_).SerializeAsString();
    if (now != told_) call.Send(now);
    told_ = std::move(now);
    return false;
  }

 private:
  const Rotator& rotator_;
  std::optional<RotationStage> stage_;
  std::string told_;
};

absl::Status BeginOrJoin(const std::string& bytes, Rotator& rotator) {
  RotateRequest request;
  if (!request.ParseFromString(bytes)) return absl::InvalidArgumentError("not a RotateRequest");
  const auto what = ParseRotated(request.what());
  if (!what.ok()) return what.status();
  const auto& under_way = rotator.state().rotation();
  if (under_way.has_value() && under_way->what == *what) return absl::OkStatus();
  return rotator.Begin(*what);
}

Task<absl::Status> Rotate(EventLoop& loop, GrpcCall& call, Rotator& rotator) {
  std::string message;
  const GrpcCall::Event event = co_await call.Receive(&message);
  if (event == GrpcCall::Event::kEnd) co_return absl::InvalidArgumentError("no request");
  absl::Status begun = BeginOrJoin(message, rotator);
  if (!begun.ok()) co_return begun;
  News news(rotator);
  while (!news.Tell(call)) {
    call.Flush();
    co_await Sleep(loop, kRotationNews);
  }
  co_return absl::OkStatus();
}

}  // namespace

void AddRotationService(EventLoop& loop, Rotator& rotator, GrpcServices& services) {
  services["/weft.admin.v1.Authority/Rotate"] = [&loop, &rotator](GrpcCall& call) {
    return Rotate(loop, call, rotator);
  };
}

}  // namespace weft
