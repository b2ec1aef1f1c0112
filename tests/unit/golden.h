/// Golden files: texts kept in tests/data and compared whole.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

namespace vrun {

/// Compares `text` with tests/data/`name`. With VRUN_ACCEPT_GOLDEN=1 in the environment the file is written instead, to
/// be reviewed as a change.
inline void expect_golden(const std::string& name, const std::string& text) {
  const std::string path = std::string(VRUN_TEST_DATA) + "/" + name;
  if (std::getenv("VRUN_ACCEPT_GOLDEN") != nullptr) {
    std::ofstream(path) << text;
    return;
  }
  std::ifstream file(path);
  ASSERT_TRUE(file.is_open()) << path << " is missing; VRUN_ACCEPT_GOLDEN=1 writes it";
  const std::string golden{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  EXPECT_EQ(golden, text) << "differs from " << path << "; VRUN_ACCEPT_GOLDEN=1 accepts the new text";
}

}  // namespace vrun
