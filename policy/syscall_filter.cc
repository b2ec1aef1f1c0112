#include "policy/syscall_filter.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <optional>

namespace vrun {
namespace {

// Values that the C library's headers do not have, or not under these names.
constexpr std::uint32_t kTiocsti = 0x5412;
constexpr std::uint32_t kTioccons = 0x541D;
constexpr std::uint32_t kTioclinux = 0x541C;
constexpr std::uint32_t kTiocsetd = 0x5423;
constexpr std::uint32_t kSocketTypeMask = 0xf;  // SOCK_TYPE_MASK, net/socket.c: the rest are flags
constexpr std::uint32_t kProtocolDccp = 33;
constexpr std::uint32_t kProtocolSctp = 132;
constexpr std::uint32_t kProtocolUdpLite = 136;
constexpr std::uint32_t kProtocolMptcp = 262;
constexpr std::uint32_t kTmpfileBit = 020000000;  // __O_TMPFILE: O_TMPFILE without O_DIRECTORY
constexpr std::uint32_t kX32Bit = 0x40000000;

Condition low(unsigned argument, std::uint32_t value, std::uint32_t mask = 0xffffffff) {
  return {argument, false, mask, value, true};
}

SyscallRule refuse(std::string_view name, int x86_64, int aarch64, Answer answer) {
  return {name, x86_64, aarch64, {}, answer};
}
/// A call of Linux 5.1 or later, numbered alike on every architecture.
SyscallRule refuse_new(std::string_view name, int number) { return {name, number, number, {}, ENOSYS}; }

SyscallRule clone_rule() {
  SyscallRule rule{"clone", 56, 220, {}, 0};
  for (const int flag :
       {CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET}) {
    const auto bit = static_cast<std::uint32_t>(flag);
    rule.clauses.push_back({{low(0, bit, bit)}, EPERM});
  }
  return rule;
}

SyscallRule socket_rule() {
  SyscallRule rule{"socket", 41, 198, {}, EAFNOSUPPORT};
  rule.clauses.push_back({{low(0, AF_UNIX)}, 0});
  rule.clauses.push_back({{low(0, AF_NETLINK), low(2, 0 /* NETLINK_ROUTE */)}, 0});
  for (const std::uint32_t family : {std::uint32_t{AF_INET}, std::uint32_t{AF_INET6}}) {
    rule.clauses.push_back({{low(0, family), low(1, SOCK_RAW, kSocketTypeMask)}, EPROTONOSUPPORT});
    for (const std::uint32_t protocol : {kProtocolDccp, kProtocolSctp, kProtocolUdpLite, kProtocolMptcp})
      rule.clauses.push_back({{low(0, family), low(2, protocol)}, EPROTONOSUPPORT});
    // Without a protocol of its own, a sequenced-packet or DCCP socket of the Internet families is SCTP or DCCP.
    rule.clauses.push_back({{low(0, family), low(1, SOCK_SEQPACKET, kSocketTypeMask)}, EPROTONOSUPPORT});
    rule.clauses.push_back({{low(0, family), low(1, SOCK_DCCP, kSocketTypeMask)}, EPROTONOSUPPORT});
    rule.clauses.push_back({{low(0, family)}, 0});
  }
  return rule;
}

/// Set-user-ID and set-group-ID files that a run leaves in a project would lend its owner's rights to anybody on the
/// host: nosuid holds only inside. With `flags`, the argument with open(2)'s flags, the mode counts only where the call
/// may make a file.
SyscallRule mode_rule(std::string_view name, int x86_64, int aarch64, unsigned mode,
                      std::optional<unsigned> flags = {}) {
  SyscallRule rule{name, x86_64, aarch64, {}, 0};
  for (const std::uint32_t bit : {std::uint32_t{S_ISUID}, std::uint32_t{S_ISGID}}) {
    if (!flags) {
      rule.clauses.push_back({{low(mode, bit, bit)}, EPERM});
      continue;
    }
    for (const std::uint32_t creates : {std::uint32_t{O_CREAT}, kTmpfileBit})
      rule.clauses.push_back({{low(mode, bit, bit), low(*flags, creates, creates)}, EPERM});
  }
  return rule;
}

std::vector<SyscallRule> make_rules() {
  std::vector<SyscallRule> rules = {
      // Mounts, roots and namespaces.
      refuse("mount", 165, 40, EPERM),
      refuse("umount2", 166, 39, EPERM),
      refuse("pivot_root", 155, 41, EPERM),
      refuse("chroot", 161, 51, EPERM),
      refuse("setns", 308, 268, EPERM),
      refuse("unshare", 272, 97, EPERM),
      clone_rule(),
      refuse_new("open_tree", 428),
      refuse_new("move_mount", 429),
      refuse_new("fsopen", 430),
      refuse_new("fsconfig", 431),
      refuse_new("fsmount", 432),
      refuse_new("fspick", 433),
      // EPERM would break threads: the C library falls back to clone only on ENOSYS.
      refuse_new("clone3", 435),
      refuse_new("mount_setattr", 442),
      refuse_new("statmount", 457),
      refuse_new("listmount", 458),
      refuse_new("open_tree_attr", 467),
      refuse("open_by_handle_at", 304, 265, EPERM),
      refuse("name_to_handle_at", 303, 264, EPERM),
      // Other processes' memory and descriptors.
      refuse("ptrace", 101, 117, EPERM),
      refuse("process_vm_readv", 310, 270, EPERM),
      refuse("process_vm_writev", 311, 271, EPERM),
      refuse("kcmp", 312, 272, EPERM),
      refuse("process_madvise", 440, 440, EPERM),
      refuse_new("pidfd_getfd", 438),
      refuse_new("process_mrelease", 448),
      // Parts of the kernel with a long record of holes and no use in a test suite.
      refuse_new("io_uring_setup", 425),
      refuse_new("io_uring_enter", 426),
      refuse_new("io_uring_register", 427),
      refuse("bpf", 321, 280, EPERM),
      refuse("perf_event_open", 298, 241, EPERM),
      refuse("userfaultfd", 323, 282, EPERM),
      refuse("fanotify_init", 300, 262, EPERM),
      refuse("fanotify_mark", 301, 263, EPERM),
      refuse("lookup_dcookie", 212, 18, EPERM),
      refuse_new("memfd_secret", 447),
      refuse_new("map_shadow_stack", 453),
      refuse_new("lsm_get_self_attr", 459),
      refuse_new("lsm_set_self_attr", 460),
      refuse_new("lsm_list_modules", 461),
      // Keyrings are not namespaced.
      refuse("keyctl", 250, 219, EPERM),
      refuse("add_key", 248, 217, EPERM),
      refuse("request_key", 249, 218, EPERM),
      // Placement of other processes' memory.
      refuse("mbind", 237, 235, EPERM),
      refuse("set_mempolicy", 238, 237, EPERM),
      refuse("get_mempolicy", 239, 236, EPERM),
      refuse("migrate_pages", 256, 238, EPERM),
      refuse("move_pages", 279, 239, EPERM),
      refuse("set_mempolicy_home_node", 450, 450, EPERM),
      // The machine.
      refuse("init_module", 175, 105, EPERM),
      refuse("finit_module", 313, 273, EPERM),
      refuse("delete_module", 176, 106, EPERM),
      refuse("kexec_load", 246, 104, EPERM),
      refuse("kexec_file_load", 320, 294, EPERM),
      refuse("reboot", 169, 142, EPERM),
      refuse("swapon", 167, 224, EPERM),
      refuse("swapoff", 168, 225, EPERM),
      refuse("acct", 163, 89, EPERM),
      refuse("quotactl", 179, 60, EPERM),
      refuse_new("quotactl_fd", 443),
      refuse("syslog", 103, 116, EPERM),
      refuse("vhangup", 153, 58, EPERM),
      refuse("nfsservctl", 180, 42, EPERM),
      refuse("iopl", 172, -1, EPERM),
      refuse("ioperm", 173, -1, EPERM),
      refuse("modify_ldt", 154, -1, EPERM),
      refuse("uselib", 134, -1, EPERM),
      refuse("_sysctl", 156, -1, EPERM),
      refuse("sysfs", 139, -1, EPERM),
      refuse("ustat", 136, -1, EPERM),
      refuse("settimeofday", 164, 170, EPERM),
      refuse("clock_settime", 227, 112, EPERM),
      refuse("adjtimex", 159, 171, EPERM),
      refuse("clock_adjtime", 305, 266, EPERM),
      refuse("sethostname", 170, 161, EPERM),
      refuse("setdomainname", 171, 162, EPERM),
      // Allowed but for some arguments.
      {"personality", 135, 92, {{{low(0, 0)}, 0}, {{low(0, 0xffffffff)}, 0}}, EPERM},
      {"ioctl",
       16,
       29,
       {{{low(1, kTiocsti)}, EPERM},
        {{low(1, kTioclinux)}, EPERM},
        {{low(1, kTiocsetd)}, EPERM},
        {{low(1, kTioccons)}, EPERM}},
       0},
      // The core limit stays at what vrun set: one byte keeps even a pipe handler from starting (core(5)).
      {"setrlimit", 160, 164, {{{low(0, RLIMIT_CORE)}, EPERM}}, 0},
      {"prlimit64",
       302,
       261,
       {{{low(1, RLIMIT_CORE), {2, false, 0xffffffff, 0, false}}, EPERM},
        {{low(1, RLIMIT_CORE), {2, true, 0xffffffff, 0, false}}, EPERM}},
       0},
      // ARCH_MAP_VDSO_X32, _32, _64 (asm/prctl.h).
      {"arch_prctl", 158, -1, {{{low(0, 0x2001)}, EPERM}, {{low(0, 0x2002)}, EPERM}, {{low(0, 0x2003)}, EPERM}}, 0},
      mode_rule("chmod", 90, -1, 1),
      mode_rule("fchmod", 91, 52, 1),
      mode_rule("fchmodat", 268, 53, 2),
      mode_rule("fchmodat2", 452, 452, 2),
      mode_rule("creat", 85, -1, 1),
      mode_rule("mknod", 133, -1, 1),
      mode_rule("mknodat", 259, 33, 2),
      mode_rule("open", 2, -1, 2, 1),
      mode_rule("openat", 257, 56, 3, 2),
      // Its mode is behind a pointer, where no filter can look; callers fall back to openat.
      refuse_new("openat2", 437),
      socket_rule(),
      {"socketpair", 53, 199, {{{low(0, AF_UNIX)}, 0}}, EAFNOSUPPORT},
  };
  return rules;
}

/// Emits classic BPF (linux/filter.h). Jump offsets of conditions are 8 bits wide, so longer ways go by BPF_JA.
class Assembler {
 public:
  std::vector<sock_filter> program;

  void load(std::size_t offset) { emit(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset)); }
  void answer(std::uint32_t value) { emit(BPF_RET | BPF_K, value); }
  void answer_call(Answer value) {
    answer(value == 0 ? SECCOMP_RET_ALLOW : SECCOMP_RET_ERRNO | (static_cast<std::uint32_t>(value) & SECCOMP_RET_DATA));
  }
  /// Skips `count` instructions when the comparison does not hold.
  void unless_skip(std::uint16_t comparison, std::uint32_t value, std::uint8_t count) {
    program.push_back({static_cast<std::uint16_t>(BPF_JMP | comparison | BPF_K), 0, count, value});
  }
  void mask(std::uint32_t value) { emit(BPF_ALU | BPF_AND | BPF_K, value); }
  /// A jump whose distance is not known yet; `land` sets it to the next instruction.
  std::size_t jump() {
    emit(BPF_JMP | BPF_JA, 0);
    return program.size() - 1;
  }
  void land(std::size_t jump) { program[jump].k = static_cast<std::uint32_t>(program.size() - jump - 1); }

 private:
  void emit(int code, std::uint32_t value) { program.push_back({static_cast<std::uint16_t>(code), 0, 0, value}); }
};

/// Offset of half an argument in struct seccomp_data; both architectures are little-endian.
std::size_t offset_of(const Condition& condition) {
  return offsetof(seccomp_data, args) + 8 * condition.argument + (condition.high ? 4 : 0);
}

void emit_rule(Assembler& code, const SyscallRule& rule) {
  for (const Clause& clause : rule.clauses) {
    std::vector<std::size_t> to_next;
    for (const Condition& condition : clause.when) {
      code.load(offset_of(condition));
      if (condition.mask != 0xffffffff) code.mask(condition.mask);
      // Equal wanted: skip the jump away when equal. Different wanted: take it when equal.
      if (condition.equal) {
        code.program.push_back({BPF_JMP | BPF_JEQ | BPF_K, 1, 0, condition.value});
      } else {
        code.program.push_back({BPF_JMP | BPF_JEQ | BPF_K, 0, 1, condition.value});
      }
      to_next.push_back(code.jump());
    }
    code.answer_call(clause.answer);
    for (const std::size_t jump : to_next) code.land(jump);
  }
  code.answer_call(rule.otherwise);
}

/// What a run of neighbouring numbers gets: one answer, or a rule that looks at arguments.
struct Range {
  std::uint32_t first = 0;
  Answer answer = 0;
  const SyscallRule* rule = nullptr;
};

/// A binary search over ranges[begin, end), the accumulator holding the system call's number.
void emit_search(Assembler& code, const std::vector<Range>& ranges, std::size_t begin, std::size_t end) {
  if (end - begin == 1) {
    const Range& range = ranges[begin];
    if (range.rule != nullptr)
      emit_rule(code, *range.rule);
    else
      code.answer_call(range.answer);
    return;
  }
  const std::size_t middle = begin + (end - begin) / 2;
  code.unless_skip(BPF_JGE, ranges[middle].first, 1);
  const std::size_t upper = code.jump();
  emit_search(code, ranges, begin, middle);
  code.land(upper);
  emit_search(code, ranges, middle, end);
}

}  // namespace

Architecture native_architecture() {
#if defined(__x86_64__)
  return Architecture::x86_64;
#elif defined(__aarch64__)
  return Architecture::aarch64;
#else
#error "vrun has system-call tables for x86-64 and aarch64 only"
#endif
}

const std::vector<SyscallRule>& syscall_rules() {
  static const std::vector<SyscallRule> rules = make_rules();
  return rules;
}

const std::vector<Opening>& openings() {
  static const std::vector<Opening> openings = {
      {"io_uring",
       "calls through io_uring, which no filter sees",
       {"io_uring_setup", "io_uring_enter", "io_uring_register"}},
      {"keyring",
       "the kernel's keys: the session keyring is the run's own, but your user's can be found",
       {"keyctl", "add_key", "request_key"}},
      {"numa",
       "placing memory on nodes",
       {"mbind", "set_mempolicy", "get_mempolicy", "migrate_pages", "move_pages", "set_mempolicy_home_node"}},
      {"perf", "performance counters, as far as the machine lets users have them", {"perf_event_open"}},
      {"personality", "other memory layouts, as debuggers set", {"personality"}},
      {"ptrace",
       "tracing the run's own processes, and their memory and descriptors",
       {"ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "kcmp", "pidfd_getfd"}},
      {"userns",
       "user namespaces, and in them mounts and every other namespace",
       {"clone", "clone3", "unshare", "setns", "mount", "umount2", "pivot_root", "chroot", "open_tree", "move_mount",
        "fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr", "open_tree_attr", "sethostname", "setdomainname"}},
  };
  return openings;
}

const Opening* find_opening(std::string_view name) {
  for (const Opening& opening : openings())
    if (opening.name == name) return &opening;
  return nullptr;
}

std::vector<sock_filter> compile_filter(Architecture architecture, const std::vector<std::string>& allowed) {
  const auto is_open = [&](std::string_view call) {
    return std::any_of(allowed.begin(), allowed.end(), [&](const std::string& name) {
      const Opening* opening = find_opening(name);
      return opening != nullptr &&
             std::find(opening->calls.begin(), opening->calls.end(), call) != opening->calls.end();
    });
  };
  const bool x86 = architecture == Architecture::x86_64;
  std::vector<const SyscallRule*> by_number(kNewestReviewed + 1, nullptr);
  for (const SyscallRule& rule : syscall_rules()) {
    const int number = x86 ? rule.x86_64 : rule.aarch64;
    if (number >= 0 && !is_open(rule.name)) by_number[static_cast<std::size_t>(number)] = &rule;
  }

  std::vector<Range> ranges;
  for (std::uint32_t number = 0; number <= kNewestReviewed; ++number) {
    const SyscallRule* rule = by_number[number];
    Range range{number, rule != nullptr ? rule->otherwise : 0, nullptr};
    if (rule != nullptr && !rule->clauses.empty()) range.rule = rule;
    const bool same = !ranges.empty() && range.rule == nullptr && ranges.back().rule == nullptr &&
                      ranges.back().answer == range.answer;
    if (!same) ranges.push_back(range);
  }
  ranges.push_back({kNewestReviewed + 1, ENOSYS, nullptr});

  Assembler code;
  code.load(offsetof(seccomp_data, arch));
  code.program.push_back(
      {BPF_JMP | BPF_JEQ | BPF_K, 1, 0, x86 ? std::uint32_t{AUDIT_ARCH_X86_64} : AUDIT_ARCH_AARCH64});
  code.answer(SECCOMP_RET_KILL_PROCESS);
  code.load(offsetof(seccomp_data, nr));
  if (x86) {
    // -1 has the x32 bit too, but is what tracers and the kernel itself use for "no call".
    code.unless_skip(BPF_JEQ, 0xffffffff, 1);
    code.answer_call(ENOSYS);
    code.unless_skip(BPF_JSET, kX32Bit, 1);
    code.answer(SECCOMP_RET_KILL_PROCESS);
  }
  emit_search(code, ranges, 0, ranges.size());
  return code.program;
}

}  // namespace vrun
