#include "runner/options.h"

#include <algorithm>
#include <array>
#include <boost/program_options.hpp>
#include <optional>
#include <string_view>

#include "policy/environment.h"
#include "policy/error.h"
#include "policy/limits.h"
#include "policy/nearest.h"
#include "policy/option_table.h"
#include "policy/policy_sources.h"
#include "policy/process_environment.h"
#include "runner/caller.h"

namespace vrun {
namespace {

namespace po = boost::program_options;

po::options_description describe() {
  po::options_description options;
  for (const Option& option : kOptions) {
    std::string names(option.name);
    if (option.letter != 0) names += std::string(",") + option.letter;
    if (option.kind == ValueKind::flag) {
      options.add_options()(names.c_str(), "");
    } else if (option.repeatable) {
      options.add_options()(names.c_str(), po::value<std::vector<std::string>>()->composing(), "");
    } else {
      options.add_options()(names.c_str(), po::value<std::string>(), "");
    }
  }
  return options;
}

/// Where the head ends: the index of the command's first word, and the index of ENV_DIR if there is one.
struct Split {
  std::size_t head_end = 0;
  std::size_t command = 0;
  std::optional<std::size_t> environment;
};

/// Whether the option in `word` takes its value from the next word.
bool wants_next(const std::string& word) {
  if (word.compare(0, 2, "--") == 0) {
    const Option* option = find_option(std::string_view(word).substr(2));
    return option != nullptr && option->kind != ValueKind::flag;
  }
  return word.size() == 2 && std::any_of(kOptions.begin(), kOptions.end(), [&](const Option& option) {
           return option.letter == word[1] && option.kind != ValueKind::flag;
         });
}

Split split(const std::vector<std::string>& arguments) {
  Split result;
  std::size_t i = 0;
  for (; i < arguments.size(); ++i) {
    const std::string& word = arguments[i];
    if (word == "--") {
      result.head_end = i;
      result.command = i + 1;
      return result;
    }
    if (word.size() > 1 && word.front() == '-') {
      if (wants_next(word)) ++i;
    } else if (!result.environment) {
      result.environment = i;
    } else {
      break;
    }
  }
  result.head_end = result.command = std::min(i, arguments.size());
  return result;
}

/// Whether the owner of what was found without being named is somebody whom the caller trusts anyway: itself, root, and
/// for root the owner of the directory it stands in.
bool is_trusted_owner(unsigned owner, const Caller& caller, const Root& root, const std::string& directory) {
  if (owner == caller.uid || owner == 0) return true;
  const auto here = root.stat(directory);
  return caller.is_host_root && here && here->st_uid == owner;
}

/// `.venv` is the environment itself, a link to it, or a file with its path in the first line (PEP 832).
std::optional<std::string> read_dot_venv(const Caller& caller, const Root& root, const std::string& place,
                                         const std::string& directory) {
  const std::string path = join(place, ".venv");
  const auto itself = root.lstat(path);
  if (!itself) return std::nullopt;
  if (!is_trusted_owner(itself->st_uid, caller, root, directory))
    throw Error("the environment that was found belongs to somebody else:", path)
        .hint("name it to use it all the same");
  if (!S_ISREG(itself->st_mode)) {
    // A link to a file is no redirect: it would have the first line of any file end up in a message.
    if (root.is_directory(path)) return path;
    return std::nullopt;
  }
  std::string line = root.read_file(path, 4096).value_or("");
  line.erase(std::min(line.find('\n'), line.size()));
  const std::string target = line.empty() ? "" : absolute_path(line, place);
  if (target.empty() || !(is_environment(root, target) || is_conda_environment(root, target)))
    throw Error("cannot use " + quote(path) + ": its first line does not name an environment");
  return target;
}

std::string find_environment(const Caller& caller, const std::string& directory, const Root& root) {
  for (const char* name : {"VRUN_ENV", "VIRTUAL_ENV"})
    if (const std::string value = find_variable(caller.variables, name); !value.empty())
      return absolute_path(value, directory);
  for (std::string place = directory;; place = parent_path(place)) {
    if (auto found = read_dot_venv(caller, root, place, directory)) return *found;
    if (place == "/") break;
  }
  throw Error("no environment: neither ENV_DIR, VRUN_ENV nor VIRTUAL_ENV names one, and there is no .venv in " +
              quote(directory) + " or above")
      .hint("make one with: vbuild .venv");
}

/// What the head of the command line asks for, one setting for each option that is a matter of policy.
Asked read_asked(const po::variables_map& values, const Caller& caller, const std::string& directory) {
  Asked asked;
  for (const Option& option : kOptions) {
    const std::string name(option.name);
    if (!option.is_policy() || values.count(name) == 0) continue;
    const std::string subject = "--" + name;
    const auto add_one = [&](const std::string& text) {
      asked.settings.push_back({&option,
                                check_value(option, text, {subject, directory, caller.home, false}),
                                {Source::command_line, subject}});
    };
    const auto add = [&](const std::string& text) {
      std::size_t begin = 0;
      if (option.kind == ValueKind::layer)
        for (std::size_t comma; (comma = text.find(',', begin)) != std::string::npos; begin = comma + 1)
          add_one(text.substr(begin, comma - begin));
      add_one(text.substr(begin));
    };
    if (option.kind == ValueKind::flag) {
      add("true");
    } else if (option.repeatable) {
      for (const std::string& text : values[name].as<std::vector<std::string>>()) add(text);
    } else {
      add(values[name].as<std::string>());
    }
  }
  if (values.count("profile") != 0)
    asked.profile = ProfileName{values["profile"].as<std::string>(), {Source::command_line, "--profile"}};
  return asked;
}

std::string text_of(const po::variables_map& values, const char* option) {
  if (values.count(option) == 0) return {};
  const std::string& text = values[option].as<std::string>();
  if (text.empty()) throw Error("--" + std::string(option) + " wants a value");
  return text;
}

ReportNames read_report_names(const po::variables_map& values, const std::string& directory) {
  ReportNames names;
  names.report = text_of(values, "report");
  if (!names.report.empty() && !names.report.starts_with("fd:")) names.report = absolute_path(names.report, directory);
  names.meta = text_of(values, "meta");
  if (!names.meta.empty()) names.meta = absolute_path(names.meta, directory);
  return names;
}

/// A word of scope.h, or a path, which has a "/".
std::string read_cgroup(const po::variables_map& values, const std::string& directory) {
  const std::string text = text_of(values, "cgroup");
  if (text.find('/') != std::string::npos) return absolute_path(text, directory);
  for (const char* const word : {"", "own", "systemd", "scope", "none"})
    if (text == word) return text;
  throw Error("--cgroup wants own, systemd, none or the path of a control group, not " + quote(text));
}

/// Boost's messages, which quote what was typed, on one printable line.
std::string option_message(const po::error& error) {
  const std::string text = error.what();
  std::string out;
  for (const char c : text) out += c == '\'' ? "'" : escape(std::string_view(&c, 1));
  return out;
}

po::variables_map parse_head(const std::vector<std::string>& head) {
  namespace style = po::command_line_style;
  const po::options_description options = describe();
  po::variables_map values;
  try {
    // Without guessing: a prefix that works today would mean something else once another option is added.
    const int accepted = style::allow_long | style::long_allow_adjacent | style::long_allow_next | style::allow_short |
                         style::allow_dash_for_short | style::short_allow_next | style::short_allow_adjacent;
    po::store(po::command_line_parser(head).options(options).style(accepted).run(), values);
  } catch (const po::unknown_option& error) {
    const std::string name = error.get_option_name();
    std::vector<std::string_view> known;
    known.reserve(kOptions.size());
    for (const Option& option : kOptions) known.push_back(option.name);
    const std::string given = name.substr(0, name.find('='));
    const std::string close(misspelt(given.substr(std::min(given.find_first_not_of('-'), given.size())), known));
    throw Error("there is no option " + quote(given))
        .hint(close.empty() ? "see: vrun --help" : "did you mean --" + close + "?");
  } catch (const po::error& error) {
    throw Error(option_message(error)).hint("see: vrun --help");
  }
  return values;
}

}  // namespace

Invocation parse_arguments(const std::vector<std::string>& arguments, const Caller& caller,
                           const std::string& directory, const Root& root, ReportNames& reports) {
  const Split parts = split(arguments);
  std::vector<std::string> head(arguments.begin(), arguments.begin() + static_cast<std::ptrdiff_t>(parts.head_end));
  if (parts.environment) head.erase(head.begin() + static_cast<std::ptrdiff_t>(*parts.environment));
  const po::variables_map values = parse_head(head);

  reports = read_report_names(values, directory);

  Invocation invocation;
  if (values.count("help") != 0) {
    invocation.mode = Mode::help;
    return invocation;
  }
  if (values.count("version") != 0) {
    invocation.mode = Mode::version;
    return invocation;
  }
  if (values.count("profiles") != 0) {
    invocation.mode = Mode::profiles;
    return invocation;
  }
  if (values.count("doctor") != 0) {
    if (values.size() > (values.count("json") != 0 ? 2 : 1) || parts.environment || parts.command < arguments.size())
      throw Error("--doctor looks at the machine, and goes with no other option but --json");
    invocation.mode = Mode::doctor;
    invocation.json = values.count("json") != 0;
    return invocation;
  }
  if (values.count("explain") != 0) invocation.mode = Mode::explain;
  if (values.count("self-test") != 0) {
    if (invocation.mode == Mode::explain) throw Error("--explain and --self-test cannot be given together");
    invocation.mode = Mode::self_test;
  }
  if (values.count("why") != 0) {
    if (invocation.mode != Mode::run) throw Error("--why cannot be given together with --explain or --self-test");
    invocation.mode = Mode::why;
    invocation.question = parse_question(values["why"].as<std::string>(), directory);
  }
  invocation.json = values.count("json") != 0;
  if (invocation.json && invocation.mode == Mode::run)
    throw Error("--json goes with --explain, --self-test, --why and --doctor");
  invocation.verbose = values.count("verbose") != 0;
  if (invocation.verbose && (invocation.mode != Mode::explain || invocation.json))
    throw Error("--verbose goes with --explain, and not with --json, which has everything");
  if (reports.wanted() && invocation.mode != Mode::run) throw Error("--report and --meta go with a run");
  constexpr std::array kStreams{"stdin", "stdout", "stderr"};
  for (std::size_t i = 0; i < kStreams.size(); ++i)
    if (const std::string path = text_of(values, kStreams[i]); !path.empty())
      invocation.streams[i] = absolute_path(path, directory);
  if (values.count("get") != 0)
    for (const std::string& text : values["get"].as<std::vector<std::string>>())
      invocation.fetches.push_back(parse_fetch(text, directory));
  invocation.cgroup = read_cgroup(values, directory);
  invocation.junit = values.count("junit") != 0;
  if (invocation.junit && (invocation.mode != Mode::self_test || invocation.json))
    throw Error("--junit goes with --self-test, and not with --json");
  invocation.timing = values.count("timing") != 0;

  if (values.count("project") != 0 && values.count("no-project") != 0)
    throw Error("--project and --no-project cannot be given together");
  EffectivePolicy effective = decide_policy(root, caller, directory, read_asked(values, caller, directory));
  RunPolicy& policy = invocation.policy;
  policy = run_policy_of(effective, directory, root);
  invocation.notices = std::move(effective.notices);
  invocation.settings = std::move(effective.settings);
  policy.command.assign(arguments.begin() + static_cast<std::ptrdiff_t>(parts.command), arguments.end());
  if (!policy.command.empty() && invocation.mode == Mode::self_test) throw Error("--self-test runs no command");
  if (!policy.command.empty() && policy.command.front().empty()) throw Error("the command is an empty word");

  if (parts.environment) {
    const std::string& named = arguments[*parts.environment];
    if (named.empty()) throw Error("ENV_DIR is an empty word");
    policy.environment = absolute_path(named, directory);
    policy.environment_named = true;
    if (!is_environment(root, policy.environment) && policy.command.empty() && named.find('/') == std::string::npos &&
        !root.lstat(policy.environment))
      throw Error("there is no environment " + quote(named) + " here")
          .hint("make it with: vbuild " + escape(named) +
                ", or run a command in the one that is found by itself: vrun -- " + escape(named));
  } else {
    policy.environment = find_environment(caller, directory, root);
  }
  return invocation;
}

std::string help_text() {
  return R"(usage: vrun [options] [ENV_DIR] [-- COMMAND [ARG...]] | -h, --help | --version
Runs COMMAND in a virtual environment, with the packages of the system, of the
user and of every other environment absent. Without ENV_DIR: $VRUN_ENV, else
$VIRTUAL_ENV, else .venv here or above. Without COMMAND: its Python.
  vrun .venv -- pytest -x     run the tests, offline, with nothing else in reach
what is shown (* may be repeated):
  --profile NAME, --profiles; --no-system   a policy; of /usr Python alone
  --project DIR, --no-project, --project-ro   where to work (default: this one)
  --ro PATH, --rw PATH, --ro-try PATH   show PATH too; the last: if it exists *
  --hide PATH, --tmpfs DIR[:size=N]   nothing, or private memory, in its place *
  --home DIR; --env-rw; -C, --cwd DIR   $HOME; environment writable; start in
what is reached:
  --net none|host      no network but loopback (default), or the host's
  --allow NAME, --without LAYER, --require LAYER   less, or no less: vrun(1) *
  --setenv NAME=VALUE, --keep-env NAME, --clear-env   set, pass on, only named *
limits, such as 90s and 512M: --wall T, --cpu-time T, --memory N, --swap N,
  --pids N, --cpus N, --fsize N, --nofile N, --stack N, --tmp-size N,
  --shm-size N, --output-max N; --require-limits, --cgroup DIR   held in full
results: --report, --meta, --stdin, --stdout, --stderr FILE, --get PATTERN=DIR *
  --explain, --verbose, --timing   the plan on a page, in full; what took how long
  --why WHAT           could a run reach this path, HOST:PORT, call or variable?
  --self-test, --doctor, --json, --junit   do the layers hold; can they be had
exit status: the command's own; 128+n: signal n killed it; 125: vrun could not
set the run up; 126: COMMAND cannot be executed; 127: it is not found.
)";
}

}  // namespace vrun
