// A script that is accepted has a plain name, and its text holds nothing but identifiers that came from outside.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "builder/scripts.h"
#include "builder/text.h"
#include "policy/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vrun::builder;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto dotted = [](std::string_view name) {
    return !name.empty() && std::all_of(name.begin(), name.end(),
                                        [](char c) { return is_letter(c) || is_digit(c) || c == '_' || c == '.'; });
  };
  try {
    for (const EntryPoint& point : adapt_entry_points(parse_entry_points(text, "/w"), {.major = 3, .minor = 12})) {
      if (point.name.empty() || point.name.front() == '.' || point.name.find('/') != std::string::npos) std::abort();
      if (point.name == "python" || point.name == "activate") std::abort();
      if (!dotted(point.module) || !dotted(point.attribute)) std::abort();
      script_text(point, "/e/bin/python", *parse_version("24.2"));
    }
  } catch (const vrun::Error& error) {
    if (std::string_view(error.what()).find_first_of("\r\n\x1b") != std::string_view::npos) std::abort();
  }
  return 0;
}
