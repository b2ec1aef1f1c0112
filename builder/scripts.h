/// The programs that a distribution installs into bin: what they are called and what is in them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "builder/version.h"
#include "policy/interpreter.h"

namespace vrun::builder {

/// `name = module:attribute` of entry_points.txt.
struct EntryPoint {
  std::string name;
  std::string module;
  std::string attribute;  ///< dotted
  bool operator==(const EntryPoint&) const = default;
};

/// The entry points of [console_scripts] and [gui_scripts], in the order of the file (Entry points, PyPA
/// specifications). `path` is for messages. Throws Error naming the line for what cannot be read, for a name that would
/// not stay in bin or would take the place of the interpreter or of an activation script, and for a reference that is
/// not an identifier.
std::vector<EntryPoint> parse_entry_points(std::string_view text, std::string_view path);

/// Whether a file of this name in bin makes it an environment: an interpreter or an activation script.
bool is_reserved_program(std::string_view name);

/// Gives the versioned names of pip and easy_install the version of `python`, as pip does for itself: a wheel made by
/// Python 3.11 says "pip3.11".
std::vector<EntryPoint> adapt_entry_points(std::vector<EntryPoint> points, const PythonVersion& python);

/// The first lines of a script that `interpreter` (absolute) is to run: "#!..." where the kernel takes it, else two
/// lines that both sh and Python read. Nothing of the path is ever run or expanded by sh.
std::string shebang(std::string_view interpreter);

/// What pip makes of a script that a wheel brings ready made: where its first line begins with "#!python", that line
/// becomes shebang(interpreter). Nothing for another script, which stays as it is.
std::optional<std::string> adapt_script(std::string_view script, std::string_view interpreter);

/// The whole script, byte for byte what the pip of this version writes; without one, what the newest does.
std::string script_text(const EntryPoint& point, std::string_view interpreter, const std::optional<Version>& pip);

}  // namespace vrun::builder
