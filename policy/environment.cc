#include "policy/environment.h"

#include <fcntl.h>

#include <algorithm>
#include <set>
#include <utility>

#include "policy/error.h"

namespace vrun {
namespace {

// CPython's getpath has 32 KiB for the file and 4 KiB for a line of it (Modules/getpath.c, getpath_readlines;
// before 3.11 MAXPATHLEN), site.py has no limit: what is larger is not the same file to both.
constexpr std::size_t kLargestForCPython = 32 * 1024;
constexpr std::size_t kLongestLine = 4095;

/// Length of the UTF-8 sequence at the start of `text`, as Python's strict decoder accepts it; 0 when it does not.
std::size_t sequence_length(std::string_view text, char32_t& code_point) {
  const auto byte = [&](std::size_t i) -> unsigned { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  std::size_t length = 1;
  char32_t smallest = 0;
  if (lead < 0x80) {
    code_point = lead;
    return 1;
  }
  if ((lead & 0xE0U) == 0xC0) {
    length = 2, smallest = 0x80, code_point = lead & 0x1FU;
  } else if ((lead & 0xF0U) == 0xE0) {
    length = 3, smallest = 0x800, code_point = lead & 0x0FU;
  } else if ((lead & 0xF8U) == 0xF0) {
    length = 4, smallest = 0x10000, code_point = lead & 0x07U;
  } else {
    return 0;
  }
  if (text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0U) != 0x80) return 0;
    code_point = (code_point << 6U) | (byte(i) & 0x3FU);
  }
  const bool surrogate = code_point >= 0xD800 && code_point <= 0xDFFF;
  return code_point < smallest || code_point > 0x10FFFF || surrogate ? 0 : length;
}

/// White space that str.strip() removes, other than space, tab and the ends of lines. Before 3.11 getpath was C code
/// that knew nothing of it.
bool is_unusual_space(char32_t c) {
  return c == 0x0B || c == 0x0C || (c >= 0x1C && c <= 0x1F) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool is_blank(char c) { return c == ' ' || c == '\t'; }

std::string_view strip(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

/// Whether str.strip() would remove something from `text`, which is valid UTF-8 and has no blanks at its ends.
bool has_unusual_edge(std::string_view text) {
  char32_t first = 0;
  char32_t last = 0;
  bool any = false;
  while (!text.empty()) {
    char32_t code_point = 0;
    const std::size_t length = sequence_length(text, code_point);
    if (!std::exchange(any, true)) first = code_point;
    last = code_point;
    text.remove_prefix(length);
  }
  return any && (is_unusual_space(first) || is_unusual_space(last));
}

/// Refuses one line of a file. `reason` says what is wrong with it.
class Refusal {
 public:
  explicit Refusal(std::string_view path) : path_(path) {}
  [[noreturn]] void operator()(std::size_t line, const std::string& reason) const {
    throw Error(quote(path_) + ", line " + std::to_string(line) + ": " + reason)
        .hint("correct the line, or make the environment again with vbuild");
  }

 private:
  std::string_view path_;
};

void check_characters(std::string_view text, const Refusal& refuse) {
  std::size_t line = 1;
  if (text.substr(0, 3) == "\xEF\xBB\xBF") refuse(line, "a byte order mark");
  while (!text.empty()) {
    const char c = text.front();
    if (c == '\0') refuse(line, "a NUL byte");
    if (c == '\r' && (text.size() == 1 || text[1] != '\n'))
      refuse(line, "a lone carriage return, which ends a line for only a part of CPython");
    if (c == '\n') ++line;
    char32_t code_point = 0;
    const std::size_t length = sequence_length(text, code_point);
    if (length == 0) refuse(line, "text that is not UTF-8");
    text.remove_prefix(length);
  }
}

/// "'My env'" as venv writes it, "\"My env\"" as virtualenv does, and bare as uv does, without the quotes.
std::string unquote(std::string_view text) {
  if (text.size() >= 2 && text.front() == text.back() && (text.front() == '\'' || text.front() == '"'))
    text = text.substr(1, text.size() - 2);
  return std::string(text);
}

Environment refuse_directory(const Root& root, std::string_view path, const std::string& real_path) {
  if (root.is_directory(join(real_path, "conda-meta")))
    throw Error(quote(path) + " is a conda environment, which has no pyvenv.cfg")
        .hint("make a virtual environment from its Python with: vbuild --python " + quote(join(path, "bin/python")) +
              " DIR");
  throw Error(quote(path) + " is not a virtual environment: it has no pyvenv.cfg")
      .hint("create one with: vbuild " + quote(path));
}

Resolved find_directory(const Root& root, std::string_view path) {
  if (path == "/") throw Error("'/' cannot be a virtual environment");
  if (!root.lstat(path))
    throw Error("there is no virtual environment " + quote(path)).hint("create it with: vbuild " + quote(path));
  if (!root.stat(path))
    throw Error(quote(path) + " is a symbolic link to " + quote(root.read_link(path).value_or("")) +
                ", which does not exist");
  Resolved resolved = root.resolve(path);
  if (!S_ISDIR(resolved.status.st_mode)) throw Error(quote(path) + " is not a directory, so no virtual environment");
  if (resolved.path == "/") throw Error(quote(path) + " is '/', which cannot be a virtual environment");
  return resolved;
}

PyvenvConfig read_config(const Root& root, std::string_view path, const std::string& real_path) {
  const std::string file = join(real_path, "pyvenv.cfg");
  const auto status = root.lstat(file);
  if (!status) refuse_directory(root, path, real_path);
  // In the view the link may lead nowhere, and then Python takes the base interpreter's packages for its own.
  if (S_ISLNK(status->st_mode)) throw Error(quote(file) + " is a symbolic link, and must be a file");
  const auto text = root.read_file(file, kMaximumConfigSize);
  if (!text) refuse_directory(root, path, real_path);
  // site.py reads this one and getpath the one above it (Lib/site.py, venv; Modules/getpath.py, "READ pyvenv.cfg").
  const std::string second = join(real_path, "bin/pyvenv.cfg");
  if (root.lstat(second))
    throw Error(quote(second) + " is a second pyvenv.cfg, and Python's parts do not agree which one counts")
        .hint("remove it");
  PyvenvConfig config = parse_pyvenv_config(*text, file);
  if (!config.home)
    throw Error(quote(file) + " has no key 'home', so only some versions of Python take it for an environment")
        .hint("repair it with: vbuild --upgrade " + quote(path));
  if (config.home->front() != '/')
    throw Error(quote(file) + ": home is not an absolute path: " + quote(*config.home))
        .hint("repair it with: vbuild --upgrade " + quote(path));
  return config;
}

std::string find_python(const Root& root, std::string_view path, const std::string& real_path) {
  const std::string repair = "repair it with: vbuild --upgrade " + quote(path);
  for (const char* const name : {"bin/python", "bin/python3"}) {
    const std::string python = join(real_path, name);
    const auto entry = root.lstat(python);
    if (!entry) continue;
    if (!S_ISLNK(entry->st_mode)) return python;
    if (!root.stat(python))
      throw Error("the interpreter that " + quote(path) + " was made from is gone: " + quote(python) +
                  " is a link that leads nowhere")
          .hint(repair);
    return python;
  }
  throw Error("the environment " + quote(path) + " has no bin/python").hint(repair);
}

/// Whether the way from bin/python to the base interpreter goes through the directory `home`, as it does in every
/// environment that a builder made: the two are read by different parts of Python, and whoever changes one of them
/// could otherwise have one Python shown and another one's library used.
bool agrees_with_home(const Root& root, const Environment& environment, const std::string& home,
                      std::vector<Link>& links) {
  if (is_within(home, environment.real_path) || is_within(home, environment.path)) return false;
  if (parent_path(environment.base.executable) == home || parent_path(environment.base.real_executable) == home)
    return true;
  for (const Link& link : environment.links)
    if (parent_path(link.path) == home && !is_within(link.path, environment.real_path)) return true;
  const auto status = root.stat(home);
  if (!status) return false;
  Resolved resolved = root.resolve(home);
  if (is_within(resolved.path, environment.real_path)) return false;
  for (const std::string& name : {base_name(environment.base.executable), base_name(environment.python),
                                  std::string("python3"), environment.base.library_name()}) {
    const auto candidate = root.stat(join(resolved.path, name));
    if (candidate && FileIdentity{candidate->st_dev, candidate->st_ino} == environment.base.identity) {
      links = std::move(resolved.links);
      return true;
    }
  }
  return false;
}

void check_agreement(const Root& root, Environment& environment) {
  const std::string repair = "repair it with: vbuild --upgrade " + quote(environment.path);
  const std::string home = absolute_path(*environment.config.home, "/");
  std::vector<Link> links;
  if (!agrees_with_home(root, environment, home, links)) {
    const std::string python = quote(environment.python) + " leads to " + quote(environment.base.real_executable);
    if (!root.is_directory(home))
      throw Error("the interpreter that " + quote(environment.path) + " was made from is gone: there is no directory " +
                  quote(home) + ", which pyvenv.cfg gives as home")
          .hint(repair);
    throw Error(python + ", but pyvenv.cfg says that the interpreter is in " + quote(home)).hint(repair);
  }
  environment.links.insert(environment.links.end(), links.begin(), links.end());

  const std::string library = environment.base.library_name();
  if (!root.is_directory(join(environment.real_path, "lib/" + library)))
    throw Error("the environment " + quote(environment.path) + " was made for another Python than the " + library +
                " that it leads to now: it has no lib/" + library)
        .hint(repair);
}

}  // namespace

PyvenvConfig parse_pyvenv_config(std::string_view text, std::string_view path) {
  const Refusal refuse(path);
  if (text.size() >= kLargestForCPython)
    throw Error(quote(path) + " has " + std::to_string(text.size()) +
                " bytes, and CPython reads no more than 32 KiB of it");
  check_characters(text, refuse);
  PyvenvConfig config;
  std::optional<std::string> version_info;
  std::set<std::string, std::less<>> seen;
  for (std::size_t number = 1; !text.empty(); ++number) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (line.size() > kLongestLine) refuse(number, "longer than the 4095 bytes that CPython reads of a line");
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view written = line.substr(0, equals);
    const std::string_view value = strip(line.substr(equals + 1));
    const std::string key = lower(strip(written));
    // str.lower() folds more than ASCII: with U+212A for a "k" a key may look like another one.
    if (std::any_of(key.begin(), key.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; }))
      refuse(number, "a key that is not ASCII");
    if (has_unusual_edge(key) || has_unusual_edge(value))
      refuse(number, "white space that only some versions of CPython strip");
    if (!seen.insert(key).second)
      refuse(number,
             "the key " + quote(key) + " for the second time, and CPython's parts do not agree which one counts");

    if (key == "home") {
      // Before 3.11: wcstok(line, " \t\r\n") must be "home", the next token "=", and the rest of the line is the value.
      const bool old_form = strip(written) == key && !written.empty() && is_blank(written.back()) &&
                            line.size() > equals + 1 && is_blank(line[equals + 1]) && line.substr(equals + 2) == value;
      if (value.empty()) refuse(number, "no value for 'home'");
      if (!old_form)
        refuse(number, "not in the form 'home = DIRECTORY', which is all that CPython 3.10 and older read");
      config.home = value;
    } else if (key == "include-system-site-packages") {
      config.include_system_site_packages = lower(value) == "true";
    } else if (key == "version") {
      config.version = value;
    } else if (key == "version_info") {
      version_info = value;
    } else if (key == "prompt") {
      config.prompt = unquote(value);
    } else if (key == "base-executable") {
      config.base_executable = value;
    } else if (key == "executable") {
      config.executable = value;
    }
  }
  if (!config.version) config.version = version_info;
  return config;
}

Environment read_environment(const Root& root, std::string_view path) {
  Environment environment;
  environment.path = absolute_path(path, "/");
  Resolved directory = find_directory(root, environment.path);
  environment.identity = directory.identity();
  environment.real_path = std::move(directory.path);
  environment.links = std::move(directory.links);
  environment.config = read_config(root, environment.path, environment.real_path);
  environment.python = find_python(root, environment.path, environment.real_path);
  environment.base = read_interpreter(root, environment.python, BuildConfiguration::skip);
  for (const Link& link : environment.base.links)
    if (std::find(environment.links.begin(), environment.links.end(), link) == environment.links.end())
      environment.links.push_back(link);
  check_agreement(root, environment);
  return environment;
}

bool is_conda_environment(const Root& root, std::string_view path) {
  return root.is_directory(join(path, "conda-meta")) && !root.open(join(path, "pyvenv.cfg"), O_PATH).valid();
}

Environment read_conda_environment(const Root& root, std::string_view path) {
  Environment environment;
  environment.kind = EnvironmentKind::conda;
  environment.path = absolute_path(path, "/");
  Resolved directory = find_directory(root, environment.path);
  environment.identity = directory.identity();
  environment.real_path = std::move(directory.path);
  environment.links = std::move(directory.links);
  environment.config.include_system_site_packages = false;
  if (!root.lstat(join(environment.real_path, "bin/python")))
    throw Error("the conda environment " + quote(path) + " has no bin/python")
        .hint("install one into it: conda install -p " + quote(path) + " python");
  environment.python = join(environment.real_path, "bin/python");
  environment.base = read_interpreter(root, environment.python, BuildConfiguration::skip);
  const Interpreter& base = environment.base;
  if (!is_within(base.real_executable, environment.real_path) ||
      root.resolve(base.prefix).path != environment.real_path)
    throw Error("the Python of the conda environment " + quote(path) + " is not in it: " + quote(base.real_executable));
  for (const Link& link : base.links)
    if (std::find(environment.links.begin(), environment.links.end(), link) == environment.links.end())
      environment.links.push_back(link);
  return environment;
}

bool is_environment(const Root& root, std::string_view path) {
  // Whatever cannot be looked at is not one: an unreadable directory cannot be shown either.
  const Fd config = root.open(join(path, "pyvenv.cfg"), O_PATH);
  struct stat status {};
  return config.valid() && ::fstat(config.get(), &status) == 0 && S_ISREG(status.st_mode);
}

}  // namespace vrun
