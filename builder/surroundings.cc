#include "builder/surroundings.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>

#include "policy/error.h"
#include "policy/host/root.h"

namespace vrun::builder {

std::string variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string working_directory() {
  std::array<char, PATH_MAX> buffer{};
  if (::getcwd(buffer.data(), buffer.size()) == nullptr) throw Error("cannot find the current directory", "", errno);
  return buffer.data();
}

WheelSources wheel_sources(const std::string& asked, const std::string& working_directory) {
  const std::string directory = asked.empty() ? variable("VBUILD_WHEEL_DIR") : asked;
  return {.directory = directory.empty() ? directory : absolute_path(directory, working_directory),
          .variable = variable};
}

}  // namespace vrun::builder
