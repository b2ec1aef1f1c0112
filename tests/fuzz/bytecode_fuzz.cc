// An entry of the bytecode cache that is accepted has modules of its wheel only, each of which it gives for the time
// that is asked for or refuses.
//
// An input whose first byte is even is a whole file. In an odd one the next two bytes are the size of what stands in
// the index behind wheel and magic number, and that and the pieces follow: the rest, digests among it, is made right.

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "builder/bytecode.h"
#include "builder/sha256.h"
#include "policy/error.h"
#include "policy/host/fd.h"
#include "tests/unit/fake_wheel.h"

namespace {

using namespace vrun::builder;

const BytecodeKind kKind{.tag = "cpython-311", .magic = {'\xa7', '\x0d', '\r', '\n'}};
constexpr std::uint32_t kTime = 0x01020304;

const Wheel& wheel() {
  static const Wheel wheel =
      read_wheel(fake_zip({.entries = fake_wheel("p", "1", {{.name = "p/a.py", .content = "x"}, {.name = "b.py"}})}),
                 "/w/p-1-py3-none-any.whl");
  return wheel;
}

void append(std::string& out, const Sha256& digest) { out.append(digest.begin(), digest.end()); }

std::string with_right_start(std::string_view text) {
  if (text.size() < 2) return {};
  const auto byte = [&](std::size_t i) { return static_cast<std::size_t>(static_cast<unsigned char>(text[i])); };
  const std::size_t rows = byte(0) | byte(1) << 8U;
  text.remove_prefix(2);
  std::string record;
  for (const RecordRow& row : wheel().record) record.append(row.path).append(",").append(row.hash).append("\n");
  std::string index;
  append(index, sha256(record));
  index.append(kKind.magic.begin(), kKind.magic.end()).append(text.substr(0, rows));
  std::string file = "vbuild bytecode2";
  append(file, sha256(index));
  for (unsigned shift = 0; shift < 32; shift += 8) file += static_cast<char>(index.size() >> shift & 0xffU);
  return file + index + std::string(text.substr(std::min(rows, text.size())));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string content = data[0] % 2 == 0 ? std::string(text) : with_right_start(text);
  vrun::Fd file(::memfd_create("entry", MFD_CLOEXEC));
  if (!file.valid() || ::pwrite(file.get(), content.data(), content.size(), 0) != static_cast<ssize_t>(content.size()))
    std::abort();
  try {
    const BytecodeEntry entry(std::move(file), "/c/p.pycs", wheel(), kKind);
    if (entry.has("p-1.dist-info/METADATA") || entry.has("p")) std::abort();
    for (const char* const module : {"p/a.py", "b.py"}) {
      if (!entry.has(module)) continue;
      const std::string compiled = entry.read(module, kTime);
      if (compiled.size() <= 16 || compiled.substr(8, 4) != "\x04\x03\x02\x01") std::abort();
      // Only what is in the file can have come out of it.
      if (content.find(compiled.substr(12)) == std::string::npos) std::abort();
    }
  } catch (const vrun::Error& error) {
    if (std::string_view(error.what()).find_first_of("\r\n\x1b") != std::string_view::npos) std::abort();
  }
  return 0;
}
