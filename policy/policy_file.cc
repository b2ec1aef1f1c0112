#include "policy/policy_file.h"

#include <algorithm>
#include <array>
#include <utility>

#include "policy/error.h"
#include "policy/host/root.h"
#include "policy/limits.h"
#include "policy/nearest.h"

// The library is used nowhere else, and reports what is wrong as a value. Its assertions are about what it refuses a
// moment later anyway; in a build without assertions they would be assumptions of the compiler's.
#undef NDEBUG
#define TOML_ASSERT(condition) static_assert(true)
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

namespace vrun {
namespace {

/// Keys below keys, such as a.b.c, nest tables as deep as there are dots, and some versions of the library take them
/// apart by recursion: a line of a hundred thousand dots would end the program.
constexpr std::size_t kMaximumDots = 64;

std::string location(const FileContext& context, std::size_t line, std::size_t column) {
  return escape(context.path) + ":" + std::to_string(line) + ":" + std::to_string(column);
}

/// Throws Error when a dotted key has too many parts. Knows of TOML what is needed to tell dots in keys from others:
/// strings of four kinds, and comments. Floating point numbers have one dot.
void check_dots(std::string_view text, const FileContext& context) {
  std::size_t line = 1;
  std::size_t dots = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\n') ++line;
    if (c == '.' && ++dots > kMaximumDots)
      throw Error(location(context, line, 1) + ": a key with more than " + std::to_string(kMaximumDots) + " parts");
    if (c == '\n' || c == '=' || c == ',' || c == '{' || c == '[') dots = 0;
    if (c == '#') {
      i = std::min(text.find('\n', i), text.size()) - 1;
    } else if (c == '"' || c == '\'') {
      const std::string three(3, c);
      const std::string_view end = text.substr(i, 3) == three ? std::string_view(three) : text.substr(i, 1);
      for (i += end.size(); i < text.size() && text.substr(i, end.size()) != end; ++i) {
        if (text[i] == '\\' && c == '"') ++i;
        if (i < text.size() && text[i] == '\n') {
          ++line;
          if (end.size() == 1) break;  // not TOML, as the library will say
        }
      }
      i += end.size() - 1;
    }
  }
}

std::string_view type_name(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "an array";
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a number";
    case toml::node_type::boolean:
      return "true or false";
    case toml::node_type::date:
    case toml::node_type::time:
    case toml::node_type::date_time:
      return "a date or time";
    case toml::node_type::none:
      break;
  }
  return "nothing";
}

/// Which keys a table may have beside those of the options.
enum class Where { top, profile };

class Reader {
 public:
  explicit Reader(const FileContext& context) : context_(context) {}

  PolicyFile read(const toml::table& table) {
    PolicyFile file;
    for (const auto& [key, node] : table) {
      if (key.str() == "version") {
        check_version(node);
      } else if (key.str() == "profile") {
        for (const auto& [name, profile] : as_table(node, "profile"))
          file.profiles.push_back(read_profile(name, profile));
      } else if (key.str() == "ceiling") {
        if (context_.source != Source::administrator)
          refuse(key.source(), "a ceiling counts in the administrator's files only, /etc/vrun/*.toml");
        for (const auto& [name, value] : as_table(node, "ceiling")) file.ceilings.push_back(read_ceiling(name, value));
      } else if (key.str() == "extends") {
        file.extends = read_extends(node);
      } else {
        read_option(key, node, Where::top, file.settings);
      }
    }
    check_together(file.settings);
    return file;
  }

 private:
  [[noreturn]] void refuse(const toml::source_region& at, const std::string& what) const {
    throw Error(where(at) + ": " + what);
  }
  std::string where(const toml::source_region& at) const { return location(context_, at.begin.line, at.begin.column); }
  Origin origin(const toml::source_region& at) const { return {context_.source, where(at)}; }

  const toml::table& as_table(const toml::node& node, std::string_view name) const {
    const toml::table* table = node.as_table();
    if (table == nullptr) refuse(node.source(), std::string(name) + " is a table, not " + std::string(type_name(node)));
    return *table;
  }

  std::string as_string(const toml::node& node, const std::string& name) const {
    const toml::value<std::string>* text = node.as_string();
    if (text == nullptr) refuse(node.source(), name + " wants a string, not " + std::string(type_name(node)));
    return text->get();
  }

  /// A value that is no list; numbers of things may be written as such.
  std::string as_text(const Option& option, const toml::node& node) const {
    const LimitDescription* limit = find_limit(option.name);
    const bool counts = limit != nullptr && (limit->unit == LimitUnit::count || limit->unit == LimitUnit::thousandths);
    if (const auto* number = node.as_integer(); counts && number != nullptr) return std::to_string(number->get());
    return as_string(node, std::string(option.name));
  }

  void check_version(const toml::node& node) const {
    const toml::value<std::int64_t>* number = node.as_integer();
    if (number == nullptr || number->get() < 1)
      refuse(node.source(), "version is the number of the format, " + std::to_string(kPolicyVersion));
    if (number->get() > kPolicyVersion)
      refuse(node.source(), "needs a newer vrun: the file is of version " + std::to_string(number->get()) +
                                ", and this vrun, " VRUN_VERSION ", knows " + std::to_string(kPolicyVersion));
  }

  ProfileName read_extends(const toml::node& node) const { return {as_string(node, "extends"), origin(node.source())}; }

  Profile read_profile(const toml::key& name, const toml::node& node) const {
    constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz0123456789-_";
    const std::string text(name.str());
    if (text.empty() || text.find_first_not_of(kLetters) != std::string::npos)
      refuse(name.source(), "the name of a profile has small letters, digits, '-' and '_', unlike " + quote(text));
    Profile profile{text, std::nullopt, {}, origin(name.source())};
    for (const auto& [key, value] : as_table(node, "a profile")) {
      if (key.str() == "extends")
        profile.extends = read_extends(value);
      else
        read_option(key, value, Where::profile, profile.settings);
    }
    check_together(profile.settings);
    return profile;
  }

  const Option& find_key(const toml::key& key, Where place) const {
    const Option* option = find_option(key.str());
    if (option != nullptr && option->is_policy()) return *option;
    const std::string name(key.str());
    if (option != nullptr) refuse(key.source(), quote(name) + " is an option of the command line, and no key");
    std::vector<std::string_view> known = {"extends"};
    if (place == Where::top) known.insert(known.end(), {"version", "profile", "ceiling"});
    for (const Option& one : kOptions)
      if (one.is_policy()) known.push_back(one.name);
    throw Error(where(key.source()) + ": there is no key " + quote(name))
        .hint("the nearest is " + quote(nearest(name, known)));
  }

  std::string check(const Option& option, const toml::source_region& at, const std::string& text) const {
    return check_value(option, text,
                       {where(at) + ": " + std::string(option.name), context_.project, context_.home, true});
  }

  void read_option(const toml::key& key, const toml::node& node, Where place, Settings& settings) const {
    const Option& option = find_key(key, place);
    const std::string name(option.name);
    const auto add = [&](const toml::node& at, const std::string& text) {
      const Setting setting{&option, check(option, at.source(), text), origin(at.source())};
      for (const Setting& old : settings)
        if (old.option == &option && old.value == setting.value)
          refuse(at.source(), name + " has " + quote(text) + " twice");
      settings.push_back(setting);
    };
    if (option.kind == ValueKind::flag) {
      const toml::value<bool>* flag = node.as_boolean();
      if (flag == nullptr) refuse(node.source(), name + " is true or false, not " + std::string(type_name(node)));
      settings.push_back({&option, flag->get() ? "true" : "false", origin(key.source())});
    } else if (option.kind == ValueKind::variable) {
      const toml::table* table = node.as_table();
      if (table == nullptr)
        refuse(node.source(),
               name + " wants a table such as { NAME = \"value\" }, not " + std::string(type_name(node)));
      for (const auto& [variable, value] : *table)
        add(value, std::string(variable.str()) + "=" + as_string(value, name));
    } else if (option.repeatable) {
      const toml::array* array = node.as_array();
      if (array == nullptr)
        refuse(node.source(), name + " wants an array of strings, not " + std::string(type_name(node)));
      for (const toml::node& value : *array) add(value, as_string(value, name));
    } else {
      settings.push_back({&option, check(option, node.source(), as_text(option, node)), origin(key.source())});
    }
  }

  /// A ceiling is written as the option is, but the values of lists are what may be in them: names of variables, and
  /// directories.
  Ceiling read_ceiling(const toml::key& key, const toml::node& node) const {
    const Option& option = find_key(key, Where::profile);
    if (option.name == "ro-try") refuse(key.source(), "the ceiling of ro holds for ro-try too");
    Ceiling ceiling{&option, {}, origin(key.source())};
    const bool is_path = option.kind == ValueKind::path || option.kind == ValueKind::memory;
    const auto add = [&](const toml::node& at, const std::string& text) {
      if (option.kind == ValueKind::variable) {
        if (text.empty() || text.find('=') != std::string::npos)
          refuse(at.source(), "the ceiling of " + std::string(option.name) + " has names of variables");
        ceiling.values.push_back(text);
      } else if (is_path) {
        if (!text.starts_with('/'))
          refuse(at.source(), "a ceiling wants absolute paths of directories, not " + quote(text));
        ceiling.values.push_back(absolute_path(text, "/"));
      } else {
        ceiling.values.push_back(check(option, at.source(), text));
      }
    };
    if (option.repeatable) {
      const toml::array* array = node.as_array();
      if (array == nullptr)
        refuse(node.source(),
               std::string(option.name) + " wants an array of strings, not " + std::string(type_name(node)));
      for (const toml::node& value : *array) add(value, as_string(value, std::string(option.name)));
    } else if (option.kind == ValueKind::flag) {
      const toml::value<bool>* flag = node.as_boolean();
      if (flag == nullptr)
        refuse(node.source(), std::string(option.name) + " is true or false, not " + std::string(type_name(node)));
      ceiling.values.emplace_back(flag->get() ? "true" : "false");
    } else {
      add(node, as_text(option, node));
    }
    return ceiling;
  }

  /// One table that says two things about one path, or has a project and none.
  void check_together(const Settings& settings) const {
    for (const Setting& one : settings) {
      for (const Setting& other : settings) {
        if (one.option >= other.option) continue;
        const auto path = [](const Setting& setting) {
          return setting.option->kind == ValueKind::memory ? memory_directory(setting.value) : setting.value;
        };
        const auto names = [](const Setting& setting) {
          return setting.option->repeatable &&
                 (setting.option->kind == ValueKind::path || setting.option->kind == ValueKind::memory);
        };
        if (names(one) && names(other) && path(one) == path(other))
          throw Error(other.origin.text + ": both " + std::string(one.option->name) + " and " +
                      std::string(other.option->name) + " name " + quote(path(one)));
        if (one.option->name == "project" && other.option->name == "no-project" && other.value == "true")
          throw Error(other.origin.text + ": both a project and none");
      }
    }
  }

  const FileContext& context_;
};

toml::table parse(std::string_view text, const FileContext& context) {
  // The format has no byte order mark, and an empty file may be what is left of a full disk.
  if (text.starts_with("\xEF\xBB\xBF"))
    throw Error(location(context, 1, 1) + ": a byte order mark, which TOML has not");
  if (text.empty())
    throw Error(location(context, 1, 1) + ": the file is empty").hint("remove it, or say what it is for");
  check_dots(text, context);
  toml::parse_result result = toml::parse(text);
  if (!result) {
    const toml::parse_error& error = result.error();
    const toml::source_position& at = error.source().begin;
    throw Error(location(context, at.line, at.column) + ": " + escape(error.description()));
  }
  return std::move(result).table();
}

}  // namespace

PolicyFile parse_policy_file(std::string_view text, const FileContext& context) {
  return Reader(context).read(parse(text, context));
}

PolicyFile parse_pyproject(std::string_view text, const FileContext& context) {
  if (text.find("vrun") == std::string_view::npos) return {};
  const toml::table table = parse(text, context);
  const toml::node* tool = table.get("tool");
  const toml::table* tools = tool == nullptr ? nullptr : tool->as_table();
  const toml::node* own = tools == nullptr ? nullptr : tools->get("vrun");
  if (own == nullptr) return {};
  const toml::table* vrun = own->as_table();
  if (vrun == nullptr)
    throw Error(location(context, own->source().begin.line, own->source().begin.column) + ": tool.vrun is a table");
  return Reader(context).read(*vrun);
}

}  // namespace vrun
