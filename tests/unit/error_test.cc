#include "policy/error.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace vrun {
namespace {

TEST(Escape, LeavesPlainTextAlone) {
  EXPECT_EQ(escape("/home/me/env"), "/home/me/env");
  EXPECT_EQ(escape(""), "");
  EXPECT_EQ(escape("größe 日本 🐍"), "größe 日本 🐍");
}

TEST(Escape, ControlCharactersBecomeHexadecimal) {
  EXPECT_EQ(escape("a\nb\tc\x1b[31m\x7f"), "a\\x0ab\\x09c\\x1b[31m\\x7f");
  EXPECT_EQ(escape(std::string_view("a\0b", 3)), "a\\x00b");
}

TEST(Escape, QuotesAndBackslashesGetABackslash) {
  EXPECT_EQ(escape("it's"), "it\\'s");
  EXPECT_EQ(escape("a\\b"), "a\\\\b");
}

TEST(Escape, BytesThatAreNotUtf8BecomeHexadecimal) {
  EXPECT_EQ(escape("\xff"), "\\xff");
  EXPECT_EQ(escape("\xc3"), "\\xc3");                             // cut off
  EXPECT_EQ(escape("\xc0\xaf"), "\\xc0\\xaf");                    // overlong "/"
  EXPECT_EQ(escape("\xed\xa0\x80"), "\\xed\\xa0\\x80");           // surrogate
  EXPECT_EQ(escape("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");  // above U+10FFFF
  EXPECT_EQ(escape("a\xe2\x82z"), "a\\xe2\\x82z");
}

TEST(Escape, MisleadingCodePointsAreNamed) {
  EXPECT_EQ(escape("\u202e"), "\\u202e");
  EXPECT_EQ(escape("\u2028"), "\\u2028");
  EXPECT_EQ(escape("\u200b"), "\\u200b");
  EXPECT_EQ(escape("\ufeff"), "\\ufeff");
  EXPECT_EQ(escape("\xc2\x85"), "\\u0085");
  EXPECT_EQ(escape("\u2066"), "\\u2066");
}

TEST(Escape, IsOneToOne) {
  EXPECT_NE(escape("a\\x0a"), escape("a\n"));
  EXPECT_NE(escape("\\u202e"), escape("\u202e"));
}

TEST(Quote, PutsQuotesAround) { EXPECT_EQ(quote("a'b"), "'a\\'b'"); }

TEST(ErrnoName, NamesKnownNumbers) {
  EXPECT_EQ(errno_name(ENOENT), "ENOENT");
  EXPECT_EQ(errno_name(4242), "errno 4242");
}

TEST(Error, HasEachOfItsForms) {
  EXPECT_STREQ(Error("no").what(), "no");
  EXPECT_EQ(Error("no").error_number(), 0);
  EXPECT_STREQ(Error("cannot read", "/a b").what(), "cannot read '/a b'");
  EXPECT_STREQ(Error("cannot read", "/a", ENOENT).what(), "cannot read '/a': ENOENT (No such file or directory)");
  EXPECT_EQ(Error("cannot read", "/a", ENOENT).error_number(), ENOENT);
  EXPECT_STREQ(Error("cannot fork", "", EAGAIN).what(), "cannot fork: EAGAIN (Resource temporarily unavailable)");
}

TEST(Error, HintFollowsASemicolon) {
  EXPECT_STREQ(Error("cannot read", "/a", EACCES).hint("look at its mode").what(),
               "cannot read '/a': EACCES (Permission denied); look at its mode");
  EXPECT_STREQ(Error("no").hint("").what(), "no");
}

TEST(Error, StaysOnOneLineWhateverThePath) {
  EXPECT_STREQ(Error("cannot read", "/a\nvrun: all is well").what(), "cannot read '/a\\x0avrun: all is well'");
}

}  // namespace
}  // namespace vrun
