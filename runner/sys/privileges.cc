#include "runner/sys/privileges.h"

#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <sys/capability.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <memory>
#include <string>
#include <type_traits>

#include "policy/error.h"
#include "policy/layers.h"

namespace vrun::sys {

void become(const Identity& identity) {
  if (::setresgid(identity.gid, identity.gid, identity.gid) != 0 ||
      ::setresuid(identity.uid, identity.uid, identity.uid) != 0)
    throw Error("cannot become user " + std::to_string(identity.uid) + " and group " + std::to_string(identity.gid), "",
                errno);
}

FileSystemUser::FileSystemUser(const Identity& identity) : parent_(::getppid()) {
  ::prctl(PR_GET_PDEATHSIG, &end_signal_, 0, 0, 0);
  // With a file system uid that is not 0 the kernel also sets CAP_DAC_OVERRIDE and its like aside (capabilities(7)).
  ::setfsgid(identity.gid);
  ::setfsuid(identity.uid);
  // Neither tells of a failure, which leaves root's rights where CAP_SETUID is missing; an id that does not exist
  // changes nothing and asks (setfsuid(2), BUGS).
  constexpr auto kAsk = static_cast<unsigned>(-1);
  if (static_cast<gid_t>(::setfsgid(kAsk)) == identity.gid && static_cast<uid_t>(::setfsuid(kAsk)) == identity.uid)
    return;
  back();
  throw Error("cannot look at files as user " + std::to_string(identity.uid), "", EPERM)
      .hint("root needs CAP_SETUID and CAP_SETGID to act for another user");
}

void FileSystemUser::back() const {
  ::setfsuid(::geteuid());
  ::setfsgid(::getegid());
  if (end_signal_ == 0) return;
  ::prctl(PR_SET_PDEATHSIG, end_signal_, 0, 0, 0);
  if (::getppid() != parent_) ::raise(end_signal_);  // it ended while that was forgotten
}

void drop_capabilities() {
  // Each call is looked at, which libcap's cap_set_mode(3) does not do. The bounding set ends where the kernel says so.
  unsigned long capability = 0;
  while (kept("bounding-set") && ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0) ++capability;
  if (kept("bounding-set") && (errno != EINVAL || ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0))
    throw Error("cannot drop capabilities from the bounding set", "", errno);
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
    throw Error("cannot drop the ambient capabilities", "", errno);
  constexpr unsigned long kLocked = SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED |
                                    SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |
                                    SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
  if (kept("securebits") && ::prctl(PR_SET_SECUREBITS, kLocked, 0, 0, 0) != 0)
    throw Error("cannot set the securebits", "", errno);
  if (!kept("capabilities")) return;
  const std::unique_ptr<std::remove_pointer_t<cap_t>, int (*)(void*)> none(::cap_init(), ::cap_free);
  if (!none || ::cap_set_proc(none.get()) != 0) throw Error("cannot drop capabilities", "", errno);
}

void set_no_new_privileges() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) throw Error("cannot set no_new_privs", "", errno);
}

void set_undumpable() {
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
    throw Error("cannot protect vrun's own process from the run", "", errno);
}

void join_new_session_keyring() {
  if (::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr) < 0 && errno != ENOSYS)
    throw Error("cannot make a session keyring for the run", "", errno);
}

void forbid_core_dumps() {
  const struct rlimit limit { 1, 1 };
  if (::setrlimit(RLIMIT_CORE, &limit) != 0) throw Error("cannot forbid core dumps", "", errno);
}

void install_filter(const std::vector<sock_filter>& filter) {
  const struct sock_fprog program {
    static_cast<unsigned short>(filter.size()), const_cast<sock_filter*>(filter.data())
  };
  if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0)
    throw Error("cannot install the system-call filter", "", errno);
}

}  // namespace vrun::sys
