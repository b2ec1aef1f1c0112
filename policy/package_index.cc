#include "policy/package_index.h"

#include <algorithm>
#include <array>

#include "policy/package_dirs.h"

namespace vrun {
namespace {

/// The first line of an index names its format; a changed search needs a new one.
constexpr std::string_view kFormat = "vrun package index 2";

constexpr std::array<std::string_view, 10> kInstalled = {
    "/usr",       "/usr/lib",   "/usr/lib32",     "/usr/lib64",       "/usr/libexec",
    "/usr/share", "/usr/local", "/usr/local/lib", "/usr/local/share", "/usr/local/libexec"};

constexpr int kDepth = 6;
/// A bound against a file system without end; ten times what a full desktop has.
constexpr int kMaximumDirectories = 200'000;

/// Large directories of data in which no program is installed.
bool only_data(std::string_view name) {
  constexpr std::array<std::string_view, 16> kData = {
      "doc",      "man",      "info",     "locale", "icons",   "fonts", "mime",        "help",
      "zoneinfo", "licenses", "terminfo", "X11",    "include", "src",   "__pycache__", "node_modules"};
  return std::find(kData.begin(), kData.end(), name) != kData.end();
}

}  // namespace

std::string package_index_key(const Root& root) {
  std::string key;
  for (const std::string_view path : kInstalled) {
    const auto status = root.lstat(path);
    if (!status) continue;
    key += std::to_string(status->st_dev) + ":" + std::to_string(status->st_ino) + ":" +
           std::to_string(status->st_ctim.tv_sec) + "." + std::to_string(status->st_ctim.tv_nsec) + " ";
  }
  return key;
}

std::vector<std::string> search_packages_below_usr(const Root& root) {
  std::vector<std::string> found;
  std::vector<std::string> level = {"/usr"};
  int budget = kMaximumDirectories;
  for (int depth = 0; depth < kDepth && !level.empty(); ++depth) {
    std::vector<std::string> next;
    for (const std::string& path : level) {
      if (budget-- == 0) return found;
      const Root::Listing listing = root.list_by_type(path);
      if (std::binary_search(listing.others.begin(), listing.others.end(), "pyvenv.cfg")) {
        found.push_back(path);
        continue;
      }
      for (const std::string& name : listing.directories) {
        if (only_data(name)) continue;
        const std::string inside = join(path, name);
        if (is_standard_library_name(name))
          for (const std::string_view packages : {"site-packages", "dist-packages"})
            if (const std::string candidate = join(inside, packages); root.is_directory(candidate))
              found.push_back(root.resolve(candidate).path);
        next.push_back(inside);
      }
    }
    level = std::move(next);
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

std::string format_package_index(const std::string& key, const std::vector<std::string>& directories) {
  std::string text(kFormat);
  text += "\n" + key + "\n";
  for (const std::string& directory : directories)
    if (directory.find('\n') == std::string::npos) text += directory + "\n";
  return text;
}

std::optional<std::vector<std::string>> parse_package_index(std::string_view text, const std::string& key) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return std::nullopt;  // cut off
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  if (lines.size() < 2 || lines[0] != kFormat || lines[1] != key) return std::nullopt;
  lines.erase(lines.begin(), lines.begin() + 2);
  for (const std::string& line : lines)
    if (!is_within(line, "/usr")) return std::nullopt;
  return lines;
}

}  // namespace vrun
