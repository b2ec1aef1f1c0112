#include "builder/doctor.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "builder/inspect.h"
#include "builder/layout.h"
#include "builder/record.h"
#include "builder/sha256.h"
#include "builder/text.h"
#include "builder/tree.h"
#include "policy/environment.h"
#include "policy/error.h"

namespace vrun::builder {
namespace {

/// Findings of one check and severity that are shown one by one; of the rest only the number is.
constexpr int kShown = 20;
/// Files that the walk over an environment looks at.
constexpr std::size_t kMaximumWalk = 200'000;
constexpr std::size_t kMaximumRecord = 32U << 20U;
constexpr std::size_t kMaximumPth = 1U << 20U;
/// The kernel takes so many bytes of a first line (BINPRM_BUF_SIZE, less the NUL): since Linux 5.1, and before.
constexpr std::size_t kLongestShebang = 255;
constexpr std::size_t kLongestOldShebang = 127;
/// What a user namespace shows for owners that it does not know (/proc/sys/kernel/overflowuid).
constexpr uid_t kOverflowUid = 65534;

bool is_identity(const std::optional<struct stat>& status, const FileIdentity& identity) {
  return status && FileIdentity{status->st_dev, status->st_ino} == identity;
}

/// A file that cannot be read differs from nothing.
bool have_same_content(const Fd& a, const Fd& b) {
  std::array<char, 65536> first;
  std::array<char, 65536> second;
  for (off_t at = 0;;) {
    const ssize_t count = ::pread(a.get(), first.data(), first.size(), at);
    const ssize_t other = ::pread(b.get(), second.data(), second.size(), at);
    if (count < 0 || other < 0) return true;
    if (count != other || !std::equal(first.begin(), first.begin() + count, second.begin())) return false;
    if (count == 0) return true;
    at += count;
  }
}

/// The command that a first line starts, and what was seen on the way to it.
struct ScriptStart {
  std::string interpreter;  ///< as text: the path, with blanks where it has some
  bool through_shell = false;
  bool expanded = false;  ///< the shell would expand something in the path
};

/// The interpreter in the second line of a script that sh starts and Python reads as a string: `'''exec' PATH "$0"
/// "$@"`.
std::optional<ScriptStart> parse_trampoline(std::string_view line) {
  constexpr std::string_view start = "'''exec' ";
  if (!line.starts_with(start)) return std::nullopt;
  line.remove_prefix(start.size());
  ScriptStart script;
  script.through_shell = true;
  // The words of POSIX sh, as far as they matter here: 'literal', "text with $ and `", and bare characters.
  char mark = '\0';
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (mark == '\0' && c == ' ') break;
    if (mark == '\0' && (c == '\'' || c == '"')) {
      mark = c;
    } else if (mark != '\0' && c == mark) {
      mark = '\0';
    } else {
      if (mark != '\'' && (c == '$' || c == '`')) script.expanded = true;
      if (mark == '"' && c == '\\' && i + 1 < line.size()) ++i;
      script.interpreter += line[i];
    }
  }
  return script;
}

class Doctor {
 public:
  Doctor(const Root& root, Diagnosis& diagnosis)
      : root_(root),
        diagnosis_(diagnosis),
        tree_(root, diagnosis.path),
        real_path_(root.resolve(diagnosis.path).path) {}

  void run() {
    check_configuration();
    check_programs();
    check_base();
    check_version();
    check_agreement();
    check_scripts();
    check_packages();
    check_parents();
    check_owners();
    summarise();
  }

 private:
  void add(Severity severity, Check check, const std::string& path, std::string text, std::string remedy = "") {
    if (++counts_[{check, severity}] <= kShown)
      diagnosis_.findings.push_back({severity, check, path, std::move(text), std::move(remedy)});
  }
  /// What an Error says; the path is told apart where the message begins with it.
  void add(Severity severity, Check check, const std::string& path, const Error& error) {
    std::string text(error.failure());
    for (const char* const between : {", ", ": ", " "}) {
      const std::string start = quote(path) + between;
      if (!text.starts_with(start)) continue;
      text.erase(0, start.size());
      break;
    }
    add(severity, check, path, std::move(text), std::string(error.remedy()));
  }
  void summarise() {
    for (const auto& [kind, count] : counts_)
      if (count > kShown)
        diagnosis_.findings.push_back({kind.second, kind.first, diagnosis_.path,
                                       std::to_string(count - kShown) + " more of this kind are not shown", ""});
    std::stable_sort(diagnosis_.findings.begin(), diagnosis_.findings.end(),
                     [](const Finding& a, const Finding& b) { return a.severity < b.severity; });
  }

  std::string vbuild(std::string_view options) const {
    return "vbuild " + std::string(options) + " " + quote(diagnosis_.path);
  }
  std::string reinstall(const Distribution& distribution) const {
    return quote(join(diagnosis_.path, "bin/python")) + " -m pip install --force-reinstall --no-deps " +
           escape(distribution.name);
  }

  void check_configuration() {
    const std::string name = "pyvenv.cfg";
    const std::string path = tree_.at(name);
    try {
      const auto text = tree_.read(name, kMaximumConfigSize);
      if (!text)
        return add(Severity::error, Check::configuration, path, "is missing, so this is no environment",
                   vbuild("--upgrade"));
      config_ = parse_pyvenv_config(*text, path);
    } catch (const Error& error) {
      return add(Severity::error, Check::configuration, path, error);
    }
    if (!config_->home)
      add(Severity::error, Check::configuration, path,
          "has no key 'home', so only some versions of Python take this for an environment", vbuild("--upgrade"));
    else if (!config_->home->starts_with('/'))
      add(Severity::error, Check::configuration, path, "home is not an absolute path: " + quote(*config_->home),
          vbuild("--upgrade"));
    if (find_target(root_, tree_.at("bin/pyvenv.cfg")))
      add(Severity::error, Check::configuration, tree_.at("bin/pyvenv.cfg"),
          "is a second pyvenv.cfg, and Python's parts do not agree which one counts", "remove it");
  }

  void check_programs() {
    std::vector<Tree::Entry> entries;
    bool complete = true;
    try {
      entries = tree_.list_with_status("bin", complete);
    } catch (const Error& error) {
      return add(Severity::error, Check::programs, tree_.at("bin"), error);
    }
    if (!complete) add(Severity::note, Check::programs, tree_.at("bin"), "has more names than are read");
    std::set<std::string, std::less<>> names;
    for (const Tree::Entry& entry : entries) {
      const std::string path = join(tree_.at("bin"), entry.name);
      names.insert(entry.name);
      if (S_ISREG(entry.status.st_mode)) scripts_.push_back(entry.name);
      if (!S_ISLNK(entry.status.st_mode)) continue;
      links_.push_back(entry.name);
      if (find_target(root_, path)) continue;
      const std::string text =
          "is a link to " + quote(tree_.read_link(join("bin", entry.name)).value_or("")) + ", which leads nowhere";
      if (is_program_name(entry.name))
        add(Severity::error, Check::programs, path, text, vbuild("--doctor --fix"));
      else
        add(Severity::warning, Check::programs, path, text, "remove it, or install its package again");
    }
    for (const char* const name : {"python", "python3"})
      if (!names.contains(name))
        add(name == std::string_view("python") ? Severity::error : Severity::warning, Check::programs,
            join(tree_.at("bin"), name), "is missing", vbuild("--doctor --fix"));
  }

  void check_base() {
    if (config_ && config_->home && config_->home->starts_with('/') && !root_.open(*config_->home, O_PATH).valid())
      add(Severity::error, Check::base, tree_.at("pyvenv.cfg"),
          "home is " + quote(*config_->home) + ", which is not there any more: the Python was moved or removed",
          vbuild("--doctor --fix"));
    for (const char* const name : {"bin/python", "bin/python3"}) {
      if (!find_target(root_, tree_.at(name))) continue;  // has been reported
      try {
        base_ = read_interpreter(root_, tree_.at(name), BuildConfiguration::skip);
      } catch (const Error& error) {
        add(Severity::error, Check::base, tree_.at(name), error);
      }
      break;
    }
    if (!base_) return;
    for (const std::string& name : links_) {
      const std::string path = join(tree_.at("bin"), name);
      const auto target = find_target(root_, path);
      if (!is_program_name(name) || !target || is_identity(target, base_->identity)) continue;
      // In an environment of copies the other names may be links to a copy.
      if (root_.resolve(path).path.starts_with(real_path_ + "/")) continue;
      add(Severity::warning, Check::base, path, "leads to another Python than bin/python does", vbuild("--upgrade"));
    }
    bool copied = false;
    for (const std::string& name : scripts_) {
      if (!is_program_name(name)) continue;
      copied = true;
      check_copy(join("bin", name), base_->real_executable);
    }
    try {
      if (const std::string library = copied ? library_of_copy(*base_) : ""; !library.empty())
        check_copy(library, base_->libpython);
    } catch (const Error&) {
      // Not where a build would have put it, so it is not this program's.
    }
  }

  /// A copy stays as it was when the Python it was made from is upgraded; the standard library does not.
  void check_copy(const std::string& relative, const std::string& original) {
    try {
      const Fd ours = tree_.open_file(relative);
      const Fd theirs = root_.open(original, O_RDONLY);
      if (ours.valid() && theirs.valid() && !have_same_content(ours, theirs))
        add(Severity::warning, Check::base, tree_.at(relative),
            "is a copy of another build than " + quote(original) + " is now, " + describe_version(*base_),
            vbuild("--upgrade"));
    } catch (const Error& error) {
      add(Severity::warning, Check::base, tree_.at(relative), error);
    }
  }

  void check_version() {
    if (!base_) return;
    const std::string library = base_->library_name();
    try {
      const auto status = tree_.lstat(join("lib", library));
      if (!status || !S_ISDIR(status->st_mode))
        add(Severity::error, Check::version, join(tree_.at("lib"), library),
            "is missing: bin/python leads to " + describe_version(*base_) + ", for which this environment was not made",
            vbuild("--upgrade") + ", then install the packages again");
      for (const std::string& packages : find_site_packages(tree_))
        if (base_name(parent_path(packages)) != library)
          add(Severity::warning, Check::version, tree_.at(parent_path(packages)),
              "holds packages of another Python than the " + describe_version(*base_) + " that bin/python leads to",
              "remove it once its packages are not needed");
    } catch (const Error& error) {
      add(Severity::error, Check::version, tree_.at("lib"), error);
    }
    if (!config_) return;
    const std::vector<int> numbers = version_numbers(*config_);
    const PythonVersion& version = base_->version;
    if (numbers.size() < 2) return;
    const std::string text =
        "says " + quote(*config_->version) + ", and bin/python leads to " + describe_version(*base_);
    if (minor_text(numbers) != version.minor_text())
      add(Severity::error, Check::version, tree_.at("pyvenv.cfg"), text,
          vbuild("--upgrade") + ", then install the packages again");
    else if (numbers.size() == 3 && numbers[2] != version.micro && knows_micro(*base_))
      add(Severity::warning, Check::version, tree_.at("pyvenv.cfg"), text, vbuild("--doctor --fix"));
  }

  /// What else read_environment refuses, and vrun with it.
  void check_agreement() {
    if (diagnosis_.count(Severity::error) > 0) return;
    try {
      read_environment(root_, diagnosis_.path);
    } catch (const Error& error) {
      add(Severity::error, Check::base, diagnosis_.path, error);
    }
  }

  void check_scripts() {
    for (const std::string& name : scripts_) {
      const std::string relative = join("bin", name);
      try {
        const Fd file = tree_.open_file(relative);
        constexpr std::size_t enough = 2 * 4096;  // two lines with paths
        if (file.valid()) check_script(tree_.at(relative), tree_.read_start(file, relative, enough));
      } catch (const Error& error) {
        add(Severity::warning, Check::script, tree_.at(relative), error);
      }
    }
  }

  void check_script(const std::string& path, std::string_view content) {
    if (!content.starts_with("#!")) return;
    const std::string_view first = content.substr(0, content.find('\n'));
    std::string_view rest = content;
    std::string_view line = take_line(rest).substr(2);
    while (line.starts_with(' ') || line.starts_with('\t')) line.remove_prefix(1);
    const std::string remedy = "install its package again, or make the environment again in this place";

    ScriptStart script;
    script.interpreter = line;
    if (base_name(line.substr(0, line.find(' '))) == "sh") {
      auto trampoline = parse_trampoline(take_line(rest));
      if (!trampoline) return;  // a shell script
      script = std::move(*trampoline);
    }
    // A script that finds its interpreter beside itself, as uv writes them for environments that can be moved.
    if (script.through_shell && script.interpreter.starts_with("$(dirname -- ")) return;
    if (script.expanded)
      return add(Severity::error, Check::script, path,
                 "starts the shell with a path that it expands: " + quote(script.interpreter), remedy);

    const std::string program = ours(script.interpreter);
    if (script.through_shell || program.empty()) {
      // Not one of ours: the kernel ends the path at the first blank.
      if (!script.through_shell)
        script.interpreter = script.interpreter.substr(0, script.interpreter.find_first_of(" \t"));
      if (program.empty()) check_foreign(path, script.interpreter, line, remedy);
      return;
    }
    const std::size_t blank = script.interpreter.find_first_of(" \t");
    if (blank != std::string::npos && blank < program.size())
      add(Severity::error, Check::script, path, "has a blank in the path of its interpreter, where the kernel ends it",
          remedy);
    else if (first.size() > kLongestShebang)
      add(Severity::error, Check::script, path,
          "has a first line of " + std::to_string(first.size()) + " bytes, and the kernel takes " +
              std::to_string(kLongestShebang),
          remedy);
    else if (first.size() > kLongestOldShebang)
      add(Severity::warning, Check::script, path,
          "has a first line of " + std::to_string(first.size()) + " bytes, of which kernels before 5.1 take " +
              std::to_string(kLongestOldShebang),
          remedy);
  }

  /// The part of `command` that is a path of an interpreter in bin of this environment; empty when it is not.
  std::string ours(const std::string& command) const {
    for (const std::string& directory : {diagnosis_.path, real_path_}) {
      const std::string bin = join(directory, "bin/");
      if (!command.starts_with(bin)) continue;
      const std::string name = command.substr(bin.size(), command.find_first_of(" \t", bin.size()) - bin.size());
      if (is_program_name(name)) return bin + name;
    }
    // By another path to the same directory, such as one with a link in it.
    const std::string program = command.substr(0, command.find_first_of(" \t"));
    if (!program.starts_with('/') || !is_program_name(base_name(program))) return "";
    const auto bin = find_target(root_, parent_path(program));
    const auto own = find_target(root_, tree_.at("bin"));
    return own && is_identity(bin, {own->st_dev, own->st_ino}) ? program : "";
  }

  void check_foreign(const std::string& path, const std::string& program, std::string_view line,
                     const std::string& remedy) {
    const std::string name = base_name(program);
    if (name == "env") {
      std::string_view argument = strip(line.substr(std::min(line.find(' '), line.size())));
      argument = argument.substr(0, argument.find(' '));
      if (is_program_name(argument))
        add(Severity::note, Check::script, path, "runs the " + escape(argument) + " that PATH gives");
    } else if (is_program_name(name)) {
      add(Severity::error, Check::script, path, "is run by " + quote(program) + ", which is not of this environment",
          remedy);
    }
  }

  void check_packages() {
    try {
      for (const std::string& packages : find_site_packages(tree_)) {
        bool complete = true;
        const std::vector<Distribution> distributions = find_distributions(tree_, packages, complete);
        if (!complete) add(Severity::note, Check::record, tree_.at(packages), "has more names than are read");
        listed_.clear();
        for (const Distribution& distribution : distributions) check_record(packages, distribution);
        check_unlisted(packages);
        check_pth(packages);
      }
    } catch (const Error& error) {
      add(Severity::error, Check::record, tree_.at("lib"), error);
    }
  }

  void check_record(const std::string& packages, const Distribution& distribution) {
    const std::string record = join(distribution.directory, "RECORD");
    std::vector<RecordRow> rows;
    try {
      const auto text = tree_.read(record, kMaximumRecord);
      if (!text)
        return add(Severity::warning, Check::record, tree_.at(record),
                   "is missing, so the files of " + quote(distribution.name) + " can be neither compared nor removed",
                   reinstall(distribution));
      rows = parse_record(*text, tree_.at(record));
    } catch (const Error& error) {
      return add(Severity::error, Check::record, tree_.at(record), error);
    }
    for (const RecordRow& row : rows) {
      // Rows are relative to the package directory; those of scripts climb up to bin.
      std::string file = absolute_path(row.path, join(real_path_, packages));
      if (is_within(file, diagnosis_.path) && diagnosis_.path != "/")
        file = file.substr(diagnosis_.path.size());
      else if (is_within(file, real_path_))
        file = file.substr(real_path_.size());
      else
        file.clear();
      if (file.size() < 2) {
        add(Severity::warning, Check::record, tree_.at(record),
            "lists " + quote(row.path) + ", which is outside of the environment; it was not looked at");
        continue;
      }
      file.erase(0, 1);
      listed_.insert(file);
      try {
        check_file(file, row, distribution);
      } catch (const Error& error) {
        add(Severity::warning, Check::record, tree_.at(file), error);
      }
    }
  }

  void check_file(const std::string& relative, const RecordRow& row, const Distribution& distribution) {
    const Fd file = tree_.open_file(relative);
    const auto report = [&](std::string text) {
      add(Severity::error, Check::record, tree_.at(relative), std::move(text), reinstall(distribution));
    };
    if (!file.valid()) {
      // Python makes bytecode anew.
      if (!relative.ends_with(".pyc")) report("is missing, and RECORD of " + quote(distribution.name) + " lists it");
      return;
    }
    struct stat status {};
    if (::fstat(file.get(), &status) != 0) throw Error("cannot look at", tree_.at(relative), errno);
    if (!row.size.empty() && row.size != std::to_string(status.st_size))
      return report("has " + std::to_string(status.st_size) + " bytes, and RECORD says " + escape(row.size));
    constexpr std::string_view method = "sha256=";
    if (!row.hash.starts_with(method)) return;  // none, or one that installers do not write
    Sha256Stream stream;
    std::array<char, 65536> buffer;
    // The size is known, so a file that grows while it is read is not followed.
    for (std::uint64_t left = static_cast<std::uint64_t>(status.st_size); left > 0;) {
      const ssize_t count = ::read(file.get(), buffer.data(), std::min<std::uint64_t>(buffer.size(), left));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) throw Error("cannot read", tree_.at(relative), errno);
      if (count == 0) break;
      stream.add({buffer.data(), static_cast<std::size_t>(count)});
      left -= static_cast<std::uint64_t>(count);
    }
    if (row.hash.substr(method.size()) != base64_url(stream.finish()))
      report("was changed: its hash is not the one in RECORD of " + quote(distribution.name));
  }

  /// Modules in directories that belong to distributions, but to none of their lists.
  void check_unlisted(const std::string& packages) {
    std::set<std::string, std::less<>> directories;
    for (const std::string& file : listed_)
      if (file.ends_with(".py") && file.starts_with(packages + "/") && parent_path(file) != packages)
        directories.insert(parent_path(file));
    for (const std::string& directory : directories) {
      try {
        for (const std::string& name : tree_.list(directory).names) {
          const std::string file = join(directory, name);
          if (name.ends_with(".py") && !listed_.contains(file))
            add(Severity::note, Check::record, tree_.at(file), "is listed by no RECORD");
        }
      } catch (const Error& error) {
        add(Severity::warning, Check::record, tree_.at(directory), error);
      }
    }
  }

  void check_pth(const std::string& packages) {
    for (const std::string& name : tree_.list(packages).names) {
      // site.py passes over hidden ones.
      if (!name.ends_with(".pth") || name.starts_with('.')) continue;
      const std::string relative = join(packages, name);
      std::optional<std::string> text;
      try {
        text = tree_.read(relative, kMaximumPth);
      } catch (const Error& error) {
        add(Severity::warning, Check::pth, tree_.at(relative), error);
      }
      std::string_view rest = text ? std::string_view(*text) : std::string_view();
      for (int number = 1; !rest.empty(); ++number) {
        // str.splitlines() of site.py ends lines at a lone carriage return too.
        const std::string_view line = rest.substr(0, rest.find_first_of("\r\n"));
        rest.remove_prefix(std::min(line.size() + 1, rest.size()));
        if (!line.starts_with("import ") && !line.starts_with("import\t")) continue;
        constexpr std::size_t shown = 60;
        std::string text_of_line = quote(line.substr(0, shown));
        if (line.size() > shown) text_of_line += " ...";
        add(Severity::note, Check::pth, tree_.at(relative),
            "line " + std::to_string(number) + " is run whenever Python starts: " + text_of_line +
                (name == "distutils-precedence.pth" ? " (known: setuptools has it)" : ""));
      }
    }
  }

  /// Who can rename or replace the environment from above.
  void check_parents() {
    const auto own = root_.stat(real_path_);
    for (std::string path = parent_path(real_path_);; path = parent_path(path)) {
      const auto status = root_.lstat(path);
      if (status && own) {
        const bool sticky = (status->st_mode & S_ISVTX) != 0;
        if (!sticky) check_mode(path, *status);
        if (status->st_uid != 0 && status->st_uid != own->st_uid && status->st_uid != kOverflowUid)
          add(Severity::warning, Check::ownership, path,
              "belongs to uid " + std::to_string(status->st_uid) + ", who can replace the environment of uid " +
                  std::to_string(own->st_uid));
      }
      if (path == "/") return;
    }
  }

  void check_mode(const std::string& path, const struct stat& status) {
    const mode_t mode = status.st_mode;
    if (S_ISLNK(mode)) return;
    if ((mode & S_IWOTH) != 0)
      add(Severity::error, Check::ownership, path, "can be changed by everybody", "chmod o-w " + quote(path));
    // Many systems give each user a group of the same number and let it write.
    else if ((mode & S_IWGRP) != 0 && status.st_gid != status.st_uid)
      add(Severity::warning, Check::ownership, path, "can be changed by the group " + std::to_string(status.st_gid),
          "chmod g-w " + quote(path));
  }

  void check_owners() {
    const auto own = root_.stat(real_path_);
    if (!own) return;
    check_mode(diagnosis_.path, *own);
    std::size_t seen = 0;
    std::vector<std::string> directories{"."};
    while (!directories.empty()) {
      const std::string directory = std::move(directories.back());
      directories.pop_back();
      std::vector<Tree::Entry> entries;
      bool complete = true;
      try {
        entries = tree_.list_with_status(directory, complete);
      } catch (const Error& error) {
        add(Severity::warning, Check::ownership, tree_.at(directory), error);
      }
      for (const Tree::Entry& entry : entries) {
        const std::string relative = directory == "." ? entry.name : join(directory, entry.name);
        check_mode(tree_.at(relative), entry.status);
        if (entry.status.st_uid != own->st_uid)
          add(Severity::warning, Check::ownership, tree_.at(relative),
              "belongs to uid " + std::to_string(entry.status.st_uid) + ", and the environment to uid " +
                  std::to_string(own->st_uid),
              "chown -h " + std::to_string(own->st_uid) + " " + quote(tree_.at(relative)));
        if (S_ISDIR(entry.status.st_mode)) directories.push_back(relative);
      }
      seen += entries.size();
      if (seen < kMaximumWalk && complete) continue;
      add(Severity::note, Check::ownership, tree_.at(directory), "there are more files than are looked at");
      if (seen >= kMaximumWalk) return;
    }
  }

  const Root& root_;
  Diagnosis& diagnosis_;
  Tree tree_;
  std::string real_path_;
  std::optional<PyvenvConfig> config_;
  std::optional<Interpreter> base_;
  std::vector<std::string> links_;    ///< names in bin
  std::vector<std::string> scripts_;  ///< names of regular files in bin
  std::set<std::string, std::less<>> listed_;
  std::map<std::pair<Check, Severity>, int> counts_;
};

}  // namespace

int Diagnosis::count(Severity severity) const {
  return static_cast<int>(std::count_if(findings.begin(), findings.end(),
                                        [&](const Finding& finding) { return finding.severity == severity; }));
}

std::string_view name_of(Severity severity) {
  switch (severity) {
    case Severity::error:
      return "error";
    case Severity::warning:
      return "warning";
    case Severity::note:
      return "note";
  }
  return "";
}

std::string_view name_of(Check check) {
  switch (check) {
    case Check::configuration:
      return "configuration";
    case Check::programs:
      return "programs";
    case Check::base:
      return "base";
    case Check::version:
      return "version";
    case Check::record:
      return "record";
    case Check::script:
      return "script";
    case Check::ownership:
      return "ownership";
    case Check::pth:
      return "pth";
  }
  return "";
}

Diagnosis diagnose(const Root& root, std::string_view path) {
  Diagnosis diagnosis{.path = absolute_path(path, "/"), .findings = {}, .mended = {}};
  const auto status = root.stat(diagnosis.path);
  // Without a pyvenv.cfg it is looked at only when it was an environment: not a home directory, file by file.
  const bool environment =
      status && S_ISDIR(status->st_mode) && diagnosis.path != "/" &&
      (root.lstat(join(diagnosis.path, "pyvenv.cfg")) || root.lstat(join(diagnosis.path, "bin/activate")));
  if (!environment) read_environment(root, diagnosis.path);  // which throws, and says what there is instead
  Doctor(root, diagnosis).run();
  return diagnosis;
}

std::string to_text(const Diagnosis& diagnosis) {
  std::string out;
  for (const Finding& finding : diagnosis.findings) {
    std::string column(name_of(finding.severity));
    column.resize(9, ' ');
    out += column + escape(finding.path) + ": " + finding.text + "\n";
    if (!finding.remedy.empty()) out += std::string(9, ' ') + "remedy: " + finding.remedy + "\n";
  }
  for (const std::string& line : diagnosis.mended) out += "mended   " + line + "\n";
  const auto number = [&](Severity severity) {
    const int count = diagnosis.count(severity);
    return std::to_string(count) + " " + std::string(name_of(severity)) + (count == 1 ? "" : "s");
  };
  return out + "checked  " + escape(diagnosis.path) + ": " + number(Severity::error) + ", " +
         number(Severity::warning) + ", " + number(Severity::note) + "\n";
}

}  // namespace vrun::builder
