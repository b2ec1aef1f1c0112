#include "builder/scripts.h"

#include <algorithm>

#include "builder/text.h"
#include "policy/error.h"

namespace vrun::builder {
namespace {

/// Longest first line that every kernel takes whole; BINPRM_BUF_SIZE was 128 before Linux 5.1.
constexpr std::size_t kLongestShebang = 127;

bool is_identifier(std::string_view text) {
  const auto letter = [](char c) { return is_letter(c) || c == '_'; };
  return !text.empty() && letter(text.front()) &&
         std::all_of(text.begin(), text.end(), [&](char c) { return letter(c) || is_digit(c); });
}

bool is_dotted_identifier(std::string_view text) {
  for (;;) {
    const std::size_t dot = text.find('.');
    if (!is_identifier(text.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

/// "3", "3.11", "3.13t": what may follow "python" in the name of an interpreter.
bool is_version_suffix(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return is_digit(c) || c == '.' || c == 't' || c == 'd'; });
}

std::optional<std::string_view> find_fault_of_name(std::string_view name) {
  if (name.size() > 200) return "is too long";
  if (name.empty() || name.front() == '.' || name.front() == '-') return "is no name for a script";
  // The characters that the specification recommends; what is left of the others is white space and slashes.
  const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
    return is_letter(c) || is_digit(c) || std::string_view("_.-").find(c) != std::string_view::npos;
  });
  if (!plain) return "has characters that are not letters, digits, '_', '.' or '-'";
  if (is_reserved_program(name)) return "belongs to the environment itself";
  return std::nullopt;
}

}  // namespace

bool is_reserved_program(std::string_view name) {
  std::string lower(name);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  for (const std::string_view program : {"python", "pypy", "graalpy", "\U0001D70Bthon"})
    if (lower.starts_with(program) && is_version_suffix(std::string_view(lower).substr(program.size()))) return true;
  return lower == "deactivate" || lower == "activate" || lower.starts_with("activate.") || lower == "activate_this.py";
}

std::vector<EntryPoint> parse_entry_points(std::string_view text, std::string_view path) {
  std::vector<EntryPoint> points;
  bool wanted = false;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::string_view line = strip(take_line(text));
    const auto refuse = [&](std::string_view reason) {
      throw Error("cannot use " + quote(path) + ": line " + std::to_string(number) + " " + std::string(reason));
    };
    if (line.empty() || line.front() == '#' || line.front() == ';') continue;
    if (line.front() == '[') {
      if (line.back() != ']') refuse("is not a section");
      const std::string_view section = strip(line.substr(1, line.size() - 2));
      wanted = section == "console_scripts" || section == "gui_scripts";
      continue;
    }
    if (!wanted) continue;
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos) refuse("has no '='");
    EntryPoint point;
    point.name = strip(line.substr(0, equals));
    if (const auto fault = find_fault_of_name(point.name))
      refuse("wants a script whose name " + quote(point.name) + " " + std::string(*fault));
    std::string_view reference = strip(line.substr(equals + 1));
    // Extras after the reference are obsolete and say nothing to an installer.
    if (reference.ends_with(']')) reference = strip(reference.substr(0, reference.find('[')));
    const std::size_t colon = reference.find(':');
    if (colon == std::string_view::npos) refuse("names no function");
    point.module = strip(reference.substr(0, colon));
    point.attribute = strip(reference.substr(colon + 1));
    if (!is_dotted_identifier(point.module) || !is_dotted_identifier(point.attribute))
      refuse("does not name a module and a function");
    const bool twice =
        std::any_of(points.begin(), points.end(), [&](const EntryPoint& other) { return other.name == point.name; });
    if (twice) refuse("wants a second script " + quote(point.name));
    points.push_back(std::move(point));
  }
  return points;
}

std::vector<EntryPoint> adapt_entry_points(std::vector<EntryPoint> points, const PythonVersion& python) {
  struct Family {
    std::string_view name;
    std::string_view separator;  ///< between the name and a version
    bool with_major;
  };
  for (const Family& family : {Family{"pip", "", true}, Family{"easy_install", "-", false}}) {
    const auto plain =
        std::find_if(points.begin(), points.end(), [&](const EntryPoint& point) { return point.name == family.name; });
    if (plain == points.end()) continue;
    EntryPoint point = *plain;
    const std::string start = std::string(family.name) + std::string(family.separator);
    std::erase_if(points, [&](const EntryPoint& other) {
      if (other.name == family.name) return true;
      const std::string_view name = other.name;
      return name.starts_with(start) && name.size() > start.size() &&
             std::all_of(name.begin() + static_cast<std::ptrdiff_t>(start.size()), name.end(),
                         [](char c) { return is_digit(c) || c == '.'; });
    });
    points.push_back(point);
    point.name = start + python.minor_text();
    points.push_back(point);
    if (!family.with_major) continue;
    point.name = start + std::to_string(python.major);
    points.push_back(point);
  }
  return points;
}

std::string shebang(std::string_view interpreter) {
  // The kernel ends the path at the first space or tab; tabs are refused long before.
  if (interpreter.size() + 3 <= kLongestShebang && interpreter.find(' ') == std::string_view::npos)
    return "#!" + std::string(interpreter) + "\n";
  std::string quoted = shell_quote(interpreter);
  // To Python the lines are one string in ''', in which a backslash begins an escape. "\\" is one backslash to both.
  if (quoted.find('\\') != std::string::npos) quoted = replace_all(quoted, "\\", "'\"\\\\\"'");
  return "#!/bin/sh\n'''exec' " + quoted + " \"$0\" \"$@\"\n' '''\n";
}

std::optional<std::string> adapt_script(std::string_view script, std::string_view interpreter) {
  if (!script.starts_with("#!python")) return std::nullopt;
  const std::size_t line = script.find('\n');
  return shebang(interpreter) + std::string(line == std::string_view::npos ? "" : script.substr(line + 1));
}

std::string script_text(const EntryPoint& point, std::string_view interpreter, const std::optional<Version>& pip) {
  // distlib's template up to pip 25.1; pip's own one since then, changed in 26.0.
  const bool old = pip && *pip < *parse_version("25.2.dev0");
  const bool recent = !pip || *pip >= *parse_version("26.0.dev0");
  std::string out = shebang(interpreter);
  if (old) out += "# -*- coding: utf-8 -*-\nimport re\n";
  out += "import sys\nfrom " + point.module + " import " + point.attribute.substr(0, point.attribute.find('.')) + "\n";
  out += "if __name__ == '__main__':\n";
  if (old)
    out += "    sys.argv[0] = re.sub(r'(-script\\.pyw|\\.exe)?$', '', sys.argv[0])\n";
  else if (recent)
    out += "    sys.argv[0] = sys.argv[0].removesuffix('.exe')\n";
  else
    out += "    if sys.argv[0].endswith('.exe'):\n        sys.argv[0] = sys.argv[0][:-4]\n";
  return out + "    sys.exit(" + point.attribute + "())\n";
}

}  // namespace vrun::builder
