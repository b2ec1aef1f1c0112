#include "builder/record.h"

#include <gtest/gtest.h>

#include "policy/error.h"

namespace vrun::builder {
namespace {

TEST(Record, ReadsRowsAsCsv) {
  const auto rows = parse_record("a.py,sha256=x,1\r\n\"b,\"\"c\"\".py\",,\nd,,", "/w/RECORD");
  const std::vector<RecordRow> expected{{"a.py", "sha256=x", "1"}, {"b,\"c\".py", "", ""}, {"d", "", ""}};
  EXPECT_EQ(rows, expected);
}

TEST(Record, IsWrittenSortedWithCarriageReturns) {
  EXPECT_EQ(format_record({{"pip/a.py", "sha256=x", "1"}, {"../../../bin/pip", "h", "2"}, {"a,b", "", ""}}),
            "../../../bin/pip,h,2\r\n\"a,b\",,\r\npip/a.py,sha256=x,1\r\n");
}

TEST(Record, RefusesWhatIsNoRecord) {
  const struct {
    std::string text;
    const char* reason;
  } cases[]{
      {"a.py,sha256=x", "line 1 has fewer than three fields"},
      {"\na.py,sha256=x,1,2", "line 2 has more than three fields"},
      {"\"a.py,x,1", "a quotation mark out of place"},
      {"a\"b,x,1", "a quotation mark out of place"},
      {"\"a\"b,x,1", "a quotation mark out of place"},
      {std::string("a\0b,x,1", 7), "a control character"},
      {"a\xff,x,1", "not UTF-8"},
  };
  for (const auto& test : cases) {
    try {
      parse_record(test.text, "/w/RECORD");
      ADD_FAILURE() << test.text;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(test.reason), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace vrun::builder
