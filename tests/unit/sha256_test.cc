#include "builder/sha256.h"

#include <gtest/gtest.h>

#include <cstdio>

namespace vrun::builder {
namespace {

std::string hex(const Sha256& digest) {
  std::string out;
  for (const std::uint8_t byte : digest) {
    char text[3];
    std::snprintf(text, sizeof text, "%02x", byte);
    out += text;
  }
  return out;
}

TEST(Sha256, HasTheDigestsOfTheStandard) {
  EXPECT_EQ(hex(sha256("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hex(sha256("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hex(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(hex(sha256(std::string(1'000'000, 'a'))),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, IsTheSameWithAndWithoutSpecialInstructions) {
  std::string data;
  for (int size = 0; size < 300; ++size) {
    EXPECT_EQ(sha256(data), sha256_portable(data)) << size;
    data += static_cast<char>(size * 7 + 1);
  }
}

TEST(Sha256, IsWrittenAsRecordHasIt) {
  EXPECT_EQ(record_hash("pip\n"), "sha256=zuuue4knoyJ-UwPPXg8fezS7VCrXJQrAP7zeNuwvFQg");
  EXPECT_EQ(record_hash(""), "sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU");
}

}  // namespace
}  // namespace vrun::builder
