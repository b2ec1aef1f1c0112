#include "runner/fetch.h"

#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "policy/error.h"
#include "runner/sys/mount.h"

namespace vrun {
namespace {

constexpr std::size_t kMostFiles = 1000;
constexpr std::size_t kMostNames = 100'000;

/// Sorted; of a directory with more names than anybody needs, the first.
std::vector<std::string> names_in(int directory) {
  std::vector<std::string> names;
  const int fd = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return names;
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(fd), ::closedir);
  while (const struct dirent* entry = stream && names.size() < kMostNames ? ::readdir(stream.get()) : nullptr)
    if (const std::string_view name = entry->d_name; name != "." && name != "..") names.emplace_back(name);
  std::sort(names.begin(), names.end());
  return names;
}

std::string reason(int error_number) { return error_number == ELOOP ? "it is a link" : errno_name(error_number); }

/// Copies the first `size` bytes; false with errno set. Holes stay holes, so that a file takes no more room than it
/// took in the run.
bool copy(int from, int to, off_t size) {
  std::vector<char> buffer(256UL * 1024);
  for (off_t at = 0; at < size;) {
    at = ::lseek(from, at, SEEK_DATA);
    if (at < 0 && errno == ENXIO) break;  // a hole up to the end
    const off_t hole = at < 0 ? -1 : ::lseek(from, at, SEEK_HOLE);
    if (hole < 0) return false;
    for (const off_t end = std::min(hole, size); at < end;) {
      const ssize_t count = ::pread(from, buffer.data(), std::min<std::size_t>(buffer.size(), end - at), at);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return false;
      if (count == 0) return ::ftruncate(to, size) == 0;  // somebody else made it shorter meanwhile
      for (ssize_t done = 0; done < count;) {
        const ssize_t written = ::pwrite(to, buffer.data() + done, static_cast<std::size_t>(count - done), at + done);
        if (written < 0 && errno != EINTR) return false;
        done += std::max<ssize_t>(written, 0);
      }
      at += count;
    }
  }
  return ::ftruncate(to, size) == 0;
}

}  // namespace

FetchRequest parse_fetch(const std::string& text, const std::string& directory) {
  const std::size_t equals = text.rfind('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == text.size())
    throw Error("--get wants PATTERN=DIR, not " + quote(text));
  return {text.substr(0, equals), absolute_path(text.substr(equals + 1), directory)};
}

Fetcher::Fetcher(const Plan& plan, const std::vector<FetchRequest>& requests) : plan_(plan), requests_(requests) {
  if (requests.empty()) return;
  for (const FetchRequest& request : requests) {
    targets_.emplace_back(::open(request.directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    const int error_number = errno;
    if (!targets_.back().valid()) throw Error("cannot put what --get fetches into", request.directory, error_number);
  }
  const Fd host(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  for (const Step& step : plan.view) {
    const Bind* bind = std::get_if<Bind>(&step);
    const Hold* hold = std::get_if<Hold>(&step);
    // The host's files below such a path are not what the run sees, or not what it wrote.
    if (const Mask* mask = std::get_if<Mask>(&step)) closed_.insert(mask->path);
    if (hold != nullptr && hold->access == Access::read_only) closed_.insert(hold->path);
    if (bind != nullptr && bind->access == Access::read_only) closed_.insert(bind->target);
    if (bind == nullptr || bind->access != Access::read_write || bind->kind != FileKind::directory) continue;
    opened_.push_back(sys::open_beneath(host.get(), bind->source, O_DIRECTORY));
    if (opened_.back().valid()) add_place(bind->target, opened_.back().get());
  }
}

std::vector<Fetched> Fetcher::fetch(std::uint64_t most) {
  most_ = most;
  for (std::size_t i = 0; i < requests_.size(); ++i) {
    target_ = targets_[i].get();
    const std::string path =
        absolute_path(requests_[i].pattern, plan_.project.empty() ? plan_.identity.home : plan_.project);
    // The nearest place above it.
    const std::pair<const std::string, int>* place = nullptr;
    for (const auto& candidate : places_)
      if (path != candidate.first && is_within(path, candidate.first) &&
          (place == nullptr || place->first.size() < candidate.first.size()))
        place = &candidate;
    if (place == nullptr) {
      refuse(path, "it is not where the run can write");
      continue;
    }
    const std::size_t before = fetched_.size();
    if (before > kMostFiles) break;
    match(place->second, place->first, std::string_view(path).substr(place->first.size() + 1));
    if (fetched_.size() == before) refuse(path, "there is no such file");
  }
  return std::move(fetched_);
}

void Fetcher::match(int directory, const std::string& at, std::string_view rest) {
  const std::string part(rest.substr(0, rest.find('/')));
  rest.remove_prefix(std::min(part.size() + 1, rest.size()));
  const bool is_pattern = part.find_first_of("*?[") != std::string::npos;
  for (const std::string& name : is_pattern ? names_in(directory) : std::vector<std::string>{part}) {
    if (is_pattern && ::fnmatch(part.c_str(), name.c_str(), FNM_PERIOD | FNM_NOESCAPE) != 0) continue;
    if (fetched_.size() > kMostFiles) return;
    const std::string path = join(at, name);
    if (fetched_.size() == kMostFiles)
      return refuse(path, "no more than " + std::to_string(kMostFiles) + " files are fetched");
    if (closed_.count(path) != 0) {
      refuse(path, "it is not where the run can write");
    } else if (rest.empty()) {
      take(directory, name, path);
    } else if (const auto place = places_.find(path); place != places_.end()) {
      match(place->second, path, rest);
    } else if (const Fd below = sys::open_on_mount(directory, name, O_PATH | O_DIRECTORY); below.valid()) {
      match(below.get(), path, rest);
    } else if (errno != ENOENT && errno != ENOTDIR) {
      refuse(path, reason(errno));
    }
  }
}

void Fetcher::take(int directory, const std::string& name, const std::string& path) {
  // Without waiting for whoever would write to a FIFO.
  const Fd file = sys::open_on_mount(directory, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY);
  if (!file.valid()) {
    const int error_number = errno;
    if (error_number == ENOENT) return;
    return refuse(path, reason(error_number));
  }
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return refuse(path, errno_name(errno));
  if (!S_ISREG(status.st_mode)) return refuse(path, "it is not a regular file");
  if (status.st_nlink != 1) return refuse(path, "it has other names too");
  if (static_cast<std::uint64_t>(status.st_size) > most_) return refuse(path, "it is too large");
  if (escape(name) != name) return refuse(path, "its name has characters that are not fit for one");
  const Fd to(::openat(target_, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (!to.valid()) return refuse(path, errno == EEXIST ? "there is a file of that name already" : errno_name(errno));
  if (copy(file.get(), to.get(), status.st_size)) {
    fetched_.push_back({path, static_cast<std::uint64_t>(status.st_size), ""});
    return;
  }
  const std::string why = errno_name(errno);
  ::unlinkat(target_, name.c_str(), 0);
  refuse(path, why);
}

}  // namespace vrun
