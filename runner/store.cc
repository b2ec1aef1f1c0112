#include "runner/store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

#include "policy/host/fd.h"
#include "policy/host/root.h"

namespace vrun {

void store_file(const std::string& path, const std::string& text) {
  const std::string directory = parent_path(path);
  ::mkdir(parent_path(directory).c_str(), 0700);
  ::mkdir(directory.c_str(), 0700);
  const Fd place(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!place.valid()) return;
  const std::string name = base_name(path);
  const std::string temporary = name + "." + std::to_string(::getpid());
  const Fd file(::openat(place.get(), temporary.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file.valid()) return;
  const bool written = ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (!written || ::renameat(place.get(), temporary.c_str(), place.get(), name.c_str()) != 0)
    ::unlinkat(place.get(), temporary.c_str(), 0);
}

}  // namespace vrun
