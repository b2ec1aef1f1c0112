#include "fake_wheel.h"

#include <libdeflate.h>

#include "builder/record.h"
#include "builder/sha256.h"

namespace vrun::builder {
namespace {

void put(std::string& out, std::uint64_t value, int size) {
  for (int i = 0; i < size; ++i) out += static_cast<char>(value >> (8 * i));
}

}  // namespace

std::string fake_zip(const FakeZip& zip) {
  std::string out = zip.before;
  std::string directory;
  for (const FakeEntry& entry : zip.entries) {
    const std::uint32_t crc = entry.crc.value_or(libdeflate_crc32(0, entry.content.data(), entry.content.size()));
    const std::uint64_t size = entry.size.value_or(static_cast<std::uint32_t>(entry.content.size()));
    const std::string local_name = entry.local_name.value_or(entry.name);
    const std::size_t offset = out.size();
    put(out, 0x04034b50, 4);
    put(out, 20, 2);
    put(out, entry.flags, 2);
    put(out, entry.method, 2);
    put(out, 0, 4);  // time and date
    put(out, crc, 4);
    put(out, entry.content.size(), 4);
    put(out, entry.local_size ? *entry.local_size : size, 4);
    put(out, local_name.size(), 2);
    put(out, 0, 2);
    out += local_name + entry.content + entry.padding;

    put(directory, 0x02014b50, 4);
    put(directory, 3U << 8U | 20U, 2);  // made on Unix
    put(directory, 20, 2);
    put(directory, entry.flags, 2);
    put(directory, entry.method, 2);
    put(directory, 0, 4);
    put(directory, crc, 4);
    put(directory, entry.content.size(), 4);
    put(directory, size, 4);
    put(directory, entry.name.size(), 2);
    put(directory, entry.extra.size(), 2);
    put(directory, entry.comment.size(), 2);
    put(directory, 0, 4);  // disk, internal attributes
    put(directory, std::uint64_t{entry.mode} << 16U, 4);
    put(directory, offset, 4);
    directory += entry.name + entry.extra + entry.comment;
  }
  const std::size_t offset = out.size();
  out += directory;
  put(out, 0x06054b50, 4);
  put(out, 0, 4);
  put(out, zip.entries.size(), 2);
  put(out, zip.entries.size(), 2);
  put(out, directory.size(), 4);
  put(out, offset, 4);
  put(out, zip.comment.size(), 2);
  return out + zip.comment + zip.after;
}

std::vector<FakeEntry> fake_wheel(std::string_view project, std::string_view version,
                                  const std::vector<FakeEntry>& files, std::string_view entry_points,
                                  std::string_view requires_python) {
  const std::string name = std::string(project) + "-" + std::string(version);
  const std::string info = name + ".dist-info/";
  std::vector<FakeEntry> entries = files;
  entries.push_back({.name = info + "METADATA",
                     .content = "Metadata-Version: 2.1\nName: " + std::string(project) +
                                "\nVersion: " + std::string(version) +
                                "\nRequires-Python: " + std::string(requires_python) + "\n\nText.\n"});
  entries.push_back({.name = info + "WHEEL",
                     .content = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"});
  if (!entry_points.empty())
    entries.push_back({.name = info + "entry_points.txt", .content = std::string(entry_points)});
  std::vector<RecordRow> rows;
  for (const FakeEntry& entry : entries)
    if (!entry.name.ends_with('/'))
      rows.push_back({entry.name, record_hash(entry.content), std::to_string(entry.content.size())});
  rows.push_back({info + "RECORD", "", ""});
  entries.push_back({.name = info + "RECORD", .content = format_record(rows)});
  return entries;
}

}  // namespace vrun::builder
