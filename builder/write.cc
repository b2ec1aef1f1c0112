#include "builder/write.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <exception>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

#include "builder/bytecode.h"
#include "builder/disk.h"
#include "builder/zip.h"
#include "policy/error.h"
#include "policy/host/root.h"

namespace vrun::builder {
namespace {

/// What a stage in the directory itself is called; one beside it is called after it.
constexpr const char* kStageSuffix = ".vbuild-";
/// Leaves room for the suffix and the random part in a name of 255 bytes.
constexpr std::size_t kLongestStem = 200;

int rename_at(int from, const std::string& name, int to, const std::string& new_name, unsigned flags) {
  return static_cast<int>(::syscall(SYS_renameat2, from, name.c_str(), to, new_name.c_str(), flags));
}

/// Holds back the signals that people and service managers stop programs with. A build takes milliseconds; ended in
/// between it would leave its stage behind.
class SignalsHeld {
 public:
  SignalsHeld() {
    sigset_t signals;
    sigemptyset(&signals);
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) sigaddset(&signals, number);
    ::pthread_sigmask(SIG_BLOCK, &signals, &before_);
  }
  ~SignalsHeld() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsHeld(const SignalsHeld&) = delete;
  SignalsHeld& operator=(const SignalsHeld&) = delete;

 private:
  sigset_t before_{};
};

/// Directories that were made on the way to the parent of ENV_DIR; they go again when the build fails.
class NewParents {
 public:
  explicit NewParents(const std::string& path) {
    for (std::size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
      const std::string part = path.substr(0, slash);
      if (::mkdir(part.c_str(), 0777) == 0) {
        made_.push_back(part);
      } else if (errno != EEXIST && errno != EISDIR) {
        const int error_number = errno;
        // EROFS and EACCES come before EEXIST on some file systems; what exists need not be made.
        struct stat status {};
        if (::stat(part.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) {
          remove();
          throw Error("cannot make the directory", part, error_number);
        }
      }
      if (slash == std::string::npos) return;
    }
  }
  ~NewParents() { remove(); }
  NewParents(const NewParents&) = delete;
  NewParents& operator=(const NewParents&) = delete;
  void keep() { made_.clear(); }

 private:
  void remove() {
    // Not empty any more: somebody else uses it now.
    for (; !made_.empty(); made_.pop_back())
      if (::rmdir(made_.back().c_str()) != 0) return;
  }
  std::vector<std::string> made_;
};

Fd open_parent(int directory, const std::string& path, const std::string& message_path) {
  const std::size_t slash = path.rfind('/');
  const std::string parent = slash == std::string::npos ? "." : path.substr(0, slash);
  Fd fd = open_beneath(directory, parent, O_PATH | O_DIRECTORY);
  if (fd.valid()) return fd;
  const int error_number = errno;
  throw Error("cannot use the directory of", message_path, error_number)
      .hint(error_number == ELOOP ? "a symbolic link is not followed here" : "");
}

std::string entry_path(const Entry& entry) {
  return std::visit([](const auto& value) { return value.path; }, entry);
}

/// As many threads as there are processors for us, but no more than the work is worth.
unsigned count_threads(std::size_t files) {
  cpu_set_t processors;
  const int available = ::sched_getaffinity(0, sizeof processors, &processors) == 0 ? CPU_COUNT(&processors) : 1;
  return static_cast<unsigned>(
      std::clamp<std::size_t>(files / 50, 1, static_cast<std::size_t>(std::min(available, 4))));
}

}  // namespace

/// One walk over the entries of a layout.
class Writer {
 public:
  Writer(Target& target, const Layout& layout, const std::vector<Wheel>& wheels)
      : target_(target), layout_(layout), wheels_(wheels) {}

  Outcome create() {
    remove_stale_stages(target_.parent_.get(), target_.parent_path_, sibling_prefix());
    Stage stage(target_.parent_.get(), target_.parent_path_, sibling_prefix());
    write(stage.fd());
    if (rename_at(target_.parent_.get(), stage.name(), target_.parent_.get(), target_.name_, RENAME_NOREPLACE) != 0) {
      if (errno == EEXIST || errno == ENOTEMPTY) return Outcome::overtaken;
      // Some file systems know no flags. Without them rename(2) still never replaces a directory that has something in
      // it.
      if ((errno != EINVAL && errno != ENOSYS) ||
          ::renameat(target_.parent_.get(), stage.name().c_str(), target_.parent_.get(), target_.name_.c_str()) != 0) {
        if (errno == EEXIST || errno == ENOTEMPTY) return Outcome::overtaken;
        throw Error("cannot put the environment at", target_.path_, errno);
      }
    }
    stage.release();
    return Outcome::written;
  }

  /// Puts a new directory in the place of the old one in one step, where that is possible.
  void replace() {
    remove_stale_stages(target_.parent_.get(), target_.parent_path_, sibling_prefix());
    auto stage = make_sibling_of_same_owner();
    if (!stage) return clear_and_merge();
    write(stage->fd());
    if (::fchmod(stage->fd().get(), target_.status_.st_mode & 07777) != 0 ||
        rename_at(target_.parent_.get(), stage->name(), target_.parent_.get(), target_.name_, RENAME_EXCHANGE) != 0) {
      // Directories of a lower layer of overlayfs cannot be renamed, and some file systems cannot exchange.
      stage.reset();
      return clear_and_merge();
    }
    const std::string name = stage->name();
    stage->release();
    remove_tree(target_.parent_.get(), name, join(target_.parent_path_, name));
  }

  void merge() {
    remove_stale_stages(target_.parent_.get(), target_.parent_path_, sibling_prefix());
    remove_stale_stages(target_.fd_.get(), target_.path_, kStageSuffix);
    check_places();
    {
      Stage stage(target_.fd_.get(), target_.path_, kStageSuffix);
      write(stage.fd());
      move_in(stage.fd());
    }
    set_times(target_.fd_, Owned::perhaps);
  }

 private:
  std::string sibling_prefix() const { return "." + target_.name_.substr(0, kLongestStem) + kStageSuffix; }

  std::unique_ptr<Stage> make_sibling_of_same_owner() {
    try {
      auto stage = std::make_unique<Stage>(target_.parent_.get(), target_.parent_path_, sibling_prefix());
      struct stat status {};
      const bool same = ::fstat(stage->fd().get(), &status) == 0 && status.st_uid == target_.status_.st_uid &&
                        status.st_gid == target_.status_.st_gid;
      if (same || ::fchown(stage->fd().get(), target_.status_.st_uid, target_.status_.st_gid) == 0) return stage;
    } catch (const Error&) {
      // The user may write to ENV_DIR and not to the directory that it is in.
    }
    return nullptr;
  }

  void clear_and_merge() {
    {
      Stage stage(target_.fd_.get(), target_.path_, kStageSuffix);
      write(stage.fd());
      remove_content(target_.fd_, stage.name(), target_.path_);
      move_in(stage.fd());
    }
    set_times(target_.fd_, Owned::perhaps);
  }

  std::string message_path(const std::string& path) const { return join(target_.path_, path); }

  /// For errno as it is now, before anything is formatted.
  [[noreturn]] void fail(const char* operation, const std::string& path) const {
    const int error_number = errno;
    throw Error(operation, message_path(path), error_number);
  }

  Fd create_file(int root, const std::string& path, mode_t mode) const {
    Fd fd = open_beneath(root, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
    if (!fd.valid()) fail("cannot write", path);
    return fd;
  }

  // In the stage everything is new.

  void make(int root, const Directory& entry) const {
    const Fd parent = open_parent(root, entry.path, message_path(entry.path));
    if (::mkdirat(parent.get(), base_name(entry.path).c_str(), 0777) != 0)
      fail("cannot make the directory", entry.path);
  }
  void make(int root, const SymbolicLink& entry) const {
    const Fd parent = open_parent(root, entry.path, message_path(entry.path));
    if (::symlinkat(entry.target.c_str(), parent.get(), base_name(entry.path).c_str()) != 0) {
      const int error_number = errno;
      throw Error("cannot make the link", message_path(entry.path), error_number)
          .hint(error_number == EPERM || error_number == EOPNOTSUPP ? "this file system has no symbolic links" : "");
    }
  }
  void make(int root, const TextFile& entry) const {
    const Fd file = create_file(root, entry.path, 0666);
    write_all(file, entry.content, message_path(entry.path));
    if (entry.mode && ::fchmod(file.get(), *entry.mode) != 0) fail("cannot set the mode of", entry.path);
  }
  void make(int root, const CopiedProgram& entry) const {
    const Fd file = create_file(root, entry.path, 0777);
    copy_content(entry.source, file, message_path(entry.path));
    if (::fchmod(file.get(), 0755) != 0) fail("cannot set the mode of", entry.path);
  }
  void make(int, const WheelFile&) const {}  // in write_wheel_files

  void make_from_wheel(int root, const WheelFile& entry, Inflater& inflater) const {
    const Wheel& wheel = wheels_[entry.wheel];
    const std::string_view content = inflater.inflate(wheel.archive, wheel.archive.members()[entry.member]);
    check(wheel, entry.member, content);
    const Fd file = create_file(root, entry.path, 0666);
    write_all(file, content, message_path(entry.path));
    if (entry.mode && ::fchmod(file.get(), *entry.mode) != 0) fail("cannot set the mode of", entry.path);
    if (entry.bytecode.empty()) return;
    // The compiled form says which time its source has; a time that was set stays on every file system.
    const timespec times[2]{time_, time_};
    if (::futimens(file.get(), times) != 0) fail("cannot set the time of", entry.path);
    const std::string compiled =
        wheel.bytecode->read(wheel.archive.members()[entry.member].name, static_cast<std::uint32_t>(time_.tv_sec));
    write_all(create_file(root, entry.bytecode, 0666), compiled, message_path(entry.bytecode));
  }

  void write(const Fd& root) const {
    for (const Entry& entry : layout_.entries) std::visit([&](const auto& value) { make(root.get(), value); }, entry);
    write_wheel_files(root);
    set_times(root, Owned::yes);
  }

  /// Whether what is written to is ours. The time of somebody else's directory can only be set to now.
  enum class Owned { yes, perhaps };

  /// Once everything is in place, because a directory's time changes with what is put into it.
  void set_times(const Fd& root, Owned owned) const {
    if (!layout_.time) return;
    const timespec times[2]{time_, time_};
    const auto set = [&](const std::string& path) {
      const Fd parent = open_parent(root.get(), path, message_path(path));
      if (::utimensat(parent.get(), base_name(path).c_str(), times, AT_SYMLINK_NOFOLLOW) != 0 &&
          (owned == Owned::yes || errno != EPERM))
        fail("cannot set the time of", path);
    };
    for (const Entry& entry : layout_.entries) {
      set(entry_path(entry));
      if (const auto* const file = std::get_if<WheelFile>(&entry); file != nullptr && !file->bytecode.empty())
        set(file->bytecode);
    }
    if (::futimens(root.get(), times) != 0 && (owned == Owned::yes || errno != EPERM))
      fail("cannot set the time of", "");
  }

  /// Most of the time of a build goes into decompressing, hashing and creating some five hundred files; threads share
  /// it.
  void write_wheel_files(const Fd& root) const {
    std::vector<const WheelFile*> files;
    for (const Entry& entry : layout_.entries)
      if (const auto* const file = std::get_if<WheelFile>(&entry)) files.push_back(file);
    if (files.empty()) return;

    constexpr std::size_t portion = 8;
    std::atomic<std::size_t> next{0};
    std::mutex mutex;
    std::exception_ptr failure;
    const auto work = [&] {
      try {
        Inflater inflater;
        for (;;) {
          const std::size_t first = next.fetch_add(portion);
          if (first >= files.size()) return;
          for (std::size_t i = first; i < std::min(first + portion, files.size()); ++i)
            make_from_wheel(root.get(), *files[i], inflater);
        }
      } catch (...) {
        next = files.size();
        const std::lock_guard lock(mutex);
        if (!failure) failure = std::current_exception();
      }
    };
    std::vector<std::thread> threads;
    try {
      for (unsigned i = 1; i < count_threads(files.size()); ++i) threads.emplace_back(work);
    } catch (const std::system_error&) {
      // RLIMIT_NPROC or pids.max: this thread does it alone.
    }
    work();
    for (std::thread& thread : threads) thread.join();
    if (failure) std::rethrow_exception(failure);
  }

  /// The directories that are shared with what is there are directories, and no file of a wheel has a directory in its
  /// place, before anything is changed.
  void check_places() {
    for (const Removal& removal : layout_.removals)
      if (removal.in_the_way) in_the_way_.insert(removal.path);
    std::set<std::string, std::less<>> owned;  // what is in these is replaced with them
    for (const Entry& entry : layout_.entries) {
      const auto* const directory = std::get_if<Directory>(&entry);
      if (directory == nullptr) {
        const std::string path = entry_path(entry);
        if (!owned.contains(parent_path(path))) check_place_of_file(path);
        continue;
      }
      if (directory->owned) {
        owned.insert(directory->path);
        continue;
      }
      if (open_beneath(target_.fd_.get(), directory->path, O_PATH | O_DIRECTORY).valid() || errno == ENOENT) continue;
      const int error_number = errno;
      if (error_number == ENOTDIR && is_in_the_way(directory->path)) continue;
      throw Error("cannot use the directory", message_path(directory->path), error_number)
          .hint(error_number == ELOOP ? "a symbolic link is not followed here" : "");
    }
  }

  /// Whether a file that is to go stands there, or in place of a directory above.
  bool is_in_the_way(const std::string& path) const {
    for (std::size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1))
      if (in_the_way_.contains(path.substr(0, slash))) return true;
    return in_the_way_.contains(path);
  }

  void check_place_of_file(const std::string& path) {
    struct stat status {};
    const Fd there = open_beneath(target_.fd_.get(), path, O_PATH | O_NOFOLLOW);
    if (!there.valid() || ::fstat(there.get(), &status) != 0 || !S_ISDIR(status.st_mode)) return;
    const std::string below = path + "/";
    const auto first = in_the_way_.lower_bound(below);
    const bool goes = first != in_the_way_.end() && first->starts_with(below);
    const std::string foreign = goes ? find_foreign(path) : "";
    if (!goes || !foreign.empty())
      throw Error("cannot write " + quote(message_path(path)) + ": a directory stands there" +
                  (foreign.empty() ? "" : ", with " + quote(message_path(foreign)) + " of somebody else in it"))
          .hint("move it away");
    directories_in_the_way_.insert(path);
  }

  /// The first file in `directory` that is not to go; empty when all are.
  std::string find_foreign(const std::string& directory) const {
    const Fd fd = open_beneath(target_.fd_.get(), directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!fd.valid()) fail("cannot open", directory);
    for (const auto& [name, is_directory] : list_directory(fd, message_path(directory))) {
      const std::string path = join(directory, name);
      if (std::string foreign = is_directory                 ? find_foreign(path)
                                : in_the_way_.contains(path) ? ""
                                                             : path;
          !foreign.empty())
        return foreign;
    }
    return {};
  }

  void move_in(const Fd& stage) {
    std::set<std::string, std::less<>> moved;  // directories that are there with everything in them
    bool removed = false;                      // what goes is gone
    for (const Entry& entry : layout_.entries) {
      const std::string path = entry_path(entry);
      const auto* const directory = std::get_if<Directory>(&entry);
      if (!removed && (path == "pyvenv.cfg" || path.ends_with(".dist-info"))) {
        remove_outdated(stage);
        removed = true;
      }
      if (moved.contains(parent_path(path))) {
        if (directory != nullptr) moved.insert(path);
      } else if (directory != nullptr && !directory->owned) {
        const Fd parent = open_parent(target_.fd_.get(), path, message_path(path));
        const std::string name = base_name(path);
        int status = ::mkdirat(parent.get(), name.c_str(), 0777);
        if (status != 0 && errno == EEXIST && in_the_way_.contains(path) && put_aside(parent, name, stage))
          status = ::mkdirat(parent.get(), name.c_str(), 0777);
        if (status != 0 && errno != EEXIST) fail("cannot make the directory", path);
      } else {
        if (const auto* const file = std::get_if<WheelFile>(&entry); file != nullptr && !file->bytecode.empty())
          move(stage, file->bytecode, false);
        move(stage, path, directory != nullptr);
        if (directory != nullptr) moved.insert(path);
      }
    }
  }

  void move(const Fd& stage, const std::string& path, bool directory) {
    const Fd from = open_parent(stage.get(), path, message_path(path));
    const Fd to = open_parent(target_.fd_.get(), path, message_path(path));
    const std::string name = base_name(path);
    if (!directory) {
      if (::renameat(from.get(), name.c_str(), to.get(), name.c_str()) == 0) return;
      if (errno == EISDIR && directories_in_the_way_.contains(path) && put_aside(to, name, stage) &&
          ::renameat(from.get(), name.c_str(), to.get(), name.c_str()) == 0)
        return;
    } else {
      if (rename_at(from.get(), name, to.get(), name, RENAME_NOREPLACE) == 0) return;
      if (errno == EEXIST && rename_at(from.get(), name, to.get(), name, RENAME_EXCHANGE) == 0) return;
      // Where directories cannot be exchanged, the old one goes aside first.
      if ((errno == EINVAL || errno == EXDEV) && put_aside(to, name, stage) &&
          ::renameat(from.get(), name.c_str(), to.get(), name.c_str()) == 0)
        return;
    }
    fail("cannot replace", path);
  }

  /// Into the stage, which is removed at the end.
  bool put_aside(const Fd& from, const std::string& name, const Fd& stage) {
    const std::string aside = ".old-" + std::to_string(aside_++);
    return ::renameat(from.get(), name.c_str(), stage.get(), aside.c_str()) == 0 || errno == ENOENT;
  }

  void remove_outdated(const Fd& stage) {
    for (const Removal& removal : layout_.removals) {
      if (removal.in_the_way) continue;  // it went when what takes its place came
      const Fd from = open_parent(target_.fd_.get(), removal.path, message_path(removal.path));
      const std::string name = base_name(removal.path);
      if (removal.when_empty) {
        // With something in it, it stays. No other failure is worth ending here for: it is but an empty directory.
        ::unlinkat(from.get(), name.c_str(), AT_REMOVEDIR);
      } else if (!put_aside(from, name, stage)) {
        fail("cannot remove", removal.path);
      }
    }
  }

  Target& target_;
  const Layout& layout_;
  const std::vector<Wheel>& wheels_;
  int aside_ = 0;
  // In an existing ENV_DIR, found to have nothing that is to stay:
  std::set<std::string, std::less<>> in_the_way_;              ///< files in place of directories, or in these:
  std::set<std::string, std::less<>> directories_in_the_way_;  ///< in place of files
  /// Of every source with a compiled form, and of everything else where the layout has one.
  timespec time_{.tv_sec = layout_.time.value_or(::time(nullptr)), .tv_nsec = 0};

 public:
  /// Opens the parent where it was missing until now.
  void open_parent_of_target() {
    if (target_.parent_.valid()) return;
    target_.parent_ = Fd(::open(target_.parent_path_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!target_.parent_.valid()) throw Error("cannot use the directory of", target_.path_, errno);
  }
};

Outcome write_environment(Target& target, const Layout& layout, const std::vector<Wheel>& wheels,
                          OldContent old_content) {
  const SignalsHeld held;
  Writer writer(target, layout, wheels);
  if (target.exists()) {
    if (old_content == OldContent::removed)
      writer.replace();
    else
      writer.merge();
    return Outcome::written;
  }
  NewParents parents(parent_path(target.path()));
  writer.open_parent_of_target();
  const Outcome outcome = writer.create();
  if (outcome == Outcome::written) parents.keep();
  return outcome;
}

}  // namespace vrun::builder
