/// Distributions that are installed in an environment: what is to go when another version takes their place, and
/// whether what a wheel needs is there.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "builder/tree.h"
#include "builder/version.h"
#include "policy/interpreter.h"

namespace vrun::builder {

/// A distribution that is to be replaced. Every path is relative to the environment and has no link in it.
struct ReplacedDistribution {
  std::string project;                   ///< normalised
  std::string dist_info;                 ///< "lib/python3.11/site-packages/pip-24.2.dist-info"
  std::vector<std::string> files;        ///< that its RECORD lists and that exist, and their compiled forms; sorted
  std::vector<std::string> directories;  ///< of `files`, the deepest first
};

/// The distributions of `project` (normalised) in `packages`, the package directories of `environment`. Throws Error
/// when one of them cannot be replaced: it has no RECORD, or one that leads through a link.
std::vector<ReplacedDistribution> find_replaced(const Tree& environment, const std::vector<std::string>& packages,
                                                std::string_view project);

/// A distribution that is, or will be, in the environment.
struct AvailableDistribution {
  std::string project;  ///< normalised
  std::optional<Version> version;
};

/// Those of `requirements` (Requires-Dist of METADATA) that none of `available` meets, each in a short form such as
/// "requests>=2". Requirements with a marker ("; python_version < '3.8'") are not looked at, for it may not hold; nor
/// are URLs.
std::vector<std::string> find_missing(const std::vector<std::string>& requirements,
                                      const std::vector<AvailableDistribution>& available);

}  // namespace vrun::builder
