#include "policy/host/script.h"

#include <unistd.h>

#include <algorithm>
#include <string_view>

namespace vrun {

std::string read_script_interpreter(const Fd& file) {
  constexpr std::size_t kFirstLine = 256;  // BINPRM_BUF_SIZE of linux/binfmts.h
  char buffer[kFirstLine];
  const ssize_t count = file.valid() ? ::pread(file.get(), buffer, sizeof buffer, 0) : -1;
  if (count <= 0) return "";
  std::string_view line(buffer, static_cast<std::size_t>(count));
  if (!line.starts_with("#!")) return "";
  line = line.substr(2, line.find('\n') - 2);
  line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
  return std::string(line.substr(0, line.find_first_of(" \t")));
}

}  // namespace vrun
