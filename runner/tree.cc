#include "runner/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "runner/sys/files.h"

namespace vrun {
namespace {

std::vector<std::string> names_in(int directory, const char* name) {
  std::vector<std::string> names;
  const int fd = ::openat(directory, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return names;
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(fd), ::closedir);
  while (const struct dirent* entry = stream ? ::readdir(stream.get()) : nullptr)
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  return names;
}

std::uint64_t number(std::string_view text, int base = 10) {
  std::uint64_t value = 0;
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  std::from_chars(text.data(), text.data() + text.size(), value, base);
  return value;
}

/// "Key:   123 kB" in bytes, wherever a line begins with it; the first of them.
std::uint64_t kilobytes(std::string_view text, std::string_view key) {
  for (std::size_t at = text.find(key); at != text.npos; at = text.find(key, at + 1))
    if (at == 0 || text[at - 1] == '\n') return number(text.substr(at + key.size())) * 1024;
  return 0;
}

std::chrono::nanoseconds of_ticks(std::uint64_t ticks) {
  static const long kPerSecond = ::sysconf(_SC_CLK_TCK);
  return std::chrono::nanoseconds(ticks * (1'000'000'000 / static_cast<std::uint64_t>(kPerSecond)));
}

/// proc_pid_stat(5).
std::optional<ProcessStat> read_stat(int process) {
  const std::string text = sys::read_at(process, "stat");
  // The name, which the process chooses, is in parentheses and may have any character.
  const std::size_t end = text.rfind(')');
  if (end == text.npos) return std::nullopt;
  std::vector<std::string_view> fields;
  std::string_view rest = std::string_view(text).substr(end + 1);
  while (!rest.empty() && fields.size() < 20) {
    rest.remove_prefix(1);
    fields.push_back(rest.substr(0, rest.find(' ')));
    rest.remove_prefix(std::min(fields.back().size(), rest.size()));
  }
  if (fields.size() < 20) return std::nullopt;
  // Numbered from the state on, which is field 3 of the manual.
  ProcessStat stat{static_cast<pid_t>(number(fields[1])), number(fields[19]),
                   of_ticks(number(fields[11]) + number(fields[12])), of_ticks(number(fields[13]) + number(fields[14])),
                   number(fields[17])};
  // A short life has few ticks or none. This is of one thread, in nanoseconds, where the kernel counts them.
  if (stat.threads == 1)
    stat.own = std::max(stat.own, std::chrono::nanoseconds(number(sys::read_at(process, "schedstat"))));
  return stat;
}

std::vector<pid_t> children_of(int process, pid_t pid, std::uint64_t threads) {
  std::vector<pid_t> children;
  const std::vector<std::string> tasks =
      threads == 1 ? std::vector<std::string>{std::to_string(pid)} : names_in(process, "task");
  for (const std::string& task : tasks) {
    const std::string text = sys::read_at(process, ("task/" + task + "/children").c_str());
    for (std::string_view rest = text; !rest.empty();) {
      const std::string_view word = rest.substr(0, rest.find(' '));
      if (const auto child = static_cast<pid_t>(number(word)); child > 0) children.push_back(child);
      rest.remove_prefix(std::min(word.size() + 1, rest.size()));
    }
  }
  return children;
}

/// Memory of the processes of a tree.
class MemoryCount {
 public:
  MemoryCount(dev_t unnamed, Tree::Clock::time_point until) : unnamed_(unnamed), until_(until) {}

  /// Adds a process, with at most what it uses: what processes share counts for each of them.
  void add(int process) {
    const std::string status = sys::read_at(process, "status");
    roughly_ += kilobytes(status, "RssAnon:") + kilobytes(status, "VmSwap:") + kilobytes(status, "RssShmem:");
    add_open_files(process);
  }
  std::uint64_t roughly() const { return roughly_; }
  /// Files without a name that some process had open, mapped or not.
  std::uint64_t open_files() const { return open_files_; }

  /// The process's share of what it shares. What is on a memory file system of the run's, or was open, counts there.
  std::uint64_t exactly(int process) const {
    const std::string sum = sys::read_at(process, "smaps_rollup");
    if (sum.empty()) {
      const std::string status = sys::read_at(process, "status");
      return kilobytes(status, "RssAnon:") + kilobytes(status, "VmSwap:");
    }
    std::uint64_t bytes = kilobytes(sum, "Pss_Anon:") + kilobytes(sum, "SwapPss:");
    if (kilobytes(sum, "Pss_Shmem:") == 0) return bytes;
    // A mapping begins with "ADDRESS-ADDRESS MODE OFFSET MAJOR:MINOR INODE", and goes on with lines "Key: value".
    const std::string maps = sys::read_at(process, "smaps");
    bool counts = false;
    for (std::string_view rest = maps; !rest.empty();) {
      const std::string_view line = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(line.size() + 1, rest.size()));
      const std::string_view key = line.substr(0, line.find(' '));
      if (!key.ends_with(':'))
        counts = is_uncounted(line);
      else if (counts && key == "Pss:")
        bytes += number(line.substr(key.size())) * 1024;
    }
    return bytes;
  }

 private:
  void add_open_files(int process) {
    const Fd directory(unnamed_ == 0 ? -1 : ::openat(process, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory.valid()) return;
    for (const std::string& name : names_in(directory.get(), ".")) {
      if (Tree::Clock::now() >= until_) return;
      struct stat status {};
      if (::fstatat(directory.get(), name.c_str(), &status, 0) != 0 || status.st_dev != unnamed_) continue;
      if (S_ISREG(status.st_mode) && counted_.insert(status.st_ino).second)
        open_files_ += static_cast<std::uint64_t>(status.st_blocks) * 512;
    }
  }
  bool is_uncounted(std::string_view line) const {
    std::array<std::string_view, 5> fields;
    for (std::string_view& field : fields) {
      field = line.substr(0, line.find(' '));
      line.remove_prefix(std::min(field.size() + 1, line.size()));
    }
    const std::size_t colon = fields[3].find(':');
    if (colon == std::string_view::npos) return false;
    const dev_t device = ::makedev(static_cast<unsigned>(number(fields[3].substr(0, colon), 16)),
                                   static_cast<unsigned>(number(fields[3].substr(colon + 1), 16)));
    return device == unnamed_ && counted_.count(number(fields[4])) == 0;
  }

  dev_t unnamed_;
  Tree::Clock::time_point until_;
  std::uint64_t roughly_ = 0;
  std::uint64_t open_files_ = 0;
  std::set<ino_t> counted_;
};

}  // namespace

void Tree::find_unnamed() {
  const Fd file(::memfd_create("vrun", MFD_CLOEXEC));
  struct stat status {};
  if (file.valid() && ::fstat(file.get(), &status) == 0) unnamed_ = status.st_dev;
}

bool Tree::measurable() const {
  const std::string process = std::to_string(init_);
  const Fd directory(::openat(proc_.get(), process.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  return directory.valid() && read_stat(directory.get()) &&
         ::faccessat(directory.get(), ("task/" + process + "/children").c_str(), R_OK, 0) == 0;
}

Fd Tree::open_process(pid_t pid) const {
  return Fd(::openat(proc_.get(), std::to_string(pid).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
}

void Tree::remember(pid_t pid, const ProcessStat& stat) {
  Seen& seen = seen_[pid];
  if (seen.started != stat.started) ended_ += seen.own;
  seen = {stat.started, stat.own, look_};
}

/// After a walk through all of the tree: what it did not meet has ended, and adds to ended_, or was given another
/// parent meanwhile, as orphans are. Returns the time of the latter.
std::chrono::nanoseconds Tree::settle_missing() {
  std::chrono::nanoseconds living{0};
  for (auto next = seen_.begin(); next != seen_.end();) {
    const auto place = next++;
    Seen& seen = place->second;
    if (seen.look == look_) continue;
    const Fd process = open_process(place->first);
    const auto stat = process.valid() ? read_stat(process.get()) : std::nullopt;
    if (stat && stat->started == seen.started) {
      seen.own = stat->own;
      living += stat->own;
      continue;
    }
    ended_ += seen.own;
    seen_.erase(place);
  }
  return living;
}

bool Tree::walk(Clock::time_point until, const std::function<void(pid_t, int, const ProcessStat&)>& visit) const {
  struct Found {
    pid_t pid;
    pid_t parent;
  };
  std::set<pid_t> seen;
  std::vector<Found> found{{init_, 0}};
  while (!found.empty()) {
    if (Clock::now() >= until) return false;
    const Found next = found.back();
    found.pop_back();
    if (!seen.insert(next.pid).second) continue;
    const Fd process = open_process(next.pid);
    const auto stat = process.valid() ? read_stat(process.get()) : std::nullopt;
    // The number may be another process's by now, but not one whose parent is in the run.
    if (!stat || (next.pid != init_ && stat->parent != next.parent && stat->parent != init_)) continue;
    visit(next.pid, process.get(), *stat);
    for (const pid_t child : children_of(process.get(), next.pid, stat->threads)) found.push_back({child, next.pid});
  }
  return true;
}

TreeUse Tree::measure(std::optional<std::uint64_t> suspicious, Clock::time_point until) {
  TreeUse use;
  MemoryCount count(unnamed_, until);
  std::chrono::nanoseconds living{0};
  std::chrono::nanoseconds waited_for{0};
  ++look_;
  const bool whole = walk(until, [&](pid_t pid, int process, const ProcessStat& stat) {
    living += stat.own;
    waited_for += stat.children;
    remember(pid, stat);
    if (pid == init_) return;
    use.tasks += stat.threads;
    if (suspicious) count.add(process);
  });
  if (whole) living += settle_missing();
  use.complete = whole && Clock::now() < until;
  // Both accounts are of processes that have ended, and neither has more of one than it used: the kernel's has all of
  // those that somebody waited for, and only those (SIGCHLD can be ignored); the other has what was seen of each.
  use.cpu = living + std::max(waited_for, ended_);
  if (!suspicious) return use;
  std::uint64_t files = count.open_files();
  for (const int directory : memory_) {
    struct statfs status {};
    if (::fstatfs(directory, &status) == 0)
      files += (status.f_blocks - status.f_bfree) * static_cast<std::uint64_t>(status.f_bsize);
  }
  use.memory = files + count.roughly();
  if (use.memory <= *suspicious) return use;
  use.memory = files;
  use.complete = use.complete && walk(until, [&](pid_t pid, int process, const ProcessStat&) {
                   if (pid != init_) use.memory += count.exactly(process);
                 });
  return use;
}

}  // namespace vrun
