/// What a run is asked for: the value that the command line (and, later in the order of docs/architecture.md, policy
/// files) make, before anything of the host is looked at.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "policy/limits.h"

namespace vrun {

enum class Access { read_only, read_write };
enum class Network {
  none,  ///< a network namespace of its own with nothing but loopback
  host,  ///< the caller's network; asked for by name
};

/// A path of the host that the command line shows to the run (--ro, --rw).
struct Share {
  std::string path;  ///< absolute
  Access access = Access::read_only;
};

/// Private memory in the place of a directory (--tmpfs).
struct Memory {
  std::string path;                        ///< absolute
  std::uint64_t size = 512 * 1024 * 1024;  ///< bytes, not 0
};

struct Variable {
  std::string name;
  std::string value;
  bool operator==(const Variable&) const = default;
};

/// Where what an option names has to be, or for `hide` must not be: a ceiling of the administrator's.
struct PathCeiling {
  std::string option;                    ///< without dashes
  std::vector<std::string> directories;  ///< absolute
  std::string origin;                    ///< for people
};

/// What the command line says of a path (shares, hidden, memory, home, project) holds for all that is in it, down to
/// the next path that it names, in whatever order; one path named in two ways that contradict each other is refused by
/// the plan. Between that and what vrun decides by itself the stricter counts, except for the very path that is named.
struct RunPolicy {
  std::string environment;         ///< absolute path of ENV_DIR
  bool environment_named = false;  ///< on the command line; otherwise it was found
  Access environment_access = Access::read_only;
  std::string project;         ///< absolute; empty: none is shown (--no-project)
  bool project_named = false;  ///< by --project; otherwise it is the current directory
  Access project_access = Access::read_write;
  bool no_system = false;  ///< --no-system: of /usr, /bin and /lib* only what the interpreter needs
  Network network = Network::none;
  std::vector<std::string> allowed;         ///< --allow: names of openings (syscall_filter.h), sorted, each once
  std::vector<std::string> without;         ///< --without: names of kOptionalLayers (layers.h), sorted, each once
  std::vector<std::string> required;        ///< --require: names of kLayers
  std::vector<Share> shares;                ///< --ro, --rw
  std::vector<std::string> hidden;          ///< --hide: absolute; need not exist
  std::vector<Memory> memory;               ///< --tmpfs
  std::string home;                         ///< --home: shown writable, and the run's $HOME; empty: a private one
  std::vector<Variable> set_variables;      ///< --setenv, in order
  std::vector<std::string> kept_variables;  ///< --keep-env: names passed through from the caller
  bool clear_variables = false;             ///< --clear-env: nothing else of the caller's is passed through
  Limits limits;
  bool require_limits = false;  ///< --require-limits: refuse what would not be held in full
  std::vector<PathCeiling> ceilings;
  std::string working_directory;     ///< absolute; empty: the project
  std::vector<std::string> command;  ///< empty: the environment's python
};

/// Who asks: read from the process by `runner`, a plain value for `policy`.
struct Caller {
  unsigned uid = 0;
  unsigned gid = 0;
  /// uid 0, in a user namespace that has other uids too, as the initial one has.
  bool is_host_root = false;
  std::string home;                 ///< $HOME; empty when not set
  std::string cache_directory;      ///< $XDG_CACHE_HOME or ~/.cache, absolute; empty when there is none
  std::string config_directory;     ///< $XDG_CONFIG_HOME or ~/.config, likewise
  std::vector<Variable> variables;  ///< the caller's environment
};

}  // namespace vrun
