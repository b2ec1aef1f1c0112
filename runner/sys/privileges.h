/// Giving up rights, for good.
#pragma once

#include <linux/filter.h>
#include <sys/types.h>

#include <optional>
#include <vector>

#include "policy/plan.h"

namespace vrun::sys {

/// Takes the run's ids; for a caller that is root, in a user namespace where they are mapped. Throws Error.
void become(const Identity& identity);

/// Looks at files with the rights of another user (setfsuid(2)) until its end. For root. Whoever started the process to
/// end with its parent (PR_SET_PDEATHSIG) has that kept, which the kernel forgets with every change of ids. Throws
/// Error when the kernel does not allow it.
class FileSystemUser {
 public:
  explicit FileSystemUser(const Identity& identity);
  ~FileSystemUser() { back(); }
  FileSystemUser(const FileSystemUser&) = delete;
  FileSystemUser& operator=(const FileSystemUser&) = delete;

 private:
  void back() const;

  int end_signal_ = 0;  ///< of PR_SET_PDEATHSIG; 0 for none
  pid_t parent_ = 0;
};

/// Drops every capability from every set, the bounding set included, and locks the securebits so that none comes back
/// with uid 0 or an execve(2) (capabilities(7)). Throws Error.
void drop_capabilities();

/// PR_SET_NO_NEW_PRIVS. Throws Error.
void set_no_new_privileges();

/// Keeps other processes from reading, tracing or dumping this one (PR_SET_DUMPABLE). Throws Error.
void set_undumpable();

/// A session keyring without the caller's keys (keyctl(2)); nothing on kernels without keyrings. Throws Error.
void join_new_session_keyring();

/// RLIMIT_CORE of one byte, which unlike zero also keeps a core_pattern pipe handler from being started (core(5)).
/// Throws Error.
void forbid_core_dumps();

/// Installs a system-call filter for this process and its children; needs no_new_privs. Throws Error.
void install_filter(const std::vector<sock_filter>& filter);

}  // namespace vrun::sys
