#include "test/simulation/chaos.h"

namespace weft::simulation {

Chaos::Chaos(Context& context, Fleet& fleet)
    : context_(context),
      fleet_(fleet),
      traffic_(context, fleet),
      disks_fail_(context.random.Percent(20)),
      // Who has lost its disk knows of its earlier starts only by the clock. Where that goes back,
      // its peers do not believe it until it has come to where it was: nobody can tell it from an
      // earlier start that was never stopped.
      clocks_move_(!disks_fail_ && context.random.Percent(30)),
      // Who lost what it knew of a root has to be linked anew.
      roots_rotate_(!disks_fail_ && context.random.Percent(25)),
      middle_box_(context.random.Percent(25)) {
  fleet_.network().set_middle_box(middle_box_);
  context_.journal.Note(fleet_.size(), " clusters", clocks_move_ ? ", clocks move" : "",
                        disks_fail_ ? ", disks fail" : "", roots_rotate_ ? ", roots rotate" : "",
                        middle_box_ ? ", a broken middle box" : "");
}

int Chaos::AnyCluster() {
  return static_cast<int>(context_.random.Below(static_cast<uint64_t>(fleet_.size())));
}

void Chaos::Start(absl::Duration end) {
  end_ = end;
  // First all find each other, in most runs.
  context_.time.After(absl::Seconds(context_.random.Below(5)), [this] { Act(); });
  context_.time.After(absl::Seconds(1), [this] { Ask(); });
}

void Chaos::Act() {
  if (over()) return;
  context_.random.Percent(60) ? Work() : Fault();
  context_.time.After(context_.random.Between(absl::Milliseconds(50), absl::Milliseconds(1500)),
                      [this] { Act(); });
}

void Chaos::Ask() {
  if (over()) return;
  traffic_.RandomRequest();
  for (int cluster = 0; cluster < fleet_.size(); ++cluster) {
    if (fleet_.at(cluster).liar != nullptr) traffic_.RandomAttack(cluster);
  }
  context_.time.After(context_.random.Between(absl::Milliseconds(50), absl::Milliseconds(400)),
                      [this] { Ask(); });
}

void Chaos::Work() {
  const int cluster = AnyCluster();
  const ServiceName service = AnyService();
  switch (context_.random.Below(11)) {
    case 0:
      return fleet_.SetService(cluster, service, context_.random.Percent(70));
    case 1:
      return fleet_.ChangeGateways(cluster);
    case 2: {
      // A pod that flaps.
      for (int i = 0; i < 8; ++i) {
        context_.time.After(absl::Milliseconds(40 * i), [this, cluster, service, i] {
          fleet_.SetPod(cluster, service, 0, i % 2 == 0);
        });
      }
      return;
    }
    case 3:
      return fleet_.SetPolicy(cluster, context_.random.Percent(75));
    default:
      return fleet_.SetPod(cluster, service,
                           static_cast<int>(context_.random.Below(kPodsOfService)),
                           context_.random.Percent(60));
  }
}

void Chaos::Fault() {
  switch (context_.random.Below(8)) {
    case 0:
    case 1:
      return Crash();
    case 2:
    case 3:
      return Partition();
    case 4:
      return fleet_.RestartProxies(AnyCluster());
    case 5:
      if (clocks_move_) return MoveClock();
      break;
    case 6:
      if (roots_rotate_) return Rotate();
      break;
    default:
      break;
  }
  fleet_.network().BreakOne();
}

void Chaos::Restart(int cluster, absl::Duration after) {
  context_.time.After(after, [this, cluster] { fleet_.StartWeftd(cluster); });
}

void Chaos::Crash() {
  const int cluster = AnyCluster();
  const absl::Duration down = context_.random.Between(absl::Milliseconds(100), absl::Seconds(12));
  if (context_.random.Percent(20)) {
    fleet_.LoseHold(cluster);
    context_.time.After(down + absl::Seconds(10), [this, cluster] { fleet_.EndZombie(cluster); });
  } else {
    fleet_.CrashWeftd(cluster, context_.random.Percent(50),
                      disks_fail_ && context_.random.Percent(30));
  }
  Restart(cluster, down);
}

void Chaos::Partition() {
  const int from = AnyCluster();
  const int to = AnyCluster();
  if (from == to) return;
  const bool both = context_.random.Percent(50);
  context_.journal.Note("partition: ", NameOf(from), both ? " and " : " to ", NameOf(to));
  fleet_.network().Block(from, to);
  if (both) fleet_.network().Block(to, from);
  const absl::Duration lasts = context_.random.Between(absl::Milliseconds(100), absl::Seconds(15));
  context_.time.After(lasts, [this, from, to, both] {
    context_.journal.Note("partition over: ", NameOf(from), both ? " and " : " to ", NameOf(to));
    fleet_.network().Unblock(from, to);
    if (both) fleet_.network().Unblock(to, from);
  });
}

void Chaos::MoveClock() {
  const int cluster = AnyCluster();
  const absl::Duration most = context_.random.Percent(50) ? absl::Minutes(4) : absl::Hours(2);
  fleet_.at(cluster).clock_error = context_.random.Between(-most, most);
  context_.journal.Note(NameOf(cluster), ": its clock is off by ",
                        absl::FormatDuration(fleet_.at(cluster).clock_error));
}

// In the order in which it is safe: a root signs once all have heard of it, and could keep it.
void Chaos::Rotate() {
  const int cluster = AnyCluster();
  Cluster& rotated = fleet_.at(cluster);
  if (rotated.liar != nullptr) return;
  bool heard = rotated.roots > 1;
  for (int peer = 0; peer < fleet_.size() && heard; ++peer) {
    if (peer == cluster) continue;
    const Cluster& other = fleet_.at(peer);
    heard = other.weftd != nullptr && other.zombie == nullptr && other.weftd->Saved(cluster) &&
            other.weftd->StateOf(cluster).peer->roots_pem.size() >=
                RootsPem(cluster, rotated.roots).size();
  }
  if (heard) {
    fleet_.SignByNewestRoot(cluster);
  } else {
    fleet_.AddRoot(cluster);
  }
  fleet_.CrashWeftd(cluster, /*silent=*/false, /*lose_disk=*/false);
  Restart(cluster, absl::Milliseconds(500));
}

void Chaos::Heal() {
  context_.journal.Note("all faults end");
  fleet_.network().set_middle_box(false);
  for (int from = 0; from < fleet_.size(); ++from) {
    fleet_.at(from).clock_error = absl::ZeroDuration();
    fleet_.EndZombie(from);
    fleet_.StartWeftd(from);
    for (int to = 0; to < fleet_.size(); ++to) fleet_.network().Unblock(from, to);
  }
}

}  // namespace weft::simulation
