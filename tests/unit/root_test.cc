#include "policy/host/root.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "policy/host/user_directories.h"
#include "tests/unit/fake_host.h"

namespace vrun {
namespace {

TEST(Paths, EntriesOfAList) {
  EXPECT_EQ(list_entries("/a:b::/c:"), (std::vector<std::string>{"/a", "b", "/c"}));
  EXPECT_EQ(list_entries(":"), std::vector<std::string>{});
  EXPECT_EQ(list_entries(""), std::vector<std::string>{});
}

using Names = std::vector<std::string>;
using Links = std::vector<Link>;

TEST(Paths, AbsolutePathIsTextOnly) {
  EXPECT_EQ(absolute_path("a", "/b"), "/b/a");
  EXPECT_EQ(absolute_path("/a//b/./c/..", "/x"), "/a/b");
  EXPECT_EQ(absolute_path("../../..", "/a/b"), "/");
  EXPECT_EQ(absolute_path("", "/a"), "/a");
  EXPECT_EQ(absolute_path("/", "/a"), "/");
  EXPECT_EQ(absolute_path("a/", "/"), "/a");
  EXPECT_EQ(absolute_path("...", "/"), "/...");
}

TEST(Paths, ParentAndBaseName) {
  EXPECT_EQ(parent_path("/usr/bin"), "/usr");
  EXPECT_EQ(parent_path("/usr"), "/");
  EXPECT_EQ(parent_path("/"), "/");
  EXPECT_EQ(base_name("/usr/bin"), "bin");
  EXPECT_EQ(base_name("bin"), "bin");
  EXPECT_EQ(base_name("/"), "");
}

TEST(Paths, JoinPutsOneSlash) {
  EXPECT_EQ(join("/", "a"), "/a");
  EXPECT_EQ(join("/a", "b"), "/a/b");
  EXPECT_EQ(join("/a/", "b"), "/a/b");
}

TEST(Paths, IsWithinComparesWholeNames) {
  EXPECT_TRUE(is_within("/a/b", "/a"));
  EXPECT_TRUE(is_within("/a", "/a"));
  EXPECT_TRUE(is_within("/a", "/"));
  EXPECT_TRUE(is_within("/", "/"));
  EXPECT_FALSE(is_within("/ab", "/a"));
  EXPECT_FALSE(is_within("/", "/a"));
}

TEST(Root, ReadsBelowItsDirectoryOnly) {
  FakeHost host;
  host.file("/etc/hostname", "fake\n");
  host.link("/absolute", "/etc/hostname").link("/up", "../../../etc/hostname");
  EXPECT_EQ(host.root().read_file("/etc/hostname", 100), "fake\n");
  EXPECT_EQ(host.root().read_file("/absolute", 100), "fake\n");
  EXPECT_EQ(host.root().read_file("/up", 100), "fake\n");
  EXPECT_EQ(host.root().read_file("/../../etc/hostname", 100), "fake\n");
}

TEST(Root, AbsenceIsAnAnswer) {
  FakeHost host;
  host.file("/file").link("/dangling", "nowhere");
  EXPECT_FALSE(host.root().stat("/none"));
  EXPECT_FALSE(host.root().stat("/file/below"));
  EXPECT_FALSE(host.root().stat("/dangling"));
  EXPECT_TRUE(host.root().lstat("/dangling"));
  EXPECT_FALSE(host.root().read_file("/none", 100));
  EXPECT_FALSE(host.root().read_link("/file"));
  EXPECT_FALSE(host.root().read_link("/none"));
  EXPECT_EQ(host.root().read_link("/dangling"), "nowhere");
  EXPECT_EQ(host.root().list("/none"), Names{});
  EXPECT_EQ(host.root().list("/file"), Names{});
}

TEST(Root, ANameWithNulIsAbsent) {
  FakeHost host;
  host.file("/file");
  EXPECT_FALSE(host.root().stat(std::string_view("/file\0x", 7)));
}

TEST(Root, ReadFileRefusesWhatItShould) {
  FakeHost host;
  host.file("/big", std::string(20000, 'x')).directory("/dir").fifo("/fifo").link("/loop", "loop");
  EXPECT_EQ(message_of([&] { host.root().read_file("/big", 19999); }),
            "'/big' is larger than 19999 bytes, the most that is read of it");
  EXPECT_EQ(host.root().read_file("/big", 20000)->size(), 20000U);
  EXPECT_EQ(message_of([&] { host.root().read_file("/dir", 100); }), "'/dir' is not a regular file");
  EXPECT_EQ(message_of([&] { host.root().read_file("/fifo", 100); }), "'/fifo' is not a regular file");
  EXPECT_EQ(message_of([&] { host.root().read_file("/loop", 100); }),
            "cannot read '/loop': ELOOP (Too many levels of symbolic links)");
}

TEST(Root, ListIsSorted) {
  FakeHost host;
  host.file("/d/b").file("/d/a").directory("/d/c").link("/d/l", "c").fifo("/d/f");
  EXPECT_EQ(host.root().list("/d"), (Names{"a", "b", "c", "f", "l"}));
  EXPECT_EQ(host.root().list_directories("/d"), (Names{"c", "l"}));
}

TEST(Root, TypesFollowLinks) {
  FakeHost host;
  host.file("/f").directory("/d").link("/lf", "f").link("/ld", "d");
  EXPECT_TRUE(host.root().is_regular("/lf"));
  EXPECT_FALSE(host.root().is_directory("/lf"));
  EXPECT_TRUE(host.root().is_directory("/ld"));
  EXPECT_TRUE(host.root().is_directory("/"));
  EXPECT_FALSE(host.root().is_regular("/none"));
}

TEST(Resolve, WithoutLinks) {
  FakeHost host;
  host.file("/usr/bin/python3.11");
  const Resolved resolved = host.root().resolve("/usr//bin/../bin/./python3.11");
  EXPECT_EQ(resolved.path, "/usr/bin/python3.11");
  EXPECT_EQ(resolved.links, Links{});
  EXPECT_TRUE(S_ISREG(resolved.status.st_mode));
  EXPECT_EQ(host.root().resolve("/").path, "/");
}

TEST(Resolve, RecordsLinksInOrder) {
  FakeHost host;
  host.directory("/usr/bin").link("/bin", "usr/bin");
  host.file("/usr/bin/python3.11").link("/usr/bin/python3", "python3.11").link("/usr/bin/python", "/bin/python3");
  const Resolved resolved = host.root().resolve("/bin/python");
  EXPECT_EQ(resolved.path, "/usr/bin/python3.11");
  EXPECT_EQ(resolved.links, (Links{{"/bin", "usr/bin"},
                                   {"/usr/bin/python", "/bin/python3"},
                                   {"/bin", "usr/bin"},
                                   {"/usr/bin/python3", "python3.11"}}));
  EXPECT_EQ(resolved.identity(), host.root().resolve("/usr/bin/python3.11").identity());
}

TEST(Resolve, DotDotCountsFromTheTarget) {
  FakeHost host;
  host.directory("/a/b/c").file("/a/b/file").link("/l", "a/b/c").link("/m", "a/b/c/../../..");
  EXPECT_EQ(host.root().resolve("/l/../file").path, "/a/b/file");
  EXPECT_EQ(host.root().resolve("/m").path, "/");
  EXPECT_EQ(host.root().resolve("/m/a").path, "/a");
  EXPECT_EQ(host.root().resolve("/l/../../../../a").path, "/a");
}

TEST(Resolve, AgreesWithTheKernel) {
  FakeHost host;
  host.file("/a/b/file").link("/a/up", "..").link("/a/b/self", ".").link("/one", "a/up/a/b").link("/two", "/one/self");
  for (const char* const path :
       {"/one/file", "/two/file", "/two/self/self/file", "/a/up/one/../b/file", "/two/", "/a/up"}) {
    const auto status = host.root().stat(path);
    ASSERT_TRUE(status) << path;
    EXPECT_EQ(host.root().resolve(path).identity(), (FileIdentity{status->st_dev, status->st_ino})) << path;
  }
}

TEST(Resolve, FailsAsTheKernelDoes) {
  FakeHost host;
  host.file("/file").link("/dangling", "nowhere").link("/loop", "loop").link("/a", "b").link("/b", "a");
  EXPECT_EQ(message_of([&] { host.root().resolve("/none/x"); }),
            "cannot find '/none/x': ENOENT (No such file or directory)");
  EXPECT_EQ(message_of([&] { host.root().resolve("/dangling"); }),
            "cannot find '/dangling': ENOENT (No such file or directory)");
  EXPECT_EQ(message_of([&] { host.root().resolve("/file/x"); }), "cannot find '/file/x': ENOTDIR (Not a directory)");
  EXPECT_EQ(message_of([&] { host.root().resolve("/file/"); }), "cannot find '/file/': ENOTDIR (Not a directory)");
  EXPECT_EQ(message_of([&] { host.root().resolve("/loop"); }),
            "cannot follow '/loop': ELOOP (Too many levels of symbolic links)");
  EXPECT_EQ(message_of([&] { host.root().resolve("/a/x"); }),
            "cannot follow '/a/x': ELOOP (Too many levels of symbolic links)");
}

TEST(Resolve, FollowsFortyLinksAndNoMore) {
  FakeHost host;
  host.file("/0");
  for (int i = 1; i <= 41; ++i) host.link("/" + std::to_string(i), std::to_string(i - 1));
  EXPECT_EQ(host.root().resolve("/40").path, "/0");
  EXPECT_EQ(host.root().resolve("/40").links.size(), 40U);
  EXPECT_EQ(message_of([&] { host.root().resolve("/41"); }),
            "cannot follow '/41': ELOOP (Too many levels of symbolic links)");
}

TEST(FakeHost, IsRemovedAfterwards) {
  std::string directory;
  {
    FakeHost host = FakeHost::debian();
    directory = host.on_disk("");
    host.directory("/locked", 0000);
    EXPECT_EQ(::access(directory.c_str(), F_OK), 0);
  }
  EXPECT_NE(::access(directory.c_str(), F_OK), 0);
}

TEST(UserDirectory, IsThatOfTheVariableElseTheUsualOne) {
  EXPECT_EQ(user_directory("/x/../c/", "/home/me", ".cache"), "/c");
  EXPECT_EQ(user_directory("", "/home/me/", ".cache"), "/home/me/.cache");
  EXPECT_EQ(user_directory("relative", "/home/me", ".local/share"), "/home/me/.local/share");
  EXPECT_EQ(user_directory("/c", "", ".cache"), "/c");
  EXPECT_EQ(user_directory("relative", "", ".cache"), "");
  EXPECT_EQ(user_directory("", "relative", ".cache"), "");
}

}  // namespace
}  // namespace vrun
