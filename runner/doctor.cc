#include "runner/doctor.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <functional>

#include "policy/error.h"
#include "policy/landlock.h"
#include "policy/syscall_filter.h"
#include "runner/apply.h"
#include "runner/scope.h"
#include "runner/sys/landlock.h"
#include "runner/sys/mount.h"
#include "runner/sys/namespaces.h"
#include "runner/sys/privileges.h"
#include "runner/sys/process.h"
#include "runner/view.h"

namespace vrun {
namespace {

constexpr std::size_t kMaximumFailure = 4096;

/// What an attempt says of itself, down a pipe.
struct Said {
  SetupStep step = SetupStep::namespaces;
  int error_number = 0;
  char failure[kMaximumFailure] = {};
};

/// An attempt moves the step on, so that its failure is told with the right one, and throws Error.
using Attempt = std::function<void(SetupStep& step)>;

class Doctor {
 public:
  explicit Doctor(const Caller& caller) : caller_(caller) {
    // Root gives up its rights in a run; to whom does not matter here.
    constexpr unsigned kNobody = 65534;
    identity_ = caller.is_host_root ? Identity{kNobody, kNobody, true, {}, {}}
                                    : Identity{caller.uid, caller.gid, false, {}, {}};
  }

  std::vector<Trial> try_all();

 private:
  enum class In { here, namespaces };
  /// `flags` are kinds of namespaces beside a user namespace.
  void add(Trial trial, In where, unsigned flags, const Attempt& attempt);
  void try_kernel();
  void try_namespaces();
  void try_view();
  void try_rights();
  void try_limits();

  const Caller& caller_;
  Identity identity_;
  bool has_user_namespace_ = true;
  std::vector<Trial> trials_;
};

[[noreturn]] void answer(int fd, SetupStep step, int error_number, const char* failure) {
  Said said{step, error_number, {}};
  std::strncpy(said.failure, failure, kMaximumFailure - 1);
  // A pipe takes as much at once; if nobody reads it, there is nobody to tell either.
  const ssize_t written = ::write(fd, &said, sizeof said);
  ::_exit(written < 0 ? 1 : 0);
}

void Doctor::add(Trial trial, In where, unsigned flags, const Attempt& attempt) {
  const auto fail = [&](SetupStep step, int error_number, std::string failure) {
    trial.works = false;
    trial.step = step;
    trial.error_number = error_number;
    trial.failure = std::move(failure);
  };
  if (where == In::namespaces && !has_user_namespace_) {
    trial.works = trial.possible = false;
    trials_.push_back(std::move(trial));
    return;
  }
  sys::Pipe go = sys::make_pipe();
  sys::Pipe told = sys::make_pipe();
  const pid_t child = where == In::namespaces ? sys::clone_into(CLONE_NEWUSER | flags) : ::fork();
  if (child < 0) {
    const int error_number = errno;
    fail(SetupStep::namespaces, error_number,
         Error("cannot make namespaces for the run: clone3", "", error_number).what());
    trials_.push_back(std::move(trial));
    return;
  }
  if (child == 0) {
    SetupStep step = trial.step;
    go.write.reset();
    // It ends with this process: no attempt is left behind.
    char byte = 0;
    if (::read(go.read.get(), &byte, 1) != 1) ::_exit(1);
    try {
      sys::die_with_parent();
      if (where == In::namespaces && identity_.drop) {
        step = SetupStep::identity;
        sys::become(identity_);
        step = trial.step;
      }
      attempt(step);
      answer(told.write.get(), step, 0, "");
    } catch (const Error& error) {
      answer(told.write.get(), step, error.error_number(), error.what());
    } catch (const std::exception& error) {
      answer(told.write.get(), step, 0, error.what());
    }
  }
  go.read.reset();
  told.write.reset();
  try {
    if (where == In::namespaces) sys::write_id_maps(child, identity_);
    if (::write(go.write.get(), "", 1) != 1) throw Error("cannot start an attempt", "", errno);
  } catch (const Error& error) {
    fail(SetupStep::identity, error.error_number(), error.what());
  }
  go.write.reset();
  Said said;
  const bool complete = ::read(told.read.get(), &said, sizeof said) == static_cast<ssize_t>(sizeof said);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (trial.works && !complete)
    fail(trial.step, 0,
         WIFSIGNALED(status) ? "the attempt was killed by signal " + std::to_string(WTERMSIG(status))
                             : "the attempt ended without a word");
  if (trial.works && said.failure[0] != '\0') fail(said.step, said.error_number, said.failure);
  trials_.push_back(std::move(trial));
}

void Doctor::try_kernel() {
  const Trial trial{.part = "kernel", .step = SetupStep::view};
  add(trial, In::here, 0, [](SetupStep&) {
    // With arguments that no kernel acts on: what they answer does not matter as long as they are there.
    for (const auto& [number, name] :
         {std::pair{long{SYS_openat2}, "openat2"}, std::pair{long{SYS_close_range}, "close_range"},
          std::pair{long{SYS_open_tree}, "open_tree"}, std::pair{long{SYS_move_mount}, "move_mount"},
          std::pair{long{SYS_fsopen}, "fsopen"}, std::pair{long{SYS_mount_setattr}, "mount_setattr"}})
      if (::syscall(number, -1L, 0L, -1L, 0L, 0L) < 0 && errno == ENOSYS)
        throw Error(std::string("cannot use the system call ") + name, "", ENOSYS);
  });
}

void Doctor::try_namespaces() {
  const Trial user{.part = "user namespace", .step = SetupStep::identity};
  add(user, In::namespaces, CLONE_NEWNS, [](SetupStep&) {});
  has_user_namespace_ = trials_.back().works;

  const Trial pid{.part = "processes", .layers = {"pid-namespace"}};
  add(pid, In::namespaces, CLONE_NEWPID, [](SetupStep&) {
    if (::getpid() != 1) throw Error("a process namespace of its own does not count from one");
  });
  const Trial network{.part = "network", .layers = {"network-namespace"}, .step = SetupStep::network};
  add(network, In::namespaces, CLONE_NEWNET, [](SetupStep&) { sys::raise_loopback(); });
  const Trial ipc{.part = "IPC", .layers = {"ipc-namespace"}};
  add(ipc, In::namespaces, CLONE_NEWIPC, [](SetupStep&) {});
  const Trial name{.part = "host name", .layers = {"uts-namespace"}, .step = SetupStep::identity};
  add(name, In::namespaces, CLONE_NEWUTS, [](SetupStep&) {
    if (::sethostname("vrun", 4) != 0) throw Error("cannot set the run's host name", "", errno);
  });
  const Trial groups{.part = "control groups", .layers = {"cgroup-namespace"}};
  add(groups, In::namespaces, CLONE_NEWCGROUP, [](SetupStep&) {});
  const Trial limit{.part = "namespace limit", .layers = {"namespace-limit"}, .step = SetupStep::limit};
  add(limit, In::namespaces, 0, [](SetupStep&) { sys::forbid_user_namespaces(); });
}

/// A view with one mount of each kind; `more` comes before it is sealed.
void build_view(const std::vector<Step>& more) {
  std::vector<Step> steps = {MountMemory{"/", 1024 * 1024, 1024, 0755, true},
                             MakeDirectory{"/usr"},
                             Bind{"/usr", "/usr", Access::read_only, FileKind::directory, {}, {}, Reach::run},
                             Mask{"/usr/bin", FileKind::directory},
                             MakeDirectory{"/tmp"},
                             MountMemory{"/tmp", 1024 * 1024, 1024, 01777, true}};
  steps.insert(steps.end(), more.begin(), more.end());
  steps.emplace_back(Seal{"/"});
  LinuxView view({});
  apply_view(steps, view, [](const Step&) {});
  view.enter();
  for (const char* const path : {"/new", "/usr/new", "/usr/bin/new"})
    if (Fd(::open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644)).valid() || errno != EROFS)
      throw Error("the view is not read-only");
}

void Doctor::try_view() {
  const Trial view{
      .part = "view",
      .layers = {"hidden-packages", "read-only", "read-only-below", "seal", "memory-limits", "private-mounts"},
      .step = SetupStep::view};
  add(view, In::namespaces, CLONE_NEWNS, [](SetupStep&) { build_view({}); });
  const Trial proc{.part = "/proc", .layers = {"hidden-proc", "read-only-proc", "hidepid"}, .step = SetupStep::proc};
  add(proc, In::namespaces, CLONE_NEWNS | CLONE_NEWPID, [](SetupStep&) {
    build_view({MakeDirectory{"/proc"}, MountProc{"/proc"}, Hold{"/proc/sys", Access::read_only}});
  });
  const Trial terminal{.part = "terminals", .layers = {"terminal"}, .step = SetupStep::view};
  add(terminal, In::namespaces, CLONE_NEWNS, [](SetupStep&) {
    build_view({MakeDirectory{"/dev"}, MakeDirectory{"/dev/pts"}, MountTerminals{"/dev/pts"}});
    const Fd master(::open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC));
    if (!master.valid()) throw Error("cannot open a terminal of the run's own", "/dev/pts/ptmx", errno);
  });
  if (!identity_.drop) return;
  const Trial owners{.part = "owners of files", .spared = true, .step = SetupStep::owner_map};
  add(owners, In::here, 0, [this](SetupStep&) {
    const Fd here(::open(".", O_PATH | O_DIRECTORY | O_CLOEXEC));
    const Fd tree = sys::copy_tree(here.get());
    const Fd map = sys::make_owner_map({0, 0, true}, identity_);
    if (!tree.valid() || !sys::set_owner_map(tree.get(), map.get()))
      throw Error("cannot let the run write with its owner's rights to the current directory", "", errno);
  });
}

void Doctor::try_rights() {
  const Trial process{.part = "processes of vrun",
                      .layers = {"session", "death-signal", "undumpable", "core-limit"},
                      .step = SetupStep::identity};
  add(process, In::here, 0, [](SetupStep&) {
    if (::setsid() < 0) throw Error("cannot make a session for the run", "", errno);
    sys::set_undumpable();
    sys::forbid_core_dumps();
  });
  const Trial keyring{.part = "keys", .layers = {"session-keyring"}, .step = SetupStep::keyring};
  add(keyring, In::here, 0, [](SetupStep&) { sys::join_new_session_keyring(); });
  const Trial rights{.part = "capabilities",
                     .layers = {"capabilities", "bounding-set", "securebits", "no-new-privs"},
                     .step = SetupStep::identity};
  add(rights, In::namespaces, CLONE_NEWNS, [](SetupStep&) {
    sys::drop_capabilities();
    sys::set_no_new_privileges();
  });
  const Trial landlock{
      .part = "Landlock", .layers = {"landlock", "landlock-files"}, .spared = true, .step = SetupStep::scopes};
  add(landlock, In::here, 0, [](SetupStep&) {
    sys::set_no_new_privileges();
    const Landlock planned = plan_landlock({}, sys::landlock_abi(), false);
    if (planned.scopes == 0)
      throw Error("cannot keep a run with --net=host from sockets and processes outside", "", errno);
    sys::Ruleset(planned.handled, planned.scopes).restrict_self();
  });
  const Trial filter{.part = "system calls", .layers = {"seccomp"}, .step = SetupStep::filter};
  add(filter, In::here, 0, [](SetupStep&) {
    sys::set_no_new_privileges();
    sys::install_filter(compile_filter(native_architecture()));
    if (::unshare(0) == 0 || errno != EPERM) throw Error("the system-call filter does not hold");
  });
}

void Doctor::try_limits() {
  Trial limits{.part = "limits", .spared = true, .step = SetupStep::group};
  // Here and not in a process of its own: whether vrun is alone in its group matters.
  try {
    try_group(caller_);
  } catch (const Error& error) {
    limits.works = false;
    limits.error_number = error.error_number();
    limits.failure = error.what();
  }
  trials_.push_back(std::move(limits));
}

std::vector<Trial> Doctor::try_all() {
  try_kernel();
  try_namespaces();
  try_view();
  try_rights();
  try_limits();
  return std::move(trials_);
}

}  // namespace

std::vector<Trial> try_layers(const Caller& caller) { return Doctor(caller).try_all(); }

MachineHints look_at_machine() {
  MachineHints machine = read_machine(Root::system());
  machine.is_root = ::geteuid() == 0;
  struct stat here {};
  struct stat outermost {};
  machine.in_chroot = ::stat("/", &here) == 0 && ::stat("/proc/1/root", &outermost) == 0 &&
                      (here.st_ino != outermost.st_ino || here.st_dev != outermost.st_dev);
  std::array<char, PATH_MAX> program{};
  const ssize_t size = ::readlink("/proc/self/exe", program.data(), program.size());
  if (size > 0) machine.program.assign(program.data(), static_cast<std::size_t>(size));
  return machine;
}

}  // namespace vrun
