/// The options of vrun, one row each: the command line, the keys of policy files, the variables VRUN_*, the completions
/// of shells and the JSON Schema are made from this table; --help and the manual pages are held equal to it by tests.
///
/// What a row does not say is what the option does: that is in runner/options.cc, and for files in policy/merge.cc.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

namespace vrun {

/// What stands behind an option, and what a file has for it.
enum class ValueKind {
  flag,      ///< nothing; in a file true or false
  path,      ///< of anything
  memory,    ///< DIR or DIR:size=N
  choice,    ///< one of the words in Option::choices
  opening,   ///< a name of openings() (syscall_filter.h)
  layer,     ///< a name of layers.h; on the command line several, parted by commas
  variable,  ///< NAME=VALUE; in a file a table of them
  name,      ///< of a variable
  word,      ///< anything else
  limit,     ///< as parse_limit (limits.h) reads it
};

/// Which of two values of an option is the stricter one. What only may tighten, gets only that far.
enum class Stricter {
  no,        ///< the flag that is off
  yes,       ///< the flag that is on
  earlier,   ///< the word that comes first in Option::choices
  fewer,     ///< the list with fewer in it: every word opens something
  more,      ///< the list with more in it: every word closes something
  smaller,   ///< the smaller number; having one at all is stricter than none
  unset,     ///< none at all; of two, neither
  not_kept,  ///< not a matter of policy: the option says something about one call of vrun, and has no key
};

/// Why an option has no key; shown to whoever writes it into a file, and in vrun.toml(5).
namespace per_call {
inline constexpr std::string_view kExtends = "a file says it with extends";
inline constexpr std::string_view kOtherThing = "it is something else to do than a run";
inline constexpr std::string_view kPrinted = "it is about what one call prints";
inline constexpr std::string_view kFiles = "it names files of one run, and the next has others";
inline constexpr std::string_view kGroup =
    "where a run can be counted depends on how vrun was started; that limits are held is for require-limits to say";
}  // namespace per_call

enum class Section { shown, reached, limits, about };

struct Option {
  std::string_view name = {};  ///< --name; the key in a file; VRUN_NAME as a variable
  char letter = 0;             ///< -C; 0 when there is none
  ValueKind kind = ValueKind::flag;
  std::string_view value = {};    ///< what the value is called in texts; empty for a flag
  std::string_view choices = {};  ///< for ValueKind::choice, the stricter first, parted by "|"
  bool repeatable = false;        ///< may be given more than once; in a file a list
  Stricter stricter = Stricter::not_kept;
  Section section = Section::about;
  std::string_view help = {};    ///< a clause, for completions and the schema
  std::string_view no_key = {};  ///< of per_call, for what is not kept

  bool is_policy() const { return stricter != Stricter::not_kept; }
};

// clang-format off
inline constexpr auto kOptions = std::to_array<Option>({
    {.name = "project", .kind = ValueKind::path, .value = "DIR", .stricter = Stricter::unset,
     .section = Section::shown, .help = "the directory to work in, writable"},
    {.name = "no-project", .stricter = Stricter::yes,
     .section = Section::shown, .help = "show no project: begin in an empty home directory"},
    {.name = "project-ro", .stricter = Stricter::yes,
     .section = Section::shown, .help = "show the project read-only"},
    {.name = "no-system", .stricter = Stricter::yes,
     .section = Section::shown, .help = "of the operating system show only what the environment's Python needs"},
    {.name = "ro", .kind = ValueKind::path, .value = "PATH", .repeatable = true, .stricter = Stricter::fewer,
     .section = Section::shown, .help = "show a path too, read-only"},
    {.name = "rw", .kind = ValueKind::path, .value = "PATH", .repeatable = true, .stricter = Stricter::fewer,
     .section = Section::shown, .help = "show a path too, writable"},
    {.name = "ro-try", .kind = ValueKind::path, .value = "PATH", .repeatable = true, .stricter = Stricter::fewer,
     .section = Section::shown, .help = "show a path too, read-only, when it exists"},
    {.name = "hide", .kind = ValueKind::path, .value = "PATH", .repeatable = true, .stricter = Stricter::more,
     .section = Section::shown, .help = "show nothing of what is at a path"},
    {.name = "tmpfs", .kind = ValueKind::memory, .value = "DIR[:size=N]", .repeatable = true,
     .stricter = Stricter::fewer, .section = Section::shown, .help = "put private memory in the place of a directory"},
    {.name = "home", .kind = ValueKind::path, .value = "DIR", .stricter = Stricter::unset,
     .section = Section::shown, .help = "show a directory, writable, as $HOME"},
    {.name = "env-rw", .stricter = Stricter::no,
     .section = Section::shown, .help = "let the command change the environment, as pip has to"},
    {.name = "cwd", .letter = 'C', .kind = ValueKind::path, .value = "DIR", .stricter = Stricter::unset,
     .section = Section::shown, .help = "start the command in a directory"},
    {.name = "net", .kind = ValueKind::choice, .value = "none|host", .choices = "none|host",
     .stricter = Stricter::earlier, .section = Section::reached, .help = "the network: none but loopback, or the host's"},
    {.name = "allow", .kind = ValueKind::opening, .value = "NAME", .repeatable = true, .stricter = Stricter::fewer,
     .section = Section::reached, .help = "open a part of the kernel that is closed otherwise"},
    {.name = "setenv", .kind = ValueKind::variable, .value = "NAME=VALUE", .repeatable = true,
     .stricter = Stricter::fewer, .section = Section::reached, .help = "set a variable"},
    {.name = "keep-env", .kind = ValueKind::name, .value = "NAME", .repeatable = true, .stricter = Stricter::fewer,
     .section = Section::reached, .help = "pass a variable of the caller on"},
    {.name = "clear-env", .stricter = Stricter::yes,
     .section = Section::reached, .help = "pass no variable of the caller on that is not named"},
    {.name = "profile", .kind = ValueKind::word, .value = "NAME", .help = "begin with the policy of this name",
     .no_key = per_call::kExtends},
    {.name = "profiles", .help = "print the names of the profiles, and stop",
     .no_key = per_call::kOtherThing},
    {.name = "wall", .kind = ValueKind::limit, .value = "TIME", .stricter = Stricter::smaller,
     .section = Section::limits, .help = "end the run after a time"},
    {.name = "cpu-time", .kind = ValueKind::limit, .value = "TIME", .stricter = Stricter::smaller,
     .section = Section::limits, .help = "end the run after as much processor time of all its processes"},
    {.name = "memory", .kind = ValueKind::limit, .value = "SIZE", .stricter = Stricter::smaller,
     .section = Section::limits, .help = "end the run when it uses more memory"},
    {.name = "swap", .kind = ValueKind::limit, .value = "SIZE", .stricter = Stricter::smaller,
     .section = Section::limits, .help = "what may be swapped out beyond --memory"},
    {.name = "pids", .kind = ValueKind::limit, .value = "N", .stricter = Stricter::smaller,
     .section = Section::limits, .help = "the most processes and threads at once"},
    {.name = "cpus", .kind = ValueKind::limit, .value = "N", .stricter = Stricter::smaller,
     .section = Section::limits, .help = "the most processors in use"},
    {.name = "fsize", .kind = ValueKind::limit, .value = "SIZE", .stricter = Stricter::smaller,
     .section = Section::limits, .help = "the largest file that may be written"},
    {.name = "nofile", .kind = ValueKind::limit, .value = "N", .stricter = Stricter::smaller,
     .section = Section::limits, .help = "the most descriptors of a process"},
    {.name = "stack", .kind = ValueKind::limit, .value = "SIZE", .stricter = Stricter::smaller,
     .section = Section::limits, .help = "the largest stack"},
    {.name = "tmp-size", .kind = ValueKind::limit, .value = "SIZE", .stricter = Stricter::smaller,
     .section = Section::limits, .help = "the size of /tmp, /var/tmp and the home directory"},
    {.name = "shm-size", .kind = ValueKind::limit, .value = "SIZE", .stricter = Stricter::smaller,
     .section = Section::limits, .help = "the size of /dev/shm"},
    {.name = "output-max", .kind = ValueKind::limit, .value = "SIZE", .stricter = Stricter::smaller,
     .section = Section::limits, .help = "end the run when it writes more on its output"},
    {.name = "require-limits", .stricter = Stricter::yes,
     .section = Section::limits, .help = "refuse limits that cannot be held in full here"},
    {.name = "cgroup", .kind = ValueKind::path, .value = "DIR",
     .help = "hold limits in a control group below this one; or own, systemd, none",
     .no_key = per_call::kGroup},
    {.name = "report", .kind = ValueKind::path, .value = "FILE",
     .help = "write what came of the run as JSON, to a file or fd:N",
     .no_key = per_call::kFiles},
    {.name = "meta", .kind = ValueKind::path, .value = "FILE",
     .help = "write what came of the run as lines of key:value",
     .no_key = per_call::kFiles},
    {.name = "stdin", .kind = ValueKind::path, .value = "FILE", .help = "read standard input from a file",
     .no_key = per_call::kFiles},
    {.name = "stdout", .kind = ValueKind::path, .value = "FILE", .help = "write standard output to a file",
     .no_key = per_call::kFiles},
    {.name = "stderr", .kind = ValueKind::path, .value = "FILE", .help = "write standard error to a file",
     .no_key = per_call::kFiles},
    {.name = "get", .kind = ValueKind::word, .value = "PATTERN=DIR", .repeatable = true,
     .help = "fetch results out of the run into a directory",
     .no_key = per_call::kFiles},
    {.name = "self-test", .help = "try in a run what its layers have to stop, and stop",
     .no_key = per_call::kOtherThing},
    {.name = "require", .kind = ValueKind::layer, .value = "LAYER", .repeatable = true, .stricter = Stricter::more,
     .section = Section::reached, .help = "refuse to run without a layer in full"},
    {.name = "without", .kind = ValueKind::layer, .value = "LAYER", .repeatable = true, .stricter = Stricter::fewer,
     .section = Section::reached, .help = "leave a layer out, and say so"},
    {.name = "why", .kind = ValueKind::word, .value = "WHAT",
     .help = "say whether a run could reach a path, HOST:PORT, a system call or a variable",
     .no_key = per_call::kOtherThing},
    {.name = "doctor", .help = "say whether this machine can have every layer, and what mends it",
     .no_key = per_call::kOtherThing},
    {.name = "junit", .help = "print what --self-test tried as XML for JUnit",
     .no_key = per_call::kPrinted},
    {.name = "json", .help = "print JSON",
     .no_key = per_call::kPrinted},
    {.name = "explain", .help = "print what would be carried out, and stop",
     .no_key = per_call::kOtherThing},
    {.name = "verbose", .help = "with --explain: print every step, layer and variable",
     .no_key = per_call::kPrinted},
    {.name = "timing", .help = "say how long each step took",
     .no_key = per_call::kPrinted},
    {.name = "help", .letter = 'h', .help = "print a summary of the options and stop",
     .no_key = per_call::kOtherThing},
    {.name = "version", .help = "print the version and stop",
     .no_key = per_call::kOtherThing},
});
// clang-format on

/// Null when there is none of the name.
constexpr const Option* find_option(std::string_view name) {
  const auto* const found =
      std::find_if(kOptions.begin(), kOptions.end(), [&](const Option& option) { return option.name == name; });
  return found == kOptions.end() ? nullptr : found;
}

}  // namespace vrun
