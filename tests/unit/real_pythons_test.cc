// Facts read from files must be what each Python of this machine says of itself.

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "policy/environment.h"
#include "policy/interpreter.h"
#include "tests/unit/fake_host.h"
#include "tests/unit/real_pythons.h"

namespace vrun {
namespace {

std::map<std::string, std::string> ask(const std::string& python) {
  const std::string text = output_of({python, "-I", "-S", "-B", "-c", R"(
import os, sys
v = sys.version_info
print('version', '%d.%d.%d %s %d' % (v[0], v[1], v[2], {'alpha': 'a', 'beta': 'b', 'candidate': 'c', 'final': 'f'}[v[3]], v[4]))
print('base_prefix', sys.base_prefix)
print('platlibdir', getattr(sys, 'platlibdir', 'lib'))
print('stdlib', os.path.dirname(os.__file__))
print('abiflags', sys.abiflags or '-')
print('64bit', sys.maxsize > 2**32)
print('multiarch', getattr(sys.implementation, '_multiarch', '') or '-')
print('cache_tag', sys.implementation.cache_tag)
print('implementation', sys.implementation.name)
import site, sysconfig
print('wheels', os.path.normpath(sysconfig.get_config_var('WHEEL_PKG_DIR') or '-'))
print('debian', any('dist-packages' in path for path in site.getsitepackages()))
with open('/proc/self/maps') as maps:
    mapped = {line.split()[-1] for line in maps}
print('libpython', next((path for path in mapped if os.path.basename(path).startswith(('libpython3.', 'libpypy3.'))), '-'))
)"});
  std::map<std::string, std::string> facts;
  std::size_t start = 0;
  while (start < text.size()) {
    const std::size_t end = text.find('\n', start);
    const std::size_t space = text.find(' ', start);
    facts[text.substr(start, space - start)] = text.substr(space + 1, end - space - 1);
    start = end + 1;
  }
  return facts;
}

// The text of a pyvenv.cfg that is accepted has the meaning that every CPython gives it. The first line, `home`, comes
// from the test.
TEST(RealPythons, AgreeAboutPyvenvConfigs) {
  const std::vector<std::string> paths = pythons_of_this_machine();
  if (paths.empty()) GTEST_SKIP() << "no Python 3.8 or later in /usr/bin, /usr/local/bin or ~/.pyenv/versions";
  const std::vector<std::string> texts{
      "",
      "include-system-site-packages = false\n",
      "include-system-site-packages=false",
      "Include-System-Site-Packages\t=\t TRUE \t\r\n",
      "include-system-site-packages = 1\n",
      "include-system-site-packages = true # no\n",
      "#include-system-site-packages = false\n",
      " include-system-site-packages = false\n",
      "include-system-site-packages false\n[x]\n",
      "include-system-site-packages = \n",
      "x = \"\ninclude-system-site-packages = false\n",
  };
  const std::string query =
      "import site, sys; print(sys.prefix != sys.base_prefix, sys.base_prefix, sys.base_prefix in site.PREFIXES)";
  FakeHost host;  // a private directory; the environments in it are real
  for (const std::string& path : paths) {
    const Interpreter base = read_interpreter(Root::system(), path);
    const std::string environment = "/" + base_name(path);
    host.directory(environment + "/lib/" + base.library_name() + "/site-packages");
    host.link(environment + "/bin/python", path);
    for (const std::string& text : texts) {
      SCOPED_TRACE(path + "\n" + text);
      const std::string whole = "home = " + parent_path(path) + "\n" + text;
      host.file(environment + "/pyvenv.cfg", whole);
      const PyvenvConfig config = parse_pyvenv_config(whole, "pyvenv.cfg");
      EXPECT_EQ(output_of({host.on_disk(environment + "/bin/python"), "-I", "-B", "-c", query}),
                "True " + base.prefix + (config.include_system_site_packages ? " True\n" : " False\n"));
    }
  }
}

TEST(RealPythons, SayOfThemselvesWhatIsReadFromTheirFiles) {
  const std::vector<std::string> paths = pythons_of_this_machine();
  if (paths.empty()) GTEST_SKIP() << "no Python 3.8 or later in /usr/bin, /usr/local/bin or ~/.pyenv/versions";
  for (const std::string& path : paths) {
    SCOPED_TRACE(path);
    const std::map<std::string, std::string> said = ask(path);
    ASSERT_FALSE(said.empty()) << "it does not run";
    const Interpreter read = read_interpreter(Root::system(), path);
    EXPECT_EQ(read.version.text() + " " + read.version.level + " " + std::to_string(read.version.serial),
              said.at("version"));
    EXPECT_EQ(read.prefix, said.at("base_prefix"));
    EXPECT_EQ(read.platlibdir, said.at("platlibdir"));
    EXPECT_EQ(read.stdlib, said.at("stdlib"));
    const std::string flags = std::string(read.free_threaded ? "t" : "") + (read.debug ? "d" : "");
    EXPECT_EQ(flags.empty() ? "-" : flags, said.at("abiflags"));
    EXPECT_EQ(read.is_64bit ? "True" : "False", said.at("64bit"));
    const bool pypy = read.implementation == Implementation::pypy;
    if (!pypy) {  // PyPy's is read by nobody
      EXPECT_EQ(read.multiarch.empty() ? "-" : read.multiarch, said.at("multiarch"));
    }
    EXPECT_EQ(pypy ? "pypy" : "cpython", said.at("implementation"));
    EXPECT_EQ(read.wheel_directory.empty() ? "-" : read.wheel_directory, pypy ? "-" : said.at("wheels"));
    EXPECT_EQ(read.debian_layout ? "True" : "False", said.at("debian"));
    EXPECT_EQ(read.libpython.empty() ? "-" : read.libpython, said.at("libpython"));
    EXPECT_EQ(read.cache_tag(), said.at("cache_tag"));
  }
}

}  // namespace
}  // namespace vrun
