/// Text from outside, and how Python and the shells quote it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace vrun::builder {

/// Takes one code point from the front of `text`; nothing when it does not begin with valid UTF-8 (overlong forms and
/// surrogates are not) or is empty.
std::optional<char32_t> take_code_point(std::string_view& text);

bool is_valid_utf8(std::string_view text);

/// What keeps `text` from standing in one line of a file: "a control character" (Unicode category Cc: a newline would
/// begin another key of pyvenv.cfg) or "bytes that are not UTF-8". Nothing when it can.
std::optional<std::string_view> find_unfit_for_line(std::string_view text);

/// What repr() of CPython gives for a str. `text` is valid UTF-8. Code points that Unicode has not assigned count as
/// printable, because which these are depends on the version of Python.
std::string python_repr(std::string_view text);

/// What shlex.quote() gives.
std::string shell_quote(std::string_view text);

/// `text` with every `from` replaced by `to`.
std::string replace_all(std::string_view text, std::string_view from, std::string_view to);

/// Takes one line from the front of `text`, without its LF or CRLF.
std::string_view take_line(std::string_view& text);

/// Without blanks and tabs around it.
std::string_view strip(std::string_view text);

bool is_digit(char c);
bool is_letter(char c);

}  // namespace vrun::builder
