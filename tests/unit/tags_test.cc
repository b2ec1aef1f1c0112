// Which wheels fit: for made-up interpreters, and for those of this machine what their own pip says.

#include "builder/tags.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "fake_host.h"
#include "policy/error.h"
#include "tests/unit/real_pythons.h"

namespace vrun::builder {
namespace {

Interpreter python_of(int minor, std::uint16_t machine = 62) {
  Interpreter python;
  python.version = {.major = 3, .minor = minor};
  python.machine = machine;
  return python;
}

TagFacts glibc(int minor) {
  TagFacts facts;
  facts.glibc = TagFacts::LibraryVersion{2, minor};
  return facts;
}

bool fits(const Interpreter& python, const TagFacts& facts, const std::string& tags) {
  return !find_misfit(*parse_wheel_name("x-1-" + tags + ".whl"), supported_tags(python, facts));
}

TEST(Tags, OfCPython) {
  const Interpreter python = python_of(11);
  const TagFacts facts = glibc(36);
  for (const char* const right :
       {"py3-none-any", "py2.py3-none-any", "py311-none-any", "py30-none-any", "cp311-none-any",
        "cp311-cp311-linux_x86_64", "CP311-cp311-manylinux_2_36_x86_64", "cp311-cp311-manylinux_2_5_x86_64",
        "cp311-cp311-manylinux1_x86_64", "cp311-cp311-manylinux2010_x86_64",
        "cp311-cp311-manylinux_2_99_x86_64.manylinux2014_x86_64", "cp38-abi3-manylinux_2_17_x86_64",
        "cp311-abi3-linux_x86_64", "cp32-abi3-linux_x86_64", "py3-none-linux_x86_64", "cp311-none-linux_x86_64",
        "cp310.cp311-cp310.cp311-manylinux2014_x86_64"})
    EXPECT_TRUE(fits(python, facts, right)) << right;
  for (const char* const wrong :
       {"py2-none-any", "py312-none-any", "cp310-none-any", "cp310-cp310-linux_x86_64", "cp312-abi3-linux_x86_64",
        "cp311-cp311-manylinux_2_37_x86_64", "cp311-cp311-manylinux_2_4_x86_64", "cp311-cp311-manylinux_2_17_aarch64",
        "cp311-cp311-linux_i686", "cp311-cp311-win_amd64", "cp311-cp311-macosx_11_0_x86_64",
        "cp311-cp311-musllinux_1_1_x86_64", "cp311-cp311t-linux_x86_64", "cp311-cp311d-linux_x86_64",
        "pp39-pypy39_pp73-linux_x86_64", "cp31-abi3-linux_x86_64", "cp311-cp311-any"})
    EXPECT_FALSE(fits(python, facts, wrong)) << wrong;
}

TEST(Tags, FollowTheBuild) {
  Interpreter threaded = python_of(13);
  threaded.free_threaded = true;
  EXPECT_TRUE(fits(threaded, glibc(36), "cp313-cp313t-manylinux2014_x86_64"));
  EXPECT_TRUE(fits(threaded, glibc(36), "cp313-none-any"));
  for (const char* const wrong : {"cp313-cp313-linux_x86_64", "cp313-abi3-linux_x86_64", "cp38-abi3-linux_x86_64"})
    EXPECT_FALSE(fits(threaded, glibc(36), wrong)) << wrong;

  Interpreter debug = python_of(12);
  debug.debug = true;
  EXPECT_TRUE(fits(debug, glibc(36), "cp312-cp312d-linux_x86_64"));
  EXPECT_TRUE(fits(debug, glibc(36), "cp312-cp312-linux_x86_64"));

  Interpreter pypy = python_of(9);
  pypy.implementation = Implementation::pypy;
  TagFacts facts = glibc(31);
  facts.pypy_abi = "pypy39_pp73";
  EXPECT_TRUE(fits(pypy, facts, "pp39-pypy39_pp73-manylinux_2_17_x86_64"));
  EXPECT_TRUE(fits(pypy, facts, "pp39-none-any"));
  for (const char* const wrong :
       {"pp39-pypy39_pp74-linux_x86_64", "cp39-abi3-linux_x86_64", "cp39-none-any", "pp310-pypy310_pp73-linux_x86_64"})
    EXPECT_FALSE(fits(pypy, facts, wrong)) << wrong;
}

TEST(Tags, FollowTheMachine) {
  const Interpreter arm = python_of(12, 183);
  EXPECT_TRUE(fits(arm, glibc(28), "cp312-cp312-manylinux_2_17_aarch64"));
  EXPECT_TRUE(fits(arm, glibc(28), "cp312-cp312-manylinux2014_aarch64"));
  EXPECT_FALSE(fits(arm, glibc(28), "cp312-cp312-manylinux2010_aarch64"));
  EXPECT_FALSE(fits(arm, glibc(28), "cp312-cp312-manylinux_2_16_aarch64"));

  TagFacts musl;
  musl.musl = TagFacts::LibraryVersion{1, 2};
  EXPECT_TRUE(fits(python_of(12), musl, "cp312-cp312-musllinux_1_1_x86_64"));
  EXPECT_FALSE(fits(python_of(12), musl, "cp312-cp312-musllinux_1_3_x86_64"));
  EXPECT_FALSE(fits(python_of(12), musl, "cp312-cp312-manylinux2014_x86_64"));

  // A C library that is not known: only what was built for this machine.
  EXPECT_TRUE(fits(python_of(12), {}, "cp312-cp312-linux_x86_64"));
  EXPECT_FALSE(fits(python_of(12), {}, "cp312-cp312-manylinux2014_x86_64"));

  EXPECT_FALSE(fits(python_of(12, 40), glibc(36), "cp312-cp312-manylinux2014_armv7l"));
  Interpreter hard = python_of(12, 40);
  hard.multiarch = "arm-linux-gnueabihf";
  EXPECT_TRUE(fits(hard, glibc(36), "cp312-cp312-manylinux2014_armv7l"));
}

TEST(Tags, NameTheNearest) {
  const auto reason = [](const std::string& tags) {
    return find_misfit(*parse_wheel_name("x-1-" + tags + ".whl"), supported_tags(python_of(11), glibc(36))).value();
  };
  EXPECT_EQ(reason("cp312-cp312-manylinux_2_17_x86_64"),
            "it is for cp312-cp312-manylinux_2_17_x86_64, and the nearest that fits is "
            "cp311-cp311-manylinux_2_17_x86_64");
  EXPECT_EQ(reason("cp311-cp311-manylinux_2_39_x86_64"),
            "it is for cp311-cp311-manylinux_2_39_x86_64, and the nearest that fits is "
            "cp311-cp311-manylinux_2_36_x86_64");
  EXPECT_EQ(reason("cp39.cp310-abi4-win_amd64"),
            "it is for cp39.cp310-abi4-win_amd64, and the nearest that fits is cp39-abi3-manylinux_2_36_x86_64");
  EXPECT_EQ(reason("py2-none-any"), "it is for py2-none-any, and the nearest that fits is py311-none-any");
}

/// The lines that a program writes to standard output.
std::vector<std::string> lines_of(const std::vector<std::string>& command) {
  std::istringstream text(output_of(command));
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

TEST(Tags, AreThoseOfEveryPythonHere) {
  const Root root = Root::system();
  int compared = 0;
  for (const std::string& path : pythons_of_this_machine()) {
    std::optional<Interpreter> python;
    try {
      python = read_interpreter(root, path);
    } catch (const Error&) {
      continue;  // too old for vbuild
    }
    const auto expected = lines_of({path, "-B", "-c",
                                    "from pip._internal.utils.compatibility_tags import get_supported\n"
                                    "print(*get_supported(), sep='\\n')"});
    if (expected.empty()) continue;  // without pip
    EXPECT_EQ(supported_tags(*python, read_tag_facts(root, *python)), expected) << path;
    ++compared;
  }
  RecordProperty("compared", compared);
  if (compared == 0) GTEST_SKIP() << "no Python with pip here";
}

}  // namespace
}  // namespace vrun::builder
