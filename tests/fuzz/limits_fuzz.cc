// What is given for a limit: refused, or a value that can be written and given again; and strings of JSON, which are
// one printable line whatever is in them.

#include <cstdint>
#include <string>
#include <string_view>

#include "policy/error.h"
#include "policy/limits.h"
#include "policy/verdict.h"
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
  const std::string quoted = json_quote(text);
  check(quoted.size() >= 2 && quoted.front() == '"' && quoted.back() == '"');
  for (const char c : quoted) check(static_cast<unsigned char>(c) >= 0x20 && c != 0x7F);
  verdict.message = text;
  verdict.command = {text};
  check(verdict_json(verdict).ends_with("\n}\n"));
  check(verdict_meta(verdict).ends_with("\n"));
  return 0;
}
