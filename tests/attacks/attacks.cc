#include "attacks/attacks.h"

#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/io_uring.h>
#include <linux/kcmp.h>
#include <linux/perf_event.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/timex.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iostream>

#include "probes/answer.h"

namespace {

// Numbers of newer calls: alike on every architecture, and often missing in the C library's headers.
constexpr long kPidfdOpen = 434;
constexpr long kClone3 = 435;
constexpr long kIoUringSetup = 425;
constexpr long kOpenTree = 428;
constexpr long kMoveMount = 429;
constexpr long kFsopen = 430;
constexpr long kFsconfig = 431;
constexpr long kFsmount = 432;
constexpr long kFspick = 433;
constexpr long kPidfdGetfd = 438;
constexpr long kProcessMadvise = 440;
constexpr long kMountSetattr = 442;
constexpr long kLandlockCreateRuleset = 444;
constexpr long kMemfdSecret = 447;
constexpr long kListmount = 458;
constexpr long kOpenTreeAttr = 467;

constexpr unsigned kOpenTreeClone = 1;
constexpr unsigned kRecursive = 0x8000;  // AT_RECURSIVE

template <typename... Arguments>
int ask(long number, Arguments... arguments) {
  errno = 0;
  return ::syscall(number, arguments...) < 0 ? errno : 0;
}

/// The process that the attacks on another one are on.
pid_t victim = 1;

/// A child that waits until it is ended, for calls that need another process.
class Child {
 public:
  Child() : pid_(::fork()) {
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
      for (;;) ::pause();
    }
  }
  ~Child() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
};

// Mounts and roots.
int mount_memory() { return ask(SYS_mount, "none", "/tmp", "tmpfs", 0UL, nullptr); }
int unmount_proc() { return ask(SYS_umount2, "/proc", MNT_DETACH); }
int remount_writable() { return ask(SYS_mount, nullptr, "/", nullptr, MS_REMOUNT | MS_BIND, nullptr); }
int setattr_writable() {
  struct {
    std::uint64_t set, clear, propagation, userns_fd;
  } attributes = {0, 1 /* MOUNT_ATTR_RDONLY */, 0, 0};
  return ask(kMountSetattr, AT_FDCWD, "/", 0U, &attributes, sizeof attributes);
}
int move_a_mount() { return ask(SYS_mount, "/proc", "/tmp", nullptr, MS_MOVE, nullptr); }
int bind_a_mask_away() { return ask(SYS_mount, "/usr", "/tmp", nullptr, MS_BIND | MS_REC, nullptr); }
int open_tree_copy() { return ask(kOpenTree, AT_FDCWD, "/", kOpenTreeClone | kRecursive); }
int open_tree_plain() { return ask(kOpenTree, AT_FDCWD, "/", 0U); }
int open_tree_attr() { return ask(kOpenTreeAttr, AT_FDCWD, "/", 0U, nullptr, 0UL); }
int fsopen_memory() { return ask(kFsopen, "tmpfs", 0U); }
int fspick_root() { return ask(kFspick, AT_FDCWD, "/", 0U); }
int fsconfig_nothing() { return ask(kFsconfig, -1, 6U, nullptr, nullptr, 0); }
int fsmount_nothing() { return ask(kFsmount, -1, 0U, 0U); }
int move_mount_nothing() { return ask(kMoveMount, -1, "", AT_FDCWD, "/tmp", 4U); }
int list_mounts() {
  struct {
    std::uint32_t size, spare;
    std::uint64_t mount, parameter;
  } request = {24, 0, 0xffffffffffffffff /* LSMT_ROOT */, 0};
  std::array<std::uint64_t, 64> ids{};
  return ask(kListmount, &request, ids.data(), ids.size(), 0U);
}
int change_root() { return ask(SYS_chroot, "/tmp"); }
/// The classic way out of a chroot: a second one below the directory that is held.
int change_root_twice() {
  const int held = ::open("/", O_RDONLY | O_DIRECTORY);
  if (::chroot("/tmp") != 0 || ::fchdir(held) != 0) return errno;
  return ::chdir("..") != 0 || ::chroot(".") != 0 ? errno : 0;
}
int pivot() { return ask(SYS_pivot_root, "/tmp", "/tmp"); }

// Namespaces.
int enter_namespace(const char* path, int kind) {
  const int fd = ::open(path, O_RDONLY);
  return fd < 0 ? errno : ask(SYS_setns, fd, kind);
}
int set_own_namespace() { return enter_namespace("/proc/self/ns/uts", CLONE_NEWUTS); }
int set_parents_namespace() {
  const auto pidfd = static_cast<int>(::syscall(kPidfdOpen, victim, 0));
  return pidfd < 0 ? errno : ask(SYS_setns, pidfd, CLONE_NEWUTS);
}
int clone_with(unsigned long flags) {
  errno = 0;
  const long child = ::syscall(SYS_clone, flags | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
  if (child == 0) ::_exit(0);
  return child < 0 ? errno : 0;
}
int clone3_with(std::uint64_t flags) {
  std::array<std::uint64_t, 8> arguments = {flags, 0, 0, 0, SIGCHLD, 0, 0, 0};
  errno = 0;
  const long child = ::syscall(kClone3, arguments.data(), sizeof arguments);
  if (child == 0) ::_exit(0);
  return child < 0 ? errno : 0;
}
int unshare_user() { return ask(SYS_unshare, CLONE_NEWUSER); }
int unshare_mounts() { return ask(SYS_unshare, CLONE_NEWNS); }
int unshare_network() { return ask(SYS_unshare, CLONE_NEWNET); }
int unshare_time() { return ask(SYS_unshare, 0x80 /* CLONE_NEWTIME */); }
int clone_user() { return clone_with(CLONE_NEWUSER); }
int clone3_user() { return clone3_with(CLONE_NEWUSER); }
int clone3_plain() { return clone3_with(0); }

// Handles: a file by its number, whatever the view.
int take_handle() {
  struct {
    unsigned bytes = 128;
    int kind = 0;
    std::array<unsigned char, 128> data{};
  } handle;
  int mount = 0;
  return ask(SYS_name_to_handle_at, AT_FDCWD, "/usr/bin", &handle, &mount, 0);
}
int open_handle() {
  struct {
    unsigned bytes = 8;
    int kind = 1;  // FILEID_INO32_GEN of inode 2, the root of ext4 (the "shocker" of 2014)
    std::array<unsigned, 2> data = {2, 0};
  } handle;
  const int place = ::open("/usr", O_RDONLY | O_DIRECTORY);
  return place < 0 ? errno : ask(SYS_open_by_handle_at, place, &handle, O_RDONLY);
}

// Devices.
int make_node(mode_t kind, unsigned major, unsigned minor) {
  const char* path = "/tmp/vrun-attack-node";
  errno = 0;
  const int answer = ::mknod(path, kind | 0600, ::makedev(major, minor)) == 0 ? 0 : errno;
  ::unlink(path);
  return answer;
}
int make_character_device() { return make_node(S_IFCHR, 1, 3); }
int make_memory_device() { return make_node(S_IFCHR, 1, 1); }
int make_block_device() { return make_node(S_IFBLK, 7, 0); }

// Other processes.
int trace_supervisor() { return ask(SYS_ptrace, PTRACE_SEIZE, victim, nullptr, nullptr); }
int trace_child() {
  const Child child;
  return ask(SYS_ptrace, PTRACE_SEIZE, child.pid(), nullptr, nullptr);
}
/// One word of ours and one at `there`; a child has the same memory at the same place.
std::uint64_t word = 0;
int access_memory(long number, pid_t pid, void* there) {
  const struct iovec mine { &word, sizeof word };
  const struct iovec theirs { there, sizeof word };
  return ask(number, pid, &mine, 1UL, &theirs, 1UL, 0UL);
}
int read_childs_memory() {
  const Child child;
  return access_memory(SYS_process_vm_readv, child.pid(), &word);
}
int write_childs_memory() {
  const Child child;
  return access_memory(SYS_process_vm_writev, child.pid(), &word);
}
/// At no address: where the call is reached it says EFAULT.
int write_supervisors_memory() { return access_memory(SYS_process_vm_writev, victim, nullptr); }
int compare_processes() {
  const Child child;
  return ask(SYS_kcmp, ::getpid(), child.pid(), KCMP_FILES, 0UL, 0UL);
}
int take_descriptor(pid_t pid) {
  const auto pidfd = static_cast<int>(::syscall(kPidfdOpen, pid, 0));
  return pidfd < 0 ? errno : ask(kPidfdGetfd, pidfd, 0, 0U);
}
int take_childs_descriptor() {
  const Child child;
  return take_descriptor(child.pid());
}
int take_supervisors_descriptor() { return take_descriptor(victim); }
int advise_another() {
  const auto pidfd = static_cast<int>(::syscall(kPidfdOpen, ::getpid(), 0));
  alignas(4096) static std::array<char, 4096> page;
  struct iovec vector {
    page.data(), page.size()
  };
  return ask(kProcessMadvise, pidfd, &vector, 1UL, 20 /* MADV_COLD */, 0U);
}

// Large parts of the kernel.
int io_uring() {
  struct io_uring_params parameters {};
  return ask(kIoUringSetup, 1U, &parameters);
}
int bpf_map() {
  union bpf_attr attributes {};
  attributes.map_type = BPF_MAP_TYPE_ARRAY;
  attributes.key_size = 4;
  attributes.value_size = 4;
  attributes.max_entries = 1;
  return ask(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof attributes);
}
int perf_event() {
  struct perf_event_attr attributes {};
  attributes.type = PERF_TYPE_SOFTWARE;
  attributes.size = sizeof attributes;
  attributes.config = PERF_COUNT_SW_TASK_CLOCK;
  attributes.exclude_kernel = 1;
  attributes.exclude_hv = 1;
  return ask(SYS_perf_event_open, &attributes, 0, -1, -1, 0UL);
}
int user_faults() { return ask(SYS_userfaultfd, 1 /* UFFD_USER_MODE_ONLY */); }
int watch_file_system() { return ask(SYS_fanotify_init, 0x200U /* FAN_REPORT_FID */, 0U); }
int secret_memory() { return ask(kMemfdSecret, 0U); }
int landlock() { return ask(kLandlockCreateRuleset, nullptr, 0UL, 1U); }
int get_keyring() { return ask(SYS_keyctl, 0, -3, 1); }
int add_key() { return ask(SYS_add_key, "user", "vrun-attack", "x", 1UL, -2 /* the process's own keyring */); }
int request_key() { return ask(SYS_request_key, "user", "vrun-attack-absent", nullptr, 0); }
int local_descriptors() {
#if defined(__x86_64__)
  std::array<char, 16> table{};
  return ask(SYS_modify_ldt, 0, table.data(), table.size());
#else
  return ENOSYS;
#endif
}
int map_other_vdso() {
#if defined(__x86_64__)
  return ask(SYS_arch_prctl, 0x2003 /* ARCH_MAP_VDSO_64 */, 0UL);
#else
  return EPERM;
#endif
}
int no_randomization() { return ask(SYS_personality, 0x40000UL); }
int memory_policy() { return ask(SYS_set_mempolicy, 0, nullptr, 0UL); }
int move_pages() { return ask(SYS_move_pages, 0, 0UL, nullptr, nullptr, nullptr, 0); }

// The machine.
int read_clock_state() {
  struct timex state {};
  return ask(SYS_adjtimex, &state);
}
int set_clock() {
  const struct timespec never { 0, -1 };  // refused by its value, wherever the call is reached
  return ask(SYS_clock_settime, CLOCK_REALTIME, &never);
}
int set_host_name() { return ask(SYS_sethostname, "attack", 6UL); }
int restart() { return ask(SYS_reboot, 0, 0, 0, nullptr); }  // without its magic numbers it does nothing
int read_kernel_log() { return ask(SYS_syslog, 10 /* the size of the buffer */, nullptr, 0); }
int load_module() { return ask(SYS_init_module, nullptr, 0UL, ""); }
int count_file_systems() {
#if defined(SYS_sysfs)
  return ask(SYS_sysfs, 3);
#else
  return EPERM;
#endif
}

// Sockets.
int open_socket(int family, int kind, int protocol) {
  errno = 0;
  return ::socket(family, kind, protocol) < 0 ? errno : 0;
}
int socket_crypto() { return open_socket(AF_ALG, SOCK_SEQPACKET, 0); }
int socket_vsock() { return open_socket(AF_VSOCK, SOCK_STREAM, 0); }
int socket_packet() { return open_socket(AF_PACKET, SOCK_RAW, 0); }
int socket_raw() { return open_socket(AF_INET, SOCK_RAW, IPPROTO_ICMP); }
int socket_netfilter() { return open_socket(AF_NETLINK, SOCK_RAW, 12); }
int socket_xfrm() { return open_socket(AF_NETLINK, SOCK_RAW, 6); }
int socket_uevents() { return open_socket(AF_NETLINK, SOCK_RAW, 15); }
int socket_mptcp() { return open_socket(AF_INET, SOCK_STREAM, 262); }
/// IPsec over TCP: a page-cache bug's way in; the setting is refused without the capability that it needs.
int socket_espintcp() {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0) return errno;
  return ::setsockopt(fd, 6 /* SOL_TCP */, 31 /* TCP_ULP */, "espintcp", 8) != 0 ? errno : 0;
}
/// Routes of the host: to change one needs CAP_NET_ADMIN, here the loopback's flags.
int change_network() {
  const int fd = ::socket(AF_INET, SOCK_DGRAM, 0);
  std::array<char, 40> request{};
  std::strcpy(request.data(), "lo");
  request[16] = 0x49;  // up, loopback, running
  return ask(SYS_ioctl, fd, 0x8914 /* SIOCSIFFLAGS */, request.data());
}

// Privileges.
int raise_capability() {
  struct {
    std::uint32_t version, pid;
  } header = {0x20080522, 0};
  std::array<std::uint32_t, 6> data = {1U << 21 /* CAP_SYS_ADMIN */, 1U << 21, 0, 0, 0, 0};
  return ask(SYS_capset, &header, data.data());
}
int become_root() { return ask(SYS_setresuid, 0, 0, 0); }
int drop_groups() { return ask(SYS_setgroups, 0UL, nullptr); }
int realtime() {
  const struct sched_param parameter { 1 };
  return ask(SYS_sched_setscheduler, 0, SCHED_FIFO, &parameter);
}
int hurry() { return ask(SYS_setpriority, PRIO_PROCESS, 0, -5); }
int dump_core() {
  const struct rlimit limit { 0, 0 };
  return ask(SYS_prlimit64, 0, RLIMIT_CORE, &limit, nullptr);
}
int limit_supervisor() {
  struct rlimit limit {};
  return ask(SYS_prlimit64, victim, RLIMIT_CORE, nullptr, &limit);
}

struct Attack {
  const char* name;
  int (*try_it)();
};
constexpr std::array kAttacks = {
    Attack{"mount_memory", mount_memory},
    Attack{"unmount_proc", unmount_proc},
    Attack{"remount_writable", remount_writable},
    Attack{"setattr_writable", setattr_writable},
    Attack{"move_a_mount", move_a_mount},
    Attack{"bind_a_mask_away", bind_a_mask_away},
    Attack{"open_tree_copy", open_tree_copy},
    Attack{"open_tree_plain", open_tree_plain},
    Attack{"open_tree_attr", open_tree_attr},
    Attack{"fsopen", fsopen_memory},
    Attack{"fspick", fspick_root},
    Attack{"fsconfig", fsconfig_nothing},
    Attack{"fsmount", fsmount_nothing},
    Attack{"move_mount", move_mount_nothing},
    Attack{"list_mounts", list_mounts},
    Attack{"chroot", change_root},
    Attack{"chroot_twice", change_root_twice},
    Attack{"pivot_root", pivot},
    Attack{"setns_own", set_own_namespace},
    Attack{"setns_supervisor", set_parents_namespace},
    Attack{"unshare_user", unshare_user},
    Attack{"unshare_mounts", unshare_mounts},
    Attack{"unshare_network", unshare_network},
    Attack{"unshare_time", unshare_time},
    Attack{"clone_user", clone_user},
    Attack{"clone3_user", clone3_user},
    Attack{"clone3_plain", clone3_plain},
    Attack{"take_handle", take_handle},
    Attack{"open_handle", open_handle},
    Attack{"mknod_character", make_character_device},
    Attack{"mknod_memory", make_memory_device},
    Attack{"mknod_block", make_block_device},
    Attack{"ptrace_supervisor", trace_supervisor},
    Attack{"ptrace_child", trace_child},
    Attack{"read_childs_memory", read_childs_memory},
    Attack{"write_childs_memory", write_childs_memory},
    Attack{"write_supervisors_memory", write_supervisors_memory},
    Attack{"kcmp", compare_processes},
    Attack{"pidfd_getfd_child", take_childs_descriptor},
    Attack{"pidfd_getfd_supervisor", take_supervisors_descriptor},
    Attack{"process_madvise", advise_another},
    Attack{"io_uring", io_uring},
    Attack{"bpf", bpf_map},
    Attack{"perf_event", perf_event},
    Attack{"userfaultfd", user_faults},
    Attack{"fanotify", watch_file_system},
    Attack{"memfd_secret", secret_memory},
    Attack{"landlock", landlock},
    Attack{"keyctl", get_keyring},
    Attack{"add_key", add_key},
    Attack{"request_key", request_key},
    Attack{"modify_ldt", local_descriptors},
    Attack{"map_vdso", map_other_vdso},
    Attack{"personality", no_randomization},
    Attack{"set_mempolicy", memory_policy},
    Attack{"move_pages", move_pages},
    Attack{"adjtimex", read_clock_state},
    Attack{"clock_settime", set_clock},
    Attack{"sethostname", set_host_name},
    Attack{"reboot", restart},
    Attack{"kernel_log", read_kernel_log},
    Attack{"init_module", load_module},
    Attack{"sysfs", count_file_systems},
    Attack{"socket_crypto", socket_crypto},
    Attack{"socket_vsock", socket_vsock},
    Attack{"socket_packet", socket_packet},
    Attack{"socket_raw", socket_raw},
    Attack{"socket_netfilter", socket_netfilter},
    Attack{"socket_xfrm", socket_xfrm},
    Attack{"socket_uevents", socket_uevents},
    Attack{"socket_mptcp", socket_mptcp},
    Attack{"socket_espintcp", socket_espintcp},
    Attack{"change_network", change_network},
    Attack{"raise_capability", raise_capability},
    Attack{"setuid_root", become_root},
    Attack{"setgroups", drop_groups},
    Attack{"realtime", realtime},
    Attack{"negative_nice", hurry},
    Attack{"core_limit", dump_core},
    Attack{"prlimit_supervisor", limit_supervisor},
};

}  // namespace

int try_attacks(const std::vector<std::string>& words) {
  victim = static_cast<pid_t>(std::strtol(words.front().c_str(), nullptr, 10));
  for (const std::string& name : std::vector<std::string>(words.begin() + 1, words.end())) {
    const auto* attack =
        std::find_if(kAttacks.begin(), kAttacks.end(), [&](const Attack& each) { return each.name == name; });
    if (attack == kAttacks.end()) {
      std::cerr << "probe: no such attack: " << name << std::endl;
      return 98;
    }
    std::cout << name << ' ' << in_child(attack->try_it) << std::endl;
  }
  return 0;
}
