#include "builder/wheel.h"

#include <algorithm>
#include <map>

#include "builder/sha256.h"
#include "builder/text.h"
#include "policy/error.h"
#include "policy/host/root.h"

namespace vrun::builder {
namespace {

[[noreturn]] void refuse(std::string_view path, std::string_view reason) {
  throw Error("cannot use the wheel " + quote(path) + ": " + std::string(reason));
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

bool contains(const std::vector<std::string_view>& parts, std::string_view part) {
  return std::find(parts.begin(), parts.end(), part) != parts.end();
}

/// The value of the only `key: value` line of that key before the first empty line (the form of e-mail headers, PEP
/// 566).
std::optional<std::string_view> find_header(std::string_view text, std::string_view key, std::string_view path) {
  std::optional<std::string_view> value;
  while (!text.empty()) {
    const std::string_view line = take_line(text);
    if (line.empty()) break;
    if (line.size() <= key.size() || line[key.size()] != ':' || line.substr(0, key.size()) != key) continue;
    if (value) refuse(path, "it has two lines '" + std::string(key) + "'");
    value = strip(line.substr(key.size() + 1));
  }
  return value;
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
  const std::size_t tags = parts.size() - 3;
  return WheelName{.project = normalize_project(parts[0]),
                   .version_text = std::string(parts[1]),
                   .version = *version,
                   .pure = contains(split(parts[tags], '.'), "py3") && contains(split(parts[tags + 1], '.'), "none") &&
                           contains(split(parts[tags + 2], '.'), "any")};
}

Wheel read_wheel(std::string content, std::string_view path) {
  const auto name = parse_wheel_name(base_name(path));
  if (!name) refuse(path, "its name is not that of a wheel");
  if (!name->pure) refuse(path, "it is not for every Python 3 (py3-none-any)");
  Wheel wheel{.archive = Archive(std::move(content), path), .name = *name};
  const std::vector<Member>& members = wheel.archive.members();

  for (const Member& member : members) {
    const std::string_view top = std::string_view(member.name).substr(0, member.name.find('/'));
    if (top.ends_with(".data")) refuse(path, "it installs files outside its package directory: " + quote(member.name));
    if (!top.ends_with(".dist-info")) continue;
    if (wheel.dist_info.empty()) wheel.dist_info = top;
    if (wheel.dist_info != top) refuse(path, "it has two .dist-info directories");
  }
  if (wheel.dist_info.empty()) refuse(path, "it has no .dist-info directory");
  const std::string_view stem = std::string_view(wheel.dist_info).substr(0, wheel.dist_info.size() - 10);
  const std::size_t dash = stem.find('-');
  if (normalize_project(stem.substr(0, dash)) != wheel.name.project || dash == std::string_view::npos ||
      stem.substr(dash + 1) != wheel.name.version_text)
    refuse(path, "its name and that of its " + quote(wheel.dist_info) + " disagree");

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
  if (!purelib || normalize_project(*purelib) != "true") refuse(path, "it is not a pure wheel");

  const std::string metadata = need("METADATA");
  const auto project = find_header(metadata, "Name", path);
  const auto version = find_header(metadata, "Version", path);
  if (!project || normalize_project(*project) != wheel.name.project || !version || *version != wheel.name.version_text)
    refuse(path, "its name and its METADATA disagree");
  if (const auto text = find_header(metadata, "Requires-Python", path)) {
    wheel.requires_python = Specifiers::parse(*text);
    if (!wheel.requires_python) refuse(path, "its Requires-Python cannot be read: " + quote(*text));
  }

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
