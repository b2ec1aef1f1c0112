#include "builder/layout.h"

#include <algorithm>
#include <set>

#include "builder/claims.h"
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

/// Whether lib64 of the environment is a link to lib, as it is before Python 3.15.
bool linked_lib64(const BuildFacts& facts) {
  if (facts.existing && facts.existing->lib64) return facts.existing->lib64_is_lib;
  return facts.python.is_64bit && !at_least(facts.python, 15);
}

/// Where a path of the environment really is. No link is followed when it is written.
std::string real_path(const BuildFacts& facts, const std::string& path) {
  return linked_lib64(facts) && path.starts_with("lib64/") ? "lib/" + path.substr(6) : path;
}

/// "" is the environment itself.
std::string join_relative(const std::string& directory, std::string_view name) {
  return directory.empty() ? std::string(name) : join(directory, name);
}
std::string parent_path_relative(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
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
    for (const std::string& name : facts.existing->outdated_programs) layout.removals.push_back({"bin/" + name});
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

/// Whether the pip that would write is of `version` or later; without one it is the newest.
bool pip_at_least(const BuildFacts& facts, const char* version) {
  const std::optional<Version> pip = version_of_pip(facts);
  return !pip || *pip >= *parse_version(version);
}

std::string text_of_scheme(const BuildFacts& facts, const Wheel& wheel, Scheme scheme) {
  switch (scheme) {
    case Scheme::packages:
      return wheel.purelib ? site_packages(facts.python) : platform_site_packages(facts.python);
    case Scheme::purelib:
      return site_packages(facts.python);
    case Scheme::platlib:
      return platform_site_packages(facts.python);
    case Scheme::headers: {
      // In environments pip has a directory of its own, the same for every implementation. Since it takes file names
      // apart as packaging does, the name is the normalised one.
      const bool normal = pip_at_least(facts, "25.1.dev0");
      return "include/site/python" + facts.python.version.minor_text() + "/" +
             (normal ? wheel.name.project : replace_all(wheel.name.project_text, "_", "-"));
    }
    case Scheme::scripts:
      return "bin";
    case Scheme::data:
      return "";
  }
  return "";
}

/// `path` as seen from `directory`, both relative to the environment.
std::string relative_path(std::string_view path, std::string_view directory) {
  std::size_t common = 0;  // bytes that both begin with, whole parts
  for (std::size_t i = 0; i <= std::min(path.size(), directory.size()); ++i) {
    const bool path_ends = i < path.size() && path[i] == '/';
    const bool directory_ends = i == directory.size() || directory[i] == '/';
    if (path_ends && directory_ends) common = i + 1;
    if (i == path.size() || i == directory.size() || path[i] != directory[i]) break;
  }
  const std::string_view left = directory.substr(std::min(common, directory.size()));
  std::string up;
  if (!left.empty())
    for (std::size_t i = 0; i < 1U + static_cast<std::size_t>(std::count(left.begin(), left.end(), '/')); ++i)
      up += "../";
  return up + std::string(path.substr(common));
}

/// direct_url.json of a file (PEP 610), as pip writes it, which has the hash since 23.1.
std::string direct_url(const GivenFile& file, bool with_hash) {
  std::string url = "file://";
  for (const char c : file.path) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    const auto byte = static_cast<unsigned char>(c);
    if (is_letter(c) || is_digit(c) || std::string_view("/_.-~").find(c) != std::string_view::npos)
      url += c;
    else
      url.append({'%', digits[byte >> 4U], digits[byte & 15U]});
  }
  // In both forms, for programs that know one only.
  std::string hashes;
  if (with_hash) hashes = "\"hash\": \"sha256=" + file.sha256 + "\", \"hashes\": {\"sha256\": \"" + file.sha256 + "\"}";
  return "{\"archive_info\": {" + hashes + "}, \"url\": \"" + url + "\"}";
}

/// Whether setuptools has made a script that an entry point makes too: pip leaves it out.
bool is_entry_point_wrapper(const Wheel& wheel, std::string_view path) {
  std::string name = base_name(path);
  for (char& c : name)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  std::size_t end = name.size();
  for (const std::string_view suffix : {".exe", "-script.py", ".pya"}) {
    if (!name.ends_with(suffix)) continue;
    // Of ".pya" pip takes four characters away, too.
    end -= suffix.size();
    break;
  }
  const std::string match = base_name(path).substr(0, end);
  return std::any_of(wheel.entry_points.begin(), wheel.entry_points.end(),
                     [&](const EntryPoint& point) { return point.name == match; });
}

/// One wheel as pip leaves it, with the bytecode that is at hand: a seed as `pip install --find-links DIR NAME`,
/// another as `pip install FILE`.
void add_wheel(const BuildFacts& facts, std::size_t index, Layout& layout, Entries& entries, Claims& claims) {
  const Wheel& wheel = facts.wheels[index];
  const std::string packages = text_of_scheme(facts, wheel, Scheme::packages);
  const std::vector<Member>& members = wheel.archive.members();
  const std::string interpreter = join(facts.directory, "bin/" + base_name(facts.base_executable));
  const mode_t program_mode = (0777U & ~facts.umask) | 0111U;
  std::vector<RecordRow> rows = wheel.record;
  std::set<std::string, std::less<>> top_names;
  std::vector<std::pair<WheelFile, std::string>> modules;  // with their compiled form, and its logical path
  Inflater inflater;
  for (std::size_t i = 0; i < members.size(); ++i) {
    const Member& member = members[i];
    // RECORD is written anew; what the wheel's says of other files is in its rows. Nor does pip make directories
    // without files.
    if (member.directory || !wheel.rows[i]) continue;
    RecordRow& row = rows[*wheel.rows[i]];
    const MemberPlace place = place_of(wheel, member);
    if (place.scheme == Scheme::scripts && is_entry_point_wrapper(wheel, place.path)) continue;
    const std::string logical = join_relative(text_of_scheme(facts, wheel, place.scheme), place.path);
    const std::string path = real_path(facts, logical);
    top_names.insert(member.name.substr(0, member.name.find('/')));
    row.path = relative_path(logical, packages);
    claims.add(path, index);
    // Seeds have their directories for themselves; packages of others may share one (PEP 420).
    const std::string parent = parent_path_relative(path);
    const bool own = !wheel.given || member.name.starts_with(wheel.dist_info + "/");
    if (!parent.empty()) entries.directory(parent, own);
    const std::optional<mode_t> mode = member.executable ? std::optional(program_mode) : std::nullopt;
    if (place.scheme == Scheme::scripts) {
      const std::string_view content = inflater.inflate(wheel.archive, member);
      if (auto adapted = adapt_script(content, interpreter)) {
        check(wheel, i, content);
        row.hash = record_hash(*adapted);
        row.size = std::to_string(adapted->size());
        entries.add(TextFile{path, std::move(*adapted), mode});
        continue;
      }
    }
    WheelFile file{.path = path, .wheel = index, .member = i, .mode = mode};
    if (wheel.bytecode && wheel.bytecode->has(member.name))
      modules.emplace_back(std::move(file), bytecode_path(logical, wheel.bytecode->tag()));
    else
      entries.add(std::move(file));
  }
  for (auto& [file, compiled] : modules) {
    std::string path = real_path(facts, compiled);
    // A wheel may bring its own.
    if (!claims.has(path)) {
      claims.add(path, index);
      // That of the package directory itself is shared by all distributions.
      const std::string parent = parent_path_relative(file.path);
      entries.directory(parent_path_relative(path), !wheel.given && parent != real_path(facts, packages));
      rows.push_back({relative_path(compiled, packages), "", ""});
      file.bytecode = std::move(path);
    }
    entries.add(std::move(file));
  }

  const std::string info = real_path(facts, join(packages, wheel.dist_info));
  const auto generate = [&](const std::string& path, const std::string& recorded, std::string content,
                            std::optional<mode_t> mode) {
    claims.add(path, index);
    rows.push_back({recorded, record_hash(content), std::to_string(content.size())});
    entries.add(TextFile{path, std::move(content), mode});
  };
  const std::optional<Version> pip = version_of_pip(facts);
  // pip asks for 0666 less the umask, and then for everybody to execute it.
  const mode_t mode = (0666U & ~facts.umask) | 0555U;
  for (const EntryPoint& point : adapt_entry_points(wheel.entry_points, facts.python.version)) {
    const std::string path = "bin/" + point.name;
    generate(path, relative_path(path, packages), script_text(point, interpreter, pip), mode);
  }
  const auto describe = [&](const std::string& name, std::string content) {
    generate(join(info, name), join(wheel.dist_info, name), std::move(content), std::nullopt);
  };
  describe("INSTALLER", "pip\n");
  // "Requested by the user": named on the command line, seeds on that of ensurepip (PEP 376).
  describe("REQUESTED", "");
  if (wheel.given) describe("direct_url.json", direct_url(*wheel.given, pip_at_least(facts, "23.1.dev0")));
  const std::string record = join(wheel.dist_info, "RECORD");
  const auto itself = std::find_if(rows.begin(), rows.end(), [&](const RecordRow& row) { return row.path == record; });
  if (itself == rows.end())
    rows.push_back({record, "", ""});
  else
    *itself = {record, "", ""};
  claims.add(join(info, "RECORD"), index);
  entries.add(TextFile{join(info, "RECORD"), format_record(std::move(rows)), std::nullopt});

  if (!facts.existing || wheel.given) return;
  for (const InstalledDistribution& old : facts.existing->distributions) {
    if (old.project != wheel.name.project) continue;
    for (const std::string& module : old.modules)
      if (!top_names.contains(module)) layout.removals.push_back({join(packages, module)});
    if (old.dist_info != wheel.dist_info) layout.removals.push_back({join(packages, old.dist_info)});
  }
}

/// What was installed of the projects that were given, and is not written anew.
void add_removals(const BuildFacts& facts, const Claims& claims, Layout& layout) {
  for (const ReplacedDistribution& old : facts.replaced) {
    const bool renewed = claims.has(join(old.dist_info, "RECORD"));
    for (const std::string& file : old.files) {
      if (is_of_environment(file) || claims.has(file) || is_within(file, old.dist_info)) continue;
      layout.removals.push_back({file, false, claims.has_below(file) || claims.has_at_or_above(file)});
    }
    const std::set<std::string> shared{"", "bin", "lib", site_packages(facts.python),
                                       platform_site_packages(facts.python)};
    for (const std::string& directory : old.directories)
      if (!shared.contains(directory) && !is_within(directory, old.dist_info) && !claims.has_at_or_above(directory))
        layout.removals.push_back({directory, true});
    // The last of it: a build that ends before leaves a RECORD by which the next one can go on.
    if (!renewed) layout.removals.push_back({old.dist_info});
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

std::vector<std::string> package_directories(const BuildFacts& facts) {
  if (facts.python.platlibdir == "lib" || linked_lib64(facts)) return {site_packages(facts.python)};
  return {site_packages(facts.python), platform_site_packages(facts.python)};
}

std::vector<UnpackedModule> find_modules(const Layout& layout, std::size_t wheel, const BuildFacts& facts) {
  const std::vector<std::string> packages = package_directories(facts);
  std::vector<UnpackedModule> modules;
  for (const Entry& entry : layout.entries) {
    const auto* const file = std::get_if<WheelFile>(&entry);
    if (file == nullptr || file->wheel != wheel || !file->path.ends_with(".py")) continue;
    const auto holds = [&](const std::string& directory) { return is_within(file->path, directory); };
    if (std::any_of(packages.begin(), packages.end(), holds))
      modules.push_back({facts.wheels[wheel].archive.members()[file->member].name, file->path});
  }
  return modules;
}

std::string platform_site_packages(const Interpreter& python) {
  return python.platlibdir + "/" + python.library_name() + "/site-packages";
}

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
      entries.directory(platform_site_packages(facts.python));
  } else if (facts.python.is_64bit && !(kept && facts.existing->lib64)) {
    entries.add(SymbolicLink{"lib64", "lib"});
  }
  entries.directory("bin");
  if (at_least(facts.python, 13) && request.scm_ignore_files)
    entries.add(TextFile{".gitignore", kGitIgnore, std::nullopt});
  add_programs(request, facts, layout, entries);
  if (!(request.upgrade && kept && facts.existing->config)) add_activation(facts, prompt_of(request, facts), entries);

  Claims claims(facts.wheels, {site_packages(facts.python), platform_site_packages(facts.python)});
  for (std::size_t i = 0; i < facts.wheels.size(); ++i) add_wheel(facts, i, layout, entries, claims);
  claims.check_directories();
  add_removals(facts, claims, layout);
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
