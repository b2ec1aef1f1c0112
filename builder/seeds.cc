#include "builder/seeds.h"

#include <algorithm>
#include <cerrno>

#include "builder/text.h"
#include "builder/trust.h"
#include "policy/error.h"
#include "policy/host/user_directories.h"
#include "policy/package_dirs.h"

namespace vrun::builder {
namespace {

/// A message names so many of the wheels that were passed over.
constexpr std::size_t kMostPassedOver = 6;

bool is_readable_file(const Root& root, const std::string& path) {
  try {
    return root.is_regular(path);
  } catch (const Error&) {
    return false;  // a directory that may not be searched has no wheels for this user
  }
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
std::optional<std::string> find_named_by_ensurepip(const Root& root, const Interpreter& python,
                                                   std::string_view directory, std::string_view project) {
  std::string constant = "_";
  for (const char c : project) constant += is_letter(c) ? static_cast<char>(c - 'a' + 'A') : '_';
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
  return std::nullopt;
}

/// The command that brings the wheels of pip and setuptools, by the distribution's name for itself (os-release(5)).
/// Empty when it is not known.
std::string command_to_install(const Root& root, const Interpreter& python) {
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
  if (is("debian") || is("ubuntu"))
    return python.implementation == Implementation::pypy ? "apt install pypy3-venv"
                                                         : "apt install python3-venv python3-pip-whl";
  if (is("fedora") || is("rhel")) return "dnf install python-pip-wheel python-setuptools-wheel";
  if (is("alpine")) return "apk add py3-pip";
  if (is("suse") || is("opensuse")) return "zypper install python-pip-wheel";
  return {};
}

std::string wheel_directory_of(const Interpreter& python) {
  return python.wheel_directory.empty() ? "" : absolute_path(python.wheel_directory, "/");
}

std::string bundle_of(const Interpreter& python) { return join(python.stdlib, "ensurepip/_bundled"); }

/// Whoever can write to the Python's own directories decides what it runs in any case.
bool is_of_python(const Interpreter& python, std::string_view path) {
  const std::string configured = wheel_directory_of(python);
  return is_within(path, bundle_of(python)) || (!configured.empty() && is_within(path, configured));
}

bool is_made_for(const Wheel& wheel, const Interpreter& python) {
  const auto version = parse_version(python.version.text());
  return !wheel.requires_python || !version || wheel.requires_python->hold(*version);
}

/// Where virtualenv has wheels: its cache, the place that this had in older versions, and the package itself.
std::vector<std::string> find_virtualenv_directories(const Root& root, const Interpreter& python,
                                                     const std::function<std::string(const char*)>& variable) {
  const std::string home = variable("HOME");
  std::vector<std::string> found;
  if (const std::string data = variable("VIRTUALENV_OVERRIDE_APP_DATA"); data.starts_with('/'))
    found.push_back(join(absolute_path(data, "/"), "wheel/house"));
  for (const std::string& parent : {user_directory(variable("XDG_CACHE_HOME"), home, ".cache"),
                                    user_directory(variable("XDG_DATA_HOME"), home, ".local/share")})
    if (!parent.empty()) found.push_back(join(parent, "virtualenv/wheel/house"));
  std::vector<std::string> packages = find_package_directories(root, python);
  if (home.starts_with('/')) packages.push_back(user_site(python, home));
  for (const std::string& directory : packages)
    if (std::string embedded = join(directory, "virtualenv/seed/wheels/embed"); root.is_directory(embedded))
      found.push_back(std::move(embedded));
  return found;
}

/// Looks for wheels for one Python, and remembers where it looked and what it did not take.
class Search {
 public:
  Search(const Root& root, const Interpreter& python) : root_(root), python_(python) {}

  /// In the directory that the user named. What is wrong with the wheel there is told when it is read, and is no reason
  /// to take another one from somewhere else.
  std::optional<std::string> in_given(const std::string& directory, const Seed& seed) {
    const std::vector<std::string> candidates = list(directory, seed);
    if (candidates.size() > 1)
      for (const std::string& path : candidates)
        if (is_made_for(read_wheel(root_.read_file(path, kSeedLimits.archive).value_or(""), path), python_))
          return path;
    return candidates.empty() ? std::nullopt : std::optional(candidates.front());
  }

  std::optional<std::string> in_configured(const std::string& directory, const Seed& seed) {
    const std::vector<std::string> candidates = list(directory, seed);
    if (!seed.versions.empty()) return first_readable(candidates);
    const auto last = find_last(root_, directory, seed.project);
    return last ? first_readable({*last}) : std::nullopt;
  }

  std::optional<std::string> in_bundle(const std::string& directory, const Seed& seed) {
    const std::vector<std::string> candidates = list(directory, seed);
    if (seed.versions.empty())
      if (const auto named = find_named_by_ensurepip(root_, python_, directory, seed.project))
        return first_readable({*named});
    return first_readable(candidates);
  }

  /// In a directory for everybody who makes environments: what cannot be used is passed over.
  std::optional<std::string> in_common(const std::string& directory, const Seed& seed) {
    for (std::string& path : list(directory, seed)) {
      try {
        read_seed_wheel(root_, python_, path);
        return std::move(path);
      } catch (const Error& error) {
        pass_over(error.what());
      }
    }
    return std::nullopt;
  }

  [[noreturn]] void fail(const std::vector<const Seed*>& missing) const {
    const std::vector<Seed> defaults = default_seeds(python_);
    bool only_defaults = true;
    std::string text = "cannot find the wheel of ";
    for (const Seed* const seed : missing) {
      text += (seed == missing.front() ? "" : seed == missing.back() ? " and " : ", ") + escape(seed->text);
      const bool is_default = std::any_of(defaults.begin(), defaults.end(),
                                          [&](const Seed& other) { return other.project == seed->project; });
      only_defaults = only_defaults && is_default && seed->versions.empty();
    }
    text += " for " + quote(python_.executable);
    for (const std::string& directory : looked_in_)
      text += (directory == looked_in_.front() ? ": looked in " : ", ") + quote(directory);
    for (std::size_t i = 0; i < std::min(passed_over_.size(), kMostPassedOver); ++i) text += "; " + passed_over_[i];
    if (passed_over_.size() > kMostPassedOver)
      text += "; and " + std::to_string(passed_over_.size() - kMostPassedOver) + " more that do not fit";
    std::string remedy = "give a directory with the wheel (--wheel-dir DIR)";
    if (only_defaults) {
      remedy += ", or leave pip out (--without-pip)";
      if (const std::string command = command_to_install(root_, python_); !command.empty())
        remedy = "install it with: " + command + ", " + remedy;
    }
    throw Error(std::move(text)).hint(remedy);
  }

 private:
  /// The wheels in `directory` that are what `seed` says, the one to try first first.
  std::vector<std::string> list(const std::string& directory, const Seed& seed) {
    remember(looked_in_, directory);
    std::vector<WheelName> names;
    std::vector<std::size_t> order;
    std::vector<std::string> paths;
    for (const std::string& file : root_.list(directory)) {
      auto name = parse_wheel_name(file);
      if (!name || name->project != seed.project) continue;
      const std::string path = join(directory, file);
      if (!name->pure) {
        pass_over(quote(path) + " is not for every Python 3");
      } else if (!seed.versions.hold(name->version)) {
        pass_over(quote(path) + " is of another version");
      } else {
        order.push_back(names.size());
        names.push_back(std::move(*name));
        paths.push_back(path);
      }
    }
    const bool finals_first = !seed.versions.name_prerelease();
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      const Version& first = names[a].version;
      const Version& second = names[b].version;
      if (finals_first && first.is_prerelease() != second.is_prerelease()) return second.is_prerelease();
      return first > second;
    });
    std::vector<std::string> sorted;
    sorted.reserve(order.size());
    for (const std::size_t i : order) sorted.push_back(std::move(paths[i]));
    return sorted;
  }

  std::optional<std::string> first_readable(const std::vector<std::string>& paths) {
    for (const std::string& path : paths) {
      if (is_readable_file(root_, path)) return path;
      pass_over(quote(path) + " cannot be read");
    }
    return std::nullopt;
  }

  void pass_over(const std::string& why) { remember(passed_over_, why); }

  static void remember(std::vector<std::string>& all, const std::string& one) {
    if (std::find(all.begin(), all.end(), one) == all.end()) all.push_back(one);
  }

  const Root& root_;
  const Interpreter& python_;
  std::vector<std::string> looked_in_;
  std::vector<std::string> passed_over_;
};

struct Place {
  std::string directory;
  std::optional<std::string> (Search::*find)(const std::string&, const Seed&);
};

bool is_incomplete(const std::vector<std::string>& paths) {
  return std::any_of(paths.begin(), paths.end(), [](const std::string& path) { return path.empty(); });
}

/// Fills what is empty in `paths`. Seeds of which any version will do come all from one of `places` or from none: two
/// directories of a distribution may hold versions that do not fit together.
void fill(Search& search, const std::vector<Place>& places, const std::vector<Seed>& seeds,
          std::vector<std::string>& paths) {
  for (const Place& place : places) {
    std::vector<std::string> found = paths;
    bool together = true;
    for (std::size_t i = 0; i < seeds.size(); ++i) {
      if (found[i].empty()) found[i] = (search.*place.find)(place.directory, seeds[i]).value_or("");
      together = together && (!found[i].empty() || !seeds[i].versions.empty());
    }
    for (std::size_t i = 0; i < seeds.size(); ++i)
      if (together || !seeds[i].versions.empty()) paths[i] = std::move(found[i]);
    if (!is_incomplete(paths)) return;
  }
}

}  // namespace

std::optional<Seed> parse_seed(std::string_view text) {
  const auto is_inner = [](char c) { return is_letter(c) || is_digit(c) || c == '-' || c == '_' || c == '.'; };
  const auto end = std::find_if_not(text.begin(), text.end(), is_inner);
  const std::string_view name = text.substr(0, static_cast<std::size_t>(end - text.begin()));
  const auto is_outer = [](char c) { return is_letter(c) || is_digit(c); };
  if (name.empty() || !is_outer(name.front()) || !is_outer(name.back())) return std::nullopt;
  auto versions = Specifiers::parse(text.substr(name.size()));
  if (!versions) return std::nullopt;
  return Seed{normalize_project(name), std::move(*versions), std::string(text)};
}

std::vector<Seed> default_seeds(const Interpreter& python) {
  if (python.version.minor >= 12) return {{"pip", {}, "pip"}};
  return {{"pip", {}, "pip"}, {"setuptools", {}, "setuptools"}};
}

std::vector<Seed> choose_seeds(std::vector<Seed> defaults, const std::vector<Seed>& asked) {
  for (const Seed& seed : asked) {
    const auto same = std::find_if(defaults.begin(), defaults.end(),
                                   [&](const Seed& other) { return other.project == seed.project; });
    if (same == defaults.end())
      defaults.push_back(seed);
    else
      *same = seed;
  }
  return defaults;
}

std::vector<std::string> find_seed_wheels(const Root& root, const Interpreter& python, const std::vector<Seed>& seeds,
                                          const WheelSources& sources) {
  Search search(root, python);
  std::vector<std::string> paths(seeds.size());
  if (!sources.directory.empty()) {
    if (!root.list_by_type(sources.directory).readable)
      throw Error("cannot list the directory of wheels", sources.directory, EACCES);
    for (std::size_t i = 0; i < seeds.size(); ++i) paths[i] = search.in_given(sources.directory, seeds[i]).value_or("");
  }

  std::vector<Place> places;
  const std::string configured = wheel_directory_of(python);
  if (!configured.empty()) places.push_back({configured, &Search::in_configured});
  places.push_back({bundle_of(python), &Search::in_bundle});
  for (const char* const directory : {"/usr/share/python-wheels", "/usr/share/python3-wheels"})
    if (directory != configured) places.push_back({directory, &Search::in_common});
  fill(search, places, seeds, paths);
  if (is_incomplete(paths) && sources.variable) {
    std::vector<Place> caches;
    for (std::string& directory : find_virtualenv_directories(root, python, sources.variable))
      caches.push_back({std::move(directory), &Search::in_common});
    fill(search, caches, seeds, paths);
    places.insert(places.end(), caches.begin(), caches.end());
  }
  // No place has all of what ensurepip installs together; then each for itself.
  std::vector<const Seed*> missing;
  for (std::size_t i = 0; i < seeds.size(); ++i) {
    for (const Place& place : places)
      if (paths[i].empty()) paths[i] = (search.*place.find)(place.directory, seeds[i]).value_or("");
    if (paths[i].empty()) missing.push_back(&seeds[i]);
  }
  if (!missing.empty()) search.fail(missing);
  return paths;
}

Wheel read_seed_wheel(const Root& root, const Interpreter& python, const std::string& path,
                      const std::string& named_directory) {
  struct stat status {};
  auto content = root.read_file(path, kSeedLimits.archive, &status);
  if (!content) throw Error("cannot find the wheel", path);
  if (!is_of_python(python, path)) {
    // Whoever owns the Python, or a directory that the caller names, is trusted with more than a wheel.
    const auto trusted = root.stat(parent_path(path) == named_directory ? named_directory : python.stdlib);
    const auto owner = trusted ? std::optional(trusted->st_uid) : std::nullopt;
    const auto refuse = [&](const std::string& reason) {
      throw Error("cannot use the wheel " + quote(path) + ": " + reason)
          .hint("copy it to a directory that only you or root can change");
    };
    if (const auto reason = find_other_writer(status, owner)) refuse(*reason);
    const auto directory = root.stat(parent_path(path));
    if (!directory) throw Error("cannot find the directory of the wheel", path);
    if (const auto reason = find_other_writer(*directory, owner)) refuse("of its directory, " + *reason);
  }
  Wheel wheel = read_wheel(std::move(*content), path);
  if (!is_made_for(wheel, python))
    throw Error("cannot use the wheel " + quote(path) + ": it is not made for Python " + python.version.minor_text());
  return wheel;
}

}  // namespace vrun::builder
