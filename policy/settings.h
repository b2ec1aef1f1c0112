/// What somebody asks for, one option at a time, with who asked: the common form of profiles, policy files, variables
/// and the command line, before they are merged (merge.h) into a RunPolicy.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policy/host/root.h"
#include "policy/option_table.h"
#include "policy/run_policy.h"

namespace vrun {

/// Who asks. The order is that of weight: what comes later is nearer to the person who starts the run.
enum class Source {
  profile,        ///< a profile, of vrun or of a file; it was chosen by name
  administrator,  ///< /etc/vrun
  user,           ///< the caller's own file
  project,        ///< a file that the sandboxed code may have written: it may only tighten
  variable,       ///< VRUN_*
  command_line,
};

struct Origin {
  Source source = Source::command_line;
  std::string text;  ///< for people, escaped: "--net", "VRUN_NET", "/etc/vrun/site.toml:3:1", "profile ci"
  bool operator==(const Origin&) const = default;
};

/// One value of one option; a list has one of these for each of its values.
struct Setting {
  const Option* option = nullptr;
  /// As check_value gives it: "true" or "false", an absolute path, one that is relative to the project ("./data"), ...
  std::string value;
  Origin origin;
  bool operator==(const Setting&) const = default;
};

using Settings = std::vector<Setting>;

/// How a value was written.
struct Writing {
  std::string subject;  ///< what is at fault when it is wrong: "--net", "vrun.toml:3:7: net"
  std::string base;     ///< what relative paths are relative to; empty: the project, wherever that will be
  std::string home;     ///< of the caller, for paths that begin with "~/"
  bool in_file = false;
};

/// The names that an option of ValueKind::layer takes.
std::vector<std::string_view> layers_of(const Option& option);

/// Checks one value and gives it the form of Setting::value. Throws Error when it is none of the option's.
///
/// Paths in files may begin with "~/". Nothing else is expanded, and what looks as if somebody expected it is refused:
/// a pattern that is taken literally would hide nothing.
std::string check_value(const Option& option, const std::string& text, const Writing& writing);

/// The directory of a checked value of an option for private memory: what stands before its size.
std::string memory_directory(const std::string& value);

/// The effective settings, with absolute paths only, as the request that the plan is made from. `directory` is the
/// current one: the project, unless a setting names another. `root` is asked what of --ro-try exists.
RunPolicy make_run_policy(const Settings& settings, const std::string& directory, const Root& root);

/// What --option in front of a value looks like on a command line, quoted where a shell needs it.
std::string as_argument(const Setting& setting);

}  // namespace vrun
