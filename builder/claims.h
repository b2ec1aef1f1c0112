/// Which wheel has which path of the environment, so that no file is written twice.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "builder/wheel.h"

namespace vrun::builder {

/// Whether it makes a directory an environment, whoever else wants it: pyvenv.cfg, bin/python, bin/activate. `path` is
/// relative to the environment.
bool is_of_environment(const std::string& path);

class Claims {
 public:
  /// `wheels` are kept by reference; `packages` are the package directories. All paths are relative to the environment.
  Claims(const std::vector<Wheel>& wheels, std::vector<std::string> packages)
      : wheels_(wheels), packages_(std::move(packages)) {}

  /// The file at `path` is of the wheel `wheel`. Throws Error when it belongs to the environment, to another
  /// distribution or to another file.
  void add(const std::string& path, std::size_t wheel);
  /// Throws Error for a file that stands where another one needs a directory.
  void check_directories() const;

  bool has(const std::string& path) const { return owners_.contains(path); }
  /// Whether a file is to be at `path` or in place of a directory above it.
  bool has_at_or_above(const std::string& path) const;
  bool has_below(const std::string& path) const;

 private:
  const std::vector<Wheel>& wheels_;
  std::vector<std::string> packages_;
  std::map<std::string, std::size_t, std::less<>> owners_;
};

}  // namespace vrun::builder
