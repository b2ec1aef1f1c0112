// Versions, specifiers and what is asked for by them: a version orders before and after nothing of itself, specifiers
// that name it hold for it, and every request is taken or refused.

#include <cstdint>
#include <string>
#include <string_view>

#include "builder/discovery.h"
#include "builder/seeds.h"
#include "builder/version.h"
#include "builder/wheel.h"
#include "tests/fuzz/check.h"

namespace {

using namespace vrun::builder;

bool hold(const std::string& specifiers, const Version& version) {
  const auto parsed = Specifiers::parse(specifiers);
  check(parsed.has_value());
  return parsed->hold(version);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  if (const auto version = parse_version(text)) {
    check(version == parse_version("0!" + text) || text.find('!') != std::string::npos);
    check(hold("==" + text, *version) && !hold("!=" + text, *version));
    if (version->local.empty()) {
      check(hold(">=" + text + ",<=" + text, *version) && !hold("<" + text, *version) && !hold(">" + text, *version));
      const auto with_local = parse_version(text + "+a");
      check(with_local && *with_local > *version && hold("==" + text, *with_local));
    }
  }
  if (const auto release = parse_release(text)) check(has_prefix(parse_version(text).value(), *release));
  if (const auto specifiers = Specifiers::parse(text))
    for (const char* const version : {"0", "3.11.2", "3.12.0rc1", "1!2.0.post3.dev4+x.5"})
      if (specifiers->hold(*parse_version(version)) && specifiers->empty()) check(text.find('=') == std::string::npos);
  if (const auto seed = parse_seed(text)) {
    check(seed->project == normalize_project(seed->project));
    check(seed->project.find_first_of("/. \n") == std::string::npos && !seed->project.empty());
  }
  if (const auto name = parse_wheel_name(text)) check(name->version == parse_version(name->version_text));
  static_cast<void>(parse_python_request(text));
  return 0;
}
