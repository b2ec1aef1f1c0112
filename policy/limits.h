/// Limits of a run: what is asked for, and what holds each of them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vrun {

enum class LimitKind {
  wall,        ///< time since the run began
  cpu_time,    ///< processor time of all its processes together
  memory,      ///< of all its processes and of its files in memory
  swap,        ///< beyond that
  pids,        ///< processes and threads at once
  cpus,        ///< processors' worth of time in each instant
  fsize,       ///< the size of a file that it writes
  nofile,      ///< descriptors that one process has open
  stack,       ///< of each process
  tmp_size,    ///< each of /tmp, /var/tmp and the private home directory
  shm_size,    ///< /dev/shm
  output_max,  ///< standard output and standard error together
};
enum class LimitUnit { milliseconds, bytes, count, thousandths };

struct LimitDescription {
  LimitKind kind;
  const char* name;  ///< of the option, and of the key in reports
  LimitUnit unit;
};
inline constexpr std::array<LimitDescription, 12> kLimits{{
    {LimitKind::wall, "wall", LimitUnit::milliseconds},
    {LimitKind::cpu_time, "cpu-time", LimitUnit::milliseconds},
    {LimitKind::memory, "memory", LimitUnit::bytes},
    {LimitKind::swap, "swap", LimitUnit::bytes},
    {LimitKind::pids, "pids", LimitUnit::count},
    {LimitKind::cpus, "cpus", LimitUnit::thousandths},
    {LimitKind::fsize, "fsize", LimitUnit::bytes},
    {LimitKind::nofile, "nofile", LimitUnit::count},
    {LimitKind::stack, "stack", LimitUnit::bytes},
    {LimitKind::tmp_size, "tmp-size", LimitUnit::bytes},
    {LimitKind::shm_size, "shm-size", LimitUnit::bytes},
    {LimitKind::output_max, "output-max", LimitUnit::bytes},
}};
/// The entry of kLimits.
const LimitDescription& describe(LimitKind kind);
/// Null when no limit has the name.
const LimitDescription* find_limit(std::string_view name);

/// Values in the units of kLimits; nothing where no limit is asked for.
class Limits {
 public:
  std::optional<std::uint64_t>& operator[](LimitKind kind) { return values_[static_cast<std::size_t>(kind)]; }
  const std::optional<std::uint64_t>& operator[](LimitKind kind) const {
    return values_[static_cast<std::size_t>(kind)];
  }
  bool operator==(const Limits&) const = default;

 private:
  std::array<std::optional<std::uint64_t>, kLimits.size()> values_;
};

/// "512M": a number of bytes with K, M, G or T for powers of 1024; nothing when it is none, is 0 or has no end.
std::optional<std::uint64_t> parse_size(std::string_view text);
/// "90s", "500ms", "2m", "1h", "1.5s": milliseconds; nothing when it is none, is 0 or has no end.
std::optional<std::uint64_t> parse_duration(std::string_view text);
/// What the option of this kind is given. Throws Error that names the option and what it takes.
std::uint64_t parse_limit(const LimitDescription& limit, std::string_view text);
/// The value as it can be given: "1.5s", "512M", "0.5", "64".
std::string limit_text(const LimitDescription& limit, std::uint64_t value);
/// The value as a number of JSON: seconds, bytes, processors or a count.
std::string limit_number(const LimitDescription& limit, std::uint64_t value);

/// What holds a limit. Later ones are held by the kernel alone; `supervisor` is vrun, which measures and ends the run.
enum class Enforcement { none, supervisor, rlimit, mount, cgroup };
/// "no", "supervisor", "rlimit", "mount", "cgroup".
const char* enforcement_name(Enforcement enforcement);
/// Controllers of the run's control group (cgroups(7)); all false without one.
struct Controllers {
  bool group = false;  ///< there is one, whatever controls it: its processor time is counted
  bool cpu = false;
  bool memory = false;
  bool swap = false;  ///< memory.swap.max exists
  bool pids = false;
  bool operator==(const Controllers&) const = default;
};
/// How a limit is held with these controllers. `measurable`: vrun can look at the processes of the run.
Enforcement enforcement_of(LimitKind kind, const Controllers& controllers, bool measurable);
/// Whether nothing better exists for this kind: what --require-limits wants.
bool is_full(LimitKind kind, Enforcement enforcement);

/// A setrlimit(2), for the command and all that it starts. The soft value may be raised to the hard one.
struct ResourceLimit {
  int resource = 0;
  std::uint64_t soft = 0;
  std::uint64_t hard = 0;
  LimitKind kind = LimitKind::wall;  ///< what it is for
  bool operator==(const ResourceLimit&) const = default;
};
/// Those that hold `limits` beside these controllers.
std::vector<ResourceLimit> plan_resource_limits(const Limits& limits, const Controllers& controllers);

}  // namespace vrun
