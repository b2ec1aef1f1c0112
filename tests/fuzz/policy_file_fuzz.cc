// Policy files: every text is taken or refused with a place in it, and what an untrusted one says never widens.

#include <cstdint>
#include <string>
#include <string_view>

#include "policy/error.h"
#include "policy/merge.h"
#include "policy/policy_file.h"
#include "tests/fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vrun;
  const std::string text(reinterpret_cast<const char*>(data), size);
  for (const Source source : {Source::project, Source::administrator}) {
    const FileContext context{"f", source, source == Source::project ? "/p" : "", "/home/me"};
    try {
      const PolicyFile file = parse_policy_file(text, context);
      const Settings trusted = overlay({file.settings});
      check(is_no_wider(tighten(trusted, file.settings).settings, trusted));
      check(is_no_wider(tighten({}, file.settings).settings, {}));
      if (source == Source::project) check(file.ceilings.empty());
    } catch (const Error& error) {
      check(std::string_view(error.what()).substr(0, 2) == "f:");
    }
    try {
      static_cast<void>(parse_pyproject(text, context));
    } catch (const Error& error) {
      check(std::string_view(error.what()).substr(0, 2) == "f:");
    }
  }
  return 0;
}
