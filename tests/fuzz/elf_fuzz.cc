// Whatever a file contains that calls itself a program, questions about it are answered or refused with an Error.

#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "policy/error.h"
#include "policy/host/elf.h"

namespace {

/// A file of its own for this process, in memory where the system has such a place.
class Scratch {
 public:
  Scratch() {
    std::string name = std::filesystem::exists("/dev/shm") ? "/dev/shm/elf-fuzz-XXXXXX" : "/tmp/elf-fuzz-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    directory_ = name;
  }
  ~Scratch() { std::filesystem::remove_all(directory_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  const std::string& directory() const { return directory_; }
  void write(const std::uint8_t* data, std::size_t size) const {
    std::ofstream(directory_ + "/program", std::ios::binary | std::ios::trunc)
        .write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  }

 private:
  std::string directory_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Scratch scratch;
  static const vrun::Root root = vrun::Root::at(scratch.directory());
  scratch.write(data, size);
  try {
    const vrun::Elf elf = vrun::Elf::open(root, "/program");
    elf.symbol_value("Py_Version", 8);
    elf.symbol_value("Py_Version", 4);
    for (const char* const section : {".rodata", ".data"}) {
      elf.find_text(section, ".cpython-3", [](char, std::string_view string) {
        if (string.size() > 128 || string.substr(0, 10) != ".cpython-3") std::abort();
        return false;
      });
    }
    for (const std::string& name : elf.needed())
      if (name.find('\0') != std::string::npos) std::abort();
  } catch (const vrun::Error&) {
  }
  return 0;
}
