#include "runner/caller.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <set>

#include "policy/error.h"

namespace vrun {
namespace {

/// Root of the initial user namespace owns the machine's files and /proc/sys. In a namespace that maps nothing but one
/// id, uid 0 is an ordinary user of the host under another number.
bool owns_the_machine(const Root& root) {
  const std::string map = root.read_file("/proc/self/uid_map", 65536).value_or("");
  unsigned inside = 0;
  unsigned outside = 0;
  unsigned count = 0;
  return std::sscanf(map.c_str(), "%u %u %u", &inside, &outside, &count) == 3 && inside == 0 && outside == 0 && count > 1;
}

}  // namespace

Caller read_caller(const Root& root, char** environment) {
  Caller caller;
  caller.uid = ::geteuid();
  caller.gid = ::getegid();
  caller.is_host_root = caller.uid == 0 && owns_the_machine(root);
  std::set<std::string> seen;
  for (char** entry = environment; *entry != nullptr; ++entry) {
    const char* equals = std::strchr(*entry, '=');
    if (equals == nullptr || equals == *entry) continue;
    std::string name(*entry, static_cast<std::size_t>(equals - *entry));
    if (!seen.insert(name).second) continue;
    if (name == "HOME") caller.home = equals + 1;
    caller.variables.push_back({std::move(name), equals + 1});
  }
  return caller;
}

std::string current_directory() {
  std::array<char, PATH_MAX> buffer{};
  if (::getcwd(buffer.data(), buffer.size()) == nullptr) throw Error("cannot tell the current directory", "", errno);
  if (buffer[0] != '/') throw Error("the current directory is out of reach:", buffer.data());
  return buffer.data();
}

}  // namespace vrun
