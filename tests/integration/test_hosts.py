"""Hosts that look otherwise: links in the place of directories, mounts inside a project, full disks, huge user numbers.

What needs another host than this one is set up in a mount namespace of the test's own; for an ordinary user that is one
in a user namespace, in which it is root by name.
"""

import os
import unittest

from harness import HOST_NETWORK_NOTE, IS_ROOT, Case, make_environment, missing, read, write


class HostCase(Case):
    def setUp(self):
        super().setUp()
        os.chmod(self.directory, 0o755)
        self.unshare = ["unshare", "--mount"] if IS_ROOT else ["unshare", "--mount", "--map-root-user"]
        try:
            works = self.outside(*self.unshare, "mount", "-t", "tmpfs", "none", "/opt").returncode == 0
        except FileNotFoundError:
            works = False
        if not works:
            missing(self, "unshare --mount and mounts in it do not work here")

    def on_host(self, setup, words, options=(), environment=None, after="exit $status", **more):
        """vrun, on a host on which `setup` was done in a shell; `after` is done there afterwards. In both, $1 is the
        test's private directory."""
        script = f'{setup}\nset_up=$?; [ $set_up = 0 ] || exit 99\n(shift; exec "$@")\nstatus=$?\n{after}'
        result = self.outside(*self.unshare, "sh", "-c", script, "-", self.directory,
                              *self.command(words, options, environment), **more)
        self.assertNotEqual(result.returncode, 99, result.stderr)
        return result


class Links(HostCase):
    def test_run_is_a_link(self):
        """/var/run, which leads to /run: a project, an environment and a home directory by the name of before."""
        if not os.path.islink("/var/run"):
            missing(self, "/var/run is no link here")
        setup = 'mount -t tmpfs none /run && mkdir -p /run/place/project /run/place/home && cp -a "$1/env" /run/place/env'
        make_environment(os.path.join(self.directory, "env"))
        result = self.on_host(setup, ["sh", "-c", "touch made; pwd -P; python -c 'import sys; print(sys.prefix)'"],
                              options=["--project", "/var/run/place/project"], environment="/var/run/place/env",
                              after="ls /run/place/project; exit $status", variables={"HOME": "/var/run/place/home"})
        self.assertEqual(self.ok(result), "/run/place/project\n/var/run/place/env\nmade\n")

    def test_names_of_the_network_behind_a_link(self):
        """/etc/resolv.conf, which leads into /run where a service keeps it, and not into what is shown."""
        setup = ('mkdir "$1/etc" && cp -L /etc/passwd /etc/group /etc/ld.so.cache "$1/etc" &&'
                 ' ln -s ../run/resolver/stub "$1/etc/resolv.conf" && mount --bind "$1/etc" /etc && mount -t tmpfs none /run &&'
                 ' mkdir /run/resolver && echo "nameserver 192.0.2.1" >/run/resolver/stub')
        words = ["sh", "-c", "cat /etc/resolv.conf; ls -A /run"]
        self.assertEqual(self.ok(self.on_host(setup, words, options=["--net=host"]), HOST_NETWORK_NOTE), "nameserver 192.0.2.1\n")
        self.assertEqual(self.ok(self.on_host(setup.replace("mkdir", "mkdir -p").replace("ln -s", "ln -sf"), words)), "")

    # Linux answers ELOOP for a link where none may be followed (openat2(2), RESOLVE_NO_SYMLINKS).
    def test_devices_that_are_none(self):
        """E-16: what stands at the name of a device is never shown unless it is one."""
        secret = write(os.path.join(self.directory, "secret"), "secret")
        rows = {f"ln -s {secret} /dev/null": "ELOOP", f"cp {secret} /dev/zero": "not a character device",
                "mkdir /dev/tty": "'/dev/tty'"}
        for setup, text in rows.items():
            with self.subTest(setup=setup):
                result = self.on_host(f"mount -t tmpfs none /dev && {setup}", ["sh", "-c", "cat /dev/null /dev/zero"])
                self.refused(result, text)
        control = self.on_host("mount -t tmpfs none /dev", ["sh", "-c", "test -e /dev/null || echo none"])
        self.assertEqual(self.ok(control), "none\n")
        self.assertEqual(read(secret), "secret")

    def test_the_directory_of_devices_is_a_link(self):
        setup = ('new=$1/new; mkdir "$new"; mount -t tmpfs none "$new"; cd "$new"; mkdir old real\n'
                 'for path in /*; do [ "$path" != /dev ] || continue\n'
                 '  if [ -L "$path" ]; then cp -P "$path" .; elif [ -d "$path" ]; then'
                 ' mkdir ".$path" && mount --rbind "$path" ".$path"; fi; done\n'
                 'mount --rbind /dev real; ln -s real dev; PATH=$PATH:/usr/sbin:/sbin; pivot_root . old && cd / && umount -l /old && cd "$1/project"')
        self.refused(self.on_host(setup, ["true"]), "/dev/", "ELOOP")
        self.assertEqual(self.ok(self.on_host(setup.replace("mkdir \"$new\"", "mkdir -p \"$new\"").replace(
            "mount --rbind /dev real; ln -s real dev", "mkdir dev; mount --rbind /dev dev"), ["true"])), "", "the control")


class Mounts(HostCase):
    """Mounts inside of what is shown come along, with at most the rights of what they are in."""

    def test_in_the_project(self):
        for name in ("memory", "read-only", "other"):
            os.mkdir(os.path.join(self.project, name))
        write(os.path.join(self.directory, "bound/file"), "content")
        setup = ('cd "$1/project" && mount -t tmpfs -o mode=777 none memory && cp /bin/true memory/tool && chmod 6755 memory/tool &&'
                 ' mount --bind ../bound other && mount --bind ../bound read-only && mount -o remount,bind,ro read-only')
        code = ("import os\n"
                "def attempt(path):\n"
                "    try: open(path, 'w').close(); return 'written'\n"
                "    except OSError as error: return error.strerror\n"
                "print(attempt('memory/new'), attempt('other/new'), attempt('read-only/new'), sep='; ')\n"
                "for line in open('/proc/self/mountinfo'):\n"
                "    place, options = line.split()[4:6]\n"
                "    if '/project/' in place: print(os.path.basename(place), 'nosuid,nodev' in options)")
        result = self.on_host(setup, ["python", "-c", code], after="ls other; exit $status")
        lines = self.ok(result).splitlines()
        self.assertEqual(lines[0], "written; written; Read-only file system")
        self.assertEqual(sorted(lines[1:4]), ["memory True", "other True", "read-only True"])
        self.assertEqual(lines[4:], ["file", "new"])

    def test_devices_in_a_mount(self):
        if not IS_ROOT:
            self.skipTest("only as root: others cannot make devices")
        os.mkdir(os.path.join(self.project, "memory"))
        setup = ('mount -t tmpfs -o mode=777 none "$1/project/memory" && mknod -m 666 "$1/project/memory/null" c 1 3 &&'
                 ' echo x >"$1/project/memory/null"')
        result = self.on_host(setup, ["sh", "-c", "echo x >memory/null"])
        self.assertIn("Permission denied", result.stderr)

    def test_in_the_environment(self):
        environment = make_environment(os.path.join(self.directory, "env"))
        os.mkdir(os.path.join(environment, "data"))
        result = self.on_host('mount -t tmpfs -o mode=777 none "$1/env/data"', ["sh", "-c", "echo x >$VIRTUAL_ENV/data/x"],
                              environment=environment)
        self.assertIn("Read-only file system", result.stderr)

    def test_in_and_at_what_is_hidden(self):
        """A mount in the place of another environment, or inside of it, does not show through."""
        make_environment(os.path.join(self.directory, "env"))
        for name in ("project/at", "project/in/data"):
            os.makedirs(os.path.join(self.directory, name))
        setup = ('cd "$1"; mount --bind env project/at && mount -t tmpfs none project/at/lib && echo secret >project/at/lib/secret &&'
                 ' cp -a env/. project/in && mount -t tmpfs none project/in/data && echo secret >project/in/data/secret; cd project')
        result = self.on_host(setup, ["sh", "-c", "ls -A at in; cat at/lib/secret in/data/secret"], after="cat at/lib/secret")
        self.assertEqual(result.stdout, "at:\n\nin:\nsecret\n")
        self.assertEqual(result.stderr.count("No such file"), 2, result.stderr)

    def test_environment_and_repository_that_are_mounts(self):
        """As volumes of a container are: the environment at its place in the project, and .git."""
        make_environment(os.path.join(self.directory, "env"))
        write(os.path.join(self.directory, "repository/config"), "[core]\n")
        for name in (".venv", ".git"):
            os.mkdir(os.path.join(self.project, name))
        setup = 'cd "$1/project" && mount --bind ../env .venv && mount --bind ../repository .git'
        words = ["sh", "-c", "python -c 'import sys; print(sys.prefix)'; echo x >.git/config; echo x >.venv/x; echo x >made"]
        result = self.on_host(setup, words, environment=os.path.join(self.project, ".venv"), after="cat .git/config made")
        self.assertEqual(result.stdout, f"{self.project}/.venv\n[core]\nx\n")
        self.assertEqual(result.stderr.count("Read-only file system"), 2, result.stderr)


class OwnerMaps(HostCase):
    """Root's run writes to files of root by an id-mapped mount, which ramfs cannot have."""

    def setUp(self):
        super().setUp()
        if not IS_ROOT:
            self.skipTest("only as root: nobody else's files are written under another user's name")

    def test_refused_where_there_is_none(self):
        result = self.on_host('mount -t ramfs none "$1/project"', ["touch", "made"], after='ls "$1/project"; exit $status')
        self.refused(result, f"cannot let the run write with its owner's rights to '{self.project}': EINVAL",
                     "run vrun as the owner")

    def test_control_files_of_an_ordinary_user(self):
        """They need no map: the run is that user's."""
        setup = 'mount -t ramfs none "$1/project" && chown 12345:12345 "$1/project"'
        result = self.on_host(setup, ["touch", "made"], after='stat -c "%u:%g" "$1/project/made"; exit $status')
        self.assertEqual(self.ok(result), "12345:12345\n")


class FullDisk(HostCase):
    """Output to a file on a disk that is full is told about: the file is written by vrun, and not by the command."""

    def run_into(self, script):
        setup = 'mount -t tmpfs -o size=64k,mode=777 none "$1/temporary"'
        return self.on_host(f'{setup} && exec 3>&1 >"$1/temporary/out"', ["sh", "-c", script],
                            after='wc -c <"$1/temporary/out" >&3; exit $status')

    def test_output_is_lost(self):
        result = self.run_into("head -c 200000 /dev/zero; exit 0")
        self.assertEqual((result.returncode, result.stdout.strip()), (125, "65536"))
        self.assertRegex(result.stderr, r"\Avrun: cannot write standard output: ENOSPC [^\n]*\n\Z")

    def test_the_commands_own_failure_counts(self):
        result = self.run_into("head -c 200000 /dev/zero; exit 7")
        self.assertEqual(result.returncode, 7)
        self.assertIn("ENOSPC", result.stderr)

    def test_control(self):
        result = self.run_into("head -c 65000 /dev/zero; exit 3")
        self.assertEqual((result.returncode, result.stdout.strip(), result.stderr), (3, "65000", ""))


class HugeNumbers(Case):
    """Users beyond 2³¹, as directory services and containers give them; the last one that can be is 2³² - 2."""

    def test_users(self):
        if not IS_ROOT:
            self.skipTest("only as root: others cannot become another user")
        os.chmod(self.directory, 0o755)
        os.chmod(self.shared, 0o755)
        script = 'id -u; id -g; touch made; stat -c %u made; stat -c %U made; python -c "import os, pwd; print(pwd.getpwuid(os.getuid())[2])"'
        for number in (2**31 - 1, 2**31, 2**32 - 2, 65534):
            for caller in ("the user", "root, for the project's owner"):
                with self.subTest(number=number, caller=caller):
                    project = os.path.join(self.directory, f"{number}-{caller.split(',')[0].replace(' ', '-')}")
                    os.mkdir(project)
                    os.chown(project, number, number)

                    def become():
                        os.setgroups([])
                        os.setresgid(number, number, number)
                        os.setresuid(number, number, number)
                    result = self.vrun("sh", "-c", script, cwd=project, variables={"HOME": "/nonexistent"},
                                       preexec_fn=become if caller == "the user" else None)
                    lines = self.ok(result).split()
                    self.assertEqual((lines[:3], lines[4]), ([str(number)] * 3, str(number)))
                    self.assertNotIn(lines[3], ("root", "UNKNOWN"))
                    made = os.stat(os.path.join(project, "made"))
                    self.assertEqual((made.st_uid, made.st_gid), (number, number))


class Containers(HostCase):
    """In a user namespace such as a container's there is full isolation, or a refusal that names the cause."""

    SHEET = ("import os, re\n"
             "status = open('/proc/self/status').read()\n"
             "print(*re.findall(r'^(?:Cap\\w+|NoNewPrivs|Seccomp):\\s+(\\w+)', status, re.M))\n"
             "print(*(os.readlink('/proc/self/ns/' + n) for n in ('cgroup', 'ipc', 'mnt', 'net', 'pid', 'user', 'uts')))\n"
             "print(*sorted(os.listdir('/')))\n"
             "print(len([p for p in os.listdir('/proc') if p.isdigit()]), open('/proc/sys/user/max_user_namespaces').read())")

    def sheet(self, setup):
        """vrun as root of a user namespace made by an ordinary user, after `setup` in it."""
        words = [*self.ordinary(), "unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--mount-proc",
                 "--net", "sh", "-c", f'{setup} && exec "$@"', "-"]
        return self.outside(*words, *self.command(["python", "-c", self.SHEET]))

    def test_full_isolation(self):
        contained, plain = (self.ok(result).splitlines() for result in (self.sheet("true"), self.python(self.SHEET)))
        self.assertEqual(contained[0], "0" * 16 + (" " + "0" * 16) * 4 + " 1 2")
        own = {os.readlink("/proc/self/ns/" + name) for name in ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")}
        self.assertEqual(len(set(contained[1].split()) - own), 7)
        self.assertEqual([contained[0], *contained[2:]], [plain[0], *plain[2:]])

    def test_refusal_names_the_cause(self):
        for setup, texts in {"mount --bind /dev/null /proc/keys": ("EPERM", "the /proc around vrun is covered"),
                             "mount -t tmpfs none /proc/acpi": ("EPERM", "the /proc around vrun is covered")}.items():
            with self.subTest(setup=setup):
                self.refused(self.sheet(setup), *texts)


if __name__ == "__main__":
    unittest.main()
