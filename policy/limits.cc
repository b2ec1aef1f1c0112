#include "policy/limits.h"

#include <algorithm>

#include <sys/resource.h>

#include <charconv>
#include <limits>
#include <utility>

#include "policy/error.h"

namespace vrun {
namespace {

constexpr std::uint64_t kMost = std::uint64_t{1} << 62;

/// A number that is the whole of `text`.
std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return std::nullopt;
  return number;
}

/// "1.5" in thousandths, with at most three digits behind the point; nothing when it is 0 or has no end.
std::optional<std::uint64_t> parse_thousandths(std::string_view text) {
  const std::size_t point = text.find('.');
  std::string fraction(point == text.npos ? "" : text.substr(point + 1));
  if (fraction.size() > 3 || (point != text.npos && fraction.empty())) return std::nullopt;
  fraction.resize(3, '0');
  const auto whole = parse_number(text.substr(0, point));
  const auto part = parse_number(fraction);
  if (!whole || !part || *whole > kMost / 1000) return std::nullopt;
  const std::uint64_t value = *whole * 1000 + *part;
  return value == 0 ? std::nullopt : std::optional(value);
}

std::string thousandths_text(std::uint64_t value) {
  std::string text = std::to_string(value / 1000);
  if (value % 1000 == 0) return text;
  std::string fraction = std::to_string(1000 + value % 1000).substr(1);
  fraction.erase(fraction.find_last_not_of('0') + 1);
  return text + "." + fraction;
}

}  // namespace

const LimitDescription* find_limit(std::string_view name) {
  const auto* const found =
      std::find_if(kLimits.begin(), kLimits.end(), [&](const LimitDescription& limit) { return limit.name == name; });
  return found == kLimits.end() ? nullptr : &*found;
}

const LimitDescription& describe(LimitKind kind) { return kLimits[static_cast<std::size_t>(kind)]; }

std::optional<std::uint64_t> parse_size(std::string_view text) {
  constexpr std::string_view kUnits = "KMGT";
  std::uint64_t unit = 1;
  if (const std::size_t which = text.empty() ? text.npos : kUnits.find(text.back()); which != text.npos) {
    unit = std::uint64_t{1024} << (10 * which);
    text.remove_suffix(1);
  }
  const auto number = parse_number(text);
  if (!number || *number == 0 || *number > kMost / unit) return std::nullopt;
  return *number * unit;
}

std::optional<std::uint64_t> parse_duration(std::string_view text) {
  // The longest unit first that ends like another: "ms" before "s".
  constexpr std::pair<std::string_view, std::uint64_t> kUnits[] = {
      {"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}};
  for (const auto& [name, unit] : kUnits) {
    if (!text.ends_with(name)) continue;
    text.remove_suffix(name.size());
    const auto number = parse_thousandths(text);
    if (!number || *number > kMost / unit || *number * unit % 1000 != 0) return std::nullopt;
    return *number * unit / 1000;
  }
  return std::nullopt;
}

std::uint64_t parse_limit(const LimitDescription& limit, std::string_view text) {
  std::optional<std::uint64_t> value;
  const char* wanted = "";
  switch (limit.unit) {
    case LimitUnit::milliseconds:
      value = parse_duration(text);
      wanted = "a time such as 90s, 500ms or 2m";
      break;
    case LimitUnit::bytes:
      value = parse_size(text);
      wanted = "a size such as 512M";
      if (limit.kind == LimitKind::swap && text == "0") value = 0;
      break;
    case LimitUnit::count:
      value = parse_number(text);
      if (value && (*value == 0 || *value > std::numeric_limits<std::int32_t>::max())) value.reset();
      wanted = "a number from 1 on";
      break;
    case LimitUnit::thousandths:
      value = parse_thousandths(text);
      // The least that cpu.max takes is a millisecond in a tenth of a second.
      if (value && (*value < 10 || *value > 1'000'000)) value.reset();
      wanted = "a number of processors such as 2 or 0.5";
      break;
  }
  if (!value) throw Error("--" + std::string(limit.name) + " wants " + wanted + ", not " + quote(text));
  return *value;
}

std::string limit_text(const LimitDescription& limit, std::uint64_t value) {
  switch (limit.unit) {
    case LimitUnit::milliseconds:
      return thousandths_text(value) + "s";
    case LimitUnit::bytes: {
      constexpr std::array kUnits{"", "K", "M", "G", "T"};
      std::size_t unit = 0;
      for (; unit + 1 < kUnits.size() && value != 0 && value % 1024 == 0; ++unit) value /= 1024;
      return std::to_string(value) + kUnits[unit];
    }
    case LimitUnit::thousandths:
      return thousandths_text(value);
    case LimitUnit::count:
      break;
  }
  return std::to_string(value);
}

std::string limit_number(const LimitDescription& limit, std::uint64_t value) {
  if (limit.unit == LimitUnit::bytes || limit.unit == LimitUnit::count) return std::to_string(value);
  std::string text = limit_text(limit, value);
  if (limit.unit == LimitUnit::milliseconds) text.pop_back();
  return text;
}

const char* enforcement_name(Enforcement enforcement) {
  switch (enforcement) {
    case Enforcement::none:
      return "no";
    case Enforcement::supervisor:
      return "supervisor";
    case Enforcement::rlimit:
      return "rlimit";
    case Enforcement::mount:
      return "mount";
    case Enforcement::cgroup:
      break;
  }
  return "cgroup";
}

Enforcement enforcement_of(LimitKind kind, const Controllers& controllers, bool measurable) {
  const auto by_group = [](bool has, Enforcement otherwise) { return has ? Enforcement::cgroup : otherwise; };
  const Enforcement measured = measurable ? Enforcement::supervisor : Enforcement::none;
  switch (kind) {
    case LimitKind::wall:
    case LimitKind::output_max:
      return Enforcement::supervisor;
    case LimitKind::cpu_time:
      return by_group(controllers.group, measured);
    case LimitKind::memory:
      return by_group(controllers.memory, measured);
    case LimitKind::swap:
      // A group without an account of swap would let memory that is swapped out go free.
      return controllers.memory ? by_group(controllers.swap, Enforcement::none) : measured;
    case LimitKind::pids:
      return by_group(controllers.pids, Enforcement::rlimit);
    case LimitKind::cpus:
      return by_group(controllers.cpu, Enforcement::none);
    case LimitKind::fsize:
    case LimitKind::nofile:
    case LimitKind::stack:
      return Enforcement::rlimit;
    case LimitKind::tmp_size:
    case LimitKind::shm_size:
      break;
  }
  return Enforcement::mount;
}

bool is_full(LimitKind kind, Enforcement enforcement) {
  const bool group =
      kind == LimitKind::cpu_time || kind == LimitKind::memory || kind == LimitKind::swap || kind == LimitKind::cpus;
  return group ? enforcement == Enforcement::cgroup : enforcement != Enforcement::none;
}

std::vector<ResourceLimit> plan_resource_limits(const Limits& limits, const Controllers& controllers) {
  std::vector<ResourceLimit> result;
  const auto add = [&](int resource, LimitKind kind, std::uint64_t more) {
    if (limits[kind]) result.push_back({resource, *limits[kind] + more, *limits[kind] + more, kind});
  };
  // Counted for each user namespace since Linux 5.14, threads included, and so for this run alone; pid 1 is one more.
  // A group counts what it refuses, which this does not; with both, this one would be met first.
  if (!controllers.pids) add(RLIMIT_NPROC, LimitKind::pids, 1);
  add(RLIMIT_FSIZE, LimitKind::fsize, 0);
  add(RLIMIT_NOFILE, LimitKind::nofile, 0);
  add(RLIMIT_STACK, LimitKind::stack, 0);
  // Of each process, and far enough behind the limit for all of them that it only counts when vrun does not look: when
  // it is stopped, or starved. There is none for memory: RLIMIT_AS and RLIMIT_DATA count what a process reserves, and
  // runtimes, threads and numeric libraries reserve many times what they use.
  if (const auto& time = limits[LimitKind::cpu_time]) {
    const std::uint64_t seconds = (*time + 999) / 1000;
    result.push_back({RLIMIT_CPU, seconds + 5, seconds + 10, LimitKind::cpu_time});
  }
  return result;
}

}  // namespace vrun
