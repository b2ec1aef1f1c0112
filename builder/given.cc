#include "builder/given.h"

#include <cerrno>

#include "builder/sha256.h"
#include "builder/tags.h"
#include "builder/text.h"
#include "policy/error.h"

namespace vrun::builder {
namespace {

std::string hexadecimal(const Sha256& digest) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (const auto byte : digest) text.append({digits[byte >> 4U], digits[byte & 15U]});
  return text;
}

}  // namespace

std::vector<Wheel> read_given_wheels(const Root& root, const Interpreter& python,
                                     const std::vector<std::string>& paths) {
  std::vector<Wheel> wheels;
  if (paths.empty()) return wheels;
  const std::vector<std::string> supported = supported_tags(python, read_tag_facts(root, python));
  for (const std::string& path : paths) {
    const auto name = parse_wheel_name(base_name(path));
    if (!name)
      throw Error("cannot install " + quote(path) + ": its name is not that of a wheel")
          .hint("name a file as in NAME-VERSION-PYTHON-ABI-PLATFORM.whl");
    const auto refuse = [&](const std::string& reason) {
      throw Error("cannot install the wheel " + quote(path) + ": " + reason);
    };
    if (const auto reason = find_misfit(*name, supported)) refuse(*reason);
    for (const Wheel& other : wheels)
      if (other.name.project == name->project)
        refuse("another one of " + name->project + " is given, " + quote(other.given->path));
    auto content = root.read_file(path, kGivenLimits.archive);
    if (!content) throw Error("cannot find the wheel", path, ENOENT);
    GivenFile file{.path = path, .sha256 = hexadecimal(sha256(*content))};
    Wheel wheel = read_wheel(std::move(*content), path, WheelUse::given);
    const auto version = parse_version(python.version.text());
    if (wheel.requires_python && version && !wheel.requires_python->hold(*version))
      refuse("it asks for Python " + escape(wheel.requires_python_text) + ", and this is " + python.version.text());
    wheel.given = std::move(file);
    wheels.push_back(std::move(wheel));
  }
  return wheels;
}

}  // namespace vrun::builder
