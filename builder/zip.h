/// Reading ZIP archives that leave nothing to interpretation.
///
/// Two programs can see different files in one archive: by its central directory or by its local headers, with data
/// before, between or after the entries, with two entries of one name, with comments that look like records. Everything
/// of that kind is refused; what is left reads the same to every program. (APPNOTE.TXT of PKWARE names the fields.)
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct libdeflate_decompressor;

namespace vrun::builder {

/// Bounds on what is accepted, in bytes.
struct ArchiveLimits {
  std::size_t archive;
  std::uint64_t member;   ///< decompressed
  std::uint64_t content;  ///< of all members, decompressed
  std::size_t members;
};
/// A wheel of pip or setuptools is a tenth of them.
inline constexpr ArchiveLimits kSeedLimits{24U << 20U, 24U << 20U, 128U << 20U, 20'000};
/// Archives and members are held in memory, so that this is also a bound on memory.
inline constexpr ArchiveLimits kGivenLimits{512U << 20U, 1024U << 20U, 4096ULL << 20U, 100'000};

struct Member {
  std::string name;  ///< relative, "/" between parts; a directory's has none at its end
  bool directory = false;
  bool executable = false;  ///< a regular file with any execute bit (made on Unix)
  bool deflated = false;
  std::uint32_t crc = 0;
  std::uint64_t compressed_size = 0;
  std::uint64_t size = 0;
  std::uint64_t data_offset = 0;
};

class Archive {
 public:
  /// Takes the whole file. It is read into memory once and not mapped, so that nobody can change it between the checks
  /// and its use. `path` is for messages. Throws Error with the name of the entry and the reason.
  Archive(std::string content, std::string_view path, const ArchiveLimits& limits = kSeedLimits);

  const std::vector<Member>& members() const { return members_; }
  const std::string& path() const { return path_; }
  /// Whether a file (not a directory) has this name; nullptr when none has.
  const Member* find(std::string_view name) const;
  std::string_view compressed(const Member& member) const;

 private:
  void read_members(std::string_view directory, std::uint64_t count, const ArchiveLimits& limits);
  void check_layout(std::vector<std::uint64_t> headers, std::uint64_t directory_offset);

  std::string content_;
  std::string path_;
  std::vector<Member> members_;
  std::vector<std::size_t> by_name_;  ///< indices into `members_`, sorted by name
};

/// The CRC-32 that archives have of their members.
std::uint32_t crc32(std::string_view bytes);

/// Decompresses members. One for each thread.
class Inflater {
 public:
  Inflater();
  /// The content of `member`, valid until the next call. Throws Error when it does not decompress to exactly the size
  /// and CRC that the archive states.
  std::string_view inflate(const Archive& archive, const Member& member);

 private:
  struct Free {
    void operator()(libdeflate_decompressor* decompressor) const;
  };
  std::unique_ptr<libdeflate_decompressor, Free> decompressor_;
  std::unique_ptr<char[]> buffer_;
  std::size_t capacity_ = 0;
};

}  // namespace vrun::builder
