#include "builder/scripts.h"

#include <gtest/gtest.h>

#include "policy/error.h"

namespace vrun::builder {
namespace {

const EntryPoint kPip{"pip", "pip._internal.cli.main", "main"};

std::string text(const char* pip, const EntryPoint& point = kPip) {
  return script_text(point, "/e/bin/python3", *parse_version(pip));
}

TEST(Scripts, AreThoseOfTheirPip) {
  EXPECT_EQ(
      text("23.0.1"),
      "#!/e/bin/python3\n# -*- coding: utf-8 -*-\nimport re\nimport sys\nfrom pip._internal.cli.main import main\n"
      "if __name__ == '__main__':\n    sys.argv[0] = re.sub(r'(-script\\.pyw|\\.exe)?$', '', sys.argv[0])\n"
      "    sys.exit(main())\n");
  EXPECT_EQ(text("25.1.1"), text("23.0.1"));
  EXPECT_EQ(text("25.2"),
            "#!/e/bin/python3\nimport sys\nfrom pip._internal.cli.main import main\nif __name__ == '__main__':\n"
            "    if sys.argv[0].endswith('.exe'):\n        sys.argv[0] = sys.argv[0][:-4]\n    sys.exit(main())\n");
  EXPECT_EQ(text("26.0"),
            "#!/e/bin/python3\nimport sys\nfrom pip._internal.cli.main import main\nif __name__ == '__main__':\n"
            "    sys.argv[0] = sys.argv[0].removesuffix('.exe')\n    sys.exit(main())\n");
}

TEST(Scripts, AreThoseOfTheNewestPipWhereThereIsNone) {
  const EntryPoint point{"x", "m", "f"};
  EXPECT_EQ(script_text(point, "/e/bin/python3", std::nullopt), text("26.0", point));
  EXPECT_NE(script_text(point, "/e/bin/python3", std::nullopt), text("25.2", point));
}

TEST(Scripts, ImportTheFirstPartAndCallTheWhole) {
  const std::string script = text("26.0", {"x", "m.n", "Class.method"});
  EXPECT_NE(script.find("from m.n import Class\n"), std::string::npos);
  EXPECT_NE(script.find("sys.exit(Class.method())\n"), std::string::npos);
}

TEST(Scripts, OfAWheelGetTheInterpreter) {
  EXPECT_EQ(adapt_script("#!python -u\nx\n", "/e/bin/python"), "#!/e/bin/python\nx\n");
  EXPECT_EQ(adapt_script("#!pythonw\r\nx\r\n", "/e/bin/python"), "#!/e/bin/python\nx\r\n");
  EXPECT_EQ(adapt_script("#!python", "/e/bin/python"), "#!/e/bin/python\n");
  EXPECT_EQ(adapt_script("#!python\nx", "/e f/bin/python"),
            "#!/bin/sh\n'''exec' '/e f/bin/python' \"$0\" \"$@\"\n' '''\nx");
  for (const char* const other : {"", "#!/usr/bin/python\n", " #!python\n", "#! python\n"})
    EXPECT_FALSE(adapt_script(other, "/e/bin/python")) << other;
}

TEST(Shebang, IsDirectWhereTheKernelTakesIt) {
  EXPECT_EQ(shebang("/e/bin/python3"), "#!/e/bin/python3\n");
  EXPECT_EQ(shebang("/it's $(here)\x21/p").substr(0, 10), "#!/bin/sh\n") << "a space ends the path";
  EXPECT_EQ(shebang("/it's$(here)/p"), "#!/it's$(here)/p\n") << "the kernel expands nothing";
  const std::string longest = "/" + std::string(123, 'a');  // "#!" and the newline make 127
  EXPECT_EQ(shebang(longest), "#!" + longest + "\n");
  EXPECT_EQ(shebang(longest + "a"), "#!/bin/sh\n'''exec' " + longest + "a \"$0\" \"$@\"\n' '''\n");
}

TEST(Shebang, LetsTheShellExpandNothing) {
  EXPECT_EQ(shebang("/a $(touch x) `y` b/p"), "#!/bin/sh\n'''exec' '/a $(touch x) `y` b/p' \"$0\" \"$@\"\n' '''\n");
  EXPECT_EQ(shebang("/it's a/p"), "#!/bin/sh\n'''exec' '/it'\"'\"'s a/p' \"$0\" \"$@\"\n' '''\n");
  EXPECT_EQ(shebang("/a \\x/p"), "#!/bin/sh\n'''exec' '/a '\"\\\\\"'x/p' \"$0\" \"$@\"\n' '''\n");
}

TEST(EntryPoints, AreReadFromTheTwoSections) {
  const auto points = parse_entry_points(
      "[other]\nx = y\n[console_scripts]\n# comment\nPip = a.b:c [extra]\n\n[gui_scripts]\ngui=m:f.g\n", "/w/e.txt");
  EXPECT_EQ(points, (std::vector<EntryPoint>{{"Pip", "a.b", "c"}, {"gui", "m", "f.g"}}));
}

TEST(EntryPoints, OfPipGetTheVersionOfThePython) {
  const auto points = adapt_entry_points(
      {{"pip", "m", "f"}, {"pip3", "m", "f"}, {"pip3.7", "m", "f"}, {"pipx", "n", "g"}}, {.major = 3, .minor = 12});
  std::vector<std::string> names;
  names.reserve(points.size());
  for (const EntryPoint& point : points) names.push_back(point.name);
  EXPECT_EQ(names, (std::vector<std::string>{"pipx", "pip", "pip3.12", "pip3"}));
}

TEST(EntryPoints, NeverLeaveBinNorTakeTheInterpretersPlace) {
  for (const char* const name :
       {"../x", "/x", "a/b", "..", ".", ".hidden", "-rf", "a b", "python", "python3", "python3.12", "Python3.13t",
        "pypy3", "activate", "activate.fish", "Activate.ps1", "deactivate", "a\tb", "\u00e9"})
    EXPECT_THROW(parse_entry_points("[console_scripts]\n" + std::string(name) + " = m:f\n", "/w"), Error) << name;
  for (const char* const reference :
       {"m", "m:", ":f", "m:f;import os", "m:f()", "m n:f", "m:f\\ng", "m-n:f", "1m:f", "m..n:f"})
    EXPECT_THROW(parse_entry_points("[console_scripts]\nx = " + std::string(reference) + "\n", "/w"), Error)
        << reference;
  EXPECT_THROW(parse_entry_points("[console_scripts]\nx = m:f\nx = m:g\n", "/w"), Error);
  EXPECT_THROW(parse_entry_points("[console_scripts]\nx\n", "/w"), Error);
  EXPECT_THROW(parse_entry_points("[console_scripts\nx = m:f\n", "/w"), Error);
  EXPECT_NO_THROW(parse_entry_points("[console_scripts]\npython-config = m:f\npytest = m:f\n", "/w"));
}

}  // namespace
}  // namespace vrun::builder
