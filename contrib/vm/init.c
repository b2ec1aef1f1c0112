/* The first program of the virtual machine: loads the modules that its disks need and hands over to inside.py.
 *
 * It is the whole initial memory disk but for /modules, whose files are loaded in the order of their names. What fails
 * here ends in a panic that the console shows, and the kernel restarts: vm.py sees the machine go without a result. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void must(long result, const char *what) {
  if (result >= 0) return;
  printf("init: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void load(const char *name) {
  char path[512];
  snprintf(path, sizeof path, "/modules/%s", name);
  int file = open(path, O_RDONLY | O_CLOEXEC);
  must(file, path);
  must(syscall(SYS_finit_module, file, "", 0), path);
  close(file);
}

static int is_file(const struct dirent *entry) { return entry->d_name[0] != '.'; }

/* A disk appears some time after its driver does. */
static void mount_disk(const char *disk, const char *place) {
  const struct timespec moment = {.tv_nsec = 20 * 1000 * 1000};
  for (int tries = 0; access(disk, F_OK) != 0 && tries < 1500; tries++) nanosleep(&moment, NULL);
  must(mount(disk, place, "ext4", 0, ""), disk);
}

int main(void) {
  struct dirent **modules;
  int count = scandir("/modules", &modules, is_file, alphasort);
  must(count, "/modules");
  for (int i = 0; i < count; i++) load(modules[i]->d_name);
  must(mount("dev", "/dev", "devtmpfs", MS_NOSUID, "mode=755"), "/dev");
  mount_disk("/dev/vda", "/root");
  mount_disk("/dev/vdb", "/root/project");
  must(mount("/dev", "/root/dev", NULL, MS_MOVE, NULL), "/root/dev");
  /* As switch_root(8) does: the memory disk cannot be unmounted or pivoted away from, but it can be covered. */
  must(chdir("/root"), "/root");
  must(mount(".", "/", NULL, MS_MOVE, NULL), "/");
  must(chroot("."), "chroot");
  char *command[] = {"/usr/bin/python3", "-B", "/project/contrib/vm/inside.py", NULL};
  char *variables[] = {"PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME=/root", "LANG=C.UTF-8", NULL};
  must(execve(command[0], command, variables), command[0]);
}
