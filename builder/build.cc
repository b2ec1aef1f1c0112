#include "builder/build.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <iterator>
#include <optional>
#include <utility>

#include "builder/activation.h"
#include "builder/bytecode.h"
#include "builder/clear.h"
#include "builder/discovery.h"
#include "builder/disk.h"
#include "builder/existing.h"
#include "builder/given.h"
#include "builder/installed.h"
#include "builder/layout.h"
#include "builder/pip_settings.h"
#include "builder/sandbox.h"
#include "builder/seeds.h"
#include "builder/surroundings.h"
#include "builder/text.h"
#include "builder/tree.h"
#include "builder/write.h"
#include "policy/error.h"
#include "policy/host/root.h"
#include "policy/host/user_directories.h"
#include "policy/interpreter.h"

namespace vrun::builder {
namespace {

/// How often another builder may get in first before it is called a failure.
constexpr int kAttempts = 10;

/// A line for each step and how long it took: what --verbose prints, and a part of what --json does.
class Journal {
 public:
  explicit Journal(bool wanted) : wanted_(wanted) {}
  void step(const std::string& what) {
    const auto now = Clock::now();
    const auto passed = std::chrono::duration_cast<std::chrono::microseconds>(now - last_).count();
    if (wanted_) std::fprintf(stderr, "vbuild: %8lld us  %s\n", static_cast<long long>(passed), what.c_str());
    steps_.push_back({what, passed});
    last_ = now;
  }
  /// The steps since the last call.
  std::vector<BuildReport::Step> take_steps() { return std::exchange(steps_, {}); }

 private:
  using Clock = std::chrono::steady_clock;
  bool wanted_;
  std::vector<BuildReport::Step> steps_;
  Clock::time_point last_ = Clock::now();
};

/// SOURCE_DATE_EPOCH, as reproducible-builds.org specifies it. No more than compiled modules have room for (PEP 552).
std::optional<std::time_t> source_date() {
  const std::string text = variable("SOURCE_DATE_EPOCH");
  if (text.empty()) return std::nullopt;
  std::uint32_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc() || end != text.data() + text.size())
    throw Error("cannot use SOURCE_DATE_EPOCH: " + quote(text) + " is no number of seconds since 1970 below 2^32");
  return std::time_t{seconds};
}

void check_line(const char* what, const std::string& text) {
  if (const auto unfit = find_unfit_for_line(text))
    throw Error("cannot use the " + std::string(what) + " " + quote(text) + ": it has " + std::string(*unfit));
}

/// The environments of one command line, which have the interpreter, its templates and the wheels in common.
class Builder {
 public:
  Builder(const BuildRequest& request, BuildReport& report)
      : request_(request),
        root_(Root::system()),
        working_directory_(working_directory()),
        journal_(request.verbose),
        report_(report) {}

  void run() {
    for (const std::string& directory : request_.directories) check_directory(absolute(directory));
    if (request_.prompt) check_line("prompt", *request_.prompt);
    // What would keep pip from running is found before anything is made.
    const bool for_pip = request_.upgrade_deps || !request_.requirements.empty();
    if (for_pip || request_.compile == Compile::now)
      vrun_ = find_vrun(root_, variable("PATH"), for_pip ? "run pip" : "compile modules");
    if (for_pip) {
      std::vector<std::string> requirements;
      for (const std::string& path : request_.requirements) requirements.push_back(absolute(path));
      pip_settings_ = read_pip_settings(root_, requirements, variable);
    }
    read_python();
    report_.steps = journal_.take_steps();
    for (const std::string& directory : request_.directories) {
      build(absolute(directory));
      report_.environments.back().steps = journal_.take_steps();
    }
  }

 private:
  std::string absolute(const std::string& path) const { return absolute_path(path, working_directory_); }

  void check_directory(const std::string& directory) const {
    check_line("path", directory);
    // PATH would have it as two directories; venv refuses it since 3.11.
    if (directory.find(':') != std::string::npos)
      throw Error("cannot make an environment in " + quote(directory) + ": a ':' in its path would divide PATH");
  }

  bool begins_empty() const { return !request_.default_seeds && request_.seeds.empty(); }

  void read_python() {
    const SearchContext context{.working_directory = working_directory_, .variable = variable};
    facts_.invoked = find_python(root_, context, request_.python);
    // The build configuration is needed for nothing but its directory of wheels.
    facts_.python =
        read_interpreter(root_, facts_.invoked, begins_empty() ? BuildConfiguration::skip : BuildConfiguration::read);
    seeds_ = choose_seeds(request_.default_seeds ? default_seeds(facts_.python) : std::vector<Seed>(), request_.seeds);
    facts_.invoked_real = root_.resolve(facts_.invoked).path;
    facts_.base_executable = base_executable();
    facts_.working_directory = working_directory_;
    facts_.source_date = source_date();
    facts_.umask = ::umask(0);
    ::umask(facts_.umask);
    for (const std::string& path : {facts_.invoked, facts_.invoked_real, facts_.base_executable})
      check_line("path of the interpreter", path);
    if (request_.prompt == ".") check_line("prompt", base_name(working_directory_));
    const Interpreter& python = facts_.python;
    journal_.step("found " + quote(facts_.base_executable) + ", " +
                  (python.implementation == Implementation::pypy ? "PyPy " : "Python ") + python.version.text());
    report_.python = facts_.base_executable;
    report_.version = python.version.text();
    report_.implementation = python.implementation == Implementation::pypy ? "pypy" : "cpython";
    facts_.templates = read_templates(root_, python);
    journal_.step("read the activation scripts");
    std::vector<std::string> wheels;
    for (const std::string& path : request_.wheels) wheels.push_back(absolute(path));
    facts_.wheels = read_given_wheels(root_, python, wheels);
    for (const std::string& path : wheels) journal_.step("read " + quote(path));
  }

  /// The path by which the environment is to know its interpreter. Asked for by way of an environment that links to it,
  /// that is the file's own name, as sys._base_executable has it; the directory keeps the most stable name that is
  /// known.
  std::string base_executable() const {
    const Interpreter& python = facts_.python;
    const bool environment = root_.lstat(join(parent_path(parent_path(facts_.invoked)), "pyvenv.cfg")) ||
                             root_.lstat(join(parent_path(facts_.invoked), "pyvenv.cfg"));
    if (!environment || facts_.invoked_real != python.real_executable) return python.executable;
    const std::string path = join(parent_path(python.executable), base_name(python.real_executable));
    const auto status = root_.stat(path);
    const bool same = status && FileIdentity{status->st_dev, status->st_ino} == python.identity;
    return same ? path : python.executable;
  }

  void build(const std::string& directory) {
    for (int attempt = 0; attempt < kAttempts; ++attempt)
      if (build_once(directory) == Outcome::written) return finish(directory);
    throw Error("cannot make an environment in " + quote(directory) + ": others keep making and removing it");
  }

  Outcome build_once(const std::string& directory) {
    facts_.directory = directory;
    Target target(directory);
    facts_.existing.reset();
    if (target.exists() && request_.clear)
      check_clear(root_, target, variable("HOME"), request_.force ? NoEnvironment::cleared : NoEnvironment::refused);
    else if (target.exists())
      facts_.existing =
          read_existing(root_, directory, facts_.python, program_names(facts_.python, facts_.base_executable),
                        site_packages(facts_.python), seeds_);
    read_replaced();
    read_wheels();
    read_bytecode();
    Layout layout = plan_layout(request_, facts_);
    journal_.step("planned " + quote(directory) + ", " + std::to_string(layout.entries.size()) + " entries");
    const OldContent old_content = request_.clear ? OldContent::removed : OldContent::kept;
    Outcome outcome{};
    try {
      outcome = write_environment(target, layout, facts_.wheels, old_content);
    } catch (const BytecodeDamaged& error) {
      // Only when it is read whole is it seen to be damaged; nothing was changed by then.
      journal_.step("left bytecode out: " + std::string(error.what()));
      for (Wheel& wheel : facts_.wheels) wheel.bytecode.reset();
      layout = plan_layout(request_, facts_);
      outcome = write_environment(target, layout, facts_.wheels, old_content);
    }
    journal_.step(outcome == Outcome::written ? "wrote it" : "another builder was faster; looking again");
    if (outcome == Outcome::written) {
      const bool repaired = !layout.notices.empty();
      add_missing(layout.notices);
      for (const std::string& notice : layout.notices) std::fprintf(stderr, "vbuild: %s\n", notice.c_str());
      add_to_report(layout, repaired);
    }
    return outcome;
  }

  /// What was installed of the projects that are given.
  void read_replaced() {
    facts_.replaced.clear();
    if (!facts_.existing || request_.wheels.empty()) return;
    const Tree tree(root_, facts_.directory);
    for (const Wheel& wheel : facts_.wheels) {
      if (!wheel.given) continue;
      for (ReplacedDistribution& old : find_replaced(tree, package_directories(facts_), wheel.name.project))
        facts_.replaced.push_back(std::move(old));
    }
  }

  /// A line for each given wheel that needs what is not there. With the packages of the system it may be there.
  void add_missing(std::vector<std::string>& notices) const {
    if (request_.wheels.empty() || request_.system_site_packages) return;
    const Tree tree(root_, facts_.directory);
    std::vector<AvailableDistribution> available;
    bool complete = true;
    for (const std::string& directory : package_directories(facts_))
      for (const Distribution& distribution : find_distributions(tree, directory, complete))
        available.push_back({normalize_project(distribution.name), parse_version(distribution.version)});
    for (const Wheel& wheel : facts_.wheels) {
      if (!wheel.given) continue;
      std::string list;
      for (const std::string& one : find_missing(wheel.requirements, available))
        list += (list.empty() ? "" : ", ") + escape(one);
      if (list.empty()) continue;
      notices.push_back(wheel.name.project + " needs what is not in " + quote(facts_.directory) + ": " + list);
    }
  }

  void add_to_report(const Layout& layout, bool repaired) {
    const bool reused = facts_.existing && facts_.existing->environment;
    BuildReport::Environment environment{.path = facts_.directory,
                                         .state = !reused    ? "created"
                                                  : repaired ? "repaired"
                                                             : "reused",
                                         .seeds = {},
                                         .installed = {},
                                         .notices = layout.notices,
                                         .steps = {}};
    for (const Wheel& wheel : facts_.wheels) {
      if (wheel.given) {
        environment.installed.push_back({wheel.name.project, wheel.name.version_text});
        journal_.step("installed " + wheel.name.project + " " + wheel.name.version_text);
      } else {
        environment.seeds.push_back({wheel.name.project, wheel.name.version_text, true});
      }
    }
    if (facts_.existing)
      for (const InstalledDistribution& old : facts_.existing->distributions) {
        const auto same = [&](const BuildReport::Seed& seed) { return seed.project == old.project; };
        const bool given = is_given(old.project);
        if (given || std::any_of(environment.seeds.begin(), environment.seeds.end(), same)) continue;
        // "pip-24.2.dist-info"
        const std::string version = old.dist_info.substr(old.dist_info.find('-') + 1);
        environment.seeds.push_back({old.project, version.substr(0, version.rfind('.')), false});
      }
    report_.environments.push_back(std::move(environment));
  }

  bool is_given(const std::string& project) const {
    return std::any_of(facts_.wheels.begin(), facts_.wheels.end(),
                       [&](const Wheel& wheel) { return wheel.given && wheel.name.project == project; });
  }

  /// The wheels that are to be installed: of every seed, unless another one is given or a version is there, whole as
  /// far as can be told, that was asked for and is not older; then those that are given.
  void read_wheels() {
    std::erase_if(facts_.wheels, [](const Wheel& wheel) { return !wheel.given; });
    if (begins_empty()) return;
    const WheelSources sources = wheel_sources(request_.wheel_directory, working_directory_);
    if (paths_.empty()) paths_ = find_seed_wheels(root_, facts_.python, seeds_, sources);
    std::vector<Wheel> seeds;
    for (std::size_t i = 0; i < paths_.size(); ++i) {
      const std::string& path = paths_[i];
      const auto name = parse_wheel_name(base_name(path));
      const auto& existing = facts_.existing;
      const auto satisfies = [&](const InstalledDistribution& old) {
        return old.recorded && old.project == name->project && old.version >= name->version &&
               seeds_[i].versions.hold(old.version);
      };
      if (name && existing && std::any_of(existing->distributions.begin(), existing->distributions.end(), satisfies))
        continue;
      if (name && is_given(name->project)) continue;
      seeds.push_back(read_seed_wheel(root_, facts_.python, path, sources.directory));
      journal_.step("read " + quote(path));
    }
    facts_.wheels.insert(facts_.wheels.begin(), std::make_move_iterator(seeds.begin()),
                         std::make_move_iterator(seeds.end()));
  }

  /// Bytecode is a gift: whatever is wrong with the cache, the environment is built without it.
  void read_bytecode() {
    if (request_.compile == Compile::no || facts_.wheels.empty()) return;
    try {
      const auto kind = read_bytecode_kind(root_, facts_.python);
      if (!kind) throw Error("the magic number of this Python's bytecode is not known");
      const std::string directory = bytecode_directory();
      if (request_.compile == Compile::now) BytecodeCache::make(directory);
      const BytecodeCache cache(directory);
      if (find_bytecode(cache, *kind) || request_.compile != Compile::now) return;
      compile(cache, *kind);
      find_bytecode(cache, *kind);
    } catch (const Error& error) {
      journal_.step("no bytecode: " + std::string(error.what()));
    }
  }

  std::string bytecode_directory() const {
    const std::string cache = user_directory(variable("XDG_CACHE_HOME"), variable("HOME"), ".cache");
    if (cache.empty()) throw Error("there is no HOME to have a cache in");
    return join(cache, "vbuild/bytecode");
  }

  /// Whether the cache has that of all wheels.
  bool find_bytecode(const BytecodeCache& cache, const BytecodeKind& kind) {
    bool all = true;
    for (Wheel& wheel : facts_.wheels) {
      if (wheel.bytecode) continue;
      try {
        wheel.bytecode = cache.find(wheel, kind);
        journal_.step("found bytecode of " + wheel.dist_info);
      } catch (const Error& error) {
        all = false;
        journal_.step("no bytecode of " + wheel.dist_info + ": " + error.what());
      }
    }
    return all;
  }

  /// Fills the cache: the wheels are unpacked in a private environment and compiled there, in the sandbox.
  void compile(const BytecodeCache& cache, const BytecodeKind& kind) {
    constexpr const char* prefix = ".compiling-";
    remove_stale_stages(cache.fd().get(), cache.path(), prefix);
    const Stage stage(cache.fd().get(), cache.path(), prefix);
    std::vector<std::shared_ptr<const BytecodeEntry>> had;
    for (Wheel& wheel : facts_.wheels) had.push_back(std::exchange(wheel.bytecode, nullptr));
    const auto existing = std::exchange(facts_.existing, std::nullopt);
    const auto replaced = std::exchange(facts_.replaced, {});
    const std::string directory =
        std::exchange(facts_.directory, join(join(cache.path(), stage.name()), "environment"));
    const auto restore = [&] {
      for (std::size_t i = 0; i < had.size(); ++i) facts_.wheels[i].bytecode = had[i];
      facts_.existing = existing;
      facts_.replaced = replaced;
      facts_.directory = directory;
    };
    try {
      const BuildRequest plain;
      const Layout layout = plan_layout(plain, facts_);
      Target target(facts_.directory);
      write_environment(target, layout, facts_.wheels, OldContent::kept);
      // Neither site.py nor what .pth files say is run. That a module does not compile is no failure.
      // With SOURCE_DATE_EPOCH, compileall's default are checked hashes.
      // What it makes depends on nothing else: not on the directory, nor, before 3.11, on the order of hashes, which -I
      // would leave to chance.
      std::vector<std::string> words{"-s",        "-S", "-m",           "compileall", "-q", "--invalidation-mode",
                                     "timestamp", "-d", "site-packages"};
      for (const std::string& packages : package_directories(facts_)) words.push_back(join(facts_.directory, packages));
      run_in_sandbox(vrun_, facts_.directory, {.set = {{"PYTHONHASHSEED", "0"}}}, words);
      const Tree tree(root_, facts_.directory);
      for (std::size_t i = 0; i < facts_.wheels.size(); ++i)
        cache.store(facts_.wheels[i], kind, tree, find_modules(layout, i, facts_));
      restore();
    } catch (const Error&) {
      restore();
      throw;
    }
    journal_.step("compiled");
  }

  void finish(const std::string& directory) {
    if (request_.upgrade_deps) {
      std::vector<std::string> words{"--upgrade"};
      for (const Seed& seed : default_seeds(facts_.python)) words.push_back(seed.project);
      run_pip(vrun_, directory, pip_settings_, request_.verbose, words, "cannot upgrade pip in " + quote(directory));
      journal_.step("upgraded pip");
    }
    if (!pip_settings_.requirements.empty()) {
      std::vector<std::string> words;
      for (const std::string& path : pip_settings_.requirements) words.insert(words.end(), {"-r", path});
      run_pip(vrun_, directory, pip_settings_, request_.verbose, words,
              "cannot install the requirements in " + quote(directory));
      journal_.step("installed the requirements");
    }
  }

  const BuildRequest& request_;
  Root root_;
  std::string working_directory_;
  Journal journal_;
  BuildFacts facts_;
  std::vector<Seed> seeds_;
  std::vector<std::string> paths_;  ///< of the wheels of `seeds_`
  std::string vrun_;                ///< found where pip is to run
  PipSettings pip_settings_;
  BuildReport& report_;
};

}  // namespace

void build(const BuildRequest& request, BuildReport& report) { Builder(request, report).run(); }

}  // namespace vrun::builder
