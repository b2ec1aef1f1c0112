#include "policy/host/user_directories.h"

#include "policy/host/root.h"

namespace vrun {

std::string user_directory(std::string_view value, std::string_view home, std::string_view usual) {
  if (value.starts_with('/')) return absolute_path(value, "/");
  return home.starts_with('/') ? absolute_path(usual, home) : "";
}

}  // namespace vrun
