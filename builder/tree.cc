#include "builder/tree.h"

#include <dirent.h>
#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <utility>

#include "builder/disk.h"
#include "policy/error.h"

namespace vrun::builder {
namespace {

bool means_absent(int error_number) { return error_number == ENOENT || error_number == ENOTDIR; }

Error failed(const char* operation, const std::string& path, int error_number) {
  return Error(operation, path, error_number)
      .hint(error_number == ELOOP ? "there is a symbolic link in this path, and it is not followed" : "");
}

}  // namespace

Tree::Tree(const Root& root, std::string path) : path_(std::move(path)) {
  fd_ = root.open(path_, O_RDONLY | O_DIRECTORY);
  if (!fd_.valid()) throw Error("cannot open", path_, errno);
}

std::optional<struct stat> Tree::lstat(const std::string& relative) const {
  const Fd fd = open_beneath(fd_.get(), relative, O_PATH | O_NOFOLLOW);
  struct stat status {};
  if (fd.valid() && ::fstat(fd.get(), &status) == 0) return status;
  const int error_number = errno;
  if (means_absent(error_number)) return std::nullopt;
  throw failed("cannot look at", at(relative), error_number);
}

std::optional<std::string> Tree::read_link(const std::string& relative) const {
  const Fd link = open_beneath(fd_.get(), relative, O_PATH | O_NOFOLLOW);
  return link.valid() ? link_text(link.get(), "") : std::nullopt;
}

Fd Tree::open_file(const std::string& relative) const {
  // Opening some devices does something, so the file is looked at first; O_NONBLOCK is for one that is exchanged for a
  // FIFO in between.
  const auto before = lstat(relative);
  if (!before) return Fd();
  if (S_ISLNK(before->st_mode)) throw Error(quote(at(relative)) + " is a symbolic link, which is not followed");
  if (!S_ISREG(before->st_mode)) throw Error(quote(at(relative)) + " is not a regular file");
  Fd file = open_beneath(fd_.get(), relative, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
  if (!file.valid()) {
    const int error_number = errno;
    if (means_absent(error_number)) return Fd();
    throw failed("cannot read", at(relative), error_number);
  }
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) throw Error("cannot look at", at(relative), errno);
  if (!S_ISREG(status.st_mode)) throw Error(quote(at(relative)) + " is not a regular file");
  return file;
}

std::string Tree::read_start(const Fd& file, const std::string& relative, std::size_t limit) const {
  std::string content;
  std::array<char, 16384> buffer;
  while (content.size() < limit) {
    const ssize_t count = ::read(file.get(), buffer.data(), std::min(buffer.size(), limit - content.size()));
    if (count < 0) {
      if (errno == EINTR) continue;
      throw Error("cannot read", at(relative), errno);
    }
    if (count == 0) break;
    content.append(buffer.data(), static_cast<std::size_t>(count));
  }
  return content;
}

std::optional<std::string> Tree::read(const std::string& relative, std::size_t limit) const {
  const Fd file = open_file(relative);
  if (!file.valid()) return std::nullopt;
  std::string content = read_start(file, relative, limit + 1);
  if (content.size() > limit)
    throw Error(quote(at(relative)) + " is larger than " + std::to_string(limit) +
                " bytes, the most that is read of it");
  return content;
}

Tree::Listing Tree::list(const std::string& relative) const {
  Listing listing;
  Fd fd = open_beneath(fd_.get(), relative, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK);
  if (!fd.valid()) {
    const int error_number = errno;
    if (error_number == ENOENT) return listing;
    throw failed("cannot list", at(relative), error_number);
  }
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(fd.get()), ::closedir);
  if (!stream) throw Error("cannot list", at(relative), errno);
  fd.release();
  for (;;) {
    errno = 0;
    const dirent* const entry = ::readdir(stream.get());
    if (entry == nullptr) {
      if (errno != 0) throw Error("cannot list", at(relative), errno);
      break;
    }
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    if (listing.names.size() == kMaximumNames) {
      listing.complete = false;
      break;
    }
    listing.names.emplace_back(name);
  }
  std::sort(listing.names.begin(), listing.names.end());
  return listing;
}

std::vector<Tree::Entry> Tree::list_with_status(const std::string& relative, bool& complete) const {
  std::vector<Entry> entries;
  Listing listing = list(relative);
  if (!listing.complete) complete = false;
  const Fd directory = open_beneath(fd_.get(), relative, O_PATH | O_DIRECTORY | O_NOFOLLOW);
  if (!directory.valid()) return entries;
  for (std::string& name : listing.names) {
    Entry entry{.name = std::move(name)};
    if (::fstatat(directory.get(), entry.name.c_str(), &entry.status, AT_SYMLINK_NOFOLLOW) == 0)
      entries.push_back(std::move(entry));
  }
  return entries;
}

}  // namespace vrun::builder
