/// Reading facts from an ELF file (elf(5)) without running or mapping it.
///
/// The file is read piece by piece with pread(2), every offset checked. It is not mapped: the owner of a mapped file
/// can truncate it at any moment, and the reader then dies of SIGBUS.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/host/fd.h"
#include "policy/host/root.h"

namespace vrun {

/// e_machine of the programs that this program can start, and the Debian name of its GNU system, which is also the last
/// part of the names of extension modules ("multiarch tuple"). 0 and empty where vrun was never built before.
#if defined(__x86_64__)
inline constexpr std::uint16_t kNativeMachine = 62;
inline constexpr const char* kNativeMultiarch = "x86_64-linux-gnu";
#elif defined(__aarch64__)
inline constexpr std::uint16_t kNativeMachine = 183;
inline constexpr const char* kNativeMultiarch = "aarch64-linux-gnu";
#elif defined(__i386__)
inline constexpr std::uint16_t kNativeMachine = 3;
inline constexpr const char* kNativeMultiarch = "i386-linux-gnu";
#elif defined(__arm__)
inline constexpr std::uint16_t kNativeMachine = 40;
inline constexpr const char* kNativeMultiarch = "arm-linux-gnueabihf";
#elif defined(__riscv) && __riscv_xlen == 64
inline constexpr std::uint16_t kNativeMachine = 243;
inline constexpr const char* kNativeMultiarch = "riscv64-linux-gnu";
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
inline constexpr std::uint16_t kNativeMachine = 21;
inline constexpr const char* kNativeMultiarch = "powerpc64le-linux-gnu";
#elif defined(__loongarch64)
inline constexpr std::uint16_t kNativeMachine = 258;
inline constexpr const char* kNativeMultiarch = "loongarch64-linux-gnu";
#else
#error "add this machine to the table (elf(5), e_machine); ELF files are read as little-endian"
#endif

/// "x86-64" for 62; "machine 4242" for a number without a name here.
std::string machine_name(std::uint16_t machine);

/// An ELF file, open for questions.
class Elf {
 public:
  /// Opens and reads the headers of a little-endian program or shared library. `path` is absolute; every link is
  /// followed. Throws Error when it cannot be opened, is not a regular file, is empty, a script, no ELF file,
  /// truncated, big-endian, or neither a program nor a library.
  static Elf open(const Root& root, std::string_view path);

  bool is_64bit() const { return is_64bit_; }
  std::uint16_t machine() const { return machine_; }
  std::uint16_t type() const { return type_; }  ///< ET_EXEC or ET_DYN
  mode_t mode() const { return mode_; }         ///< st_mode of the file
  FileIdentity identity() const { return identity_; }

  /// PT_INTERP: the dynamic loader; empty for a static program.
  const std::string& interpreter() const { return interpreter_; }
  const std::vector<std::string>& needed() const { return needed_; }
  /// DT_RUNPATH, else DT_RPATH, as written: directories separated by ":" that may contain $ORIGIN.
  const std::string& runpath() const { return runpath_; }

  /// The first `size` (at most 8) bytes of a data symbol in .dynsym, as a little-endian number; nothing when there is
  /// no such symbol or its bytes are not in the file.
  std::optional<std::uint64_t> symbol_value(std::string_view name, std::size_t size) const;

  /// What is called for an occurrence of a text: with the string from there to the next NUL (without it; cut off after
  /// 128 bytes) and the character before it ('\0' at the very start). Returns true when it has seen enough.
  using Visit = std::function<bool(char before, std::string_view string)>;
  /// Looks for `text` in a section such as ".rodata"; where sections have no names, in everything that is loaded.
  void find_text(std::string_view section, std::string_view text, const Visit& visit) const;

 private:
  struct Segment {
    std::uint32_t type = 0;
    std::uint64_t offset = 0;
    std::uint64_t address = 0;
    std::uint64_t size = 0;  ///< bytes in the file
  };
  struct Section {
    std::uint32_t name = 0;
    std::uint32_t type = 0;
    std::uint32_t link = 0;
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
  };

  Elf() = default;
  /// Bytes of the file; nothing when they do not all exist or are more than `limit`.
  std::optional<std::string> bytes(std::uint64_t offset, std::uint64_t size, std::uint64_t limit) const;
  std::optional<std::uint64_t> offset_of(std::uint64_t address) const;
  template <typename Format>
  void read_headers();
  template <typename Format>
  void read_dynamic(const Segment& segment);
  template <typename Format>
  std::optional<std::uint64_t> symbol_address(std::string_view name, std::size_t size) const;
  bool find_text_in(std::uint64_t offset, std::uint64_t size, std::string_view text, const Visit& visit) const;

  Fd fd_;
  std::string path_;
  std::uint64_t size_ = 0;
  mode_t mode_ = 0;
  FileIdentity identity_;
  bool is_64bit_ = true;
  std::uint16_t machine_ = 0;
  std::uint16_t type_ = 0;
  std::string interpreter_;
  std::vector<std::string> needed_;
  std::string runpath_;
  std::vector<Segment> segments_;
  std::vector<Section> sections_;
  std::size_t name_section_ = 0;  ///< index of the section that holds the names of the sections
};

}  // namespace vrun
