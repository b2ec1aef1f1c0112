#include "runner/sys/landlock.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "policy/error.h"
#include "policy/host/fd.h"

namespace vrun::sys {
namespace {

// linux/landlock.h of Linux 6.12; the C library's copy is often older.
struct RulesetAttributes {
  std::uint64_t handled_access_fs = 0;
  std::uint64_t handled_access_net = 0;
  std::uint64_t scoped = 0;
};
constexpr std::uint64_t kScopeAbstractUnixSocket = 1U << 0;
constexpr std::uint64_t kScopeSignal = 1U << 1;
constexpr unsigned kCreateVersion = 1;  // LANDLOCK_CREATE_RULESET_VERSION
constexpr long kScopesAbi = 6;

}  // namespace

bool can_scope_to_run() { return ::syscall(SYS_landlock_create_ruleset, nullptr, 0, kCreateVersion) >= kScopesAbi; }

void scope_to_run() {
  RulesetAttributes attributes;
  attributes.scoped = kScopeAbstractUnixSocket | kScopeSignal;
  const Fd ruleset(static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0)));
  if (!ruleset.valid() || ::syscall(SYS_landlock_restrict_self, ruleset.get(), 0) != 0)
    throw Error("cannot keep the run from sockets and processes outside", "", errno);
}

}  // namespace vrun::sys
