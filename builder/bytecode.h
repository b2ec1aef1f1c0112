/// The cache of compiled modules: what an interpreter made of the modules of a wheel, to be written beside them again.
///
/// An entry is one file for each wheel and kind of bytecode. It is code that later runs, so that nobody but its owner
/// may be able to change it; every piece of it has a CRC-32, against accidents. A source's time of change in a piece is
/// set when it is written, to that of the source written with it (PEP 552, the form with timestamps).
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "builder/tree.h"
#include "builder/wheel.h"
#include "policy/error.h"
#include "policy/host/fd.h"
#include "policy/interpreter.h"

namespace vrun::builder {

/// What bytecode an interpreter reads.
struct BytecodeKind {
  std::string tag;              ///< sys.implementation.cache_tag, "cpython-311"
  std::array<char, 4> magic{};  ///< importlib.util.MAGIC_NUMBER
};

/// From a compiled module of the standard library, else by version. Nothing when neither is known.
std::optional<BytecodeKind> read_bytecode_kind(const Root& root, const Interpreter& python);

/// "pip/__pycache__/__init__.cpython-311.pyc" for "pip/__init__.py".
std::string bytecode_path(std::string_view source, std::string_view tag);

/// An entry of the cache is not what was put into it.
class BytecodeDamaged : public Error {
 public:
  using Error::Error;
};

class BytecodeEntry {
 public:
  /// Reads the index at the start of `file`, which keeps being used; `path` is for messages. Throws BytecodeDamaged
  /// when it is not an entry for `wheel` and `kind`, and Error when it cannot be read.
  BytecodeEntry(Fd file, std::string path, const Wheel& wheel, const BytecodeKind& kind);

  bool has(std::string_view source) const { return pieces_.find(source) != pieces_.end(); }
  const std::string& tag() const { return tag_; }
  /// The compiled form of the module `source`, a member of the wheel, for a source changed at `time`; checked. Throws
  /// BytecodeDamaged.
  std::string read(std::string_view source, std::uint32_t time) const;

 private:
  struct Piece {
    std::uint64_t offset = 0;
    std::uint32_t size = 0;
    std::uint32_t crc = 0;
  };
  std::string read_bytes(std::uint64_t offset, std::size_t size) const;
  [[noreturn]] void refuse(std::string_view reason) const;

  Fd file_;
  std::string path_;
  std::string tag_;
  std::map<std::string, Piece, std::less<>> pieces_;
};

/// A module of a wheel where it was unpacked and compiled.
struct UnpackedModule {
  std::string member;  ///< its name in the wheel
  std::string path;    ///< relative to the environment
};

class BytecodeCache {
 public:
  /// `directory` is $XDG_CACHE_HOME/vbuild/bytecode, absolute. Throws Error when it is not there, belongs to somebody
  /// else than the caller, or can be changed by others.
  explicit BytecodeCache(std::string directory);
  /// Makes the directory where it is missing. Throws Error.
  static void make(const std::string& directory);

  const Fd& fd() const { return fd_; }
  const std::string& path() const { return path_; }

  /// The entry for a wheel. Throws Error, with the reason, when there is none that can be used.
  std::shared_ptr<const BytecodeEntry> find(const Wheel& wheel, const BytecodeKind& kind) const;
  /// Adds what was compiled of `wheel`, whose `modules` lie in `environment`, and removes what was not used for long.
  /// Throws Error.
  void store(const Wheel& wheel, const BytecodeKind& kind, const Tree& environment,
             const std::vector<UnpackedModule>& modules) const;

 private:
  void prune() const;

  std::string path_;
  Fd fd_;
};

}  // namespace vrun::builder
