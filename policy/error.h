/// The one type that vrun and vbuild throw: what was being done, to which path, the errno, and what the user can do.
#pragma once

#include <cstddef>
#include <exception>
#include <string>
#include <string_view>

namespace vrun {

/// Makes outside text (a path, a name, a line of a file) safe to print on one line: control characters, DEL, bytes that
/// are not valid UTF-8 and bidirectional or line-breaking code points become \xNN or \uNNNN, and a quote or a backslash
/// gets a backslash. Nothing else changes.
std::string escape(std::string_view text);

/// `'escaped'`, as paths appear in messages.
std::string quote(std::string_view text);

/// A path as a word of a command line that somebody types: quoted where a shell would want that.
std::string command_word(const std::string& path);

/// The symbolic name of an errno value ("ENOENT"); "errno 4242" for one that this C library does not know.
std::string errno_name(int error_number);

/// A failure that a user has to be told about. `what()` is the whole message on one line, without the program's name:
///
///     <operation> '<path>': ENOENT (No such file or directory); <hint>
///
/// Every part but the operation may be absent.
class Error : public std::exception {
 public:
  /// A failure that is not a system call's: text only.
  explicit Error(std::string operation);
  Error(std::string operation, std::string_view path);
  /// A failed system call. `error_number` is errno, captured by the caller before anything else could change it.
  Error(std::string operation, std::string_view path, int error_number);

  /// What the user can do about it; a clause without a final full stop.
  Error&& hint(std::string_view text) &&;

  const char* what() const noexcept override { return message_.c_str(); }
  /// `what()` without the hint, and the hint alone, for those who show them apart.
  std::string_view failure() const { return std::string_view(message_).substr(0, failure_size_); }
  std::string_view remedy() const { return hint_; }
  /// 0 when the failure was not a system call's.
  int error_number() const noexcept { return error_number_; }

 private:
  std::string message_;
  std::size_t failure_size_ = std::string::npos;  ///< where the hint begins; npos without one
  std::string hint_;
  int error_number_ = 0;
};

}  // namespace vrun
