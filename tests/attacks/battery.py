"""The battery: every attack that is one call or one file away, what it answers inside, and the control outside.

docs/threat-model.md has the codes. The control is the same attack by the same user without vrun:

  PLAIN      as it is
  NAMESPACE  with every capability, in namespaces made for it: where the attack needs a privilege that would harm the
             host, or that an ordinary user does not have
  ROOT       by root, so only in root's pass; it opens and closes
  a text     there is none, and why
"""

from typing import NamedTuple

PLAIN, NAMESPACE, ROOT = "plain", "namespace", "root"
# Answers of a control which say that this kernel or machine does not have what is attacked.
UNAVAILABLE = {"ENOSYS", "EAFNOSUPPORT", "EPROTONOSUPPORT", "ENODEV", "EOPNOTSUPP", "ENOENT", "EADDRNOTAVAIL"}


class Attack(NamedTuple):
    code: str
    name: str
    inside: str  # the answer; CLOSED and "|" for two that nothing decides between, ABSENT after one
    control: str
    outside: tuple  # each of these shows that the attack goes through, or gets as far as the kernel
    python: bool  # in inside.py, else in attacks.cc

    def test(self):
        """The name of its test."""
        return f"test_{self.code.lower().replace('-', '')}_{self.name}"


# Pid 1 of a run: ENOENT when its directory is looked up, EPERM when the kernel still has it from before pid 1 closed
# itself, which nobody decides.
CLOSED = "EPERM|ENOENT"
# ENOENT where this kernel, or machine, has nothing of the name; otherwise the answer before it.
ABSENT = " or absent"
BATTERY = []


def add(python, control, rows):
    for code, name, inside, *outside in rows:
        BATTERY.append(Attack(code, name, inside, control, tuple(outside or ["OK"]), python))


add(False, NAMESPACE, [
    ("E-01", "mount_memory", "EPERM"),
    ("E-02", "unmount_proc", "EPERM"),
    ("E-03", "remount_writable", "EPERM"),
    ("E-03", "setattr_writable", "ENOSYS"),
    ("E-04", "move_a_mount", "EPERM", "OK", "EINVAL"),
    ("E-05", "bind_a_mask_away", "EPERM"),
    ("E-05", "open_tree_copy", "ENOSYS"),
    ("E-06", "fsopen", "ENOSYS"),
    ("E-06", "fspick", "ENOSYS"),
    ("E-06", "fsconfig", "ENOSYS", "EINVAL"),
    ("E-06", "fsmount", "ENOSYS", "EBADF"),
    ("E-06", "move_mount", "ENOSYS", "EBADF"),
    ("E-08", "chroot", "EPERM"),
    ("E-08", "chroot_twice", "EPERM"),
    ("E-08", "pivot_root", "EPERM", "OK", "EINVAL", "EBUSY"),
    ("E-09", "setns_own", "EPERM", "OK", "EINVAL"),
    ("E-11", "unshare_mounts", "EPERM"),
    ("E-11", "unshare_network", "EPERM"),
    ("E-11", "unshare_time", "EPERM"),
    ("E-73", "reboot", "EPERM", "EINVAL"),
    ("E-78", "sethostname", "EPERM"),
    ("E-85", "socket_raw", "EPROTONOSUPPORT"),
    ("E-85", "change_network", "EPERM"),
    ("E-88", "socket_packet", "EAFNOSUPPORT"),
    ("E-94", "raise_capability", "EPERM"),
])
add(False, PLAIN, [
    ("E-06", "open_tree_plain", "ENOSYS"),
    ("E-06", "open_tree_attr", "ENOSYS"),
    ("E-10", "unshare_user", "EPERM"),
    ("E-10", "clone_user", "EPERM"),
    ("E-10", "clone3_user", "ENOSYS"),
    ("E-10", "clone3_plain", "ENOSYS"),
    ("E-12", "take_handle", "EPERM", "OK", "EOVERFLOW"),
    ("E-13", "list_mounts", "ENOSYS"),
    ("E-42", "write_supervisors_memory", "EPERM", "EFAULT"),
    ("E-43", "ptrace_supervisor", "EPERM"),
    ("E-44", "pidfd_getfd_supervisor", "ENOSYS"),
    ("E-67", "io_uring", "ENOSYS"),
    ("E-69", "perf_event", "EPERM", "OK", "EACCES"),
    ("E-70", "userfaultfd", "EPERM"),
    ("E-71", "keyctl", "EPERM"),
    ("E-71", "add_key", "EPERM"),
    ("E-71", "request_key", "EPERM", "ENOKEY"),
    ("E-72", "ptrace_child", "EPERM"),
    ("E-72", "read_childs_memory", "EPERM"),
    ("E-72", "write_childs_memory", "EPERM"),
    ("E-72", "kcmp", "EPERM"),
    ("E-72", "pidfd_getfd_child", "ENOSYS"),
    ("E-74", "modify_ldt", "EPERM"),
    ("E-74", "map_vdso", "EPERM", "OK", "EEXIST"),
    ("E-75", "personality", "EPERM"),
    ("E-76", "set_mempolicy", "EPERM"),
    ("E-76", "move_pages", "EPERM"),
    ("E-77", "adjtimex", "EPERM"),
    ("E-77", "clock_settime", "EPERM", "EINVAL"),
    ("E-79", "fanotify", "EPERM"),
    ("E-81", "memfd_secret", "ENOSYS"),
    ("E-82", "landlock", "OK"),
    ("E-83", "sysfs", "EPERM"),
    ("E-88", "socket_crypto", "EAFNOSUPPORT"),
    ("E-88", "socket_vsock", "EAFNOSUPPORT"),
    ("E-88", "socket_netfilter", "EAFNOSUPPORT"),
    ("E-88", "socket_xfrm", "EAFNOSUPPORT"),
    ("E-88", "socket_uevents", "EAFNOSUPPORT"),
    ("E-88", "socket_mptcp", "EPROTONOSUPPORT"),
    ("E-105", "core_limit", "EPERM"),
])
add(False, ROOT, [
    ("E-12", "open_handle", "EPERM", "OK", "ESTALE", "116"),
    ("E-19", "mknod_character", "EPERM|EACCES"),
    ("E-19", "mknod_memory", "EPERM|EACCES"),
    ("E-19", "mknod_block", "EPERM|EACCES"),
    ("E-68", "bpf", "EPERM"),
    ("E-72", "process_madvise", "EPERM"),  # Linux 6.1 wants a capability for it
    ("E-73", "kernel_log", "EPERM"),
    ("E-73", "init_module", "EPERM", "EFAULT", "ENOEXEC"),
    ("E-94", "setuid_root", "EINVAL"),
    ("E-94", "setgroups", "EPERM"),
    ("R-22", "realtime", "EPERM"),
    ("R-22", "negative_nice", "EACCES"),
])
add(False, "the setting exists only where a kernel module does", [("E-80", "socket_espintcp", "ENOENT")])
add(False, "allowed on purpose: nothing of vrun's depends on a limit of pid 1", [("E-49", "prlimit_supervisor", "OK")])

add(True, PLAIN, [
    ("E-41", "proc_environ", CLOSED), ("E-41", "proc_cmdline", CLOSED), ("E-41", "proc_maps", CLOSED),
    ("E-41", "proc_auxv", CLOSED), ("E-41", "proc_status", CLOSED), ("E-42", "proc_mem", CLOSED),
    ("E-44", "proc_fd", CLOSED), ("E-45", "proc_root", CLOSED), ("E-45", "proc_cwd", CLOSED),
    ("E-45", "proc_ns_mnt", CLOSED), ("E-45", "proc_map_files", CLOSED), ("E-45", "proc_exe", CLOSED),
    ("E-28", "proc_exe_write", CLOSED, "ETXTBSY", "EACCES"), ("E-28", "own_interpreter", "EACCES", "ETXTBSY", "EACCES"),
    ("E-49", "proc_oom", CLOSED),
    ("E-49b", "pidfd_of_outer", "ESRCH"), ("E-49b", "signal_outer", "ESRCH"),
    *[("E-102" if name in ("sys", "cgroups") else "E-103" if name in DEVICES else "P-33" if name == "package_lists" else "E-91"
       if name in ("shadow", "gshadow") else "A-01", f"host_{name}", "ENOENT", "OK", "EACCES")
      for DEVICES in [("kmsg_device", "mem", "kvm", "fuse", "tun", "loop", "console", "disk", "terminals", "mqueue")]
      for name in ("machine_id", "shadow", "gshadow", "ssh", "sudoers", "cron", "fstab", "root_home", "boot", "sys", "cgroups",
                   "log", "package_lists", "opt", "srv", *DEVICES)],
    *[("P-47", f"home_{name}", "ENOENT") for name in
      ("id_ed25519", "netrc", "pypirc", "git_credentials", "bash_history", "pip_conf", "wheel", "login_keyring", "credentials",
       "config", "config_json")],
    ("A-01", "neighbour", "ENOENT"),
    ("P-40", "configuration_append", "EROFS"), ("P-41", "interpreter_replace", "EROFS"), ("P-41", "program_add", "EROFS"),
    ("P-42", "activate_edit", "EROFS"),
    *[("P-43", f"drop_{name}", "EROFS") for name in
      ("pth", "start", "sitecustomize", "usercustomize", "conftest", "shared_object")],
    ("P-44", "bytecode_poison", "EROFS"), ("P-53", "compile_all", "EROFS"), ("P-45", "record_uninstall", "EROFS"),
    ("E-27", "environment_chmod", "EROFS"), ("E-27", "environment_times", "EROFS"),
    ("E-27", "environment_attribute", "EROFS"), ("E-26", "environment_rename", "EROFS"), ("P-56", "environment_lock", "OK"),
    ("E-03", "shown_write", "EROFS"), ("E-03", "shown_by_descriptor", "EROFS"),
    ("E-27", "shown_path_descriptor", "EROFS"), ("E-22", "shown_lock", "OK"), ("E-23", "shown_watch", "OK"),
    ("E-20", "shown_socket", "OK"), ("E-21", "shown_fifo", "OK|EACCES"), ("E-24", "shown_flags", "EROFS"),
    ("E-26", "shown_hard_link", "EXDEV"), ("E-95", "shown_set_user_id", "EPERM"), ("E-95", "project_set_user_id", "EPERM"),
    ("E-85", "host_tcp", "ECONNREFUSED"), ("E-85", "host_tcp6", "ECONNREFUSED"), ("E-87", "host_abstract", "ECONNREFUSED"),
    ("E-20", "host_path_socket", "ENOENT"),
    ("P-50", "host_shared_memory", "ENOENT"), ("P-50", "host_temporary", "ENOENT"),
    ("E-89b", "host_sysv_memory", "ENOENT"), ("E-89b", "host_sysv_semaphore", "ENOENT"), ("E-89b", "host_sysv_queue", "ENOENT"),
    ("E-89b", "host_message_queue", "ENOENT"),
    ("E-30", "inherited_directory", "EBADF"), ("E-30", "inherited_file", "EBADF"), ("E-30", "inherited_socket", "EBADF"),
    ("E-35", "inherited_variable", "ENODATA"),
    ("E-84", "memory_program", "OK"),
    *[("E-101", f"kernel_{name}", "ENODATA" + ABSENT) for name in ("kallsyms", "keys", "interrupts", "cmdline")],
])
add(True, ROOT, [
    # The mode of a file is asked before its mount, and root's run is not root: EROFS is behind it (test_kernel.Proc).
    *[("E-90", f"switch_{name}", "EACCES") for name in
      ("core_pattern", "drop_caches", "hostname", "overcommit_memory", "ip_forward")],
    ("E-84", "switch_register", "ENOENT"), ("E-100", "switch_sysrq_trigger", "EACCES" + ABSENT),
    ("E-100", "switch_default_smp_affinity", "EACCES" + ABSENT), ("E-100", "switch_mtrr", "EACCES" + ABSENT),
    # Covered by an empty file, and root's alone.
    *[("E-101", f"kernel_{name}", "ENODATA" + ABSENT) for name in ("kcore", "modules", "iomem")],
    *[("E-101", f"kernel_{name}", "EACCES" + ABSENT) for name in ("kmsg", "timer_list", "slabinfo", "vmallocinfo")],
    ("E-101", "kernel_kpagecount", "EACCES" + ABSENT, "EINVAL"),  # it is read by eight bytes
    ("P-44", "library_bytecode", "EROFS"), ("P-44", "library_edit", "EACCES"), ("P-41", "system_add", "EROFS"),
    ("E-103", "device_add", "EROFS"), ("E-01", "root_add", "EROFS"), ("E-01", "name_service", "EROFS"),
])
add(True, "root itself needs a capability for it that containers take away", [
    ("E-90", "switch_modprobe", "EACCES" + ABSENT), ("E-90", "switch_max_user_namespaces", "EACCES"),
    ("E-96", "own_oom_score", "EACCES"),
])
add(True, "what is mapped was opened to read, everywhere", [("E-03", "shown_map", "EACCES")])
add(True, "locks for records need a descriptor opened to write, everywhere", [("E-22", "shown_record_lock", "EBADF")])
add(True, "where it goes through it works on the disk", [("E-24", "shown_freeze", "EPERM|ENOTTY")])
add(True, "only XFS and Btrfs can do it", [("E-25", "shown_reflink", "EXDEV")])
add(True, "a packet would leave", [("E-85", "metadata_service", "ENETUNREACH"), ("E-85", "broadcast", "ENETUNREACH")])
add(True, "a process can write its map once, and only one that is unmapped", [("E-96", "own_uid_map", "EPERM")])
add(True, "outside of a user namespace there is nothing to allow", [("E-96", "own_setgroups", "EACCES")])
