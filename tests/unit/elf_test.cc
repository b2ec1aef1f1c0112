#include "policy/host/elf.h"

#include <elf.h>
#include <gtest/gtest.h>

#include "tests/unit/fake_host.h"

namespace vrun {
namespace {

FakeElf full() {
  FakeElf content;
  content.interpreter = "/lib64/ld-linux-x86-64.so.2";
  content.needed = {"libpython3.13.so.1.0", "libc.so.6"};
  content.runpath = "$ORIGIN/../lib";
  content.python_version = 0x030D00F0;
  content.strings = {"cpython-313", ".cpython-313-x86_64-linux-gnu.so"};
  return content;
}

class ElfFile : public testing::Test {
 protected:
  Elf open(const std::string& content) {
    host_.file("/program", content, 0755);
    return Elf::open(host_.root(), "/program");
  }
  std::string refusal(const std::string& content) {
    return message_of([&] { open(content); });
  }
  std::string first_text(const Elf& elf, std::string_view text) {
    std::string found = "nothing";
    elf.find_text(".rodata", text, [&](char, std::string_view string) {
      found = string;
      return true;
    });
    return found;
  }

  FakeHost host_;
};

TEST_F(ElfFile, SaysWhatIsInIt) {
  for (const bool is_64bit : {true, false}) {
    FakeElf content = full();
    content.is_64bit = is_64bit;
    const Elf elf = open(fake_elf(content));
    EXPECT_EQ(elf.is_64bit(), is_64bit);
    EXPECT_EQ(elf.machine(), kNativeMachine);
    EXPECT_EQ(elf.type(), ET_DYN);
    EXPECT_EQ(elf.mode() & 0777, 0755U);
    EXPECT_EQ(elf.interpreter(), "/lib64/ld-linux-x86-64.so.2");
    EXPECT_EQ(elf.needed(), (std::vector<std::string>{"libpython3.13.so.1.0", "libc.so.6"}));
    EXPECT_EQ(elf.runpath(), "$ORIGIN/../lib");
    EXPECT_EQ(elf.symbol_value("Py_Version", 4), 0x030D00F0U);
    EXPECT_EQ(elf.symbol_value("Py_Version", 8).has_value(), is_64bit);
    EXPECT_EQ(first_text(elf, ".cpython-3"), ".cpython-313-x86_64-linux-gnu.so");
  }
}

TEST_F(ElfFile, RunpathComesBeforeRpath) {
  FakeElf content = full();
  content.rpath = "/old";
  EXPECT_EQ(open(fake_elf(content)).runpath(), "$ORIGIN/../lib");
  content.runpath.clear();
  EXPECT_EQ(open(fake_elf(content)).runpath(), "/old");
}

TEST_F(ElfFile, StaticProgramHasNoInterpreter) {
  const Elf elf = open(fake_elf({}));
  EXPECT_EQ(elf.interpreter(), "");
  EXPECT_TRUE(elf.needed().empty());
  EXPECT_FALSE(elf.symbol_value("Py_Version", 8));
  EXPECT_EQ(first_text(elf, ".cpython-3"), "nothing");
}

TEST_F(ElfFile, SymbolNamesAreComparedWhole) {
  const Elf elf = open(fake_elf(full()));
  EXPECT_FALSE(elf.symbol_value("Py_Versio", 8));
  EXPECT_FALSE(elf.symbol_value("Py_Version2", 8));
}

TEST_F(ElfFile, TextIsFoundWhereverThePiecesEnd) {
  // The file is read in pieces of 64 KiB that overlap; the string is moved over each place of such a border.
  for (std::size_t before = 65535 - 200; before < 65536 + 20; ++before) {
    FakeElf content;
    content.strings = {std::string(before, 'x'), "needle-abc", std::string(70000, 'y')};
    const Elf elf = open(fake_elf(content));
    int seen = 0;
    elf.find_text(".rodata", "needle", [&](char character, std::string_view string) {
      EXPECT_EQ(string, "needle-abc");
      EXPECT_EQ(character, '\0');
      ++seen;
      return false;
    });
    ASSERT_EQ(seen, 1) << before;
  }
}

TEST_F(ElfFile, TellsTheCharacterBeforeAText) {
  FakeElf content;
  content.strings = {"/opt/3.9.18"};
  char seen = '?';
  open(fake_elf(content)).find_text(".rodata", "3.9.", [&](char before, std::string_view) {
    return seen = before, true;
  });
  EXPECT_EQ(seen, '/');
}

TEST_F(ElfFile, LongTextIsCutOff) {
  FakeElf content;
  content.strings = {"needle" + std::string(1000, 'x')};
  EXPECT_EQ(first_text(open(fake_elf(content)), "needle"), "needle" + std::string(122, 'x'));
}

TEST_F(ElfFile, WithoutSectionsTextIsStillFound) {
  std::string bytes = fake_elf(full());
  Elf64_Ehdr header{};
  bytes.copy(reinterpret_cast<char*>(&header), sizeof header);
  header.e_shnum = 0;
  bytes.replace(0, sizeof header, reinterpret_cast<const char*>(&header), sizeof header);
  const Elf elf = open(bytes);
  EXPECT_EQ(first_text(elf, ".cpython-3"), ".cpython-313-x86_64-linux-gnu.so");
  EXPECT_FALSE(elf.symbol_value("Py_Version", 8));
}

TEST_F(ElfFile, RefusesWhatIsNoProgram) {
  EXPECT_EQ(refusal(""), "'/program' is empty, not a program");
  EXPECT_EQ(refusal("#!/bin/sh\n"), "'/program' is a script, not an ELF program");
  EXPECT_EQ(refusal("MZ\x90"), "'/program' is not an ELF program");
  EXPECT_EQ(refusal(std::string(64, '\0')), "'/program' is not an ELF program");
  EXPECT_EQ(refusal("\x7f"
                    "ELF"),
            "'/program' is a truncated ELF program");
  std::string big = fake_elf({});
  big[EI_DATA] = ELFDATA2MSB;
  EXPECT_EQ(refusal(big), "'/program' is a program for a big-endian machine");
  std::string odd = fake_elf({});
  odd[EI_CLASS] = 7;
  EXPECT_EQ(refusal(odd), "'/program' is not an ELF program");
  FakeElf object;
  object.type = ET_REL;
  EXPECT_EQ(refusal(fake_elf(object)), "'/program' is neither a program nor a shared library");
}

TEST_F(ElfFile, RefusesOtherKindsOfFile) {
  host_.fifo("/fifo").directory("/dir").link("/loop", "loop");
  EXPECT_EQ(message_of([&] { Elf::open(host_.root(), "/fifo"); }), "'/fifo' is not a regular file");
  EXPECT_EQ(message_of([&] { Elf::open(host_.root(), "/dir"); }), "'/dir' is not a regular file");
  EXPECT_EQ(message_of([&] { Elf::open(host_.root(), "/none"); }),
            "cannot open '/none': ENOENT (No such file or directory)");
  EXPECT_EQ(message_of([&] { Elf::open(host_.root(), "/loop"); }),
            "cannot open '/loop': ELOOP (Too many levels of symbolic links)");
}

TEST_F(ElfFile, EveryTruncationIsRefusedOrHarmless) {
  const std::string whole = fake_elf(full());
  for (std::size_t size = 4; size < whole.size(); ++size) {
    // The one segment reaches to the end of the file, so that each shorter file is a truncated one.
    ASSERT_EQ(refusal(whole.substr(0, size)), "'/program' is a truncated ELF program") << size;
  }
}

TEST_F(ElfFile, EveryDamagedByteIsRefusedOrHarmless) {
  const std::string whole = fake_elf(full());
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (const char value : {'\x00', '\x7f', '\xff'}) {
      std::string bytes = whole;
      bytes[at] = value;
      message_of([&] {
        const Elf elf = open(bytes);
        elf.symbol_value("Py_Version", 8);
        first_text(elf, ".cpython-3");
      });
    }
  }
}

TEST(MachineName, NamesTheUsualOnes) {
  EXPECT_EQ(machine_name(EM_X86_64), "x86-64");
  EXPECT_EQ(machine_name(EM_AARCH64), "AArch64");
  EXPECT_EQ(machine_name(4242), "machine 4242");
}

}  // namespace
}  // namespace vrun
