#include "policy/host/elf.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "policy/error.h"

namespace vrun {
namespace {

// Bounds on what is believed of a file. Real interpreters stay far below each of them.
constexpr std::uint64_t kMaximumHeaders = 1024;
constexpr std::uint64_t kMaximumTable = 8U << 20U;  // .dynsym, .dynstr, .dynamic, section names
constexpr std::uint64_t kMaximumScan = 32U << 20U;  // one section of strings
constexpr std::size_t kMaximumNeeded = 256;         // DT_NEEDED entries
constexpr std::size_t kLongestString = 128;
constexpr std::size_t kChunk = 16U << 10U;  // stays in a processor's nearest cache while it is searched

struct Format32 {
  using Header = Elf32_Ehdr;
  using Program = Elf32_Phdr;
  using Section = Elf32_Shdr;
  using Dynamic = Elf32_Dyn;
  using Symbol = Elf32_Sym;
};
struct Format64 {
  using Header = Elf64_Ehdr;
  using Program = Elf64_Phdr;
  using Section = Elf64_Shdr;
  using Dynamic = Elf64_Dyn;
  using Symbol = Elf64_Sym;
};

/// The `index`th T of a table; the caller has checked that it is there. Copied, for the file may place it unaligned.
template <typename T>
T element(std::string_view table, std::size_t index) {
  T value;
  std::memcpy(&value, table.data() + index * sizeof(T), sizeof(T));
  return value;
}

/// The string that starts at `offset` of a string table; nothing when it is not ended by a NUL inside of it.
std::optional<std::string_view> string_at(std::string_view table, std::uint64_t offset) {
  if (offset >= table.size()) return std::nullopt;
  const std::size_t end = table.find('\0', offset);
  if (end == std::string_view::npos) return std::nullopt;
  return table.substr(offset, end - offset);
}

/// pread(2) until `size` bytes are there; returns how many were.
std::size_t read_at(int fd, char* buffer, std::size_t size, std::uint64_t offset, const std::string& path) {
  std::size_t done = 0;
  while (done < size) {
    const ssize_t count = ::pread(fd, buffer + done, size - done, static_cast<off_t>(offset + done));
    if (count < 0) {
      if (errno == EINTR) continue;
      throw Error("cannot read", path, errno);
    }
    if (count == 0) break;
    done += static_cast<std::size_t>(count);
  }
  return done;
}

/// std::string_view::find, by the first digit of `text`: what is looked for here has one, and most of what is searched
/// is prose, which has few: a "." or a "c" to begin with is everywhere.
std::size_t find_marker(std::string_view piece, std::string_view text, std::size_t from) {
  const std::size_t anchor = std::min(text.find_first_of("0123456789"), text.size());
  if (anchor == text.size()) return piece.find(text, from);
  for (std::size_t at = piece.find(text[anchor], from + anchor); at != std::string_view::npos;
       at = piece.find(text[anchor], at + 1))
    if (piece.substr(at - anchor, text.size()) == text) return at - anchor;
  return std::string_view::npos;
}

}  // namespace

std::string machine_name(std::uint16_t machine) {
  switch (machine) {
    case EM_386:
      return "i386";
    case EM_ARM:
      return "ARM";
    case EM_X86_64:
      return "x86-64";
    case EM_AARCH64:
      return "AArch64";
    case EM_PPC64:
      return "PowerPC64";
    case EM_S390:
      return "S/390";
    case EM_RISCV:
      return "RISC-V";
    case 258:  // EM_LOONGARCH, not in every <elf.h>
      return "LoongArch";
    default:
      return "machine " + std::to_string(machine);
  }
}

std::optional<std::string> Elf::bytes(std::uint64_t offset, std::uint64_t size, std::uint64_t limit) const {
  if (size > limit || offset > size_ || size > size_ - offset) return std::nullopt;
  std::string content(static_cast<std::size_t>(size), '\0');
  if (read_at(fd_.get(), content.data(), content.size(), offset, path_) != content.size()) return std::nullopt;
  return content;
}

std::optional<std::uint64_t> Elf::offset_of(std::uint64_t address) const {
  for (const Segment& segment : segments_) {
    if (segment.type == PT_LOAD && address >= segment.address && address - segment.address < segment.size)
      return segment.offset + (address - segment.address);
  }
  return std::nullopt;
}

Elf Elf::open(const Root& root, std::string_view path) {
  Elf elf;
  elf.path_ = path;
  // O_NONBLOCK: a FIFO would wait for a writer for ever, and a device may do what it likes.
  elf.fd_ = root.open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (!elf.fd_.valid()) throw Error("cannot open", path, errno);
  struct stat status {};
  if (::fstat(elf.fd_.get(), &status) != 0) throw Error("cannot look at", path, errno);
  if (!S_ISREG(status.st_mode)) throw Error(quote(path) + " is not a regular file");
  elf.mode_ = status.st_mode;
  elf.identity_ = {status.st_dev, status.st_ino};
  elf.size_ = static_cast<std::uint64_t>(status.st_size);

  std::string ident(EI_NIDENT, '\0');
  ident.resize(read_at(elf.fd_.get(), ident.data(), ident.size(), 0, elf.path_));
  if (ident.empty()) throw Error(quote(path) + " is empty, not a program");
  if (ident.substr(0, 2) == "#!") throw Error(quote(path) + " is a script, not an ELF program");
  if (ident.substr(0, SELFMAG) != ELFMAG) throw Error(quote(path) + " is not an ELF program");
  if (ident.size() < EI_NIDENT) throw Error(quote(path) + " is a truncated ELF program");
  if (ident[EI_DATA] == ELFDATA2MSB) throw Error(quote(path) + " is a program for a big-endian machine");
  if (ident[EI_DATA] != ELFDATA2LSB || (ident[EI_CLASS] != ELFCLASS32 && ident[EI_CLASS] != ELFCLASS64))
    throw Error(quote(path) + " is not an ELF program");
  elf.is_64bit_ = ident[EI_CLASS] == ELFCLASS64;
  if (elf.is_64bit_)
    elf.read_headers<Format64>();
  else
    elf.read_headers<Format32>();
  return elf;
}

template <typename Format>
void Elf::read_headers() {
  using Header = typename Format::Header;
  using Program = typename Format::Program;
  using SectionHeader = typename Format::Section;
  const auto header_bytes = bytes(0, sizeof(Header), sizeof(Header));
  if (!header_bytes) throw Error(quote(path_) + " is a truncated ELF program");
  const auto header = element<Header>(*header_bytes, 0);
  machine_ = header.e_machine;
  type_ = header.e_type;
  if (type_ != ET_EXEC && type_ != ET_DYN) throw Error(quote(path_) + " is neither a program nor a shared library");

  if (header.e_phnum > 0) {
    if (header.e_phentsize != sizeof(Program)) throw Error(quote(path_) + " is a damaged ELF program");
    const auto table = bytes(header.e_phoff, header.e_phnum * sizeof(Program), kMaximumHeaders * sizeof(Program));
    if (!table) throw Error(quote(path_) + " is a truncated ELF program");
    for (std::size_t i = 0; i < header.e_phnum; ++i) {
      const auto program = element<Program>(*table, i);
      // A segment is kept as it is only where its bytes exist: everything later may then add offset and size.
      if (program.p_offset > size_ || program.p_filesz > size_ - program.p_offset) {
        if (program.p_type == PT_LOAD) throw Error(quote(path_) + " is a truncated ELF program");
        continue;
      }
      segments_.push_back({program.p_type, program.p_offset, program.p_vaddr, program.p_filesz});
    }
  }
  // Sections are a convenience: the kernel does without them, and so does everything here but the look for symbols.
  if (header.e_shnum > 0 && header.e_shentsize == sizeof(SectionHeader)) {
    const auto table =
        bytes(header.e_shoff, header.e_shnum * sizeof(SectionHeader), kMaximumHeaders * sizeof(SectionHeader));
    for (std::size_t i = 0; table && i < header.e_shnum; ++i) {
      const auto section = element<SectionHeader>(*table, i);
      sections_.push_back({section.sh_name, section.sh_type, section.sh_link, section.sh_offset, section.sh_size});
    }
    name_section_ = header.e_shstrndx;
  }
  bool dynamic = false;
  for (const Segment& segment : segments_) {
    if (segment.type == PT_INTERP && interpreter_.empty()) {
      const auto text = bytes(segment.offset, segment.size, 4096);
      if (!text) throw Error(quote(path_) + " is a damaged ELF program");
      interpreter_ = text->substr(0, text->find('\0'));
    } else if (segment.type == PT_DYNAMIC && !std::exchange(dynamic, true)) {
      read_dynamic<Format>(segment);
    }
  }
}

template <typename Format>
void Elf::read_dynamic(const Segment& segment) {
  using Dynamic = typename Format::Dynamic;
  const auto table = bytes(segment.offset, segment.size, kMaximumTable);
  if (!table) throw Error(quote(path_) + " is a damaged ELF program");
  std::vector<std::uint64_t> needed;
  std::optional<std::uint64_t> runpath;
  std::optional<std::uint64_t> rpath;
  std::uint64_t strings_address = 0;
  std::uint64_t strings_size = 0;
  for (std::size_t i = 0; i < table->size() / sizeof(Dynamic); ++i) {
    const auto entry = element<Dynamic>(*table, i);
    const std::uint64_t value = entry.d_un.d_val;
    if (entry.d_tag == DT_NULL) break;
    if (entry.d_tag == DT_NEEDED && needed.size() < kMaximumNeeded) needed.push_back(value);
    if (entry.d_tag == DT_RUNPATH) runpath = value;
    if (entry.d_tag == DT_RPATH) rpath = value;
    if (entry.d_tag == DT_STRTAB) strings_address = value;
    if (entry.d_tag == DT_STRSZ) strings_size = value;
  }
  // ld.so(8): DT_RPATH counts only where there is no DT_RUNPATH.
  if (!runpath) runpath = rpath;
  if (needed.empty() && !runpath) return;
  const auto offset = offset_of(strings_address);
  const auto strings = offset ? bytes(*offset, strings_size, kMaximumTable) : std::nullopt;
  if (!strings) throw Error(quote(path_) + " is a damaged ELF program");
  for (const std::uint64_t name : needed)
    if (const auto text = string_at(*strings, name)) needed_.emplace_back(*text);
  if (runpath) runpath_ = string_at(*strings, *runpath).value_or("");
}

template <typename Format>
std::optional<std::uint64_t> Elf::symbol_address(std::string_view name, std::size_t size) const {
  using Symbol = typename Format::Symbol;
  for (const Section& section : sections_) {
    if (section.type != SHT_DYNSYM || section.link >= sections_.size()) continue;
    const Section& names_section = sections_[section.link];
    const auto names = bytes(names_section.offset, names_section.size, kMaximumTable);
    const auto table = bytes(section.offset, section.size, kMaximumTable);
    if (!names || !table) return std::nullopt;
    for (std::size_t i = 0; i < table->size() / sizeof(Symbol); ++i) {
      const auto symbol = element<Symbol>(*table, i);
      // ELF64_ST_TYPE is the same expression for both classes.
      if ((symbol.st_info & 0xF) != STT_OBJECT || symbol.st_shndx == SHN_UNDEF || symbol.st_size < size) continue;
      if (symbol.st_name >= names->size()) continue;
      const std::string_view rest = std::string_view(*names).substr(symbol.st_name);
      if (rest.size() > name.size() && rest[name.size()] == '\0' && rest.substr(0, name.size()) == name)
        return symbol.st_value;
    }
    break;  // a file has one table of dynamic symbols; a thousand of them would be an attack
  }
  return std::nullopt;
}

std::optional<std::uint64_t> Elf::symbol_value(std::string_view name, std::size_t size) const {
  const auto address = is_64bit_ ? symbol_address<Format64>(name, size) : symbol_address<Format32>(name, size);
  const auto offset = address ? offset_of(*address) : std::nullopt;
  const auto content = offset ? bytes(*offset, size, sizeof(std::uint64_t)) : std::nullopt;
  if (!content) return std::nullopt;
  std::uint64_t value = 0;
  for (std::size_t i = size; i-- > 0;) value = (value << 8U) | static_cast<unsigned char>((*content)[i]);
  return value;
}

bool Elf::find_text_in(std::uint64_t offset, std::uint64_t size, std::string_view text, const Visit& visit) const {
  // Consecutive pieces overlap, so that a string (and the character before it) is always seen whole in one of them.
  constexpr std::size_t overlap = kLongestString + 1;
  std::string buffer(kChunk, '\0');
  std::uint64_t position = offset;
  const std::uint64_t end = offset + size;
  while (position < end) {
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(kChunk, end - position));
    const std::size_t got = read_at(fd_.get(), buffer.data(), wanted, position, path_);
    const std::string_view piece(buffer.data(), got);
    const bool last = got < wanted || position + got >= end;
    const std::size_t first = position == offset ? 0 : 1;
    for (std::size_t at = find_marker(piece, text, first); at != std::string_view::npos;
         at = find_marker(piece, text, at + 1)) {
      if (!last && at > piece.size() - overlap) break;  // comes again, whole, in the next piece
      std::string_view string = piece.substr(at, kLongestString);
      string = string.substr(0, string.find('\0'));
      if (visit(at == 0 ? '\0' : piece[at - 1], string)) return true;
    }
    if (last) break;
    position += got - overlap;
  }
  return false;
}

void Elf::find_text(std::string_view section, std::string_view text, const Visit& visit) const {
  if (name_section_ < sections_.size()) {
    const Section& names_section = sections_[name_section_];
    const auto names = bytes(names_section.offset, names_section.size, kMaximumTable);
    for (const Section& candidate : sections_) {
      if (!names || candidate.type != SHT_PROGBITS || string_at(*names, candidate.name) != section) continue;
      if (candidate.offset > size_ || candidate.size > size_ - candidate.offset) break;
      find_text_in(candidate.offset, std::min(candidate.size, kMaximumScan), text, visit);
      return;
    }
  }
  // The scan is bounded as a whole, for a hostile file may name the same bytes in a thousand segments.
  std::uint64_t budget = kMaximumScan;
  for (const Segment& segment : segments_) {
    if (segment.type != PT_LOAD) continue;
    const std::uint64_t size = std::min(segment.size, budget);
    budget -= size;
    if (find_text_in(segment.offset, size, text, visit)) return;
  }
}

}  // namespace vrun
