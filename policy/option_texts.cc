#include "policy/option_texts.h"

#include <string_view>

#include "policy/limits.h"
#include "policy/option_table.h"
#include "policy/policy_file.h"
#include "policy/profiles.h"
#include "policy/settings.h"
#include "policy/syscall_filter.h"

namespace vrun {
namespace {

constexpr const char* kMade = "made from policy/option_table.h";

/// The words that an option takes, parted by spaces; empty when they are not known beforehand.
std::string words_of(const Option& option) {
  std::string words;
  if (option.name == "profile") {
    for (const BuiltInProfile& profile : built_in_profiles())
      words += (words.empty() ? "" : " ") + std::string(profile.name);
  } else if (option.kind == ValueKind::opening) {
    for (const Opening& opening : openings()) words += (words.empty() ? "" : " ") + std::string(opening.name);
  } else if (option.kind == ValueKind::layer) {
    for (const std::string_view layer : layers_of(option)) words += (words.empty() ? "" : " ") + std::string(layer);
  } else {
    words = option.choices;
    for (char& c : words) c = c == '|' ? ' ' : c;
  }
  return words;
}

std::string with(std::string text, char what, std::string_view instead) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += instead.size())
    text.replace(at, 1, instead);
  return text;
}

/// --name, and -c in front when the option has a letter, parted by `between`.
std::string spellings(const Option& option, std::string_view between) {
  std::string text;
  if (option.letter != 0) text = std::string("-") + option.letter + std::string(between);
  return text + "--" + std::string(option.name);
}

/// What shells complete a value with.
struct Actions {
  std::string bash;
  std::string zsh;
  std::string fish;
};

Actions actions_of(const Option& option) {
  switch (option.kind) {
    case ValueKind::path:
      return {option.value == "DIR" ? "_vrun_files -d" : "_vrun_files -f",
              option.value == "DIR" ? "_directories" : "_files",
              option.value == "DIR" ? "-x -a '(__fish_complete_directories)'" : "-r -F"};
    case ValueKind::memory:
      return {"_vrun_files -d", "_directories", "-x -a '(__fish_complete_directories)'"};
    case ValueKind::name:
      return {R"(mapfile -t COMPREPLY < <(compgen -e -- "$cur"))", R"(_parameters -g "*export*")", "-x -a '(set -nx)'"};
    case ValueKind::variable:
      return {R"(compopt -o nospace; mapfile -t COMPREPLY < <(compgen -e -S = -- "$cur"))",
              R"(_parameters -g "*export*" -q -S =)", "-x -a '(set -nx)='"};
    case ValueKind::limit:
      return {"COMPREPLY=()", " ", "-x"};
    case ValueKind::flag:
      return {"", "", "-f"};
    case ValueKind::choice:
    case ValueKind::opening:
    case ValueKind::layer:
    case ValueKind::word:
      break;
  }
  const std::string words = words_of(option);
  return {"mapfile -t COMPREPLY < <(compgen -W '" + words + "' -- \"$cur\")", "(" + words + ")",
          "-x -a '" + words + "'"};
}

}  // namespace

std::string bash_completion() {
  std::string with_value;
  std::string all;
  std::string actions;
  for (const Option& option : kOptions) {
    all += (all.empty() ? "" : " ") + spellings(option, " ");
    if (option.kind == ValueKind::flag) continue;
    with_value += (with_value.empty() ? "" : " | ") + spellings(option, " | ");
    actions += "    " + spellings(option, " | ") + ") " + actions_of(option).bash + " ;;\n";
  }
  return std::string("# Completion of vrun for bash; ") + kMade + R"(.

_vrun_files() {
  compopt -o filenames 2>/dev/null
  mapfile -t COMPREPLY < <(compgen "$1" -- "$cur")
}

# The command and its arguments, which begin at word $1.
_vrun_command() {
  if declare -F _command_offset >/dev/null; then
    _command_offset "$1"
  elif [ "$COMP_CWORD" = "$1" ]; then
    mapfile -t COMPREPLY < <(compgen -c -- "$cur")
  else
    _vrun_files -f
  fi
}

_vrun() {
  local cur=${COMP_WORDS[COMP_CWORD]} option='' environment='' i
  # --option=value are three words, for "=" breaks words in bash.
  for ((i = 1; i < COMP_CWORD; ++i)); do
    option=''
    case ${COMP_WORDS[i]} in
    --)
      _vrun_command $((i + 1))
      return
      ;;
    )" + with_value +
         R"()
      option=${COMP_WORDS[i]}
      [ "${COMP_WORDS[i + 1]}" != = ] || ((++i))
      ((++i))
      ;;
    -*) ;;
    *)
      if [ -n "$environment" ]; then
        _vrun_command "$i"
        return
      fi
      environment=${COMP_WORDS[i]}
      ;;
    esac
  done
  # Words are counted beyond this one when it is the value of an option.
  [ "$i" -gt "$COMP_CWORD" ] || option=''
  [ "$cur" != = ] || cur=''
  case $option in
)" + actions +
         R"(    *)
      case $cur in
      -*) mapfile -t COMPREPLY < <(compgen -W ')" +
         all + R"(' -- "$cur") ;;
      *)
        if [ -n "$environment" ]; then
          _vrun_command "$COMP_CWORD"
        else
          _vrun_files -d
        fi
        ;;
      esac
      ;;
  esac
}

complete -F _vrun vrun
)";
}

std::string zsh_completion() {
  std::string out = std::string("#compdef vrun\n# Completion of vrun for zsh; ") + kMade + R"(.

local -i end=${words[(i)--]}
if (( end < CURRENT )); then
  words=("${(@)words[end + 1, -1]}")
  (( CURRENT -= end ))
  _normal
  return
fi

_arguments -S \
)";
  for (const Option& option : kOptions) {
    std::string value;
    if (option.kind != ValueKind::flag)
      value = ":" + with(std::string(option.value), ':', "\\:") + ":" + actions_of(option).zsh;
    const std::string once = option.repeatable ? "*" : "";
    const std::string rest = "'[" + with(std::string(option.help), '\'', "'\\''") + "]" + value + "' \\\n";
    const std::string assign = option.kind == ValueKind::flag ? "" : "=";
    if (option.letter != 0) {
      const std::string letter = std::string("-") + option.letter;
      out += "  '(" + letter + " --" + std::string(option.name) + ")'{" + letter + ",--" + std::string(option.name) +
             assign + "}" + rest;
    } else {
      out += "  '" + once + "--" + std::string(option.name) + assign + rest.substr(1);
    }
  }
  return out + "  '1:environment:_directories' '*::command:_normal'\n";
}

std::string fish_completion() {
  std::string with_value;
  for (const Option& option : kOptions)
    if (option.kind != ValueKind::flag) with_value += " " + spellings(option, " ");
  std::string out = std::string("# Completion of vrun for fish; ") + kMade + R"(.

# The words before the cursor from the command on; fails while they are vrun's own.
function __vrun_command
    set -l words (commandline -opc)
    set -l environment
    set -l i 2
    while test $i -le (count $words)
        switch $words[$i]
            case --
                set -l rest $words[(math $i + 1)..]
                string join -- \n $rest
                return 0
            case)" + with_value +
                    R"(
                set i (math $i + 1)
            case '-*'
            case '*'
                if test -n "$environment"
                    string join -- \n $words[$i..]
                    return 0
                end
                set environment $words[$i]
        end
        set i (math $i + 1)
    end
    return 1
end

complete -c vrun -f
complete -c vrun -n '__vrun_command >/dev/null' -a '(complete -C (string join " " -- (string escape -- (__vrun_command)) (commandline -ct)))'
complete -c vrun -n 'not __vrun_command >/dev/null' -a '(__fish_complete_directories)'
)";
  for (const Option& option : kOptions) {
    out += "complete -c vrun -n 'not __vrun_command >/dev/null'";
    if (option.letter != 0) out += std::string(" -s ") + option.letter;
    out += " -l " + std::string(option.name) + " " + actions_of(option).fish + " -d '" +
           with(std::string(option.help), '\'', "\\'") + "'\n";
  }
  return out;
}

namespace {

std::string json_text(std::string_view text) { return "\"" + with(std::string(text), '"', "\\\"") + "\""; }

/// "a", "b" of words parted by spaces.
std::string json_words(const std::string& words) { return "\"" + with(words, ' ', "\", \"") + "\""; }

/// The schema of one value of an option.
std::string value_schema(const Option& option) {
  if (option.kind == ValueKind::flag) return R"("type": "boolean")";
  if (const std::string words = words_of(option); !words.empty())
    return R"("type": "string", "enum": [)" + json_words(words) + "]";
  const LimitDescription* limit = find_limit(option.name);
  if (limit != nullptr && (limit->unit == LimitUnit::count || limit->unit == LimitUnit::thousandths))
    return R"("type": ["integer", "string"])";
  return R"("type": "string")";
}

std::string property(const Option& option, bool is_ceiling) {
  std::string schema = value_schema(option);
  if (option.kind == ValueKind::variable && !is_ceiling)
    schema = R"("type": "object", "additionalProperties": {"type": "string"})";
  else if (option.repeatable)
    schema = R"("type": "array", "uniqueItems": true, "items": {)" + schema + "}";
  return "        " + json_text(option.name) + ": {" + schema + R"(, "description": )" + json_text(option.help) + "}";
}

std::string properties(bool is_ceiling) {
  std::string text;
  for (const Option& option : kOptions)
    if (option.is_policy() && !(is_ceiling && option.name == "ro-try"))
      text += (text.empty() ? "" : ",\n") + property(option, is_ceiling);
  return text;
}

}  // namespace

std::string json_schema() {
  return R"({
  "$schema": "http://json-schema.org/draft-07/schema#",
  "title": "Policy of vrun",
  "description": "vrun.toml, and the table [tool.vrun] of pyproject.toml",
  "definitions": {
    "policy": {
      "type": "object",
      "properties": {
        "extends": {"type": "string", "description": "a profile to begin with"},
)" + properties(false) +
         R"(
      }
    },
    "ceiling": {
      "type": "object",
      "additionalProperties": false,
      "properties": {
)" + properties(true) +
         R"(
      }
    }
  },
  "allOf": [{"$ref": "#/definitions/policy"}],
  "type": "object",
  "properties": {
    "version": {"type": "integer", "const": )" +
         std::to_string(kPolicyVersion) + R"(},
    "profile": {
      "type": "object",
      "additionalProperties": {"$ref": "#/definitions/policy"},
      "description": "policies that are chosen by name"
    },
    "ceiling": {"$ref": "#/definitions/ceiling", "description": "the most that any run gets; in /etc/vrun only"}
  }
}
)";
}

}  // namespace vrun
