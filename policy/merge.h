/// Putting together what profiles, files, variables and the command line ask for. Pure: values in, values out.
///
/// Every option has an order (option_table.h, Stricter), so that of two policies it can be said whether one is no wider
/// than the other in each of their options. What is trusted may widen; what is not, and ceilings, only narrow.
#pragma once

#include <string>
#include <vector>

#include "policy/settings.h"

namespace vrun {

/// The most that an option may be: a key below [ceiling] of a file of the administrator's.
struct Ceiling {
  const Option* option = nullptr;
  /// One value; for lists all that may be in it. Directories hold for what is in them.
  std::vector<std::string> values;
  Origin origin;
};

struct Merged {
  Settings settings;                 ///< in the order of the table; values of a list in the order in which they came
  std::vector<std::string> notices;  ///< what was asked for in vain, one line each
};

/// The value of an option that is no list; its default when nothing is said of it. Empty for an option that is unset.
std::string value_of(const Settings& settings, const Option& option);

/// Trusted layers, each over the ones before: later values of an option replace earlier ones, lists grow. A path that a
/// later layer names in another way (ro, rw, hide, tmpfs) is taken from the earlier ones, and so is a project by
/// no-project and the other way round.
Settings overlay(const std::vector<Settings>& layers);

/// Narrows `settings` by what `untrusted` says: values that are stricter are taken, and what would widen is a notice
/// that names the option that grants it.
Merged tighten(Settings settings, const Settings& untrusted);

/// Narrows `settings` by ceilings. Throws Error when the command line, a variable or the user's file asks for more: it
/// would not be what they asked for. What a profile brings is lowered, with a notice.
///
/// Of paths only the text is compared here; the plan does it again with links followed (RunPolicy::ceilings).
Merged lower(Settings settings, const std::vector<Ceiling>& ceilings);

/// Whether `one` lets a run do nothing that `other` does not: the order that merging keeps, written down on its own.
bool is_no_wider(const Settings& one, const Settings& other);

}  // namespace vrun
