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

/// "cpu.1", to the end of the text.
std::optional<std::vector<Version::Local>> take_local(std::string_view text) {
  std::vector<Version::Local> parts;
  for (;;) {
    const std::size_t dot = text.find('.');
    std::string_view part = text.substr(0, dot);
    const auto fits = [](char c) { return is_digit(c) || (c >= 'a' && c <= 'z'); };
    if (part.empty() || !std::all_of(part.begin(), part.end(), fits)) return std::nullopt;
    Version::Local segment;
    if (std::all_of(part.begin(), part.end(), is_digit)) {
      const auto number = take_number(part);
      if (!number) return std::nullopt;
      segment.number = *number;
    } else {
      segment.word = part;
    }
    parts.push_back(std::move(segment));
    if (dot == std::string_view::npos) return parts;
    text.remove_prefix(dot + 1);
  }
}

void drop_zeros(std::vector<int>& release) {
  while (release.size() > 1 && release.back() == 0) release.pop_back();
}

}  // namespace

std::optional<Version> parse_version(std::string_view text) {
  Version version;
  if (const std::size_t mark = text.find('!'); mark != std::string_view::npos) {
    const auto epoch = take_number(text);
    if (!epoch || !take(text, "!")) return std::nullopt;
    version.epoch = *epoch;
  }
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
    auto local = take_local(text);
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
    const bool last = comma == text.size();
    text = strip(text.substr(std::min(comma + 1, text.size())));
    if (!last && text.empty()) break;  // a comma at the end
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
      auto prefix = take_release(part);
      if (!prefix || !part.empty() || compatible) return std::nullopt;
      if (relation != Relation::equal && relation != Relation::not_equal) return std::nullopt;
      result.parts_.push_back({relation == Relation::equal ? Relation::starts_with : Relation::does_not_start_with,
                               {},
                               std::move(*prefix)});
      continue;
    }
    const auto version = parse_version(part);
    if (!version) return std::nullopt;
    result.parts_.push_back({relation, *version, {}});
    if (compatible) {
      auto prefix = take_release(part);
      if (!prefix || prefix->size() < 2) return std::nullopt;
      prefix->pop_back();
      result.parts_.push_back({Relation::starts_with, {}, std::move(*prefix)});
    }
  }
  return result;
}

bool Specifiers::hold(const Version& version) const {
  Version public_part = version;
  public_part.local.clear();
  for (const Part& part : parts_) {
    const auto order = (part.version.local.empty() ? public_part : version) <=> part.version;
    bool holds = false;
    switch (part.relation) {
      case Relation::less:
        holds = order < 0;
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
        holds = order > 0;
        break;
      case Relation::starts_with:
        holds = has_prefix(version, part.prefix);
        break;
      case Relation::does_not_start_with:
        holds = !has_prefix(version, part.prefix);
        break;
    }
    if (!holds) return false;
  }
  return true;
}

}  // namespace vrun::builder
