// Whatever a wheel contains, it is either refused with an Error on one line, or all of it can be read within its
// bounds, no name in it leads out of a directory, and neither does a path of the plan to install it.

#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>

#include "builder/layout.h"
#include "builder/wheel.h"
#include "policy/error.h"

namespace {

using vrun::builder::BuildFacts;

bool leads_elsewhere(const std::string& path) {
  const std::string slashed = "/" + path + "/";
  return path.empty() || slashed.find("/../") != std::string::npos || slashed.find("/./") != std::string::npos ||
         slashed.find("//") != std::string::npos || slashed.find('\0') != std::string::npos;
}

/// An environment of Python 3.11 that nothing is in.
BuildFacts facts() {
  BuildFacts facts;
  facts.python.version = {.major = 3, .minor = 11};
  facts.python.platlibdir = "lib";
  facts.base_executable = facts.invoked = facts.invoked_real = "/usr/bin/python3";
  facts.directory = "/env";
  return facts;
}

void plan(vrun::builder::Wheel wheel) {
  using vrun::builder::Entry;
  wheel.given = vrun::builder::GivenFile{wheel.archive.path(), ""};
  BuildFacts all = facts();
  all.wheels.push_back(std::move(wheel));
  const vrun::builder::BuildRequest request;
  std::set<std::string> paths;
  for (const Entry& entry : plan_layout(request, all).entries) {
    const std::string path = std::visit([](const auto& value) { return value.path; }, entry);
    if (leads_elsewhere(path) || !paths.insert(path).second) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using vrun::builder::Archive;
  using vrun::builder::Inflater;
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  const auto expect_one_line = [](const vrun::Error& error) {
    if (std::string_view(error.what()).find_first_of("\r\n\x1b") != std::string_view::npos) std::abort();
  };
  try {
    const Archive archive(bytes, "/w/pip-1-py3-none-any.whl");
    Inflater inflater;
    for (const auto& member : archive.members()) {
      if (leads_elsewhere(member.name)) std::abort();
      if (member.directory) continue;
      try {
        if (inflater.inflate(archive, member).size() != member.size) std::abort();
      } catch (const vrun::Error& error) {
        expect_one_line(error);
      }
    }
    try {
      vrun::builder::read_wheel(bytes, "/w/pip-1-py3-none-any.whl");
    } catch (const vrun::Error& error) {
      expect_one_line(error);
    }
    plan(read_wheel(bytes, "/w/pip-1-py3-none-any.whl", vrun::builder::WheelUse::given));
  } catch (const vrun::Error& error) {
    expect_one_line(error);
  }
  return 0;
}
