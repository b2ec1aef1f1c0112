#include "builder/zip.h"

#include <libdeflate.h>
#include <sys/stat.h>

#include <algorithm>
#include <numeric>
#include <optional>

#include "builder/text.h"
#include "policy/error.h"

namespace vrun::builder {
namespace {

constexpr std::uint32_t kLocalHeader = 0x04034b50;
constexpr std::uint32_t kCentralHeader = 0x02014b50;
constexpr std::uint32_t kEnd = 0x06054b50;
constexpr std::uint32_t kEnd64 = 0x06064b50;
constexpr std::uint32_t kEnd64Locator = 0x07064b50;
constexpr std::uint32_t kDataDescriptor = 0x08074b50;
constexpr std::size_t kLocalSize = 30;
constexpr std::size_t kCentralSize = 46;
constexpr std::size_t kEndSize = 22;
constexpr std::size_t kEnd64Size = 56;
constexpr std::size_t kLocatorSize = 20;
constexpr std::uint16_t kZip64Field = 0x0001;
constexpr std::uint16_t kUnicodePathField = 0x7075;
// General purpose bits: 1 and 2 tell how hard the writer tried, 3 that a data descriptor follows, 11 that names are
// UTF-8.
constexpr std::uint16_t kDescriptorFollows = 1U << 3U;
constexpr std::uint16_t kUtf8Names = 1U << 11U;
constexpr std::uint16_t kKnownFlags = 1U << 1U | 1U << 2U | kDescriptorFollows | kUtf8Names;

/// Little-endian numbers from a place that is known to have them.
std::uint64_t number(std::string_view bytes, std::size_t at, std::size_t size) {
  std::uint64_t value = 0;
  for (std::size_t i = size; i-- > 0;) value = value << 8U | static_cast<unsigned char>(bytes[at + i]);
  return value;
}
std::uint16_t number16(std::string_view bytes, std::size_t at) {
  return static_cast<std::uint16_t>(number(bytes, at, 2));
}
std::uint32_t number32(std::string_view bytes, std::size_t at) {
  return static_cast<std::uint32_t>(number(bytes, at, 4));
}

[[noreturn]] void refuse(std::string_view path, std::string_view reason) {
  throw Error("cannot use the archive " + quote(path) + ": " + std::string(reason));
}

[[noreturn]] void refuse_member(std::string_view path, std::string_view name, std::string_view reason) {
  refuse(path, "its entry " + quote(name) + " " + std::string(reason));
}

/// Why a name must not become a path; nothing when it may.
std::optional<std::string_view> find_fault_of_name(std::string_view name) {
  if (name.size() > 1024) return "has a name of more than 1024 bytes";
  if (const auto unfit = find_unfit_for_line(name))
    return "has a name with control characters or bytes that are not UTF-8";
  if (name.find('\\') != std::string_view::npos) return "has a backslash in its name";
  if (name.size() > 1 && name[1] == ':' && is_letter(name[0])) return "has a drive letter in its name";
  std::size_t position = 0;
  for (;;) {
    const std::size_t end = std::min(name.find('/', position), name.size());
    const std::string_view part = name.substr(position, end - position);
    if (part.empty() || part == "." || part == "..") return "has a name that leads elsewhere";
    if (part.size() > 255) return "has a part of more than 255 bytes in its name";
    if (end == name.size()) return std::nullopt;
    position = end + 1;
  }
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

/// The ZIP64 values of a header, in the order in which the fixed fields are saturated. Other fields are skipped, but
/// for the one that gives a second name.
struct Extra {
  std::string_view zip64;
  bool has_zip64 = false;
};

Extra read_extra(std::string_view extra, std::string_view path, std::string_view name) {
  Extra result;
  while (!extra.empty()) {
    if (extra.size() < 4 || number16(extra, 2) > extra.size() - 4)
      refuse_member(path, name, "has a broken extra field");
    const std::uint16_t id = number16(extra, 0);
    const std::uint16_t size = number16(extra, 2);
    if (id == kUnicodePathField) refuse_member(path, name, "has a second name in an extra field");
    if (id == kZip64Field) {
      if (result.has_zip64) refuse_member(path, name, "has two ZIP64 fields");
      result.has_zip64 = true;
      result.zip64 = extra.substr(4, size);
    }
    extra.remove_prefix(4U + size);
  }
  return result;
}

}  // namespace

Archive::Archive(std::string content, std::string_view path, const ArchiveLimits& limits)
    : content_(std::move(content)), path_(path) {
  const std::string_view bytes = content_;
  if (bytes.size() > limits.archive) refuse(path_, "it is larger than any that is accepted");
  // The end record must be the last thing, without a comment: a comment can hold another end record.
  if (bytes.size() < kEndSize || number32(bytes, bytes.size() - kEndSize) != kEnd)
    refuse(path_, "it is not a ZIP archive, is cut short, or has data or a comment after its end");
  const std::size_t end = bytes.size() - kEndSize;
  const std::uint16_t disk = number16(bytes, end + 4);
  const std::uint16_t directory_disk = number16(bytes, end + 6);
  const std::uint16_t count_here = number16(bytes, end + 8);
  std::uint64_t count = number16(bytes, end + 10);
  std::uint64_t size = number32(bytes, end + 12);
  std::uint64_t offset = number32(bytes, end + 16);
  if (number16(bytes, end + 20) != 0) refuse(path_, "it has a comment");
  if (disk != 0 || directory_disk != 0 || count_here != count) refuse(path_, "it is a part of a divided archive");

  std::size_t directory_end = end;
  const bool saturated = count == 0xFFFF || size == 0xFFFFFFFF || offset == 0xFFFFFFFF;
  const bool has_locator = end >= kLocatorSize && number32(bytes, end - kLocatorSize) == kEnd64Locator;
  if (saturated != has_locator) refuse(path_, "its ZIP64 records and its end record disagree");
  if (has_locator) {
    const std::size_t locator = end - kLocatorSize;
    if (locator < kEnd64Size) refuse(path_, "its ZIP64 end record is missing");
    const std::size_t record = locator - kEnd64Size;
    if (number32(bytes, record) != kEnd64 || number(bytes, record + 4, 8) != kEnd64Size - 12 ||
        number(bytes, locator + 8, 8) != record || number32(bytes, locator + 4) != 0 ||
        number32(bytes, locator + 16) > 1 || number32(bytes, record + 16) != 0 || number32(bytes, record + 20) != 0)
      refuse(path_, "its ZIP64 end record is not where or what it should be");
    const std::uint64_t count64 = number(bytes, record + 32, 8);
    const std::uint64_t size64 = number(bytes, record + 40, 8);
    const std::uint64_t offset64 = number(bytes, record + 48, 8);
    if (number(bytes, record + 24, 8) != count64 || (count != 0xFFFF && count != count64) ||
        (size != 0xFFFFFFFF && size != size64) || (offset != 0xFFFFFFFF && offset != offset64))
      refuse(path_, "its ZIP64 records and its end record disagree");
    count = count64, size = size64, offset = offset64;
    directory_end = record;
  }
  if (size > directory_end || offset != directory_end - size)
    refuse(path_, "its central directory is not just before its end");
  if (count > limits.members) refuse(path_, "it has more entries than any that is accepted");
  read_members(bytes.substr(offset, size), count, limits);
}

void Archive::read_members(std::string_view directory, std::uint64_t count, const ArchiveLimits& limits) {
  const std::string_view bytes = content_;
  const auto directory_offset = static_cast<std::uint64_t>(directory.data() - bytes.data());
  std::vector<std::uint64_t> headers;  // offsets of the local headers
  std::uint64_t content = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    if (directory.size() < kCentralSize || number32(directory, 0) != kCentralHeader)
      refuse(path_, "its central directory is broken");
    const std::uint16_t made_by = number16(directory, 4);
    const std::uint16_t flags = number16(directory, 8);
    const std::uint16_t method = number16(directory, 10);
    const std::size_t name_size = number16(directory, 28);
    const std::size_t extra_size = number16(directory, 30);
    const std::size_t comment_size = number16(directory, 32);
    const std::uint32_t attributes = number32(directory, 38);
    if (directory.size() - kCentralSize < name_size + extra_size + comment_size)
      refuse(path_, "its central directory is broken");
    const std::string_view name = directory.substr(kCentralSize, name_size);
    Member member;
    member.name = name;
    member.crc = number32(directory, 16);
    member.compressed_size = number32(directory, 20);
    member.size = number32(directory, 24);
    std::uint64_t header = number32(directory, 42);

    if (name.ends_with('/')) {
      member.directory = true;
      member.name.pop_back();
    }
    if (const auto fault = find_fault_of_name(member.name)) refuse_member(path_, name, *fault);
    if ((flags & ~kKnownFlags) != 0) refuse_member(path_, name, "is encrypted or uses an unknown feature");
    if ((flags & kUtf8Names) == 0 &&
        std::any_of(name.begin(), name.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; }))
      refuse_member(path_, name, "has a name in an unknown encoding");
    if (method != 0 && method != 8) refuse_member(path_, name, "is compressed with an unknown method");
    member.deflated = method == 8;
    if (comment_size != 0) refuse_member(path_, name, "has a comment");
    if (number16(directory, 34) != 0) refuse_member(path_, name, "is on another disk");

    // Whatever system wrote it, a file type in the upper half means that some program will make such a file.
    const mode_t mode = attributes >> 16U;
    const mode_t type = mode & S_IFMT;
    if (type != 0 && type != (member.directory ? S_IFDIR : S_IFREG))
      refuse_member(path_, name, "is a link or a special file");
    if ((mode & (S_ISUID | S_ISGID)) != 0) refuse_member(path_, name, "is to be set-user-id or set-group-id");
    member.executable = made_by >> 8U == 3 && type == S_IFREG && (mode & 0111) != 0;

    const Extra extra = read_extra(directory.substr(kCentralSize + name_size, extra_size), path_, name);
    std::string_view zip64 = extra.zip64;
    for (std::uint64_t* const value : {&member.size, &member.compressed_size, &header}) {
      if (*value != 0xFFFFFFFF) continue;
      if (zip64.size() < 8) refuse_member(path_, name, "lacks a ZIP64 size");
      *value = number(zip64, 0, 8);
      zip64.remove_prefix(8);
    }
    if (!zip64.empty()) refuse_member(path_, name, "has ZIP64 sizes beside plain ones");

    content += member.size;
    if (member.size > limits.member || content > limits.content)
      refuse_member(path_, name, "is larger than any that is accepted");
    if (!member.deflated && member.size != member.compressed_size) refuse_member(path_, name, "has two sizes");
    if (member.directory && member.size != 0) refuse_member(path_, name, "is a directory with content");

    // The local header says the same, byte for byte.
    if (header > directory_offset || directory_offset - header < kLocalSize + name_size ||
        number32(bytes, header) != kLocalHeader)
      refuse_member(path_, name, "has no local header");
    const std::string_view local = bytes.substr(header, directory_offset - header);
    const std::size_t local_extra_size = number16(local, 28);
    const bool described = (flags & kDescriptorFollows) != 0;
    if (number16(local, 26) != name_size || local.substr(kLocalSize, name_size) != name)
      refuse_member(path_, name, "has another name in its local header");
    if (local.size() - kLocalSize - name_size < local_extra_size)
      refuse_member(path_, name, "has a broken local header");
    const Extra local_extra = read_extra(local.substr(kLocalSize + name_size, local_extra_size), path_, name);
    std::uint64_t local_compressed = number32(local, 18);
    std::uint64_t local_size = number32(local, 22);
    if (local_extra.has_zip64) {
      // APPNOTE 4.5.3: in a local header both sizes are there. Beside plain sizes (CPython before gh-103861 writes
      // both) they must say the same.
      const auto widen = [&](std::uint64_t& plain, std::size_t at) {
        const std::uint64_t wide = number(local_extra.zip64, at, 8);
        if (plain != 0xFFFFFFFF && plain != wide) refuse_member(path_, name, "has two sizes");
        plain = wide;
      };
      if (local_extra.zip64.size() != 16) refuse_member(path_, name, "has a broken extra field");
      widen(local_size, 0);
      widen(local_compressed, 8);
    }
    const bool unstated = described && number32(local, 14) == 0 && local_compressed == 0 && local_size == 0;
    if (number16(local, 6) != flags || number16(local, 8) != method ||
        (!unstated && (number32(local, 14) != member.crc || local_compressed != member.compressed_size ||
                       local_size != member.size)))
      refuse_member(path_, name, "is described differently in its local header");
    member.data_offset = header + kLocalSize + name_size + local_extra_size;
    if (member.compressed_size > directory_offset - member.data_offset)
      refuse_member(path_, name, "reaches into the central directory");
    headers.push_back(header);
    members_.push_back(std::move(member));
    directory.remove_prefix(kCentralSize + name_size + extra_size);
  }
  if (!directory.empty()) refuse(path_, "its central directory has more in it than its entries");
  check_layout(std::move(headers), directory_offset);
}

/// Entries fill the archive from its first byte to the central directory, without gap or overlap, and no two have names
/// that some file system takes for one.
void Archive::check_layout(std::vector<std::uint64_t> headers, std::uint64_t directory_offset) {
  const std::string_view bytes = content_;
  std::vector<std::size_t> order(members_.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return headers[a] < headers[b]; });
  std::uint64_t expected = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const Member& member = members_[order[i]];
    if (headers[order[i]] != expected) refuse_member(path_, member.name, "overlaps another or has data before it");
    const std::uint64_t data_end = member.data_offset + member.compressed_size;
    const std::uint64_t next = i + 1 < order.size() ? headers[order[i + 1]] : directory_offset;
    if (next < data_end) refuse_member(path_, member.name, "overlaps another");
    std::string_view gap = bytes.substr(data_end, next - data_end);
    if ((number16(bytes, headers[order[i]] + 6) & kDescriptorFollows) != 0) {
      // APPNOTE 4.3.9: with or without a signature, sizes of four or eight bytes.
      std::string_view descriptor = gap;
      if (descriptor.size() == 16 || descriptor.size() == 24) {
        if (number32(descriptor, 0) != kDataDescriptor)
          refuse_member(path_, member.name, "has a broken data descriptor");
        descriptor.remove_prefix(4);
      }
      const std::size_t width = descriptor.size() == 12 ? 4 : 8;
      if ((descriptor.size() != 12 && descriptor.size() != 20) || number32(descriptor, 0) != member.crc ||
          number(descriptor, 4, width) != member.compressed_size || number(descriptor, 4 + width, width) != member.size)
        refuse_member(path_, member.name, "has a broken data descriptor");
      gap = {};
    }
    if (!gap.empty()) refuse_member(path_, member.name, "has data after it");
    expected = next;
  }
  if (expected != directory_offset) refuse(path_, "it has data before its central directory");

  std::vector<std::pair<std::string, std::size_t>> folded;
  folded.reserve(members_.size());
  for (std::size_t i = 0; i < members_.size(); ++i) folded.emplace_back(lower(members_[i].name), i);
  std::sort(folded.begin(), folded.end());
  for (std::size_t i = 1; i < folded.size(); ++i)
    if (folded[i - 1].first == folded[i].first) refuse_member(path_, members_[folded[i].second].name, "is there twice");
  const auto find_folded = [&](const std::string& name) -> const Member* {
    const auto at = std::lower_bound(folded.begin(), folded.end(), std::pair{name, std::size_t{0}});
    return at != folded.end() && at->first == name ? &members_[at->second] : nullptr;
  };
  for (const auto& [name, index] : folded) {
    // Of neighbours in one directory only the first needs the look.
    for (std::size_t slash = name.rfind('/'); slash != std::string::npos && slash > 0;
         slash = name.rfind('/', slash - 1)) {
      const Member* const parent = find_folded(name.substr(0, slash));
      if (parent != nullptr && !parent->directory)
        refuse_member(path_, members_[index].name, "is to be in a directory that is a file");
    }
  }
  by_name_.resize(members_.size());
  std::iota(by_name_.begin(), by_name_.end(), std::size_t{0});
  std::sort(by_name_.begin(), by_name_.end(),
            [&](std::size_t a, std::size_t b) { return members_[a].name < members_[b].name; });
}

const Member* Archive::find(std::string_view name) const {
  const auto at =
      std::lower_bound(by_name_.begin(), by_name_.end(), name,
                       [&](std::size_t index, std::string_view value) { return members_[index].name < value; });
  if (at == by_name_.end() || members_[*at].name != name || members_[*at].directory) return nullptr;
  return &members_[*at];
}

std::string_view Archive::compressed(const Member& member) const {
  return std::string_view(content_).substr(member.data_offset, member.compressed_size);
}

std::uint32_t crc32(std::string_view bytes) { return libdeflate_crc32(0, bytes.data(), bytes.size()); }

void Inflater::Free::operator()(libdeflate_decompressor* decompressor) const {
  libdeflate_free_decompressor(decompressor);
}

Inflater::Inflater() : decompressor_(libdeflate_alloc_decompressor()) {
  if (!decompressor_) throw Error("out of memory");
}

std::string_view Inflater::inflate(const Archive& archive, const Member& member) {
  const std::string_view input = archive.compressed(member);
  std::string_view content = input;
  if (member.deflated) {
    if (capacity_ < member.size || !buffer_) {
      capacity_ = std::max<std::size_t>(member.size, 1U << 18U);
      buffer_.reset(new char[capacity_]);  // not make_unique, which would zero what is overwritten at once
    }
    std::size_t used = 0;
    // Without a place for the actual size, anything but exactly `member.size` bytes is an error.
    const auto result = libdeflate_deflate_decompress_ex(decompressor_.get(), input.data(), input.size(), buffer_.get(),
                                                         member.size, &used, nullptr);
    if (result != LIBDEFLATE_SUCCESS || used != input.size())
      refuse_member(archive.path(), member.name, "does not decompress to the size that is stated");
    content = std::string_view(buffer_.get(), member.size);
  }
  if (crc32(content) != member.crc) refuse_member(archive.path(), member.name, "has a wrong CRC");
  return content;
}

}  // namespace vrun::builder
