"""What a run sees of the host, what it can change, and whom that belongs to (design.md §4)."""

import itertools
import os
import re
import stat
import subprocess
import sys
import unittest

from harness import (IS_ROOT, SYSTEM_PYTHON, VRUN, Case, host_mounts, make_environment, missing, read, run, site_packages,
                     write)

# Prints, for each path: "written", or the name of the errno with which making a file there failed.
TRY_WRITE = """
import errno, os, sys
for path in sys.argv[1:]:
    name = os.path.join(path, "made-by-run") if os.path.isdir(path) else path
    try:
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644))
        print("written")
    except OSError as error:
        print(errno.errorcode[error.errno])
"""


class ViewCase(Case):
    def writes(self, *paths, **more):
        return self.ok(self.python(TRY_WRITE, *paths, **more)).split()


class Contents(ViewCase):
    def test_root(self):
        system = {name for name in ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32") if os.path.lexists("/" + name)}
        places = {path.split("/")[1] for path in (self.environment, self.project, self.home)}
        self.assertEqual(set(self.ok(self.vrun("ls", "-A", "/")).split()),
                         system | places | {"dev", "etc", "proc", "run", "tmp", "var"})
        self.assertEqual(self.ok(self.vrun("ls", "-A", "/var", "/run")).split(), ["/run:", "/var:", "tmp"])

    def test_nothing_above_the_root(self):
        """The old root is let go: ".." of the root is the root."""
        code = ("import os\n"
                "here, above = os.stat('/'), os.stat('/..')\n"
                "print((here.st_dev, here.st_ino) == (above.st_dev, above.st_ino), os.listdir('/') == os.listdir('/../..'))\n"
                "os.chdir('/'); os.chdir('..'); print(os.getcwd(), os.listdir('.') == os.listdir('/'))")
        self.assertEqual(self.ok(self.python(code)), "True True\n/ True\n")

    def test_mounts_are_those_of_the_plan(self):
        """/proc/self/mountinfo has what --explain says, and nothing of the host's."""
        words = ["cat", "/proc/self/mountinfo"]
        plan = self.ok(self.vrun(*words, options=["--explain", "--verbose"]))
        kinds = r"^  (?:memory|show|cover|hold|proc|terminals) +'?(/[^,'\n]*?)'?(?:,| from|$)"
        planned = re.findall(kinds, plan, re.M)
        mounted = [line.split()[4] for line in self.ok(self.vrun(*words)).splitlines()]
        self.assertGreater(len(planned), 20)
        self.assertEqual(sorted(mounted), sorted(planned))

    def test_mount_options(self):
        for line in self.ok(self.vrun("cat", "/proc/self/mountinfo")).splitlines():
            fields = line.split()
            options, path, kind = set(fields[5].split(",")), fields[4], line.split(" - ")[1].split()[0]
            with self.subTest(path=path):
                self.assertIn("nosuid", options)
                device = os.path.dirname(path) == "/dev" and path not in ("/dev/shm",)
                self.assertEqual("nodev" in options, not device)
                if path.startswith(("/proc", "/dev")):
                    self.assertIn("noexec", options)
                writable = {self.project, self.home, "/tmp", "/var/tmp", "/run", "/dev/shm", "/dev/pts", "/proc"}
                self.assertEqual("rw" in options, path in writable or device)
                self.assertFalse([f for f in fields[6:fields.index("-")] if f.startswith(("shared", "master"))], kind)

    def test_etc(self):
        names = set(self.ok(self.vrun("ls", "-A", "/etc")).split())
        self.assertLessEqual({"passwd", "group", "hosts", "hostname", "nsswitch.conf", "resolv.conf"}, names)
        allowed = {"passwd", "group", "hosts", "hostname", "nsswitch.conf", "resolv.conf", "alternatives",
                   "ca-certificates", "ca-certificates.conf", "crypto-policies", "debian_version", "fonts", "gai.conf",
                   "host.conf", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "locale.alias", "locale.conf", "localtime",
                   "magic", "mime.types", "os-release", "pki", "protocols", "redhat-release", "services", "ssl", "terminfo",
                   "timezone"}
        # Where Debian's standard library has a link to, an empty file (test_packages, P-17).
        others = {name for name in names - allowed if not re.fullmatch(r"python3\.\d+", name)}
        self.assertEqual(others, set())
        self.assertTrue(os.path.exists("/etc/shadow"))
        private = self.vrun("ls", "-A", "/etc/ssl/private")
        self.assertEqual(private.stdout, "")

    def test_accounts(self):
        lines = self.ok(self.vrun("cat", "/etc/passwd")).splitlines()
        self.assertEqual(len(lines), 3)
        uid = self.ok(self.vrun("id", "-u")).strip()
        mine = [line.split(":") for line in lines if line.split(":")[2] == uid]
        self.assertEqual([entry[5] for entry in mine], [self.home])
        self.assertEqual(self.ok(self.vrun("id", "-un")).strip(), mine[0][0])
        self.assertEqual(self.ok(self.vrun("cat", "/etc/hosts")).splitlines()[0], "127.0.0.1 localhost vrun")
        self.assertEqual(self.ok(self.vrun("cat", "/etc/resolv.conf")), "")

    def test_home_and_neighbours_are_absent(self):
        write(os.path.join(self.home, "secret"), "x")
        write(os.path.join(self.directory, "beside"), "x")
        self.assertEqual(self.ok(self.vrun("ls", "-A", self.home)), "")
        names = set(self.ok(self.vrun("ls", "-A", self.directory)).split())
        self.assertEqual(names, {"project", "home"})
        others = [path for path in ("/home", "/root", "/opt", "/srv", "/mnt", "/boot", "/sys", "/lost+found", "/work")
                  if os.path.isdir(path) and not self.directory.startswith(path + "/")]
        self.assertGreater(len(others), 2)
        for path in others:
            with self.subTest(path=path):
                self.assertIn("No such file", self.vrun("ls", path).stderr)

    def test_temporary_directories_are_private(self):
        for place in ("/tmp", "/var/tmp", "/dev/shm"):
            with self.subTest(place=place):
                name = os.path.join(place, f"vrun-test-{os.getpid()}")
                with open(name, "w", encoding="ascii") as file:
                    file.write("host")
                self.addCleanup(os.unlink, name)
                self.assertIn("No such file", self.vrun("cat", name).stderr)
                made = name + "-made"
                self.assertEqual(self.ok(self.vrun("sh", "-c", f"echo run > {made}; cat {made}; stat -c %a {place}")),
                                 "run\n1777\n")
                self.assertFalse(os.path.exists(made))
                self.assertIn("No such file", self.vrun("cat", made).stderr)

    def test_memory_is_limited(self):
        code = ("import os\n"
                "for path in ('/tmp', '/var/tmp', '/run', '/dev/shm', os.environ['HOME'], '/'):\n"
                "  s = os.statvfs(path); print(0 < s.f_blocks * s.f_frsize <= 1 << 31, 0 < s.f_files <= 1 << 18)\n"
                "with open('/run/x', 'wb') as file:\n"
                "  try: file.write(bytes(17 << 20)); file.flush()\n"
                "  except OSError as error: print(error.errno)")
        result = self.python(code)
        self.assertEqual(result.stdout, "True True\n" * 6 + "28\n")

    def test_standard_streams_by_name(self):
        result = self.vrun("sh", "-c", "echo out > /dev/stdout; echo err > /dev/stderr; cat /dev/stdin", input="in\n",
                           stdin=None)
        self.assertEqual((result.stdout, result.stderr), ("out\nin\n", "err\n"))

    def test_what_the_caller_may_not_read(self):
        """No capability of the run's user namespace opens a file that is closed outside."""
        path = write(os.path.join(self.project, "closed/file"), "x")
        os.chmod(path, 0o000)
        if IS_ROOT:
            os.chown(path, 4321, 4321)
        else:
            self.assertIn("Permission denied", self.outside("cat", path).stderr)
        self.assertIn("Permission denied", self.vrun("cat", path).stderr)
        os.chmod(os.path.dirname(path), 0o000)
        if not IS_ROOT:
            # It cannot be searched for environments either, and is covered; what is in it is not shown in any case.
            self.assertIn("Permission denied", self.outside("ls", os.path.dirname(path)).stderr)
            self.assertEqual(self.vrun("ls", "-A", os.path.dirname(path)).stdout, "")


class Writing(ViewCase):
    def test_read_only_places(self):
        library = self.ok(self.python("import os; print(os.path.dirname(os.__file__))")).strip()
        places = ["/", "/usr", "/usr/bin", "/etc", "/etc/ssl", "/etc/passwd", "/dev", "/var", library, "/usr/lib",
                  "/usr/local/lib", self.environment, site_packages(self.environment), self.environment + "/pyvenv.cfg",
                  self.environment + "/bin/activate", self.environment + "/lib", "/usr/lib/python3/dist-packages"]
        places = [path for path in places if os.path.exists(path)]
        self.assertEqual(self.writes(*places), ["EROFS"] * len(places))

    def test_every_way_of_changing_a_read_only_file(self):
        """Even when the file is the caller's own and writable outside."""
        extra = write(os.path.join(self.directory, "shown/file"), "content")
        code = ("import errno, os, sys\n"
                "f = sys.argv[1]; d = os.path.dirname(f)\n"
                "for what in (lambda: os.truncate(f, 0), lambda: os.rename(f, f + '2'), lambda: os.unlink(f),\n"
                "             lambda: os.chmod(f, 0o777), lambda: os.utime(f), lambda: os.setxattr(f, 'user.x', b'1'),\n"
                "             lambda: os.link(f, f + '3'), lambda: os.symlink('x', f + '4'), lambda: os.mkdir(d + '/5'),\n"
                "             lambda: os.chown(f, -1, os.getgid()), lambda: os.rmdir(d),\n"
                "             lambda: os.open('/proc/self/root' + f, os.O_RDWR), lambda: os.link(f, '/tmp/l'),\n"
                "             lambda: os.rename(f, '/tmp/r')):\n"
                "  try: what(); print('done')\n"
                "  except OSError as error: print(errno.errorcode[error.errno])")
        answers = self.ok(self.python(code, extra, options=["--ro", os.path.dirname(extra)])).split()
        # The directory itself is where something is mounted; whether its parent is asked first depends on where that is.
        self.assertIn(answers.pop(10), ("EBUSY", "EROFS"))
        self.assertEqual(answers, ["EROFS"] * 11 + ["EXDEV", "EXDEV"])
        self.assertEqual(read(extra), "content")
        again = self.ok(self.python(code, extra, options=["--rw", os.path.dirname(extra)])).split()
        self.assertEqual(again[0], "done")

    def test_project(self):
        """Everything that people do in their project works, and is the host's."""
        script = ("set -e; mkdir -p a/b; echo one > a/b/f; mv a/b/f a/g; ln -s g a/l; ln a/g a/h; chmod 700 a/g; rm a/h\n"
                  "printf '#!/bin/sh\\necho ran\\n' > run.sh; chmod +x run.sh; ./run.sh; mkfifo fifo; rm old; : > empty")
        write(os.path.join(self.project, "old"))
        self.assertEqual(self.ok(self.vrun("sh", "-c", script)), "ran\n")
        self.assertEqual(sorted(os.listdir(self.project)), ["a", "empty", "fifo", "run.sh"])
        self.assertEqual(read(os.path.join(self.project, "a/l")), "one\n")
        self.assertEqual(stat.S_IMODE(os.stat(os.path.join(self.project, "a/g")).st_mode), 0o700)

    def owners(self):
        made = os.path.join(self.project, "made")
        inside = self.ok(self.vrun("sh", "-c", "id -u; touch made; mkdir d; stat -c %u made .")).split()
        status = os.lstat(made)
        return inside, (status.st_uid, status.st_gid), os.lstat(self.project)

    def test_owner(self):
        inside, made, project = self.owners()
        self.assertEqual(made, (project.st_uid, project.st_gid))
        self.assertEqual(inside, [inside[0]] * 3)
        if IS_ROOT:
            self.assertNotEqual(inside[0], "0")
            self.assertEqual(made[0], 0)
        else:
            self.assertEqual(inside[0], str(os.getuid()))

    def test_owner_when_root_runs_it_for_another_user(self):
        if not IS_ROOT:
            self.skipTest("only as root")
        os.chmod(self.directory, 0o755)
        os.chown(self.project, 1234, 1235)
        inside, made, _ = self.owners()
        self.assertEqual(inside, ["1234"] * 3)
        self.assertEqual(made, (1234, 1234))

    def test_files_of_root_in_a_project_of_another_user(self):
        if not IS_ROOT:
            self.skipTest("only as root")
        os.chown(self.project, 1234, 1235)
        secret = write(os.path.join(self.project, "secret"), "x", 0o600)
        self.assertIn("Permission denied", self.vrun("cat", secret).stderr)
        self.assertEqual(self.outside("cat", secret).stdout, "x")

    def test_device_in_the_project(self):
        if not IS_ROOT:
            self.skipTest("only as root: others cannot make devices")
        node = os.path.join(self.project, "null")
        os.mknod(node, stat.S_IFCHR | 0o666, os.makedev(1, 3))
        if self.outside("sh", "-c", f"echo x > {node}").returncode != 0:
            missing(self, f"devices do not work in {self.project}")
        self.assertEqual(self.writes(node), ["EACCES"])

    def test_environment_that_may_be_changed(self):
        environment = make_environment(os.path.join(self.directory, "env"))
        paths = [site_packages(environment), environment, environment + "/bin"]
        self.assertEqual(self.writes(*paths, environment=environment), ["EROFS"] * 3)
        self.assertEqual(self.writes(*paths, environment=environment, options=["--env-rw"]), ["written"] * 3)
        made = os.stat(os.path.join(environment, "made-by-run"))
        self.assertEqual(made.st_uid, os.stat(environment).st_uid)

    def test_hard_links_in_the_environment(self):
        """P-27, P-46: a file that an installer linked from its cache, as uv does, is one file with two names. It cannot be
        changed; with --env-rw it is changed in both places, which vrun(1) says."""
        environment = make_environment(os.path.join(self.directory, "env"))
        cached = write(os.path.join(self.directory, "cache/module.py"), "value = 1\n")
        os.link(cached, os.path.join(site_packages(environment), "module.py"))
        code = ("import module\nprint(module.value)\ntry: open(module.__file__, 'w').write('value = 2\\n')\n"
                "except OSError as error: print(error.strerror)")
        self.assertEqual(self.ok(self.python(code, environment=environment)), "1\nRead-only file system\n")
        self.assertEqual(read(cached), "value = 1\n")
        self.assertEqual(self.ok(self.vrun("sh", "-c", f"test -e {cached} || echo absent", environment=environment)), "absent\n")
        self.assertEqual(self.ok(self.python(code, environment=environment, options=["--env-rw"])), "1\n")
        self.assertEqual(read(cached), "value = 2\n")

    def test_environment_in_the_project(self):
        environment = make_environment(os.path.join(self.project, ".venv"))
        paths = [environment, environment + "/pyvenv.cfg", site_packages(environment), self.project]
        self.assertEqual(self.writes(*paths, environment=environment), ["EROFS"] * 3 + ["written"])
        for words in (["mv", ".venv", "x"], ["rm", "-rf", ".venv"], ["mv", "-T", "made-by-run", ".venv/pyvenv.cfg"]):
            with self.subTest(words=words):
                self.assertRegex(self.vrun(*words, environment=environment).stderr, "busy|Read-only")
        self.assertIn("home = ", read(environment + "/pyvenv.cfg"))
        self.assertEqual(self.writes(environment, environment=environment, options=["--env-rw"]), ["written"])

    def test_project_in_the_environment(self):
        environment = make_environment(os.path.join(self.directory, "env"))
        inner = os.path.join(environment, "src/pkg")
        os.makedirs(inner)
        self.assertEqual(self.writes(inner, environment, environment=environment, cwd=inner), ["written", "EROFS"])
        self.assertEqual(self.ok(self.vrun("pwd", environment=environment, cwd=inner)), inner + "\n")

    def test_project_is_the_environment(self):
        environment = make_environment(os.path.join(self.directory, "env"))
        result = self.python(TRY_WRITE, environment, site_packages(environment), environment=environment, cwd=environment)
        self.assertEqual((result.returncode, result.stdout.split()), (0, ["EROFS"] * 2), result.stderr)

    def test_two_runs_at_once(self):
        first = self.start("sh", "-c", "echo x > /tmp/f; echo ready; read line; cat /tmp/f", stdin=subprocess.PIPE,
                           stdout=subprocess.PIPE)
        self.assertEqual(first.stdout.readline(), b"ready\n")
        self.assertEqual(self.ok(self.vrun("sh", "-c", "ls -A /tmp | grep -c -x f || true")), "0\n")
        self.assertEqual(first.communicate(b"go\n", timeout=20)[0], b"x\n")


class Shares(ViewCase):
    def setUp(self):
        super().setUp()
        self.tree = os.path.join(self.directory, "tree")
        for path in ("a/b/c", "a/sibling", "other"):
            os.makedirs(os.path.join(self.tree, path))
        self.file = write(os.path.join(self.tree, "file"), "text")

    def test_nested_in_any_order(self):
        """The nearest option counts, however they are ordered."""
        a, b, c = (os.path.join(self.tree, path) for path in ("a", "a/b", "a/b/c"))
        options = [("--ro", self.tree), ("--rw", a), ("--ro", b), ("--rw", c)]
        paths = [self.tree, self.tree + "/other", a, a + "/sibling", b, c]
        for order in itertools.permutations(options):
            words = [word for option in order for word in option]
            self.assertEqual(self.writes(*paths, options=words), ["EROFS", "EROFS", "written", "written", "EROFS", "written"],
                             order)

    def test_in_the_project(self):
        inner = os.path.join(self.project, "inner")
        os.mkdir(inner)
        self.assertEqual(self.writes(inner, self.project), ["written"] * 2)
        self.assertEqual(self.writes(inner, self.project, options=["--ro", "inner"]), ["EROFS", "written"])

    def test_only_what_is_named(self):
        result = self.vrun("sh", "-c", f"cat {self.file}; ls -A {self.tree}", options=["--ro", self.file])
        self.assertEqual(self.ok(result), "textfile\n")
        self.assertIn("No such file", self.vrun("cat", self.file).stderr)

    def test_a_file_to_write(self):
        result = self.vrun("sh", "-c", f"echo more >> {self.file}; rm {self.file}", options=["--rw", self.file])
        self.assertIn("rm: cannot remove", result.stderr)
        self.assertEqual(read(self.file), "textmore\n")

    def test_links(self):
        link = os.path.join(self.directory, "link")
        os.symlink(self.file, link)
        self.assertEqual(self.ok(self.vrun("cat", link, options=["--ro", link])), "text")
        directory = os.path.join(self.directory, "dirlink")
        os.symlink("tree", directory)
        self.assertEqual(self.ok(self.vrun("cat", directory + "/file", options=["--ro", directory])), "text")

    def test_below_home(self):
        path = write(os.path.join(self.home, "data/set"), "text")
        write(os.path.join(self.home, "data2"), "text")
        self.assertEqual(self.ok(self.vrun("cat", path, options=["--ro", path])), "text")
        self.assertEqual(self.ok(self.vrun("ls", "-A", self.home, options=["--ro", path])), "data\n")
        self.assertEqual(self.writes(self.home, os.path.dirname(path), options=["--ro", os.path.dirname(path)]),
                         ["written", "EROFS"])

    def test_twice_the_same(self):
        self.assertEqual(self.ok(self.vrun("cat", self.file, options=["--ro", self.file, "--ro", self.file])), "text")

    def test_missing_ones_are_not_made(self):
        path = os.path.join(self.directory, "missing")
        for option in ("--ro", "--rw"):
            self.refused(self.vrun("true", options=[option, path]), path, "ENOENT")
        self.assertFalse(os.path.lexists(path))


class ProtectedFiles(ViewCase):
    """What a tool on the host later executes or believes (P-48, P-49)."""

    FILES = [".git/config", ".git/hooks/pre-commit", ".gitmodules", ".gitlab-ci.yml", ".github/workflows/x.yml",
             ".circleci/config.yml", ".devcontainer/devcontainer.json", ".envrc", ".vscode/tasks.json", ".idea/x.xml",
             ".pre-commit-config.yaml", ".mcp.json", "pyproject.toml", "vrun.toml", ".husky/pre-push"]

    def plant(self):
        for name in self.FILES:
            write(os.path.join(self.project, name), "# original")
        write(os.path.join(self.project, ".git/index"), "# original")

    def test_cannot_be_changed(self):
        self.plant()
        paths = [os.path.join(self.project, name) for name in self.FILES]
        self.assertEqual(self.writes(*paths), ["EROFS"] * len(paths))
        directories = [os.path.join(self.project, name) for name in (".git/hooks", ".github", ".vscode", ".idea", ".husky")]
        self.assertEqual(self.writes(*directories), ["EROFS"] * len(directories))

    def test_git_is_kept_as_a_whole_unless_named(self):
        self.plant()
        git = os.path.join(self.project, ".git")
        paths = [os.path.join(git, "index"), git, os.path.join(git, "commondir")]
        self.assertEqual(self.writes(*paths), ["EROFS"] * 3)
        self.assertEqual(self.writes(*paths[:2], options=["--rw", git]), ["written"] * 2)

    def test_cannot_be_moved_away(self):
        self.plant()
        for name in (".git", ".git/hooks", ".git/config", ".vscode", "pyproject.toml"):
            with self.subTest(name=name):
                code = ("import errno, os, sys\n"
                        "try: os.rename(sys.argv[1], 'elsewhere'); print('moved')\n"
                        "except OSError as error: print(errno.errorcode[error.errno])")
                self.assertIn(self.ok(self.python(code, name)), ("EBUSY\n", "EXDEV\n"))

    def test_the_environment_that_is_found_by_itself(self):
        """.venv says which environment a later run without a name takes, so it is not the run's to say."""
        path = os.path.join(self.project, ".venv")
        write(path, self.environment + "\n")
        self.assertEqual(self.writes(path), ["EROFS"])
        self.assertEqual(self.ok(self.raw("--", "printenv", "VIRTUAL_ENV")), self.environment + "\n")
        os.unlink(path)
        result = self.vrun("ln", "-s", "/nonexistent", ".venv")
        self.assertEqual((result.returncode, result.stderr), (
            0, f"vrun: note: the run made '{path}', which tools on this machine may trust or execute; it is now "
            f"'.venv.from-run' (to allow it: --rw {path})\n"))

    def test_directories_above_cannot_be_renamed(self):
        """Under the old name something else would wait for a tool of the host."""
        make_environment(os.path.join(self.project, ".tox/py"))
        code = "import os\ntry: os.rename('.tox', '.t')\nexcept OSError as error: print(error.strerror)"
        self.assertEqual(self.ok(self.python(code)), "Device or resource busy\n")
        self.assertEqual(self.ok(self.outside("mv", ".tox", ".t")), "")

    def test_no_set_user_id_files(self):
        code = ("import os, shutil\nshutil.copy('/usr/bin/id', 'id')\n"
                "for call in (lambda: os.chmod('id', 0o4755), lambda: os.close(os.open('new', os.O_CREAT | os.O_WRONLY, 0o2755)),\n"
                "             lambda: os.mknod('node', 0o104755), lambda: os.chmod('id', 0o755)):\n"
                "  try: call(); print('done')\n  except OSError as error: print(error.strerror)")
        expected = ["Operation not permitted"] * 3 + ["done"]
        self.assertEqual(self.ok(self.python(code)).splitlines(), expected)
        outside = self.ok(self.outside("python3", "-c", code)).splitlines()
        self.assertEqual(outside, ["done"] * 4)

    def test_named_ones_can_be_changed(self):
        self.plant()
        path = os.path.join(self.project, "pyproject.toml")
        self.assertEqual(self.writes(path, options=["--rw", path]), ["written"])

    def test_git_commands(self):
        git = next((path for path in ("/usr/bin/git", "/usr/local/bin/git") if os.path.exists(path)), None)
        if git is None:
            missing(self, "git is not installed")
        script = "git init -q . && git config user.name n && git config user.email e && echo x > f && git add f"
        self.ok(self.outside("sh", "-c", script))
        self.assertEqual(self.ok(self.vrun("git", "status", "--short")), "A  f\n")
        self.assertIn("Read-only", self.vrun("git", "commit", "-qm", "m").stderr)
        result = self.vrun("sh", "-c", "git commit -qm m && git log --oneline | wc -l",
                           options=["--rw", os.path.join(self.project, ".git")])
        self.assertEqual(self.ok(result), "1\n")
        self.assertEqual(self.outside("git", "status", "--short").stdout, "")


class Places(ViewCase):
    """Where vrun is started, and through which names."""

    def test_directories_that_are_no_project(self):
        for place in ("/", "/tmp", "/usr", "/etc", "/var/tmp", self.home):
            with self.subTest(place=place):
                write(os.path.join(self.home, "secret"))
                result = self.vrun("sh", "-c", 'pwd; ls -A "$HOME"', cwd=place)
                self.assertEqual((result.returncode, result.stdout), (0, self.home + "\n"), result.stderr)
                self.assertRegex(result.stderr, r"\Avrun: note: the current directory [^\n]* is not shown: [^\n]*--project")

    def test_a_parent_of_home(self):
        result = self.vrun("ls", "-A", self.directory, cwd=self.directory)
        self.assertIn("vrun: note: ", result.stderr)
        self.assertEqual(result.stdout, "home\n")

    def test_named_as_project(self):
        write(os.path.join(self.home, "mine"))
        result = self.vrun("sh", "-c", "ls -A; touch made", cwd=self.home, options=["--project", self.home])
        self.assertEqual(self.ok(result), "mine\n")
        self.assertTrue(os.path.exists(os.path.join(self.home, "made")))
        self.refused(self.vrun("true", options=["--project", "/"]), "'/'")
        for place in ("/proc", "/dev", "/proc/self", "/dev/shm"):
            with self.subTest(place=place):
                self.refused(self.vrun("true", options=["--project", place]))

    def test_another_project(self):
        other = os.path.join(self.directory, "other")
        os.mkdir(other)
        self.assertEqual(self.ok(self.vrun("sh", "-c", "pwd; touch made", options=["--project", other])), other + "\n")
        self.assertEqual((os.listdir(other), os.listdir(self.project)), (["made"], []))

    def test_links(self):
        """Project, environment and home directory reached through links."""
        link = os.path.join(self.directory, "link")
        os.symlink("project", link)
        result = self.vrun("sh", "-c", "pwd -P; touch made", options=["--project", link], cwd=self.directory)
        self.assertEqual(self.ok(result), self.project + "\n")
        self.assertEqual(os.listdir(self.project), ["made"])
        self.assertEqual(self.ok(self.vrun("sh", "-c", "cd -P . && pwd", cwd=link)), self.project + "\n")

        environment = os.path.join(self.directory, "env")
        os.symlink(self.environment, environment)
        result = self.python("import sys; print(sys.prefix)", environment=environment)
        self.assertEqual(self.ok(result), self.outside(environment + "/bin/python", "-c", "import sys; print(sys.prefix)").stdout)
        self.assertEqual(self.writes(environment + "/pyvenv.cfg", environment=environment), ["EROFS"])

        home = os.path.join(self.directory, "home-link")
        os.symlink("home", home)
        result = self.vrun("sh", "-c", 'cd "$HOME" && touch x && pwd -P', variables={"HOME": home})
        self.assertEqual(self.ok(result), self.home + "\n")
        self.assertEqual(os.listdir(self.home), [])

    def test_link_in_the_project_to_the_outside(self):
        """A link is not followed for showing: its target stays absent, and nothing is made there."""
        outside = os.path.join(self.directory, "outside")
        os.mkdir(outside)
        for name in (".git", ".vscode", "data"):
            os.symlink(outside, os.path.join(self.project, name))
        self.assertEqual(self.writes(*(os.path.join(self.project, name, "x") for name in (".git", ".vscode", "data"))),
                         ["ENOENT"] * 3)
        self.assertEqual(os.listdir(outside), [])

    def test_home_that_does_not_exist_or_is_the_systems(self):
        for home in ("/nonexistent", "/", "/usr", "relative", ""):
            with self.subTest(home=home):
                result = self.vrun("sh", "-c", 'cd "$HOME" && touch x && pwd', variables={"HOME": home})
                self.assertEqual(self.ok(result), "/home/vrun\n")

    def test_host_mounts_do_not_change(self):
        before = host_mounts()
        shared = os.path.join(self.directory, "shared")
        os.mkdir(shared)
        self.ok(self.vrun("true", options=["--ro", shared, "--rw", self.home]))
        self.assertEqual(host_mounts(), before)

    def test_replaced_directories_of_the_host_do_not_matter(self):
        """E-14: the host moves the project while a process of the run stands in it."""
        deep = os.path.join(self.project, "a/b")
        os.makedirs(deep)
        process = self.start("sh", "-c", "cd a/b; echo ready; read x; cd ../../../../../../../..; pwd -P; ls -A",
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual(process.stdout.readline(), b"ready\n")
        os.rename(os.path.join(self.project, "a/b"), os.path.join(self.directory, "moved"))
        output = process.communicate(b"go\n", timeout=20)[0].decode()
        self.assertNotIn("lost+found", output)
        self.assertNotIn("boot", output)

    def test_special_files_in_the_project(self):
        import socket
        os.mkfifo(os.path.join(self.project, "fifo"))
        server = socket.socket(socket.AF_UNIX)
        self.addCleanup(server.close)
        os.chdir(self.project)
        self.addCleanup(os.chdir, "/")
        server.bind("socket")
        self.assertEqual(self.ok(self.vrun("ls")), "fifo\nsocket\n")
        for name in ("fifo", "socket"):
            self.refused(self.vrun("true", options=["--ro", name]), name, "neither a directory nor a regular file")


if __name__ == "__main__":
    unittest.main()
