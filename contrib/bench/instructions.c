/* Counts the instructions that a program executes in user space, from its first to its end, by ptrace(2) single steps.
 *
 *   instructions COMMAND...
 *
 * Prints the number; a repeated string instruction counts once. Only the program itself is counted, not what it starts.
 * Tools that translate programs would be faster, but those do not know each system call that the kernel has. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__x86_64__)
#define PROGRAM_COUNTER(registers) ((registers).rip)
#elif defined(__aarch64__)
#define PROGRAM_COUNTER(registers) ((registers).pc)
#endif

static int fail(const char *what) {
  fprintf(stderr, "instructions: %s: %s\n", what, strerror(errno));
  return 125;
}

int main(int count, char **arguments) {
  if (count < 2) {
    fprintf(stderr, "usage: instructions COMMAND...\n");
    return 125;
  }
  const pid_t child = fork();
  if (child < 0) return fail("fork");
  if (child == 0) {
    const int nowhere = open("/dev/null", O_WRONLY);
    if (nowhere < 0 || dup2(nowhere, STDOUT_FILENO) < 0) _exit(fail("/dev/null"));
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0) _exit(fail("PTRACE_TRACEME"));
    execv(arguments[1], arguments + 1);
    _exit(fail(arguments[1]));
  }
  unsigned long long instructions = 0;
  unsigned long long before = 0;
  int status = 0;
  int started = 0;
  for (;;) {
    if (waitpid(child, &status, 0) < 0) return fail("waitpid");
    if (WIFEXITED(status) || WIFSIGNALED(status)) break;
    const int signal = WSTOPSIG(status);
    if (signal == SIGTRAP) {
      struct user_regs_struct registers;
      struct iovec place = {&registers, sizeof registers};
      if (ptrace(PTRACE_GETREGSET, child, (void *)NT_PRSTATUS, &place) < 0) return fail("PTRACE_GETREGSET");
      if (started && PROGRAM_COUNTER(registers) != before) ++instructions;
      before = PROGRAM_COUNTER(registers);
      started = 1;
    }
    if (ptrace(PTRACE_SINGLESTEP, child, NULL, (void *)(long)(signal == SIGTRAP ? 0 : signal)) < 0) return fail("PTRACE_SINGLESTEP");
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    fprintf(stderr, "instructions: %s did not end well: %#x\n", arguments[1], status);
    return 1;
  }
  printf("%llu\n", instructions);
  return 0;
}
