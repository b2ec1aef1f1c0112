"""only_exec.py PROGRAM [ARGUMENT...]: runs PROGRAM under a filter of the kernel that lets it start no other program.

The one execve that may happen is the one below. A filter cannot read a path, but it sees the pointer to it: that one
passes which points to the words here, in memory that is gone once PROGRAM runs. PROGRAM may have threads but no
processes, so that nothing can be tried where it would go unseen. Whoever asks for more is killed by SIGSYS. Needs no
privilege. Status 77: this kernel or this processor cannot do it, and the reason is on stderr.
"""

import ctypes
import errno
import os
import platform
import struct
import sys

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
KILL, ALLOW, NO_SUCH_CALL = 0x80000000, 0x7FFF0000, 0x00050000 | errno.ENOSYS
CLONE_THREAD = 0x10000
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # of classic BPF
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data, little-endian

# AUDIT_ARCH_*, execve, execveat, clone, clone3, what forks otherwise, and the first number of another ABI
PROCESSORS = {"x86_64": (0xC000003E, 59, 322, 56, 435, (57, 58), 0x40000000),
              "aarch64": (0xC00000B7, 221, 281, 220, 435, (), 0x40000000)}


def filter_for(processor, path_pointer):
    architecture, execve, execveat, clone, clone3, forks, other_abi = PROCESSORS[processor]
    end = {"kill": KILL, "allow": ALLOW, "missing": NO_SUCH_CALL}
    # (code, value, where to go if so, where to go if not); None is the next line.
    lines = [(LOAD, ARCHITECTURE, None, None), (EQUAL, architecture, None, "kill"),
             (LOAD, NUMBER, None, None), (AT_LEAST, other_abi, "kill", None),
             (EQUAL, execveat, "kill", None), (EQUAL, execve, "execve", None), (EQUAL, clone, "clone", None),
             # Its flags are out of reach; libraries fall back to clone.
             (EQUAL, clone3, "missing", None)]
    lines += [(EQUAL, fork, "kill", None) for fork in forks]
    lines.append((RETURN, ALLOW, None, None))
    labels = {"clone": len(lines)}
    lines += [(LOAD, FIRST_ARGUMENT, None, None), (ANY_BIT, CLONE_THREAD, "allow", "kill")]
    labels["execve"] = len(lines)
    lines += [(LOAD, FIRST_ARGUMENT, None, None), (EQUAL, path_pointer & 0xFFFFFFFF, None, "kill"),
              (LOAD, FIRST_ARGUMENT + 4, None, None), (EQUAL, path_pointer >> 32, "allow", "kill")]
    for label, value in end.items():
        labels[label] = len(lines)
        lines.append((RETURN, value, None, None))
    code = b""
    for number, (operation, value, yes, no) in enumerate(lines):
        jumps = [0 if label is None else labels[label] - number - 1 for label in (yes, no)]
        code += struct.pack("<HBBI", operation, *jumps, value)
    return code, len(lines)


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_char_p)]


def main():
    processor = platform.machine()
    if processor not in PROCESSORS:
        print(f"system calls of {processor} are not known", file=sys.stderr)
        return 77
    words = [os.fsencode(word) for word in sys.argv[1:]]
    path = ctypes.create_string_buffer(words[0])
    arguments = (ctypes.c_char_p * (len(words) + 1))(*words)
    pairs = [name + b"=" + value for name, value in os.environb.items()]
    variables = (ctypes.c_char_p * (len(pairs) + 1))(*pairs)
    code, length = filter_for(processor, ctypes.addressof(path))
    program = Program(length, code)
    libc = ctypes.CDLL(None, use_errno=True)
    zero = ctypes.c_ulong(0)
    if (libc.prctl(PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), zero, zero, zero) != 0 or
            libc.prctl(PR_SET_SECCOMP, ctypes.c_ulong(SECCOMP_MODE_FILTER), ctypes.byref(program), zero, zero) != 0):
        print(f"no filter can be set: {os.strerror(ctypes.get_errno())}", file=sys.stderr)
        return 77
    libc.execve(path, arguments, variables)
    print(f"cannot run {sys.argv[1]}: {os.strerror(ctypes.get_errno())}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
