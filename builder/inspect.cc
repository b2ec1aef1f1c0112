#include "builder/inspect.h"

#include <fcntl.h>

#include <algorithm>
#include <charconv>

#include "builder/text.h"
#include "policy/error.h"
#include "policy/host/elf.h"
#include "policy/package_dirs.h"

namespace vrun::builder {
namespace {

/// Room for the longest name of a fact.
constexpr std::size_t kColumn = 20;

/// The links met from `path` on, as far as they lead; a dangling link's are what one wants to see.
std::vector<Link> follow(const Root& root, std::string path) {
  std::vector<Link> links;
  constexpr std::size_t most = 40;
  while (links.size() < most) {
    const auto target = root.read_link(path);
    if (!target) break;
    links.push_back({path, *target});
    std::string directory = parent_path(path);
    try {
      directory = root.resolve(directory).path;
    } catch (const Error&) {
      break;  // the directory of the link is gone: it leads no further
    }
    path = absolute_path(*target, directory);
  }
  return links;
}

std::string find_python(const Root& root, const std::string& path) {
  for (const char* const name : {"bin/python", "bin/python3"})
    if (root.lstat(join(path, name))) return join(path, name);
  return join(path, "bin/python");
}

void read_base(const Root& root, const WheelSources& sources, Inspection& inspection) {
  try {
    inspection.base = read_interpreter(root, inspection.python);
    inspection.package_directories = find_package_directories(root, *inspection.base);
  } catch (const Error& error) {
    if (inspection.problem.empty()) inspection.problem = error.what();
    return;
  }
  try {
    inspection.wheels = find_seed_wheels(root, *inspection.base, default_seeds(*inspection.base), sources);
  } catch (const Error& error) {
    inspection.wheels_problem = error.what();
  }
}

class Lines {
 public:
  /// A further value of the same fact stands below the first one.
  void add(std::string_view name, std::string_view value) { add_escaped(name, escape(value)); }
  /// The text of an Error is escaped already.
  void add_escaped(std::string_view name, std::string_view value) {
    std::string column(name == last_ ? std::string_view() : name);
    last_ = name;
    column.resize(kColumn, ' ');
    text_.append(column).append(value).append("\n");
  }
  void add_known(std::string_view name, const std::optional<std::string>& value) {
    if (value && !value->empty()) add(name, *value);
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
  std::string last_;
};

}  // namespace

std::vector<std::string> find_site_packages(const Tree& environment) {
  std::vector<std::string> found;
  for (const std::string library : {"lib", "lib64"}) {
    const auto status = environment.lstat(library);
    // lib64 is most often a link to lib, and what it has was found there.
    if (!status || (library == "lib64" && S_ISLNK(status->st_mode))) continue;
    for (const std::string& name : environment.list(library).names) {
      if (!name.starts_with("python3.") && !name.starts_with("pypy3.")) continue;
      const std::string packages = join(join(library, name), "site-packages");
      const auto directory = environment.lstat(packages);
      if (directory && S_ISDIR(directory->st_mode)) found.push_back(packages);
    }
  }
  return found;
}

std::vector<Distribution> find_distributions(const Tree& environment, const std::string& site_packages,
                                             bool& complete) {
  std::vector<Distribution> found;
  const Tree::Listing listing = environment.list(site_packages);
  if (!listing.complete) complete = false;
  constexpr std::string_view suffix = ".dist-info";
  for (const std::string& name : listing.names) {
    if (!name.ends_with(suffix)) continue;
    // As importlib.metadata has it: the version begins after the first dash.
    const std::string_view stem = std::string_view(name).substr(0, name.size() - suffix.size());
    const std::size_t dash = stem.find('-');
    if (stem.empty() || dash == 0) continue;
    found.push_back({.name = std::string(stem.substr(0, dash)),
                     .version = std::string(dash == std::string_view::npos ? "" : stem.substr(dash + 1)),
                     .directory = join(site_packages, name)});
  }
  return found;
}

std::vector<int> version_numbers(const PyvenvConfig& config) {
  std::vector<int> numbers;
  std::string_view rest = config.version ? std::string_view(*config.version) : std::string_view();
  while (numbers.size() < 3) {
    int number = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
    if (error != std::errc() || number < 0) break;
    numbers.push_back(number);
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    if (!rest.starts_with('.')) break;
    rest.remove_prefix(1);
  }
  return numbers;
}

std::string describe_version(const Interpreter& python) {
  return (python.implementation == Implementation::pypy ? "PyPy " : "CPython ") + python.version.text();
}

bool is_program_name(std::string_view name) {
  for (const std::string_view stem : {"python", "pypy", "\U0001D70Bthon"}) {
    if (!name.starts_with(stem)) continue;
    const std::string_view rest = name.substr(stem.size());
    return std::all_of(rest.begin(), rest.end(),
                       [](char c) { return is_digit(c) || c == '.' || c == 't' || c == 'd'; });
  }
  return false;
}

std::optional<struct stat> find_target(const Root& root, const std::string& path) {
  const Fd fd = root.open(path, O_PATH);
  struct stat status {};
  if (!fd.valid() || ::fstat(fd.get(), &status) != 0) return std::nullopt;
  return status;
}

bool knows_micro(const Interpreter& python) { return python.version.micro != 0 || python.version.minor >= 11; }

std::string minor_text(const std::vector<int>& numbers) {
  return std::to_string(numbers.at(0)) + "." + std::to_string(numbers.at(1));
}

Inspection inspect(const Root& root, std::string_view path, const WheelSources& sources) {
  Inspection inspection;
  inspection.path = absolute_path(path, "/");
  const auto status = root.stat(inspection.path);
  if (!status || !S_ISDIR(status->st_mode) || !root.lstat(join(inspection.path, "pyvenv.cfg")))
    read_environment(root, inspection.path);  // which throws, and says what there is instead
  inspection.real_path = root.resolve(inspection.path).path;
  const Tree tree(root, inspection.path);

  try {
    inspection.config = read_environment(root, inspection.path).config;
  } catch (const Error& error) {
    inspection.problem = error.what();
    try {
      if (const auto text = tree.read("pyvenv.cfg", kMaximumConfigSize))
        inspection.config = parse_pyvenv_config(*text, tree.at("pyvenv.cfg"));
    } catch (const Error&) {
      // That is the problem, and it has been noted.
    }
  }
  inspection.python = find_python(root, inspection.path);
  inspection.python_links = follow(root, inspection.python);
  read_base(root, sources, inspection);

  try {
    inspection.site_packages = find_site_packages(tree);
    for (const std::string& directory : inspection.site_packages)
      for (Distribution& distribution : find_distributions(tree, directory, inspection.distributions_complete))
        inspection.distributions.push_back(std::move(distribution));
  } catch (const Error& error) {
    if (inspection.problem.empty()) inspection.problem = error.what();
  }
  return inspection;
}

std::string to_text(const Inspection& inspection) {
  Lines lines;
  lines.add("path", inspection.path);
  if (inspection.real_path != inspection.path) lines.add("real path", inspection.real_path);
  if (const auto& config = inspection.config) {
    lines.add("system packages", config->include_system_site_packages ? "on" : "off");
    lines.add_known("home", config->home);
    lines.add_known("version", config->version);
    lines.add_known("prompt", config->prompt);
    lines.add_known("executable", config->executable);
    lines.add_known("base executable", config->base_executable);
  }
  lines.add("python", inspection.python);
  for (const Link& link : inspection.python_links) lines.add("python", "-> " + link.target);
  if (const auto& base = inspection.base) {
    lines.add("base", base->executable);
    if (base->real_executable != base->executable) lines.add("base", "-> " + base->real_executable);
    lines.add("implementation", describe_version(*base) + (base->free_threaded ? ", free-threaded" : "") +
                                    (base->debug ? ", debug" : ""));
    lines.add("machine", machine_name(base->machine) + (base->is_64bit ? ", 64-bit" : ", 32-bit"));
    lines.add_known("multiarch", base->multiarch);
    lines.add("prefix", base->prefix);
    lines.add("standard library", base->stdlib);
    lines.add_known("shared library", base->libpython);
    for (const std::string& directory : inspection.package_directories) lines.add("system packages in", directory);
    for (const std::string& wheel : inspection.wheels) lines.add("wheels", wheel);
    if (!inspection.wheels_problem.empty()) lines.add_escaped("wheels", "none: " + inspection.wheels_problem);
  }
  for (const std::string& directory : inspection.site_packages)
    lines.add("packages in", join(inspection.path, directory));
  for (const Distribution& distribution : inspection.distributions)
    lines.add("installed", distribution.name + " " + distribution.version);
  if (!inspection.distributions_complete) lines.add("installed", "... and more than are read");
  if (!inspection.problem.empty()) lines.add_escaped("problem", inspection.problem);
  return lines.take();
}

}  // namespace vrun::builder
