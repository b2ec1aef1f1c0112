/// `vbuild --doctor --fix`: mending what is safe to mend.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "builder/discovery.h"
#include "builder/layout.h"
#include "policy/host/root.h"

namespace vrun::builder {

/// What --fix changes: links of the interpreter that lead nowhere or are missing, and the keys of pyvenv.cfg that say
/// where the interpreter is and what micro version it has. Packages, scripts and the minor version are never touched.
struct Repair {
  Layout layout;                    ///< without entries when nothing can be mended
  std::vector<std::string> mended;  ///< a line for each change
};

/// The interpreter is the one that the environment still leads to, else the one at its `home`, else one of the same
/// minor version that `context` finds. Throws Error when the environment cannot be read.
Repair plan_repair(const Root& root, const SearchContext& context, std::string_view path);

/// Plans and carries out, the environment locked against other builders. Returns what was done. Throws Error, and then
/// the files are whole.
std::vector<std::string> repair(const Root& root, const SearchContext& context, std::string_view path);

}  // namespace vrun::builder
