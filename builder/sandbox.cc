#include "builder/sandbox.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <optional>
#include <string_view>

#include "builder/trust.h"
#include "policy/error.h"
#include "policy/host/fd.h"

namespace vrun::builder {
namespace {

bool is_program(const Root& root, const std::string& path) {
  try {
    const auto status = root.stat(path);
    return status && S_ISREG(status->st_mode) && !find_other_writer(*status) && ::access(path.c_str(), X_OK) == 0;
  } catch (const Error&) {
    return false;  // out of reach, and so of no use
  }
}

std::optional<std::string> find_beside(const Root& root) {
  const std::string self = root.read_link("/proc/self/exe").value_or("");
  if (self.empty() || self.front() != '/') return std::nullopt;
  const std::string here = parent_path(self);
  if (std::string path = join(here, "vrun"); is_program(root, path)) return path;
  // The tree of a build has each program in a directory of its own.
  if (std::string path = join(parent_path(here), "runner/vrun"); base_name(here) == "builder" && is_program(root, path))
    return path;
  return std::nullopt;
}

std::optional<std::string> find_in_path(const Root& root, std::string_view path) {
  for (const std::string& directory : list_entries(path)) {
    if (directory.front() != '/') continue;
    std::string program = join(directory, "vrun");
    if (!is_program(root, program)) continue;
    const auto status = root.stat(directory);
    if (status && !find_other_writer(*status)) return program;
  }
  return std::nullopt;
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> out;
  out.reserve(strings.size() + 1);
  for (std::string& string : strings) out.push_back(string.data());
  out.push_back(nullptr);
  return out;
}

}  // namespace

std::string find_vrun(const Root& root, const std::string& path, std::string_view doing) {
  if (auto found = find_beside(root)) return *found;
  if (auto found = find_in_path(root, path)) return *found;
  throw Error("cannot " + std::string(doing) +
              " in isolation: there is no vrun beside vbuild or in PATH that only you or root can change")
      .hint("install vrun; nothing was made, and without -r, --upgrade-deps and --compile=now it is not needed");
}

std::string run_in_sandbox(const std::string& vrun, const std::string& environment, const SandboxOptions& options,
                           const std::vector<std::string>& arguments) {
  std::vector<std::string> words{vrun, "--env-rw", "--no-project"};
  if (options.network) words.emplace_back("--net=host");
  for (const std::string& path : options.shown) words.insert(words.end(), {"--ro", path});
  for (const std::string& name : options.kept) words.insert(words.end(), {"--keep-env", name});
  for (const Variable& variable : options.set)
    words.insert(words.end(), {"--setenv", variable.name + "=" + variable.value});
  if (!options.directory.empty()) words.insert(words.end(), {"--cwd", options.directory});
  words.insert(words.end(), {environment, "--", join(environment, "bin/python")});
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv = pointers(words);
  const Fd nowhere(::open("/dev/null", O_RDWR | O_CLOEXEC));

  const pid_t self = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) throw Error("cannot start", vrun, errno);
  if (child == 0) {
    // Whoever ends vbuild, however, ends the run with it; and vrun's end is that of all in it.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != self) ::_exit(127);
    ::signal(SIGXFSZ, SIG_DFL);
    // pip asks nothing, and what stands on standard input is not for it.
    if (nowhere.valid()) ::dup2(nowhere.get(), STDIN_FILENO);
    if (options.output)
      ::dup2(STDERR_FILENO, STDOUT_FILENO);
    else if (nowhere.valid())
      ::dup2(nowhere.get(), STDOUT_FILENO);
    ::execv(vrun.c_str(), argv.data());
    ::_exit(127);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0)
    if (errno != EINTR) throw Error("cannot wait for", vrun, errno);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return WIFSIGNALED(status) ? "was ended by signal " + std::to_string(WTERMSIG(status))
                             : "ended with status " + std::to_string(WEXITSTATUS(status));
}

void run_pip(const std::string& vrun, const std::string& environment, const PipSettings& settings, bool verbose,
             const std::vector<std::string>& arguments, const std::string& doing) {
  SandboxOptions options{.shown = settings.shown,
                         .set = settings.set,
                         .kept = settings.kept,
                         .network = true,
                         .directory = settings.directory,
                         .output = verbose};
  // What lies in the environment is in view already, and a read-only view of its directory would replace it.
  std::erase_if(options.shown, [&](const std::string& path) { return is_within(path, environment); });
  std::vector<std::string> words{"-I", "-m", "pip", "install"};
  if (!verbose) words.emplace_back("--quiet");
  if (settings.only_wheels) words.insert(words.end(), {"--only-binary", ":all:"});
  words.insert(words.end(), arguments.begin(), arguments.end());
  const std::string ending = run_in_sandbox(vrun, environment, options, words);
  if (ending.empty()) return;
  throw Error(doing + ": vrun ENV_DIR -- python -m pip " + ending)
      .hint("the environment itself is complete; pip's own words are above");
}

}  // namespace vrun::builder
