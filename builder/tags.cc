#include "builder/tags.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <unordered_set>

#include "builder/text.h"
#include "policy/error.h"
#include "policy/host/elf.h"

namespace vrun::builder {
namespace {

/// "2.36" from the start of `text`; `rest` is what follows.
std::optional<TagFacts::LibraryVersion> take_version(std::string_view text, std::string_view& rest) {
  TagFacts::LibraryVersion version;
  const char* const end = text.data() + text.size();
  const auto major = std::from_chars(text.data(), end, version.major);
  if (major.ec != std::errc() || major.ptr == end || *major.ptr != '.') return std::nullopt;
  const auto minor = std::from_chars(major.ptr + 1, end, version.minor);
  // Each of them is a loop's bound below.
  constexpr int highest = 999;
  if (minor.ec != std::errc() || version.major > highest || version.minor > highest) return std::nullopt;
  rest = text.substr(static_cast<std::size_t>(minor.ptr - text.data()));
  return version;
}

/// glibc says so when it is run as a program: "GNU C Library (...) stable release version 2.36."
std::optional<TagFacts::LibraryVersion> find_glibc_version(const Elf& library) {
  std::optional<TagFacts::LibraryVersion> version;
  constexpr std::string_view mark = " release version ";
  library.find_text(".rodata", mark, [&](char, std::string_view text) {
    std::string_view rest;
    version = take_version(text.substr(mark.size()), rest);
    return version.has_value();
  });
  return version;
}

/// A string of musl's own: "1.2.3".
std::optional<TagFacts::LibraryVersion> find_musl_version(const Elf& library) {
  std::optional<TagFacts::LibraryVersion> version;
  library.find_text(".rodata", "1.", [&](char before, std::string_view text) {
    std::string_view rest;
    const auto found = before == '\0' ? take_version(text, rest) : std::nullopt;
    const bool micro = rest.size() > 1 && rest.front() == '.' &&
                       std::all_of(rest.begin() + 1, rest.end(), [](char c) { return is_digit(c); });
    if (found && micro) version = found;
    return version.has_value();
  });
  return version;
}

/// The suffix of its extension modules is ".pypy39-pp73-x86_64-linux-gnu.so".
std::string find_pypy_abi(const Elf& code, const PythonVersion& version) {
  const std::string mark = ".pypy" + std::to_string(version.major) + std::to_string(version.minor) + "-pp";
  std::string abi;
  const auto visit = [&](char, std::string_view text) {
    const std::size_t end = text.find('-', mark.size());
    if (end == std::string_view::npos || !text.ends_with(".so")) return false;
    const std::string_view number = text.substr(mark.size(), end - mark.size());
    if (number.empty() || !std::all_of(number.begin(), number.end(), [](char c) { return is_digit(c); })) return false;
    abi = replace_all(text.substr(1, end - 1), "-", "_");
    return true;
  };
  // RPython puts constants where they can be written.
  for (const char* const section : {".data", ".rodata"})
    if (abi.empty()) code.find_text(section, mark, visit);
  return abi;
}

/// What sysconfig.get_platform() has for it; empty for a machine without wheels.
std::string machine_of(const Interpreter& python) {
  struct Name {
    std::uint16_t machine;
    const char* text;
  };
  constexpr std::array<Name, 7> names{{{62, "x86_64"},
                                       {183, "aarch64"},
                                       {3, "i686"},
                                       {40, "armv7l"},
                                       {243, "riscv64"},
                                       {21, "ppc64le"},
                                       {258, "loongarch64"}}};
  for (const Name& name : names)
    if (name.machine == python.machine) return name.text;
  return "";
}

std::vector<std::string> platforms(const Interpreter& python, const TagFacts& facts) {
  const std::string machine = machine_of(python);
  if (machine.empty()) return {};
  std::vector<std::string> out;
  const bool x86 = machine == "x86_64" || machine == "i686";
  // manylinux knows 32-bit ARM with the hard-float ABI only.
  const bool right_abi = machine != "armv7l" || python.multiarch.ends_with("gnueabihf");
  if (facts.glibc && facts.glibc->major == 2 && right_abi) {
    struct Alias {
      int minor;
      const char* name;
    };
    constexpr std::array<Alias, 3> aliases{{{17, "manylinux2014_"}, {12, "manylinux2010_"}, {5, "manylinux1_"}}};
    const int oldest = x86 ? 5 : 17;
    for (int minor = facts.glibc->minor; minor >= oldest; --minor) {
      out.push_back("manylinux_2_" + std::to_string(minor) + "_" + machine);
      for (const Alias& alias : aliases)
        if (alias.minor == minor) out.push_back(alias.name + machine);
    }
  }
  if (facts.musl)
    for (int minor = facts.musl->minor; minor >= 0; --minor)
      out.push_back("musllinux_" + std::to_string(facts.musl->major) + "_" + std::to_string(minor) + "_" + machine);
  out.push_back("linux_" + machine);
  return out;
}

std::vector<std::string> split_tag(std::string_view tag) {
  std::vector<std::string> parts;
  for (;;) {
    const std::size_t dash = tag.find('-');
    parts.emplace_back(tag.substr(0, dash));
    if (dash == std::string_view::npos) return parts;
    tag.remove_prefix(dash + 1);
  }
}

/// "manylinux" of "manylinux_2_17_x86_64", "cp" of "cp311".
std::string_view family(std::string_view part) { return part.substr(0, part.find_first_of("0123456789_")); }

/// How much of a tag another one has: an equal part counts more than one of the same family, and the Python more than
/// the platform.
int likeness(std::string_view tag, std::string_view other) {
  const auto first = split_tag(tag);
  const auto second = split_tag(other);
  int points = 0;
  for (std::size_t i = 0; i < std::min(first.size(), second.size()); ++i)
    points = points * 4 + (first[i] == second[i] ? 2 : family(first[i]) == family(second[i]) ? 1 : 0);
  return points;
}

}  // namespace

TagFacts read_tag_facts(const Root& root, const Interpreter& python) {
  TagFacts facts;
  const Elf program = Elf::open(root, python.real_executable);
  if (python.implementation == Implementation::pypy)
    facts.pypy_abi = find_pypy_abi(
        Elf::open(root, python.libpython.empty() ? python.real_executable : python.libpython), python.version);
  if (program.interpreter().empty() || !root.stat(program.interpreter())) return facts;
  const std::string loader = root.resolve(program.interpreter()).path;
  if (base_name(program.interpreter()).find("musl") != std::string::npos) {
    facts.musl = find_musl_version(Elf::open(root, loader));
    return facts;
  }
  // The loader is a part of the C library, which lies beside it.
  const std::string library = join(parent_path(loader), "libc.so.6");
  if (root.is_regular(library)) facts.glibc = find_glibc_version(Elf::open(root, library));
  return facts;
}

std::vector<std::string> supported_tags(const Interpreter& python, const TagFacts& facts) {
  const std::vector<std::string> where = platforms(python, facts);
  const int minor = python.version.minor;
  const auto numbered = [](std::string_view name, int number) {
    return std::string(name) + "3" + std::to_string(number);
  };
  const bool pypy = python.implementation == Implementation::pypy;
  const std::string name = numbered(pypy ? "pp" : "cp", minor);
  std::vector<std::string> out;
  const auto add = [&](const std::string& interpreter, const std::string& abi) {
    for (const std::string& platform : where) out.push_back(interpreter + "-" + abi + "-" + platform);
  };
  if (pypy) {
    if (!facts.pypy_abi.empty()) add(name, facts.pypy_abi);
    add(name, "none");
  } else {
    const std::string abi = name + (python.free_threaded ? "t" : "");
    // A debug build loads the extension modules of others too.
    if (python.debug) add(name, abi + "d");
    add(name, abi);
    // The stable ABI is not that of free-threaded builds (PEP 803 gives them one of their own).
    if (!python.free_threaded) add(name, "abi3");
    add(name, "none");
    constexpr int first_stable = 2;
    if (!python.free_threaded)
      for (int older = minor - 1; older >= first_stable; --older) add(numbered("cp", older), "abi3");
  }
  std::vector<std::string> generic{numbered("py", minor), "py3"};
  for (int older = minor - 1; older >= 0; --older) generic.push_back(numbered("py", older));
  for (const std::string& interpreter : generic) add(interpreter, "none");
  out.push_back(name + "-none-any");
  for (const std::string& interpreter : generic) out.push_back(interpreter + "-none-any");
  return out;
}

std::optional<std::string> find_misfit(const WheelName& wheel, const std::vector<std::string>& supported) {
  const std::unordered_set<std::string_view> known(supported.begin(), supported.end());
  std::string all;
  std::string nearest;
  int best = -1;
  for (const std::string& interpreter : wheel.pythons) {
    for (const std::string& abi : wheel.abis) {
      for (const std::string& platform : wheel.platforms) {
        const std::string tag = interpreter + "-" + abi + "-" + platform;
        if (known.contains(tag)) return std::nullopt;
        if (all.empty()) all = tag;
        for (const std::string& other : supported) {
          const int points = likeness(tag, other);
          if (points > best) best = points, nearest = other;
        }
      }
    }
  }
  const std::size_t count = wheel.pythons.size() * wheel.abis.size() * wheel.platforms.size();
  if (count > 1) {
    const auto set = [](const std::vector<std::string>& parts) {
      std::string text;
      for (const std::string& part : parts) text += (text.empty() ? "" : ".") + part;
      return text;
    };
    all = set(wheel.pythons) + "-" + set(wheel.abis) + "-" + set(wheel.platforms);
  }
  return "it is for " + escape(all) + ", and the nearest that fits is " + nearest;
}

}  // namespace vrun::builder
