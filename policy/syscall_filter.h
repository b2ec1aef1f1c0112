/// The system-call filter of a run: one table of rules, and the seccomp program that is compiled from it.
///
/// The table says what each refused call answers (docs/layers/system-calls.md has the reasons). Everything else up to
/// the newest call that was reviewed is allowed; every number above answers ENOSYS, so that a newer kernel opens
/// nothing. Arguments are compared as the kernel uses them: 32-bit arguments by their low half, whatever a caller
/// leaves in the high one.
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vrun {

enum class Architecture { x86_64, aarch64 };
/// The one this program was compiled for.
Architecture native_architecture();

/// What a call answers: 0 allows it, otherwise this errno without the kernel doing anything.
using Answer = int;

/// A comparison of half an argument (seccomp_data.args).
struct Condition {
  unsigned argument = 0;
  bool high = false;  ///< the upper 32 bits; set only where the kernel reads all 64
  std::uint32_t mask = 0xffffffff;
  std::uint32_t value = 0;
  bool equal = true;  ///< false: the masked half differs from `value`
};
/// All conditions hold -> `answer`.
struct Clause {
  std::vector<Condition> when;
  Answer answer = 0;
};
struct SyscallRule {
  std::string_view name;
  int x86_64 = -1;  ///< number, -1 where the architecture has no such call
  int aarch64 = -1;
  std::vector<Clause> clauses;  ///< the first that holds decides
  Answer otherwise = 0;         ///< when none does
};

/// The newest system call that was reviewed: file_setattr of Linux 6.17. Numbers from 424 on are the same everywhere.
inline constexpr int kNewestReviewed = 469;

const std::vector<SyscallRule>& syscall_rules();

/// What --allow opens by name: calls whose rules do not hold then.
struct Opening {
  std::string_view name;
  std::string_view opens;  ///< for people, in --explain
  std::vector<std::string_view> calls;
};
const std::vector<Opening>& openings();
/// Null when there is none of the name.
const Opening* find_opening(std::string_view name);

/// Compiles the table, without the rules of the calls that the openings named in `allowed` open. A call made for
/// another architecture, or with the x32 bit, kills the process.
std::vector<sock_filter> compile_filter(Architecture architecture, const std::vector<std::string>& allowed = {});

}  // namespace vrun
