#include <gtest/gtest.h>

#include "builder/text.h"

namespace vrun::builder {
namespace {

TEST(PythonRepr, ChoosesQuotesAsPythonDoes) {
  EXPECT_EQ(python_repr("plain"), "'plain'");
  EXPECT_EQ(python_repr(""), "''");
  EXPECT_EQ(python_repr("it's"), "\"it's\"");
  EXPECT_EQ(python_repr("a \"b\""), "'a \"b\"'");
  EXPECT_EQ(python_repr("it's \"q\" \u00e9"), "'it\\'s \"q\" \u00e9'");
}

TEST(PythonRepr, EscapesWhatIsNotPrintable) {
  EXPECT_EQ(python_repr("a\\b\n\r\t\x01\x7f"), "'a\\\\b\\n\\r\\t\\x01\\x7f'");
  EXPECT_EQ(python_repr("\u00a0\u00ad"), "'\\xa0\\xad'");
  EXPECT_EQ(python_repr("\u200b\u2028\ufeff"), "'\\u200b\\u2028\\ufeff'");
  EXPECT_EQ(python_repr("\U000e0001"), "'\\U000e0001'");
  EXPECT_EQ(python_repr("\U0001f40d\U0001d70b"), "'\U0001f40d\U0001d70b'");
  EXPECT_EQ(python_repr("\ue000\uf8ff"), "'\\ue000\\uf8ff'");
}

TEST(Text, TellsWhatIsUnfitForALine) {
  EXPECT_FALSE(find_unfit_for_line("fine \u00e9 \U0001f40d \u00a0"));
  EXPECT_EQ(find_unfit_for_line("a\nb"), "a control character");
  EXPECT_EQ(find_unfit_for_line("a\x1b[31m"), "a control character");
  EXPECT_EQ(find_unfit_for_line("a\u0085"), "a control character");
  EXPECT_EQ(find_unfit_for_line(std::string_view("a\0b", 3)), "a control character");
  EXPECT_EQ(find_unfit_for_line("a\xff"), "bytes that are not UTF-8");
  EXPECT_EQ(find_unfit_for_line("\xc0\xaf"), "bytes that are not UTF-8") << "overlong";
  EXPECT_EQ(find_unfit_for_line("\xed\xa0\x80"), "bytes that are not UTF-8") << "a surrogate";
  EXPECT_EQ(find_unfit_for_line("\xf4\x90\x80\x80"), "bytes that are not UTF-8") << "beyond Unicode";
  EXPECT_EQ(find_unfit_for_line("\xe2\x82"), "bytes that are not UTF-8") << "cut short";
}

TEST(ShellQuote, IsThatOfShlex) {
  EXPECT_EQ(shell_quote(""), "''");
  EXPECT_EQ(shell_quote("/srv/a-b_c.d,e:f=g@h%i+j"), "/srv/a-b_c.d,e:f=g@h%i+j");
  EXPECT_EQ(shell_quote("a b"), "'a b'");
  EXPECT_EQ(shell_quote("it's"), "'it'\"'\"'s'");
  EXPECT_EQ(shell_quote("\u00e9"), "'\u00e9'");
}

}  // namespace
}  // namespace vrun::builder
