#include "policy/closure.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "policy/error.h"
#include "policy/host/elf.h"

namespace vrun {
namespace {

/// Modules and libraries together; CPython with every optional module has about 150.
constexpr std::size_t kMostObjects = 600;

/// Libraries that nothing names and that are needed all the same: those that wheels do not bring along because every
/// machine has them (PEP 600), of which glibc itself loads the first to end a thread; and what old glibc looks names up
/// with (nsswitch.conf(5)).
constexpr std::array<std::string_view, 4> kLibraries = {"libgcc_s.so.1", "libstdc++.so.6", "libnss_files.so.2",
                                                        "libnss_dns.so.2"};

/// What the standard library and its libraries read.
constexpr std::array<std::string_view, 10> kData = {
    "/usr/share/zoneinfo",         // zoneinfo.TZPATH, and where /etc/localtime leads
    "/usr/lib/locale",             // setlocale(3)
    "/usr/share/terminfo",         // terminfo(5), for curses and readline
    "/usr/lib/terminfo",           // Debian's, of the usual terminals
    "/usr/lib/ssl",                // OPENSSLDIR of Debian: links into /etc/ssl
    "/usr/share/ca-certificates",  // where the links of /etc/ssl/certs lead
    "/usr/local/share/ca-certificates",
    "/usr/share/pki",              // those of SUSE and Fedora
    "/usr/share/crypto-policies",  // where those of /etc lead, which OpenSSL of Fedora reads
    "/usr/lib/os-release",         // platform.freedesktop_os_release()
};

class Search {
 public:
  explicit Search(const Root& root) : root_(root) {}

  /// Looks at what the program, library or module at `path` (without links) needs.
  void follow(const std::string& path);
  void add(const std::string& path);
  void add_library(const Elf& elf, const std::string& name, const std::string& path);
  std::vector<Resolved> parts() && { return std::move(parts_); }

 private:
  const Root& root_;
  std::set<std::string> followed_;
  std::set<std::string> searched_;  ///< names of libraries, with where they were searched
  std::vector<Resolved> parts_;
};

void Search::add(const std::string& path) {
  try {
    Resolved part = root_.resolve(path);
    if (S_ISDIR(part.status.st_mode) || S_ISREG(part.status.st_mode)) parts_.push_back(std::move(part));
  } catch (const Error&) {
    return;  // it does not exist, or cannot be reached outside either
  }
}

void Search::add_library(const Elf& elf, const std::string& name, const std::string& path) {
  // From where the file is, another library of the name may be found; most files say nothing of places.
  const std::string place = elf.runpath().empty() ? "" : elf.runpath() + '\n' + parent_path(path);
  if (!searched_.insert(name + '\n' + place).second) return;
  std::optional<Resolved> found;
  try {
    found = name.starts_with('/') ? root_.resolve(name) : find_shared_library(root_, elf, name, path);
  } catch (const Error&) {
    return;  // as above
  }
  if (!found) return;
  parts_.push_back(*found);
  follow(found->path);
}

void Search::follow(const std::string& path) {
  if (!followed_.insert(path).second) return;
  if (followed_.size() > kMostObjects)
    throw Error("the environment's Python needs more than " + std::to_string(kMostObjects) + " libraries and modules")
        .hint("do without --no-system");
  std::optional<Elf> elf;
  try {
    elf = Elf::open(root_, path);
  } catch (const Error&) {
    return;  // what cannot be read or is no library cannot be loaded
  }
  for (const std::string& name : elf->needed()) add_library(*elf, name, path);
}

}  // namespace

std::vector<Resolved> read_system_closure(const Root& root, const Interpreter& base, const std::string& stdlib) {
  Search search(root);
  search.follow(base.real_executable);
  if (!base.libpython.empty()) search.follow(base.libpython);
  // Modules in C lie in lib-dynload; PyPy's lie beside the others.
  for (const std::string& directory : {join(stdlib, "lib-dynload"), stdlib}) {
    if (!root.is_directory(directory)) continue;
    for (const std::string& name : root.list(directory))
      if (name.ends_with(".so")) search.follow(join(directory, name));
  }
  if (!base.loader.empty()) {
    search.add(base.loader);
    const Elf program = Elf::open(root, base.real_executable);
    for (const std::string_view name : kLibraries) search.add_library(program, std::string(name), base.real_executable);
  }
  for (const std::string_view path : kData) search.add(std::string(path));
  std::vector<Resolved> parts = std::move(search).parts();
  std::stable_sort(parts.begin(), parts.end(),
                   [](const Resolved& one, const Resolved& other) { return one.path < other.path; });
  return parts;
}

}  // namespace vrun
