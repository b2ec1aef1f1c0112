/// Fetching named results out of a run that has ended (--get).
///
/// Whoever wrote them is not trusted: a name may lead somewhere else, to a device, a FIFO, or a file without end. So
/// everything is reached by descriptors from directories that were opened before the run, without any link, only
/// regular files without other names are taken, and what is copied is what was looked at.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "policy/host/fd.h"
#include "policy/plan.h"
#include "policy/verdict.h"

namespace vrun {

/// --get PATTERN=DIR.
struct FetchRequest {
  std::string pattern;    ///< a path in the run; "*", "?" and "[...]" in its parts as in a shell
  std::string directory;  ///< absolute, on the host
};
/// Throws Error when it is not of that form. DIR is made absolute against `directory`.
FetchRequest parse_fetch(const std::string& text, const std::string& directory);

class Fetcher {
 public:
  /// Opens the directories of the host. Throws Error.
  Fetcher(const Plan& plan, const std::vector<FetchRequest>& requests);
  /// A directory in the run that is on memory of its own; borrowed until `fetch` is done.
  void add_place(const std::string& path, int directory) { places_[path] = directory; }
  /// Copies what the requests name, under its last name, as a new file with mode 0644. No file may be larger than
  /// `most` bytes, and after a thousand entries there is one that says that there are more.
  std::vector<Fetched> fetch(std::uint64_t most);

 private:
  void match(int directory, const std::string& at, std::string_view rest);
  void take(int directory, const std::string& name, const std::string& path);
  void refuse(const std::string& path, const std::string& why) { fetched_.push_back({path, 0, why}); }

  const Plan& plan_;
  const std::vector<FetchRequest>& requests_;
  std::vector<Fd> targets_;            ///< of the requests
  std::vector<Fd> opened_;             ///< directories of the host that the run can write to
  std::map<std::string, int> places_;  ///< by their paths in the run
  std::set<std::string> closed_;       ///< paths in the run below which it writes nothing
  int target_ = -1;                    ///< of the request at hand
  std::uint64_t most_ = 0;
  std::vector<Fetched> fetched_;
};

}  // namespace vrun
