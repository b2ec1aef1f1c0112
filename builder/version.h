/// Versions and version specifiers as PEP 440 defines them.
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vrun::builder {

struct Version {
  int epoch = 0;             ///< 1 in "1!2.0"
  std::vector<int> release;  ///< "24.2.0" is {24, 2}: zeros at the end say nothing
  // The rest is a key that orders as PEP 440 asks: X.dev1 < Xa1 < Xb1 < Xrc1 < X < X.post1.
  int stage = 4;  ///< 0 development release of a final one, 1 alpha, 2 beta, 3 candidate, 4 final
  int stage_number = 0;
  int post = -1;         ///< -1: none
  int dev = 2147483647;  ///< greatest int: none
  /// A segment of the local part, "cpu" in "2.0+cpu". Numbers come after words.
  struct Local {
    int number = -1;  ///< -1: a word
    std::string word = {};
    std::strong_ordering operator<=>(const Local&) const = default;
  };
  std::vector<Local> local = {};
  std::strong_ordering operator<=>(const Version&) const = default;
};

/// Nothing when `text` is not a version in normal form ("1.2", "1!24.2", "26.3.dev0", "25.1b1", "2.0+cpu.1"). Numbers
/// of more than nine digits are not taken.
std::optional<Version> parse_version(std::string_view text);

/// The numbers of "3.12.0" with their zeros; nothing when `text` is not just numbers and dots.
std::optional<std::vector<int>> parse_release(std::string_view text);

/// "24.2" of "24.2.1" and so on: whether `version` begins with `prefix`, as "==24.2.*" asks.
bool has_prefix(const Version& version, const std::vector<int>& prefix);

/// A comma-separated list such as ">=3.8, !=3.9.*". Every part must hold. A local part of the version counts only
/// where the specifier has one.
class Specifiers {
 public:
  /// Nothing when it cannot be read. An empty list holds for every version.
  static std::optional<Specifiers> parse(std::string_view text);
  bool hold(const Version& version) const;

 private:
  enum class Relation {
    less,
    less_or_equal,
    equal,
    not_equal,
    greater_or_equal,
    greater,
    starts_with,
    does_not_start_with
  };
  struct Part {
    Relation relation;
    Version version;
    std::vector<int> prefix;  ///< for the last two, with its zeros
  };
  std::vector<Part> parts_;
};

}  // namespace vrun::builder
