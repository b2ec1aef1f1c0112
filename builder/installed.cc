#include "builder/installed.h"

#include <algorithm>
#include <cerrno>
#include <set>

#include "builder/record.h"
#include "builder/text.h"
#include "builder/wheel.h"
#include "policy/error.h"
#include "policy/host/root.h"

namespace vrun::builder {
namespace {

constexpr std::size_t kMaximumRecord = 16U << 20U;

[[noreturn]] void refuse(const Tree& environment, const std::string& path, std::string_view reason) {
  throw Error("cannot replace " + quote(environment.at(path)) + ": " + std::string(reason))
      .hint("remove it first, with pip uninstall");
}

/// "pip" and what follows the dash of "pip-24.2.dist-info".
std::string project_of(std::string_view name) { return normalize_project(name.substr(0, name.find('-'))); }

/// What a row of RECORD in `packages` names; nothing for what lies outside of the environment.
std::optional<std::string> path_of_row(const std::string& packages, const std::string& row) {
  if (row.empty() || row.front() == '/') return std::nullopt;
  std::vector<std::string> parts;
  const std::string whole = join(packages, row);
  std::string_view rest = whole;
  while (!rest.empty()) {
    const std::size_t slash = std::min(rest.find('/'), rest.size());
    const std::string_view part = rest.substr(0, slash);
    rest.remove_prefix(std::min(slash + 1, rest.size()));
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      parts.emplace_back(part);
    } else {
      if (parts.empty()) return std::nullopt;
      parts.pop_back();
    }
  }
  std::string path;
  for (const std::string& part : parts) path += (path.empty() ? "" : "/") + part;
  if (path.empty()) return std::nullopt;
  return path;
}

/// Without the directory that the name of a file at the top has none of.
std::string directory_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

/// Adds the compiled forms of `source` that exist, of every Python and level of optimisation.
void add_compiled(const Tree& environment, const std::string& source, std::set<std::string>& files) {
  const std::string directory = directory_of(source);
  const std::string cache = join(directory, "__pycache__");
  const std::string start = base_name(source).substr(0, base_name(source).size() - 2);  // "name."
  for (const std::string& name : environment.list(cache).names)
    if (name.starts_with(start) && name.ends_with(".pyc")) files.insert(join(cache, name));
}

}  // namespace

std::vector<ReplacedDistribution> find_replaced(const Tree& environment, const std::vector<std::string>& packages,
                                                std::string_view project) {
  std::vector<ReplacedDistribution> found;
  // An environment before Python 3.15 has lib64 as a link to lib; rows may go that way.
  const bool linked = environment.read_link("lib64") == "lib";
  for (const std::string& directory : packages) {
    for (const std::string& name : environment.list(directory).names) {
      const bool dist_info = name.ends_with(".dist-info");
      const bool egg = name.ends_with(".egg-info") || name.ends_with(".egg-link") || name.ends_with(".egg");
      if ((!dist_info && !egg) || project_of(name.substr(0, name.rfind('.'))) != project) continue;
      const std::string path = join(directory, name);
      if (egg) refuse(environment, path, "it was not installed from a wheel and does not say what belongs to it");
      const auto text = environment.read(join(path, "RECORD"), kMaximumRecord);
      if (!text) refuse(environment, path, "it has no RECORD of what belongs to it");
      ReplacedDistribution distribution{
          .project = std::string(project), .dist_info = path, .files = {}, .directories = {}};
      std::set<std::string> files;
      for (const RecordRow& row : parse_record(*text, environment.at(join(path, "RECORD")))) {
        auto file = path_of_row(directory, row.path);
        if (!file) continue;
        if (linked && file->starts_with("lib64/")) file->erase(3, 2);
        const auto status = environment.lstat(*file);
        if (!status || S_ISDIR(status->st_mode)) continue;
        files.insert(*file);
        if (file->ends_with(".py")) add_compiled(environment, *file, files);
      }
      std::set<std::string> directories;
      for (const std::string& file : files) directories.insert(directory_of(file));
      distribution.files.assign(files.begin(), files.end());
      // What lies in a directory sorts after it.
      distribution.directories.assign(directories.rbegin(), directories.rend());
      found.push_back(std::move(distribution));
    }
  }
  return found;
}

std::vector<std::string> find_missing(const std::vector<std::string>& requirements,
                                      const std::vector<AvailableDistribution>& available) {
  std::vector<std::string> missing;
  for (const std::string& requirement : requirements) {
    std::string_view rest = requirement;
    if (rest.find(';') != std::string_view::npos || rest.find('@') != std::string_view::npos) continue;
    const auto of_name = [](char c) { return is_letter(c) || is_digit(c) || c == '-' || c == '_' || c == '.'; };
    const auto end = std::find_if_not(rest.begin(), rest.end(), of_name);
    const std::string name(rest.begin(), end);
    if (name.empty()) continue;
    rest.remove_prefix(name.size());
    rest = strip(rest);
    if (rest.starts_with('[')) rest = strip(rest.substr(std::min(rest.find(']') + 1, rest.size())));
    // The form before PEP 508 has the versions in parentheses.
    if (rest.starts_with('(') && rest.ends_with(')')) rest = strip(rest.substr(1, rest.size() - 2));
    const auto specifiers = Specifiers::parse(rest);
    const std::string project = normalize_project(name);
    const bool met = std::any_of(available.begin(), available.end(), [&](const AvailableDistribution& distribution) {
      // What cannot be compared is not called missing.
      return distribution.project == project &&
             (!specifiers || !distribution.version || specifiers->hold(*distribution.version));
    });
    if (!met) missing.push_back(replace_all(name + std::string(rest), " ", ""));
  }
  return missing;
}

}  // namespace vrun::builder
