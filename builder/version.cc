#include "builder/version.h"

#include <algorithm>
#include <charconv>

#include "builder/text.h"

namespace vrun::builder {
namespace {

bool take(std::string_view& text, std::string_view start) {
  if (!text.starts_with(start)) return false;
  text.remove_prefix(start.size());
  return true;
}

std::optional<int> take_number(std::string_view& text) {
  int value = 0;
  const char* const end = text.data() + std::min<std::size_t>(text.size(), 10);
  if (text.empty() || !is_digit(text.front())) return std::nullopt;
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop - text.data() > 9) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(stop - text.data()));
  return value;
}

/// "1.2.3" with all its zeros.
std::optional<std::vector<int>> take_release(std::string_view& text) {
  std::vector<int> release;
  do {
    const auto number = take_number(text);
    if (!number || release.size() == 16) return std::nullopt;
    release.push_back(*number);
  } while (text.size() > 1 && text.front() == '.' && is_digit(text[1]) && take(text, "."));
  return release;
}

void drop_zeros(std::vector<int>& release) {
  while (release.size() > 1 && release.back() == 0) release.pop_back();
}

/// "1!" or nothing, which is epoch 0.
int take_epoch(std::string_view& text) {
  std::string_view rest = text;
  const auto number = take_number(rest);
  if (!number || !take(rest, "!")) return 0;
  text = rest;
  return *number;
}

/// The parts of what stands after "+", to its end.
std::optional<std::vector<Version::LocalPart>> parse_local(std::string_view text) {
  std::vector<Version::LocalPart> parts;
  for (;;) {
    const std::string_view part = text.substr(0, text.find('.'));
    text.remove_prefix(part.size());
    const auto fits = [](char c) { return is_digit(c) || (is_letter(c) && (c < 'A' || c > 'Z')); };
    if (part.empty() || parts.size() == 16 || !std::all_of(part.begin(), part.end(), fits)) return std::nullopt;
    std::string_view digits = part;
    if (!std::all_of(part.begin(), part.end(), is_digit)) {
      parts.push_back({-1, std::string(part)});
    } else if (const auto value = take_number(digits)) {
      parts.push_back({*value, {}});
    } else {
      return std::nullopt;
    }
    if (text.empty()) return parts;
    text.remove_prefix(1);
  }
}

}  // namespace

std::optional<Version> parse_version(std::string_view text) {
  Version version;
  version.epoch = take_epoch(text);
  auto release = take_release(text);
  if (!release) return std::nullopt;
  version.release = std::move(*release);
  drop_zeros(version.release);
  const auto take_part = [&](std::string_view name, int& number) {
    if (!take(text, name)) return true;
    const auto value = take_number(text);
    if (value) number = *value;
    return value.has_value();
  };
  if (text.starts_with("a")) {
    version.stage = 1;
    if (!take_part("a", version.stage_number)) return std::nullopt;
  } else if (text.starts_with("b")) {
    version.stage = 2;
    if (!take_part("b", version.stage_number)) return std::nullopt;
  } else if (text.starts_with("rc")) {
    version.stage = 3;
    if (!take_part("rc", version.stage_number)) return std::nullopt;
  }
  if (!take_part(".post", version.post)) return std::nullopt;
  const bool dev = text.starts_with(".dev");
  if (!take_part(".dev", version.dev)) return std::nullopt;
  if (take(text, "+")) {
    auto local = parse_local(text);
    if (!local) return std::nullopt;
    version.local = std::move(*local);
  } else if (!text.empty()) {
    return std::nullopt;
  }
  if (dev && version.stage == 4 && version.post < 0) version.stage = 0;
  return version;
}

std::optional<std::vector<int>> parse_release(std::string_view text) {
  auto release = take_release(text);
  if (!text.empty()) return std::nullopt;
  return release;
}

bool has_prefix(const Version& version, const std::vector<int>& prefix) {
  for (std::size_t i = 0; i < prefix.size(); ++i)
    if ((i < version.release.size() ? version.release[i] : 0) != prefix[i]) return false;
  return true;
}

std::optional<Specifiers> Specifiers::parse(std::string_view text) {
  Specifiers result;
  text = strip(text);
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    std::string_view part = strip(text.substr(0, comma));
    text = strip(text.substr(std::min(comma + 1, text.size())));  // after a comma at the end, nothing
    if (part.empty()) return std::nullopt;

    Relation relation = Relation::equal;
    bool compatible = false;
    if (take(part, "~=")) {
      compatible = true;
      relation = Relation::greater_or_equal;
    } else if (take(part, "==")) {
      relation = Relation::equal;
    } else if (take(part, "!=")) {
      relation = Relation::not_equal;
    } else if (take(part, "<=")) {
      relation = Relation::less_or_equal;
    } else if (take(part, ">=")) {
      relation = Relation::greater_or_equal;
    } else if (take(part, "<")) {
      relation = Relation::less;
    } else if (take(part, ">")) {
      relation = Relation::greater;
    } else {
      return std::nullopt;
    }
    part = strip(part);
    if (part.ends_with(".*")) {
      part.remove_suffix(2);
      Version start;
      start.epoch = take_epoch(part);
      auto prefix = take_release(part);
      if (!prefix || !part.empty() || compatible) return std::nullopt;
      if (relation != Relation::equal && relation != Relation::not_equal) return std::nullopt;
      result.parts_.push_back({relation == Relation::equal ? Relation::starts_with : Relation::does_not_start_with,
                               std::move(start), std::move(*prefix)});
      continue;
    }
    const auto version = parse_version(part);
    if (!version) return std::nullopt;
    // Only whole versions are compared with their local parts.
    if (!version->local.empty() && (compatible || (relation != Relation::equal && relation != Relation::not_equal)))
      return std::nullopt;
    result.parts_.push_back({relation, *version, {}});
    if (compatible) {
      Version start;
      start.epoch = take_epoch(part);
      auto prefix = take_release(part);
      if (!prefix || prefix->size() < 2) return std::nullopt;
      prefix->pop_back();
      result.parts_.push_back({Relation::starts_with, std::move(start), std::move(*prefix)});
    }
  }
  return result;
}

bool Specifiers::hold(const Version& version) const {
  for (const Part& part : parts_) {
    // A local part counts only where the specifier has one.
    Version compared = version;
    if (part.version.local.empty()) compared.local.clear();
    const auto order = compared <=> part.version;
    const bool of_same_release = compared.epoch == part.version.epoch && compared.release == part.version.release;
    const bool has_start = compared.epoch == part.version.epoch && has_prefix(compared, part.prefix);
    bool holds = false;
    switch (part.relation) {
      case Relation::less:
        // "<1.0" is not meant to admit 1.0rc1, nor ">1.0" to admit 1.0.post1.
        holds = order < 0 && !(of_same_release && compared.is_prerelease() && !part.version.is_prerelease());
        break;
      case Relation::less_or_equal:
        holds = order <= 0;
        break;
      case Relation::equal:
        holds = order == 0;
        break;
      case Relation::not_equal:
        holds = order != 0;
        break;
      case Relation::greater_or_equal:
        holds = order >= 0;
        break;
      case Relation::greater:
        holds = order > 0 && !(of_same_release && compared.post >= 0 && part.version.post < 0);
        break;
      case Relation::starts_with:
        holds = has_start;
        break;
      case Relation::does_not_start_with:
        holds = !has_start;
        break;
    }
    if (!holds) return false;
  }
  return true;
}

bool Specifiers::name_prerelease() const {
  return std::any_of(parts_.begin(), parts_.end(), [](const Part& part) { return part.version.is_prerelease(); });
}

}  // namespace vrun::builder
