// Certificates, time zones and locales, where the Python of each layout looks for them: in the view of its environment.

#include <gtest/gtest.h>

#include "policy/why.h"
#include "tests/unit/fake_host.h"

namespace vrun {
namespace {

constexpr const char* kProject = "/home/me/project";
constexpr const char* kEnvironment = "/home/me/project/.venv";

/// The view of an environment of a host.
class View {
 public:
  View(const FakeHost& host, const std::string& environment, const std::vector<Share>& shares = {}) : host_(host) {
    caller_.uid = caller_.gid = 1000;
    caller_.home = "/home/me";
    policy_.environment = environment;
    policy_.project = kProject;
    policy_.shares = shares;
    facts_ = read_run_facts(host.root(), policy_, caller_);
    plan_ = plan_run(policy_, facts_, caller_);
  }
  /// Whether the run can read the file, by way of whatever links.
  bool has_file(const std::string& path) const {
    const PathFacts found = read_path_facts(host_.root(), plan_, path);
    return answer({QuestionKind::path, path, {}}, host_.root(), policy_, facts_, caller_, plan_).reachable &&
           found.status && S_ISREG(found.status->st_mode);
  }
  void expect_files(std::initializer_list<std::string> paths) const {
    for (const std::string& path : paths) EXPECT_TRUE(has_file(path)) << path;
  }

 private:
  const FakeHost& host_;
  Caller caller_;
  RunPolicy policy_;
  RunFacts facts_;
  Plan plan_;
};

/// What a distribution has of them, and an environment from `base`.
void add_usual(FakeHost& host, const std::string& base, const std::string& version) {
  host.file("/etc/ssl/certs/ca-certificates.crt").link("/usr/lib/ssl/cert.pem", "/etc/ssl/certs/ca-certificates.crt");
  host.file("/usr/share/zoneinfo/Europe/Berlin").link("/etc/localtime", "/usr/share/zoneinfo/Europe/Berlin");
  host.file("/usr/lib/locale/C.utf8/LC_CTYPE").file("/usr/share/locale/locale.alias");
  host.link("/etc/locale.alias", "/usr/share/locale/locale.alias").file("/etc/machine-id");
  host.environment(kEnvironment, base, version);
}
void expect_usual(const View& view) {
  view.expect_files({"/etc/ssl/certs/ca-certificates.crt", "/usr/lib/ssl/cert.pem", "/usr/share/zoneinfo/Europe/Berlin",
                     "/etc/localtime", "/usr/lib/locale/C.utf8/LC_CTYPE", "/etc/locale.alias"});
  EXPECT_FALSE(view.has_file("/etc/machine-id")) << "the control: not everything is shown";
}

struct Layout {
  const char* name;
  FakeHost (*make)();
  const char* base;
  const char* version;
};
class SystemLayouts : public testing::TestWithParam<Layout> {};

TEST_P(SystemLayouts, FindTheSystemsCertificatesZonesAndLocales) {
  FakeHost host = GetParam().make();
  add_usual(host, GetParam().base, GetParam().version);
  expect_usual(View(host, kEnvironment));
}

INSTANTIATE_TEST_SUITE_P(
    Hosts, SystemLayouts,
    testing::Values(Layout{"debian", FakeHost::debian, "/usr/bin/python3", "3.11.2"},
                    Layout{"alpine", FakeHost::alpine, "/usr/bin/python3", "3.12.1"},
                    Layout{"pyenv", FakeHost::pyenv, "/home/me/.pyenv/versions/3.12.1/bin/python3", "3.12.1"},
                    Layout{"usr_local", FakeHost::usr_local, "/usr/local/bin/python3", "3.13.0"},
                    Layout{"opt", FakeHost::opt, "/opt/python/bin/python3", "3.12.1"},
                    Layout{"deadsnakes", FakeHost::deadsnakes, "/usr/bin/python3.13", "3.13.0"},
                    Layout{"uv", FakeHost::uv_managed,
                           "/home/me/.local/share/uv/python/cpython-3.12-linux-x86_64-gnu/bin/python3", "3.12.1"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(Layouts, Fedora) {
  FakeHost host = FakeHost::fedora();
  add_usual(host, "/usr/bin/python3", "3.13.0");
  host.file("/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem");
  host.link("/etc/pki/tls/cert.pem", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem");
  const View view(host, kEnvironment);
  expect_usual(view);
  view.expect_files({"/etc/pki/tls/cert.pem"});
}

/// Conda brings its own, in the environment or in the prefix of a Python that environments are made from.
TEST(Layouts, Conda) {
  const std::string conda = "/home/me/miniconda3";
  FakeHost host = FakeHost::conda();
  add_usual(host, conda + "/bin/python3", "3.12.1");
  for (const std::string& prefix : {conda, conda + "/envs/data"}) {
    host.file(prefix + "/ssl/cacert.pem").link(prefix + "/ssl/cert.pem", "cacert.pem");
    host.file(prefix + "/share/zoneinfo/Europe/Berlin");
  }
  const auto of = [](const std::string& prefix, const View& view) {
    expect_usual(view);
    view.expect_files({prefix + "/ssl/cert.pem", prefix + "/share/zoneinfo/Europe/Berlin"});
  };
  of(conda, View(host, kEnvironment));
  of(conda, View(host, conda));
  const View data(host, conda + "/envs/data");
  of(conda + "/envs/data", data);
  EXPECT_FALSE(data.has_file(conda + "/ssl/cert.pem")) << "of another one";
}

TEST(Layouts, Homebrew) {
  const std::string brew = "/home/linuxbrew/.linuxbrew";
  FakeHost host = FakeHost::homebrew();
  host.python({.prefix = brew + "/Cellar/python@3.12/3.12.1",
               .version = "3.12.1",
               .shared = true,
               .loader = brew + "/lib/ld.so"});
  host.file(brew + "/lib/ld.so", fake_elf({}), 0755).file(brew + "/etc/ca-certificates/cert.pem");
  host.link(brew + "/etc/openssl@3/cert.pem", "../ca-certificates/cert.pem");
  add_usual(host, brew + "/opt/python@3.12/bin/python3.12", "3.12.1");
  const View view(host, kEnvironment, {{brew, Access::read_only}});
  expect_usual(view);
  view.expect_files({brew + "/etc/openssl@3/cert.pem"});
}

/// On another distribution the system's are used; on NixOS /etc leads to the store.
TEST(Layouts, Nix) {
  const std::string python = "/nix/store/abc-python3-3.12.1/bin/python3";
  const std::vector<Share> store = {{"/nix/store", Access::read_only}};
  FakeHost host = FakeHost::nix();
  add_usual(host, python, "3.12.1");
  expect_usual(View(host, kEnvironment, store));

  const std::string etc = "/nix/store/xyz-etc/etc";
  host.file("/nix/store/aaa-nss-cacert/etc/ssl/certs/ca-bundle.crt")
      .file("/nix/store/bbb-tzdata/share/zoneinfo/Europe/Berlin");
  host.link(etc + "/ssl/certs/ca-certificates.crt", "/nix/store/aaa-nss-cacert/etc/ssl/certs/ca-bundle.crt");
  host.link(etc + "/zoneinfo", "/nix/store/bbb-tzdata/share/zoneinfo");
  host.link("/etc/static", etc).link("/etc/zoneinfo", "/etc/static/zoneinfo");
  host.link("/etc/ssl/certs/ca-certificates.crt", "/etc/static/ssl/certs/ca-certificates.crt");
  host.remove("/usr/share/zoneinfo").link("/etc/localtime", "/etc/zoneinfo/Europe/Berlin");
  const View view(host, kEnvironment, store);
  view.expect_files({"/etc/ssl/certs/ca-certificates.crt", "/etc/localtime", "/etc/zoneinfo/Europe/Berlin"});
  // A directory of that name is no part of NixOS, and may hold anything.
  host.remove("/etc/static").file("/etc/static/secret");
  EXPECT_FALSE(View(host, kEnvironment, store).has_file("/etc/static/secret"));
}

}  // namespace
}  // namespace vrun
