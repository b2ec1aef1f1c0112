/// Versions and version specifiers as PEP 440 defines them.
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vrun::builder {

struct Version {
  /// A part of a local version, "5" or "abc" of "1.0+abc.5": every number is greater than every text.
  struct LocalPart {
    int number = -1;   ///< -1: a text
    std::string text;  ///< lower case
    std::strong_ordering operator<=>(const LocalPart&) const = default;
  };

  int epoch = 0;
  std::vector<int> release;  ///< "24.2.0" is {24, 2}: zeros at the end say nothing
  // The rest is a key that orders as PEP 440 asks: X.dev1 < Xa1 < Xb1 < Xrc1 < X < X+local < X.post1.
  int stage = 4;  ///< 0 development release of a final one, 1 alpha, 2 beta, 3 candidate, 4 final
  int stage_number = 0;
  int post = -1;         ///< -1: none
  int dev = 2147483647;  ///< greatest int: none
  std::vector<LocalPart> local = {};
  /// Whether it is an alpha, beta, candidate or development release.
  bool is_prerelease() const { return stage < 4 || dev != 2147483647; }
  std::strong_ordering operator<=>(const Version&) const = default;
};

/// Nothing when `text` is not a version in normal form ("1.2", "1!24.2", "26.3.dev0", "25.1b1", "1.0+local.1"). Numbers
/// of more than nine digits are not taken.
std::optional<Version> parse_version(std::string_view text);

/// The numbers of "3.12.0" with their zeros; nothing when `text` is not just numbers and dots.
std::optional<std::vector<int>> parse_release(std::string_view text);

/// "24.2" of "24.2.1" and so on: whether `version` begins with `prefix`, as "==24.2.*" asks.
bool has_prefix(const Version& version, const std::vector<int>& prefix);

/// A comma-separated list such as ">=3.8, !=3.9.*". Every part must hold. Without "===".
class Specifiers {
 public:
  /// Nothing when it cannot be read. An empty list holds for every version.
  static std::optional<Specifiers> parse(std::string_view text);
  bool hold(const Version& version) const;
  bool empty() const { return parts_.empty(); }
  /// Whether one of them names a pre-release, and so asks for such versions.
  bool name_prerelease() const;

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
    std::vector<int> prefix;  ///< for the last two, with its zeros; `version` has no more than its epoch
  };
  std::vector<Part> parts_;
};

}  // namespace vrun::builder
