#include "runner/guard.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include "policy/error.h"
#include "runner/sys/files.h"
#include "runner/sys/mount.h"

namespace vrun {
namespace {

constexpr int kMostTimes = 8;
constexpr int kMostNumbers = 99;
constexpr const char* kSuffix = ".from-run";
constexpr std::size_t kLongestStem = NAME_MAX - 40;  // what is left for the suffix and a random number

/// Renames `made` in `directory` to `aside`, a name that nothing has there. Returns 0 or an errno. The run may take
/// names too, but cannot guess all of them.
int rename_aside(int directory, const std::string& made, std::string& aside) {
  const std::string stem = made.substr(0, kLongestStem) + kSuffix;
  aside = stem;
  for (int number = 2;; ++number) {
    if (sys::rename_to_new(directory, made, aside)) return 0;
    const int error_number = errno;
    if (error_number == EINVAL) {
      // Some file systems, such as NFS, cannot promise that nothing is replaced; nothing has a random name.
      aside = sys::random_name(stem + ".");
      return ::renameat(directory, made.c_str(), directory, aside.c_str()) == 0 ? 0 : errno;
    }
    if (error_number != EEXIST || number > 2 * kMostNumbers) return error_number;
    aside = number <= kMostNumbers ? stem + "." + std::to_string(number) : sys::random_name(stem + ".");
  }
}

}  // namespace

void Guard::begin(const Root& root) {
  for (const GuardedName& name : plan_) {
    auto place =
        std::find_if(places_.begin(), places_.end(), [&](const Place& known) { return known.path == name.base; });
    if (place == places_.end()) {
      Fd directory = sys::open_beneath(root.fd(), name.base, O_DIRECTORY);
      struct stat status {};
      if (!directory.valid() || ::fstat(directory.get(), &status) != 0)
        throw Error("cannot watch what the run makes in", name.base, errno);
      if (name.identity && *name.identity != FileIdentity{status.st_dev, status.st_ino})
        throw Error("it was replaced while the run was prepared:", name.base);
      watch(directory.get(), ".");
      places_.push_back({name.base, std::move(directory)});
      place = places_.end() - 1;
    }
    // What lies further down is watched where its directory is there already.
    if (const std::size_t slash = name.below.rfind('/'); slash != std::string::npos)
      watch(place->directory.get(), name.below.substr(0, slash));
    names_.push_back({&name, static_cast<std::size_t>(place - places_.begin())});
  }
}

void Guard::watch(int directory, const std::string& below) {
  Fd watched = sys::open_beneath(directory, below, O_DIRECTORY);
  if (!watched.valid()) return;
  watched.reset(::openat(watched.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  // A directory that cannot be read is none that the kernel tells of.
  told_ = told_ && watched.valid() && sys::signal_new_names(watched.get());
  watched_.push_back(std::move(watched));
}

void Guard::look() {
  if (!insisted_.empty() && !ended_) return;  // the run is being ended
  for (Name& name : names_) look_at(name);
}

void Guard::finish() {
  ended_ = true;
  look();
}

void Guard::look_at(Name& name) {
  Place& place = places_[name.place];
  const std::string& below = name.plan->below;
  Fd held;
  int directory = place.directory.get();
  struct stat status {};
  for (std::size_t begin = 0;;) {
    const std::size_t end = below.find('/', begin);
    const std::string component = below.substr(begin, end - begin);
    const std::string path = join(place.path, below.substr(0, end));
    if (::fstatat(directory, component.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
      const int error_number = errno;
      if (error_number != ENOENT) fail(place, "cannot tell what the run made in", place.path, error_number);
      return;
    }
    const bool stands = end == std::string::npos && name.plan->link && S_ISLNK(status.st_mode) &&
                        link_text(directory, component) == name.plan->link;
    if (stands) return;
    // On the way to a name there may be directories alone: a link would lead to something of the run's making.
    if (end == std::string::npos || !S_ISDIR(status.st_mode)) return move_aside(name, directory, component, path);
    Fd next = sys::open_beneath(directory, component, O_DIRECTORY);
    if (const int error_number = errno; !next.valid())
      return fail(place, "cannot tell what the run made in", path, error_number);
    held = std::move(next);
    directory = held.get();
    begin = end + 1;
  }
}

void Guard::move_aside(Name& name, int directory, const std::string& made, const std::string& path) {
  std::string aside;
  if (const int error_number = rename_aside(directory, made, aside); error_number != 0) {
    // What was there may be gone again.
    if (error_number != ENOENT) fail(places_[name.place], "cannot move aside what the run made:", path, error_number);
    return;
  }
  constexpr const char* kWhy = ", which tools on this machine may trust or execute; it is now ";
  std::string note = name.plan->link ? "the run replaced the link " : "the run made ";
  note += quote(path) + kWhy + quote(aside);
  if (!name.plan->link) note += " (to allow it: --rw " + command_word(name.plan->path()) + ")";
  notes_.push_back(std::move(note));
  if (++name.times > kMostTimes && insisted_.empty()) insisted_ = path;
}

void Guard::fail(Place& place, const std::string& operation, const std::string& path, int error_number) {
  // As long as the run goes on it may change what is in the way.
  if (!ended_ || place.failed) return;
  place.failed = true;
  failures_.emplace_back(Error(operation, path, error_number)
                             .hint("tools on this machine may trust or execute what is there: look at it before you "
                                   "use any in this directory")
                             .what());
}

}  // namespace vrun
