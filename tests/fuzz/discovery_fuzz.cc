// Whatever a file says in which a version manager's user chooses versions, what stands behind a shim is a program of an
// installation of that manager, unless the file names another by its whole path; or it is none, or refused in one line.
//
// The first byte of an input says which file it is, and the rest is its content.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "builder/discovery.h"
#include "policy/error.h"
#include "tests/fuzz/check.h"
#include "tests/unit/fake_host.h"

namespace {

using namespace vrun;

struct ChoiceFile {
  std::string_view path;
  std::string_view manager;
  std::string_view installations;
};
constexpr std::string_view kPyenv = "/home/me/.pyenv";
constexpr std::string_view kAsdf = "/home/me/.asdf";
constexpr std::array<ChoiceFile, 8> kFiles{{{"/p/q/.python-version", kPyenv, "versions"},
                                            {"/p/.python-version", kPyenv, "versions"},
                                            {"/home/me/.pyenv/version", kPyenv, "versions"},
                                            {"/p/q/.tool-versions", kAsdf, "installs/python"},
                                            {"/p/q/mise.toml", kAsdf, "installs/python"},
                                            {"/p/q/.python-version", kAsdf, "installs/python"},
                                            {"/home/me/.tool-versions", kAsdf, "installs/python"},
                                            {"/home/me/.config/mise/config.toml", kAsdf, "installs/python"}}};

FakeHost make_host() {
  FakeHost host;
  for (const ChoiceFile& file : {kFiles.front(), kFiles.back()}) {
    for (const char* const version : {"3.9.18", "3.12.0", "3.12.1"})
      host.file(join(join(join(file.manager, file.installations), version), "bin/python3"), "", 0755);
    host.file(join(file.manager, "shims/python3"), "", 0755);
  }
  // What no choice of a version may lead to.
  host.file("/home/me/bin/python3", "", 0755).file("/bin/python3", "", 0755).directory("/p/q");
  return host;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  static FakeHost host = make_host();
  static const builder::SearchContext context{.working_directory = "/p/q", .variable = [](const char* name) {
                                                return std::string(std::string_view(name) == "HOME" ? "/home/me" : "");
                                              }};
  const ChoiceFile& file = kFiles.at(data[0] % kFiles.size());
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  host.file(file.path, text);
  try {
    const auto found = builder::find_target_of_shim(host.root(), context, join(file.manager, "shims/python3"));
    if (found) {
      check(host.root().is_regular(*found) && found->ends_with("/bin/python3"));
      const std::string installations = join(file.manager, file.installations) + "/";
      const std::string_view prefix =
          std::string_view(*found).substr(0, found->size() - std::string_view("/bin/python3").size());
      const bool installed =
          found->starts_with(installations) && prefix.substr(installations.size()).find('/') == std::string_view::npos;
      check(installed || text.find("path:/") != std::string::npos);
    }
  } catch (const Error& error) {
    check(std::string_view(error.what()).find_first_of("\r\n\x1b") == std::string_view::npos);
  }
  host.remove(file.path);
  return 0;
}
