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
  const bool held = limits_[LimitKind::cpu_time] || limits_[LimitKind::memory] || limits_[LimitKind::swap];
  if (held || account_) {
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
  std::optional<std::uint64_t> memory;
  if (limits_[LimitKind::memory] || account_) {
    memory = limits_[LimitKind::memory].value_or(memory_peak_);
    // Memory that was swapped out counts with the rest.
    *memory += limits_[LimitKind::swap].value_or(0);
  }
  const Clock::time_point now = Clock::now();
  const bool at_the_end = now >= deadline();
  const Clock::time_point until = at_the_end ? now + kLastLook : std::min(now + kLongestLook, deadline());
  const TreeUse use = tree_->measure(memory, until);
  // What takes so long to look at is beyond what can be held; at its deadline a run ends anyway.
  if (!use.complete && !at_the_end && until < deadline())
    fire(limits_[LimitKind::memory] ? LimitKind::memory : LimitKind::cpu_time);
  cpu_ = std::max<std::chrono::microseconds>(cpu_, use.cpu);
  memory_peak_ = std::max(memory_peak_, use.memory);
  tasks_peak_ = std::max(tasks_peak_, use.tasks);
  if (limits_[LimitKind::memory] && use.memory > *memory) fire(LimitKind::memory);
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

void Watch::end(std::chrono::microseconds cpu) {
  end_ = Clock::now();
  cpu_ = std::max(cpu_, cpu);
  const auto& cpu_time = limits_[LimitKind::cpu_time];
  if (cpu_time && cpu_ > std::chrono::milliseconds(*cpu_time)) fire(LimitKind::cpu_time);
}

}  // namespace vrun
