#include "policy/syscall_filter.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <set>

namespace vrun {
namespace {

/// Runs a classic BPF program as the kernel does (net/core/filter.c), with the instructions that the compiler emits.
std::optional<std::uint32_t> evaluate(const std::vector<sock_filter>& program, const seccomp_data& data) {
  std::uint32_t accumulator = 0;
  for (std::size_t at = 0; at < program.size(); ++at) {
    const sock_filter& code = program[at];
    switch (code.code) {
      case BPF_LD | BPF_W | BPF_ABS:
        if (code.k % 4 != 0 || code.k + 4 > sizeof data) return std::nullopt;
        std::memcpy(&accumulator, reinterpret_cast<const char*>(&data) + code.k, 4);
        break;
      case BPF_ALU | BPF_AND | BPF_K:
        accumulator &= code.k;
        break;
      case BPF_JMP | BPF_JA:
        at += code.k;
        break;
      case BPF_JMP | BPF_JEQ | BPF_K:
        at += accumulator == code.k ? code.jt : code.jf;
        break;
      case BPF_JMP | BPF_JGE | BPF_K:
        at += accumulator >= code.k ? code.jt : code.jf;
        break;
      case BPF_JMP | BPF_JSET | BPF_K:
        at += (accumulator & code.k) != 0 ? code.jt : code.jf;
        break;
      case BPF_RET | BPF_K:
        return code.k;
      default:
        return std::nullopt;
    }
  }
  return std::nullopt;
}

struct Machine {
  Architecture architecture;
  std::uint32_t audit;
  std::uint32_t libseccomp;
};
constexpr Machine kMachines[] = {{Architecture::x86_64, AUDIT_ARCH_X86_64, SCMP_ARCH_X86_64},
                                 {Architecture::aarch64, AUDIT_ARCH_AARCH64, SCMP_ARCH_AARCH64}};

int number_on(const SyscallRule& rule, Architecture architecture) {
  return architecture == Architecture::x86_64 ? rule.x86_64 : rule.aarch64;
}

constexpr std::uint32_t kAllow = SECCOMP_RET_ALLOW;
std::uint32_t refused(int error_number) { return SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error_number); }

class Filter : public testing::TestWithParam<Machine> {
 protected:
  std::uint32_t ask(int number, std::vector<std::uint64_t> arguments = {}) const {
    seccomp_data data{};
    data.nr = number;
    data.arch = GetParam().audit;
    for (std::size_t i = 0; i < arguments.size(); ++i) data.args[i] = arguments[i];
    return evaluate(program_, data).value_or(0xdead);
  }
  int number(const char* name) const {
    for (const SyscallRule& rule : syscall_rules())
      if (rule.name == name) return number_on(rule, GetParam().architecture);
    ADD_FAILURE() << name << " has no rule";
    return -1;
  }
  std::vector<sock_filter> program_ = compile_filter(GetParam().architecture);
};

INSTANTIATE_TEST_SUITE_P(Architectures, Filter, testing::ValuesIn(kMachines), [](const auto& test) {
  return std::string(test.param.architecture == Architecture::x86_64 ? "x86_64" : "aarch64");
});

TEST_P(Filter, FitsIntoTheKernelsLimit) { EXPECT_LE(program_.size(), std::size_t{BPF_MAXINSNS}); }

TEST_P(Filter, NumbersAreThoseOfAnIndependentTable) {
  for (const SyscallRule& rule : syscall_rules()) {
    const int number = number_on(rule, GetParam().architecture);
    const int known = seccomp_syscall_resolve_name_arch(GetParam().libseccomp, std::string(rule.name).c_str());
    // libseccomp answers __NR_SCMP_ERROR for a name newer than itself and another negative number for a call that the
    // architecture does not have.
    if (known == __NR_SCMP_ERROR) {
      EXPECT_GT(number, 440) << rule.name;
    } else {
      EXPECT_EQ(number, known < 0 ? -1 : known) << rule.name;
    }
  }
}

TEST_P(Filter, AnswersEveryNumberAsTheTableSays) {
  std::vector<const SyscallRule*> rules(kNewestReviewed + 1, nullptr);
  for (const SyscallRule& rule : syscall_rules())
    if (const int n = number_on(rule, GetParam().architecture); n >= 0) rules[static_cast<std::size_t>(n)] = &rule;
  for (int n = 0; n <= kNewestReviewed; ++n) {
    const SyscallRule* rule = rules[static_cast<std::size_t>(n)];
    if (rule != nullptr && !rule->clauses.empty()) continue;  // below, with arguments
    const std::uint32_t expected = rule == nullptr || rule->otherwise == 0 ? kAllow : refused(rule->otherwise);
    EXPECT_EQ(ask(n), expected) << n;
    EXPECT_EQ(ask(n, {~0ULL, ~0ULL, ~0ULL, ~0ULL, ~0ULL, ~0ULL}), expected) << n;
  }
}

TEST_P(Filter, KnowsNothingAboveTheNewestReviewedCall) {
  for (int n = kNewestReviewed + 1; n < 4096; ++n) EXPECT_EQ(ask(n), refused(ENOSYS)) << n;
  EXPECT_EQ(ask(0x3fffffff), refused(ENOSYS));
  EXPECT_EQ(ask(-1), refused(ENOSYS));
}

TEST_P(Filter, KillsForeignAbis) {
  const std::uint32_t other =
      GetParam().audit == AUDIT_ARCH_X86_64 ? std::uint32_t{AUDIT_ARCH_AARCH64} : std::uint32_t{AUDIT_ARCH_X86_64};
  for (const std::uint32_t arch : {std::uint32_t{AUDIT_ARCH_I386}, std::uint32_t{AUDIT_ARCH_ARM}, other,
                                   std::uint32_t{AUDIT_ARCH_RISCV64}, std::uint32_t{0}, ~std::uint32_t{0}}) {
    seccomp_data data{};
    data.arch = arch;
    for (int n = 0; n <= kNewestReviewed + 1; ++n) {
      data.nr = n;
      EXPECT_EQ(evaluate(program_, data), std::optional<std::uint32_t>(SECCOMP_RET_KILL_PROCESS)) << arch << " " << n;
    }
  }
  const bool x86 = GetParam().architecture == Architecture::x86_64;
  for (int n = 0; n <= 1024; ++n) EXPECT_EQ(ask(0x40000000 | n), x86 ? SECCOMP_RET_KILL_PROCESS : refused(ENOSYS)) << n;
}

/// The high half of a 32-bit argument is garbage to the kernel and must be to the filter.
const std::uint64_t kGarbage[] = {0, 1ULL << 32, 0xffffffffULL << 32, 0xdeadbeefULL << 32};

/// What the table says, read as documented in syscall_filter.h and independently of how it is compiled.
Answer answer_of(const SyscallRule& rule, const std::array<std::uint64_t, 6>& arguments) {
  const auto holds = [&](const Condition& condition) {
    const std::uint64_t argument = arguments[condition.argument];
    const auto half = static_cast<std::uint32_t>(condition.high ? argument >> 32 : argument & 0xffffffff);
    return ((half & condition.mask) == condition.value) == condition.equal;
  };
  for (const Clause& clause : rule.clauses)
    if (std::all_of(clause.when.begin(), clause.when.end(), holds)) return clause.answer;
  return rule.otherwise;
}

/// Values of one argument that can make a difference to a rule: those it compares with, their neighbours, single bits
/// more and less, nothing and everything, each also with garbage in the other half.
std::vector<std::uint64_t> interesting_values(const SyscallRule& rule, unsigned argument) {
  std::set<std::uint64_t> halves = {0, 0xffffffff};
  bool compared = false;
  for (const Clause& clause : rule.clauses)
    for (const Condition& condition : clause.when) {
      if (condition.argument != argument) continue;
      compared = true;
      for (const std::uint32_t value : {condition.value, condition.value | ~condition.mask, condition.mask})
        halves.insert({value, value ^ 1U, value ^ 0x80000000U});
    }
  if (!compared) return {0, ~0ULL};
  std::vector<std::uint64_t> values;
  for (const std::uint64_t half : halves)
    for (const std::uint64_t high : {std::uint64_t{0}, std::uint64_t{0xdeadbeef} << 32}) values.push_back(half | high);
  return values;
}

/// Every number that exists, with every combination of values that can make a difference.
TEST_P(Filter, DoesWhatTheTableSaysForEveryNumberAndArguments) {
  std::vector<SyscallRule> rules(kNewestReviewed + 1);
  for (const SyscallRule& rule : syscall_rules())
    if (const int n = number_on(rule, GetParam().architecture); n >= 0) rules[static_cast<std::size_t>(n)] = rule;
  std::size_t asked = 0;
  for (int n = 0; n <= kNewestReviewed; ++n) {
    const SyscallRule& rule = rules[static_cast<std::size_t>(n)];
    std::array<std::vector<std::uint64_t>, 6> values;
    for (unsigned i = 0; i < values.size(); ++i) values[i] = interesting_values(rule, i);
    std::array<std::size_t, 6> at{};
    for (bool more = true; more;) {
      std::array<std::uint64_t, 6> arguments{};
      for (std::size_t i = 0; i < values.size(); ++i) arguments[i] = values[i][at[i]];
      const Answer expected = answer_of(rule, arguments);
      ASSERT_EQ(ask(n, {arguments.begin(), arguments.end()}), expected == 0 ? kAllow : refused(expected))
          << rule.name << " " << n << std::hex << " " << arguments[0] << " " << arguments[1] << " " << arguments[2]
          << " " << arguments[3];
      ++asked;
      more = false;
      for (std::size_t i = 0; i < values.size() && !more; ++i) {
        more = ++at[i] < values[i].size();
        if (!more) at[i] = 0;
      }
    }
  }
  EXPECT_GT(asked, 100000U);
}

/// libseccomp of a distribution is older than the kernel that a run may meet: the numbers of
/// include/uapi/asm-generic/unistd.h, which every architecture shares from 424 on.
TEST_P(Filter, NumbersOfNewCallsAreTheKernels) {
  constexpr int kFirst = 428;
  constexpr std::array<std::string_view, 42> kNames = {"open_tree",
                                                       "move_mount",
                                                       "fsopen",
                                                       "fsconfig",
                                                       "fsmount",
                                                       "fspick",
                                                       "pidfd_open",
                                                       "clone3",
                                                       "close_range",
                                                       "openat2",
                                                       "pidfd_getfd",
                                                       "faccessat2",
                                                       "process_madvise",
                                                       "epoll_pwait2",
                                                       "mount_setattr",
                                                       "quotactl_fd",
                                                       "landlock_create_ruleset",
                                                       "landlock_add_rule",
                                                       "landlock_restrict_self",
                                                       "memfd_secret",
                                                       "process_mrelease",
                                                       "futex_waitv",
                                                       "set_mempolicy_home_node",
                                                       "cachestat",
                                                       "fchmodat2",
                                                       "map_shadow_stack",
                                                       "futex_wake",
                                                       "futex_wait",
                                                       "futex_requeue",
                                                       "statmount",
                                                       "listmount",
                                                       "lsm_get_self_attr",
                                                       "lsm_set_self_attr",
                                                       "lsm_list_modules",
                                                       "mseal",
                                                       "setxattrat",
                                                       "getxattrat",
                                                       "listxattrat",
                                                       "removexattrat",
                                                       "open_tree_attr",
                                                       "file_getattr",
                                                       "file_setattr"};
  static_assert(kFirst + static_cast<int>(kNames.size()) - 1 == kNewestReviewed);
  std::size_t compared = 0;
  for (const SyscallRule& rule : syscall_rules()) {
    const int number = number_on(rule, GetParam().architecture);
    if (number < kFirst) continue;
    EXPECT_EQ(kNames.at(static_cast<std::size_t>(number - kFirst)), rule.name);
    ++compared;
  }
  EXPECT_GT(compared, 20U);
}

TEST_P(Filter, OpensWhatIsNamedAndNothingElse) {
  for (const Opening& opening : openings()) {
    const auto program = compile_filter(GetParam().architecture, {std::string(opening.name)});
    std::size_t opened = 0;
    for (const SyscallRule& rule : syscall_rules()) {
      seccomp_data data{};
      data.nr = number_on(rule, GetParam().architecture);
      data.arch = GetParam().audit;
      if (data.nr < 0) continue;
      const bool open = std::find(opening.calls.begin(), opening.calls.end(), rule.name) != opening.calls.end();
      opened += open ? 1 : 0;
      for (const std::uint64_t value :
           {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{0x7e020000}, ~std::uint64_t{0}}) {
        for (auto& argument : data.args) argument = value;
        const auto expected = open ? kAllow : evaluate(program_, data);
        EXPECT_EQ(evaluate(program, data), expected) << opening.name << " " << rule.name;
      }
    }
    EXPECT_EQ(opened, opening.calls.size()) << opening.name << " names a call without a rule";
    EXPECT_EQ(find_opening(opening.name)->name, opening.name);
  }
  EXPECT_EQ(find_opening("ptrac"), nullptr);
}

TEST_P(Filter, AllowsCloneButNoNewNamespace) {
  for (const std::uint64_t high : kGarbage) {
    EXPECT_EQ(ask(number("clone"), {high | 0x3d0f00}), kAllow);  // a thread
    EXPECT_EQ(ask(number("clone"), {high | SIGCHLD}), kAllow);   // fork
    for (const std::uint64_t flag :
         {0x20000U, 0x2000000U, 0x4000000U, 0x8000000U, 0x10000000U, 0x20000000U, 0x40000000U})
      EXPECT_EQ(ask(number("clone"), {high | flag | SIGCHLD}), refused(EPERM)) << std::hex << flag;
  }
  EXPECT_EQ(ask(number("clone3")), refused(ENOSYS));
}

TEST_P(Filter, AllowsOnlyUnixInternetAndRouteSockets) {
  for (const std::uint64_t high : kGarbage) {
    for (std::uint64_t family = 0; family < 64; ++family) {
      const bool allowed = family == AF_UNIX || family == AF_INET || family == AF_INET6 || family == AF_NETLINK;
      for (const std::uint64_t type : {1U, 2U, 1U | SOCK_CLOEXEC | SOCK_NONBLOCK})
        EXPECT_EQ(ask(number("socket"), {high | family, high | type, high}), allowed ? kAllow : refused(EAFNOSUPPORT))
            << family;
      EXPECT_EQ(ask(number("socketpair"), {high | family, 1, 0}), family == AF_UNIX ? kAllow : refused(EAFNOSUPPORT));
    }
    EXPECT_EQ(ask(number("socket"), {AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, high}), kAllow);
    for (std::uint64_t protocol = 1; protocol < 32; ++protocol)
      EXPECT_EQ(ask(number("socket"), {AF_NETLINK, SOCK_RAW, high | protocol}), refused(EAFNOSUPPORT)) << protocol;
    for (const std::uint64_t family : {std::uint64_t{AF_INET}, std::uint64_t{AF_INET6}}) {
      for (const std::uint64_t type : {SOCK_RAW, SOCK_SEQPACKET, SOCK_DCCP})
        EXPECT_EQ(ask(number("socket"), {family, high | type | SOCK_CLOEXEC, 0}), refused(EPROTONOSUPPORT));
      for (const std::uint64_t protocol : {33U, 132U, 136U, 262U})
        EXPECT_EQ(ask(number("socket"), {family, SOCK_STREAM, high | protocol}), refused(EPROTONOSUPPORT));
      EXPECT_EQ(ask(number("socket"), {family, SOCK_STREAM, high | IPPROTO_TCP}), kAllow);
      EXPECT_EQ(ask(number("socket"), {family, SOCK_DGRAM, high | IPPROTO_UDP}), kAllow);
    }
  }
}

TEST_P(Filter, RefusesTerminalInjection) {
  for (const std::uint64_t high : kGarbage) {
    for (const std::uint64_t request : {0x5412U, 0x541cU, 0x541dU, 0x5423U})
      EXPECT_EQ(ask(number("ioctl"), {0, high | request}), refused(EPERM)) << std::hex << request;
    for (const std::uint64_t request : {0x5401U, 0x5413U, 0x5411U, 0x541bU})
      EXPECT_EQ(ask(number("ioctl"), {0, high | request}), kAllow) << std::hex << request;
  }
}

TEST_P(Filter, KeepsPersonalityButAnswersQueries) {
  for (const std::uint64_t high : kGarbage) {
    EXPECT_EQ(ask(number("personality"), {high}), kAllow);
    EXPECT_EQ(ask(number("personality"), {high | 0xffffffff}), kAllow);
    for (int bit = 0; bit < 32; ++bit)
      EXPECT_EQ(ask(number("personality"), {high | (1ULL << bit)}), refused(EPERM)) << bit;
  }
}

TEST_P(Filter, MakesNoSetUserIdFiles) {
  struct Call {
    const char* name;
    unsigned mode;
    bool with_flags;
  };
  for (const Call& call : {Call{"chmod", 1, false}, Call{"fchmod", 1, false}, Call{"fchmodat", 2, false},
                           Call{"fchmodat2", 2, false}, Call{"creat", 1, false}, Call{"mknod", 1, false},
                           Call{"mknodat", 2, false}, Call{"open", 2, true}, Call{"openat", 3, true}}) {
    if (number(call.name) < 0) continue;  // not on this architecture
    for (const std::uint64_t high : kGarbage) {
      for (const std::uint64_t mode : {04755U, 02755U, 06777U, 0755U, 01777U}) {
        std::vector<std::uint64_t> arguments(6, 0);
        arguments[call.mode] = high | mode;
        if (call.with_flags) arguments[call.mode - 1] = high | O_CREAT | O_WRONLY;
        EXPECT_EQ(ask(number(call.name), arguments), (mode & 06000) != 0 ? refused(EPERM) : kAllow) << call.name;
        if (!call.with_flags) continue;
        arguments[call.mode - 1] = high | O_TMPFILE | O_RDWR;
        EXPECT_EQ(ask(number(call.name), arguments), (mode & 06000) != 0 ? refused(EPERM) : kAllow) << call.name;
        // Without a file to make, the argument is not read and may be anything.
        arguments[call.mode - 1] = high | O_RDONLY | O_DIRECTORY;
        EXPECT_EQ(ask(number(call.name), arguments), kAllow) << call.name;
      }
    }
  }
  EXPECT_EQ(ask(number("openat2")), refused(ENOSYS));
}

TEST_P(Filter, KeepsTheCoreLimit) {
  for (const std::uint64_t high : kGarbage) {
    EXPECT_EQ(ask(number("setrlimit"), {high | 4}), refused(EPERM));
    EXPECT_EQ(ask(number("setrlimit"), {high | 7}), kAllow);
    EXPECT_EQ(ask(number("prlimit64"), {0, high | 4, 0}), kAllow);  // a question
    EXPECT_EQ(ask(number("prlimit64"), {0, high | 4, 0x1000}), refused(EPERM));
    EXPECT_EQ(ask(number("prlimit64"), {0, high | 4, 1ULL << 40}), refused(EPERM));  // all of a pointer counts
    EXPECT_EQ(ask(number("prlimit64"), {0, high | 7, 0x1000}), kAllow);
  }
}

}  // namespace
}  // namespace vrun
