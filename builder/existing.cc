#include "builder/existing.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>

#include "builder/record.h"
#include "builder/text.h"
#include "builder/wheel.h"
#include "policy/error.h"

namespace vrun::builder {
namespace {

ExistingProgram read_program(const Root& root, const std::string& bin, const std::string& name,
                             const Interpreter& python) {
  ExistingProgram program{.name = name};
  const std::string path = join(bin, name);
  const auto itself = root.lstat(path);
  if (!itself) return program;
  program.link = S_ISLNK(itself->st_mode);
  const Fd target = root.open(path, O_PATH);
  struct stat status {};
  if (!target.valid() || ::fstat(target.get(), &status) != 0)
    program.state = ExistingProgram::State::dangling;
  else if (FileIdentity{status.st_dev, status.st_ino} == python.identity)
    program.state = ExistingProgram::State::current;
  else
    program.state = ExistingProgram::State::foreign;
  return program;
}

/// The names in a directory of the environment. One that cannot be read is not empty: what is in it would be missed.
std::vector<std::string> list_all(const Root& root, const std::string& path) {
  Root::Listing listing = root.list_by_type(path);
  if (!listing.readable) throw Error("cannot list", path, EACCES);
  listing.others.insert(listing.others.end(), listing.directories.begin(), listing.directories.end());
  return std::move(listing.others);
}

std::vector<InstalledDistribution> read_distributions(const Root& root, const std::string& site_packages,
                                                      const std::vector<Seed>& seeds) {
  std::vector<InstalledDistribution> found;
  for (const std::string& name : list_all(root, site_packages)) {
    if (!name.ends_with(".dist-info")) continue;
    const std::string_view stem = std::string_view(name).substr(0, name.size() - 10);
    const std::size_t dash = stem.find('-');
    if (dash == std::string_view::npos) continue;
    const auto version = parse_version(stem.substr(dash + 1));
    if (!version) continue;
    InstalledDistribution distribution{normalize_project(stem.substr(0, dash)), name, *version, {}};
    const bool is_seed =
        std::any_of(seeds.begin(), seeds.end(), [&](const Seed& seed) { return seed.project == distribution.project; });
    if (!is_seed && distribution.project != "pip" && distribution.project != "setuptools") continue;
    try {
      constexpr std::size_t limit = 4U << 20U;
      const std::string path = join(join(site_packages, name), "RECORD");
      const auto record = root.read_file(path, limit);
      for (const RecordRow& row : parse_record(record.value_or(""), path))
        if (row.path.ends_with(".py") && row.path.find('/') == std::string::npos)
          distribution.modules.push_back(row.path);
      distribution.recorded = record && !record->empty();
    } catch (const Error&) {
      // Without a usable RECORD its packages are still replaced by name; only such a module could stay behind.
    }
    found.push_back(std::move(distribution));
  }
  return found;
}

}  // namespace

Existing read_existing(const Root& root, const std::string& directory, const Interpreter& python,
                       const std::vector<std::string>& programs, std::string_view site_packages,
                       const std::vector<Seed>& seeds) {
  Existing existing;
  const std::string config = join(directory, "pyvenv.cfg");
  existing.environment = root.lstat(config).has_value();
  if (existing.environment) {
    try {
      if (const auto text = root.read_file(config, kMaximumConfigSize))
        existing.config = parse_pyvenv_config(*text, config);
      // What a power loss can leave is empty, and to site.py that would mean system packages.
      if (existing.config && !existing.config->home) existing.config.reset();
    } catch (const Error&) {
      // It is about to be replaced; what it said cannot be kept, and a vrun would have refused it.
    }
  }
  existing.lib64 = root.stat(join(directory, "lib64")).has_value();
  existing.lib64_link = root.read_link(join(directory, "lib64")) == "lib";
  const std::string bin = join(directory, "bin");
  for (const std::string& name : programs) existing.programs.push_back(read_program(root, bin, name, python));
  for (const std::string& name : list_all(root, bin)) {
    const std::size_t stem = name.starts_with("python3.") ? 8 : name.starts_with("pypy") ? 4 : 0;
    const bool interpreter = stem > 0 && std::all_of(name.begin() + static_cast<std::ptrdiff_t>(stem), name.end(),
                                                     [](char c) { return is_digit(c) || c == '.' || c == 't'; });
    if (!interpreter || std::find(programs.begin(), programs.end(), name) != programs.end()) continue;
    if (read_program(root, bin, name, python).state != ExistingProgram::State::current)
      existing.outdated_programs.push_back(name);
  }
  existing.distributions = read_distributions(root, join(directory, site_packages), seeds);
  return existing;
}

}  // namespace vrun::builder
