#include "builder/bytecode.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <vector>

#include "builder/disk.h"
#include "builder/sha256.h"
#include "builder/zip.h"

namespace vrun::builder {
namespace {

// An entry: kFormat, the SHA-256 of the index, the size of the index (4 bytes), the index, the pieces. The index: the
// SHA-256 of the wheel's RECORD, the magic number, and for each piece the size of its name (2 bytes), the name, its
// offset in the file (8), its size (4) and its CRC-32 (4). Numbers are little-endian.
constexpr std::string_view kFormat = "vbuild bytecode2";
constexpr std::size_t kDigest = std::tuple_size_v<Sha256>;
constexpr std::size_t kIndexStart = kFormat.size() + kDigest + 4;
constexpr std::size_t kMaximumIndex = 4U << 20U;
constexpr std::size_t kMaximumPiece = 32U << 20U;
/// Magic, flags, time and size of the source (PEP 552).
constexpr std::size_t kHeader = 16;
/// Entries that nobody used for so long go, and the oldest beyond so many.
constexpr std::time_t kUnused = std::time_t{90} * 24 * 3600;
constexpr std::time_t kDay = std::time_t{24} * 3600;
constexpr std::size_t kMaximumEntries = 64;
constexpr std::string_view kSuffix = ".pycs";
constexpr std::string_view kTemporary = ".new-";

std::string number(std::uint64_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8U * static_cast<unsigned>(i)) & 0xffU);
  return out;
}

std::uint64_t parse_number(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) value = value << 8U | static_cast<unsigned char>(bytes[i]);
  return value;
}

std::string_view bytes_of(const Sha256& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};  // NOLINT: bytes are bytes
}

/// RECORD has the SHA-256 of every file of the wheel, which are compared when the files are written; so its own stands
/// for the wheel.
Sha256 wheel_digest(const Wheel& wheel) {
  std::string text;
  for (const RecordRow& row : wheel.record) text.append(row.path).append(",").append(row.hash).append("\n");
  return sha256(text);
}

std::string entry_name(const Wheel& wheel, const BytecodeKind& kind) {
  std::string name = wheel.dist_info.substr(0, wheel.dist_info.rfind('.'));
  return name + "-" + kind.tag + "-" + std::to_string(parse_number({kind.magic.data(), 2})) + "-" +
         base64_url(wheel_digest(wheel)) + std::string(kSuffix);
}

bool is_module(const Member& member) { return !member.directory && std::string_view(member.name).ends_with(".py"); }

/// Whether nobody but the caller can have changed what has this status.
void check_private(const struct stat& status, const std::string& path) {
  if (status.st_uid != ::geteuid()) throw Error("cannot use " + quote(path) + ": it belongs to somebody else");
  if ((status.st_mode & 022U) != 0) throw Error("cannot use " + quote(path) + ": others can change it");
}

/// What the first bytes of a compiled module have to be, but for the time.
bool has_header(std::string_view content, const std::array<char, 4>& magic, std::uint64_t source_size) {
  return content.size() > kHeader && content.substr(0, 4) == std::string_view(magic.data(), 4) &&
         parse_number(content.substr(4, 4)) == 0 && parse_number(content.substr(12, 4)) == (source_size & 0xffffffffU);
}

}  // namespace

std::optional<BytecodeKind> read_bytecode_kind(const Root& root, const Interpreter& python) {
  BytecodeKind kind{.tag = python.cache_tag(), .magic = {}};
  const std::string directory = join(python.stdlib, "__pycache__");
  for (const char* const module : {"os", "io", "abc", "codecs", "site", "stat"}) {
    try {
      const Fd file = root.open(join(directory, module) + "." + kind.tag + ".pyc", O_RDONLY | O_NONBLOCK | O_NOCTTY);
      if (file.valid() && ::read(file.get(), kind.magic.data(), 4) == 4 && kind.magic[2] == '\r' &&
          kind.magic[3] == '\n')
        return kind;
    } catch (const Error&) {
      continue;  // another one may be readable
    }
  }
  if (python.implementation != Implementation::cpython || python.free_threaded) return std::nullopt;
  // Of the last release of each (CPython's Include/internal/pycore_magic_number.h).
  constexpr std::array<unsigned, 7> numbers{3413, 3425, 3439, 3495, 3531, 3571, 3627};
  constexpr int first = 8;
  const int index = python.version.minor - first;
  if (index < 0 || index >= static_cast<int>(numbers.size())) return std::nullopt;
  const unsigned value = numbers.at(static_cast<std::size_t>(index));
  kind.magic = {static_cast<char>(value & 0xffU), static_cast<char>(value >> 8U), '\r', '\n'};
  return kind;
}

std::string bytecode_path(std::string_view source, std::string_view tag) {
  const std::size_t slash = source.rfind('/');
  const std::string_view directory = slash == std::string_view::npos ? "" : source.substr(0, slash + 1);
  std::string_view stem = source.substr(directory.size());
  stem.remove_suffix(std::string_view(".py").size());
  return std::string(directory) + "__pycache__/" + std::string(stem) + "." + std::string(tag) + ".pyc";
}

BytecodeEntry::BytecodeEntry(Fd file, std::string path, const Wheel& wheel, const BytecodeKind& kind)
    : file_(std::move(file)), path_(std::move(path)), tag_(kind.tag) {
  const std::string start = read_bytes(0, kIndexStart);
  if (!start.starts_with(kFormat)) refuse("it is of another format");
  const std::uint64_t size = parse_number(std::string_view(start).substr(kFormat.size() + kDigest));
  if (size > kMaximumIndex) refuse("its index is too large");
  const std::string index = read_bytes(kIndexStart, size);
  if (bytes_of(sha256(index)) != std::string_view(start).substr(kFormat.size(), kDigest))
    refuse("its index is damaged");

  std::string_view rest = index;
  const auto take = [&](std::size_t count) {
    if (rest.size() < count) refuse("its index ends too early");
    const std::string_view taken = rest.substr(0, count);
    rest.remove_prefix(count);
    return taken;
  };
  if (take(kDigest) != bytes_of(wheel_digest(wheel))) refuse("it is of another wheel");
  if (take(4) != std::string_view(kind.magic.data(), 4)) refuse("it is for another interpreter");
  while (!rest.empty()) {
    const std::string_view name = take(parse_number(take(2)));
    Piece piece;
    piece.offset = parse_number(take(8));
    piece.size = static_cast<std::uint32_t>(parse_number(take(4)));
    piece.crc = static_cast<std::uint32_t>(parse_number(take(4)));
    const Member* const member = wheel.archive.find(name);
    if (member == nullptr || !is_module(*member)) refuse("it has a module that the wheel has not");
    if (piece.size > kMaximumPiece) refuse("a piece is too large");
    if (!pieces_.emplace(name, piece).second) refuse("it has a module twice");
  }
}

std::string BytecodeEntry::read(std::string_view source, std::uint32_t time) const {
  const Piece& piece = pieces_.find(source)->second;
  std::string content = read_bytes(piece.offset, piece.size);
  if (content.size() <= kHeader || crc32(content) != piece.crc) refuse("a piece is damaged");
  content.replace(8, 4, number(time, 4));
  return content;
}

std::string BytecodeEntry::read_bytes(std::uint64_t offset, std::size_t size) const {
  std::string content(size, '\0');
  for (std::size_t have = 0; have < size;) {
    const ssize_t count = ::pread(file_.get(), content.data() + have, size - have, static_cast<off_t>(offset + have));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw BytecodeDamaged("cannot read", path_, errno);
    if (count == 0) refuse("it ends too early");
    have += static_cast<std::size_t>(count);
  }
  return content;
}

void BytecodeEntry::refuse(std::string_view reason) const {
  throw BytecodeDamaged("cannot use " + quote(path_) + ": " + std::string(reason));
}

BytecodeCache::BytecodeCache(std::string directory) : path_(std::move(directory)) {
  fd_ = Fd(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat status {};
  if (!fd_.valid() || ::fstat(fd_.get(), &status) != 0) throw Error("cannot use", path_, errno);
  check_private(status, path_);
}

void BytecodeCache::make(const std::string& directory) {
  const std::string above = parent_path(directory);
  for (const std::string& path : {parent_path(above), above, directory})
    if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) throw Error("cannot make the directory", path, errno);
}

std::shared_ptr<const BytecodeEntry> BytecodeCache::find(const Wheel& wheel, const BytecodeKind& kind) const {
  const std::string name = entry_name(wheel, kind);
  Fd file = open_beneath(fd_.get(), name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
  struct stat status {};
  if (!file.valid() || ::fstat(file.get(), &status) != 0) throw Error("cannot use", join(path_, name), errno);
  if (!S_ISREG(status.st_mode)) throw Error("cannot use " + quote(join(path_, name)) + ": it is no regular file");
  check_private(status, join(path_, name));
  // Its time of change says when it was used. Where it cannot be set, nothing is pruned either.
  if (::time(nullptr) - status.st_mtime > kDay) ::futimens(file.get(), nullptr);
  return std::make_shared<const BytecodeEntry>(std::move(file), join(path_, name), wheel, kind);
}

void BytecodeCache::store(const Wheel& wheel, const BytecodeKind& kind, const Tree& environment,
                          const std::vector<UnpackedModule>& modules) const {
  std::vector<std::pair<std::string, std::string>> pieces;
  for (const UnpackedModule& module : modules) {
    const std::string compiled = bytecode_path(module.path, kind.tag);
    auto content = environment.read(compiled, kMaximumPiece);
    if (!content) continue;  // some modules are for another version of Python and do not compile
    const Member* const member = wheel.archive.find(module.member);
    if (member == nullptr || !has_header(*content, kind.magic, member->size))
      throw Error("cannot use " + quote(environment.at(compiled)) + ": it is not compiled from its source");
    pieces.emplace_back(module.member, std::move(*content));
  }
  std::size_t index_size = kDigest + 4;
  for (const auto& [name, content] : pieces) index_size += 2 + name.size() + 8 + 4 + 4;
  std::string index;
  index.append(bytes_of(wheel_digest(wheel))).append(kind.magic.data(), 4);
  std::uint64_t offset = kIndexStart + index_size;
  for (const auto& [name, content] : pieces) {
    index.append(number(name.size(), 2)).append(name).append(number(offset, 8)).append(number(content.size(), 4));
    index.append(number(crc32(content), 4));
    offset += content.size();
  }
  std::string text(kFormat);
  text.append(bytes_of(sha256(index))).append(number(index.size(), 4)).append(index);
  for (const auto& [name, content] : pieces) text.append(content);

  const std::string name = entry_name(wheel, kind);
  const std::string temporary = random_name(std::string(kTemporary));
  const Fd file = open_beneath(fd_.get(), temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
  if (!file.valid()) throw Error("cannot write", join(path_, temporary), errno);
  try {
    write_all(file, text, join(path_, temporary));
    if (::renameat(fd_.get(), temporary.c_str(), fd_.get(), name.c_str()) != 0)
      throw Error("cannot write", join(path_, name), errno);
  } catch (const Error&) {
    ::unlinkat(fd_.get(), temporary.c_str(), 0);
    throw;
  }
  prune();
}

void BytecodeCache::prune() const {
  const Tree tree(Root::system(), path_);
  bool complete = true;
  std::vector<std::pair<std::time_t, std::string>> entries;
  const std::time_t now = ::time(nullptr);
  for (const Tree::Entry& entry : tree.list_with_status(".", complete)) {
    const std::time_t age = now - entry.status.st_mtime;
    const bool stale = entry.name.starts_with(kTemporary) && age > kDay;
    const bool unused = entry.name.ends_with(kSuffix) && age > kUnused;
    if (stale || unused)
      ::unlinkat(fd_.get(), entry.name.c_str(), 0);
    else if (entry.name.ends_with(kSuffix))
      entries.emplace_back(entry.status.st_mtime, entry.name);
  }
  std::sort(entries.begin(), entries.end());
  for (std::size_t i = 0; i + kMaximumEntries < entries.size(); ++i)
    ::unlinkat(fd_.get(), entries[i].second.c_str(), 0);
}

}  // namespace vrun::builder
