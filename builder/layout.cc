#include "builder/layout.h"

#include <algorithm>
#include <set>

#include "builder/bytecode.h"
#include "builder/record.h"
#include "builder/scripts.h"
#include "builder/sha256.h"
#include "builder/text.h"
#include "policy/error.h"
#include "policy/host/root.h"

namespace vrun::builder {
namespace {

/// What EnvBuilder.create_git_ignore_file writes.
constexpr const char* kGitIgnore = "# Created by venv; see https://docs.python.org/3/library/venv.html\n*\n";

bool at_least(const Interpreter& python, int minor) { return python.version.minor >= minor; }

/// Where headers go: sysconfig's scheme `venv` from 3.11 to 3.13, hard-coded before and after (PEP 405, gh-133951).
std::string include_directory(const Interpreter& python) {
  if (!at_least(python, 11) || at_least(python, 14)) return "include";
  return "include/" + python.library_name() + (python.debug ? "d" : "");
}

/// The prompt that was asked for, "." resolved as venv does from 3.9 on.
std::optional<std::string> prompt_of(const BuildRequest& request, const BuildFacts& facts) {
  if (request.prompt == "." && at_least(facts.python, 9)) return base_name(facts.working_directory);
  // An upgrade is no reason to lose the name that the user gave.
  if (!request.prompt && request.upgrade && facts.existing && facts.existing->config)
    return facts.existing->config->prompt;
  return request.prompt;
}

bool system_packages_of(const BuildRequest& request, const BuildFacts& facts) {
  const bool kept = request.upgrade && facts.existing && facts.existing->config &&
                    facts.existing->config->include_system_site_packages;
  return request.system_site_packages || kept;
}

/// Collects entries, each directory once and its parents before it.
class Entries {
 public:
  void directory(const std::string& path, bool owned = false) {
    for (std::size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1))
      add(path.substr(0, slash), owned);
    add(path, owned);
  }
  void add(Entry entry) { entries_.push_back(std::move(entry)); }
  std::vector<Entry> take() { return std::move(entries_); }

 private:
  void add(const std::string& path, bool owned) {
    if (made_.insert(path).second) entries_.emplace_back(Directory{path, owned});
  }
  std::vector<Entry> entries_;
  std::set<std::string, std::less<>> made_;
};

/// Links, unless copies are asked for; an upgrade is no wish to change what is there.
Programs programs_of(const BuildRequest& request, const BuildFacts& facts) {
  if (!request.upgrade || request.programs_given || !facts.existing) return request.programs;
  const auto& programs = facts.existing->programs;
  const bool copies = std::any_of(programs.begin(), programs.end(), [](const ExistingProgram& program) {
    return program.state != ExistingProgram::State::missing && !program.link;
  });
  return copies ? Programs::copies : request.programs;
}

void add_programs(const BuildRequest& request, const BuildFacts& facts, Layout& layout, Entries& entries) {
  const std::vector<std::string> names = program_names(facts.python, facts.base_executable);
  const bool asked_for_links = programs_of(request, facts) == Programs::links;
  std::string repaired;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const ExistingProgram* const old = facts.existing ? &facts.existing->programs.at(i) : nullptr;
    using State = ExistingProgram::State;
    if (old != nullptr && old->state == State::current && old->link && asked_for_links) continue;
    if (old != nullptr && (old->state == State::dangling || (old->state == State::foreign && old->link)))
      repaired += (repaired.empty() ? "" : ", ") + names[i];
    const std::string path = "bin/" + names[i];
    if (!asked_for_links)
      entries.add(CopiedProgram{path, facts.base_executable});
    else
      entries.add(SymbolicLink{path, i == 0 ? facts.base_executable : names.front()});
  }
  // PyPy's, conda's and those of python-build-standalone: without its library the copy would not start.
  if (const std::string library = asked_for_links ? "" : library_of_copy(facts.python); !library.empty()) {
    if (library.find('/') != std::string::npos) entries.directory(parent_path(library));
    entries.add(CopiedProgram{library, facts.python.libpython});
  }

  if (!facts.existing) return;
  const std::string version = facts.python.version.text();
  const auto& config = facts.existing->config;
  if (config && config->version && !config->version->starts_with(facts.python.version.minor_text() + ".")) {
    layout.notices.push_back(quote(facts.directory) + " was an environment of Python " + escape(*config->version) +
                             " and is now one of Python " + version + "; packages are not carried over");
    for (const std::string& name : facts.existing->outdated_programs) layout.removals.push_back("bin/" + name);
  } else if (!repaired.empty()) {
    layout.notices.push_back("repaired in " + quote(join(facts.directory, "bin")) + ": " + repaired + " now lead to " +
                             quote(facts.base_executable));
  }
}

void add_activation(const BuildFacts& facts, const std::optional<std::string>& prompt, Entries& entries) {
  const std::string name = base_name(facts.directory);
  std::string shown = prompt.value_or(name);
  if (!at_least(facts.python, 13)) shown = "(" + shown + ") ";
  const ActivationValues values{.directory = facts.directory,
                                .name = name,
                                .prompt = std::move(shown),
                                .python = join(facts.directory, "bin/" + base_name(facts.base_executable))};
  for (const Template& source : facts.templates)
    entries.add(TextFile{"bin/" + source.name, fill_template(source, values), source.mode});
}

/// The pip that would write the scripts: the one that comes with the wheels, else the one that is there.
std::optional<Version> version_of_pip(const BuildFacts& facts) {
  for (const Wheel& wheel : facts.wheels)
    if (wheel.name.project == "pip") return wheel.name.version;
  if (facts.existing)
    for (const InstalledDistribution& old : facts.existing->distributions)
      if (old.project == "pip") return old.version;
  return std::nullopt;
}

/// One wheel as `pip install --find-links DIR NAME` leaves it, with the bytecode that is at hand.
void add_wheel(const BuildFacts& facts, std::size_t index, const std::optional<Version>& pip, Layout& layout,
               Entries& entries) {
  const Wheel& wheel = facts.wheels[index];
  const std::string packages = site_packages(facts.python);
  const std::vector<Member>& members = wheel.archive.members();
  std::vector<RecordRow> rows = wheel.record;
  std::set<std::string, std::less<>> top_names;
  for (std::size_t i = 0; i < members.size(); ++i) {
    const Member& member = members[i];
    top_names.insert(member.name.substr(0, member.name.find('/')));
    const std::string path = join(packages, member.name);
    if (member.directory) {
      entries.directory(path, true);
      continue;
    }
    entries.directory(parent_path(path), true);
    // RECORD is written anew; what the wheel's says of other files is in its rows.
    if (!wheel.rows[i]) continue;
    WheelFile file{path, index, i, member.executable};
    if (wheel.bytecode && wheel.bytecode->has(member.name)) {
      const std::string compiled = bytecode_path(member.name, wheel.bytecode->tag());
      file.bytecode = join(packages, compiled);
      // That of the package directory itself is shared by all distributions.
      entries.directory(parent_path(file.bytecode), parent_path(path) != packages);
      rows.push_back({compiled, "", ""});
    }
    entries.add(std::move(file));
  }

  const std::string info = join(packages, wheel.dist_info);
  const auto generate = [&](const std::string& path, const std::string& recorded, std::string content,
                            std::optional<mode_t> mode) {
    rows.push_back({recorded, record_hash(content), std::to_string(content.size())});
    entries.add(TextFile{path, std::move(content), mode});
  };
  const std::string interpreter = join(facts.directory, "bin/" + base_name(facts.base_executable));
  // pip asks for 0666 less the umask, and then for everybody to execute it.
  const mode_t mode = (0666U & ~facts.umask) | 0555U;
  for (const EntryPoint& point : adapt_entry_points(wheel.entry_points, facts.python.version))
    generate("bin/" + point.name, "../../../bin/" + point.name, script_text(point, interpreter, pip), mode);
  generate(join(info, "INSTALLER"), join(wheel.dist_info, "INSTALLER"), "pip\n", std::nullopt);
  // "Requested by the user": both were named on ensurepip's command line (PEP 376).
  generate(join(info, "REQUESTED"), join(wheel.dist_info, "REQUESTED"), "", std::nullopt);
  const std::string record = join(wheel.dist_info, "RECORD");
  const auto itself = std::find_if(rows.begin(), rows.end(), [&](const RecordRow& row) { return row.path == record; });
  if (itself == rows.end())
    rows.push_back({record, "", ""});
  else
    *itself = {record, "", ""};
  entries.add(TextFile{join(info, "RECORD"), format_record(std::move(rows)), std::nullopt});

  if (!facts.existing) return;
  for (const InstalledDistribution& old : facts.existing->distributions) {
    if (old.project != wheel.name.project) continue;
    for (const std::string& module : old.modules)
      if (!top_names.contains(module)) layout.removals.push_back(join(packages, module));
    if (old.dist_info != wheel.dist_info) layout.removals.push_back(join(packages, old.dist_info));
  }
}

bool is_of_dist_info(const Entry& entry) {
  const std::string path = std::visit([](const auto& value) { return value.path; }, entry);
  return path.find(".dist-info/") != std::string::npos || path.ends_with(".dist-info");
}

}  // namespace

std::vector<std::string> program_names(const Interpreter& python, const std::string& base_executable) {
  std::vector<std::string> names{base_name(base_executable), "python", "python3"};
  if (at_least(python, 9)) names.push_back("python" + python.version.minor_text());
  if (python.implementation == Implementation::pypy) {
    names.emplace_back("pypy3");
    names.emplace_back("pypy");
  } else if (python.version.minor == 14) {
    names.emplace_back("\U0001D70Bthon");  // gh-119535: Python 3.14 and no other
  }
  std::vector<std::string> unique;
  for (std::string& name : names)
    if (std::find(unique.begin(), unique.end(), name) == unique.end()) unique.push_back(std::move(name));
  return unique;
}

std::string library_of_copy(const Interpreter& python) {
  if (python.libpython_from_program.empty()) return "";
  std::vector<std::string> parts{"bin"};
  for (std::string_view rest = python.libpython_from_program; !rest.empty();) {
    const std::string_view name = rest.substr(0, rest.find('/'));
    rest.remove_prefix(std::min(name.size() + 1, rest.size()));
    if (name.empty() || name == ".") continue;
    if (name != "..")
      parts.emplace_back(name);
    else if (!parts.empty())
      parts.pop_back();
    else
      throw Error("cannot copy " + quote(python.executable) + ": it looks for its library in " +
                  quote(python.libpython_from_program) + " from where it is, which is outside of an environment")
          .hint("leave --copies out");
  }
  // Where lib64 is a link to lib, the file is in lib.
  if (parts.front() == "lib64" && !at_least(python, 15)) parts.front() = "lib";
  std::string path = parts.front();
  for (std::size_t i = 1; i < parts.size(); ++i) path = join(path, parts[i]);
  return path;
}

std::string site_packages(const Interpreter& python) { return "lib/" + python.library_name() + "/site-packages"; }

std::string config_text(const BuildRequest& request, const BuildFacts& facts) {
  const std::optional<std::string> prompt = prompt_of(request, facts);
  const bool system_packages = system_packages_of(request, facts);
  std::string out = "home = " + parent_path(facts.base_executable) + "\n";
  out += std::string("include-system-site-packages = ") + (system_packages ? "true" : "false") + "\n";
  out += "version = " + facts.python.version.text() + "\n";
  if (prompt) out += "prompt = " + python_repr(*prompt) + "\n";
  if (!at_least(facts.python, 11)) return out;
  out += "executable = " + facts.invoked_real + "\n";
  out += "command = " + facts.invoked + " -m venv";
  if (programs_of(request, facts) == Programs::copies) out += " --copies";
  if (!request.with_pip) out += " --without-pip";
  if (system_packages) out += " --system-site-packages";
  if (request.clear) out += " --clear";
  if (request.upgrade) out += " --upgrade";
  if (request.upgrade_deps) out += " --upgrade-deps";
  if (request.prompt) out += " --prompt=\"" + *request.prompt + "\"";
  if (at_least(facts.python, 13) && !request.scm_ignore_files) out += " --without-scm-ignore-files";
  return out + " " + facts.directory + "\n";
}

Layout plan_layout(const BuildRequest& request, const BuildFacts& facts) {
  Layout layout;
  Entries entries;
  const bool kept = facts.existing.has_value();
  entries.directory(include_directory(facts.python));
  entries.directory(site_packages(facts.python));
  if (at_least(facts.python, 15)) {
    // Platform-dependent packages have their own directory where the distribution has lib64; an environment of an older
    // Python has a link there, by which it is the same as that in lib.
    if (facts.python.platlibdir != "lib" && !(kept && facts.existing->lib64_is_lib))
      entries.directory(facts.python.platlibdir + "/" + facts.python.library_name() + "/site-packages");
  } else if (facts.python.is_64bit && !(kept && facts.existing->lib64)) {
    entries.add(SymbolicLink{"lib64", "lib"});
  }
  entries.directory("bin");
  if (at_least(facts.python, 13) && request.scm_ignore_files)
    entries.add(TextFile{".gitignore", kGitIgnore, std::nullopt});
  add_programs(request, facts, layout, entries);
  if (!(request.upgrade && kept && facts.existing->config)) add_activation(facts, prompt_of(request, facts), entries);

  const std::optional<Version> pip = version_of_pip(facts);
  for (std::size_t i = 0; i < facts.wheels.size(); ++i) add_wheel(facts, i, pip, layout, entries);
  entries.add(TextFile{"pyvenv.cfg", config_text(request, facts), std::nullopt});
  layout.entries = entries.take();
  layout.time = facts.source_date;
  // A distribution counts as installed when its .dist-info is there: that comes once everything else is. The parents of
  // these directories are common ones, and come before.
  std::stable_partition(layout.entries.begin(), layout.entries.end() - 1,
                        [](const Entry& entry) { return !is_of_dist_info(entry); });
  return layout;
}

}  // namespace vrun::builder
