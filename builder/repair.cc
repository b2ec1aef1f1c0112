#include "builder/repair.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "builder/inspect.h"
#include "builder/text.h"
#include "builder/tree.h"
#include "builder/write.h"
#include "policy/environment.h"
#include "policy/error.h"

namespace vrun::builder {
namespace {

/// Replaces the value of every line with one of these keys. What else the file says is kept as it is.
std::string edit_config(std::string_view text, const std::map<std::string, std::string, std::less<>>& values) {
  std::string out;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const std::size_t equals = line.find('=');
    std::string key(strip(line.substr(0, equals)));
    for (char& c : key)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    const auto value = equals == std::string_view::npos ? values.end() : values.find(key);
    out += value == values.end() ? std::string(line) : key + " = " + value->second;
    out += '\n';
  }
  return out;
}

/// "3.11.4.final.0" of "3.11.2.final.0": the first three numbers are replaced, and what follows them is kept.
std::string with_version(std::string_view old, const PythonVersion& version) {
  std::size_t end = 0;
  for (int dots = 0; end < old.size() && (is_digit(old[end]) || (old[end] == '.' && dots < 2)); ++end)
    if (old[end] == '.') ++dots;
  return version.text() + std::string(old.substr(end));
}

class Mender {
 public:
  Mender(const Root& root, const SearchContext& context, const std::string& path)
      : root_(root), context_(context), tree_(root, path), real_path_(root.resolve(path).path) {}

  Repair plan() {
    std::optional<std::string> text;
    try {
      text = tree_.read("pyvenv.cfg", kMaximumConfigSize);
      if (text) config_ = parse_pyvenv_config(*text, tree_.at("pyvenv.cfg"));
    } catch (const Error&) {
      return {};  // The diagnosis says why: what the file meant is not to be guessed.
    }
    if (!text) return {};
    find_broken();
    const auto python = find_interpreter();
    if (!python) return {};
    Repair repair;
    for (const std::string& name : broken_) {
      if (is_mended_with_another(name)) continue;
      repair.layout.entries.emplace_back(SymbolicLink{join("bin", name), python->executable});
      repair.mended.push_back("linked " + quote(join(tree_.at("bin"), name)) + " to " + quote(python->executable));
    }
    if (!repair.layout.entries.empty()) repair.layout.entries.insert(repair.layout.entries.begin(), Directory{"bin"});
    mend_config(*text, *python, repair);
    return repair;
  }

 private:
  /// A link to another name in bin, such as python -> python3, leads somewhere again once that one does.
  bool is_mended_with_another(std::string name) const {
    for (std::size_t hops = 0; hops < broken_.size(); ++hops) {
      const auto target = tree_.read_link(join("bin", name));
      if (!target || target->find('/') != std::string::npos) return hops > 0;
      if (std::find(broken_.begin(), broken_.end(), *target) == broken_.end()) return false;
      name = *target;
    }
    return false;  // in a circle
  }

  void find_broken() {
    std::set<std::string> names{"python", "python3"};
    bool complete = true;
    for (const Tree::Entry& entry : tree_.list_with_status("bin", complete))
      if (is_program_name(entry.name) && S_ISLNK(entry.status.st_mode)) names.insert(entry.name);
    for (const std::string& name : names) {
      const auto status = tree_.lstat(join("bin", name));
      const bool link = status && S_ISLNK(status->st_mode);
      if (!status || (link && !find_target(root_, join(tree_.at("bin"), name)))) broken_.push_back(name);
    }
  }

  /// The interpreter at `path` when it fits the environment's directories and lies outside of it.
  std::optional<Interpreter> fitting(const std::string& path) const {
    if (!find_target(root_, path)) return std::nullopt;
    try {
      Interpreter python = read_interpreter(root_, path, BuildConfiguration::skip);
      if (is_within(python.real_executable, real_path_) || find_unfit_for_line(python.executable) ||
          find_unfit_for_line(python.real_executable))
        return std::nullopt;
      const std::vector<int> numbers = version_numbers(config_);
      if (numbers.size() >= 2 && minor_text(numbers) != python.version.minor_text()) return std::nullopt;
      const auto library = tree_.lstat(join("lib", python.library_name()));
      if (library && S_ISDIR(library->st_mode)) return python;
    } catch (const Error&) {
      // Not a Python that can be used; the next candidate may be.
    }
    return std::nullopt;
  }

  std::optional<Interpreter> find_interpreter() {
    for (const char* const name : {"python", "python3"})
      if (auto python = fitting(join(tree_.at("bin"), name))) return python;
    for (const std::string& packages : find_site_packages(tree_)) {
      const std::string library = base_name(parent_path(packages));
      if (config_.home && config_.home->starts_with('/'))
        for (const std::string& name : {library, std::string("python3"), std::string("python"), std::string("pypy3")})
          if (auto python = fitting(join(absolute_path(*config_.home, "/"), name))) return python;
      try {
        const std::string_view version = library;
        const bool pypy = version.starts_with("pypy");
        if (auto python = fitting(find_python(root_, context_, pypy ? library : std::string(version.substr(6)))))
          return python;
      } catch (const Error&) {
        // None is installed; the diagnosis says what to do.
      }
    }
    return std::nullopt;
  }

  void mend_config(const std::string& text, const Interpreter& python, Repair& repair) const {
    std::map<std::string, std::string, std::less<>> values;
    const std::vector<int> numbers = version_numbers(config_);
    if (numbers.size() == 3 && numbers[2] != python.version.micro && knows_micro(python)) {
      values["version"] = python.version.text();
      values["version_info"] = with_version(*config_.version, python.version);
      repair.mended.push_back("changed the version in " + quote(tree_.at("pyvenv.cfg")) + " from " +
                              escape(*config_.version) + " to " + python.version.text());
    }
    if (config_.home && !root_.open(*config_.home, O_PATH).valid()) {
      values["home"] = parent_path(python.executable);
      values["executable"] = python.real_executable;
      values["base-executable"] = python.executable;
      values["base-prefix"] = values["base-exec-prefix"] = python.prefix;
      repair.mended.push_back("changed home in " + quote(tree_.at("pyvenv.cfg")) + " from " + quote(*config_.home) +
                              " to " + quote(values["home"]));
    }
    if (values.empty()) return;
    const auto status = tree_.lstat("pyvenv.cfg");
    repair.layout.entries.emplace_back(
        TextFile{"pyvenv.cfg", edit_config(text, values), status ? status->st_mode & 0777U : 0644U});
  }

  const Root& root_;
  const SearchContext& context_;
  Tree tree_;
  std::string real_path_;
  PyvenvConfig config_;
  std::vector<std::string> broken_;
};

}  // namespace

Repair plan_repair(const Root& root, const SearchContext& context, std::string_view path) {
  return Mender(root, context, absolute_path(path, "/")).plan();
}

std::vector<std::string> repair(const Root& root, const SearchContext& context, std::string_view path) {
  Target target(root.resolve(absolute_path(path, "/")).path);
  Repair planned = plan_repair(root, context, path);
  if (planned.layout.entries.empty() || !target.exists()) return {};
  write_environment(target, planned.layout, {}, OldContent::kept);
  return std::move(planned.mended);
}

}  // namespace vrun::builder
