#include "runner/timing.h"

#include <sys/mman.h>
#include <time.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdio>

#include "policy/error.h"

namespace vrun {
namespace {

std::int64_t now() {
  struct timespec time {};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

std::string line(std::int64_t nanoseconds, const char* name) {
  std::array<char, 96> text{};
  std::snprintf(text.data(), text.size(), "vrun: %8lld us  %s\n", static_cast<long long>((nanoseconds + 500) / 1000),
                name);
  return text.data();
}

}  // namespace

struct Timing::Shared {
  struct Mark {
    const char* name;
    std::int64_t time;
  };
  std::int64_t start = 0;
  std::atomic<std::size_t> count = 0;
  std::array<Mark, 32> marks{};
};

Timing::Timing(bool wanted) {
  if (!wanted) return;
  void* const memory = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw Error("cannot get memory to keep times in", "", errno);
  shared_ = new (memory) Shared;
  shared_->start = now();
}

Timing::~Timing() {
  if (shared_ != nullptr) ::munmap(shared_, sizeof(Shared));
}

void Timing::mark(const char* name) noexcept {
  if (shared_ == nullptr) return;
  const std::size_t place = shared_->count.fetch_add(1);
  if (place < shared_->marks.size()) shared_->marks[place] = {name, now()};
}

std::string Timing::text() const {
  std::string result;
  if (shared_ == nullptr) return result;
  std::int64_t last = shared_->start;
  for (std::size_t i = 0; i < shared_->count.load() && i < shared_->marks.size(); ++i) {
    const Shared::Mark& mark = shared_->marks[i];
    result += line(mark.time - last, mark.name);
    last = mark.time;
  }
  return result + line(last - shared_->start, "in all");
}

}  // namespace vrun
