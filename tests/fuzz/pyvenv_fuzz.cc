// Whatever a pyvenv.cfg contains, it is either refused with an Error on one line or has exactly one meaning.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "policy/environment.h"
#include "policy/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const vrun::PyvenvConfig config = vrun::parse_pyvenv_config(text, "/e/pyvenv.cfg");
    // What is believed must be there: a path with another byte in it would lead elsewhere.
    for (const auto* value : {&config.home, &config.version, &config.base_executable, &config.executable})
      if (*value && text.find(**value) == std::string_view::npos) std::abort();
    if (config.home && (config.home->empty() || config.home->find_first_of("\r\n") != std::string::npos)) std::abort();
  } catch (const vrun::Error& error) {
    if (std::string_view(error.what()).find_first_of("\r\n\x1b") != std::string_view::npos) std::abort();
  }
  return 0;
}
