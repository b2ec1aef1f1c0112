#include "policy/private_group.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <vector>

#include "policy/text.h"

namespace vrun {
namespace {

using Entry = std::vector<std::string_view>;

/// The fields of every entry; nothing when a line is no entry of so many fields. The C library passes over empty lines
/// and comments.
std::optional<std::vector<Entry>> entries_of(std::string_view text, std::size_t fields) {
  std::vector<Entry> entries;
  for (const std::string_view line : split(text, '\n')) {
    if (line.empty() || line.front() == '#') continue;
    Entry entry = split(line, ':');
    // "+" and "-" are entries of other sources (nsswitch.conf(5), compat).
    if (entry.size() != fields || entry[0].empty() || line.front() == '+' || line.front() == '-') return std::nullopt;
    entries.push_back(std::move(entry));
  }
  return entries;
}

std::optional<unsigned> number_of(std::string_view text) {
  unsigned number = 0;
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, number);
  if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  return number;
}

}  // namespace

bool is_private_group(std::string_view passwd, std::string_view group, unsigned uid, unsigned gid) {
  const auto users = entries_of(passwd, 7);  // name:password:uid:gid:comment:home:shell
  const auto groups = entries_of(group, 4);  // name:password:gid:members
  if (uid == 0 || gid == 0 || !users || !groups) return false;

  std::string_view user;
  for (const Entry& entry : *users) {
    const std::optional<unsigned> entry_uid = number_of(entry[2]);
    const std::optional<unsigned> entry_gid = number_of(entry[3]);
    if (!entry_uid || !entry_gid) return false;
    if (*entry_uid != uid && *entry_gid != gid) continue;
    if (*entry_uid != uid || *entry_gid != gid || !user.empty()) return false;
    user = entry[0];
  }
  const auto has_name = [&](const Entry& entry) { return entry[0] == user; };
  if (std::count_if(users->begin(), users->end(), has_name) != 1) return false;

  bool found = false;
  for (const Entry& entry : *groups) {
    const std::optional<unsigned> entry_gid = number_of(entry[2]);
    if (!entry_gid) return false;
    if (*entry_gid != gid && !has_name(entry)) continue;
    const bool is_open = entry[1] != "" && entry[1] != "x" && entry[1] != "*" && entry[1] != "!";
    const bool has_others = entry[3] != "" && entry[3] != user;
    if (*entry_gid != gid || !has_name(entry) || is_open || has_others || found) return false;
    found = true;
  }
  return found;
}

}  // namespace vrun
