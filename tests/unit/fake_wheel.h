/// ZIP archives and wheels made in memory, right ones and wrong ones.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vrun::builder {

/// An entry, stored without compression. What is set here overrides what would be right.
struct FakeEntry {
  std::string name = {};
  std::string content = {};
  std::optional<std::string> local_name = {};
  std::optional<std::uint32_t> crc = {};
  std::optional<std::uint32_t> size = {};        ///< uncompressed, in both headers
  std::optional<std::uint32_t> local_size = {};  ///< uncompressed, in the local header
  std::uint32_t mode = 0100644;
  std::uint16_t flags = 0;
  std::uint16_t method = 0;
  std::string extra = {};    ///< in the central header
  std::string comment = {};  ///< in the central header
  std::string padding = {};  ///< after the data
};

struct FakeZip {
  std::vector<FakeEntry> entries = {};
  std::string before = {};   ///< at the start; offsets take it into account
  std::string comment = {};  ///< of the archive
  std::string after = {};    ///< at the end
};

std::string fake_zip(const FakeZip& zip);

/// The entries of a wheel that is right: package files, and METADATA, WHEEL and RECORD for them.
std::vector<FakeEntry> fake_wheel(std::string_view project, std::string_view version,
                                  const std::vector<FakeEntry>& files = {{.name = "pip/__init__.py",
                                                                          .content = "x = 1\n"}},
                                  std::string_view entry_points = "", std::string_view requires_python = ">=3.7");

}  // namespace vrun::builder
