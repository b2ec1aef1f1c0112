#include "builder/pip_settings.h"

#include <algorithm>
#include <array>
#include <cerrno>

#include "policy/error.h"
#include "policy/host/user_directories.h"
#include "policy/project.h"

namespace vrun::builder {
namespace {

/// Where packages come from, how the way there is secured, and which are taken. PIP_TARGET, PIP_PREFIX, PIP_USER,
/// PIP_LOG and the like would have pip write elsewhere and are left out.
constexpr std::array<const char*, 29> kKept = {
    "PIP_INDEX_URL",      "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX",  "PIP_FIND_LINKS",
    "PIP_TRUSTED_HOST",   "PIP_PROXY",           "PIP_CERT",      "PIP_CLIENT_CERT",
    "PIP_TIMEOUT",        "PIP_DEFAULT_TIMEOUT", "PIP_RETRIES",   "PIP_CONSTRAINT",
    "PIP_REQUIRE_HASHES", "PIP_ONLY_BINARY",     "PIP_NO_BINARY", "PIP_PRE",
    "PIP_PREFER_BINARY",  "PIP_NO_DEPS",         "HTTP_PROXY",    "HTTPS_PROXY",
    "NO_PROXY",           "ALL_PROXY",           "http_proxy",    "https_proxy",
    "no_proxy",           "all_proxy",           "SSL_CERT_FILE", "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE"};

/// Those of them that name files or directories, several with blanks between.
constexpr std::array<const char*, 7> kPaths = {"PIP_FIND_LINKS", "PIP_CERT",     "PIP_CLIENT_CERT",   "PIP_CONSTRAINT",
                                               "SSL_CERT_FILE",  "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"};

class Reader {
 public:
  Reader(const Root& root, std::string (*variable)(const char*)) : root_(root), variable_(variable) {
    if (const std::string home = variable("HOME"); home.starts_with('/')) home_ = absolute_path(home, "/");
  }

  void add_requirements(const std::string& path) {
    const Resolved real = resolve(path);
    if (!S_ISREG(real.status.st_mode)) throw Error("cannot read the requirements: no regular file:", path);
    settings_.requirements.push_back(path);
    // The file may name others beside it, but not everything that a home directory or /tmp holds.
    const std::string directory = parent_path(path);
    const std::string real_directory = root_.resolve(directory).path;
    const bool whole = !holds_more_than_a_project(real_directory, home_);
    show(whole ? directory : path);
    if (whole && parent_path(real.path) != real_directory) show(real.path);
    if (settings_.directory.empty() && whole) settings_.directory = directory;
  }

  void add_variables() {
    for (const char* const name : kKept)
      if (!variable_(name).empty()) settings_.kept.emplace_back(name);
    for (const char* const name : kPaths) {
      std::string rest = variable_(name);
      while (!rest.empty()) {
        const std::string word = rest.substr(0, rest.find(' '));
        rest.erase(0, word.size() + 1);
        const std::string path = word.starts_with("file://") ? word.substr(std::string_view("file://").size()) : word;
        if (path.starts_with('/')) show_if_there(absolute_path(path, "/"));
      }
    }
    settings_.only_wheels = variable_("PIP_ONLY_BINARY").empty() && variable_("PIP_NO_BINARY").empty();
  }

  /// The files that pip reads for this user (pip's documentation, "Configuration"); the environment's own is in it.
  void add_configuration() {
    for (const char* const path : {"/etc/pip.conf", "/etc/xdg/pip/pip.conf"}) show_if_there(path);
    const std::string named = variable_("PIP_CONFIG_FILE");
    const std::string configuration = user_directory(variable_("XDG_CONFIG_HOME"), home_, ".config");
    std::vector<std::string> files;
    if (!named.empty())
      files.push_back(named);
    else if (!home_.empty())
      files = {join(configuration, "pip/pip.conf"), join(home_, ".pip/pip.conf")};
    std::string used = named == "/dev/null" ? named : "";
    for (const std::string& file : files)
      if (used.empty() && file.starts_with('/') && show_if_there(absolute_path(file, "/"))) used = file;
    // vrun's own setting has pip read none.
    settings_.set.push_back({"PIP_CONFIG_FILE", used});
  }

  PipSettings take() { return std::move(settings_); }

 private:
  Resolved resolve(const std::string& path) const {
    try {
      return root_.resolve(path);
    } catch (const Error& error) {
      throw Error("cannot read the requirements", path, error.error_number());
    }
  }

  void show(const std::string& path) {
    if (std::find(settings_.shown.begin(), settings_.shown.end(), path) == settings_.shown.end())
      settings_.shown.push_back(path);
  }

  /// What the run has anyway is left to it, and so is what must not be shown for being named in a variable.
  bool show_if_there(const std::string& path) {
    try {
      const Resolved real = root_.resolve(path);
      const bool directory = S_ISDIR(real.status.st_mode);
      if (!directory && !S_ISREG(real.status.st_mode)) return false;
      if (is_within(real.path, "/usr") || is_within(real.path, "/etc/ssl") || is_within(real.path, "/etc/pki"))
        return true;
      if (directory && holds_more_than_a_project(real.path, home_)) return false;
      show(path);
      return true;
    } catch (const Error&) {
      return false;  // pip says what it misses
    }
  }

  const Root& root_;
  std::string (*variable_)(const char*);
  std::string home_;
  PipSettings settings_;
};

}  // namespace

PipSettings read_pip_settings(const Root& root, const std::vector<std::string>& requirements,
                              std::string (*variable)(const char* name)) {
  Reader reader(root, variable);
  for (const std::string& path : requirements) reader.add_requirements(path);
  reader.add_variables();
  reader.add_configuration();
  return reader.take();
}

}  // namespace vrun::builder
