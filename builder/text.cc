#include "builder/text.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace vrun::builder {
namespace {

struct Range {
  char32_t first;
  char32_t last;
};

/// The code points of the Unicode categories Cc, Cf, Cs, Co, Zl, Zp, and Zs without the space, and the noncharacters of
/// the basic plane; str.isprintable() is false for them.
constexpr std::array<Range, 30> kUnprintable{{
    {0x0, 0x1F},        {0x7F, 0xA0},       {0xAD, 0xAD},       {0x600, 0x605},     {0x61C, 0x61C},
    {0x6DD, 0x6DD},     {0x70F, 0x70F},     {0x890, 0x891},     {0x8E2, 0x8E2},     {0x1680, 0x1680},
    {0x180E, 0x180E},   {0x2000, 0x200F},   {0x2028, 0x202F},   {0x205F, 0x2064},   {0x2066, 0x206F},
    {0x3000, 0x3000},   {0xD800, 0xF8FF},   {0xFDD0, 0xFDEF},   {0xFEFF, 0xFEFF},   {0xFFF9, 0xFFFB},
    {0xFFFE, 0xFFFF},   {0x110BD, 0x110BD}, {0x110CD, 0x110CD}, {0x13430, 0x1343F}, {0x1BCA0, 0x1BCA3},
    {0x1D173, 0x1D17A}, {0xE0001, 0xE0001}, {0xE0020, 0xE007F}, {0xF0000, 0xFFFFD}, {0x100000, 0x10FFFD},
}};

bool is_printable(char32_t c) {
  const auto after = std::upper_bound(kUnprintable.begin(), kUnprintable.end(), c,
                                      [](char32_t value, const Range& range) { return value < range.first; });
  return after == kUnprintable.begin() || c > std::prev(after)->last;
}

bool is_control(char32_t c) { return c < 0x20 || (c >= 0x7F && c <= 0x9F); }

}  // namespace

std::optional<char32_t> take_code_point(std::string_view& text) {
  if (text.empty()) return std::nullopt;
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  char32_t c = byte(0);
  std::size_t length = 1;
  char32_t smallest = 0;
  if (c >= 0x80) {
    if (c >= 0xC0 && c < 0xE0) {
      length = 2, smallest = 0x80, c &= 0x1F;
    } else if (c >= 0xE0 && c < 0xF0) {
      length = 3, smallest = 0x800, c &= 0x0F;
    } else if (c >= 0xF0 && c < 0xF8) {
      length = 4, smallest = 0x10000, c &= 0x07;
    } else {
      return std::nullopt;
    }
    if (text.size() < length) return std::nullopt;
    for (std::size_t i = 1; i < length; ++i) {
      if ((byte(i) & 0xC0U) != 0x80) return std::nullopt;
      c = c << 6U | (byte(i) & 0x3FU);
    }
  }
  if (c < smallest || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) return std::nullopt;
  text.remove_prefix(length);
  return c;
}

bool is_valid_utf8(std::string_view text) {
  while (!text.empty())
    if (!take_code_point(text)) return false;
  return true;
}

std::optional<std::string_view> find_unfit_for_line(std::string_view text) {
  while (!text.empty()) {
    const auto c = take_code_point(text);
    if (!c) return "bytes that are not UTF-8";
    if (is_control(*c)) return "a control character";
  }
  return std::nullopt;
}

std::string python_repr(std::string_view text) {
  const bool single = text.find('\'') != std::string_view::npos;
  const bool both = single && text.find('"') != std::string_view::npos;
  const char mark = single && !both ? '"' : '\'';
  std::string out(1, mark);
  while (!text.empty()) {
    const std::string_view before = text;
    const auto c = take_code_point(text);
    if (!c) break;
    if (*c == static_cast<unsigned char>(mark) || *c == '\\') {
      out += '\\';
      out += before.front();
    } else if (*c == '\n') {
      out += "\\n";
    } else if (*c == '\r') {
      out += "\\r";
    } else if (*c == '\t') {
      out += "\\t";
    } else if (is_printable(*c)) {
      out += before.substr(0, before.size() - text.size());
    } else {
      std::array<char, 16> buffer{};
      const char* const format = *c < 0x100 ? "\\x%02x" : *c < 0x10000 ? "\\u%04x" : "\\U%08x";
      std::snprintf(buffer.data(), buffer.size(), format, static_cast<unsigned>(*c));
      out += buffer.data();
    }
  }
  return out += mark;
}

std::string shell_quote(std::string_view text) {
  if (text.empty()) return "''";
  const bool safe = std::all_of(text.begin(), text.end(), [](char c) {
    return is_letter(c) || is_digit(c) || std::string_view("_@%+=:,./-").find(c) != std::string_view::npos;
  });
  if (safe) return std::string(text);
  return "'" + replace_all(text, "'", "'\"'\"'") + "'";
}

std::string replace_all(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  for (;;) {
    const std::size_t at = text.find(from);
    out += text.substr(0, at);
    if (at == std::string_view::npos) return out;
    out += to;
    text.remove_prefix(at + from.size());
  }
}

std::string_view take_line(std::string_view& text) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return line;
}

std::string_view strip(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

}  // namespace vrun::builder
