#include "builder/upgrade.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <string_view>

#include "policy/error.h"
#include "policy/host/fd.h"

namespace vrun::builder {
namespace {

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> out;
  out.reserve(strings.size() + 1);
  for (std::string& string : strings) out.push_back(string.data());
  out.push_back(nullptr);
  return out;
}

}  // namespace

void upgrade_projects(const std::string& python, const std::string& directory,
                      const std::vector<std::string>& projects) {
  std::vector<std::string> arguments{python, "-m", "pip", "install", "--upgrade"};
  arguments.insert(arguments.end(), projects.begin(), projects.end());
  std::vector<std::string> variables{"VIRTUAL_ENV=" + directory};
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text = *variable;
    const std::string_view name = text.substr(0, text.find('='));
    if (name != "VIRTUAL_ENV" && name != "PYTHONHOME" && name != "PYTHONPATH") variables.emplace_back(text);
  }
  std::vector<char*> argv = pointers(arguments);
  std::vector<char*> envp = pointers(variables);
  const Fd nowhere(::open("/dev/null", O_WRONLY | O_CLOEXEC));

  const pid_t child = ::fork();
  if (child < 0) throw Error("cannot start", python, errno);
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_DFL);
    if (nowhere.valid()) ::dup2(nowhere.get(), STDOUT_FILENO);
    if (::chdir(directory.c_str()) == 0) ::execve(python.c_str(), argv.data(), envp.data());
    ::_exit(127);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0)
    if (errno != EINTR) throw Error("cannot wait for", python, errno);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
  const std::string ending = WIFSIGNALED(status) ? "was ended by signal " + std::to_string(WTERMSIG(status))
                                                 : "ended with status " + std::to_string(WEXITSTATUS(status));
  throw Error("cannot upgrade pip in " + quote(directory) + ": " + quote(python) + " -m pip " + ending)
      .hint("the environment itself is complete; an upgrade needs a package index");
}

}  // namespace vrun::builder
