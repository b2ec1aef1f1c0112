/// RECORD, the list of a distribution's files (Recording installed projects, PyPA specifications).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace vrun::builder {

/// One row; `hash` and `size` are as written ("sha256=...", "1234") and may be empty.
struct RecordRow {
  std::string path;
  std::string hash;
  std::string size;
  auto operator<=>(const RecordRow&) const = default;
};

/// Parses a RECORD as Python's csv module does. `path` is for messages. Throws Error naming the line for a row that has
/// not three fields, a quote out of place, a control character, bytes that are not UTF-8.
std::vector<RecordRow> parse_record(std::string_view text, std::string_view path);

/// The text of a RECORD as pip writes it: rows sorted, lines ended by CR LF, quotes only where needed.
std::string format_record(std::vector<RecordRow> rows);

}  // namespace vrun::builder
