/// A wheel that has been looked at from the outside (Binary distribution format, PyPA specifications): its names agree,
/// it installs nothing outside its package directory, and every file in it has a hash.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "builder/record.h"
#include "builder/scripts.h"
#include "builder/version.h"
#include "builder/zip.h"

namespace vrun::builder {

class BytecodeEntry;

/// "pip-24.2-py3-none-any.whl" taken apart.
struct WheelName {
  std::string project;  ///< normalised: lower case, "-" for every run of "-", "_" and "."
  std::string version_text;
  Version version;
  bool pure = false;  ///< for every Python 3 on every machine
};

/// Nothing when it is not the name of a wheel.
std::optional<WheelName> parse_wheel_name(std::string_view file_name);

/// The name of a project in normal form (PEP 503).
std::string normalize_project(std::string_view name);

struct Wheel {
  Archive archive;
  WheelName name;
  std::string dist_info = {};  ///< "pip-24.2.dist-info"
  std::optional<Specifiers> requires_python = {};
  std::vector<RecordRow> record = {};
  /// Which row of `record` each member of `archive` has; nothing for directories and RECORD itself.
  std::vector<std::optional<std::size_t>> rows = {};
  std::vector<EntryPoint> entry_points = {};
  /// Its modules compiled, from the cache; null without.
  std::shared_ptr<const BytecodeEntry> bytecode = {};
};

/// Reads and checks a wheel; `content` is the whole file and `path` its path. The hashes are not compared yet: `check`
/// does it for each member when it is decompressed. Throws Error naming the file, the entry and the reason.
///
/// Only pure wheels without a .data directory are taken: that is what the wheels of pip and setuptools are, and the
/// rest of a wheel's ways to write outside its package directory then need no rules.
Wheel read_wheel(std::string content, std::string_view path);

/// Compares the content of a member with its row in RECORD. Throws Error when hash or size differ.
void check(const Wheel& wheel, std::size_t member, std::string_view content);

}  // namespace vrun::builder
