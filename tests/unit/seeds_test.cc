#include "builder/seeds.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>

#include "builder/trust.h"
#include "fake_host.h"
#include "fake_wheel.h"
#include "policy/error.h"

namespace vrun::builder {
namespace {

class Seeds : public testing::Test {
 protected:
  Seeds() {
    python_.version = {.major = 3, .minor = 11};
    python_.stdlib = "/usr/lib/python3.11";
    python_.executable = "/usr/bin/python3";
    host_.file("/etc/os-release", "NAME=\"Debian\"\nID=debian\n");
    host_.remove("/usr/share/python-wheels");
  }

  /// A wheel that can be read, at a directory and "pip-24.2"; gives its path.
  std::string wheel(const std::string& directory, const std::string& stem, const std::string& requires_python = ">=3.7",
                    mode_t mode = 0644) {
    const std::size_t dash = stem.rfind('-');
    std::string path = directory + "/" + stem + "-py3-none-any.whl";
    host_.file(path,
               fake_zip({.entries = fake_wheel(stem.substr(0, dash), stem.substr(dash + 1),
                                               {{.name = stem.substr(0, dash) + "/a.py", .content = "x"}}, "",
                                               requires_python)}),
               mode);
    return path;
  }

  std::vector<std::string> find(const std::vector<std::string>& specs, const std::string& directory = "") {
    std::vector<Seed> seeds;
    seeds.reserve(specs.size());
    for (const std::string& spec : specs) seeds.push_back(parse_seed(spec).value());
    return find_seed_wheels(host_.root(), python_, seeds,
                            {.directory = directory, .variable = [this](const char* name) {
                               const auto found = variables_.find(name);
                               return found == variables_.end() ? "" : found->second;
                             }});
  }
  std::string first(const std::string& spec, const std::string& directory = "") { return find({spec}, directory)[0]; }

  FakeHost host_ = FakeHost::debian();
  Interpreter python_;
  std::map<std::string, std::string> variables_{{"HOME", "/home/me"}};
  const std::string conventional_ = "/usr/share/python-wheels";
  const std::string bundle_ = "/usr/lib/python3.11/ensurepip/_bundled";
  const std::string house_ = "/home/me/.cache/virtualenv/wheel/house";
};

TEST_F(Seeds, AreThoseOfVenvAndWhatIsAskedFor) {
  const auto names = [](const std::vector<Seed>& seeds) {
    std::vector<std::string> out;
    out.reserve(seeds.size());
    for (const Seed& seed : seeds) out.push_back(seed.text);
    return out;
  };
  EXPECT_EQ(names(default_seeds(python_)), (std::vector<std::string>{"pip", "setuptools"}));
  EXPECT_EQ(names(choose_seeds(default_seeds(python_), {*parse_seed("wheel"), *parse_seed("Pip==24.2")})),
            (std::vector<std::string>{"Pip==24.2", "setuptools", "wheel"}));
  python_.version.minor = 12;
  EXPECT_EQ(names(default_seeds(python_)), std::vector<std::string>{"pip"});
}

TEST_F(Seeds, HaveANameAndMayHaveVersions) {
  for (const char* const text : {"pip", "pip==24.2", "a.b-c_d >= 1, < 2", "x~=1!2.0", "x==1.0+local", "pip==24.*"})
    EXPECT_TRUE(parse_seed(text)) << text;
  for (const char* const text : {"", "-x", "x-", ".", "../pip", "pip 24", "pip=24", "pip==", "pip[extra]", "pip;x",
                                 "pip @ file:///x", "./pip.whl", "pip==24.2\n"})
    EXPECT_FALSE(parse_seed(text)) << text;
  EXPECT_EQ(parse_seed("Ruamel.YAML_x==1")->project, "ruamel-yaml-x");
}

TEST_F(Seeds, AreWhatEnsurepipTakes) {
  const std::string conventional = wheel(conventional_, "pip-23.0.1");
  wheel(conventional_, "setuptools-66.1.1");
  wheel(bundle_, "pip-22.0");
  const std::string named = wheel(bundle_, "pip-21.0");
  host_.file("/usr/lib/python3.11/ensurepip/__init__.py", "_PIP_VERSION = \"21.0\"\n_SETUPTOOLS_VERSION = '60.0'\n");
  wheel("/home/me/w", "pip-9.0");
  const std::string given = wheel("/home/me/w", "pip-10.0");
  const std::vector<std::string> both{"pip", "setuptools"};

  EXPECT_EQ(find(both)[0], conventional) << "setuptools is not bundled";
  EXPECT_EQ(find(both, "/home/me/w")[0], given);
  EXPECT_EQ(find(both, "/home/me/w")[1], conventional_ + "/setuptools-66.1.1-py3-none-any.whl");
  wheel(bundle_, "setuptools-60.0");
  EXPECT_EQ(find(both)[0], named);
  python_.wheel_directory = conventional_ + "/";
  EXPECT_EQ(find(both)[0], conventional);
  // What comes with no Python is taken from wherever it is, and does not change where the others come from.
  const std::string other = wheel(house_, "wheel-0.45.1");
  EXPECT_EQ(find({"pip", "setuptools", "wheel"}),
            (std::vector<std::string>{conventional, conventional_ + "/setuptools-66.1.1-py3-none-any.whl", other}));
}

TEST_F(Seeds, AreOfTheVersionThatIsAskedFor) {
  const std::string conventional = wheel(conventional_, "pip-23.0.1");
  const std::string old = wheel(bundle_, "pip-21.0");
  const std::string bundled = wheel(bundle_, "pip-22.0");
  host_.file("/usr/lib/python3.11/ensurepip/__init__.py", "_PIP_VERSION = \"21.0\"\n");
  const std::string given = wheel("/w", "pip-24.0");
  const std::string before = wheel("/w", "pip-25.0b1");
  EXPECT_EQ(first("pip"), old);
  EXPECT_EQ(first("pip>=21"), bundled) << "the newest that fits";
  EXPECT_EQ(first("pip==21.0"), old);
  EXPECT_EQ(first("pip>22"), conventional);
  EXPECT_EQ(first("pip", "/w"), given) << "a final release before a newer pre-release";
  EXPECT_EQ(first("pip>=25.0b0", "/w"), before);
  EXPECT_EQ(first("pip>24", "/w"), before) << "there is no other";
  EXPECT_EQ(first("pip<22", "/w"), old);
  EXPECT_EQ(first("pip==23.*", "/w"), conventional);
}

TEST_F(Seeds, ComeFromVirtualenvWhenThereIsNothingElse) {
  const std::string embedded_ = "/usr/lib/python3/dist-packages/virtualenv/seed/wheels/embed";
  const std::string embedded = wheel(embedded_, "pip-20.0");
  python_.prefix = "/usr";
  python_.platlibdir = "lib";
  python_.debian_layout = true;
  EXPECT_EQ(first("pip"), embedded);
  const std::string users =
      wheel("/home/me/.local/lib/python3.11/site-packages/virtualenv/seed/wheels/embed", "pip-19.0");
  EXPECT_EQ(first("pip<20"), users);
  const std::string older_place = wheel("/home/me/.local/share/virtualenv/wheel/house", "pip-21.0");
  EXPECT_EQ(first("pip"), older_place);
  const std::string house = wheel(house_, "pip-22.0");
  EXPECT_EQ(first("pip"), house);
  variables_["XDG_CACHE_HOME"] = "/c";
  const std::string moved = wheel("/c/virtualenv/wheel/house", "pip-23.0");
  EXPECT_EQ(first("pip"), moved);
  variables_["VIRTUALENV_OVERRIDE_APP_DATA"] = "/data";
  const std::string overridden = wheel("/data/wheel/house", "pip-24.0");
  EXPECT_EQ(first("pip"), overridden);
  // Those of the distribution come before.
  const std::string conventional = wheel(conventional_, "pip-18.0");
  EXPECT_EQ(first("pip"), conventional);
  // Without variables these places are not looked at.
  host_.remove(conventional_);
  EXPECT_THROW(find_seed_wheels(host_.root(), python_, {*parse_seed("pip")}, {}), Error);
}

TEST_F(Seeds, AreMadeForThePython) {
  wheel(house_, "pip-26.0", ">=3.12");
  const std::string fits = wheel(house_, "pip-25.0", ">=3.9");
  EXPECT_EQ(first("pip"), fits);
  const std::string newer = wheel("/w", "pip-26.0", ">=3.12");
  EXPECT_EQ(first("pip", "/w"), newer) << "the user's word; reading it tells what is wrong";
  EXPECT_NE(message_of([&] { read_seed_wheel(host_.root(), python_, newer); }).find("not made for Python 3.11"),
            std::string::npos);
  const std::string older = wheel("/w", "pip-25.1", ">=3.9");
  EXPECT_EQ(first("pip", "/w"), older);
  host_.remove(fits);
  const std::string message = message_of([&] { find({"pip"}); });
  EXPECT_NE(message.find("pip-26.0-py3-none-any.whl': it is not made for Python 3.11"), std::string::npos) << message;
}

TEST_F(Seeds, AreNotTakenFromWhereOthersCanWrite) {
  const std::string safe = wheel("/home/me/.local/share/virtualenv/wheel/house", "pip-20.0");
  const std::string writable = wheel(house_, "pip-22.0", ">=3.7", 0666);
  EXPECT_EQ(first("pip"), safe);
  const std::string given = wheel("/w", "pip-22.0", ">=3.7", 0666);
  EXPECT_NE(message_of([&] { read_seed_wheel(host_.root(), python_, given); }).find("everybody can change it"),
            std::string::npos);
  ::chmod(host_.on_disk(writable).c_str(), 0644);
  EXPECT_EQ(first("pip"), writable);
  ::chmod(host_.on_disk(house_).c_str(), 0777);
  EXPECT_EQ(first("pip"), safe);
  host_.remove(safe);
  const std::string message = message_of([&] { find({"pip"}); });
  EXPECT_NE(message.find("of its directory, everybody can change it"), std::string::npos) << message;
  // Whoever can write to the Python's own decides what it runs in any case.
  const std::string bundled = wheel(bundle_, "pip-19.0", ">=3.7", 0666);
  EXPECT_EQ(first("pip"), bundled);
  EXPECT_NO_THROW(read_seed_wheel(host_.root(), python_, bundled));
}

TEST_F(Seeds, SayWhatToInstallWhenThereAreNone) {
  const std::string message = message_of([&] { find({"pip", "setuptools"}); });
  for (const char* const part : {"wheel of pip and setuptools for '/usr/bin/python3'", "'/usr/share/python-wheels'",
                                 "'/usr/share/python3-wheels'", "'/usr/lib/python3.11/ensurepip/_bundled'",
                                 "'/home/me/.cache/virtualenv/wheel/house'", "apt install python3-venv python3-pip-whl",
                                 "--without-pip", "--wheel-dir"})
    EXPECT_NE(message.find(part), std::string::npos) << message;
}

TEST_F(Seeds, SayWhatWasFoundInstead) {
  wheel(conventional_, "pip-23.0.1");
  wheel(conventional_, "setuptools-66.1.1");
  host_.file("/w/wheel-1.0-cp311-cp311-linux_x86_64.whl");
  const std::string message = message_of([&] { find({"pip==99", "setuptools", "wheel"}, "/w"); });
  for (const char* const part :
       {"wheel of pip==99 and wheel for", "looked in '/w', ", "pip-23.0.1-py3-none-any.whl' is of another version",
        "is not for every Python 3", "--wheel-dir"})
    EXPECT_NE(message.find(part), std::string::npos) << message;
  for (const char* const part : {"setuptools", "apt install", "--without-pip"})
    EXPECT_EQ(message.find(part), std::string::npos) << message;
  for (int i = 0; i < 20; ++i) wheel("/w", "pip-" + std::to_string(i) + ".0");
  EXPECT_NE(message_of([&] { find({"pip==99"}, "/w"); }).find("; and 15 more that do not fit;"), std::string::npos);
}

TEST(Trust, IsInRootTheCallerAndTheirOwnGroups) {
  struct stat status {};
  const auto reason = [&](uid_t uid, gid_t gid, mode_t mode, std::optional<uid_t> trusted = std::nullopt) {
    status.st_uid = uid;
    status.st_gid = gid;
    status.st_mode = S_IFREG | mode;
    return find_other_writer(status, trusted).value_or("none");
  };
  const uid_t me = ::geteuid();
  const uid_t other = me + 4711;
  EXPECT_EQ(reason(me, 50, 0644), "none");
  EXPECT_EQ(reason(0, 50, 0755), "none");
  EXPECT_EQ(reason(other, other, 0644), "it belongs to uid " + std::to_string(other));
  EXPECT_EQ(reason(other, other, 0664, other), "none");
  EXPECT_EQ(reason(me, me, 0664), "none") << "a user's own group";
  EXPECT_EQ(reason(me, 0, 0775), "none");
  EXPECT_EQ(reason(0, 50, 0775), "the group 50 can change it");
  EXPECT_EQ(reason(me, me, 0666), "everybody can change it");
}

}  // namespace
}  // namespace vrun::builder
