#include "policy/interpreter.h"

#include <fcntl.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <utility>

#include "policy/environment.h"
#include "policy/error.h"
#include "policy/host/elf.h"

namespace vrun {
namespace {

/// Links and `home` keys that are followed before an interpreter counts as unreachable; MAXSYMLINKS of
/// path_resolution(7).
constexpr int kMaximumHops = 40;
constexpr PythonVersion kOldest{.major = 3, .minor = 8};
constexpr std::size_t kMaximumDataFile = 1U << 20U;

bool starts_with(std::string_view text, std::string_view start) { return text.substr(0, start.size()) == start; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Takes a decimal number of at most four digits from the front of `text`.
std::optional<int> take_number(std::string_view& text) {
  int value = 0;
  const char* const end = text.data() + std::min<std::size_t>(text.size(), 4);
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || value < 0 || !is_digit(text.front())) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(stop - text.data()));
  return value;
}

bool take(std::string_view& text, std::string_view start) {
  if (!starts_with(text, start)) return false;
  text.remove_prefix(start.size());
  return true;
}

/// PY_VERSION: "3.9.18", "3.14.0a7", "3.12.0rc2+".
std::optional<PythonVersion> parse_version(std::string_view text) {
  const auto major = take_number(text);
  if (!major || !take(text, ".")) return std::nullopt;
  const auto minor = take_number(text);
  if (!minor || !take(text, ".")) return std::nullopt;
  const auto micro = take_number(text);
  if (!micro) return std::nullopt;
  PythonVersion version{.major = *major, .minor = *minor, .micro = *micro};
  if (take(text, "a"))
    version.level = 'a';
  else if (take(text, "b"))
    version.level = 'b';
  else if (take(text, "rc"))
    version.level = 'c';
  if (version.level != 'f') {
    const auto serial = take_number(text);
    if (!serial) return std::nullopt;
    version.serial = *serial;
  }
  take(text, "+");  // built from a checkout
  if (!text.empty()) return std::nullopt;
  return version;
}

/// PY_VERSION_HEX, the value of the symbol Py_Version that CPython exports since 3.11.
std::optional<PythonVersion> decode_version(std::uint64_t hex) {
  PythonVersion version;
  version.major = static_cast<int>((hex >> 24U) & 0xFF);
  version.minor = static_cast<int>((hex >> 16U) & 0xFF);
  version.micro = static_cast<int>((hex >> 8U) & 0xFF);
  switch ((hex >> 4U) & 0xF) {
    case 0xA:
      version.level = 'a';
      break;
    case 0xB:
      version.level = 'b';
      break;
    case 0xC:
      version.level = 'c';
      break;
    case 0xF:
      version.level = 'f';
      break;
    default:
      return std::nullopt;
  }
  version.serial = static_cast<int>(hex & 0xF);
  if (hex > 0xFFFFFFFF || version.major != 3) return std::nullopt;
  return version;
}

/// What the suffix of extension modules tells: ".cpython-313t-x86_64-linux-gnu.so" (PEP 3149).
struct Soabi {
  PythonVersion version;  ///< major and minor only
  std::string flags;
  std::string multiarch;
};

std::optional<Soabi> parse_soabi(std::string_view text) {
  Soabi soabi;
  if (!take(text, ".cpython-3")) return std::nullopt;
  const auto minor = take_number(text);
  if (!minor) return std::nullopt;
  soabi.version.major = 3;
  soabi.version.minor = *minor;
  while (!text.empty() && text.front() >= 'a' && text.front() <= 'z') {
    soabi.flags += text.front();
    text.remove_prefix(1);
  }
  if (text.size() < 3 || text.substr(text.size() - 3) != ".so") return std::nullopt;
  text.remove_suffix(3);
  if (take(text, "-")) {
    for (const char c : text) {
      const bool plain = is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
      if (!plain) return std::nullopt;
    }
    soabi.multiarch = text;
  } else if (!text.empty()) {
    return std::nullopt;
  }
  return soabi;
}

std::optional<Soabi> find_soabi(const Elf& elf) {
  std::optional<Soabi> soabi;
  elf.find_text(".rodata", ".cpython-3", [&](char, std::string_view string) {
    soabi = parse_soabi(string);
    return soabi.has_value();
  });
  return soabi;
}

/// The X.Y.Z of an interpreter older than Py_Version: the one string of its read-only data that ends in it. Linkers
/// merge strings with a common end, so it may be the tail of a longer one, such as a prefix that ends in a version.
std::optional<PythonVersion> find_version_text(const Elf& elf, const PythonVersion& minor) {
  std::set<PythonVersion> found;
  elf.find_text(".rodata", minor.minor_text() + ".", [&](char before, std::string_view string) {
    const auto version = parse_version(string);
    if (version && !is_digit(before) && before != '.') found.insert(*version);
    return found.size() > 1;
  });
  if (found.size() != 1) return std::nullopt;
  return *found.begin();
}

/// PyPy's X.Y.Z: sys.version, "3.9.16 (7.3.11+dfsg-2, ...", is a constant of the program, and RPython puts those where
/// they can be written.
std::optional<PythonVersion> find_pypy_version(const Elf& elf, const PythonVersion& minor) {
  std::optional<PythonVersion> version;
  elf.find_text(".data", minor.minor_text() + ".", [&](char before, std::string_view string) {
    const std::size_t end = string.find(" (");
    if (end != std::string_view::npos && before == '\0') version = parse_version(string.substr(0, end));
    return version.has_value();
  });
  return version;
}

/// "3.9" from "libpypy3.9-c.so".
std::optional<PythonVersion> version_of_pypy_library(std::string_view name) {
  take(name, "libpypy3.");
  const auto minor = take_number(name);
  if (!minor) return std::nullopt;
  return PythonVersion{.major = 3, .minor = *minor};
}

/// PY_VERSION in Include/patchlevel.h, where the headers are installed.
std::optional<PythonVersion> read_patchlevel(const Root& root, std::string_view prefix, std::string_view library_name) {
  const std::string path = join(prefix, "include/" + std::string(library_name) + "/patchlevel.h");
  const auto text = root.read_file(path, kMaximumDataFile);
  if (!text) return std::nullopt;
  constexpr std::string_view start = "#define PY_VERSION";
  for (std::size_t at = text->find(start); at != std::string::npos; at = text->find(start, at + 1)) {
    std::string_view rest = std::string_view(*text).substr(at + start.size());
    rest.remove_prefix(std::min(rest.find_first_not_of(" \t"), rest.size()));
    if (!take(rest, "\"")) continue;  // PY_VERSION_HEX
    return parse_version(rest.substr(0, rest.find('"')));
  }
  return std::nullopt;
}

/// A shared library that holds the interpreter: "libpython3.11.so.1.0", "libpython3.13t.so.1.0", "libpypy3.9-c.so"; not
/// "libpython3.so", which is the door to the stable ABI.
bool is_python_library(std::string_view name) {
  return (take(name, "libpython3.") || take(name, "libpypy3.")) && !name.empty() && is_digit(name.front());
}

struct Library {
  Resolved file;
  std::string from_program;  ///< Interpreter::libpython_from_program
};

/// Finds a library as ld.so(8) does, without ld.so.cache: DT_RUNPATH, then the directories that distributions use.
std::optional<Library> find_library(const Root& root, const Elf& elf, std::string_view name,
                                    std::string_view executable) {
  struct Place {
    std::string directory;
    std::string from_program;
  };
  std::vector<Place> places;
  for (std::string& directory : list_entries(elf.runpath())) {
    std::string from_program;
    for (const std::string_view variable : {"${ORIGIN}", "$ORIGIN"}) {
      const std::size_t at = directory.find(variable);
      if (at == std::string::npos) continue;
      if (at == 0) {
        const std::size_t rest = std::min(directory.find_first_not_of('/', variable.size()), directory.size());
        from_program = rest == directory.size() ? std::string(name) : join(directory.substr(rest), name);
      }
      directory.replace(at, variable.size(), parent_path(executable));
    }
    // A relative entry means the current directory, which is nobody's statement about this interpreter.
    if (starts_with(directory, "/")) places.push_back({absolute_path(directory, "/"), std::move(from_program)});
  }
  for (const char* const base : {"/usr/lib", "/lib"}) places.push_back({join(base, kNativeMultiarch), ""});
  for (const char* const base : {"/usr/lib64", "/usr/lib", "/lib64", "/lib", "/usr/local/lib64", "/usr/local/lib"})
    places.push_back({base, ""});
  for (Place& place : places)
    if (root.is_regular(join(place.directory, name)))
      return Library{root.resolve(join(place.directory, name)), std::move(place.from_program)};
  return std::nullopt;
}

/// What the files of an interpreter say, apart from the tree around them.
struct Binary {
  FileIdentity identity;
  Implementation implementation = Implementation::cpython;
  PythonVersion version;
  bool exact = false;  ///< `version` has its micro part
  std::string flags;
  std::string multiarch;
  bool is_64bit = true;
  std::uint16_t machine = 0;
  std::string loader;
  std::string libpython;
  std::string libpython_from_program;
  std::vector<Link> links;  ///< met on the way to libpython
};

/// Opens a program that this machine can start.
Elf open_program(const Root& root, const std::string& path) {
  Elf program = Elf::open(root, path);
  if ((program.mode() & 0111U) == 0) throw Error(quote(path) + " is not executable");
  if (program.machine() != kNativeMachine)
    throw Error(quote(path) + " is a program for " + machine_name(program.machine()) + ", this machine is " +
                machine_name(kNativeMachine));
  return program;
}

Binary read_binary(const Root& root, const std::string& path) {
  const Elf program = open_program(root, path);
  Binary binary;
  binary.identity = program.identity();
  binary.is_64bit = program.is_64bit();
  binary.machine = program.machine();
  binary.loader = program.interpreter();

  std::string library_name;
  std::optional<Elf> library;
  for (const std::string& name : program.needed()) {
    if (!is_python_library(name)) continue;
    std::optional<Library> found = find_library(root, program, name, path);
    if (!found) throw Error("cannot find the library " + quote(name) + " of", path);
    library_name = name;
    library = Elf::open(root, found->file.path);
    binary.libpython = std::move(found->file.path);
    binary.libpython_from_program = std::move(found->from_program);
    binary.links = std::move(found->file.links);
    break;
  }
  const Elf& code = library ? *library : program;
  std::optional<PythonVersion> minor;
  std::optional<PythonVersion> exact;
  if (starts_with(library_name, "libpypy")) {
    binary.implementation = Implementation::pypy;
    minor = version_of_pypy_library(library_name);
    if (minor) exact = find_pypy_version(code, *minor);
  } else {
    if (const auto hex = code.symbol_value("Py_Version", code.is_64bit() ? 8 : 4)) exact = decode_version(*hex);
    minor = exact;
    if (const auto soabi = find_soabi(code)) {
      if (exact && exact->minor != soabi->version.minor)
        throw Error(quote(path) + " says that it is Python " + exact->minor_text() + " and " +
                    soabi->version.minor_text());
      binary.flags = soabi->flags;
      binary.multiarch = soabi->multiarch;
      minor = soabi->version;
    }
    if (minor && !exact) exact = find_version_text(code, *minor);
  }
  if (!minor)
    throw Error(quote(path) + " is not a Python interpreter").hint("name the interpreter itself, not a wrapper of it");
  binary.version = exact.value_or(*minor);
  binary.exact = exact.has_value();
  if (binary.version.major != kOldest.major || binary.version.minor < kOldest.minor)
    throw Error(quote(path) + " is Python " + binary.version.minor_text() + ", and the oldest that is supported is " +
                kOldest.minor_text());
  return binary;
}

/// A standard library: the first directory P at or above `start` with P/lib/pythonX.Y/os.py or P/lib64/pythonX.Y/os.py.
/// getpath looks the same way (Modules/getpath.py, search_up), "/" not included.
struct Landmark {
  std::string prefix;
  std::string platlibdir;
  std::string stdlib;
  FileIdentity identity;  ///< of os.py
};

std::optional<Landmark> find_landmark(const Root& root, std::string_view start, const std::string& library_name) {
  for (std::string prefix(start); prefix != "/"; prefix = parent_path(prefix)) {
    // lib first: where lib64 is a link to lib, both are the same directory, and lib is its name.
    for (const char* const platlibdir : {"lib", "lib64"}) {
      const std::string stdlib = join(prefix, std::string(platlibdir) + "/" + library_name);
      for (const char* const name : {"os.py", "os.pyc"}) {
        const auto status = root.stat(join(stdlib, name));
        if (status && S_ISREG(status->st_mode))
          return Landmark{prefix, platlibdir, stdlib, {status->st_dev, status->st_ino}};
      }
    }
  }
  return std::nullopt;
}

/// The pyvenv.cfg that makes the interpreter at `path` one of an environment.
std::optional<std::string> find_config(const Root& root, std::string_view path) {
  const std::string directory = parent_path(path);
  for (const std::string& candidate : {parent_path(directory), directory}) {
    std::string config = join(candidate, "pyvenv.cfg");
    if (root.open(config, O_PATH).valid()) return config;
  }
  return std::nullopt;
}

/// The interpreter in `home` that a copy in an environment was made from; CPython tries the same names in the same
/// order (Modules/getpath.py, base_executable).
std::string base_of_copy(const Root& root, std::string_view path, const std::string& config_path) {
  const std::string environment = parent_path(config_path);
  const auto text = root.read_file(config_path, kMaximumConfigSize);
  const PyvenvConfig config = parse_pyvenv_config(text.value_or(""), config_path);
  if (!config.home || !starts_with(*config.home, "/"))
    throw Error(quote(config_path) + " does not say where its interpreter is (no absolute 'home')");
  const std::string home = absolute_path(*config.home, "/");
  std::vector<std::string> names{base_name(path), "python3"};
  if (config.version) {
    std::string_view rest = *config.version;
    const auto major = take_number(rest);
    take(rest, ".");
    const auto minor = take_number(rest);
    if (major && minor)
      names.push_back(PythonVersion{.major = *major, .minor = *minor}.minor_text().insert(0, "python"));
  }
  for (const std::string& name : names)
    if (root.stat(join(home, name))) return join(home, name);
  throw Error("the interpreter that " + quote(environment) + " was made from is gone: there is no " + names.front() +
              " in " + quote(home))
      .hint("repair it with: vbuild --upgrade " + quote(environment));
}

/// A shim of a version manager starts the interpreter that a file or a variable chooses. Of pyenv's the choice for the
/// whole machine can be read; where that does not decide, guessing would run the wrong Python.
std::string target_of_shim(const Root& root, const std::string& shim) {
  const std::string manager = parent_path(parent_path(shim));
  const std::string name = base_name(shim);
  const auto chosen = root.read_file(join(manager, "version"), kMaximumConfigSize);
  if (chosen && root.is_directory(join(manager, "versions"))) {
    std::string_view rest = *chosen;
    while (!rest.empty()) {
      std::string_view line = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(line.size() + 1, rest.size()));
      line = line.substr(0, line.find('#'));
      while (!line.empty() && (line.back() == ' ' || line.back() == '\t' || line.back() == '\r')) line.remove_suffix(1);
      take(line, "python-");
      if (line.empty() || line.front() == '.' || line.find('/') != std::string_view::npos) continue;
      std::string target = join(manager, "versions/" + std::string(line) + "/bin/" + name);
      if (root.stat(target)) return target;
    }
  }
  throw Error(quote(shim) + " is a shim, and nothing on disk says which interpreter it stands for")
      .hint("name the interpreter itself");
}

/// The text of a link, made absolute.
std::string hop(const Root& root, const std::string& link, const std::string& target) {
  std::string directory = parent_path(link);
  // ".." counts from where the directory really is.
  if (target.find("..") != std::string::npos) directory = root.resolve(directory).path;
  return absolute_path(target, directory);
}

std::string read_wheel_directory(const Root& root, const Interpreter& interpreter, const std::string& flags) {
  const std::string start = "_sysconfigdata_" + flags + "_";
  std::optional<std::string> text;
  for (const char* const platform : {"linux_", ""}) {
    text = root.read_file(join(interpreter.stdlib, start + platform + interpreter.multiarch + ".py"), kMaximumDataFile);
    if (text) break;
  }
  if (!text) return "";
  // One dict literal, written by pprint: a key and its value stand on one line.
  constexpr std::string_view key = "'WHEEL_PKG_DIR': '";
  const std::size_t at = text->find(key);
  if (at == std::string::npos) return "";
  const std::string value =
      text->substr(at + key.size(), text->find_first_of("'\\\n", at + key.size()) - at - key.size());
  return starts_with(value, "/") ? absolute_path(value, "/") : "";
}

/// Debian's site.py looks for packages in dist-packages; its text is decisive, whatever directories exist.
bool has_debian_layout(const Root& root, const Interpreter& interpreter) {
  const auto site = root.read_file(join(interpreter.stdlib, "site.py"), kMaximumDataFile);
  return site && site->find("dist-packages") != std::string::npos;
}

void append_links(std::vector<Link>& links, const std::vector<Link>& more) {
  for (const Link& link : more)
    if (std::find(links.begin(), links.end(), link) == links.end()) links.push_back(link);
}

/// Fills in the binary's facts and where its tree is. `path` and `real_path` name the same file outside every
/// environment.
void complete(const Root& root, Interpreter& result, const std::vector<std::string>& names, const Binary& binary) {
  result.implementation = binary.implementation;
  result.version = binary.version;
  result.free_threaded = binary.flags.find('t') != std::string::npos;
  result.debug = binary.flags.find('d') != std::string::npos;
  result.is_64bit = binary.is_64bit;
  result.machine = binary.machine;
  result.multiarch = binary.multiarch;
  result.loader = binary.loader;
  result.libpython = binary.libpython;
  result.libpython_from_program = binary.libpython_from_program;
  result.identity = binary.identity;
  append_links(result.links, binary.links);

  // Outside of environments CPython starts from the real path. A name on the way there is better, for it outlives an
  // upgrade, when the same tree is found from it ("/opt/python" linked to "/opt/python-3.12.1"); a link to the program
  // alone, standing in another tree, is not.
  const std::string library_name = result.library_name();
  const auto real = find_landmark(root, parent_path(result.real_executable), library_name);
  std::optional<Landmark> landmark;
  for (const std::string& name : names) {
    std::string directory = parent_path(name);
    landmark = directory == parent_path(result.real_executable) ? real : find_landmark(root, directory, library_name);
    if (!landmark || (real && real->identity != landmark->identity)) {
      // In /bin of a merged /usr nothing is found above; the same name in the directory's real place may do.
      directory = root.resolve(directory).path;
      landmark = find_landmark(root, directory, library_name);
    }
    if (landmark && (!real || real->identity == landmark->identity)) {
      result.executable = join(directory, base_name(name));
      break;
    }
    landmark.reset();
  }
  if (!landmark) {
    landmark = real;
    result.executable = result.real_executable;
  }
  if (!landmark)
    throw Error("cannot find the standard library (lib/" + library_name + "/os.py) of", result.real_executable);
  result.prefix = landmark->prefix;
  result.platlibdir = landmark->platlibdir;
  result.stdlib = landmark->stdlib;
  if (!binary.exact) {
    const auto version = read_patchlevel(root, result.prefix, library_name);
    if (version && version->minor_text() == result.version.minor_text()) result.version = *version;
  }
  result.debian_layout = has_debian_layout(root, result);
}

}  // namespace

std::string PythonVersion::text() const { return minor_text() + "." + std::to_string(micro); }

std::string PythonVersion::minor_text() const { return std::to_string(major) + "." + std::to_string(minor); }

std::string Interpreter::library_name() const {
  return (implementation == Implementation::pypy ? "pypy" : "python") + version.minor_text() +
         (free_threaded ? "t" : "");
}

std::string Interpreter::cache_tag() const {
  // Free-threaded builds have the same tag (Python/sysmodule.c, _PySys_ImplCacheTag).
  return (implementation == Implementation::pypy ? "pypy" : "cpython-") + std::to_string(version.major) +
         std::to_string(version.minor);
}

std::optional<Resolved> find_shared_library(const Root& root, const Elf& elf, std::string_view name,
                                            std::string_view path) {
  std::optional<Library> found = find_library(root, elf, name, path);
  if (!found) return std::nullopt;
  return std::move(found->file);
}

Interpreter read_interpreter(const Root& root, std::string_view path, BuildConfiguration configuration) {
  Interpreter result;
  std::string current = absolute_path(path, "/");
  std::optional<Resolved> resolved;
  std::vector<std::string> names;  // outside of environments, from the first to the real one
  for (int hops = 0;; ++hops) {
    if (hops > kMaximumHops) throw Error("cannot follow", path, ELOOP);
    if (!resolved) {
      resolved = root.resolve(current);
      append_links(result.links, resolved->links);
      names.clear();
    }
    if (base_name(parent_path(current)) == "shims") {
      current = target_of_shim(root, current);
      resolved.reset();
      continue;
    }
    const auto config = find_config(root, current);
    if (!config) names.push_back(current);
    if (const auto target = root.read_link(current)) {
      current = hop(root, current, *target);
    } else if (config) {
      open_program(root, current);  // what will be started must be a program, whatever its base is
      current = base_of_copy(root, current, *config);
      resolved.reset();
    } else {
      break;
    }
  }
  result.real_executable = resolved->path;
  const Binary binary = read_binary(root, result.real_executable);
  complete(root, result, names, binary);
  if (configuration == BuildConfiguration::read && result.implementation == Implementation::cpython)
    result.wheel_directory = read_wheel_directory(root, result, binary.flags);
  return result;
}

}  // namespace vrun
