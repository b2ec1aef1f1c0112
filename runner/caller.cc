#include "runner/caller.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <climits>
#include <cstring>
#include <set>

#include "policy/error.h"
#include "policy/host/user_directories.h"

namespace vrun {
namespace {

/// Whether uid 0 has other uids beside it to give its rights up to. In a namespace that maps nothing but one id, uid 0
/// is an ordinary user of the host under another number, unless that number is 0 as well. Throws Error then.
bool has_other_users(const Root& root) {
  const std::string text = root.read_file("/proc/self/uid_map", 65536).value_or("");
  std::string_view map = text;
  unsigned long others = 0;
  bool is_root_outside = false;
  while (!map.empty()) {
    std::string_view line = map.substr(0, map.find('\n'));
    map.remove_prefix(std::min(map.size(), line.size() + 1));
    unsigned numbers[3] = {};  // inside, outside, count: user_namespaces(7)
    for (unsigned& number : numbers) {
      line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
      line.remove_prefix(
          static_cast<std::size_t>(std::from_chars(line.data(), line.data() + line.size(), number).ptr - line.data()));
    }
    if (numbers[0] == 0 && numbers[1] == 0) is_root_outside = true;
    others += numbers[2];
  }
  // Uid 0 of a namespace without a map does not exist, so this is a /proc that does not tell, and root must not stay
  // root.
  if (others == 0) throw Error("cannot tell whose rights root has here: no map of users in", "/proc/self/uid_map");
  if (others > 1) return true;
  if (is_root_outside)
    throw Error("vrun cannot give up the rights of root here: this user namespace has no other user to become")
        .hint("run vrun outside of it, or as another user");
  return false;
}

}  // namespace

Caller read_caller(const Root& root, char** environment) {
  Caller caller;
  caller.uid = ::geteuid();
  caller.gid = ::getegid();
  caller.is_host_root = caller.uid == 0 && has_other_users(root);
  std::set<std::string> seen;
  std::string cache;
  std::string config;
  for (char** entry = environment; *entry != nullptr; ++entry) {
    const char* equals = std::strchr(*entry, '=');
    if (equals == nullptr || equals == *entry) continue;
    std::string name(*entry, static_cast<std::size_t>(equals - *entry));
    if (!seen.insert(name).second) continue;
    if (name == "HOME") caller.home = equals + 1;
    if (name == "XDG_CACHE_HOME") cache = equals + 1;
    if (name == "XDG_CONFIG_HOME") config = equals + 1;
    caller.variables.push_back({std::move(name), equals + 1});
  }
  caller.cache_directory = user_directory(cache, caller.home, ".cache");
  caller.config_directory = user_directory(config, caller.home, ".config");
  return caller;
}

std::string current_directory() {
  std::array<char, PATH_MAX> buffer{};
  if (::getcwd(buffer.data(), buffer.size()) == nullptr) throw Error("cannot tell the current directory", "", errno);
  if (buffer[0] != '/') throw Error("the current directory is out of reach:", buffer.data());
  return buffer.data();
}

}  // namespace vrun
