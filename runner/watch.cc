#include "runner/watch.h"

#include <fcntl.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "policy/error.h"

namespace vrun {
namespace {

/// Between two looks at the run. One core fills some 20 MiB of fresh memory in that time.
constexpr auto kInterval = std::chrono::milliseconds(10);
/// And at least this many times as long as a look took, so that vrun stays small beside a run of many processes.
constexpr int kRest = 20;
/// While vrun looks it does nothing else: no signal is passed on, no output copied.
constexpr auto kLongestLook = std::chrono::seconds(3);
constexpr auto kLastLook = std::chrono::milliseconds(100);

}  // namespace

void Watch::begin(pid_t init) {
  begin_ = next_measure_ = Clock::now();
  // What the group does not count is looked for in the processes.
  const bool memory = limits_[LimitKind::memory] || limits_[LimitKind::swap] || account_;
  const bool time = limits_[LimitKind::cpu_time] || account_;
  if ((memory && (group_ == nullptr || !group_->controllers().memory)) || (time && group_ == nullptr)) {
    tree_.emplace(Fd(::open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC)), init);
    measurable_ = tree_->measurable();
    if (measurable_) tree_->find_unnamed();
  }
  if (!measures() && !limits_[LimitKind::wall]) return;
  timer_ = Fd(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!timer_.valid()) throw Error("cannot make a timer for the run's limits", "", errno);
  look();
}

void Watch::look() {
  std::uint64_t expirations = 0;
  while (::read(timer_.get(), &expirations, sizeof expirations) < 0 && errno == EINTR) {
  }
  const Clock::time_point now = Clock::now();
  const Clock::time_point end = deadline();
  // Measured at the end too: what is ended then has an account up to there.
  if (measures() && (now >= next_measure_ || now >= end)) {
    measure();
    const auto took = Clock::now() - now;
    next_measure_ = Clock::now() + std::max<Clock::duration>(kInterval, took * kRest);
  }
  if (Clock::now() >= end) fire(LimitKind::wall);
  if (!fired_) set_timer(measures() ? std::min(end, next_measure_) : end);
}

Watch::Clock::time_point Watch::deadline() const {
  const auto& wall = limits_[LimitKind::wall];
  return wall ? begin_ + std::chrono::milliseconds(*wall) : Clock::time_point::max();
}

void Watch::measure() {
  if (group_ != nullptr && limits_[LimitKind::cpu_time]) cpu_ = group_->account().cpu;
  if (tree_ && measurable_) look_at_tree();
  check_cpu_time();
}

void Watch::look_at_tree() {
  std::optional<std::uint64_t> memory;
  if (limits_[LimitKind::memory] || account_) {
    memory = limits_[LimitKind::memory].value_or(memory_peak_.value_or(0));
    // Memory that was swapped out counts with the rest.
    *memory += limits_[LimitKind::swap].value_or(0);
  }
  const Clock::time_point now = Clock::now();
  const bool at_the_end = now >= deadline();
  const Clock::time_point until = at_the_end ? now + kLastLook : std::min(now + kLongestLook, deadline());
  const TreeUse use = tree_->measure(memory, until);
  // What takes so long to look at is beyond what can be held; at its deadline a run ends anyway.
  const bool held = limits_[LimitKind::memory] || limits_[LimitKind::cpu_time];
  if (held && !use.complete && !at_the_end && until < deadline())
    fire(limits_[LimitKind::memory] ? LimitKind::memory : LimitKind::cpu_time);
  if (group_ == nullptr) cpu_ = std::max(cpu_, std::chrono::duration_cast<std::chrono::microseconds>(use.cpu));
  if (memory) memory_peak_ = std::max(memory_peak_.value_or(0), use.memory);
  tasks_peak_ = std::max(tasks_peak_.value_or(0), use.tasks);
  if (limits_[LimitKind::memory] && use.memory > *memory) fire(LimitKind::memory);
}

void Watch::check_cpu_time() {
  const auto& cpu_time = limits_[LimitKind::cpu_time];
  if (cpu_time && cpu_ > std::chrono::milliseconds(*cpu_time)) fire(LimitKind::cpu_time);
}

void Watch::set_timer(Clock::time_point when) {
  const auto since = std::chrono::duration_cast<std::chrono::nanoseconds>(when.time_since_epoch()).count();
  struct itimerspec time {};
  time.it_value.tv_sec = since / 1'000'000'000;
  time.it_value.tv_nsec = since % 1'000'000'000;
  ::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &time, nullptr);
}

std::optional<GroupAccount> Watch::end(std::chrono::microseconds cpu) {
  end_ = Clock::now();
  std::optional<GroupAccount> account;
  if (group_ != nullptr) {
    account = group_->account();
    cpu_ = account->cpu;
    if (account->memory_peak) memory_peak_ = account->memory_peak;
    if (account->tasks_peak) tasks_peak_ = account->tasks_peak;
    // Both, for the machine may be out of memory while the run is within its limit.
    if (account->limit_kills > 0 && account->oom_killed > 0 && limits_[LimitKind::memory]) fire(LimitKind::memory);
  } else {
    cpu_ = std::max(cpu_, cpu);
  }
  check_cpu_time();
  return account;
}

}  // namespace vrun
