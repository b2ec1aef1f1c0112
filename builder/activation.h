/// The activation scripts: the templates of the target's own venv module with their placeholders filled in.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "policy/host/root.h"
#include "policy/interpreter.h"

namespace vrun::builder {

struct Template {
  std::string name;  ///< of the file in bin: "activate.fish"
  std::string content;
  mode_t mode = 0;  ///< permission bits, which the script gets whatever the umask is
};

/// The templates of `python`, sorted by name. Throws Error when its venv module is not installed.
std::vector<Template> read_templates(const Root& root, const Interpreter& python);

/// What the placeholders stand for.
struct ActivationValues {
  std::string directory;  ///< __VENV_DIR__
  std::string name;       ///< __VENV_NAME__
  std::string prompt;     ///< __VENV_PROMPT__: with parentheses before Python 3.13, which has them in its templates
  std::string python;     ///< __VENV_PYTHON__
};

/// The text of a script. No value can end the quotation that it stands in, in the shell that the script is for. Where
/// the template has quotes of its own around the placeholders (before gh-124651, CVE-2024-9287), a value that needs
/// none of that care is put in as it is, byte for byte like that venv does.
std::string fill_template(const Template& source, const ActivationValues& values);

}  // namespace vrun::builder
