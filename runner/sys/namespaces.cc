#include "runner/sys/namespaces.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include "policy/error.h"
#include "policy/layers.h"

namespace vrun::sys {
namespace {

/// Opens a file of /proc for writing, sure that it is procfs and nothing that only has the name.
Fd open_proc(const std::string& path) {
  Fd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
  struct statfs status {};
  if (fd.valid() && (::fstatfs(fd.get(), &status) != 0 || status.f_type != PROC_SUPER_MAGIC)) {
    fd.reset();
    errno = ENODEV;
  }
  return fd;
}

void write_proc(const std::string& path, const std::string& text, const char* doing) {
  const Fd fd = open_proc(path);
  if (!fd.valid() || ::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    const int error_number = errno;
    throw Error(doing, path, error_number);
  }
}

std::string map_line(unsigned inside, unsigned outside) {
  return std::to_string(inside) + " " + std::to_string(outside) + " 1\n";
}

}  // namespace

pid_t clone_into(std::uint64_t flags, int group) {
  struct clone_args arguments {};
  arguments.flags = flags;
  if (group >= 0) {
    // Born there: no process of the run is ever outside, and nothing that it does goes uncounted.
    arguments.flags |= CLONE_INTO_CGROUP;
    arguments.cgroup = static_cast<std::uint64_t>(group);
  }
  arguments.exit_signal = SIGCHLD;
  return static_cast<pid_t>(::syscall(SYS_clone3, &arguments, sizeof arguments));
}

pid_t clone_into_namespaces(Network network, int group) {
  std::uint64_t flags = CLONE_NEWUSER | CLONE_NEWNS;
  if (kept("pid-namespace")) flags |= CLONE_NEWPID;
  if (kept("ipc-namespace")) flags |= CLONE_NEWIPC;
  if (kept("uts-namespace")) flags |= CLONE_NEWUTS;
  if (kept("cgroup-namespace")) flags |= CLONE_NEWCGROUP;
  if (kept("network-namespace") && network == Network::none) flags |= CLONE_NEWNET;
  return clone_into(flags, group);
}

void write_id_maps(pid_t child, const Identity& identity) {
  const std::string directory = "/proc/" + std::to_string(child);
  constexpr const char* kDoing = "cannot give the run its user and group: cannot write";
  write_proc(directory + "/setgroups", "deny", kDoing);
  write_proc(directory + "/uid_map", map_line(identity.uid, identity.uid), kDoing);
  write_proc(directory + "/gid_map", map_line(identity.gid, identity.gid), kDoing);
}

void raise_oom_score(pid_t child) {
  write_proc("/proc/" + std::to_string(child) + "/oom_score_adj", "1000",
             "cannot make the run the first to end when the machine is out of memory: cannot write");
}

Fd make_owner_map(const OwnerMap& owner, const Identity& identity) {
  // The process does nothing but be there, so it can do that in vrun's own memory, which a copy would cost more.
  alignas(16) std::array<char, 4096> stack;
  const pid_t parent = ::getpid();
  const auto wait = [](void* expected_parent) {
    // The namespace lives as long as this process or the descriptor below; vrun may be killed before it ends it.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (::getppid() != *static_cast<const pid_t*>(expected_parent)) ::_exit(0);
    for (;;) ::pause();
    return 0;
  };
  const int child =
      ::clone(wait, stack.data() + stack.size(), CLONE_VM | CLONE_NEWUSER | SIGCHLD, const_cast<pid_t*>(&parent));
  if (child < 0) throw Error("cannot make a user namespace for id-mapped mounts", "", errno);
  const std::string directory = "/proc/" + std::to_string(child);
  Fd result;
  try {
    constexpr const char* kDoing = "cannot map the owner of files: cannot write";
    write_proc(directory + "/uid_map", map_line(owner.uid, identity.uid), kDoing);
    write_proc(directory + "/gid_map", map_line(owner.gid, identity.gid), kDoing);
    result = Fd(::open((directory + "/ns/user").c_str(), O_RDONLY | O_CLOEXEC));
    if (!result.valid()) throw Error("cannot open", directory + "/ns/user", errno);
  } catch (...) {
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    throw;
  }
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  return result;
}

void raise_loopback() {
  const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  struct ifreq request {};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (!socket.valid() || ::ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0)
    throw Error("cannot bring up the run's loopback network", "", errno);
}

void forbid_user_namespaces() {
  write_proc("/proc/sys/user/max_user_namespaces", "0", "cannot forbid further user namespaces: cannot write");
}

}  // namespace vrun::sys
