#include "controlplane/sources/directory.h"

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

std::string Service(const std::string& name, const std::string& mark = "a",
                    const std::string& more = "") {
  return absl::StrCat("---\napiVersion: v1\nkind: Service\nmetadata:\n  name: ", name,
                      "\n  labels: {mark: ", mark, "}\n", more);
}

class Folder {
 public:
  Folder() {
    std::string path = absl::StrCat(::testing::TempDir(), "/weft-directory-XXXXXX");
    path_ = ::mkdtemp(path.data());
  }
  ~Folder() { fs::remove_all(path_); }
  fs::path operator/(const std::string& name) const { return fs::path(path_) / name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

void Write(const fs::path& path, const std::string& text) { std::ofstream(path) << text; }

// The objects as the source told of them: name -> label "mark".
class Observed {
 public:
  explicit Observed(std::vector<std::string> folders) {
    auto source = DirectorySource::Start(std::move(folders),
                                         [this](SourceUpdate update) { Take(std::move(update)); });
    source_ = std::move(source).value();
  }

  void Take(SourceUpdate update) {
    const std::lock_guard lock(mutex_);
    synced_ |= update.first;
    ++updates_;
    for (const ObjectDelta& delta : update.deltas) {
      if (delta.object == nullptr) {
        marks_.erase(delta.key.name);
      } else {
        marks_[delta.key.name] =
            std::string(delta.object->body.node["metadata"]["labels"]["mark"].Scalar());
      }
    }
    for (const Problem& problem : update.problems) problems_.push_back(ToString(problem));
    changed_.notify_all();
  }

  using Marks = std::map<std::string, std::string>;
  // Waits at most 3 s; returns what was there in the end.
  Marks Await(const Marks& expected) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(3), [&] { return synced_ && marks_ == expected; });
    return marks_;
  }
  std::string AwaitProblem(const std::string& part) {
    std::unique_lock lock(mutex_);
    const auto text = [&] { return absl::StrJoin(problems_, "\n"); };
    changed_.wait_for(lock, std::chrono::seconds(3),
                      [&] { return text().find(part) != std::string::npos; });
    return text();
  }
  // What is there after nothing happened for a while.
  Marks After(milliseconds time) {
    std::this_thread::sleep_for(time);
    const std::lock_guard lock(mutex_);
    return marks_;
  }
  int updates() {
    const std::lock_guard lock(mutex_);
    return updates_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  Marks marks_;
  std::vector<std::string> problems_;
  bool synced_ = false;
  int updates_ = 0;
  std::unique_ptr<DirectorySource> source_;  // last: its thread calls Take
};

using Marks = Observed::Marks;

TEST(Directory, TellsWhatIsThereAndThenWhatChanges) {
  Folder folder;
  Write(folder / "a.yaml", Service("one") + Service("two"));
  Observed seen({folder.path()});
  EXPECT_EQ(seen.Await({{"one", "a"}, {"two", "a"}}), (Marks{{"one", "a"}, {"two", "a"}}));
  Write(folder / "b.yaml", Service("three"));
  EXPECT_EQ(seen.Await({{"one", "a"}, {"two", "a"}, {"three", "a"}}).size(), 3u);
  Write(folder / "a.yaml", Service("one", "b"));
  EXPECT_EQ(seen.Await({{"one", "b"}, {"three", "a"}}), (Marks{{"one", "b"}, {"three", "a"}}));
  fs::remove(folder / "b.yaml");
  EXPECT_EQ(seen.Await({{"one", "b"}}), (Marks{{"one", "b"}}));
}

TEST(Directory, IsSyncedWhenThereIsNothing) {
  Folder folder;
  Observed seen({folder.path()});
  seen.Await({});
  EXPECT_EQ(seen.updates(), 1);
}

TEST(Directory, TellsOfAnEditWithinAFewMilliseconds) {
  Folder folder;
  Write(folder / "a.yaml", Service("one", "0"));
  Observed seen({folder.path()});
  seen.Await({{"one", "0"}});
  std::vector<double> times;
  for (int i = 1; i <= 20; ++i) {
    const auto start = Clock::now();
    Write(folder / ".a.yaml.tmp", Service("one", absl::StrCat(i)));
    fs::rename(folder / ".a.yaml.tmp", folder / "a.yaml");
    ASSERT_EQ(seen.Await({{"one", absl::StrCat(i)}}), (Marks{{"one", absl::StrCat(i)}}));
    times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - start).count());
  }
  std::sort(times.begin(), times.end());
  RecordProperty("median_ms", absl::StrCat(times[10]));
  std::cout << "edit to delta: median " << times[10] << " ms, worst " << times[19] << " ms\n";
  EXPECT_LT(times[10], 40);  // 6 ms on an idle machine
}

TEST(Directory, LaterFoldersOverrideEarlierOnesAndUncoverThemAgain) {
  Folder base, overlay;
  Write(base / "a.yaml", Service("one", "base") + Service("two", "base"));
  Write(overlay / "a.yaml", Service("one", "overlay"));
  Observed seen({base.path(), overlay.path()});
  EXPECT_EQ(seen.Await({{"one", "overlay"}, {"two", "base"}}),
            (Marks{{"one", "overlay"}, {"two", "base"}}));
  Write(overlay / "gone.yaml",
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: two\n"
        "  deletionTimestamp: \"2024-01-01T00:00:00Z\"\n");
  EXPECT_EQ(seen.Await({{"one", "overlay"}}), (Marks{{"one", "overlay"}}));
  fs::remove(overlay / "gone.yaml");
  fs::remove(overlay / "a.yaml");
  EXPECT_EQ(seen.Await({{"one", "base"}, {"two", "base"}}),
            (Marks{{"one", "base"}, {"two", "base"}}));
}

TEST(Directory, KeepsWhatABrokenFileLastHeldAndNamesTheLine) {
  Folder folder;
  Write(folder / "a.yaml", Service("one") + Service("two"));
  Observed seen({folder.path()});
  seen.Await({{"one", "a"}, {"two", "a"}});
  // The first document still takes effect; the second is broken.
  Write(folder / "a.yaml", Service("one", "b") + "---\nkind: [unclosed\n");
  EXPECT_EQ(seen.Await({{"one", "b"}, {"two", "a"}}), (Marks{{"one", "b"}, {"two", "a"}}));
  EXPECT_NE(seen.AwaitProblem("a.yaml:").find("not valid YAML"), std::string::npos);
  Write(folder / "a.yaml", Service("one", "c"));
  EXPECT_EQ(seen.Await({{"one", "c"}}), (Marks{{"one", "c"}}));
}

TEST(Directory, WaitsForAFileThatIsBeingWritten) {
  Folder folder;
  Write(folder / "a.yaml", Service("one") + Service("two"));
  Observed seen({folder.path()});
  seen.Await({{"one", "a"}, {"two", "a"}});
  const int fd = ::open((folder / "a.yaml").c_str(), O_WRONLY | O_TRUNC);
  const std::string first = Service("one", "b"), second = Service("two", "b");
  ASSERT_GT(::write(fd, first.data(), first.size()), 0);
  EXPECT_EQ(seen.After(milliseconds(150)), (Marks{{"one", "a"}, {"two", "a"}}));
  ASSERT_GT(::write(fd, second.data(), second.size()), 0);
  ::close(fd);
  EXPECT_EQ(seen.Await({{"one", "b"}, {"two", "b"}}), (Marks{{"one", "b"}, {"two", "b"}}));
}

TEST(Directory, ReadsAFileThatIsNeverClosedButRemovesNothing) {
  Folder folder;
  Write(folder / "a.yaml", Service("one") + Service("two"));
  Observed seen({folder.path()});
  seen.Await({{"one", "a"}, {"two", "a"}});
  const int fd = ::open((folder / "a.yaml").c_str(), O_WRONLY | O_TRUNC);
  const std::string first = Service("one", "b");
  ASSERT_GT(::write(fd, first.data(), first.size()), 0);
  EXPECT_EQ(seen.Await({{"one", "b"}, {"two", "a"}}), (Marks{{"one", "b"}, {"two", "a"}}));
  ::close(fd);
  EXPECT_EQ(seen.Await({{"one", "b"}}), (Marks{{"one", "b"}}));
}

TEST(Directory, DoesNotBlinkWhenAnEditorRenamesTheOldFileAway) {
  Folder folder;
  Write(folder / "a.yaml", Service("one"));
  Observed seen({folder.path()});
  seen.Await({{"one", "a"}});
  const int before = seen.updates();
  fs::rename(folder / "a.yaml", folder / "a.yaml~");
  std::this_thread::sleep_for(milliseconds(20));
  Write(folder / "a.yaml", Service("one", "b"));
  EXPECT_EQ(seen.Await({{"one", "b"}}), (Marks{{"one", "b"}}));
  EXPECT_EQ(seen.updates(), before + 1);  // no removal in between
}

TEST(Directory, IgnoresHiddenFilesAndEditorsCopies) {
  Folder folder;
  for (const char* name : {".a.yaml", "a.yaml~", "a.yaml.swp", ".a.yaml.swp", "a.yaml.tmp", "4913",
                           "#a.yaml#", "README.md"}) {
    Write(folder / name, Service("one"));
  }
  Write(folder / "b.yml", Service("two"));
  Write(folder / "c.json", R"({"apiVersion":"v1","kind":"Service","metadata":)"
                           R"({"name":"three","labels":{"mark":"a"}}})");
  Observed seen({folder.path()});
  EXPECT_EQ(seen.Await({{"two", "a"}, {"three", "a"}}), (Marks{{"two", "a"}, {"three", "a"}}));
}

TEST(Directory, FollowsFoldersBelow) {
  Folder folder;
  Observed seen({folder.path()});
  seen.Await({});
  fs::create_directories(folder / "x/y");
  Write(folder / "x/y/a.yaml", Service("one"));
  EXPECT_EQ(seen.Await({{"one", "a"}}), (Marks{{"one", "a"}}));
  Write(folder / "x/y/a.yaml", Service("one", "b"));
  EXPECT_EQ(seen.Await({{"one", "b"}}), (Marks{{"one", "b"}}));
  fs::rename(folder / "x", folder / "z");
  Write(folder / "z/y/a.yaml", Service("one", "c"));
  EXPECT_EQ(seen.Await({{"one", "c"}}), (Marks{{"one", "c"}}));
  fs::remove_all(folder / "z");
  EXPECT_EQ(seen.Await({}), Marks{});
}

TEST(Directory, TakesUpAFolderThatAppearsLaterAndAgain) {
  Folder folder;
  const fs::path late = folder / "late";
  Observed seen({late.string()});
  EXPECT_NE(seen.AwaitProblem("cannot read this folder").find("No such file"), std::string::npos);
  for (int i = 0; i < 2; ++i) {
    fs::create_directory(late);
    Write(late / "a.yaml", Service("one"));
    EXPECT_EQ(seen.Await({{"one", "a"}}), (Marks{{"one", "a"}}));
    fs::remove_all(late);
    EXPECT_EQ(seen.Await({}), Marks{});
  }
}

TEST(Directory, FollowsTheSwappedLinkOfAMountedConfigMap) {
  Folder folder;
  fs::create_directory(folder / "..1");
  fs::create_directory(folder / "..2");
  Write(folder / "..1/a.yaml", Service("one", "a"));
  Write(folder / "..2/a.yaml", Service("one", "b"));
  fs::create_directory_symlink("..1", folder / "..data");
  fs::create_symlink("..data/a.yaml", folder / "a.yaml");
  Observed seen({folder.path()});
  EXPECT_EQ(seen.Await({{"one", "a"}}), (Marks{{"one", "a"}}));
  fs::create_directory_symlink("..2", folder / "..data_tmp");
  fs::rename(folder / "..data_tmp", folder / "..data");
  EXPECT_EQ(seen.Await({{"one", "b"}}), (Marks{{"one", "b"}}));
}

TEST(Directory, SurvivesAFifoAndALinkToItself) {
  Folder folder;
  ASSERT_EQ(::mkfifo((folder / "pipe.yaml").c_str(), 0600), 0);
  fs::create_directory_symlink(".", folder / "again");
  fs::create_symlink("loop.yaml", folder / "loop.yaml");
  Write(folder / "a.yaml", Service("one"));
  Observed seen({folder.path()});
  EXPECT_EQ(seen.Await({{"one", "a"}}), (Marks{{"one", "a"}}));
}

TEST(ReadDirectories, WarnsOfAnObjectThatIsThereTwiceInOneFolder) {
  Folder folder;
  Write(folder / "a.yaml", Service("one", "a"));
  Write(folder / "b.yaml", "\n\n" + Service("one", "b"));
  const DirectoryContents contents = ReadDirectories({folder.path()});
  ASSERT_EQ(contents.objects.size(), 1u);
  EXPECT_EQ(contents.objects.begin()->second->origin, "b.yaml:4");
  ASSERT_EQ(contents.problems.size(), 1u);
  EXPECT_EQ(ToString(contents.problems[0]),
            "b.yaml:4: warning: Service default/one: is also in a.yaml:2, which is not used");
}

TEST(ReadDirectories, NamesAFolderThatIsNotThere) {
  const DirectoryContents contents = ReadDirectories({"/nonexistent/weft"});
  ASSERT_EQ(contents.problems.size(), 1u);
  EXPECT_EQ(ToString(contents.problems[0]),
            "/nonexistent/weft: cannot read this folder: No such file or directory");
}

}  // namespace
}  // namespace weft
