#include "builder/options.h"

#include <algorithm>
#include <boost/program_options/cmdline.hpp>
#include <boost/program_options/errors.hpp>
#include <boost/program_options/options_description.hpp>
#include <boost/program_options/parsers.hpp>
#include <boost/program_options/positional_options.hpp>
#include <boost/program_options/value_semantic.hpp>

#include "builder/text.h"
#include "policy/error.h"

namespace po = boost::program_options;

namespace vrun::builder {
namespace {

constexpr const char* kHelp =
    "usage: vbuild [options] ENV_DIR [ENV_DIR ...]\n"
    "Makes virtual environments as python3 -m venv does, without starting Python.\n"
    "\n"
    "  --without-pip             no pip in the environment\n"
    "  --system-site-packages    the packages of the system are visible in it\n"
    "  --python SPEC             a path, 3.12, '>=3.10' (default: PATH's python3)\n"
    "  --prompt PROMPT           text of the prompt; . for the current directory\n"
    "  --install WHEEL           install this file, and nothing that it needs\n"
    "  --clear                   empty ENV_DIR first; --force: whatever is in it\n"
    "  --upgrade                 make ENV_DIR fit this Python again\n"
    "  --upgrade-deps            get the newest pip from the index (run by vrun)\n"
    "  -r, --requirement FILE    install what FILE lists (pip run by vrun)\n"
    "  --symlinks | --copies     link the interpreter (default), or copy it\n"
    "  --seed SPEC               begin with SPEC, too (pip==24.2); none: no other\n"
    "  --wheel-dir DIR           take wheels from DIR first (or $VBUILD_WHEEL_DIR)\n"
    "  --compile auto|now|no     pip's bytecode: from the cache, made, or none\n"
    "  --without-scm-ignore-files  no .gitignore in the environment\n"
    "  -v, --verbose             say what was done and how long it took\n"
    "  --inspect                 only say what is known of ENV_DIR; changes nothing\n"
    "  --doctor                  only say what is wrong with it; --fix: and mend it\n"
    "  --json                    say it, or what was done, as JSON\n"
    "  -h, --help | --version    this text, or the version of vbuild\n"
    "\n"
    "Use one: . ENV_DIR/bin/activate    isolated: vrun ENV_DIR -- COMMAND\n";

/// Safe to print; the quotation marks are Boost's own.
std::string reason(const po::error& error) { return replace_all(escape(error.what()), "\\'", "'"); }

po::options_description describe() {
  po::options_description options;
  auto add = options.add_options();
  for (const char* const flag :
       {"help,h", "version", "system-site-packages", "symlinks", "copies", "clear", "force", "upgrade", "without-pip",
        "upgrade-deps", "without-scm-ignore-files", "verbose,v", "inspect", "doctor", "fix", "json"})
    add(flag, new po::untyped_value(true));  // owned by the description
  for (const char* const valued : {"prompt", "python", "wheel-dir", "requirement,r", "compile", "seed", "install"})
    add(valued, new po::untyped_value(false));
  add("ENV_DIR", new po::untyped_value(false));
  return options;
}

/// Boost takes "--prompt=" for a mistake; to argparse it is an empty prompt.
std::vector<std::string> split_empty_values(const std::vector<std::string>& arguments) {
  std::vector<std::string> out;
  bool options = true;
  for (const std::string& argument : arguments) {
    if (argument == "--") options = false;
    const bool empty_value = options && argument.size() > 4 && argument.back() == '=' &&
                             std::string_view("--prompt=").starts_with(argument.substr(0, argument.size() - 1));
    out.push_back(empty_value ? argument.substr(0, argument.size() - 1) : argument);
    if (empty_value) out.emplace_back();
  }
  return out;
}

/// One value of --seed; gives what is wrong with it, empty when nothing is.
std::string add_seed(BuildRequest& request, const std::string& value) {
  if (value == "none") {
    request.default_seeds = false;
    return {};
  }
  const auto seed = parse_seed(value);
  if (!seed) return "--seed is a name, a name with versions such as pip==24.2, or none, not " + quote(value);
  for (const Seed& other : request.seeds)
    if (other.project == seed->project) return "--seed names " + seed->project + " twice";
  request.seeds.push_back(*seed);
  return {};
}

}  // namespace

const char* const kUsage = "usage: vbuild [options] ENV_DIR [ENV_DIR ...]\n";

std::variant<BuildRequest, InspectRequest, DoctorRequest, Information, UsageError> parse_options(
    const std::vector<std::string>& arguments) {
  BuildRequest request;
  bool links_asked = false;
  bool version = false;
  bool inspect = false;
  bool doctor = false;
  bool fix = false;
  bool without_pip = false;
  std::string build_option;  // the first one that says how to build
  try {
    const po::options_description description = describe();
    po::positional_options_description positional;
    positional.add("ENV_DIR", -1);
    const std::vector<std::string> words = split_empty_values(arguments);
    using po::command_line_style::style_t;
    const int style = style_t::allow_long | style_t::allow_short | style_t::long_allow_adjacent |
                      style_t::long_allow_next | style_t::short_allow_next | style_t::allow_dash_for_short |
                      style_t::allow_sticky | style_t::allow_guessing;
    const po::parsed_options parsed =
        po::command_line_parser(words).options(description).positional(positional).style(style).run();
    for (const po::option& option : parsed.options) {
      const std::string& name = option.string_key;
      const std::string value = option.value.empty() ? "" : option.value.front();
      if (name == "help") return Information{kHelp};
      if (name == "version") version = true;
      if (name == "system-site-packages") request.system_site_packages = true;
      if (name == "symlinks") links_asked = true;
      if (name == "copies") request.programs = Programs::copies;
      if (name == "clear") request.clear = true;
      if (name == "force") request.force = true;
      if (name == "upgrade") request.upgrade = true;
      if (name == "without-pip") without_pip = true;
      if (name == "upgrade-deps") request.upgrade_deps = true;
      if (name == "without-scm-ignore-files") request.scm_ignore_files = false;
      if (name == "verbose") request.verbose = true;
      if (name == "inspect") inspect = true;
      if (name == "doctor") doctor = true;
      if (name == "fix") fix = true;
      if (name == "json") request.json = true;
      const bool for_all =
          name == "ENV_DIR" || name == "json" || name == "inspect" || name == "doctor" || name == "fix";
      if (!for_all && build_option.empty()) build_option = name;
      if (name == "prompt") request.prompt = value;
      if (name == "python") request.python = value;
      if (name == "wheel-dir") request.wheel_directory = value;
      if (name == "ENV_DIR") request.directories.push_back(value);
      if (name == "compile") {
        if (value != "auto" && value != "now" && value != "no")
          return UsageError{"--compile is auto, now or no, not " + quote(value)};
        request.compile = value == "now" ? Compile::now : value == "no" ? Compile::no : Compile::automatic;
      }
      if (name == "requirement") request.requirements.push_back(value);
      if (name == "seed") {
        if (const std::string fault = add_seed(request, value); !fault.empty()) return UsageError{fault};
      }
      if (name == "install") request.wheels.push_back(value);
      if ((name == "python" || name == "wheel-dir" || name == "requirement" || name == "install") && value.empty())
        return UsageError{"option --" + name + " needs a value"};
    }
  } catch (const po::error& error) {
    return UsageError{reason(error)};
  }
  if (version) return Information{"vbuild " VRUN_VERSION "\n"};
  request.programs_given = links_asked || request.programs == Programs::copies;
  if (links_asked && request.programs == Programs::copies)
    return UsageError{"--symlinks and --copies cannot be given together"};
  if (request.upgrade && request.clear) return UsageError{"--upgrade and --clear cannot be given together"};
  if (request.force && !request.clear) return UsageError{"--force says how to --clear, which is not given"};
  if (without_pip && (!request.seeds.empty() || !request.default_seeds))
    return UsageError{"--without-pip and --seed cannot be given together; --seed none leaves out what venv installs"};
  if (without_pip) request.default_seeds = false;
  const bool asks_for_pip =
      std::any_of(request.seeds.begin(), request.seeds.end(), [](const Seed& seed) { return seed.project == "pip"; });
  request.with_pip = request.default_seeds || asks_for_pip;
  if (!request.requirements.empty() && !request.with_pip)
    return UsageError{"-r is for pip to install, which " + std::string(without_pip ? "--without-pip" : "--seed none") +
                      " leaves out"};
  if (request.directories.empty()) return UsageError{"say where: ENV_DIR is missing"};
  if (inspect && doctor) return UsageError{"--inspect and --doctor cannot be given together"};
  if (fix && !doctor) return UsageError{"--fix belongs to --doctor, which is not given"};
  if (!inspect && !doctor) return request;
  const std::string mode = inspect ? "--inspect" : "--doctor";
  if (!build_option.empty())
    return UsageError{"--" + build_option + " says how to build, and " + mode + " builds nothing"};
  if (request.directories.size() > 1) return UsageError{mode + " looks at one environment, and several are given"};
  if (inspect) return InspectRequest{request.directories.front(), request.json};
  return DoctorRequest{request.directories.front(), fix, request.json};
}

}  // namespace vrun::builder
