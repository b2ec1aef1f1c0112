/// An owned file descriptor.
#pragma once

#include <unistd.h>

#include <utility>

namespace vrun {

/// Owns one open file descriptor and closes it. Move-only; a moved-from or default one owns nothing. There is no
/// implicit conversion to int, so that a descriptor cannot be mistaken for a truth value.
class [[nodiscard]] Fd {
 public:
  Fd() = default;
  /// Takes ownership of `fd`; -1 means none.
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) reset(std::exchange(other.fd_, -1));
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { reset(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  /// Gives up ownership.
  int release() { return std::exchange(fd_, -1); }
  /// Closes what is owned and takes `fd`. The old value is forgotten before close(2) runs, and close is never repeated:
  /// Linux frees the number even when close fails (close(2), NOTES).
  void reset(int fd = -1) {
    const int old = std::exchange(fd_, fd);
    if (old >= 0) ::close(old);
  }

 private:
  int fd_ = -1;
};

}  // namespace vrun
