#include "policy/error.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>

namespace vrun {
namespace {

/// Length of the valid UTF-8 sequence at the start of `text`, 0 when there is none. Refuses overlong forms and
/// surrogates.
std::size_t utf8_length(std::string_view text, std::uint32_t& code_point) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) {
    code_point = lead;
    return 1;
  }
  std::size_t length = 0;
  std::uint32_t smallest = 0;
  if ((lead & 0xE0) == 0xC0) {
    length = 2, smallest = 0x80, code_point = lead & 0x1FU;
  } else if ((lead & 0xF0) == 0xE0) {
    length = 3, smallest = 0x800, code_point = lead & 0x0FU;
  } else if ((lead & 0xF8) == 0xF0) {
    length = 4, smallest = 0x10000, code_point = lead & 0x07U;
  } else {
    return 0;
  }
  if (text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
    code_point = (code_point << 6) | (byte(i) & 0x3FU);
  }
  const bool surrogate = code_point >= 0xD800 && code_point <= 0xDFFF;
  return code_point < smallest || code_point > 0x10FFFF || surrogate ? 0 : length;
}

/// Code points that can make a terminal show something else than what is there: C1 controls, line and paragraph
/// separators, zero-width and bidirectional formatting characters (Unicode TR 36), the byte order mark.
bool misleading(std::uint32_t c) {
  return (c >= 0x80 && c <= 0x9F) || (c >= 0x200B && c <= 0x200F) || (c >= 0x2028 && c <= 0x202E) ||
         (c >= 0x2066 && c <= 0x2069) || c == 0x061C || c == 0xFEFF;
}

}  // namespace

std::string escape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  std::array<char, 16> buffer{};
  while (!text.empty()) {
    std::uint32_t code_point = 0;
    const std::size_t length = utf8_length(text, code_point);
    const auto byte = static_cast<unsigned char>(text.front());
    if (length == 0 || byte < 0x20 || byte == 0x7F) {
      std::snprintf(buffer.data(), buffer.size(), "\\x%02x", byte);
      out += buffer.data();
      text.remove_prefix(1);
      continue;
    }
    if (misleading(code_point)) {
      std::snprintf(buffer.data(), buffer.size(), "\\u%04x", static_cast<unsigned>(code_point));
      out += buffer.data();
    } else {
      if (byte == '\'' || byte == '\\') out += '\\';
      out += text.substr(0, length);
    }
    text.remove_prefix(length);
  }
  return out;
}

std::string quote(std::string_view text) { return "'" + escape(text) + "'"; }

std::string command_word(const std::string& path) {
  const bool plain =
      !path.empty() && quote(path) == "'" + path + "'" && path.find_first_of(" $&;|<>()*?\"`~#!") == std::string::npos;
  return plain ? path : quote(path);
}

std::string errno_name(int error_number) {
#ifdef __GLIBC__
  if (const char* name = strerrorname_np(error_number)) return name;
#endif
  return "errno " + std::to_string(error_number);
}

Error::Error(std::string operation) : message_(std::move(operation)) {}

Error::Error(std::string operation, std::string_view path) : message_(std::move(operation)) {
  message_ += ' ';
  message_ += quote(path);
}

Error::Error(std::string operation, std::string_view path, int error_number)
    : message_(std::move(operation)), error_number_(error_number) {
  if (!path.empty()) {
    message_ += ' ';
    message_ += quote(path);
  }
  message_ += ": " + errno_name(error_number) + " (" + std::strerror(error_number) + ")";
}

Error&& Error::hint(std::string_view text) && {
  if (!text.empty()) {
    failure_size_ = std::min(failure_size_, message_.size());
    message_ += "; ";
    message_ += text;
    hint_ = message_.substr(failure_size_ + 2);
  }
  return std::move(*this);
}

}  // namespace vrun
