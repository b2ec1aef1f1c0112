#include "policy/interpreter.h"

#include <elf.h>
#include <gtest/gtest.h>

#include "tests/unit/fake_host.h"

namespace vrun {
namespace {

using Links = std::vector<Link>;

std::string refusal(const FakeHost& host, std::string_view path) {
  return message_of([&] { read_interpreter(host.root(), path); });
}

TEST(PythonVersion, IsOrderedAndPrinted) {
  const PythonVersion final_release{.major = 3, .minor = 13, .micro = 1};
  const PythonVersion candidate{.major = 3, .minor = 13, .micro = 1, .level = 'c', .serial = 2};
  EXPECT_LT(candidate, final_release);
  EXPECT_EQ(candidate.text(), "3.13.1");
  EXPECT_EQ(candidate.minor_text(), "3.13");
}

TEST(ReadInterpreter, Debian) {
  const FakeHost host = FakeHost::debian();
  const Interpreter python = read_interpreter(host.root(), "/usr/bin/python3");
  EXPECT_EQ(python.executable, "/usr/bin/python3");
  EXPECT_EQ(python.real_executable, "/usr/bin/python3.11");
  EXPECT_EQ(python.links, (Links{{"/usr/bin/python3", "python3.11"}}));
  EXPECT_EQ(python.identity, host.root().resolve("/usr/bin/python3.11").identity());
  EXPECT_EQ(python.implementation, Implementation::cpython);
  EXPECT_EQ(python.version, (PythonVersion{.major = 3, .minor = 11, .micro = 2}));
  EXPECT_FALSE(python.free_threaded);
  EXPECT_FALSE(python.debug);
  EXPECT_TRUE(python.is_64bit);
  EXPECT_EQ(python.machine, kNativeMachine);
  EXPECT_EQ(python.prefix, "/usr");
  EXPECT_EQ(python.platlibdir, "lib");
  EXPECT_EQ(python.stdlib, "/usr/lib/python3.11");
  EXPECT_EQ(python.multiarch, kNativeMultiarch);
  EXPECT_EQ(python.libpython, "");
  EXPECT_EQ(python.wheel_directory, "/usr/share/python-wheels");
  EXPECT_TRUE(python.debian_layout);
  EXPECT_EQ(python.library_name(), "python3.11");
  EXPECT_EQ(python.cache_tag(), "cpython-311");
}

TEST(ReadInterpreter, BuildConfigurationIsReadOnlyWhenAskedFor) {
  const FakeHost host = FakeHost::debian();
  EXPECT_EQ(read_interpreter(host.root(), "/usr/bin/python3", BuildConfiguration::skip).wheel_directory, "");
}

TEST(ReadInterpreter, WheelDirectoryThatIsNotSetIsEmpty) {
  const FakeHost host = FakeHost::arch();
  EXPECT_EQ(read_interpreter(host.root(), "/usr/bin/python3").wheel_directory, "");
}

TEST(ReadInterpreter, MergedBinLeadsIntoUsr) {
  const FakeHost host = FakeHost::debian();
  const Interpreter python = read_interpreter(host.root(), "/bin/python3");
  EXPECT_EQ(python.executable, "/usr/bin/python3");
  EXPECT_EQ(python.prefix, "/usr");
  EXPECT_EQ(python.links, (Links{{"/bin", "usr/bin"}, {"/usr/bin/python3", "python3.11"}}));
}

TEST(ReadInterpreter, FedoraHasItsLibraryInLib64) {
  const FakeHost host = FakeHost::fedora();
  const Interpreter python = read_interpreter(host.root(), "/usr/bin/python3");
  EXPECT_EQ(python.stdlib, "/usr/lib64/python3.13");
  EXPECT_EQ(python.platlibdir, "lib64");
  EXPECT_EQ(python.prefix, "/usr");
  EXPECT_EQ(python.libpython, "/usr/lib64/libpython3.13.so.1.0");
  EXPECT_FALSE(python.debian_layout);
}

TEST(ReadInterpreter, WhereLib64IsALinkItsNameIsLib) {
  const FakeHost host = FakeHost::arch();
  const Interpreter python = read_interpreter(host.root(), "/usr/bin/python");
  EXPECT_EQ(python.stdlib, "/usr/lib/python3.12");
  EXPECT_EQ(python.platlibdir, "lib");
}

TEST(ReadInterpreter, Musl) {
  const FakeHost host = FakeHost::alpine();
  EXPECT_EQ(read_interpreter(host.root(), "/usr/bin/python3").multiarch, "x86_64-linux-musl");
}

TEST(ReadInterpreter, FreeThreaded) {
  const FakeHost host = FakeHost::uv_managed();
  const Interpreter python = read_interpreter(
      host.root(), "/home/me/.local/share/uv/python/cpython-3.13.0+freethreaded-linux-x86_64-gnu/bin/python3.13t");
  EXPECT_TRUE(python.free_threaded);
  EXPECT_EQ(python.library_name(), "python3.13t");
  EXPECT_EQ(python.cache_tag(), "cpython-313");
}

TEST(ReadInterpreter, LibraryFoundFromWhereTheProgramIs) {
  FakeElf library;
  library.strings = {".cpython-312-x86_64-linux-gnu.so"};
  library.python_version = 0x030c01f0;
  FakeElf program;
  program.needed = {"libpython3.12.so.1.0"};
  const auto from_program = [&](const char* runpath) {
    FakeHost host;
    program.runpath = runpath;
    host.file("/opt/p/bin/python3", fake_elf(program), 0755).file("/opt/p/lib/python3.12/os.py");
    host.file("/opt/p/lib/libpython3.12.so.1.0", fake_elf(library));
    host.file("/opt/p/bin/sub/libpython3.12.so.1.0", fake_elf(library));
    const Interpreter python = read_interpreter(host.root(), "/opt/p/bin/python3");
    return python.libpython + " " + python.libpython_from_program;
  };
  EXPECT_EQ(from_program("$ORIGIN/../lib"), "/opt/p/lib/libpython3.12.so.1.0 ../lib/libpython3.12.so.1.0");
  EXPECT_EQ(from_program("/gone:${ORIGIN}/../lib"), "/opt/p/lib/libpython3.12.so.1.0 ../lib/libpython3.12.so.1.0");
  EXPECT_EQ(from_program("$ORIGIN//sub/"), "/opt/p/bin/sub/libpython3.12.so.1.0 sub/libpython3.12.so.1.0");
  // The loader takes the first one; an absolute path holds from everywhere.
  EXPECT_EQ(from_program("/opt/p/lib:$ORIGIN/sub"), "/opt/p/lib/libpython3.12.so.1.0 ");
  EXPECT_EQ(from_program("$ORIGIN/none:/opt/p/lib"), "/opt/p/lib/libpython3.12.so.1.0 ");
}

TEST(ReadInterpreter, PreReleases) {
  FakeHost host;
  host.python({.version = "3.14.0a7"});
  EXPECT_EQ(read_interpreter(host.root(), "/usr/bin/python3").version,
            (PythonVersion{.major = 3, .minor = 14, .micro = 0, .level = 'a', .serial = 7}));
  FakeHost old;
  old.python({.version = "3.10.0rc2"});
  EXPECT_EQ(read_interpreter(old.root(), "/usr/bin/python3").version,
            (PythonVersion{.major = 3, .minor = 10, .micro = 0, .level = 'c', .serial = 2}));
}

TEST(ReadInterpreter, OldVersionIsTheTailOfAString) {
  FakeHost host;
  host.python({.version = "3.9.18"});
  FakeElf program;
  program.strings = {".cpython-39-x86_64-linux-gnu.so", "/home/me/.pyenv/versions/3.9.18", "3.9.18 is old", "13.9.7"};
  host.file("/usr/bin/python3.9", fake_elf(program), 0755);
  EXPECT_EQ(read_interpreter(host.root(), "/usr/bin/python3").version.text(), "3.9.18");
}

TEST(ReadInterpreter, AmbiguousOldVersionIsSettledByTheHeaders) {
  FakeHost host;
  host.python({.version = "3.9.18"});
  FakeElf program;
  program.strings = {".cpython-39-x86_64-linux-gnu.so", "/opt/3.9.2", "3.9.18"};
  host.file("/usr/bin/python3.9", fake_elf(program), 0755);
  host.file("/usr/include/python3.9/patchlevel.h", "#define PY_VERSION_HEX 1\n#define PY_VERSION      \t\"3.9.18+\"\n");
  EXPECT_EQ(read_interpreter(host.root(), "/usr/bin/python3").version.text(), "3.9.18");
}

TEST(ReadInterpreter, LinkedTreeKeepsItsName) {
  const FakeHost host = FakeHost::homebrew();
  const Interpreter python = read_interpreter(host.root(), "/home/linuxbrew/.linuxbrew/opt/python@3.12/bin/python3.12");
  EXPECT_EQ(python.executable, "/home/linuxbrew/.linuxbrew/opt/python@3.12/bin/python3.12");
  EXPECT_EQ(python.prefix, "/home/linuxbrew/.linuxbrew/opt/python@3.12");
  EXPECT_EQ(python.real_executable, "/home/linuxbrew/.linuxbrew/Cellar/python@3.12/3.12.1/bin/python3.12");
}

TEST(ReadInterpreter, LinkToTheProgramAloneIsFollowed) {
  const FakeHost host = FakeHost::homebrew();
  const Interpreter python = read_interpreter(host.root(), "/home/linuxbrew/.linuxbrew/bin/python3");
  EXPECT_EQ(python.executable, "/home/linuxbrew/.linuxbrew/Cellar/python@3.12/3.12.1/bin/python3");
  EXPECT_EQ(python.prefix, "/home/linuxbrew/.linuxbrew/Cellar/python@3.12/3.12.1");
}

TEST(ReadInterpreter, LinkInAnotherTreeOfTheSameVersionIsFollowed) {
  FakeHost host = FakeHost::debian();
  host.python({.prefix = "/opt/p"}).link("/usr/local/bin/python3", "/opt/p/bin/python3.11");
  const Interpreter python = read_interpreter(host.root(), "/usr/local/bin/python3");
  EXPECT_EQ(python.prefix, "/opt/p");
  EXPECT_EQ(python.executable, "/opt/p/bin/python3.11");
}

TEST(ReadInterpreter, UvMinorVersionLinkIsATree) {
  const FakeHost host = FakeHost::uv_managed();
  const std::string alias = "/home/me/.local/share/uv/python/cpython-3.12-linux-x86_64-gnu";
  EXPECT_EQ(read_interpreter(host.root(), alias + "/bin/python3.12").prefix, alias);
}

TEST(ReadInterpreter, PyenvShimStandsForTheGlobalVersion) {
  FakeHost host = FakeHost::pyenv();
  EXPECT_EQ(read_interpreter(host.root(), "/home/me/.pyenv/shims/python3").executable,
            "/home/me/.pyenv/versions/3.12.1/bin/python3");
  host.file("/home/me/.pyenv/version", "# mine\n3.10.0\n  \npython-3.9.18  # second\r\n");
  EXPECT_EQ(read_interpreter(host.root(), "/home/me/.pyenv/shims/python3").executable,
            "/home/me/.pyenv/versions/3.9.18/bin/python3");
}

TEST(ReadInterpreter, ShimThatNothingDecidesIsRefused) {
  FakeHost host = FakeHost::pyenv();
  const std::string expected =
      "'/home/me/.pyenv/shims/python3' is a shim, and nothing on disk says which interpreter it stands for; "
      "name the interpreter itself";
  host.file("/home/me/.pyenv/version", "system\n../../../usr\n");
  EXPECT_EQ(refusal(host, "/home/me/.pyenv/shims/python3"), expected);
  host.remove("/home/me/.pyenv/version");
  EXPECT_EQ(refusal(host, "/home/me/.pyenv/shims/python3"), expected);
  host.file("/home/me/.local/share/mise/shims/python3", "#!/bin/sh\n", 0755);
  EXPECT_EQ(
      refusal(host, "/home/me/.local/share/mise/shims/python3"),
      "'/home/me/.local/share/mise/shims/python3' is a shim, and nothing on disk says which interpreter it stands "
      "for; name the interpreter itself");
}

TEST(ReadInterpreter, EnvironmentLeadsToItsBase) {
  FakeHost host = FakeHost::debian();
  host.environment("/home/me/env", "/usr/bin/python3");
  const Interpreter python = read_interpreter(host.root(), "/home/me/env/bin/python");
  EXPECT_EQ(python.executable, "/usr/bin/python3");
  EXPECT_EQ(python.links, (Links{{"/home/me/env/bin/python", "python3"},
                                 {"/home/me/env/bin/python3", "/usr/bin/python3"},
                                 {"/usr/bin/python3", "python3.11"}}));
}

TEST(ReadInterpreter, NestedEnvironmentLeadsToTheBaseOfBoth) {
  FakeHost host = FakeHost::debian();
  host.environment("/home/me/outer", "/usr/bin/python3").environment("/home/me/inner", "/home/me/outer/bin/python3");
  EXPECT_EQ(read_interpreter(host.root(), "/home/me/inner/bin/python").executable, "/usr/bin/python3");
}

TEST(ReadInterpreter, CopyInAnEnvironmentLeadsHome) {
  FakeHost host = FakeHost::debian();
  host.environment("/home/me/env", "/usr/bin/python3");
  const std::string program = *host.root().read_file("/usr/bin/python3.11", 1 << 20);
  for (const char* const name : {"python", "python3", "python3.11"})
    host.file(std::string("/home/me/env/bin/") + name, program, 0755);
  // Debian has no /usr/bin/python: the next name is taken.
  EXPECT_EQ(read_interpreter(host.root(), "/home/me/env/bin/python").executable, "/usr/bin/python3");
  EXPECT_EQ(read_interpreter(host.root(), "/home/me/env/bin/python3.11").executable, "/usr/bin/python3.11");
}

TEST(ReadInterpreter, CopyWhoseHomeIsGone) {
  FakeHost host = FakeHost::debian();
  host.environment("/home/me/env", "/usr/bin/python3");
  host.file("/home/me/env/bin/python3", fake_elf({}), 0755);
  host.file("/home/me/env/pyvenv.cfg", "home = /opt/gone/bin\nversion = 3.11.2\n");
  EXPECT_EQ(refusal(host, "/home/me/env/bin/python3"),
            "the interpreter that '/home/me/env' was made from is gone: there is no python3 in '/opt/gone/bin'; "
            "repair it with: vbuild --upgrade '/home/me/env'");
  host.file("/home/me/env/pyvenv.cfg", "home = bin\n");
  EXPECT_EQ(refusal(host, "/home/me/env/bin/python3"),
            "'/home/me/env/pyvenv.cfg' does not say where its interpreter is (no absolute 'home')");
}

TEST(ReadInterpreter, CopyThatCallsItselfHomeIsALoop) {
  FakeHost host = FakeHost::debian();
  host.environment("/home/me/env", "/usr/bin/python3");
  host.file("/home/me/env/bin/python3", fake_elf({}), 0755);
  host.file("/home/me/env/pyvenv.cfg", "home = /home/me/env/bin\n");
  EXPECT_EQ(refusal(host, "/home/me/env/bin/python3"),
            "cannot follow '/home/me/env/bin/python3': ELOOP (Too many levels of symbolic links)");
}

TEST(ReadInterpreter, PyPyIsKnownByItsLibrary) {
  FakeHost host = FakeHost::debian();
  FakeElf program;
  program.needed = {"libpypy3.9-c.so", "libc.so.6"};
  program.runpath = "$ORIGIN/";
  FakeElf library;
  library.data = std::string("13.9.7 (not this)\0", 18) + '\0' + "3.9.16 (7.3.11+dfsg-2, Feb 2023)";
  host.file("/usr/bin/pypy3.9", fake_elf(program), 0755).link("/usr/bin/pypy3", "pypy3.9");
  host.file(std::string("/usr/lib/") + kNativeMultiarch + "/libpypy3.9-c.so", fake_elf(library));
  host.file("/usr/lib/pypy3.9/os.py").file("/usr/lib/pypy3.9/site.py", "dist-packages");
  const Interpreter python = read_interpreter(host.root(), "/usr/bin/pypy3");
  EXPECT_EQ(python.implementation, Implementation::pypy);
  EXPECT_EQ(python.version.text(), "3.9.16");
  EXPECT_EQ(python.library_name(), "pypy3.9");
  EXPECT_EQ(python.cache_tag(), "pypy39");
  EXPECT_EQ(python.multiarch, "");
  EXPECT_EQ(python.stdlib, "/usr/lib/pypy3.9");
  EXPECT_TRUE(python.debian_layout);
}

TEST(ReadInterpreter, RefusesWhatIsNoInterpreter) {
  FakeHost host = FakeHost::debian();
  host.file("/x/empty", "", 0755).file("/x/script", "#!/bin/sh\n", 0755).file("/x/plain", fake_elf({}), 0755);
  host.file("/x/mode", fake_elf({}), 0644).fifo("/x/fifo").directory("/x/dir").link("/x/dangling", "/opt/gone");
  host.link("/x/loop", "loop");
  EXPECT_EQ(refusal(host, "/x/none"), "cannot find '/x/none': ENOENT (No such file or directory)");
  EXPECT_EQ(refusal(host, "/x/dangling"), "cannot find '/x/dangling': ENOENT (No such file or directory)");
  EXPECT_EQ(refusal(host, "/x/loop"), "cannot follow '/x/loop': ELOOP (Too many levels of symbolic links)");
  EXPECT_EQ(refusal(host, "/x/empty"), "'/x/empty' is empty, not a program");
  EXPECT_EQ(refusal(host, "/x/script"), "'/x/script' is a script, not an ELF program");
  EXPECT_EQ(refusal(host, "/x/fifo"), "'/x/fifo' is not a regular file");
  EXPECT_EQ(refusal(host, "/x/dir"), "'/x/dir' is not a regular file");
  EXPECT_EQ(refusal(host, "/x/mode"), "'/x/mode' is not executable");
  EXPECT_EQ(refusal(host, "/x/plain"),
            "'/x/plain' is not a Python interpreter; name the interpreter itself, not a wrapper of it");
}

TEST(ReadInterpreter, RefusesAnotherMachine) {
  FakeHost host;
  const std::uint16_t other = kNativeMachine == EM_AARCH64 ? EM_X86_64 : EM_AARCH64;
  host.python({.machine = other});
  EXPECT_EQ(refusal(host, "/usr/bin/python3"), "'/usr/bin/python3.11' is a program for " + machine_name(other) +
                                                   ", this machine is " + machine_name(kNativeMachine));
}

TEST(ReadInterpreter, RefusesWhatIsTooOld) {
  FakeHost host;
  host.python({.version = "3.7.16"});
  EXPECT_EQ(refusal(host, "/usr/bin/python3"),
            "'/usr/bin/python3.7' is Python 3.7, and the oldest that is supported is 3.8");
}

TEST(ReadInterpreter, RefusesContradictions) {
  FakeHost host;
  host.python({});
  FakeElf program;
  program.python_version = 0x030C01F0;
  program.strings = {".cpython-311-x86_64-linux-gnu.so"};
  host.file("/usr/bin/python3.11", fake_elf(program), 0755);
  EXPECT_EQ(refusal(host, "/usr/bin/python3"), "'/usr/bin/python3.11' says that it is Python 3.12 and 3.11");
}

TEST(ReadInterpreter, RefusesWhatHasNoLibrary) {
  FakeHost host;
  host.python({.shared = true}).remove("/usr/lib/python3.11/os.py");
  EXPECT_EQ(refusal(host, "/usr/bin/python3"),
            "cannot find the standard library (lib/python3.11/os.py) of '/usr/bin/python3.11'");
  host.remove("/usr/lib/libpython3.11.so.1.0");
  EXPECT_EQ(refusal(host, "/usr/bin/python3"),
            "cannot find the library 'libpython3.11.so.1.0' of '/usr/bin/python3.11'");
}

TEST(ReadInterpreter, CompiledLandmarkWillDo) {
  FakeHost host;
  host.python({}).remove("/usr/lib/python3.11/os.py").file("/usr/lib/python3.11/os.pyc");
  EXPECT_EQ(read_interpreter(host.root(), "/usr/bin/python3").stdlib, "/usr/lib/python3.11");
}

}  // namespace
}  // namespace vrun
