#include "builder/wheel.h"

#include <algorithm>
#include <array>
#include <map>

#include "builder/sha256.h"
#include "builder/text.h"
#include "policy/error.h"
#include "policy/host/root.h"
#include "policy/text.h"

namespace vrun::builder {
namespace {

[[noreturn]] void refuse(std::string_view path, std::string_view reason) {
  throw Error("cannot use the wheel " + quote(path) + ": " + std::string(reason));
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

bool contains(const std::vector<std::string>& parts, std::string_view part) {
  return std::find(parts.begin(), parts.end(), part) != parts.end();
}

/// The parts of a compressed set of tags, "py2.py3".
std::vector<std::string> split_tags(std::string_view set) {
  std::vector<std::string> tags;
  for (const std::string_view tag : split(set, '.')) tags.push_back(lower(tag));
  return tags;
}

/// The values of the `key: value` lines of that key before the first empty line (the form of e-mail headers, PEP 566).
std::vector<std::string_view> find_headers(std::string_view text, std::string_view key) {
  std::vector<std::string_view> values;
  while (!text.empty()) {
    const std::string_view line = take_line(text);
    if (line.empty()) break;
    if (line.size() <= key.size() || line[key.size()] != ':' || lower(line.substr(0, key.size())) != lower(key))
      continue;
    values.push_back(strip(line.substr(key.size() + 1)));
  }
  return values;
}

/// The value of the only such line.
std::optional<std::string_view> find_header(std::string_view text, std::string_view key, std::string_view path) {
  const auto values = find_headers(text, key);
  if (values.size() > 1) refuse(path, "it has two lines '" + std::string(key) + "'");
  if (values.empty()) return std::nullopt;
  return values.front();
}

struct SchemeName {
  Scheme scheme;
  std::string_view name;
};
constexpr std::array<SchemeName, 5> kSchemes{{{Scheme::purelib, "purelib"},
                                              {Scheme::platlib, "platlib"},
                                              {Scheme::headers, "headers"},
                                              {Scheme::scripts, "scripts"},
                                              {Scheme::data, "data"}}};

/// The name and version of "pip-24.2.dist-info" or "pip-24.2.data" are those of the wheel.
bool belongs(const WheelName& wheel, std::string_view directory) {
  const std::string_view stem = directory.substr(0, directory.rfind('.'));
  const std::size_t dash = stem.find('-');
  return dash != std::string_view::npos && normalize_project(stem.substr(0, dash)) == wheel.project &&
         parse_version(stem.substr(dash + 1)) == wheel.version;
}

/// Every file of the .data directory has a place.
void check_data(const Wheel& wheel, std::string_view path) {
  for (const Member& member : wheel.archive.members()) {
    if (member.directory || !std::string_view(member.name).starts_with(wheel.data + "/")) continue;
    const std::string_view rest = std::string_view(member.name).substr(wheel.data.size() + 1);
    const std::size_t slash = rest.find('/');
    const auto known = [&](const SchemeName& scheme) { return scheme.name == rest.substr(0, slash); };
    if (slash == std::string_view::npos || std::none_of(kSchemes.begin(), kSchemes.end(), known))
      refuse(path, "it does not say where its file " + quote(member.name) +
                       " belongs (purelib, platlib, headers, scripts or data)");
  }
}

}  // namespace

std::string normalize_project(std::string_view name) {
  std::string out;
  for (const char c : name) {
    const bool separator = c == '-' || c == '_' || c == '.';
    if (!separator)
      out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    else if (out.empty() || out.back() != '-')
      out += '-';
  }
  return out;
}

std::optional<WheelName> parse_wheel_name(std::string_view file_name) {
  if (!file_name.ends_with(".whl")) return std::nullopt;
  file_name.remove_suffix(4);
  const auto parts = split(file_name, '-');
  if (parts.size() != 5 && parts.size() != 6) return std::nullopt;
  for (const std::string_view part : parts)
    if (part.empty()) return std::nullopt;
  const auto version = parse_version(parts[1]);
  if (!version) return std::nullopt;
  // A build number begins with a digit.
  if (parts.size() == 6 && !is_digit(parts[2].front())) return std::nullopt;
  const std::size_t tags = parts.size() - 3;
  WheelName name{.project = normalize_project(parts[0]),
                 .project_text = std::string(parts[0]),
                 .version_text = std::string(parts[1]),
                 .version = *version,
                 .pure = false,
                 .pythons = split_tags(parts[tags]),
                 .abis = split_tags(parts[tags + 1]),
                 .platforms = split_tags(parts[tags + 2])};
  name.pure = contains(name.pythons, "py3") && contains(name.abis, "none") && contains(name.platforms, "any");
  return name;
}

Wheel read_wheel(std::string content, std::string_view path, WheelUse use) {
  const bool seed = use == WheelUse::seed;
  const auto name = parse_wheel_name(base_name(path));
  if (!name) refuse(path, "its name is not that of a wheel");
  if (seed && !name->pure) refuse(path, "it is not for every Python 3 (py3-none-any)");
  Wheel wheel{.archive = Archive(std::move(content), path, seed ? kSeedLimits : kGivenLimits),
              .name = *name,
              .requirements = {}};
  const std::vector<Member>& members = wheel.archive.members();

  for (const Member& member : members) {
    const std::string_view top = std::string_view(member.name).substr(0, member.name.find('/'));
    const bool data = top.ends_with(".data");
    if (seed && data) refuse(path, "it installs files outside its package directory: " + quote(member.name));
    if (!data && !top.ends_with(".dist-info")) continue;
    std::string& directory = data ? wheel.data : wheel.dist_info;
    if (directory.empty()) directory = top;
    if (directory != top) refuse(path, std::string("it has two ") + (data ? ".data" : ".dist-info") + " directories");
  }
  if (wheel.dist_info.empty()) refuse(path, "it has no .dist-info directory");
  for (const std::string& directory : {wheel.dist_info, wheel.data})
    if (!directory.empty() && !belongs(wheel.name, directory))
      refuse(path, "its name and that of its " + quote(directory) + " disagree");
  if (!wheel.data.empty()) check_data(wheel, path);

  Inflater inflater;
  const auto read = [&](std::string_view file) -> std::optional<std::string> {
    const Member* const member = wheel.archive.find(join(wheel.dist_info, file));
    if (member == nullptr) return std::nullopt;
    return std::string(inflater.inflate(wheel.archive, *member));
  };
  const auto need = [&](std::string_view file) {
    auto text = read(file);
    if (!text) refuse(path, "it has no " + std::string(file));
    return std::move(*text);
  };

  const std::string description = need("WHEEL");
  const auto format = find_header(description, "Wheel-Version", path);
  if (!format || !format->starts_with("1.")) refuse(path, "it is not of version 1 of the wheel format");
  const auto purelib = find_header(description, "Root-Is-Purelib", path);
  wheel.purelib = purelib && lower(*purelib) == "true";
  if (seed && !wheel.purelib) refuse(path, "it is not a pure wheel");

  const std::string metadata = need("METADATA");
  const auto project = find_header(metadata, "Name", path);
  const auto version = find_header(metadata, "Version", path);
  if (!project || normalize_project(*project) != wheel.name.project || !version ||
      parse_version(*version) != wheel.name.version)
    refuse(path, "its name and its METADATA disagree");
  if (const auto text = find_header(metadata, "Requires-Python", path)) {
    wheel.requires_python = Specifiers::parse(*text);
    wheel.requires_python_text = *text;
    if (!wheel.requires_python) refuse(path, "its Requires-Python cannot be read: " + quote(*text));
  }

  for (const std::string_view requirement : find_headers(metadata, "Requires-Dist"))
    wheel.requirements.emplace_back(requirement);

  const std::string record_path = join(wheel.dist_info, "RECORD");
  wheel.record = parse_record(need("RECORD"), join(path, record_path));
  std::map<std::string_view, std::size_t> rows;
  for (std::size_t i = 0; i < wheel.record.size(); ++i) {
    const RecordRow& row = wheel.record[i];
    if (!rows.emplace(row.path, i).second) refuse(path, "RECORD lists " + quote(row.path) + " twice");
    if (wheel.archive.find(row.path) == nullptr) refuse(path, "RECORD lists " + quote(row.path) + ", which it has not");
    // Weaker hashes are forbidden by the specification, stronger ones no seed has.
    if (row.path != record_path && !row.hash.starts_with("sha256="))
      refuse(path, "RECORD has no SHA-256 of " + quote(row.path));
  }
  wheel.rows.resize(members.size());
  for (std::size_t i = 0; i < members.size(); ++i) {
    const Member& member = members[i];
    // A signature would have to be excepted too (RECORD.jws, RECORD.p7s); it could not be verified, so it is refused.
    if (member.directory || member.name == record_path) continue;
    const auto row = rows.find(member.name);
    if (row == rows.end()) refuse(path, "RECORD does not list " + quote(member.name));
    wheel.rows[i] = row->second;
    for (const char* const written : {"INSTALLER", "REQUESTED", "direct_url.json"})
      if (member.name == join(wheel.dist_info, written))
        refuse(path, "it has a file that only an installer writes: " + quote(member.name));
  }
  if (const auto text = read("entry_points.txt"))
    wheel.entry_points = parse_entry_points(*text, join(path, join(wheel.dist_info, "entry_points.txt")));
  return wheel;
}

MemberPlace place_of(const Wheel& wheel, const Member& member) {
  std::string_view rest = member.name;
  if (wheel.data.empty() || !rest.starts_with(wheel.data + "/")) return {Scheme::packages, rest};
  rest.remove_prefix(wheel.data.size() + 1);
  const std::size_t slash = rest.find('/');
  const auto scheme = std::find_if(kSchemes.begin(), kSchemes.end(),
                                   [&](const SchemeName& known) { return known.name == rest.substr(0, slash); });
  return {scheme->scheme, rest.substr(slash + 1)};
}

void check(const Wheel& wheel, std::size_t member, std::string_view content) {
  const auto row = wheel.rows[member];
  if (!row) return;
  const RecordRow& expected = wheel.record[*row];
  if (!expected.size.empty() && expected.size != std::to_string(content.size()))
    refuse(wheel.archive.path(), "the size of " + quote(expected.path) + " is not the one in RECORD");
  if (record_hash(content) != expected.hash)
    refuse(wheel.archive.path(), "the hash of " + quote(expected.path) + " is not the one in RECORD");
}

}  // namespace vrun::builder
