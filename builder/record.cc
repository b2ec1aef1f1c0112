#include "builder/record.h"

#include <algorithm>
#include <optional>

#include "builder/text.h"
#include "policy/error.h"

namespace vrun::builder {
namespace {

/// Takes a field and the comma after it; `more` is set when there was one. Nothing when quotes are out of place.
std::optional<std::string> take_field(std::string_view& line, bool& more) {
  std::string field;
  if (line.starts_with('"')) {
    line.remove_prefix(1);
    for (;;) {
      const std::size_t mark = line.find('"');
      if (mark == std::string_view::npos) return std::nullopt;
      field += line.substr(0, mark);
      line.remove_prefix(mark + 1);
      if (!line.starts_with('"')) break;
      field += '"';
      line.remove_prefix(1);
    }
    if (!line.empty() && line.front() != ',') return std::nullopt;
  } else {
    field = line.substr(0, line.find(','));
    if (field.find('"') != std::string::npos) return std::nullopt;
    line.remove_prefix(field.size());
  }
  more = !line.empty();
  if (more) line.remove_prefix(1);
  return field;
}

std::string format_field(const std::string& field) {
  if (field.find_first_of("\",\r\n") == std::string::npos) return field;
  return '"' + replace_all(field, "\"", "\"\"") + '"';
}

}  // namespace

std::vector<RecordRow> parse_record(std::string_view text, std::string_view path) {
  std::vector<RecordRow> rows;
  for (std::size_t number = 1; !text.empty(); ++number) {
    std::string_view line = take_line(text);
    if (line.empty()) continue;
    const auto refuse = [&](std::string_view reason) {
      throw Error("cannot use " + quote(path) + ": line " + std::to_string(number) + " " + std::string(reason));
    };
    if (const auto unfit = find_unfit_for_line(line)) refuse("has " + std::string(*unfit));
    RecordRow row;
    std::string* const fields[]{&row.path, &row.hash, &row.size};
    bool more = true;
    for (std::string* const field : fields) {
      if (!more) refuse("has fewer than three fields");
      auto value = take_field(line, more);
      if (!value) refuse("has a quotation mark out of place");
      *field = std::move(*value);
    }
    if (more) refuse("has more than three fields");
    rows.push_back(std::move(row));
  }
  return rows;
}

std::string format_record(std::vector<RecordRow> rows) {
  std::sort(rows.begin(), rows.end());
  std::string out;
  for (const RecordRow& row : rows)
    out.append(format_field(row.path)).append(",").append(row.hash).append(",").append(row.size).append("\r\n");
  return out;
}

}  // namespace vrun::builder
