#include "builder/wheel.h"

#include <gtest/gtest.h>

#include <functional>

#include "builder/zip.h"
#include "fake_wheel.h"
#include "policy/error.h"

namespace vrun::builder {
namespace {

const char* const kPath = "/wheels/pip-24.2-py3-none-any.whl";

/// Why an archive or wheel is refused: while it is read, or while its members are decompressed and verified.
std::string refusal_of(const std::string& bytes, const std::string& path = kPath) {
  try {
    const Wheel wheel = read_wheel(bytes, path);
    Inflater inflater;
    for (std::size_t i = 0; i < wheel.archive.members().size(); ++i)
      if (!wheel.archive.members()[i].directory)
        check(wheel, i, inflater.inflate(wheel.archive, wheel.archive.members()[i]));
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("/wheels/"), std::string::npos) << error.what();
    return error.what();
  }
  return "accepted";
}

std::string refusal_of(const FakeZip& zip) { return refusal_of(fake_zip(zip)); }

void expect_contains(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << text << "\nlacks: " << part;
}

/// A right wheel after `change` was made to it. The entries are pip/__init__.py, METADATA, WHEEL, RECORD.
std::string refusal_after(const std::function<void(std::vector<FakeEntry>&)>& change) {
  FakeZip zip{.entries = fake_wheel("pip", "24.2")};
  change(zip.entries);
  return refusal_of(zip);
}

TEST(Wheel, IsReadWhenItIsRight) {
  const FakeZip zip{.entries = fake_wheel("pip", "24.2",
                                          {{.name = "pip/", .content = "", .mode = 040755},
                                           {.name = "pip/__init__.py", .content = "x = 1\n"},
                                           {.name = "pip/run", .content = "#!x", .mode = 0100755}},
                                          "[console_scripts]\npip = pip.main:main\n")};
  EXPECT_EQ(refusal_of(zip), "accepted");
  const Wheel wheel = read_wheel(fake_zip(zip), kPath);
  EXPECT_EQ(wheel.name.project, "pip");
  EXPECT_EQ(wheel.name.version_text, "24.2");
  EXPECT_EQ(wheel.dist_info, "pip-24.2.dist-info");
  EXPECT_EQ(wheel.entry_points, (std::vector<EntryPoint>{{"pip", "pip.main", "main"}}));
  ASSERT_NE(wheel.archive.find("pip/run"), nullptr);
  EXPECT_TRUE(wheel.archive.find("pip/run")->executable);
  EXPECT_FALSE(wheel.archive.find("pip/__init__.py")->executable);
  EXPECT_EQ(wheel.archive.find("pip"), nullptr) << "a directory is no file";
  EXPECT_TRUE(wheel.requires_python && wheel.requires_python->hold(*parse_version("3.8.1")));
}

TEST(Wheel, OfTheUserMayHaveADataDirectory) {
  const auto read = [](const std::vector<FakeEntry>& files, const char* path = "/wheels/Foo_Bar-1.0-py3-none-any.whl") {
    return read_wheel(fake_zip({.entries = fake_wheel("Foo_Bar", "1.0", files)}), path, WheelUse::given);
  };
  const auto refusal = [&](const std::string& name) {
    try {
      read({{.name = name, .content = "x"}});
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  const Wheel wheel =
      read({{.name = "foo.py", .content = "x"}, {.name = "foo_bar-1.0.data/scripts/a/b", .content = "x"}});
  EXPECT_EQ(wheel.data, "foo_bar-1.0.data");
  EXPECT_TRUE(wheel.purelib);
  const MemberPlace place = place_of(wheel, *wheel.archive.find("foo_bar-1.0.data/scripts/a/b"));
  EXPECT_EQ(place.scheme, Scheme::scripts);
  EXPECT_EQ(place.path, "a/b");
  EXPECT_EQ(place_of(wheel, *wheel.archive.find("foo.py")).scheme, Scheme::packages);
  EXPECT_EQ(read({}, "/wheels/Foo_Bar-1.0-cp311-cp311-linux_x86_64.whl").name.abis, std::vector<std::string>{"cp311"});

  EXPECT_EQ(refusal("Foo_Bar-1.0.data/data/x"), "accepted");
  expect_contains(refusal("Foo_Bar-1.0.data/x"), "does not say where");
  expect_contains(refusal("Foo_Bar-1.0.data/DATA/x"), "does not say where");
  expect_contains(refusal("other-1.0.data/data/x"), "disagree");
  expect_contains(refusal("Foo_Bar-2.0.data/data/x"), "disagree");
  expect_contains(refusal("Foo_Bar.data/data/x"), "disagree");
}

TEST(WheelName, IsTakenApart) {
  const auto name = parse_wheel_name("Foo.Bar_baz-1.0.post1-1-py2.py3-none-any.whl");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->project, "foo-bar-baz");
  EXPECT_TRUE(name->pure);
  EXPECT_EQ(name->project_text, "Foo.Bar_baz");
  EXPECT_EQ(name->pythons, (std::vector<std::string>{"py2", "py3"}));
  EXPECT_FALSE(parse_wheel_name("numpy-1.0-cp311-cp311-linux_x86_64.whl")->pure);
  for (const char* const wrong :
       {"pip.whl", "pip-24.2.whl", "pip-24.2-py3-none-any.zip", "pip--py3-none-any.whl", "pip-x-py3-none-any.whl",
        "pip-1-b1-py3-none-any.whl", "-1-py3-none-any.whl", "a-1-2-3-4-5-6.whl"})
    EXPECT_FALSE(parse_wheel_name(wrong)) << wrong;
}

TEST(Zip, RefusesNamesThatLeadElsewhere) {
  for (const std::string& name :
       {std::string("../x"), std::string("/abs"), std::string("a/../../x"), std::string("./x"), std::string("a//b"),
        std::string("a/."), std::string(".."), std::string("..\\x"), std::string("C:\\x"), std::string("C:x"),
        std::string(""), std::string("."), std::string("a\0b", 3), std::string("a\nb"), std::string(300, 'a'),
        std::string("/"), std::string("a/..")}) {
    const std::string reason =
        refusal_after([&](auto& entries) { entries.insert(entries.begin(), {.name = name, .content = "x"}); });
    expect_contains(reason, "its entry");
    EXPECT_EQ(reason.find('\n'), std::string::npos);
  }
  expect_contains(refusal_after([](auto& entries) { entries.push_back({.name = "caf\xc3\xa9.py", .content = ""}); }),
                  "unknown encoding");
}

TEST(Zip, RefusesLinksAndSpecialFiles) {
  for (const std::uint32_t mode : {0120777U, 0020666U, 0060666U, 0010666U, 0140777U, 0040755U})
    expect_contains(
        refusal_after([&](auto& entries) { entries.push_back({.name = "x", .content = "y", .mode = mode}); }),
        "link or a special file");
  expect_contains(
      refusal_after([](auto& entries) { entries.push_back({.name = "x", .content = "", .mode = 0104755}); }),
      "set-user-id");
}

TEST(Zip, RefusesWhatTwoReadersCouldSeeDifferently) {
  const auto wheel = fake_wheel("pip", "24.2");
  expect_contains(refusal_of({.entries = wheel, .before = "#!/bin/sh\n"}), "data before it");
  expect_contains(refusal_of({.entries = wheel, .comment = "hello"}), "comment");
  expect_contains(refusal_of({.entries = wheel, .after = "x"}), "after its end");
  EXPECT_NE(refusal_of({.entries = wheel, .comment = fake_zip({.entries = wheel})}), "accepted")
      << "a second end record";
  expect_contains(refusal_after([](auto& entries) { entries[0].local_name = "pip/__evil__.py"; }), "another name");
  expect_contains(refusal_after([](auto& entries) { entries[0].local_size = 1; }), "described differently");
  expect_contains(refusal_after([](auto& entries) { entries[0].padding = "hidden"; }), "data after it");
  expect_contains(refusal_after([](auto& entries) { entries.push_back(entries[0]); }), "is there twice");
  expect_contains(refusal_after([](auto& entries) { entries.push_back({.name = "PIP/__INIT__.py", .content = ""}); }),
                  "is there twice");
  expect_contains(refusal_after([](auto& entries) { entries.push_back({.name = "pip/__init__.py/x", .content = ""}); }),
                  "a directory that is a file");
  expect_contains(refusal_after([](auto& entries) { entries[0].comment = "c"; }), "has a comment");
  expect_contains(refusal_after([](auto& entries) { entries[0].extra = std::string("\x75\x70\x01\x00\x01", 5); }),
                  "second name");
  expect_contains(refusal_after([](auto& entries) { entries[0].extra = "\x01"; }), "broken extra field");
  expect_contains(refusal_after([](auto& entries) { entries[0].flags = 1; }), "encrypted");
  expect_contains(refusal_after([](auto& entries) { entries[0].method = 12; }), "unknown method");
}

TEST(Zip, RefusesWrongSizesAndSums) {
  expect_contains(refusal_after([](auto& entries) { entries[0].crc = 1; }), "wrong CRC");
  expect_contains(refusal_after([](auto& entries) { entries[0].size = 5; }), "two sizes");
  expect_contains(refusal_after([](auto& entries) { entries[0].method = 8; }), "does not decompress");
  expect_contains(refusal_after([](auto& entries) {
                    entries[0].method = 8;
                    entries[0].size = 0xF0000000;
                  }),
                  "larger than any");
}

TEST(Zip, RefusesEveryTruncation) {
  const std::string bytes = fake_zip({.entries = fake_wheel("pip", "24.2")});
  for (std::size_t size = 0; size < bytes.size(); ++size)
    EXPECT_NE(refusal_of(bytes.substr(0, size)), "accepted") << size;
}

TEST(Zip, SurvivesEveryChangedByte) {
  const std::string bytes = fake_zip({.entries = fake_wheel("pip", "24.2")});
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (const char value : {'\0', '\xff', static_cast<char>(bytes[i] ^ 1)}) {
      std::string changed = bytes;
      changed[i] = value;
      refusal_of(changed);  // whatever comes of it, no sanitizer may complain
    }
  }
}

TEST(Wheel, RefusesNamesThatDisagree) {
  const std::string bytes = fake_zip({.entries = fake_wheel("pip", "24.2")});
  expect_contains(refusal_of(bytes, "/wheels/pip-24.3-py3-none-any.whl"), "disagree");
  expect_contains(refusal_of(bytes, "/wheels/setuptools-24.2-py3-none-any.whl"), "disagree");
  expect_contains(refusal_of(bytes, "/wheels/pip-24.2-cp311-cp311-linux_x86_64.whl"), "not for every Python 3");
  expect_contains(refusal_of(bytes, "/wheels/pip.whl"), "not that of a wheel");
  expect_contains(refusal_of({.entries = fake_wheel("pip", "24.2", {{.name = "pip-9.dist-info/x", .content = ""}})}),
                  "two .dist-info");
}

TEST(Wheel, RefusesFormatsItDoesNotKnow) {
  // Through fake_wheel RECORD would not fit; these are refused before it is looked at.
  const auto change = [](std::size_t entry, const std::string& from, const std::string& to) {
    return refusal_after([&](auto& entries) {
      std::string& content = entries[entry].content;
      const std::size_t at = content.find(from);
      if (at == std::string::npos) throw std::runtime_error(content);
      content.replace(at, from.size(), to);
    });
  };
  expect_contains(change(2, "Wheel-Version: 1.0", "Wheel-Version: 2.0"), "version 1 of the wheel format");
  expect_contains(change(2, "Root-Is-Purelib: true", "Root-Is-Purelib: false"), "not a pure wheel");
  expect_contains(change(1, "Name: pip", "Name: pap"), "METADATA disagree");
  expect_contains(change(1, "Name: pip", "Name: pip\nName: pap"), "two lines");
  expect_contains(change(1, ">=3.7", "three"), "Requires-Python");
  expect_contains(refusal_after([](auto& entries) { entries.erase(entries.begin() + 2); }), "no WHEEL");
  expect_contains(refusal_after([](auto& entries) { entries.pop_back(); }), "no RECORD");
}

TEST(Wheel, RefusesFilesThatRecordDoesNotVouchFor) {
  expect_contains(refusal_after([](auto& entries) { entries.push_back({.name = "pip/extra.py", .content = "evil"}); }),
                  "RECORD does not list 'pip/extra.py'");
  expect_contains(refusal_after([](auto& entries) { entries[0].content = "x = 2\n"; }), "hash of 'pip/__init__.py'");
  expect_contains(refusal_after([](auto& entries) { entries[0].content = "x = 1\n\n"; }), "size of 'pip/__init__.py'");
  expect_contains(refusal_after([](auto& entries) { entries.erase(entries.begin()); }), "which it has not");
  expect_contains(refusal_after([](auto& entries) { entries[3].content += entries[3].content; }), "twice");
  expect_contains(refusal_after([](auto& entries) { entries[3].content += "../../x,sha256=a,1\r\n"; }),
                  "which it has not");
  expect_contains(refusal_after([](auto& entries) {
                    std::string& record = entries[3].content;
                    record.replace(record.find("sha256="), 7, "md5=...");
                  }),
                  "no SHA-256");
}

TEST(Wheel, RefusesToWriteOutsideItsPackageDirectory) {
  for (const char* const name : {"pip-24.2.data/scripts/x", "pip-24.2.data/data/pyvenv.cfg", "x.data/purelib/y"})
    expect_contains(refusal_of({.entries = fake_wheel("pip", "24.2", {{.name = name, .content = ""}})}),
                    "outside its package directory");
  for (const char* const name : {"INSTALLER", "REQUESTED", "direct_url.json"})
    expect_contains(
        refusal_of({.entries = fake_wheel("pip", "24.2",
                                          {{.name = std::string("pip-24.2.dist-info/") + name, .content = "x"}})}),
        "only an installer writes");
  expect_contains(refusal_of({.entries = fake_wheel("pip", "24.2", {{.name = "pip/x", .content = ""}},
                                                    "[console_scripts]\n../x = a:b\n")}),
                  "entry_points.txt");
}

}  // namespace
}  // namespace vrun::builder
