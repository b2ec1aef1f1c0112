#include "runner/view.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>

#include "policy/error.h"
#include "policy/layers.h"
#include "runner/sys/mount.h"
#include "runner/sys/namespaces.h"
#include "runner/sys/privileges.h"

namespace vrun {
namespace {

/// What is in the file system of the view's "/": that directory, and what packages are covered with, which is outside
/// it.
constexpr const char* kView = "view";
constexpr const char* kEmptyDirectory = "directory";
constexpr const char* kEmptyFile = "file";

[[noreturn]] void fail(const char* doing, const std::string& path) {
  const int error_number = errno;
  throw Error(doing, path, error_number);
}

/// Opens a source and makes sure that it still is what the plan was made for.
Fd open_source(int host, const Bind& step) {
  Fd fd = sys::open_beneath(host, step.source, step.kind == FileKind::directory ? O_DIRECTORY : 0);
  if (!fd.valid()) fail("cannot show", step.source);
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) fail("cannot show", step.source);
  if (kept("same-source") && step.identity && *step.identity != FileIdentity{status.st_dev, status.st_ino})
    throw Error("it was replaced while the run was prepared:", step.source);
  if (step.kind == FileKind::device && !S_ISCHR(status.st_mode))
    throw Error("cannot show " + quote(step.source) + ": it is not a character device");
  if (step.kind == FileKind::file && !S_ISREG(status.st_mode))
    throw Error("cannot show " + quote(step.source) + ": it is not a regular file");
  return fd;
}

std::uint64_t attributes_of(const Bind& step) {
  std::uint64_t attributes = kept("nosuid") ? MOUNT_ATTR_NOSUID : 0;
  if (kept("nodev") && step.kind != FileKind::device) attributes |= MOUNT_ATTR_NODEV;
  if (step.kind == FileKind::device) attributes |= MOUNT_ATTR_NOEXEC;
  if (kept("read-only") && step.access == Access::read_only) attributes |= MOUNT_ATTR_RDONLY;
  return attributes;
}

Fd memory(const MountMemory& step) {
  char mode[16];
  ::snprintf(mode, sizeof mode, "%o", step.mode);
  return sys::new_mount("tmpfs",
                        {{"size", std::to_string(kept("memory-limits") ? step.size : 0)},
                         {"nr_inodes", std::to_string(step.inodes)},
                         {"mode", mode}},
                        MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | (step.executable ? 0U : unsigned{MOUNT_ATTR_NOEXEC}));
}

struct Source {
  const Bind* bind = nullptr;
  Fd fd;
};

/// The source of every Bind: of those that the caller lends to the run opened with the caller's rights, of all others
/// with those of the run's user.
std::vector<Source> open_sources(const Plan& plan) {
  std::vector<Source> sources;
  const Fd host(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!host.valid()) fail("cannot open", "/");
  const auto open_all = [&](Reach reach) {
    for (const Step& step : plan.view)
      if (const Bind* bind = std::get_if<Bind>(&step); bind != nullptr && bind->reach == reach)
        sources.push_back({bind, open_source(host.get(), *bind)});
  };
  open_all(Reach::caller);
  const sys::FileSystemUser user(plan.identity);
  open_all(Reach::run);
  return sources;
}

}  // namespace

PreparedSources prepare_sources(const Plan& plan, SetupStep& step) {
  step = SetupStep::view;
  PreparedSources prepared;
  std::map<std::pair<unsigned, unsigned>, Fd> namespaces;
  for (const auto& [bind, source] : open_sources(plan)) {
    Fd tree = sys::copy_tree(source.get());
    if (!tree.valid()) fail("cannot show", bind->source);
    if (bind->owner) {
      step = SetupStep::owner_map;
      Fd& map = namespaces[{bind->owner->uid, bind->owner->gid}];
      if (!map.valid()) map = sys::make_owner_map(*bind->owner, plan.identity);
      // EINVAL and EPERM are a file system that cannot do it, or a mount that has a map already (mount_setattr(2)).
      if (!sys::set_owner_map(tree.get(), map.get()) && (bind->owner->required || (errno != EINVAL && errno != EPERM)))
        fail("cannot let the run write with its owner's rights to", bind->source);
      step = SetupStep::view;
    }
    if (!sys::set_attributes(tree.get(), attributes_of(*bind), kept("read-only-below")))
      fail("cannot show", bind->source);
    prepared.emplace(bind->target, std::move(tree));
  }
  return prepared;
}

LinuxView::LinuxView(PreparedSources prepared) : prepared_(std::move(prepared)) {
  host_ = Fd(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!host_.valid()) fail("cannot open", "/");
  if (kept("private-mounts") && !sys::make_private(host_.get()))
    fail("cannot cut the mounts off from the host's at", "/");
  if (!kept("pid-namespace")) {
    // An instance of its own needs a pid namespace of its own.
    Fd& tree = prepared_["/proc"];
    tree = sys::copy_tree(sys::open_beneath(host_.get(), "/proc", O_DIRECTORY).get());
    sys::set_attributes(tree.get(), MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, true);
  }
}

void LinuxView::start(const Fd& memory) {
  constexpr const char* kDoing = "cannot mount memory for the view's";
  if (!memory.valid() || ::mkdirat(memory.get(), kView, 0755) != 0 ||
      ::mkdirat(memory.get(), kEmptyDirectory, 0755) != 0 ||
      !Fd(::openat(memory.get(), kEmptyFile, O_CREAT | O_EXCL | O_RDONLY | O_CLOEXEC, 0444)).valid())
    fail(kDoing, "/");
  const Fd view(::openat(memory.get(), kView, O_PATH | O_CLOEXEC));
  empty_directory_ = Fd(::openat(memory.get(), kEmptyDirectory, O_PATH | O_CLOEXEC));
  empty_file_ = Fd(::openat(memory.get(), kEmptyFile, O_PATH | O_CLOEXEC));
  // Mounts can only be copied from, and attached to, what is attached itself (open_tree(2), move_mount(2)). The host's
  // /proc is a place of which nothing is shown; the whole goes away with the host's root, its copies stay as they are.
  const Fd place = sys::open_beneath(host_.get(), "/proc", O_DIRECTORY);
  if (!view.valid() || !empty_directory_.valid() || !empty_file_.valid() || !place.valid() ||
      !sys::attach(memory.get(), place.get()))
    fail(kDoing, "/");
  root_ = sys::copy_tree(view.get());
  if (!root_.valid() || !sys::attach(root_.get(), view.get()) ||
      !sys::set_attributes(memory.get(), MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC, false))
    fail(kDoing, "/");
}

int LinuxView::parent_of(const std::string& path) {
  std::string parent = parent_path(path);
  if (!parent_.valid() || parent != parent_path_) {
    parent_ = sys::open_beneath(root_.get(), parent, O_DIRECTORY);
    if (!parent_.valid()) fail("cannot find, inside the view,", parent);
    parent_path_ = std::move(parent);
  }
  return parent_.get();
}

Fd LinuxView::open_inside(const std::string& path) const { return sys::open_beneath(root_.get(), path, 0); }

void LinuxView::attach_at(const Fd& mount, const std::string& path, const char* doing) {
  if (!mount.valid()) fail(doing, path);
  if (path == made_) {
    // It was made in memory that only this process knows, so the name still is that directory or file.
    if (!sys::attach_in(mount.get(), parent_of(path), base_name(path).c_str())) fail(doing, path);
  } else {
    const Fd target = open_inside(path);
    if (!target.valid() || !sys::attach(mount.get(), target.get())) fail(doing, path);
  }
  if (path == parent_path_) parent_.reset();
}

void LinuxView::make_directory(const MakeDirectory& step) {
  if (::mkdirat(parent_of(step.path), base_name(step.path).c_str(), step.mode) != 0)
    fail("cannot make, inside the view, the directory", step.path);
  made_ = step.path;
}

void LinuxView::make_link(const MakeLink& step) {
  if (::symlinkat(step.target.c_str(), parent_of(step.path), base_name(step.path).c_str()) != 0)
    fail("cannot make, inside the view, the link", step.path);
}

void LinuxView::make_file(const MakeFile& step) {
  const Fd file(::openat(parent_of(step.path), base_name(step.path).c_str(),
                         O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (!file.valid()) fail("cannot make, inside the view, the file", step.path);
  std::string_view rest = step.content;
  while (!rest.empty()) {
    const ssize_t count = ::write(file.get(), rest.data(), rest.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) fail("cannot write, inside the view, the file", step.path);
    rest.remove_prefix(static_cast<std::size_t>(count));
  }
  made_ = step.path;
}

void LinuxView::mount_memory(const MountMemory& step) {
  const Fd mount = memory(step);
  if (step.path == "/") return start(mount);
  attach_at(mount, step.path, "cannot mount memory on");
}

void LinuxView::bind(const Bind& step) {
  const auto prepared = prepared_.find(step.target);
  if (prepared != prepared_.end()) return attach_at(prepared->second, step.target, "cannot show");
  const Fd source = open_source(host_.get(), step);
  const Fd tree = sys::copy_tree(source.get());
  if (!tree.valid() || !sys::set_attributes(tree.get(), attributes_of(step), kept("read-only-below")))
    fail("cannot show", step.source);
  attach_at(tree, step.target, "cannot show");
}

void LinuxView::mask(const Mask& step) {
  const Fd& empty = step.kind == FileKind::directory ? empty_directory_ : empty_file_;
  attach_at(sys::copy_tree(empty.get()), step.path, "cannot hide");
}

void LinuxView::hold(const Hold& step) {
  const Fd here = open_inside(step.path);
  const Fd tree = here.valid() ? sys::copy_tree(here.get()) : Fd();
  if (tree.valid() && step.access == Access::read_only && !sys::set_attributes(tree.get(), MOUNT_ATTR_RDONLY, true))
    fail("cannot protect", step.path);
  attach_at(tree, step.path, "cannot protect");
}

void LinuxView::mount_proc(const MountProc& step) {
  if (!kept("pid-namespace")) return attach_at(prepared_.at(step.path), step.path, "cannot show");
  attach_at(sys::new_mount("proc", {{"hidepid", kept("hidepid") && step.hidepid ? "ptraceable" : "off"}},
                           MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC),
            step.path, "cannot mount a process file system of the run's own on");
}

void LinuxView::mount_terminals(const MountTerminals& step) {
  attach_at(sys::new_mount("devpts", {{"ptmxmode", "0666"}, {"mode", "0620"}}, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC),
            step.path, "cannot mount terminals of the run's own on");
}

void LinuxView::seal(const Seal& step) {
  const Fd here = open_inside(step.path);
  if (!kept("seal")) return;
  if (!here.valid() || !sys::set_attributes(here.get(), MOUNT_ATTR_RDONLY, false))
    fail("cannot make read-only", step.path);
}

void LinuxView::enter() {
  parent_.reset();
  prepared_.clear();
  if (!sys::enter_root(root_.get())) fail("cannot make the view the root directory", "/");
}

}  // namespace vrun
