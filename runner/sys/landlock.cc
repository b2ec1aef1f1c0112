#include "runner/sys/landlock.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "policy/error.h"

namespace vrun::sys {
namespace {

// linux/landlock.h of Linux 6.12; the C library's copy is often older.
struct RulesetAttributes {
  std::uint64_t handled_access_fs = 0;
  std::uint64_t handled_access_net = 0;
  std::uint64_t scoped = 0;
};
struct [[gnu::packed]] PathBeneathAttributes {
  std::uint64_t allowed_access = 0;
  std::int32_t parent_fd = -1;
};
constexpr unsigned kCreateVersion = 1;  // LANDLOCK_CREATE_RULESET_VERSION
constexpr int kPathBeneath = 1;         // LANDLOCK_RULE_PATH_BENEATH

}  // namespace

int landlock_abi() {
  const long version = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, kCreateVersion);
  if (version >= 0) return static_cast<int>(version);
  // Not built in, switched off at boot, or refused by a filter around vrun.
  if (errno != ENOSYS && errno != EOPNOTSUPP && errno != EPERM) throw Error("cannot ask for Landlock", "", errno);
  return 0;
}

Ruleset::Ruleset(std::uint64_t handled, std::uint64_t scopes) {
  const RulesetAttributes attributes{handled, 0, scopes};
  // What an older kernel does not know of the structure has to be zero, and is.
  fd_ = Fd(static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0)));
  if (!fd_.valid()) throw Error("cannot make Landlock rules", "", errno);
}

bool Ruleset::allow(int fd, std::uint64_t rights) {
  const PathBeneathAttributes attributes{rights, fd};
  return ::syscall(SYS_landlock_add_rule, fd_.get(), kPathBeneath, &attributes, 0) == 0;
}

void Ruleset::restrict_self() {
  if (::syscall(SYS_landlock_restrict_self, fd_.get(), 0) != 0)
    throw Error("cannot put the run under Landlock rules", "", errno);
}

}  // namespace vrun::sys
