/// SHA-256 (FIPS 180-4), the hash of a wheel's RECORD.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace vrun::builder {

using Sha256 = std::array<std::uint8_t, 32>;

/// The digest of `data`. Uses the SHA instructions of the processor where it has them.
Sha256 sha256(std::string_view data);

/// The same by portable code alone; `sha256` is compared with it in the tests.
Sha256 sha256_portable(std::string_view data);

/// The digest of data that comes in pieces, such as a file that is not to be in memory as a whole.
class Sha256Stream {
 public:
  Sha256Stream();
  void add(std::string_view data);
  /// The digest of everything that was added; the last call.
  Sha256 finish();

 private:
  std::array<std::uint32_t, 8> state_;
  std::string rest_;  ///< less than one block
  std::uint64_t size_ = 0;
};

/// Base64 with the alphabet of file names and without "=", as RECORD has it (RFC 4648, section 5).
std::string base64_url(const Sha256& digest);

/// "sha256=" and the digest, the second field of a row of RECORD.
std::string record_hash(std::string_view data);

}  // namespace vrun::builder
