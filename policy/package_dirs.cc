#include "policy/package_dirs.h"

#include <fcntl.h>

#include <algorithm>
#include <array>

#include "policy/environment.h"

namespace vrun {
namespace {

constexpr std::array kPackageNames{"site-packages", "dist-packages"};
constexpr std::array kLibraryNames{"lib", "lib64", "lib32"};
/// Directories of /usr/local that belong to it (FHS 3.0, 4.9; hier(7)); any other may be a prefix of its own.
constexpr std::array kLocalNames{"bin",    "etc",     "games", "include", "lib",   "lib32", "lib64",
                                 "libx32", "libexec", "man",   "sbin",    "share", "src"};

bool starts_with(std::string_view text, std::string_view start) { return text.substr(0, start.size()) == start; }

bool is_library_name(std::string_view name) { return starts_with(name, "python") || starts_with(name, "pypy"); }

/// Collects directories that exist.
class Found {
 public:
  explicit Found(const Root& root) : root_(root) {}

  void add(const std::string& path) {
    if (!root_.is_directory(path)) return;
    paths_.push_back(root_.resolve(path).path);
  }

  /// `library`/site-packages and `library`/dist-packages.
  void add_packages_of(const std::string& library) {
    for (const char* const name : kPackageNames) add(join(library, name));
  }

  /// Sorted, without repetition, and without what lies within another one.
  std::vector<std::string> take() {
    std::sort(paths_.begin(), paths_.end());
    std::vector<std::string> out;
    // By text "/a-b" sorts before "/a/b", so the directory above is not always the entry before.
    for (const std::string& path : paths_) {
      const bool covered = std::any_of(paths_.begin(), paths_.end(), [&](const std::string& other) {
        return other.size() < path.size() && is_within(path, other);
      });
      if (!covered && (out.empty() || out.back() != path)) out.push_back(path);
    }
    return out;
  }

 private:
  const Root& root_;
  std::vector<std::string> paths_;
};

/// Every Python that has a library directory directly below `prefix`, and what its manager keeps beside it.
void add_prefix(const Root& root, const std::string& prefix, Found& found) {
  for (const char* const library : kLibraryNames) {
    const std::string directory = join(prefix, library);
    for (const std::string& name : root.list_directories(directory))
      if (is_library_name(name)) found.add_packages_of(join(directory, name));
  }
  if (root.is_directory(join(prefix, "conda-meta"))) {
    found.add(join(prefix, "envs"));
    found.add(join(prefix, "pkgs"));
  }
  // pyenv-virtualenv keeps environments in versions/X.Y.Z/envs.
  if (base_name(parent_path(prefix)) == "versions") found.add(join(prefix, "envs"));
}

/// Homebrew's Pythons keep their packages in the library directory of the whole of Homebrew, and other formulae have
/// more in their own: PREFIX/Cellar/python@3.12/3.12.1 and PREFIX/opt/python@3.12 both mean PREFIX.
std::string homebrew_prefix(std::string_view prefix) {
  for (std::string path(prefix); path != "/"; path = parent_path(path)) {
    const std::string parent = parent_path(path);
    if (base_name(parent) == "Cellar" || (base_name(parent) == "opt" && starts_with(base_name(path), "python@")))
      return parent_path(parent);
  }
  return "";
}

/// In which order a level is searched: names such as .venv, venv, env311, .tox and .nox, and hidden directories in
/// general, come first; what is large and holds no environments last.
int search_order(std::string_view path) {
  const std::string name = base_name(path);
  if (name == "node_modules" || name == "__pycache__") return 2;
  return name.front() == '.' || name.find("env") != std::string::npos ? 0 : 1;
}

}  // namespace

bool is_standard_library_name(std::string_view name) {
  return name.substr(0, 6) == "python" || name.substr(0, 4) == "pypy";
}

std::vector<std::string> find_package_directories(const Root& root, const Interpreter& base) {
  Found found(root);
  const std::string library = base.library_name();
  for (const char* const name : kLibraryNames) {
    found.add_packages_of(join(join(base.prefix, name), library));
    // The prefixes below "local" that the Pythons of Debian and Fedora look into as well.
    found.add_packages_of(join(join(join(base.prefix, "local"), name), library));
  }
  found.add_packages_of(base.stdlib);
  // Debian: one directory for all versions, PyPy included.
  found.add(join(base.prefix, "lib/python3/dist-packages"));
  if (const std::string homebrew = homebrew_prefix(base.prefix); !homebrew.empty()) {
    found.add_packages_of(join(homebrew, "lib/" + library));
    const std::string formulae = join(homebrew, "opt");
    for (const std::string& formula : root.list_directories(formulae))
      found.add_packages_of(join(formulae, formula + "/lib/" + library));
  }
  return found.take();
}

std::vector<std::string> find_package_directories_below(const Root& root, std::string_view prefix) {
  Found found(root);
  const std::string local = join(prefix, "local");
  add_prefix(root, std::string(prefix), found);
  add_prefix(root, local, found);
  for (const std::string& name : root.list_directories(local))
    if (std::find(kLocalNames.begin(), kLocalNames.end(), name) == kLocalNames.end())
      add_prefix(root, join(local, name), found);
  return found.take();
}

std::string user_site(const Interpreter& base, std::string_view home) {
  return join(home, ".local/lib/" + base.library_name() + "/site-packages");
}

EnvironmentSearch find_environments(const Root& root, std::string_view directory, std::string_view environment) {
  EnvironmentSearch search;
  std::vector<std::string> level = {std::string(directory)};
  int budget = kSearchDirectories;
  for (int depth = 0; !level.empty(); ++depth) {
    if (depth > kSearchDepth) {
      search.complete = false;
      break;
    }
    std::stable_sort(level.begin(), level.end(), [](const std::string& one, const std::string& other) {
      return search_order(one) < search_order(other);
    });
    std::vector<std::string> next;
    for (const std::string& path : level) {
      if (budget-- == 0) {
        search.complete = false;
        break;
      }
      if (path == environment) continue;
      const Root::Listing listing = root.list_by_type(path);
      // What cannot be looked into now may be made readable by the run: it is hidden whole.
      if (!listing.readable && path != directory && !is_within(environment, path)) search.found.push_back(path);
      if (std::binary_search(listing.others.begin(), listing.others.end(), "pyvenv.cfg") ||
          std::binary_search(listing.directories.begin(), listing.directories.end(), "conda-meta")) {
        search.found.push_back(path);
        // A file of that name at the top of a project must not keep what is below it in sight.
        if (path != directory && !is_within(environment, path)) continue;
      }
      const bool library = is_standard_library_name(base_name(path));
      for (const std::string& name : listing.directories) {
        if (library && (name == "site-packages" || name == "dist-packages"))
          search.packages.push_back(join(path, name));
        else if (name == ".git" || name == ".hg")
          search.repositories.push_back(join(path, name));
        else
          next.push_back(join(path, name));
      }
      if (std::binary_search(listing.others.begin(), listing.others.end(), ".git"))
        search.repositories.push_back(join(path, ".git"));
    }
    if (budget < 0) break;
    level = std::move(next);
  }
  std::sort(search.found.begin(), search.found.end());
  std::sort(search.packages.begin(), search.packages.end());
  return search;
}

}  // namespace vrun
