// What is given for a limit: refused, or a value that can be written and given again; and verdicts, which are printable
// ASCII whatever is in them.

#include <cstdint>
#include <string>
#include <string_view>

#include "policy/error.h"
#include "policy/limits.h"
#include "policy/verdict.h"
#include "runner/json.h"
#include "tests/fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vrun;
  const std::string text(reinterpret_cast<const char*>(data), size);
  RunVerdict verdict;
  for (const LimitDescription& limit : kLimits) {
    try {
      const std::uint64_t value = parse_limit(limit, text);
      check(parse_limit(limit, limit_text(limit, value)) == value);
      verdict.limits[limit.kind] = value;
    } catch (const Error& error) {
      check(std::string_view(error.what()).find('\n') == std::string_view::npos);
    }
  }
  verdict.message = text;
  verdict.command = {text};
  const std::string json = to_json(verdict);
  check(json.ends_with("\n}\n"));
  for (const char c : json) check(c == '\n' || (c >= 0x20 && c < 0x7F));
  check(verdict_meta(verdict).ends_with("\n"));
  return 0;
}
