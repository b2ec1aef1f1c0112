"""Policy files and profiles, as runs feel them. What is read and how it is merged is tested in tests/unit."""

import os
import subprocess
import unittest

from harness import Case, IS_ROOT, missing, read, write

WRITE = ("import errno, sys\n"
         "for path in sys.argv[1:]:\n"
         "    try: open(path, 'a').close(); print('written')\n"
         "    except OSError as error: print(errno.errorcode[error.errno])")
READ = ("import errno, sys\n"
        "for path in sys.argv[1:]:\n"
        "    try: print(open(path).read().strip() or 'empty')\n"
        "    except OSError as error: print(errno.errorcode[error.errno])")


class PolicyCase(Case):
    def policy(self, text, name="vrun.toml"):
        return write(os.path.join(self.project, name), text)

    def user(self, text):
        path = write(os.path.join(self.home, ".config/vrun/config.toml"), text, 0o600)
        os.chmod(os.path.dirname(path), 0o755)
        return path

    def written(self, *paths, **more):
        return self.ok(self.python(WRITE, *paths, **more)).split()


class ProjectFiles(PolicyCase):
    def test_hide_and_make_read_only(self):
        write(os.path.join(self.project, "secret/key"), "k")
        write(os.path.join(self.project, "data"), "d")
        self.assertEqual(self.written("secret/key", "data"), ["written"] * 2, "the control")
        self.policy("hide = ['secret']\nproject-ro = true\n")
        self.assertEqual(self.written("secret/key", "data", "new"), ["EROFS"] * 3)
        self.assertEqual(self.ok(self.python(READ, "secret/key", "data")).split(), ["ENOENT", "d"])

    def test_do_not_widen(self):
        outside = write(os.path.join(self.directory, "outside/file"), "o")
        self.policy(f"rw = ['{os.path.dirname(outside)}']\nkeep-env = ['TOKEN']\nnet = 'host'\nenv-rw = true\n")
        code = READ + "\nimport os\nprint(os.environ.get('TOKEN'), sorted(os.listdir('/sys/class/net')) if os.path.exists('/sys') else len(open('/proc/net/dev').readlines()))"
        variables = {"TOKEN": "t"}
        result = self.python(code, outside, variables=variables)
        self.assertEqual((result.returncode, result.stdout), (0, "ENOENT\nNone 3\n"), result.stderr)
        asked = [line.split(" asks for ")[1].split(", which")[0] for line in result.stderr.splitlines()]
        self.assertEqual(asked, ["env-rw = 'true'", "keep-env = 'TOKEN'", "net = 'host'",
                                 f"rw = '{os.path.dirname(outside)}'"])
        for line in result.stderr.splitlines():
            self.assertRegex(line, rf"\Avrun: note: {self.project}/vrun\.toml:\d+:\d+ asks for .* cannot grant; --[a-z-]+.* does\Z")
        # What the lines name grants it, and they are not printed again.
        granted = self.python(code, outside, variables=variables,
                              options=["--keep-env", "TOKEN", "--rw", os.path.dirname(outside), "--env-rw", "--net", "host"])
        self.assertEqual((granted.returncode, granted.stderr), (0, ""))
        self.assertTrue(granted.stdout.startswith("o\nt "), granted.stdout)

    def test_cannot_take_the_protection_away(self):
        """Without a project nothing of it is protected, so that taking it away can mean more than it says."""
        write(os.path.join(self.project, ".git/config"), "[core]\n")
        for shown in (self.directory, self.project + "/.git"):
            self.assertEqual(self.written(".git/config", options=["--rw", self.directory]), ["EROFS"], "the control")
            path = self.policy("no-project = true\n")
            self.refused(self.python(WRITE, self.project + "/.git/config", options=["--rw", shown]), f"{path}:1:1: ", f"by --rw {shown}")
            allowed = self.python(WRITE, self.project + "/.git/config", options=["--rw", shown, "--no-project"])
            self.assertEqual(self.ok(allowed), "written\n")
            os.unlink(path)
        self.policy("no-project = true\n")
        self.assertEqual(self.written(self.project + "/.git/config", options=["--rw", self.home]), ["ENOENT"])

    def test_cannot_take_the_protection_away_by_showing_less(self):
        """What is writable at or below a project by another option is no less protected when the project is not writable."""
        for name in (".git/config", "sub/.git/config", "sub/.git/HEAD", "sub/file"):
            write(os.path.join(self.project, name))
        paths = ("vrun.toml", ".git/config", "sub/.git/config", "sub/file")
        for options in (["--home", self.project], ["--rw", "sub"]):
            self.policy("# nothing\n")
            before = self.written(*paths, options=options)
            self.assertEqual(before, ["EROFS"] * 3 + ["written"], "the control")
            self.policy("project-ro = true\n")
            self.assertEqual(self.written(*paths, options=options), before)

    def test_cannot_be_written_by_the_run(self):
        self.policy("project-ro = false\n")
        self.policy("[tool.vrun]\nproject-ro = false\n", "pyproject.toml")
        self.assertEqual(self.written("vrun.toml", "pyproject.toml", "other"), ["EROFS", "EROFS", "written"])

    def test_errors_stop_the_run(self):
        for name, text, at in (("vrun.toml", "net = 'none'\nhied = []\n", "2:1: there is no key 'hied'; the nearest is 'hide'"),
                               ("vrun.toml", "net = 'all'\n", "1:7: net is none or host, not 'all'"),
                               ("vrun.toml", "\x1b]0;x", "1:1: "),
                               ("pyproject.toml", "[tool.vrun]\nnet = 1\n", "2:7: net wants a string, not an integer")):
            with self.subTest(text=text):
                path = self.policy(text, name)
                self.refused(self.vrun("touch", "started"), f"{path}:{at}")
                self.assertFalse(os.path.exists(os.path.join(self.project, "started")))
                self.assertEqual(self.ok(self.vrun("true", options=["--no-project"])), "")
                os.unlink(path)

    def test_are_not_links_out_of_the_project(self):
        secret = write(os.path.join(self.directory, "secret"), "s3cret = 1\n")
        os.symlink(secret, os.path.join(self.project, "vrun.toml"))
        message = self.refused(self.vrun("true"), "leads out of the project")
        self.assertNotIn("s3cret", message)


class UserFiles(PolicyCase):
    def test_widen_and_are_kept_from_the_run(self):
        path = self.user("keep-env = ['TOKEN']\n[profile.mine]\nextends = 'grade'\n")
        show = ["python", "-c", "import os; print(os.environ.get('TOKEN'))"]
        token = {"TOKEN": "t"}
        self.assertEqual(self.ok(self.vrun(*show, variables=token)), "t\n")
        self.assertEqual(self.ok(self.vrun(*show, variables=token, options=["--profile", "default"])), "None\n")
        self.assertEqual(self.ok(self.vrun(*show, variables=dict(token, VRUN_PROFILE="default"))), "None\n")
        config = os.path.dirname(os.path.dirname(path))
        self.refused(self.vrun("true", options=["--rw", config]), "which decides about your runs", "--hide")
        self.assertEqual(self.written(path, options=["--rw", config, "--ro", os.path.dirname(path)]), ["EROFS"])
        self.assertIn("mine", self.ok(self.raw("--profiles")))

    def test_are_not_believed_when_others_can_write_them(self):
        path = self.user("net = 'none'\n")
        for name, mode in ((path, 0o602), (os.path.dirname(path), 0o777)):
            before = os.stat(name).st_mode & 0o777
            os.chmod(name, mode)
            self.refused(self.vrun("true"), "cannot trust", "others may write it", "chmod go-w " + name)
            os.chmod(name, before)
        self.assertEqual(self.ok(self.vrun("true")), "")


    def test_may_be_writable_by_a_group_of_the_callers_alone(self):
        """A user as useradd makes them, with the umask 002: everything of theirs is writable by their group."""
        uid = gid = os.geteuid() or 12345
        path = self.user("keep-env = ['TOKEN']\n")
        for name, mode in ((path, 0o664), (os.path.dirname(path), 0o775)):
            if IS_ROOT:
                os.chown(name, uid, gid)
            os.chmod(name, mode)
        lines = {"passwd": f"root:x:0:0::/root:/bin/sh\nme:x:{uid}:{gid}::{self.home}:/bin/sh\n", "group": f"root:x:0:\nme:x:{gid}:\n"}
        for name, text in lines.items():
            write(os.path.join(self.directory, name), text, 0o644)
        # The mounts are made by root, or by an ordinary user's root of a namespace, who is the user again afterwards.
        outer = ["unshare", "--mount"] if IS_ROOT else ["unshare", "--user", "--map-root-user", "--mount"]
        inner = self.ordinary() or ["unshare", "--user", f"--map-user={uid}", f"--map-group={gid}"]
        script = 'for f in passwd group; do mount --bind "$1/$f" /etc/$f || exit 99; done; shift; exec "$@"'
        host = [*outer, "sh", "-c", script, "-", self.directory, *inner]
        if self.outside(*host, "true").returncode != 0:
            missing(self, "unshare --mount and mounts in it do not work here")
        words = [*host, *self.command(["python", "-c", "import os; print(os.environ.get('TOKEN'))"])]
        self.assertEqual(self.ok(self.outside(*words, variables={"TOKEN": "t"})), "t\n")
        write(os.path.join(self.directory, "group"), lines["group"].replace(":\n", ":you\n"))
        self.refused(self.outside(*words), f"cannot trust '{path}'", "others may write it", "chmod go-w " + path)


    def test_that_say_nothing_mean_nothing(self):
        for text in ("", "# nothing\n"):
            self.policy(text)
            self.policy(text, "pyproject.toml")
            self.user(text)
            self.assertEqual(self.written("new"), ["written"])


class Profiles(PolicyCase):
    def test_grade(self):
        options = ["--profile", "grade"]
        self.assertEqual(self.written("x", "/tmp/x", options=options), ["EROFS", "written"])
        code = "import os; s = os.statvfs('/tmp'); print(s.f_frsize * s.f_blocks, sorted(set(os.environ) & {'LC_ALL', 'LANG', 'TERM'}))"
        shown = self.ok(self.python(code, options=options, variables={"LC_ALL": "C.UTF-8", "LANG": "C.UTF-8"}))
        self.assertEqual(shown, f"{64 << 20} ['LANG']\n")

    def test_ci_hides_secrets(self):
        for name in (".git/config", ".env", ".ssh/id", "src/file"):
            write(os.path.join(self.project, name), "text")
        names = (".git/config", ".env", ".ssh/id", "src/file")
        self.assertEqual(self.ok(self.python(READ, *names)).split(), ["text"] * 4, "the control")
        self.assertEqual(self.ok(self.python(READ, *names, options=["--profile", "ci"])).split(),
                         ["empty", "empty", "ENOENT", "text"])

    def test_dev_shows_settings(self):
        write(os.path.join(self.home, ".gitconfig"), "g")
        write(os.path.join(self.home, ".netrc"), "n")
        paths = [os.path.join(self.home, name) for name in (".gitconfig", ".netrc", ".inputrc")]
        self.assertEqual(self.ok(self.python(READ, *paths, options=["--profile", "dev"])).split(), ["g", "ENOENT", "ENOENT"])
        self.assertEqual(self.ok(self.python(READ, *paths)).split(), ["ENOENT"] * 3, "the control")

    def test_unknown_ones_are_refused(self):
        self.refused(self.vrun("true", options=["--profile", "grad"]), "there is no profile 'grad'", "'grade'")
        listed = self.ok(self.raw("--profiles"))
        self.assertEqual([line.split()[0] for line in listed.splitlines()], ["default", "ci", "grade", "install", "dev"])


class Ceilings(PolicyCase):
    def test_bind_every_source(self):
        if not IS_ROOT:
            self.skipTest("only as root: /etc of the test's own")
        script = ("mount -t tmpfs none /etc && mkdir /etc/vrun && cat >/etc/vrun/site.toml && chmod -R go-w /etc/vrun && "
                  'echo "root:x:0:0::/root:/bin/sh" >/etc/passwd && exec "$@"')
        text = f"[ceiling]\nnet = 'none'\nallow = []\nrw = ['{self.project}']\nwall = '5s'\n"

        def run(*options):
            return subprocess.run(["unshare", "--mount", "sh", "-c", script, "sh", *self.command(["echo", "ran"], options)],
                                  input=text, cwd=self.project, env=self.variables(), capture_output=True, text=True,
                                  timeout=20)

        result = run()
        self.assertEqual((result.returncode, result.stdout), (0, "ran\n"), result.stderr)
        self.refused(run("--net", "host"), "--net asks for more than this machine allows", "/etc/vrun/site.toml:2:1")
        self.refused(run("--allow", "ptrace"), "allows nothing at most")
        self.refused(run("--rw", self.home), f"allows '{self.project}' at most")
        self.refused(run("--wall", "1m"), "allows '5s' at most")
        link = os.path.join(self.project, "link")
        os.symlink(self.home, link)
        self.refused(run("--rw", link), "leads to", f"allows '{self.project}' at most")
        # What may be left of a file with ceilings is not taken for one that never had any.
        text = ""
        self.refused(run(), "/etc/vrun/site.toml:1:1: the file is empty", "remove it, or write a comment into it")
        text = "# nothing\n"
        self.assertEqual(run("--rw", self.home).stdout, "ran\n")


if __name__ == "__main__":
    unittest.main()
