// Whatever a wheel contains, it is either refused with an Error on one line, or all of it can be read within its bounds
// and no name in it leads out of a directory.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "builder/wheel.h"
#include "policy/error.h"

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
      const std::string slashed = "/" + member.name + "/";
      if (member.name.empty() || slashed.find("/../") != std::string::npos ||
          slashed.find("/./") != std::string::npos || slashed.find("//") != std::string::npos ||
          slashed.find('\0') != std::string::npos)
        std::abort();
      if (member.directory) continue;
      try {
        if (inflater.inflate(archive, member).size() != member.size) std::abort();
      } catch (const vrun::Error& error) {
        expect_one_line(error);
      }
    }
    vrun::builder::read_wheel(bytes, "/w/pip-1-py3-none-any.whl");
  } catch (const vrun::Error& error) {
    expect_one_line(error);
  }
  return 0;
}
