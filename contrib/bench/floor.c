/* What the kernel alone takes for a run: one clone3 with vrun's namespaces, the mounts of its view, pivot_root, exec.
 *
 *   floor STEPS COMMAND...
 *
 * STEPS is a file with a step a line, in words: memory PATH, directory PATH, link PATH TARGET, file PATH,
 * show PATH ro|rw, hold PATH ro|rw, cover PATH, proc PATH, terminals PATH. bench.py makes it from what
 * vrun --explain --verbose prints. No rights are given up, nothing is checked or explained: it is there to be measured. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

static long must(long result, const char *what, const char *path) {
  if (result >= 0) return result;
  fprintf(stderr, "floor: %s %s: %s\n", what, path, strerror(errno));
  exit(125);
}

static int new_mount(const char *type, unsigned attributes) {
  int context = must(syscall(SYS_fsopen, type, FSOPEN_CLOEXEC), "fsopen", type);
  must(syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0), "fsconfig", type);
  int mount = must(syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, attributes), "fsmount", type);
  close(context);
  return mount;
}

static void attach(int mount, int directory, const char *path) {
  must(syscall(SYS_move_mount, mount, "", directory, path, MOVE_MOUNT_F_EMPTY_PATH), "move_mount", path);
  close(mount);
}

static int copy(int directory, const char *path, int read_only) {
  int mount = must(syscall(SYS_open_tree, directory, path, AT_RECURSIVE | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC),
                   "open_tree", path);
  struct mount_attr change = {.attr_set = MOUNT_ATTR_NOSUID | (read_only ? MOUNT_ATTR_RDONLY : 0)};
  must(syscall(SYS_mount_setattr, mount, "", AT_EMPTY_PATH | AT_RECURSIVE, &change, sizeof change), "mount_setattr",
       path);
  return mount;
}

static void step(int host, int root, int empty, char *line) {
  char *words[3] = {strtok(line, " \n"), strtok(NULL, " \n"), strtok(NULL, " \n")};
  if (words[0] == NULL || words[1] == NULL || words[1][1] == '\0') return;
  const char *what = words[0], *path = words[1] + 1;
  struct stat status;
  if (strcmp(what, "memory") == 0) attach(new_mount("tmpfs", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV), root, path);
  if (strcmp(what, "directory") == 0) must(mkdirat(root, path, 0755), "mkdir", path);
  if (strcmp(what, "link") == 0) must(symlinkat(words[2], root, path), "symlink", path);
  if (strcmp(what, "file") == 0) close(must(openat(root, path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644), "open", path));
  if (strcmp(what, "show") == 0) attach(copy(host, path, strcmp(words[2], "ro") == 0), root, path);
  if (strcmp(what, "hold") == 0) attach(copy(root, path, strcmp(words[2], "ro") == 0), root, path);
  if (strcmp(what, "proc") == 0) attach(new_mount("proc", MOUNT_ATTR_NOSUID), root, path);
  if (strcmp(what, "terminals") == 0) attach(new_mount("devpts", MOUNT_ATTR_NOSUID), root, path);
  if (strcmp(what, "cover") == 0) {
    must(fstatat(root, path, &status, 0), "stat", path);
    attach(copy(empty, S_ISDIR(status.st_mode) ? "directory" : "file", 1), root, path);
  }
}

static void run(const char *steps, char **command) {
  int host = must(open("/", O_PATH | O_CLOEXEC), "open", "/");
  char here[4096];
  if (getcwd(here, sizeof here) == NULL) exit(125);
  FILE *file = fopen(steps, "re");
  if (file == NULL) must(-1, "open", steps);
  int lo = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
  must(ioctl(lo, SIOCSIFFLAGS, &request), "ioctl", "lo");

  int empty = new_mount("tmpfs", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
  must(mkdirat(empty, "view", 0755), "mkdir", "view");
  must(mkdirat(empty, "directory", 0755), "mkdir", "directory");
  close(must(openat(empty, "file", O_CREAT | O_WRONLY | O_CLOEXEC, 0444), "open", "file"));
  must(syscall(SYS_move_mount, empty, "", host, "proc", MOVE_MOUNT_F_EMPTY_PATH), "move_mount", "proc");
  int root = must(syscall(SYS_open_tree, empty, "view", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC), "open_tree", "view");
  must(syscall(SYS_move_mount, root, "", empty, "view", MOVE_MOUNT_F_EMPTY_PATH), "move_mount", "view");
  char line[8192];
  while (fgets(line, sizeof line, file) != NULL) step(host, root, empty, line);
  must(fchdir(root), "fchdir", "/");
  must(syscall(SYS_pivot_root, ".", "."), "pivot_root", ".");
  must(syscall(SYS_umount2, ".", 2 /* MNT_DETACH */), "umount2", ".");
  must(chdir(here), "chdir", here);
  execv(command[0], command);
  must(-1, "execute", command[0]);
}

static void write_file(pid_t child, const char *name, const char *text) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/%s", (int)child, name);
  int fd = must(open(path, O_WRONLY | O_CLOEXEC), "open", path);
  must(write(fd, text, strlen(text)), "write", path);
  close(fd);
}

int main(int argc, char **argv) {
  if (argc < 3) return 125;
  int go[2];
  must(pipe2(go, O_CLOEXEC), "pipe2", "");
  struct clone_args arguments = {.flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS |
                                          CLONE_NEWCGROUP | CLONE_NEWNET,
                                 .exit_signal = SIGCHLD};
  pid_t child = must(syscall(SYS_clone3, &arguments, sizeof arguments), "clone3", "");
  if (child == 0) {
    char word;
    if (read(go[0], &word, 1) != 1) exit(125);
    run(argv[1], argv + 2);
  }
  char map[64];
  write_file(child, "setgroups", "deny");
  snprintf(map, sizeof map, "%u %u 1\n", getuid(), getuid());
  write_file(child, "uid_map", map);
  snprintf(map, sizeof map, "%u %u 1\n", getgid(), getgid());
  write_file(child, "gid_map", map);
  must(write(go[1], "g", 1), "write", "");
  int status = 0;
  must(waitpid(child, &status, 0), "waitpid", "");
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
