#include "builder/seeds.h"

#include <optional>

#include "builder/text.h"
#include "policy/error.h"

namespace vrun::builder {
namespace {

bool is_readable_file(const Root& root, const std::string& path) {
  try {
    return root.is_regular(path);
  } catch (const Error&) {
    return false;  // a directory that may not be searched has no wheels for this user
  }
}

/// The newest wheel of `project` in `directory` by PEP 440.
std::optional<std::string> find_newest(const Root& root, std::string_view directory, std::string_view project) {
  std::optional<std::string> best;
  std::optional<Version> best_version;
  for (const std::string& file : root.list(directory)) {
    const auto name = parse_wheel_name(file);
    if (!name || name->project != project || !name->pure) continue;
    if (best_version && name->version <= *best_version) continue;
    best_version = name->version;
    best = join(directory, file);
  }
  return best;
}

/// ensurepip takes the last by the order of strings, "since this case should not happen".
std::optional<std::string> find_last(const Root& root, std::string_view directory, std::string_view project) {
  std::optional<std::string> last;
  for (const std::string& file : root.list(directory)) {
    const auto name = parse_wheel_name(file);
    if (name && name->project == project) last = join(directory, file);
  }
  return last;
}

/// The wheel in ensurepip's own directory whose version its source names: `_PIP_VERSION = "24.2"`. Another version may
/// lie beside it after an upgrade in place.
std::optional<std::string> find_bundled(const Root& root, const Interpreter& python, std::string_view project) {
  const std::string directory = join(python.stdlib, "ensurepip/_bundled");
  std::string constant = "_";
  for (const char c : project) constant += static_cast<char>(c - 'a' + 'A');
  constant += "_VERSION";
  constexpr std::size_t limit = 1U << 20U;
  const auto source = root.read_file(join(python.stdlib, "ensurepip/__init__.py"), limit);
  std::string_view rest = source ? std::string_view(*source) : std::string_view();
  while (!rest.empty()) {
    std::string_view line = take_line(rest);
    if (!line.starts_with(constant)) continue;
    line = strip(line.substr(constant.size()));
    if (!line.starts_with('=')) continue;
    line = strip(line.substr(1));
    if (line.size() < 3 || (line.front() != '"' && line.front() != '\'') || line.back() != line.front()) continue;
    const std::string version(line.substr(1, line.size() - 2));
    for (const std::string& file : root.list(directory)) {
      const auto name = parse_wheel_name(file);
      if (name && name->project == project && name->version_text == version) return join(directory, file);
    }
  }
  return find_newest(root, directory, project);
}

using Find = std::optional<std::string> (*)(const Root&, std::string_view, std::string_view);

/// All projects in one directory, or none: two directories of a distribution may hold versions that do not fit
/// together.
std::optional<std::vector<std::string>> find_all(const Root& root, std::string_view directory,
                                                 const std::vector<std::string>& projects, Find find) {
  std::vector<std::string> paths;
  for (const std::string& project : projects) {
    auto path = find(root, directory, project);
    if (!path || !is_readable_file(root, *path)) return std::nullopt;
    paths.push_back(std::move(*path));
  }
  return paths;
}

/// The packages that bring the wheels, by the distribution's name for itself (os-release(5)).
std::string remedy(const Root& root, const Interpreter& python) {
  const auto release = root.read_file("/etc/os-release", 1U << 16U);
  std::string_view rest = release ? std::string_view(*release) : std::string_view();
  std::string id;
  while (!rest.empty()) {
    const std::string_view line = take_line(rest);
    if (line.starts_with("ID=") || line.starts_with("ID_LIKE="))
      id += " " + replace_all(line.substr(line.find('=') + 1), "\"", "");
  }
  id += ' ';
  const auto is = [&](std::string_view name) { return id.find(" " + std::string(name) + " ") != std::string::npos; };
  std::string install;
  if (is("debian") || is("ubuntu"))
    install = python.implementation == Implementation::pypy ? "apt install pypy3-venv"
                                                            : "apt install python3-venv python3-pip-whl";
  else if (is("fedora") || is("rhel"))
    install = "dnf install python-pip-wheel python-setuptools-wheel";
  else if (is("alpine"))
    install = "apk add py3-pip";
  else if (is("suse") || is("opensuse"))
    install = "zypper install python-pip-wheel";
  const std::string others = "give a directory with the wheel (--wheel-dir DIR), or leave pip out (--without-pip)";
  return install.empty() ? others : "install it with: " + install + ", " + others;
}

}  // namespace

std::vector<std::string> seed_projects(const Interpreter& python) {
  if (python.version.minor >= 12) return {"pip"};
  return {"pip", "setuptools"};
}

std::vector<std::string> find_seed_wheels(const Root& root, const Interpreter& python,
                                          const std::vector<std::string>& projects, std::string_view wheel_directory) {
  std::vector<std::string> paths(projects.size());
  std::vector<std::string> missing;
  if (!wheel_directory.empty() && !root.list_by_type(wheel_directory).readable)
    throw Error("cannot list the directory of wheels", wheel_directory, EACCES);
  for (std::size_t i = 0; i < projects.size(); ++i) {
    if (!wheel_directory.empty())
      if (auto path = find_newest(root, wheel_directory, projects[i])) paths[i] = std::move(*path);
    if (paths[i].empty()) missing.push_back(projects[i]);
  }
  if (missing.empty()) return paths;

  std::optional<std::vector<std::string>> found;
  if (!python.wheel_directory.empty()) found = find_all(root, python.wheel_directory, missing, find_last);
  if (!found) {
    std::vector<std::string> bundled;
    for (const std::string& project : missing)
      if (auto path = find_bundled(root, python, project); path && is_readable_file(root, *path))
        bundled.push_back(std::move(*path));
    if (bundled.size() == missing.size()) found = std::move(bundled);
  }
  for (const char* const directory : {"/usr/share/python-wheels", "/usr/share/python3-wheels"})
    if (!found) found = find_all(root, directory, missing, find_newest);
  if (!found) {
    std::string names = missing.front();
    if (missing.size() > 1) names += " and " + missing.back();
    throw Error("cannot find the wheel of " + names + " for", python.executable).hint(remedy(root, python));
  }
  for (std::size_t i = 0, next = 0; i < paths.size(); ++i)
    if (paths[i].empty()) paths[i] = (*found)[next++];
  return paths;
}

Wheel read_seed_wheel(const Root& root, const Interpreter& python, const std::string& path) {
  auto content = root.read_file(path, kSeedLimits.archive);
  if (!content) throw Error("cannot find the wheel", path);
  Wheel wheel = read_wheel(std::move(*content), path);
  const auto version = parse_version(python.version.text());
  if (wheel.requires_python && version && !wheel.requires_python->hold(*version))
    throw Error("cannot use the wheel " + quote(path) + ": it is not made for Python " + python.version.minor_text());
  return wheel;
}

}  // namespace vrun::builder
