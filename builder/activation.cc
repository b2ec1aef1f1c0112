#include "builder/activation.h"

#include <algorithm>
#include <array>
#include <utility>

#include "builder/text.h"
#include "policy/error.h"

namespace vrun::builder {
namespace {

constexpr std::size_t kMaximumTemplate = 1U << 20U;

/// A word of the script's language that means `value` and nothing else.
std::string quote_for(std::string_view script, const std::string& value) {
  if (script.ends_with(".ps1")) {
    // To PowerShell the four typographic quotes are quotes too; each is doubled.
    std::string out = value;
    for (const char* const mark : {"'", "\u2018", "\u2019", "\u201A", "\u201B"})
      out = replace_all(out, mark, std::string(mark) + mark);
    return "'" + out + "'";
  }
  std::string out = shell_quote(value);
  // csh expands "!" inside single quotes; fish takes a backslash there as an escape.
  if (script.ends_with(".csh")) return replace_all(out, "!", "\\!");
  if (script.ends_with(".fish")) return replace_all(out, "\\", "\\\\");
  return out;
}

/// Whether `value` means itself between double quotes in sh, csh, fish and PowerShell.
bool is_plain_in_double_quotes(std::string_view value) {
  return value.find_first_of("\"$`\\!") == std::string_view::npos;
}

/// A shell expands PS1 whenever it shows it: "$(...)" in it would run, and "\044(...)" in that of bash too.
std::string shown_in_prompt(std::string value) {
  std::replace_if(
      value.begin(), value.end(), [](char c) { return c == '$' || c == '`' || c == '\\'; }, '?');
  return value;
}

/// Whether the placeholder at the beginning of `rest`, the end of `source`, stands in an assignment to sh's PS1.
bool is_for_prompt(const Template& source, std::string_view rest) {
  if (source.name != "activate") return false;
  const std::string_view before = std::string_view(source.content).substr(0, source.content.size() - rest.size());
  return before.substr(before.rfind('\n') + 1).find("PS1=") != std::string_view::npos;
}

}  // namespace

std::vector<Template> read_templates(const Root& root, const Interpreter& python) {
  const std::string directory = join(python.stdlib, "venv/scripts");
  std::vector<Template> templates;
  for (const char* const part : {"common", "posix"}) {
    const std::string from = join(directory, part);
    const Root::Listing listing = root.list_by_type(from);
    if (!listing.readable) throw Error("cannot list the activation scripts of Python in", from, EACCES);
    for (const std::string& name : listing.others) {
      const std::string path = join(from, name);
      const auto status = root.stat(path);
      if (!status || !S_ISREG(status->st_mode)) continue;
      auto content = root.read_file(path, kMaximumTemplate);
      if (content) templates.push_back({name, std::move(*content), status->st_mode & 0777});
    }
  }
  if (templates.empty())
    throw Error("cannot find the activation scripts of Python " + python.version.minor_text() + " in", directory)
        .hint("install the venv module of this Python (on Debian and Ubuntu: apt install python3-venv)");
  std::sort(templates.begin(), templates.end(), [](const Template& a, const Template& b) { return a.name < b.name; });
  return templates;
}

std::string fill_template(const Template& source, const ActivationValues& values) {
  const bool own_quotes = source.content.find("\"__VENV_DIR__\"") != std::string::npos;
  const std::array<std::pair<std::string_view, std::string>, 5> placeholders{{
      {"__VENV_DIR__", values.directory},
      {"__VENV_NAME__", values.name},
      {"__VENV_PROMPT__", values.prompt},
      {"__VENV_BIN_NAME__", "bin"},
      {"__VENV_PYTHON__", values.python},
  }};
  std::string out;
  std::string_view rest = source.content;
  for (;;) {
    const std::size_t at = std::min(rest.find("__VENV_"), rest.size());
    out += rest.substr(0, at);
    rest.remove_prefix(at);
    if (rest.empty()) return out;
    const auto known = std::find_if(placeholders.begin(), placeholders.end(),
                                    [&](const auto& placeholder) { return rest.starts_with(placeholder.first); });
    if (known == placeholders.end()) {
      out += rest.front();
      rest.remove_prefix(1);
      continue;
    }
    const std::string value = is_for_prompt(source, rest) ? shown_in_prompt(known->second) : known->second;
    if (!own_quotes) {
      out += quote_for(source.name, value);
    } else if (is_plain_in_double_quotes(value)) {
      out += value;
    } else {
      out += "\"" + quote_for(source.name, value) + "\"";  // ends the template's quotes and begins them again
    }
    rest.remove_prefix(known->first.size());
  }
}

}  // namespace vrun::builder
