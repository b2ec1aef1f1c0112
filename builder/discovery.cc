#include "builder/discovery.h"

#include <algorithm>

#include "builder/text.h"
#include "policy/error.h"

namespace vrun::builder {
namespace {

constexpr std::size_t kMaximumChoiceFile = 64U << 10U;

bool is_program(const Root& root, const std::string& path) {
  try {
    const auto status = root.stat(path);
    return status && S_ISREG(status->st_mode) && (status->st_mode & 0111) != 0;
  } catch (const Error&) {
    return false;  // in a directory that may not be searched: execvp(3) goes on, too
  }
}

std::string read_small(const Root& root, const std::string& path) {
  try {
    return root.read_file(path, kMaximumChoiceFile).value_or("");
  } catch (const Error&) {
    return "";
  }
}

std::vector<std::string> path_directories(const SearchContext& context) {
  std::vector<std::string> directories;
  std::string variable = context.variable("PATH");
  if (variable.empty()) variable = "/usr/local/bin:/usr/bin:/bin";
  // No Python is taken from the current directory unasked, which an empty entry would mean.
  for (const std::string& entry : list_entries(variable))
    directories.push_back(absolute_path(entry, context.working_directory));
  return directories;
}

bool is_shim(const std::string& path) { return base_name(parent_path(path)) == "shims"; }

/// Directories from the working directory up to "/".
std::vector<std::string> upwards(const SearchContext& context) {
  std::vector<std::string> directories;
  for (std::string at = context.working_directory;; at = parent_path(at)) {
    directories.push_back(at);
    if (at == "/") return directories;
  }
}

/// Words of a file of versions: one a line or several, "#" begins a comment.
std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    std::string_view line = take_line(text);
    line = line.substr(0, line.find('#'));
    while (!(line = strip(line)).empty()) {
      const std::size_t end = std::min(line.find_first_of(" \t"), line.size());
      out.emplace_back(line.substr(0, end));
      line.remove_prefix(end);
    }
  }
  return out;
}

/// "3.11" names the newest installed 3.11.x, as pyenv and mise have it. Installations are directories named by version.
std::optional<std::string> find_installation(const Root& root, const std::string& directory,
                                             const std::string& version) {
  if (version.empty() || version.front() == '.' || version.find('/') != std::string::npos) return std::nullopt;
  if (root.is_directory(join(directory, version))) return join(directory, version);
  std::optional<std::string> best;
  std::optional<Version> best_version;
  for (const std::string& name : root.list_directories(directory)) {
    if (!name.starts_with(version + ".")) continue;
    const auto found = parse_version(name);
    if (!found || (best_version && *found <= *best_version)) continue;
    best = join(directory, name);
    best_version = found;
  }
  return best;
}

/// The versions that pyenv would try, in order: PYENV_VERSION, .python-version here or above, the user's choice.
std::vector<std::string> pyenv_choice(const Root& root, const SearchContext& context, const std::string& manager) {
  const std::string variable = replace_all(context.variable("PYENV_VERSION"), ":", " ");
  if (!variable.empty()) return words(variable);
  for (const std::string& directory : upwards(context))
    if (auto chosen = words(read_small(root, join(directory, ".python-version"))); !chosen.empty()) return chosen;
  return words(read_small(root, join(manager, "version")));
}

/// `python 3.12.1 system` of asdf's and mise's .tool-versions, `python = "3.12"` of mise's TOML.
std::vector<std::string> tool_choice(const Root& root, const SearchContext& context, const std::string& home) {
  for (const char* const name : {"ASDF_PYTHON_VERSION", "MISE_PYTHON_VERSION"})
    if (auto chosen = words(context.variable(name)); !chosen.empty()) return chosen;
  const auto read = [&](const std::string& path) -> std::vector<std::string> {
    const std::string text = read_small(root, path);
    std::string_view rest = text;
    while (!rest.empty()) {
      std::string_view line = strip(take_line(rest));
      if (!line.starts_with("python")) continue;
      line = strip(line.substr(6));
      if (path.ends_with(".toml")) {
        if (!line.starts_with('=')) continue;
        line = strip(line.substr(1));
        if (line.size() < 3 || line.front() != '"') continue;
        return {std::string(line.substr(1, line.find('"', 1) - 1))};
      }
      return words(line);
    }
    return {};
  };
  for (const std::string& directory : upwards(context))
    for (const char* const name : {"mise.toml", ".mise.toml", ".tool-versions", ".python-version"}) {
      const std::string path = join(directory, name);
      auto chosen = std::string_view(name) == ".python-version" ? words(read_small(root, path)) : read(path);
      if (!chosen.empty()) return chosen;
    }
  for (const char* const name : {".config/mise/config.toml", ".tool-versions"})
    if (auto chosen = read(join(home, name)); !chosen.empty()) return chosen;
  return {};
}

/// Reads an interpreter where it is one that is wanted.
bool is_wanted(const Root& root, const std::string& path, const PythonRequest& request) {
  try {
    return request.matches(read_interpreter(root, path, BuildConfiguration::skip));
  } catch (const Error&) {
    return false;  // not a Python, or not one for this machine; the search goes on
  }
}

/// Whether a file name can be that of a wanted interpreter: python, python3, python3.12, python3.13t, pypy3.9.
bool is_python_name(std::string_view name) {
  if (name.starts_with("python"))
    name.remove_prefix(6);
  else if (name.starts_with("pypy"))
    name.remove_prefix(4);
  else
    return false;
  return std::all_of(name.begin(), name.end(), [](char c) { return is_digit(c) || c == '.' || c == 't'; });
}

/// The interpreters in one directory, best first: the plain name that a user would type, then the newest.
std::vector<std::string> pythons_in(const Root& root, const std::string& directory) {
  std::vector<std::string> names;
  for (std::string& name : root.list(directory))
    if (is_python_name(name)) names.push_back(std::move(name));
  const auto key = [](const std::string& name) {
    std::string_view version = name;
    version.remove_prefix(name.starts_with("pypy") ? 4 : 6);
    if (version.ends_with('t')) version.remove_suffix(1);
    const auto parsed = parse_version(version);
    const bool plain = name == "python3" || name == "python" || name == "pypy3";
    return std::pair{plain, parsed.value_or(Version{.release = {0}})};
  };
  std::stable_sort(names.begin(), names.end(), [&](const auto& a, const auto& b) { return key(a) > key(b); });
  for (std::string& name : names) name = join(directory, name);
  return names;
}

/// bin directories of installations that lie side by side below `directory`, the newest version first.
std::vector<std::string> installations(const Root& root, const std::string& directory) {
  std::vector<std::string> names = root.list_directories(directory);
  const auto key = [](const std::string& name) {
    // "3.12.1", "cpython-3.12.1-linux-x86_64-gnu", "miniforge3"
    std::string_view rest = name;
    rest.remove_prefix(std::min(rest.find_first_of("0123456789"), rest.size()));
    return parse_version(rest.substr(0, rest.find('-'))).value_or(Version{.release = {0}});
  };
  std::stable_sort(names.begin(), names.end(), [&](const auto& a, const auto& b) { return key(a) > key(b); });
  for (std::string& name : names) name = join(join(directory, name), "bin");
  return names;
}

/// Where conda and its relatives are installed: as their variables say, and where their installers put them.
std::vector<std::string> conda_prefixes(const SearchContext& context, const std::string& home) {
  std::vector<std::string> prefixes;
  const auto add = [&](const std::string& prefix) {
    if (prefix.starts_with('/')) prefixes.push_back(absolute_path(prefix, "/"));
  };
  // $CONDA_EXE is bin/conda of the installation.
  if (const std::string program = context.variable("CONDA_EXE"); program.ends_with("/bin/conda"))
    add(program.substr(0, program.size() - std::string_view("/bin/conda").size()));
  add(context.variable("MAMBA_ROOT_PREFIX"));
  for (const std::string& parent : {home, std::string("/opt")})
    for (const char* const name : {"miniforge3", "mambaforge", "miniconda3", "anaconda3", "micromamba", "conda"})
      add(join(parent, name));
  return prefixes;
}

/// Every bin directory to search for a version, in order.
std::vector<std::string> search_directories(const Root& root, const SearchContext& context) {
  std::vector<std::string> directories = path_directories(context);
  const std::string home = context.variable("HOME");
  const auto variable_or = [&](const char* name, const std::string& otherwise) {
    std::string value = context.variable(name);
    return value.empty() ? otherwise : value;
  };
  const std::string data = variable_or("XDG_DATA_HOME", join(home, ".local/share"));
  const auto append = [&](const std::string& parent) {
    if (!parent.starts_with('/')) return;
    for (std::string& directory : installations(root, parent)) directories.push_back(std::move(directory));
  };
  append(join(variable_or("PYENV_ROOT", join(home, ".pyenv")), "versions"));
  append(variable_or("UV_PYTHON_INSTALL_DIR", join(data, "uv/python")));
  append(join(variable_or("MISE_DATA_DIR", join(data, "mise")), "installs/python"));
  append(join(variable_or("ASDF_DATA_DIR", join(home, ".asdf")), "installs/python"));
  for (const std::string& prefix : conda_prefixes(context, home)) {
    directories.push_back(join(prefix, "bin"));
    append(join(prefix, "envs"));
  }
  append(join(home, ".conda/envs"));
  // Where conda writes down each environment that it makes.
  const std::string made = read_small(root, join(home, ".conda/environments.txt"));
  for (std::string_view rest = made; !rest.empty();)
    if (const std::string_view line = strip(take_line(rest)); line.starts_with('/'))
      directories.push_back(join(absolute_path(line, "/"), "bin"));
  for (const char* const directory : {"/usr/bin", "/usr/local/bin", "/home/linuxbrew/.linuxbrew/bin"})
    directories.emplace_back(directory);
  append("/opt");
  return directories;
}

std::string find_on_path(const Root& root, const SearchContext& context, std::string_view name) {
  for (const std::string& directory : path_directories(context)) {
    const std::string path = join(directory, name);
    if (!is_program(root, path)) continue;
    if (!is_shim(path)) return path;
    if (auto target = find_target_of_shim(root, context, path)) return *target;
  }
  return "";
}

std::string find_at_path(const Root& root, const SearchContext& context, std::string_view spec) {
  const std::string path = absolute_path(spec, context.working_directory);
  if (!root.is_directory(path)) {
    if (is_shim(path))
      if (auto target = find_target_of_shim(root, context, path)) return *target;
    return path;
  }
  for (const char* const name : {"bin/python3", "bin/python", "bin/pypy3", "python3", "python"})
    if (is_program(root, join(path, name))) return join(path, name);
  throw Error("there is no Python in", path).hint("it is neither an environment nor the prefix of an interpreter");
}

}  // namespace

bool PythonRequest::matches(const Interpreter& python) const {
  if (python.implementation != implementation) return false;
  const auto version = parse_version(python.version.text());
  if (!version) return false;
  if (specifiers) return specifiers->hold(*version);
  return python.free_threaded == free_threaded && has_prefix(*version, release);
}

std::optional<PythonRequest> parse_python_request(std::string_view spec) {
  PythonRequest request;
  const auto take = [&](std::string_view start) {
    if (!spec.starts_with(start)) return false;
    spec.remove_prefix(start.size());
    return true;
  };
  if (spec.empty()) return std::nullopt;
  if (take("pypy"))
    request.implementation = Implementation::pypy;
  else if (!take("cpython"))
    take("python");
  if (!spec.empty() && std::string_view("<>=!~").find(spec.front()) != std::string_view::npos) {
    request.specifiers = Specifiers::parse(spec);
    if (!request.specifiers) return std::nullopt;
    return request;
  }
  if (spec.empty()) return request;
  if (spec.ends_with('t')) {
    request.free_threaded = true;
    spec.remove_suffix(1);
  }
  auto release = parse_release(spec);
  if (!release || release->size() > 3) return std::nullopt;
  request.release = std::move(*release);
  return request;
}

std::optional<std::string> find_target_of_shim(const Root& root, const SearchContext& context,
                                               const std::string& shim) {
  const std::string manager = parent_path(parent_path(shim));
  const std::string name = base_name(shim);
  const bool pyenv = root.is_directory(join(manager, "versions"));
  // pyenv-virtualenv has a directory of shims too; what it puts there is no Python, but the way from it is the same.
  const std::string installs = pyenv ? join(manager, "versions") : join(manager, "installs/python");
  const auto chosen =
      pyenv ? pyenv_choice(root, context, manager) : tool_choice(root, context, context.variable("HOME"));
  if (pyenv && chosen.empty()) return std::nullopt;  // pyenv's default is "system"
  for (std::string version : chosen) {
    if (version == "system") return std::nullopt;
    if (version.starts_with("python-")) version.erase(0, 7);
    if (version.starts_with("path:/")) {
      const std::string program = join(version.substr(5), "bin/" + name);
      if (is_program(root, program)) return program;
    }
    const auto installation = find_installation(root, installs, version);
    if (!installation) continue;
    std::string program = join(*installation, "bin/" + name);
    if (is_program(root, program)) return program;
  }
  throw Error("cannot tell which interpreter stands behind", shim)
      .hint(chosen.empty()
                ? "no version is chosen; name one with --python"
                : "the chosen version " + quote(chosen.front()) + " has no " + name + "; name one with --python");
}

std::string find_python(const Root& root, const SearchContext& context, std::string_view spec) {
  if (spec.find('/') != std::string_view::npos) return find_at_path(root, context, spec);
  if (spec == "." || spec == "..") return find_at_path(root, context, spec);
  if (spec.empty()) {
    std::string path = find_on_path(root, context, "python3");
    if (!path.empty()) return path;
    throw Error("cannot find python3 in PATH").hint("name an interpreter with --python");
  }
  const auto request = parse_python_request(spec);
  // A name such as python3.12 or pypy3 is what a shell would start.
  if (is_python_name(spec) && !(request && request->specifiers)) {
    try {
      if (std::string path = find_on_path(root, context, spec); !path.empty()) return path;
    } catch (const Error&) {
      // A shim that stands for nothing: the version is looked for everywhere.
    }
  }
  if (!request) {
    if (root.is_directory(absolute_path(spec, context.working_directory))) return find_at_path(root, context, spec);
    if (std::string path = find_on_path(root, context, spec); !path.empty()) return path;
    throw Error("cannot understand --python " + quote(spec))
        .hint("give a path, a version such as 3.12, 3.13t or pypy3.9, or a range such as '>=3.10'");
  }
  for (const std::string& directory : search_directories(root, context)) {
    if (base_name(directory) == "shims") continue;  // what they stand for lies in a directory that is searched too
    for (const std::string& path : pythons_in(root, directory))
      if (is_program(root, path) && is_wanted(root, path, *request)) return path;
  }
  throw Error("cannot find a Python that is " + quote(spec))
      .hint("searched: PATH, pyenv, uv, mise, asdf, conda, /usr, /usr/local and /opt; name one with --python PATH");
}

}  // namespace vrun::builder
