#include "tests/unit/fake_host.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace vrun {
namespace {

namespace fs = std::filesystem;

template <typename T>
std::string raw(const T& value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof value);
}

struct Format32 {
  using Header = Elf32_Ehdr;
  using Program = Elf32_Phdr;
  using Section = Elf32_Shdr;
  using Dynamic = Elf32_Dyn;
  using Symbol = Elf32_Sym;
  static constexpr unsigned char elf_class = ELFCLASS32;
};
struct Format64 {
  using Header = Elf64_Ehdr;
  using Program = Elf64_Phdr;
  using Section = Elf64_Shdr;
  using Dynamic = Elf64_Dyn;
  using Symbol = Elf64_Sym;
  static constexpr unsigned char elf_class = ELFCLASS64;
};

/// The file is one loaded segment at address 0, so that addresses are offsets.
template <typename Format>
std::string write_elf(const FakeElf& content) {
  using Offset = decltype(Format::Program::p_offset);
  constexpr std::size_t program_count = 3;
  std::string body;
  const std::size_t body_start = sizeof(typename Format::Header) + program_count * sizeof(typename Format::Program);
  const auto append = [&](const std::string& bytes) {
    body.resize((body.size() + 7) / 8 * 8);
    const std::size_t at = body_start + body.size();
    body += bytes;
    return static_cast<Offset>(at);
  };
  std::string strings(1, '\0');
  const auto string = [&](const std::string& text) {
    const std::size_t at = strings.size();
    strings += text + '\0';
    return static_cast<Offset>(at);
  };
  std::vector<typename Format::Section> sections(1);
  std::string section_names(1, '\0');
  const auto section = [&](const char* name, unsigned type, Offset offset, std::size_t size, unsigned link = 0) {
    typename Format::Section header{};
    header.sh_name = static_cast<decltype(header.sh_name)>(section_names.size());
    header.sh_type = type;
    header.sh_offset = offset;
    header.sh_addr = offset;
    header.sh_size = static_cast<Offset>(size);
    header.sh_link = link;
    section_names += std::string(name) + '\0';
    sections.push_back(header);
  };

  // Data first, then the tables that speak of it.
  const std::string version = raw(static_cast<decltype(Format::Symbol::st_value)>(content.python_version));
  const std::string data = version + content.data;
  const Offset data_at = append(data);
  std::string read_only(1, '\0');
  for (const std::string& text : content.strings) read_only += text + '\0';
  const Offset read_only_at = append(read_only);
  const std::string interpreter = content.interpreter + '\0';
  const Offset interpreter_at = append(interpreter);

  std::vector<typename Format::Dynamic> dynamic;
  const auto entry = [&](long tag, Offset value) {
    typename Format::Dynamic item{};
    item.d_tag = static_cast<decltype(item.d_tag)>(tag);
    item.d_un.d_val = value;
    dynamic.push_back(item);
  };
  for (const std::string& name : content.needed) entry(DT_NEEDED, string(name));
  if (!content.runpath.empty()) entry(DT_RUNPATH, string(content.runpath));
  if (!content.rpath.empty()) entry(DT_RPATH, string(content.rpath));
  std::string symbols = raw(typename Format::Symbol{});
  if (content.python_version != 0) {
    typename Format::Symbol symbol{};
    symbol.st_name = static_cast<decltype(symbol.st_name)>(string("Py_Version"));
    symbol.st_info = (STB_GLOBAL << 4) | STT_OBJECT;
    symbol.st_shndx = 1;
    symbol.st_value = data_at;
    symbol.st_size = static_cast<decltype(symbol.st_size)>(version.size());
    symbols += raw(symbol);
  }
  const Offset symbols_at = append(symbols);
  const Offset strings_at = append(strings);
  entry(DT_STRTAB, strings_at);
  entry(DT_STRSZ, static_cast<Offset>(strings.size()));
  entry(DT_NULL, 0);
  std::string dynamic_bytes;
  for (const auto& item : dynamic) dynamic_bytes += raw(item);
  const Offset dynamic_at = append(dynamic_bytes);

  section(".data", SHT_PROGBITS, data_at, data.size());
  section(".rodata", SHT_PROGBITS, read_only_at, read_only.size());
  section(".dynsym", SHT_DYNSYM, symbols_at, symbols.size(), 4);
  section(".dynstr", SHT_STRTAB, strings_at, strings.size());
  section(".shstrtab", SHT_STRTAB, 0, 0);
  sections.back().sh_size = static_cast<Offset>(section_names.size());
  sections.back().sh_offset = append(section_names);
  std::string section_bytes;
  for (const auto& item : sections) section_bytes += raw(item);
  const Offset sections_at = append(section_bytes);

  typename Format::Header header{};
  const std::string magic = ELFMAG;
  for (std::size_t i = 0; i < magic.size(); ++i) header.e_ident[i] = static_cast<unsigned char>(magic[i]);
  header.e_ident[EI_CLASS] = Format::elf_class;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = content.type;
  header.e_machine = content.machine;
  header.e_version = EV_CURRENT;
  header.e_phoff = sizeof(typename Format::Header);
  header.e_shoff = sections_at;
  header.e_ehsize = sizeof(typename Format::Header);
  header.e_phentsize = sizeof(typename Format::Program);
  header.e_phnum = program_count;
  header.e_shentsize = sizeof(typename Format::Section);
  header.e_shnum = static_cast<std::uint16_t>(sections.size());
  header.e_shstrndx = static_cast<std::uint16_t>(sections.size() - 1);

  const auto program = [](unsigned type, Offset offset, std::size_t size) {
    typename Format::Program item{};
    item.p_type = type;
    item.p_flags = PF_R;
    item.p_offset = offset;
    item.p_vaddr = offset;
    item.p_filesz = static_cast<Offset>(size);
    item.p_memsz = static_cast<Offset>(size);
    return raw(item);
  };
  const bool is_static = content.interpreter.empty();
  return raw(header) + program(PT_LOAD, 0, body_start + body.size()) +
         program(is_static ? PT_NULL : PT_INTERP, interpreter_at, interpreter.size()) +
         program(PT_DYNAMIC, dynamic_at, dynamic_bytes.size()) + body;
}

/// "3.13.0rc2" as PY_VERSION_HEX, and its parts.
struct Version {
  int minor = 0;
  std::uint32_t hex = 0;
};

Version version_of(const std::string& text) {
  int minor = 0;
  int micro = 0;
  int serial = 0;
  char level[3] = "f";
  // NOLINTNEXTLINE(cert-err34-c): the versions are those of the tests
  if (std::sscanf(text.c_str(), "3.%d.%d%2[abrc]%d", &minor, &micro, level, &serial) < 2)
    throw std::invalid_argument("not a version: " + text);
  const unsigned letter = level[0] == 'r'   ? 0xCU
                          : level[0] == 'f' ? 0xFU
                                            : static_cast<unsigned>(level[0] - 'a') + 0xAU;
  return {minor, 0x03000000U | static_cast<unsigned>(minor) << 16U | static_cast<unsigned>(micro) << 8U | letter << 4U |
                     static_cast<unsigned>(serial)};
}

/// A package that a view must hide, in each of the directories.
std::vector<std::string> below(const std::string& prefix, std::initializer_list<const char*> names) {
  std::vector<std::string> paths;
  for (const char* const name : names) paths.push_back(prefix + "/" + name);
  return paths;
}

/// The directories that every machine has.
FakeHost plain_host() {
  FakeHost host;
  for (const char* const path : {"/etc", "/home/me", "/root", "/var", "/dev", "/proc", "/usr/bin", "/usr/lib",
                                 "/usr/sbin", "/usr/share", "/usr/local/bin", "/usr/local/lib", "/usr/local/share"})
    host.directory(path);
  host.directory("/tmp", 01777);
  host.file("/etc/passwd", "root:x:0:0::/root:/bin/sh\nme:x:1000:1000::/home/me:/bin/sh\n");
  return host;
}

/// /bin, /lib and /sbin inside /usr, as every distribution but a few has it now.
void merge_usr(FakeHost& host) { host.link("/bin", "usr/bin").link("/lib", "usr/lib").link("/sbin", "usr/sbin"); }

void add_shell(FakeHost& host, const char* path, const char* loader) {
  FakeElf shell;
  shell.interpreter = loader;
  host.file(path, fake_elf(shell), 0755);
}

}  // namespace

std::string fake_elf(const FakeElf& content) {
  return content.is_64bit ? write_elf<Format64>(content) : write_elf<Format32>(content);
}

FakeHost::FakeHost()
    : directory_([] {
        std::string name = (fs::temp_directory_path() / "fake-host-XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr) throw std::system_error(errno, std::generic_category(), name);
        return name;
      }()),
      root_(Root::at(directory_)) {}

FakeHost::FakeHost(FakeHost&& other) noexcept
    : directory_(std::exchange(other.directory_, {})), root_(std::move(other.root_)) {}

FakeHost::~FakeHost() {
  if (directory_.empty()) return;
  std::error_code ignored;  // what cannot be removed was made so by the test, and a destructor has no way to say more
  // Directories without permissions keep their content from being removed.
  for (fs::recursive_directory_iterator it(directory_, ignored), end; it != end; it.increment(ignored))
    if (it->is_directory(ignored) && !it->is_symlink(ignored))
      fs::permissions(it->path(), fs::perms::owner_all, fs::perm_options::add, ignored);
  fs::remove_all(directory_, ignored);
}

std::string FakeHost::on_disk(std::string_view path) const { return directory_ + std::string(path); }

FakeHost& FakeHost::directory(std::string_view path, mode_t mode) {
  // Through the links of the fake machine, so that "/lib/x" comes to lie in "/usr/lib/x".
  std::string done;
  for (std::string_view rest = path; !rest.empty();) {
    rest.remove_prefix(1);
    const std::string_view name = rest.substr(0, rest.find('/'));
    rest.remove_prefix(name.size());
    done = root_.resolve(done.empty() ? "/" : done).path;
    done = join(done, name);
    if (!root_.lstat(done) && ::mkdir(on_disk(done).c_str(), 0755) != 0)
      throw std::system_error(errno, std::generic_category(), done);
  }
  if (::chmod(on_disk(root_.resolve(path).path).c_str(), mode) != 0)
    throw std::system_error(errno, std::generic_category(), std::string(path));
  return *this;
}

FakeHost& FakeHost::file(std::string_view path, std::string_view content, mode_t mode) {
  remove(path);
  if (const std::string parent = parent_path(path); parent != "/" && !root_.stat(parent)) directory(parent);
  const std::string place = on_disk(join(root_.resolve(parent_path(path)).path, base_name(path)));
  std::ofstream(place, std::ios::binary) << content;
  if (::chmod(place.c_str(), mode) != 0) throw std::system_error(errno, std::generic_category(), place);
  return *this;
}

FakeHost& FakeHost::link(std::string_view path, std::string_view target) {
  remove(path);
  if (const std::string parent = parent_path(path); parent != "/" && !root_.stat(parent)) directory(parent);
  fs::create_symlink(std::string(target), on_disk(join(root_.resolve(parent_path(path)).path, base_name(path))));
  return *this;
}

FakeHost& FakeHost::fifo(std::string_view path) {
  remove(path);
  if (::mkfifo(on_disk(path).c_str(), 0644) != 0) throw std::system_error(errno, std::generic_category());
  return *this;
}

FakeHost& FakeHost::remove(std::string_view path) {
  if (root_.lstat(path)) fs::remove_all(on_disk(join(root_.resolve(parent_path(path)).path, base_name(path))));
  return *this;
}

FakeHost& FakeHost::python(const FakePython& python) {
  const Version version = version_of(python.version);
  const std::string minor = "3." + std::to_string(version.minor);
  const std::string flags = python.free_threaded ? "t" : "";
  const std::string name = "python" + minor + flags;
  const std::string library = join(python.prefix, python.platlibdir);
  const std::string stdlib = join(library, name);
  const std::string bin = join(python.prefix, "bin");

  FakeElf code;
  code.machine = python.machine;
  code.is_64bit = python.machine != EM_386 && python.machine != EM_ARM;
  code.strings = {"cpython", ".cpython-3" + std::to_string(version.minor) + flags + "-" + python.multiarch + ".so"};
  if (version.minor >= 11)
    code.python_version = version.hex;
  else
    code.strings.push_back(python.version);
  FakeElf program = code;
  if (python.shared) {
    const std::string soname = "lib" + name + ".so.1.0";
    file(join(library, soname), fake_elf(code));
    program = FakeElf{};
    program.machine = code.machine;
    program.is_64bit = code.is_64bit;
    program.needed = {soname, "libc.so.6"};
    program.runpath = "$ORIGIN/../" + python.platlibdir;
  }
  program.interpreter = python.loader;
  file(join(bin, name), fake_elf(program), 0755);
  link(join(bin, "python3"), name).link(join(bin, "python"), name);

  const std::string site_text = python.debian ? "# dist-packages\n" : "# site-packages\n";
  file(join(stdlib, "os.py")).file(join(stdlib, "site.py"), site_text).file(join(stdlib, "encodings/__init__.py"));
  directory(join(stdlib, "lib-dynload"));
  if (!python.debian) directory(join(stdlib, "site-packages"));
  file(join(stdlib, "_sysconfigdata_" + flags + "_linux_" + python.multiarch + ".py"),
       "# system configuration generated and used by the sysconfig module\nbuild_time_vars = {'ABIFLAGS': '" + flags +
           "',\n 'MULTIARCH': '" + python.multiarch + "',\n 'WHEEL_PKG_DIR': '" + python.wheel_directory + "'}\n");
  for (const std::string& package : python.packages) file(join(package, "syspkg/__init__.py"));
  return *this;
}

FakeHost& FakeHost::environment(std::string_view path, std::string_view base, std::string_view version,
                                std::string_view library) {
  const std::string minor = "3." + std::to_string(version_of(std::string(version)).minor);
  const std::string name = library.empty() ? "python" + minor : std::string(library);
  file(join(path, "pyvenv.cfg"), "home = " + parent_path(base) + "\ninclude-system-site-packages = false\nversion = " +
                                     std::string(version) + "\nexecutable = " + root_.resolve(base).path +
                                     "\ncommand = " + std::string(base) + " -m venv " + std::string(path) + "\n");
  directory(join(path, "lib/" + name + "/site-packages")).directory(join(path, "include"));
  link(join(path, "lib64"), "lib");
  const std::string first = base_name(base);
  link(join(path, "bin/" + first), base);
  for (const std::string& other : {std::string("python"), std::string("python3"), "python" + minor})
    if (other != first) link(join(path, "bin/" + other), first);
  return file(join(path, "bin/activate"));
}

FakeHost FakeHost::debian() {
  FakeHost host = plain_host();
  merge_usr(host);
  host.directory("/usr/lib64").link("/lib64", "usr/lib64");
  add_shell(host, "/usr/bin/sh", "/lib64/ld-linux-x86-64.so.2");
  host.python({.debian = true,
               .packages = below("/usr", {"lib/python3/dist-packages", "lib/python3.11/dist-packages",
                                          "local/lib/python3.11/dist-packages"}),
               .wheel_directory = "/usr/share/python-wheels/"});
  host.remove("/usr/bin/python");  // only with the package python-is-python3
  host.link("/usr/lib/python3.11/sitecustomize.py", "/etc/python3.11/sitecustomize.py");
  host.file("/etc/python3.11/sitecustomize.py", "# the administrator's");
  host.file("/usr/share/python-wheels/pip-23.0.1-py3-none-any.whl");
  return host;
}

FakeHost FakeHost::fedora() {
  FakeHost host = plain_host();
  merge_usr(host);
  host.directory("/usr/lib64").link("/lib64", "usr/lib64").directory("/usr/local/lib64");
  add_shell(host, "/usr/bin/sh", "/lib64/ld-linux-x86-64.so.2");
  host.python(
      {.version = "3.13.0",
       .platlibdir = "lib64",
       .shared = true,
       .packages = below("/usr", {"lib/python3.13/site-packages", "lib64/python3.13/site-packages",
                                  "local/lib/python3.13/site-packages", "local/lib64/python3.13/site-packages"}),
       .wheel_directory = "/usr/share/python-wheels"});
  host.file("/usr/share/python-wheels/pip-24.2-py3-none-any.whl");
  return host;
}

FakeHost FakeHost::arch() {
  FakeHost host = plain_host();
  merge_usr(host);
  host.link("/usr/lib64", "lib").link("/lib64", "usr/lib").remove("/usr/sbin").link("/usr/sbin", "bin");
  add_shell(host, "/usr/bin/sh", "/lib64/ld-linux-x86-64.so.2");
  host.python({.version = "3.12.1", .shared = true, .packages = {"/usr/lib/python3.12/site-packages"}});
  return host;
}

FakeHost FakeHost::alpine() {
  FakeHost host = plain_host();
  for (const char* const path : {"/bin", "/lib", "/sbin"}) host.directory(path);
  add_shell(host, "/bin/busybox", "/lib/ld-musl-x86_64.so.1");
  host.link("/bin/sh", "/bin/busybox");
  host.python({.version = "3.12.1",
               .shared = true,
               .multiarch = "x86_64-linux-musl",
               .packages = {"/usr/lib/python3.12/site-packages"}});
  return host;
}

FakeHost FakeHost::pyenv() {
  FakeHost host = debian();
  const std::string pyenv = "/home/me/.pyenv";
  for (const char* const version : {"3.12.1", "3.9.18"}) {
    const std::string prefix = pyenv + "/versions/" + version;
    const std::string minor(version, std::string_view(version).rfind('.'));
    host.python({.prefix = prefix,
                 .version = version,
                 .shared = true,
                 .packages = {prefix + "/lib/python" + minor + "/site-packages"}});
  }
  for (const char* const name : {"python", "python3", "python3.12"})
    host.file(pyenv + "/shims/" + name,
              "#!/usr/bin/env bash\nexec \"" + pyenv + "/libexec/pyenv\" exec \"$0\" \"$@\"\n", 0755);
  host.file(pyenv + "/version", "3.12.1\n");
  return host;
}

FakeHost FakeHost::conda() {
  FakeHost host = debian();
  for (const char* const prefix : {"/home/me/miniconda3", "/home/me/miniconda3/envs/data"}) {
    host.python(
        {.prefix = prefix, .version = "3.12.1", .packages = {std::string(prefix) + "/lib/python3.12/site-packages"}});
    host.file(std::string(prefix) + "/conda-meta/python-3.12.1-h996f2a0_0.json", "{}");
  }
  host.file("/home/me/miniconda3/pkgs/numpy-1.26.4/lib/python3.12/site-packages/numpy/__init__.py");
  return host;
}

FakeHost FakeHost::uv_managed() {
  FakeHost host = debian();
  const std::string store = "/home/me/.local/share/uv/python";
  const std::string plain = store + "/cpython-3.12.1-linux-x86_64-gnu";
  const std::string threaded = store + "/cpython-3.13.0+freethreaded-linux-x86_64-gnu";
  host.python({.prefix = plain, .version = "3.12.1", .packages = {plain + "/lib/python3.12/site-packages"}});
  host.link(store + "/cpython-3.12-linux-x86_64-gnu", "cpython-3.12.1-linux-x86_64-gnu");
  host.python({.prefix = threaded,
               .version = "3.13.0",
               .free_threaded = true,
               .packages = {threaded + "/lib/python3.13t/site-packages"}});
  return host;
}

FakeHost FakeHost::homebrew() {
  FakeHost host = debian();
  const std::string brew = "/home/linuxbrew/.linuxbrew";
  const std::string cellar = brew + "/Cellar/python@3.12/3.12.1";
  host.python({.prefix = cellar, .version = "3.12.1", .shared = true});
  host.remove(cellar + "/lib/python3.12/site-packages");
  host.file(brew + "/lib/python3.12/site-packages/syspkg/__init__.py");
  host.link(cellar + "/lib/python3.12/site-packages", "../../../../../lib/python3.12/site-packages");
  host.link(brew + "/opt/python@3.12", "../Cellar/python@3.12/3.12.1");
  host.file(brew + "/Cellar/numpy/1.26.4/lib/python3.12/site-packages/numpy/__init__.py");
  host.link(brew + "/opt/numpy", "../Cellar/numpy/1.26.4");
  host.link(brew + "/bin/python3.12", "../Cellar/python@3.12/3.12.1/bin/python3.12");
  host.link(brew + "/bin/python3", "../Cellar/python@3.12/3.12.1/bin/python3");
  return host;
}

FakeHost FakeHost::usr_local() {
  FakeHost host = debian();
  host.python({.prefix = "/usr/local",
               .version = "3.13.0",
               .shared = true,
               .packages = {"/usr/local/lib/python3.13/site-packages"}});
  return host;
}

FakeHost FakeHost::opt() {
  FakeHost host = debian();
  const std::string prefix = "/opt/python-3.12.1";
  host.python(
      {.prefix = prefix, .version = "3.12.1", .shared = true, .packages = {prefix + "/lib/python3.12/site-packages"}});
  host.link("/opt/python", "python-3.12.1").file("/opt/application/secret");
  return host;
}

FakeHost FakeHost::deadsnakes() {
  FakeHost host = debian();
  host.python({.version = "3.13.0",
               .debian = true,
               .packages = below("/usr", {"lib/python3.13/dist-packages", "local/lib/python3.13/dist-packages"})});
  host.remove("/usr/bin/python").link("/usr/bin/python3", "python3.11");
  return host;
}

FakeHost FakeHost::nix() {
  FakeHost host = debian();
  const std::string prefix = "/nix/store/abc-python3-3.12.1";
  host.python({.prefix = prefix,
               .version = "3.12.1",
               .shared = true,
               .packages = {prefix + "/lib/python3.12/site-packages",
                            "/nix/store/def-python3.12-numpy-1.26.4/lib/python3.12/site-packages"}});
  return host;
}

}  // namespace vrun
