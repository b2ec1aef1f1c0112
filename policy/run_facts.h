/// Everything about the host that the plan of a run depends on, read in one place before anything is decided.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "policy/environment.h"
#include "policy/host/root.h"
#include "policy/run_policy.h"

namespace vrun {

enum class EntryKind { directory, file, link };

/// An entry of "/" or /etc that a view may show.
struct HostEntry {
  std::string path;
  EntryKind kind = EntryKind::file;
  std::string target;  ///< text of a link
};

/// A directory or file that the caller names: the project, a share.
struct HostPath {
  std::string asked;  ///< absolute, as it was named
  Resolved real;
  bool is_directory() const { return S_ISDIR(real.status.st_mode); }
  bool exists() const { return real.status.st_mode != 0; }
};

struct RunFacts {
  Environment environment;
  struct stat environment_status {};  ///< of its directory
  Resolved prefix;                    ///< of the base interpreter
  Resolved stdlib;                    ///< of the base interpreter
  std::optional<Resolved> loader;     ///< of the base interpreter; nothing when static, or missing outside too
  std::string customization;          ///< where the standard library's sitecustomize.py leads to, when it is a link
  std::optional<HostPath> project;
  /// In the order of RunPolicy::shares. Without a status where --rw names one of `unmade_paths` or `unmade_caches`.
  std::vector<HostPath> shares;
  std::vector<HostPath> hidden;        ///< of RunPolicy::hidden, those that exist
  std::vector<HostPath> memory;        ///< in the order of RunPolicy::memory; without a status where there is nothing
  std::optional<HostPath> named_home;  ///< RunPolicy::home
  std::string home;  ///< the caller's $HOME with every link followed; /home/vrun when there is none to speak of
  std::vector<Link> home_links;
  std::string passwd;  ///< the host's passwd(5), for the name of the run's user; empty when it cannot be read

  std::vector<HostEntry> system;  ///< /usr and the names of "/" that belong to it (/bin, /lib, ...)
  std::vector<Resolved> closure;  ///< what the base interpreter needs of it; with RunPolicy::no_system alone
  /// Entries of /etc that are shown, of those that exist, and where certificates lie that they lead to.
  std::vector<HostEntry> etc;
  std::vector<std::string> devices;  ///< /dev/null and the like, of those that exist

  std::vector<std::string> package_directories;  ///< of the base interpreter and of every Python under /usr
  /// Where the index of packages below /usr is kept, and its new text when it has to be written; empty otherwise.
  std::string index_path;
  std::string index_text;
  /// The caller's directories of what later runs and builds believe, caches and settings, where the run could write
  /// them: those that exist, and those that do not.
  std::vector<std::string> caches;
  std::vector<std::string> unmade_caches;
  std::vector<std::string> base_package_directories;  ///< of the base interpreter alone
  std::vector<std::string> user_sites;                ///< of the caller's home and of --home, those that exist
  std::vector<std::string> inner_environments;        ///< directories of a conda environment with others in them
  std::vector<std::string> environments;              ///< others, within what is shown
  bool environments_complete = true;                  ///< false: not every directory was searched for them
  std::vector<std::string> protected_paths;           ///< of the project: what a host tool would later execute or trust
  std::vector<std::string> unmade_paths;              ///< of the project: the same, where nothing is yet
  std::vector<Link> watched_links;                    ///< of the project: links to such files, and to the environment
  std::vector<std::string> private_paths;             ///< directories below what is shown whose content nobody needs
  std::vector<HostEntry> proc;        ///< entries of /proc that are covered (files, directories) in the run's own
  std::vector<PathCeiling> ceilings;  ///< of RunPolicy, with the links of those directories followed that exist
  std::string resolv_conf;            ///< content, for --net=host
  int landlock_abi = 0;               ///< of the kernel, which the caller asks; 0: it has no Landlock
};

/// Reads the facts. Throws Error for an environment that is none, and for a project or share that does not exist.
RunFacts read_run_facts(const Root& root, const RunPolicy& policy, const Caller& caller);

}  // namespace vrun
