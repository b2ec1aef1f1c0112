#include "runner/fetch.h"

#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
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

/// One name in a directory, which no link leads out of; invalid with errno set.
Fd open_in(int directory, const std::string& name, int flags) {
  struct open_how how {};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
  return Fd(static_cast<int>(::syscall(SYS_openat2, directory, name.c_str(), &how, sizeof how)));
}

/// Sorted; of a directory with more names than anybody needs, the first.
std::vector<std::string> names_in(int directory) {
  std::vector<std::string> names;
  const int fd = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return names;
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(fd), ::closedir);
  while (const struct dirent* entry = stream && names.size() < kMostNames ? ::readdir(stream.get()) : nullptr)
    names.emplace_back(entry->d_name);
  std::sort(names.begin(), names.end());
  return names;
}

std::string reason(int error_number) { return error_number == ELOOP ? "it is a link" : errno_name(error_number); }

/// Whether all was copied and it was not more than `most`; errno otherwise, EFBIG for too much.
bool copy(int from, int to, std::uint64_t most, std::uint64_t& copied) {
  std::vector<char> buffer(256UL * 1024);
  for (;;) {
    const ssize_t count = ::read(from, buffer.data(), buffer.size());
    if (count == 0) return true;
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    copied += static_cast<std::uint64_t>(count);
    if (copied > most) {
      errno = EFBIG;
      return false;
    }
    for (ssize_t done = 0; done < count;) {
      const ssize_t written = ::write(to, buffer.data() + done, static_cast<std::size_t>(count - done));
      if (written < 0 && errno != EINTR) return false;
      done += std::max<ssize_t>(written, 0);
    }
  }
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
    if (rest.empty()) {
      take(directory, name, join(at, name));
    } else if (const Fd below = open_in(directory, name, O_PATH | O_DIRECTORY); below.valid()) {
      match(below.get(), join(at, name), rest);
    } else if (errno != ENOENT && errno != ENOTDIR) {
      refuse(join(at, name), reason(errno));
    }
  }
}

void Fetcher::take(int directory, const std::string& name, const std::string& path) {
  if (fetched_.size() >= kMostFiles) return;
  // Without waiting for whoever would write to a FIFO.
  const Fd file = open_in(directory, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY);
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
  std::uint64_t copied = 0;
  if (copy(file.get(), to.get(), most_, copied)) {
    fetched_.push_back({path, copied, ""});
    return;
  }
  const std::string why = errno_name(errno);
  ::unlinkat(target_, name.c_str(), 0);
  refuse(path, why);
}

}  // namespace vrun
