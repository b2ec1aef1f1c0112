#include "builder/discovery.h"

#include <gtest/gtest.h>

#include <map>

#include "fake_host.h"
#include "policy/error.h"

namespace vrun::builder {
namespace {

using Variables = std::map<std::string, std::string>;

SearchContext context(Variables variables, const std::string& working_directory = "/home/me") {
  variables.emplace("HOME", "/home/me");
  variables.emplace("PATH", "/usr/local/bin:/usr/bin:/bin");
  return {.working_directory = working_directory, .variable = [variables](const char* name) {
            const auto found = variables.find(name);
            return found == variables.end() ? std::string() : found->second;
          }};
}

std::string find(const FakeHost& host, const std::string& spec, const Variables& variables = {},
                 const std::string& working_directory = "/home/me") {
  try {
    return find_python(host.root(), context(variables, working_directory), spec);
  } catch (const Error& error) {
    return std::string("error: ") + error.what();
  }
}

const Variables kPyenvPath{{"PATH", "/home/me/.pyenv/shims:/usr/bin"}};
const std::string kPyenv = "/home/me/.pyenv/versions/";

TEST(Discovery, TakesThePython3OfPath) {
  const FakeHost host = FakeHost::debian();
  EXPECT_EQ(find(host, ""), "/usr/bin/python3");
  EXPECT_EQ(find(host, "python3.11"), "/usr/bin/python3.11");
  EXPECT_EQ(find(host, "", {{"PATH", "/nowhere"}}).substr(0, 6), "error:");
  EXPECT_EQ(find(host, "", {{"PATH", "/nowhere::relative:/usr/bin"}}), "/usr/bin/python3");
}

TEST(Discovery, TakesPaths) {
  FakeHost host = FakeHost::debian();
  host.environment("/home/me/env", "/usr/bin/python3");
  EXPECT_EQ(find(host, "/usr/bin/python3"), "/usr/bin/python3");
  EXPECT_EQ(find(host, "../../usr/bin/python3"), "/usr/bin/python3");
  EXPECT_EQ(find(host, "./env"), "/home/me/env/bin/python3");
  EXPECT_EQ(find(host, "env"), "/home/me/env/bin/python3");
  EXPECT_EQ(find(host, "/usr"), "/usr/bin/python3");
  EXPECT_EQ(find(host, "/etc").substr(0, 6), "error:");
}

TEST(Discovery, FindsVersions) {
  const FakeHost host = FakeHost::pyenv();
  EXPECT_EQ(find(host, "3.11"), "/usr/bin/python3");
  EXPECT_EQ(find(host, "3.9"), kPyenv + "3.9.18/bin/python3");
  EXPECT_EQ(find(host, "3.12.1"), kPyenv + "3.12.1/bin/python3");
  EXPECT_EQ(find(host, ">=3.12"), kPyenv + "3.12.1/bin/python3");
  EXPECT_EQ(find(host, "<3.10"), kPyenv + "3.9.18/bin/python3");
  EXPECT_EQ(find(host, "cpython3.9"), kPyenv + "3.9.18/bin/python3");
  EXPECT_NE(find(host, "3.7").find("cannot find a Python that is '3.7'"), std::string::npos);
  EXPECT_EQ(find(host, "pypy3.9").substr(0, 6), "error:");
  EXPECT_NE(find(host, "nonsense").find("cannot understand"), std::string::npos);
}

TEST(Discovery, LooksWhereEveryManagerInstalls) {
  const std::vector<std::string> prefixes{"/home/me/.pyenv/versions/3.12.1",
                                          "/data/pyenv/versions/3.12.1",
                                          "/home/me/.local/share/uv/python/cpython-3.12.1-linux-x86_64-gnu",
                                          "/data/uv/cpython-3.12.1-linux-x86_64-gnu",
                                          "/home/me/.local/share/mise/installs/python/3.12.1",
                                          "/data/mise/installs/python/3.12.1",
                                          "/home/me/.asdf/installs/python/3.12.1",
                                          "/data/asdf/installs/python/3.12.1",
                                          "/home/me/miniforge3",
                                          "/home/me/micromamba/envs/some",
                                          "/opt/conda",
                                          "/opt/miniconda3/envs/some",
                                          "/data/conda",
                                          "/data/conda/envs/some",
                                          "/data/mamba/envs/some",
                                          "/home/me/.conda/envs/some",
                                          "/data/listed",
                                          "/usr/local",
                                          "/home/linuxbrew/.linuxbrew",
                                          "/opt/python-3.12"};
  const Variables variables{{"PATH", "/usr/bin"},
                            {"PYENV_ROOT", "/data/pyenv"},
                            {"UV_PYTHON_INSTALL_DIR", "/data/uv"},
                            {"MISE_DATA_DIR", "/data/mise"},
                            {"ASDF_DATA_DIR", "/data/asdf"},
                            {"CONDA_EXE", "/data/conda/bin/conda"},
                            {"MAMBA_ROOT_PREFIX", "/data/mamba"}};
  FakeHost host = FakeHost::debian();
  for (const std::string& prefix : prefixes) {
    EXPECT_EQ(find(host, "3.12", variables).substr(0, 6), "error:");
    host.file("/home/me/.conda/environments.txt", "/nowhere\n\nrelative\n/data/listed\n");
    host.python({.prefix = prefix, .version = "3.12.1"});
    const bool named = prefix.starts_with("/data/") && prefix != "/data/listed";
    for (const char* const spec : {"3.12", ">=3.12"}) {
      const std::string found = find(host, spec, named ? variables : Variables{{"PATH", "/usr/bin"}});
      EXPECT_EQ(found.substr(0, found.rfind('/')), prefix + "/bin") << spec;
    }
    host.remove(prefix);
  }
}

TEST(Discovery, TellsFreeThreadedBuildsApart) {
  const FakeHost host = FakeHost::uv_managed();
  EXPECT_NE(find(host, "3.13t").find("/home/me/.local/share/uv/python/"), std::string::npos) << find(host, "3.13t");
  EXPECT_EQ(find(host, "3.13").substr(0, 6), "error:") << find(host, "3.13");
}

TEST(Discovery, ResolvesShimsWithoutRunningThem) {
  FakeHost host = FakeHost::pyenv();
  EXPECT_EQ(find(host, "", kPyenvPath), kPyenv + "3.12.1/bin/python3") << "the user's choice";
  Variables variables = kPyenvPath;
  variables["PYENV_VERSION"] = "3.9.18";
  EXPECT_EQ(find(host, "", variables), kPyenv + "3.9.18/bin/python3");
  variables["PYENV_VERSION"] = "3.9";
  EXPECT_EQ(find(host, "", variables), kPyenv + "3.9.18/bin/python3") << "a prefix of a version";
  variables["PYENV_VERSION"] = "system";
  EXPECT_EQ(find(host, "", variables), "/usr/bin/python3");
  variables["PYENV_VERSION"] = "3.6.1";
  EXPECT_NE(find(host, "", variables).find("cannot tell which interpreter"), std::string::npos);
  variables["PYENV_VERSION"] = "../../../../usr";
  EXPECT_EQ(find(host, "", variables).substr(0, 6), "error:");
  host.file("/home/me/project/.python-version", "# mine\n3.9.18\n");
  EXPECT_EQ(find(host, "", kPyenvPath, "/home/me/project"), kPyenv + "3.9.18/bin/python3");
}

TEST(Discovery, ResolvesShimsOfMiseAndAsdf) {
  FakeHost host = FakeHost::debian();
  host.python({.prefix = "/home/me/.asdf/installs/python/3.12.1", .version = "3.12.1"});
  host.file("/home/me/.asdf/shims/python3", "#!/bin/sh\n", 0755);
  const Variables path{{"PATH", "/home/me/.asdf/shims:/usr/bin"}};
  EXPECT_EQ(find(host, "", path).substr(0, 6), "error:") << "nothing is chosen";
  host.file("/home/me/p/.tool-versions", "nodejs 20\npython 3.12.1\n");
  EXPECT_EQ(find(host, "", path, "/home/me/p"), "/home/me/.asdf/installs/python/3.12.1/bin/python3");
  host.file("/home/me/q/mise.toml", "[tools]\npython = \"3.12\"\n");
  EXPECT_EQ(find(host, "", path, "/home/me/q"), "/home/me/.asdf/installs/python/3.12.1/bin/python3");
}

}  // namespace
}  // namespace vrun::builder
