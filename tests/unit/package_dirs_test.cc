#include "policy/package_dirs.h"

#include <gtest/gtest.h>

#include "tests/unit/fake_host.h"

namespace vrun {
namespace {

using Paths = std::vector<std::string>;

Paths of(const FakeHost& host, std::string_view python) {
  return find_package_directories(host.root(), read_interpreter(host.root(), python));
}

TEST(PackageDirectories, Debian) {
  const FakeHost host = FakeHost::debian();
  const Paths expected{"/usr/lib/python3.11/dist-packages", "/usr/lib/python3/dist-packages",
                       "/usr/local/lib/python3.11/dist-packages"};
  EXPECT_EQ(of(host, "/usr/bin/python3"), expected);
  EXPECT_EQ(find_package_directories_below(host.root(), "/usr"), expected);
}

TEST(PackageDirectories, Fedora) {
  const FakeHost host = FakeHost::fedora();
  const Paths expected{"/usr/lib/python3.13/site-packages", "/usr/lib64/python3.13/site-packages",
                       "/usr/local/lib/python3.13/site-packages", "/usr/local/lib64/python3.13/site-packages"};
  EXPECT_EQ(of(host, "/usr/bin/python3"), expected);
  EXPECT_EQ(find_package_directories_below(host.root(), "/usr"), expected);
}

TEST(PackageDirectories, ArchCountsItsLinkedLib64Once) {
  const FakeHost host = FakeHost::arch();
  const Paths expected{"/usr/lib/python3.12/site-packages"};
  EXPECT_EQ(of(host, "/usr/bin/python3"), expected);
  EXPECT_EQ(find_package_directories_below(host.root(), "/usr"), expected);
}

TEST(PackageDirectories, Alpine) {
  const FakeHost host = FakeHost::alpine();
  EXPECT_EQ(of(host, "/usr/bin/python3"), (Paths{"/usr/lib/python3.12/site-packages"}));
}

TEST(PackageDirectories, PyenvHasOneSetAVersion) {
  FakeHost host = FakeHost::pyenv();
  const std::string prefix = "/home/me/.pyenv/versions/3.12.1";
  host.environment(prefix + "/envs/other", prefix + "/bin/python3", "3.12.1");
  EXPECT_EQ(of(host, prefix + "/bin/python3"), (Paths{prefix + "/lib/python3.12/site-packages"}));
  EXPECT_EQ(find_package_directories_below(host.root(), prefix),
            (Paths{prefix + "/envs", prefix + "/lib/python3.12/site-packages"}));
}

TEST(PackageDirectories, CondaKeepsEnvironmentsAndPackagesBesideTheLibrary) {
  const FakeHost host = FakeHost::conda();
  const std::string prefix = "/home/me/miniconda3";
  EXPECT_EQ(of(host, prefix + "/bin/python"), (Paths{prefix + "/lib/python3.12/site-packages"}));
  EXPECT_EQ(find_package_directories_below(host.root(), prefix),
            (Paths{prefix + "/envs", prefix + "/lib/python3.12/site-packages", prefix + "/pkgs"}));
  EXPECT_EQ(of(host, prefix + "/envs/data/bin/python"), (Paths{prefix + "/envs/data/lib/python3.12/site-packages"}));
}

TEST(PackageDirectories, UvManaged) {
  const FakeHost host = FakeHost::uv_managed();
  const std::string store = "/home/me/.local/share/uv/python/";
  EXPECT_EQ(of(host, store + "cpython-3.12-linux-x86_64-gnu/bin/python3"),
            (Paths{store + "cpython-3.12.1-linux-x86_64-gnu/lib/python3.12/site-packages"}));
  EXPECT_EQ(of(host, store + "cpython-3.13.0+freethreaded-linux-x86_64-gnu/bin/python3"),
            (Paths{store + "cpython-3.13.0+freethreaded-linux-x86_64-gnu/lib/python3.13t/site-packages"}));
}

TEST(PackageDirectories, HomebrewHasThemOutsideOfTheCellarToo) {
  const FakeHost host = FakeHost::homebrew();
  const std::string brew = "/home/linuxbrew/.linuxbrew";
  const Paths expected{brew + "/Cellar/numpy/1.26.4/lib/python3.12/site-packages",
                       brew + "/lib/python3.12/site-packages"};
  EXPECT_EQ(of(host, brew + "/bin/python3.12"), expected);
  EXPECT_EQ(of(host, brew + "/opt/python@3.12/bin/python3.12"), expected);
}

TEST(PackageDirectories, PyPyOnDebian) {
  FakeHost host = FakeHost::debian();
  for (const char* const path : {"/usr/lib/pypy3.9/dist-packages", "/usr/local/lib/pypy3.9/dist-packages"})
    host.directory(path);
  Interpreter pypy;
  pypy.implementation = Implementation::pypy;
  pypy.version = {.major = 3, .minor = 9, .micro = 16};
  pypy.prefix = "/usr";
  pypy.stdlib = "/usr/lib/pypy3.9";
  EXPECT_EQ(find_package_directories(host.root(), pypy),
            (Paths{"/usr/lib/pypy3.9/dist-packages", "/usr/lib/python3/dist-packages",
                   "/usr/local/lib/pypy3.9/dist-packages"}));
}

TEST(PackageDirectories, EveryPythonBelowUsrIsFound) {
  FakeHost host = FakeHost::debian();
  host.python({.prefix = "/usr/local", .version = "3.12.1"});
  host.python({.prefix = "/usr/local/miniconda3", .version = "3.10.13"}).directory("/usr/local/miniconda3/conda-meta");
  host.directory("/usr/local/miniconda3/pkgs").directory("/usr/lib/pypy3.9/dist-packages");
  host.directory("/usr/lib32/python3.11/site-packages").directory("/usr/lib/python2.7/dist-packages");
  host.directory("/usr/lib/python-exec").directory("/usr/lib/pythonic").file("/usr/lib/python-file");
  EXPECT_EQ(
      find_package_directories_below(host.root(), "/usr"),
      (Paths{"/usr/lib/pypy3.9/dist-packages", "/usr/lib/python2.7/dist-packages", "/usr/lib/python3.11/dist-packages",
             "/usr/lib/python3/dist-packages", "/usr/lib32/python3.11/site-packages",
             "/usr/local/lib/python3.11/dist-packages", "/usr/local/lib/python3.12/site-packages",
             "/usr/local/miniconda3/lib/python3.10/site-packages", "/usr/local/miniconda3/pkgs"}));
}

TEST(PackageDirectories, LinksAreFollowedAndNoneLiesWithinAnother) {
  FakeHost host;
  host.python({}).remove("/usr/lib/python3.11/site-packages").directory("/srv/packages/inner");
  host.link("/usr/lib/python3.11/site-packages", "/srv/packages");
  host.link("/usr/lib/python3.11/dist-packages", "/srv/packages/inner");
  EXPECT_EQ(of(host, "/usr/bin/python3"), (Paths{"/srv/packages"}));
}

TEST(PackageDirectories, WhatIsNoDirectoryIsLeftOut) {
  FakeHost host;
  host.python({}).remove("/usr/lib/python3.11/site-packages").file("/usr/lib/python3.11/site-packages");
  host.link("/usr/lib/python3.11/dist-packages", "gone");
  EXPECT_EQ(of(host, "/usr/bin/python3"), Paths{});
  EXPECT_EQ(find_package_directories_below(host.root(), "/nowhere"), Paths{});
}

TEST(PackageDirectories, StandardLibraryAndWheelsAreNeverAmongThem) {
  for (FakeHost (*const make)() : {FakeHost::debian, FakeHost::fedora, FakeHost::arch, FakeHost::alpine}) {
    const FakeHost host = make();
    const Interpreter python = read_interpreter(host.root(), "/usr/bin/python3");
    for (const std::string& path : find_package_directories_below(host.root(), "/usr")) {
      EXPECT_FALSE(is_within(python.stdlib, path)) << path;
      EXPECT_FALSE(is_within("/usr/share/python-wheels", path)) << path;
    }
  }
}

TEST(UserSite, FollowsTheLibraryName) {
  Interpreter python;
  python.version = {.major = 3, .minor = 13};
  EXPECT_EQ(user_site(python, "/home/me"), "/home/me/.local/lib/python3.13/site-packages");
  python.free_threaded = true;
  EXPECT_EQ(user_site(python, "/home/me"), "/home/me/.local/lib/python3.13t/site-packages");
}

TEST(FindEnvironments, FindsThemWhereverTheyAre) {
  FakeHost host = FakeHost::debian();
  for (const char* const path : {"/p/.venv", "/p/env", "/p/.tox/py311", "/p/.nox/tests", "/p/a/b/c/d/env",
                                 "/p/node_modules/x/env", "/p/env/nested", "/q/linked"})
    host.environment(path, "/usr/bin/python3");
  host.link("/p/link", "/q/linked").link("/p/again", "env").file("/p/setup.py").link("/p/loop", "loop");
  host.directory("/p/vendor/lib/python3.9/site-packages/x").directory("/p/vendor/site-packages/own");
  const EnvironmentSearch search = find_environments(host.root(), "/p", "/p/.venv");
  EXPECT_EQ(search.found,
            (Paths{"/p/.nox/tests", "/p/.tox/py311", "/p/a/b/c/d/env", "/p/env", "/p/node_modules/x/env"}));
  EXPECT_EQ(search.packages, (Paths{"/p/vendor/lib/python3.9/site-packages"}));
  EXPECT_TRUE(search.complete);
  EXPECT_EQ(find_environments(host.root(), "/p/env", "").found, (Paths{"/p/env", "/p/env/nested"}));
  EXPECT_EQ(find_environments(host.root(), "/etc", "").found, Paths{});
  EXPECT_EQ(find_environments(host.root(), "/none", "").found, Paths{});
}

TEST(FindEnvironments, IsNotSwitchedOffByAConfigAboveThem) {
  FakeHost host = FakeHost::debian();
  host.environment("/p/.tox/py", "/usr/bin/python3").environment("/p/.venv", "/usr/bin/python3");
  host.file("/p/pyvenv.cfg");
  EXPECT_EQ(find_environments(host.root(), "/p", "/p/.venv").found, (Paths{"/p", "/p/.tox/py"}));
  host.environment("/p/e/inner", "/usr/bin/python3")
      .environment("/p/e/other", "/usr/bin/python3")
      .file("/p/e/pyvenv.cfg");
  EXPECT_EQ(find_environments(host.root(), "/p", "/p/e/inner").found,
            (Paths{"/p", "/p/.tox/py", "/p/.venv", "/p/e", "/p/e/other"}));
}

TEST(FindEnvironments, StopsAtItsLimitsAndSaysSo) {
  FakeHost host;
  host.directory("/deep/1/2/3/4/5/6");
  EXPECT_FALSE(find_environments(host.root(), "/deep", "").complete);
  host.directory("/level/1/2/3/4/5");
  EXPECT_TRUE(find_environments(host.root(), "/level", "").complete);

  for (int i = 0; i <= kSearchDirectories; ++i) host.directory("/wide/d" + std::to_string(i));
  host.file("/wide/zenv/pyvenv.cfg");
  const EnvironmentSearch wide = find_environments(host.root(), "/wide", "");
  EXPECT_FALSE(wide.complete);
  EXPECT_EQ(wide.found, (Paths{"/wide/zenv"})) << "a usual name comes first";

  // What is beyond the bound is not kept either, and what was found before stays.
  host.file("/wide/d0/env/pyvenv.cfg");
  for (int i = 0; i <= kSearchDirectories; ++i) host.directory("/wide/aenv/d" + std::to_string(i));
  EXPECT_EQ(find_environments(host.root(), "/wide", "").found, (Paths{"/wide/zenv"}));
  EXPECT_FALSE(find_environments(host.root(), "/wide", "").complete);
}

TEST(FindEnvironments, ReadsNoMoreNamesThanItsLimit) {
  FakeHost host;
  for (int i = 0; i < 20; ++i) host.file("/p/f" + std::to_string(i));
  host.directory("/p/a").file("/p/pyvenv.cfg").file("/p/.git");
  std::size_t budget = 30;
  const Root::Listing whole = host.root().list_by_type("/p", {"pyvenv.cfg", ".git"}, budget);
  EXPECT_TRUE(whole.complete);
  EXPECT_EQ(budget, 7U);
  EXPECT_EQ(whole.others, (Paths{".git", "pyvenv.cfg"}));
  EXPECT_EQ(whole.directories, (Paths{"a"}));
  const Root::Listing part = host.root().list_by_type("/p", {"pyvenv.cfg", ".git"}, budget);
  EXPECT_FALSE(part.complete);
  EXPECT_EQ(budget, 0U);
  budget = 23;
  EXPECT_TRUE(host.root().list_by_type("/p", {}, budget).complete) << "exactly as many as there are";
}

}  // namespace
}  // namespace vrun
