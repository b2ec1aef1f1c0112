/// A wheel that has been looked at from the outside (Binary distribution format, PyPA specifications): its names agree,
/// and every file in it has a place and a hash.
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
  std::string project;       ///< normalised: lower case, "-" for every run of "-", "_" and "."
  std::string project_text;  ///< as written
  std::string version_text;
  Version version;
  bool pure = false;  ///< for every Python 3 on every machine
  // What it is for: every combination of these tags (PEP 425), in lower case.
  std::vector<std::string> pythons;
  std::vector<std::string> abis;
  std::vector<std::string> platforms;
};

/// Nothing when it is not the name of a wheel.
std::optional<WheelName> parse_wheel_name(std::string_view file_name);

/// The name of a project in normal form (PEP 503).
std::string normalize_project(std::string_view name);

/// Where the user said that a wheel is: what direct_url.json tells (PEP 610).
struct GivenFile {
  std::string path;    ///< absolute
  std::string sha256;  ///< of the whole file, hexadecimal
};

struct Wheel {
  Archive archive;
  WheelName name;
  std::string dist_info = {};             ///< "pip-24.2.dist-info"
  std::string data = {};                  ///< "pip-24.2.data", as written; empty without such a directory
  bool purelib = true;                    ///< Root-Is-Purelib
  std::optional<GivenFile> given = {};    ///< nothing: a seed
  std::vector<std::string> requirements;  ///< Requires-Dist, as written
  std::optional<Specifiers> requires_python = {};
  std::string requires_python_text = {};  ///< as written
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
/// Of seeds only pure wheels without a .data directory are taken: that is what the wheels of pip and setuptools are.
enum class WheelUse { seed, given };
Wheel read_wheel(std::string content, std::string_view path, WheelUse use = WheelUse::seed);

/// The directories that files of a wheel go to (sysconfig's schemes, and `headers` of distutils).
enum class Scheme { packages, purelib, platlib, headers, scripts, data };
struct MemberPlace {
  Scheme scheme = Scheme::packages;  ///< packages: purelib or platlib, by Root-Is-Purelib
  std::string_view path;             ///< relative to its directory
};

/// Where a member (no directory) of `wheel` is to be.
MemberPlace place_of(const Wheel& wheel, const Member& member);

/// Compares the content of a member with its row in RECORD. Throws Error when hash or size differ.
void check(const Wheel& wheel, std::size_t member, std::string_view content);

}  // namespace vrun::builder
