#include "builder/bytecode.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "builder/layout.h"
#include "fake_wheel.h"
#include "policy/error.h"

namespace vrun::builder {
namespace {

class Bytecode : public testing::Test {
 protected:
  Bytecode() {
    std::string name = testing::TempDir() + "vbuild-bytecode-XXXXXX";
    directory_ = ::mkdtemp(name.data());
    BytecodeCache::make(cache_path());
    facts_.python.version = {.major = 3, .minor = 15};
    facts_.python.platlibdir = "lib64";
    facts_.base_executable = "/usr/bin/python3";
    facts_.directory = "/srv/env";
    const std::string data = "foo-1.0.data/";
    facts_.wheels.push_back(read_wheel(
        fake_zip({.entries = fake_wheel(
                      "foo", "1.0",
                      {{.name = "foo.py", .content = "1"},
                       {.name = data + "purelib/pure.py", .content = "12"},
                       {.name = data + "platlib/plat/a.py", .content = "123"},
                       {.name = data + "data/lib/python3.15/site-packages/placed.py", .content = "1234"},
                       {.name = data + "data/share/elsewhere.py", .content = "12345"},
                       {.name = "brought.py", .content = "123456"},
                       {.name = data + "purelib/__pycache__/brought.cpython-315.pyc", .content = "its own"}})}),
        "/w/foo-1.0-py3-none-any.whl", WheelUse::given));
    facts_.wheels[0].given = GivenFile{"/w/foo-1.0-py3-none-any.whl", "00ff"};
  }
  ~Bytecode() override { std::filesystem::remove_all(directory_); }

  std::string cache_path() const { return directory_ + "/a/b/cache"; }

  /// As an interpreter leaves it of a source of that size.
  void compiled(const std::string& path, char size) const {
    const std::string full = directory_ + "/env/" + path;
    std::filesystem::create_directories(full.substr(0, full.rfind('/')));
    std::ofstream file(full, std::ios::binary);
    file << std::string(kKind.magic.begin(), kKind.magic.end()) << std::string(8, '\0') << size << std::string(3, '\0')
         << path;
  }

  const BytecodeKind kKind{.tag = "cpython-315", .magic = {'\x2b', '\x0e', '\r', '\n'}};
  std::string directory_;
  BuildFacts facts_;
};

TEST_F(Bytecode, IsKeptOfModulesWhereverTheWheelHasThem) {
  const BuildRequest request;
  const std::vector<UnpackedModule> modules = find_modules(plan_layout(request, facts_), 0, facts_);
  std::vector<std::string> paths;
  paths.reserve(modules.size());
  for (const UnpackedModule& module : modules) paths.push_back(module.path);
  const std::string lib = "lib/python3.15/site-packages/";
  const std::string lib64 = "lib64/python3.15/site-packages/";
  EXPECT_EQ(paths, (std::vector<std::string>{lib + "foo.py", lib + "pure.py", lib64 + "plat/a.py", lib + "placed.py",
                                             lib + "brought.py"}));

  const std::string end = ".cpython-315.pyc";
  compiled(lib + "__pycache__/foo" + end, 1);
  compiled(lib + "__pycache__/pure" + end, 2);
  compiled(lib64 + "plat/__pycache__/a" + end, 3);
  compiled(lib + "__pycache__/placed" + end, 4);
  compiled(lib + "__pycache__/brought" + end, 6);
  const BytecodeCache cache(cache_path());
  cache.store(facts_.wheels[0], kKind, Tree(Root::system(), directory_ + "/env"), modules);
  facts_.wheels[0].bytecode = cache.find(facts_.wheels[0], kKind);

  const Layout layout = plan_layout(request, facts_);
  std::vector<std::string> planned;
  std::string record;
  for (const Entry& entry : layout.entries) {
    if (const auto* const file = std::get_if<WheelFile>(&entry); file != nullptr && file->path.ends_with(".py"))
      planned.push_back(file->path + ": " + file->bytecode);
    if (const auto* const file = std::get_if<TextFile>(&entry); file != nullptr && file->path.ends_with("RECORD"))
      record = file->content;
  }
  std::sort(planned.begin(), planned.end());
  // What the wheel brings stays.
  EXPECT_EQ(planned, (std::vector<std::string>{lib + "brought.py: ", lib + "foo.py: " + lib + "__pycache__/foo" + end,
                                               lib + "placed.py: " + lib + "__pycache__/placed" + end,
                                               lib + "pure.py: " + lib + "__pycache__/pure" + end,
                                               lib64 + "plat/a.py: " + lib64 + "plat/__pycache__/a" + end,
                                               "share/elsewhere.py: "}));
  for (const std::string& row : {"__pycache__/pure" + end + ",,", "__pycache__/placed" + end + ",,",
                                 "../../../" + lib64 + "plat/__pycache__/a" + end + ",,"})
    EXPECT_NE(("\n" + record).find("\n" + row + "\r\n"), std::string::npos) << row << " in\n" << record;
  EXPECT_EQ(facts_.wheels[0].bytecode->read("foo-1.0.data/purelib/pure.py", 7).substr(16),
            lib + "__pycache__/pure" + end);
}

TEST_F(Bytecode, IsRefusedWhereTheSourceWasAnother) {
  const std::vector<UnpackedModule> modules = find_modules(plan_layout(BuildRequest(), facts_), 0, facts_);
  compiled("lib/python3.15/site-packages/__pycache__/foo.cpython-315.pyc", 2);
  const BytecodeCache cache(cache_path());
  EXPECT_THROW(cache.store(facts_.wheels[0], kKind, Tree(Root::system(), directory_ + "/env"), modules), Error);
  EXPECT_THROW(cache.find(facts_.wheels[0], kKind), Error) << "nothing of it is kept";
}

}  // namespace
}  // namespace vrun::builder
