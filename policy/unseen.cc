#include "policy/unseen.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <climits>
#include <initializer_list>
#include <optional>
#include <string_view>

#include "policy/error.h"
#include "policy/host/elf.h"
#include "policy/host/script.h"
#include "policy/process_environment.h"
#include "policy/why.h"

namespace vrun {
namespace {

constexpr std::size_t kMostNotes = 2;
constexpr std::size_t kMostWords = 100;      // of a command; xargs(1) makes thousands
constexpr std::size_t kMostLibraries = 100;  // that one program loads
constexpr int kMostInterpreters = 4;         // a script of a script of a script ...: the kernel stops there too
constexpr int kLoaderFailed = 127;           // what the dynamic loaders of glibc and musl end with
constexpr int kAny = 0;

enum class When { always, network };

/// Files in the home directory that a program's work may depend on, and the exit status that it then ends with. Those
/// that are for reaching other machines say nothing about a run without a network.
struct Settings {
  std::string_view program;
  std::array<std::string_view, 3> files;  ///< below it; the rest empty
  int exit_code = kAny;
  When when = When::always;
};
constexpr std::array kSettings = std::to_array<Settings>({
    {"git", {".gitconfig", ".config/git/config"}, 128},  // which it calls fatal
    {"hg", {".hgrc", ".config/hg/hgrc"}, 255},
    {"ssh", {".ssh"}, 255, When::network},
    {"scp", {".ssh"}, kAny, When::network},
    {"sftp", {".ssh"}, 255, When::network},
    {"rsync", {".ssh"}, kAny, When::network},
    {"gpg", {".gnupg"}, 2},
    {"pip", {".config/pip/pip.conf", ".pip/pip.conf"}, kAny, When::network},
    {"uv", {".config/uv/uv.toml"}, kAny, When::network},
    {"twine", {".pypirc"}, kAny, When::network},
    {"poetry", {".config/pypoetry"}, kAny, When::network},
    {"conda", {".condarc"}},
    {"npm", {".npmrc"}, kAny, When::network},
    {"yarn", {".yarnrc", ".yarnrc.yml"}, kAny, When::network},
    {"cargo", {".rustup", ".cargo"}, kAny},
    {"rustc", {".rustup"}, 1},
    {"go", {"go"}, 1},
    {"mvn", {".m2"}, 1},
    {"gradle", {".gradle"}, 1},
    {"Rscript", {".Rprofile", "R"}, 1},
    {"aws", {".aws"}, kAny, When::network},
    {"az", {".azure"}, kAny, When::network},
    {"gcloud", {".config/gcloud"}, kAny, When::network},
    {"gh", {".config/gh"}, kAny, When::network},
    {"kubectl", {".kube"}, kAny, When::network},
    {"helm", {".kube", ".config/helm"}, kAny, When::network},
    {"curl", {".curlrc"}, kAny, When::network},
    {"wget", {".wgetrc"}, kAny, When::network},
    {"psql", {".pgpass", ".pg_service.conf"}, kAny, When::network},
    {"mysql", {".my.cnf"}, kAny, When::network},
});

/// Places in a home directory that lend whoever reads them their owner's rights somewhere else.
struct Secret {
  std::string_view path;
  std::string_view what;
};
constexpr std::array kSecrets = std::to_array<Secret>({{".ssh", "keys"},
                                                       {".gnupg", "keys"},
                                                       {".password-store", "passwords"},
                                                       {".local/share/keyrings", "passwords"},
                                                       {".netrc", "passwords"},
                                                       {".git-credentials", "passwords"},
                                                       {".config/git/credentials", "passwords"},
                                                       {".pgpass", "passwords"},
                                                       {".pg_service.conf", "passwords"},
                                                       {".my.cnf", "passwords"},
                                                       {".pypirc", "passwords"},
                                                       {".config/pip", "passwords that may be"},
                                                       {".pip", "passwords that may be"},
                                                       {".config/uv", "passwords that may be"},
                                                       {".config/pypoetry", "passwords that may be"},
                                                       {".condarc", "passwords that may be"},
                                                       {".curlrc", "passwords that may be"},
                                                       {".wgetrc", "passwords that may be"},
                                                       {".m2", "passwords that may be"},
                                                       {".gradle", "passwords that may be"},
                                                       {".npmrc", "access tokens"},
                                                       {".yarnrc", "access tokens"},
                                                       {".yarnrc.yml", "access tokens"},
                                                       {".cargo", "access tokens"},
                                                       {".aws", "access tokens"},
                                                       {".azure", "access tokens"},
                                                       {".config/gcloud", "access tokens"},
                                                       {".config/gh", "access tokens"},
                                                       {".config/helm", "access tokens"},
                                                       {".kube", "access tokens"},
                                                       {".docker", "access tokens"}});
/// The same by name, wherever they lie.
constexpr std::array kSecretNames = std::to_array<Secret>({{"id_rsa", "key"},
                                                           {"id_ecdsa", "key"},
                                                           {"id_ed25519", "key"},
                                                           {"shadow", "passwords"},
                                                           {"gshadow", "passwords"},
                                                           {".env", "passwords that may be"}});
constexpr std::array kSecretEndings =
    std::to_array<Secret>({{".pem", "keys that may be"}, {".key", "key"}, {".p12", "key"}, {".kdbx", "passwords"}});

enum class Presence { absent, seen, hidden };
struct Sight {
  Presence presence = Presence::absent;
  std::string path;    ///< where the links of the view lead
  std::string change;  ///< for what is hidden: how it is shown; a clause
};

class Search {
 public:
  explicit Search(const Planned& planned) : planned_(planned), plan_(planned.plan), root_(planned.root) {}

  Sight look(const std::string& path) const;
  /// How to show what is hidden, and what that lends to the run.
  std::string advice(const Sight& sight) const;
  /// The environment that a hidden program belongs to, where it does: without it the program would not find its
  /// packages.
  Sight with_environment(const Sight& sight) const;
  bool is_program(const std::string& path) const;
  /// The file of the command, as the run finds it; empty when it finds none.
  std::string program() const;
  /// What the script or program `path` has to be started with; empty when it needs nothing.
  std::string interpreter_of(const std::string& path) const;

  std::string explain_command() const;
  std::string explain_interpreter() const;
  std::optional<std::string> explain_library() const;
  void explain_words(std::vector<std::string>& notes) const;
  void explain_settings(int exit_code, std::vector<std::string>& notes) const;

 private:
  std::string secret_in(const std::string& path) const;
  std::optional<std::string> note_library(const std::string& program, const std::string& name,
                                          const std::vector<std::string>& directories) const;

  const Planned& planned_;
  const Plan& plan_;
  const Root& root_;
};

Sight Search::look(const std::string& path) const {
  const PathFacts found = read_path_facts(root_, plan_, path);
  if (found.circle) return {};
  Verdict verdict = why_path({QuestionKind::path, path, {}}, found, planned_.policy, planned_.facts, plan_);
  if (verdict.reachable) return {Presence::seen, found.path, {}};
  if (!found.status || found.by_run) return {};
  return {Presence::hidden, found.path, verdict.change.empty() ? verdict.rule : verdict.change};
}

std::string Search::secret_in(const std::string& path) const {
  for (const std::string& place : planned_.facts.private_paths)
    if (is_within(path, place)) return "keys";
  const std::string name = base_name(path);
  for (const Secret& secret : kSecretNames)
    if (name == secret.path) return std::string(secret.what);
  for (const Secret& secret : kSecretEndings)
    if (name.ends_with(secret.path)) return std::string(secret.what);
  for (const Secret& secret : kSecrets) {
    const std::string place = join(planned_.facts.home, secret.path);
    if (is_within(path, place)) return std::string(secret.what);
    // A directory that holds one, as ~/.config does.
    if (is_within(place, path) && look(place).presence == Presence::hidden) return std::string(secret.what);
  }
  return {};
}

std::string Search::advice(const Sight& sight) const {
  const std::string secret = secret_in(sight.path);
  if (secret.empty()) return sight.change;
  return sight.change + ", and lends every program of the run the " + secret + " in it";
}

Sight Search::with_environment(const Sight& sight) const {
  const std::string environment = parent_path(parent_path(sight.path));
  const Sight config = look(join(environment, "pyvenv.cfg"));
  return config.presence == Presence::hidden ? look(environment) : sight;
}

bool Search::is_program(const std::string& path) const {
  try {
    const auto status = root_.stat(path);
    return status && S_ISREG(status->st_mode) && (status->st_mode & 0111U) != 0;
  } catch (const Error&) {
    return false;  // out of the caller's reach
  }
}

std::string Search::program() const {
  for (const std::string& candidate : program_candidates(plan_)) {
    const Sight sight = look(absolute_path(candidate, plan_.working_directory));
    if (sight.presence == Presence::seen && is_program(sight.path)) return sight.path;
  }
  return {};
}

std::string Search::interpreter_of(const std::string& path) const {
  std::string interpreter = read_script_interpreter(root_.open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY));
  if (!interpreter.empty()) return interpreter;
  try {
    return Elf::open(root_, path).interpreter();
  } catch (const Error&) {
    return {};
  }
}

std::string Search::explain_command() const {
  const std::string& name = plan_.command.front();
  if (name.find('/') != std::string::npos) {
    const Sight sight = look(absolute_path(name, plan_.working_directory));
    if (sight.presence != Presence::hidden || !is_program(sight.path)) return {};
    return "; outside it is there: " + advice(with_environment(sight));
  }
  for (const std::string& directory : list_entries(find_variable(planned_.caller.variables, "PATH"))) {
    const std::string path = join(directory, name);
    if (!directory.starts_with('/') || !is_program(path)) continue;
    std::string text = "; outside it is " + quote(path) + ": name that in full";
    if (const Sight sight = look(absolute_path(path, "/")); sight.presence == Presence::hidden)
      text += ", and " + advice(with_environment(sight));
    return text;
  }
  return {};
}

std::string Search::explain_interpreter() const {
  std::string path = program();
  for (int depth = 0; depth < kMostInterpreters && !path.empty(); ++depth) {
    const std::string interpreter = interpreter_of(path);
    if (interpreter.empty()) break;
    const Sight sight = look(absolute_path(interpreter, plan_.working_directory));
    if (sight.presence == Presence::hidden) return "; outside it is there: " + advice(with_environment(sight));
    if (sight.presence == Presence::absent) break;
    path = sight.path;
  }
  return {};
}

/// The directories of a DT_RUNPATH (ld.so(8)) of a file in `origin`; what else the loader would replace is left out.
std::vector<std::string> expand_runpath(const std::string& runpath, const std::string& origin) {
  std::vector<std::string> directories;
  for (std::string directory : list_entries(runpath)) {
    for (const std::string_view token : {"$ORIGIN", "${ORIGIN}"})
      if (directory.starts_with(token)) directory = origin + directory.substr(token.size());
    if (directory.starts_with('/') && directory.find('$') == std::string::npos)
      directories.push_back(absolute_path(directory, "/"));
  }
  return directories;
}

/// The directories of which the machine's ld.so.cache tells the loader (ldconfig(8)), where files below ld.so.conf.d
/// name them.
std::vector<std::string> configured_directories(const Root& root) {
  constexpr std::size_t kMostText = 64UL * 1024;
  constexpr const char* kDirectory = "/etc/ld.so.conf.d";
  std::vector<std::string> directories;
  for (const std::string& name : root.list(kDirectory)) {
    if (!name.ends_with(".conf")) continue;
    std::string text;
    try {
      text = root.read_file(join(kDirectory, name), kMostText).value_or("");
    } catch (const Error&) {
      continue;
    }
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = std::min(text.find('\n', begin), text.size());
      const std::string line = text.substr(begin, text.find_last_not_of(" \t\r", end - (end > begin)) + 1 - begin);
      begin = end + 1;
      if (line.starts_with('/')) directories.push_back(absolute_path(line, "/"));
    }
  }
  return directories;
}

std::optional<std::string> Search::note_library(const std::string& program, const std::string& name,
                                                const std::vector<std::string>& directories) const {
  // What is no library's name may be anything that somebody wants to have shown.
  if (name.find(".so") == std::string::npos) return std::nullopt;
  for (const std::string& directory : directories)
    if (const Sight sight = look(join(directory, name)); sight.presence == Presence::hidden)
      return quote(program) + " needs the library " + quote(join(directory, name)) +
             ", which is not shown: " + advice(sight);
  constexpr const char* kVariable = "LD_LIBRARY_PATH";
  for (const std::string& directory : list_entries(find_variable(planned_.caller.variables, kVariable))) {
    const std::string path = absolute_path(join(directory, name), "/");
    const Sight sight = directory.starts_with('/') ? look(path) : Sight{};
    if (sight.presence == Presence::absent) continue;
    std::string text = quote(program) + " needs the library " + quote(path) + ": ";
    if (find_variable(plan_.variables, kVariable).empty())
      text += std::string("--keep-env ") + kVariable + " says where it is";
    if (sight.presence == Presence::seen) return text;
    return text + (text.ends_with(": ") ? "" : ", and ") + advice(sight);
  }
  return std::nullopt;
}

std::optional<std::string> Search::explain_library() const {
  const std::string start = program();
  if (start.empty()) return std::nullopt;
  const std::string multiarch = kNativeMultiarch;
  std::vector<std::string> usual = {"/lib/" + multiarch, "/usr/lib/" + multiarch, "/lib64", "/usr/lib64", "/lib",
                                    "/usr/lib"};
  const std::vector<std::string> configured = configured_directories(root_);
  usual.insert(usual.end(), configured.begin(), configured.end());
  const std::vector<std::string> inside = list_entries(find_variable(plan_.variables, "LD_LIBRARY_PATH"));
  std::vector<std::string> of_program;  // a DT_RPATH holds for what the program loads, too
  std::vector<std::string> files = {start};
  std::vector<std::string> names;
  for (std::size_t at = 0; at < files.size() && at < kMostLibraries; ++at) {
    std::optional<Elf> elf;
    try {
      elf = Elf::open(root_, files[at]);
    } catch (const Error&) {
      continue;
    }
    std::vector<std::string> directories = expand_runpath(elf->runpath(), parent_path(files[at]));
    if (at == 0) of_program = directories;
    for (const auto* const more : std::initializer_list<const std::vector<std::string>*>{&of_program, &inside, &usual})
      directories.insert(directories.end(), more->begin(), more->end());
    for (const std::string& name : elf->needed()) {
      if (name.find('/') != std::string::npos || std::find(names.begin(), names.end(), name) != names.end()) continue;
      names.push_back(name);
      Sight found;
      for (std::size_t i = 0; i < directories.size() && found.presence != Presence::seen; ++i)
        if (Sight sight = look(absolute_path(join(directories[i], name), "/"));
            sight.presence == Presence::seen && root_.is_regular(sight.path))
          found = std::move(sight);
      if (found.presence == Presence::seen)
        files.push_back(found.path);
      else if (auto note = note_library(plan_.command.front(), name, directories))
        return note;
    }
  }
  return std::nullopt;
}

void Search::explain_words(std::vector<std::string>& notes) const {
  const std::size_t count = std::min(plan_.command.size(), kMostWords);
  std::vector<std::string> told;
  for (std::size_t i = 1; i < count && notes.size() < kMostNotes; ++i) {
    std::string_view word = plan_.command[i];
    if (word.starts_with('-')) word.remove_prefix(std::min(word.find('='), word.size() - 1) + 1);
    if (word.empty() || word.size() >= PATH_MAX) continue;
    const std::string path = absolute_path(word, plan_.working_directory);
    const Sight sight = look(path);
    // That packages are absent is what the run is for, and no advice takes it back.
    const bool is_package = std::any_of(plan_.hidden_packages.begin(), plan_.hidden_packages.end(),
                                        [&](const std::string& place) { return is_within(sight.path, place); });
    if (sight.presence != Presence::hidden || is_package || std::find(told.begin(), told.end(), path) != told.end())
      continue;
    told.push_back(path);
    notes.push_back("the run did not see " + quote(path) + "; " + advice(sight));
  }
}

void Search::explain_settings(int exit_code, std::vector<std::string>& notes) const {
  std::string name = base_name(plan_.command.front());
  const auto without_version = [](const std::string& text) {
    return text.substr(0, text.find_last_not_of("0123456789.") + 1);
  };
  if (without_version(name) == "python" && plan_.command.size() > 2 && plan_.command[1] == "-m")
    name = plan_.command[2];
  name = without_version(name);
  for (const Settings& settings : kSettings) {
    if (settings.program != name || (settings.exit_code != kAny && settings.exit_code != exit_code) ||
        (settings.when == When::network && plan_.network == Network::none))
      continue;
    for (const std::string_view file : settings.files) {
      if (file.empty()) break;
      const std::string path = join(plan_.identity.home, file);
      const Sight sight = look(path);
      if (notes.size() < kMostNotes && sight.presence == Presence::hidden)
        notes.push_back(name + " did not see " + quote(path) + "; " + advice(sight));
    }
  }
}

}  // namespace

std::string explain_missing_command(const Planned& planned) { return Search(planned).explain_command(); }

std::string explain_missing_interpreter(const Planned& planned) { return Search(planned).explain_interpreter(); }

std::string explain_missing_directory(const Planned& planned) {
  const Search search(planned);
  const Sight sight = search.look(planned.plan.working_directory);
  return sight.presence == Presence::hidden ? "; outside it is there: " + search.advice(sight) : "";
}

std::vector<std::string> explain_failure(const Planned& planned, int exit_code) {
  const Search search(planned);
  std::vector<std::string> notes;
  if (exit_code == kLoaderFailed)
    if (auto note = search.explain_library()) notes.push_back(std::move(*note));
  search.explain_words(notes);
  search.explain_settings(exit_code, notes);
  return notes;
}

}  // namespace vrun
