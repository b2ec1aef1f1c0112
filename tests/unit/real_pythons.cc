#include "tests/unit/real_pythons.h"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string_view>

#include "policy/host/root.h"

namespace vrun {
namespace {

bool is_python_name(const std::string& name) {
  constexpr std::string_view start = "python3.";
  return name.size() > start.size() && name.substr(0, start.size()) == start &&
         name.find_first_not_of("0123456789t", start.size()) == std::string::npos;
}

}  // namespace

std::vector<std::string> pythons_of_this_machine() {
  const Root root = Root::system();
  std::vector<std::string> directories{"/usr/bin", "/usr/local/bin"};
  if (const char* const home = std::getenv("HOME")) {
    const std::string versions = std::string(home) + "/.pyenv/versions";
    for (const std::string& name : root.list_directories(versions))
      directories.push_back(join(versions, name + "/bin"));
  }
  std::vector<std::string> paths;
  for (const std::string& directory : directories) {
    for (const std::string& name : root.list(directory)) {
      constexpr std::size_t kPrefix = std::string_view("python3.").size();
      if (is_python_name(name) && std::strtol(name.c_str() + kPrefix, nullptr, 10) >= 8)
        paths.push_back(join(directory, name));
    }
  }
  if (root.stat("/usr/bin/pypy3")) paths.emplace_back("/usr/bin/pypy3");
  return paths;
}

std::string output_of(const std::vector<std::string>& command) {
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0) return "";
  const pid_t child = ::fork();
  if (child == 0) {
    std::vector<char*> arguments;
    arguments.reserve(command.size() + 1);
    for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    ::dup2(ends[1], STDOUT_FILENO);
    ::execv(arguments[0], arguments.data());
    ::_exit(127);
  }
  ::close(ends[1]);
  std::string text;
  std::array<char, 4096> buffer{};
  for (ssize_t count = 0; (count = ::read(ends[0], buffer.data(), buffer.size())) > 0;)
    text.append(buffer.data(), static_cast<std::size_t>(count));
  ::close(ends[0]);
  ::waitpid(child, nullptr, 0);
  return text;
}

}  // namespace vrun
