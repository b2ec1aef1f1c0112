"""Python works inside: what programs use of it gives the same result as outside, with every CPython of the machine."""

import glob
import os
import shutil
import sys
import unittest

from harness import IS_ROOT, SYSTEM_PYTHON, VBUILD, VRUN, Case, cpythons, make_environment, missing, read, run, site_packages, write

# Each prints something that is compared with the run outside, or checks itself. Python 3.8 and later.
PROGRAMS = {
    "asyncio": """
import asyncio, sys
async def serve(reader, writer):
    writer.write(await reader.readline()); await writer.drain(); writer.close()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
    writer.write(b"line\\n"); print(await reader.readline()); writer.close()
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "print(6 * 7)", stdout=-1)
    print((await process.communicate())[0])
    print(await asyncio.get_running_loop().run_in_executor(None, lambda: 5))
asyncio.run(main())
""",
    "multiprocessing": """
import multiprocessing as m, sys
def square(x): return x * x
if __name__ == "__main__":
    for method in ("fork", "spawn", "forkserver"):
        context = m.get_context(method)
        with context.Lock(), context.Semaphore(2): pass
        with context.Pool(2) as pool: print(method, pool.map(square, range(5)))
    queue = m.Queue(); p = m.Process(target=queue.put, args=(3,)); p.start(); print(queue.get()); p.join()
    from multiprocessing import shared_memory
    s = shared_memory.SharedMemory(create=True, size=10); s.buf[0] = 7; print(s.buf[0]); s.close(); s.unlink()
    with m.Manager() as manager:
        squares = manager.dict(); p = m.Process(target=squares.update, args=({3: 9},)); p.start(); p.join()
        print(squares[3])
""",
    "concurrent.futures": """
import concurrent.futures as f
if __name__ == "__main__":
    with f.ProcessPoolExecutor(2) as p: print(list(p.map(abs, [-1, -2])))
    with f.ThreadPoolExecutor(8) as p: print(sum(p.map(abs, range(-50, 0))))
""",
    "subprocess": """
import os, subprocess, sys
print(subprocess.run(["sh", "-c", "echo $0; exit 3"], stdout=-1).returncode)
print(subprocess.check_output("printf '%s' \\"$HOME\\" | wc -l", shell=True))
print(subprocess.run([sys.executable, "-c", "pass"], start_new_session=True, close_fds=True).returncode)
print(os.system("true"), os.popen("echo x").read())
print(os.waitstatus_to_exitcode(os.system("exit 4")) if hasattr(os, "waitstatus_to_exitcode") else 4)
""",
    "threads": """
import threading, queue
q = queue.Queue(); threads = [threading.Thread(target=q.put, args=(i,)) for i in range(50)]
[t.start() for t in threads]; [t.join() for t in threads]; print(sorted(q.queue) == list(range(50)))
e = threading.Event(); threading.Timer(0.01, e.set).start(); print(e.wait(10))
""",
    "ssl": """
import ssl
context = ssl.create_default_context()
print(context.verify_mode, ssl.get_default_verify_paths().cafile, context.cert_store_stats()["x509_ca"])
print(len(ssl.RAND_bytes(16)), ssl.HAS_TLSv1_3)
""",
    # Without certificates, so that no private key lies about; only TLS 1.2 can do that.
    "TLS on loopback": """
import socket, ssl, threading
def context(side):
    c = ssl.SSLContext(side); c.check_hostname = False; c.verify_mode = ssl.CERT_NONE
    c.maximum_version = ssl.TLSVersion.TLSv1_2; c.set_ciphers("AECDH:ADH:@SECLEVEL=0")
    return c
server = socket.create_server(("127.0.0.1", 0)); server.settimeout(10)
def serve():
    connection = context(ssl.PROTOCOL_TLS_SERVER).wrap_socket(server.accept()[0], server_side=True)
    connection.sendall(connection.recv(10).upper()); connection.close()
thread = threading.Thread(target=serve); thread.start()
plain = socket.create_connection(server.getsockname(), timeout=10)
with context(ssl.PROTOCOL_TLS_CLIENT).wrap_socket(plain) as c: c.sendall(b"line"); print(c.version(), c.recv(10))
thread.join()
""",
    "sqlite3": """
import sqlite3, tempfile
with tempfile.TemporaryDirectory() as d:
    c = sqlite3.connect(d + "/db"); c.execute("pragma journal_mode=wal"); c.execute("create table t(x)")
    c.execute("insert into t values (1)"); c.commit(); print(c.execute("select * from t").fetchall()); c.close()
""",
    "ctypes": """
import ctypes, ctypes.util
libc = ctypes.CDLL(None); print(libc.abs(-3), ctypes.util.find_library("c"))
compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
a = (ctypes.c_int * 3)(3, 1, 2); libc.qsort(a, 3, 4, compare(lambda x, y: x[0] - y[0])); print(list(a))
""",
    "zoneinfo": """
import datetime, sys, time
if sys.version_info >= (3, 9):
    import zoneinfo
    print(datetime.datetime(2024, 7, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")).utcoffset(), len(zoneinfo.available_timezones()) > 100)
print(time.tzname, time.strftime("%Z"))
""",
    "locale": """
import locale, sys
for name in ("C.UTF-8", "de_DE.UTF-8"):
    try: print(locale.setlocale(locale.LC_ALL, name), locale.localeconv()["decimal_point"])
    except locale.Error as error: print(name, error)
print(locale.setlocale(locale.LC_ALL, ""), sys.stdout.encoding, sys.getfilesystemencoding()); print("\\u00e9\\u4e2d")
""",
    "tempfile": """
import os, tempfile
print(tempfile.gettempdir() == os.environ.get("TMPDIR"))
with tempfile.NamedTemporaryFile() as f: f.write(b"x"); f.flush(); print(os.stat(f.name).st_size)
with tempfile.TemporaryFile() as f: f.write(b"x"); print(f.tell())
print(len(tempfile.mkdtemp()) > 5)
""",
    "sockets": """
import socket
server = socket.create_server(("127.0.0.1", 0)); c = socket.create_connection(server.getsockname()); s, _ = server.accept()
c.sendall(b"x"); print(s.recv(1)); a, b = socket.socketpair(); a.send(b"y"); print(b.recv(1))
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("127.0.0.1", 0)); u.sendto(b"z", u.getsockname()); print(u.recv(1))
print(socket.getaddrinfo("localhost", 80, type=socket.SOCK_STREAM)[0][4][1], socket.getservbyname("http"))
six = socket.create_server(("::1", 0), family=socket.AF_INET6); c = socket.create_connection(six.getsockname()[:2])
s, _ = six.accept(); c.sendall(b"6"); print(s.recv(1))
x = socket.socket(socket.AF_UNIX); x.bind("\\0abstract-" + str(id(x))); x.listen(); print("ok")
""",
    "getpass, pwd": """
import getpass, grp, os, pwd
print(getpass.getuser() == pwd.getpwuid(os.getuid()).pw_name, os.path.isabs(pwd.getpwuid(os.getuid()).pw_dir))
print(bool(grp.getgrgid(os.getgid()).gr_name))
""",
    "faulthandler": """
import faulthandler, tempfile
faulthandler.enable()
with tempfile.TemporaryFile("w+") as f: faulthandler.dump_traceback(file=f); f.seek(0); print("most recent call first" in f.read())
""",
    "files": """
import mmap, os, shutil, tempfile
d = tempfile.mkdtemp(); p = d + "/f"
with open(p, "w+b") as f:
    f.write(b"abc" * 1000); f.flush(); m = mmap.mmap(f.fileno(), 0); print(m[:3]); m.close()
    import fcntl; fcntl.flock(f, fcntl.LOCK_EX); fcntl.lockf(f, fcntl.LOCK_EX)
shutil.copy2(p, d + "/g"); print(os.path.getsize(d + "/g")); shutil.copytree(d, d + "2"); shutil.rmtree(d); print(sorted(os.listdir(d + "2")))
""",
    "signals": """
import os, signal, time
signal.signal(signal.SIGALRM, lambda *_: print("alarm")); signal.setitimer(signal.ITIMER_REAL, 0.01)
while signal.getitimer(signal.ITIMER_REAL)[0]: time.sleep(0.005)
signal.signal(signal.SIGUSR1, lambda *_: print("usr1")); os.kill(os.getpid(), signal.SIGUSR1)
""",
    "os": """
import os, platform, resource, select, sys
print(len(os.sched_getaffinity(0)) == os.cpu_count() or "fewer", len(os.getloadavg()), len(os.urandom(8)))
print(sys.platform, platform.machine(), platform.libc_ver()[0], select.epoll().close())
pid = os.fork()
if pid == 0: os._exit(3)
print(os.WEXITSTATUS(os.waitpid(pid, 0)[1]), os.path.exists("/proc/self/fd"), resource.getrusage(0).ru_maxrss > 0)
""",
    "standard library": """
import bz2, curses, dbm, decimal, email, hashlib, html, http.server, json, lzma, mimetypes, unittest, urllib.request, uuid, xml.dom, zlib
print(hashlib.sha256(b"x").hexdigest()[:8], mimetypes.guess_type("a.html"), uuid.uuid4().version, zlib.crc32(b"x"))
""",
    "venv": """
import os, subprocess, sys, tempfile, venv
d = tempfile.mkdtemp(); venv.create(d, symlinks=True)
print(subprocess.check_output([d + "/bin/python", "-c", "import sys; print(sys.prefix != sys.base_prefix)"]))
""",
}

NUMPY = """
import concurrent.futures, numpy
a = numpy.arange(90000.0).reshape(300, 300); expected = a @ a
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    print(all(numpy.allclose(product, expected) for product in pool.map(lambda _: a @ a, range(16))))
print(numpy.linalg.matrix_rank(numpy.eye(50)), numpy.fft.fft(numpy.ones(8))[0].real)
"""


class Programs(Case):
    def pythons(self):
        found = cpythons()
        if not found:
            missing(self, "no CPython 3.8 or later was found")
        return found

    def check(self, environment, name, code):
        path = write(os.path.join(self.project, "program.py"), code)
        outside = self.outside(os.path.join(environment, "bin/python"), path)
        inside = self.vrun("python", path, environment=environment)
        if outside.returncode != 0 and "ModuleNotFoundError" in outside.stderr:
            return  # this Python was built without it
        self.assertEqual(outside.returncode, 0, outside.stderr)
        self.assertGreater(len(outside.stdout), 0)
        self.assertEqual((inside.returncode, inside.stdout, inside.stderr), (0, outside.stdout, ""))

    def test_with_the_systems_python(self):
        for name, code in PROGRAMS.items():
            with self.subTest(program=name):
                self.check(self.environment, name, code)

    def test_with_every_cpython(self):
        for version, python in self.pythons():
            text = ".".join(map(str, version))
            environment = make_environment(os.path.join(self.directory, text + str(len(python))), python)
            what = "import sys; print('%d.%d.%d' % sys.version_info[:3], sys.prefix, sys.base_prefix == sys.prefix)"
            with self.subTest(python=python, program="identity"):
                result = self.python(what, environment=environment)
                self.assertEqual(self.ok(result), f"{text} {environment} False\n")
            for name in ("asyncio", "multiprocessing", "subprocess", "ssl", "TLS on loopback", "ctypes", "zoneinfo",
                         "locale", "sqlite3", "standard library"):
                with self.subTest(python=python, program=name):
                    self.check(environment, name, PROGRAMS[name])

    def test_environments_of_other_programs(self):
        """Those of each CPython's own venv, and of virtualenv and uv where they are: the same Python as outside, with its
        packages and without those of the base."""
        code = ("import importlib.util, sys; print(sys.version, sys.prefix, sys.base_prefix,"
                " bool(importlib.util.find_spec('own')), bool(importlib.util.find_spec('pip')))")
        makers = {python: [python, "-I", "-m", "venv", "--without-pip"] for _, python in self.pythons()}
        for tool, options in (("virtualenv", ["-q", "--no-seed"]), ("uv", ["venv", "-q", "--offline"])):
            if shutil.which(tool):
                makers[tool] = [shutil.which(tool), *options, "--python", SYSTEM_PYTHON]
        for number, (maker, words) in enumerate(makers.items()):
            with self.subTest(maker=maker):
                environment = os.path.join(self.directory, f"env{number}")
                made = self.outside(*words, environment)
                self.assertEqual(made.returncode, 0, made.stderr)
                write(os.path.join(site_packages(environment), "own.py"))
                outside = self.outside(environment + "/bin/python", "-c", code)
                self.assertTrue(outside.stdout.endswith(" True False\n"), outside.stdout + outside.stderr)
                self.assertEqual(self.ok(self.python(code, environment=environment)), outside.stdout)
        print(f"environments were made by {', '.join(makers)}")

    def test_with_pypy(self):
        found = [path for path in ("/usr/bin/pypy3", *glob.glob("/opt/pypy3*/bin/pypy3")) if os.path.exists(path)]
        if not found:
            missing(self, "no PyPy (Debian: pypy3)")
        environment = make_environment(os.path.join(self.directory, "env"), found[0])
        for name in ("ssl", "zoneinfo", "locale", "subprocess", "ctypes", "sockets", "tempfile"):
            with self.subTest(program=name):
                self.check(environment, name, PROGRAMS[name])

    def test_installed_elsewhere(self):
        """One Python in /opt, as /usr/local and where Homebrew, uv and conda have theirs, in a mount namespace whose
        other mounts the host does not see. Both sides run there: certificates, zones and locales are the host's, the
        packages of the copy are hidden."""
        candidates = [path for _, path in self.pythons() if not path.startswith("/usr/bin/")]
        if not candidates:
            reason = "no Python here but the system's, which cannot be copied as a prefix"
            missing(self, reason) if IS_ROOT else self.skipTest("only as root: " + reason)
        unshare = ["unshare", "--mount"] if IS_ROOT else ["unshare", "--mount", "--map-root-user"]
        if self.outside(*unshare, "mount", "-t", "tmpfs", "none", "/opt").returncode != 0:
            missing(self, "unshare --mount and mounts in it do not work here")
        source = os.path.dirname(os.path.dirname(os.path.realpath(candidates[-1])))
        copy = os.path.join(self.directory, "copy")
        shutil.copytree(source, copy, symlinks=True, ignore=shutil.ignore_patterns(
            "test", "idlelib", "lib2to3", "tkinter", "__pycache__", "config-*", "*.a", "share", "include"))
        write(glob.glob(copy + "/lib/python3*/site-packages")[0] + "/of_the_copy.py")
        os.chmod(self.directory, 0o755)
        code = "".join(PROGRAMS[name] for name in ("ssl", "zoneinfo", "locale"))
        code += "import importlib.util; print(sys.base_prefix, bool(importlib.util.find_spec('of_the_copy')))\n"
        program = write(os.path.join(self.project, "program.py"), code)
        script = ('set -e; place=$1 copy=$2 vbuild=$3 vrun=$4 results=$5 program=$6; python=$place/bin/python3\n'
                  'mount -t tmpfs none /opt; mount -t tmpfs none /home; mkdir -p "$place"; mount --bind "$copy" "$place"\n'
                  'case $place in *conda*) mkdir "$place/conda-meta";; esac\n'
                  '"$vbuild" --without-pip --python "$python" "$results/env"\n'
                  '"$python" -I "$program" >"$results/outside"\n'
                  'exec "$vrun" "$results/env" -- python -I "$program" >"$results/inside"\n')
        for number, place in enumerate(("/opt/python", "/usr/local", "/home/linuxbrew/.linuxbrew/Cellar/python@3/3.1",
                                         "/home/me/.local/share/uv/python/cpython-3-linux", "/home/me/miniconda3")):
            with self.subTest(place=place):
                results = os.path.join(self.directory, f"results{number}")
                os.mkdir(results)
                words = [place, copy, VBUILD, VRUN, results, program]
                result = self.outside(*unshare, "sh", "-c", script, "-", *words)
                self.assertEqual((result.returncode, result.stderr), (0, ""), result.stdout)
                outside, inside = (read(os.path.join(results, side)) for side in ("outside", "inside"))
                self.assertTrue(outside.endswith(f"{place} True\n"), outside)
                self.assertEqual(inside, outside.replace(f"{place} True\n", f"{place} False\n"))

    def test_numpy_with_threads(self):
        """The distribution's, whose BLAS is found by way of /etc/alternatives."""
        if self.outside(SYSTEM_PYTHON, "-I", "-c", "import numpy").returncode != 0:
            missing(self, "the system's Python has no numpy (Debian: python3-numpy)")
        environment = make_environment(os.path.join(self.directory, "env"), SYSTEM_PYTHON, system_site_packages=True)
        self.check(environment, "numpy", NUMPY)

    def test_copied_interpreter(self):
        environment = os.path.join(self.directory, "env")
        made = self.outside(SYSTEM_PYTHON, "-I", "-m", "venv", "--copies", "--without-pip", environment)
        self.assertEqual(made.returncode, 0, made.stderr)
        self.assertFalse(os.path.islink(environment + "/bin/python3"))
        result = self.python("import sys, ssl; print(sys.prefix)", environment=environment)
        self.assertEqual(self.ok(result), environment + "\n")

    def test_packages_of_every_base_are_absent(self):
        """Each base interpreter's own site-packages: pip is there outside, and not inside."""
        tried = 0
        for _, python in self.pythons():
            code = "import glob, os, site; print(sum((os.listdir(d) for d in site.getsitepackages() if os.path.isdir(d)), []))"
            if self.outside(python, "-I", "-c", code).stdout == "[]\n":
                continue
            tried += 1
            with self.subTest(python=python):
                environment = make_environment(os.path.join(self.directory, f"env{tried}"), python)
                inside = self.vrun(os.path.realpath(python), "-I", "-c", code, environment=environment)
                self.assertEqual(self.ok(inside), "[]\n")
                system = make_environment(os.path.join(self.directory, f"sys{tried}"), python, system_site_packages=True)
                shown = self.vrun(os.path.realpath(python), "-I", "-c", code, environment=system)
                self.assertEqual(sorted(eval(self.ok(shown))), sorted(eval(self.outside(python, "-I", "-c", code).stdout)))
        self.assertGreater(tried, 0)

    def test_nothing_else_of_a_home_with_pythons(self):
        """A base interpreter below $HOME, as of pyenv and uv, shows itself and nothing beside it."""
        home = os.path.expanduser("~")
        inside_home = [python for _, python in self.pythons() if python.startswith(home + "/")]
        if not inside_home:
            self.skipTest("only as a user with a Python below the home directory")
        python = inside_home[0]
        environment = make_environment(os.path.join(self.directory, "env"), python)
        prefix = os.path.dirname(os.path.dirname(os.path.realpath(python)))
        result = self.vrun("sh", "-c", f'ls -A "$HOME"; ls -A {os.path.dirname(prefix)}', environment=environment,
                           variables={"HOME": home})
        first = os.path.relpath(prefix, home).split("/")[0]
        self.assertEqual(self.ok(result).split(), [first, os.path.basename(prefix)])

    def test_interactive(self):
        """The prompt on a terminal; a deadline on every read, so that a stuck relay is a failure and not a hang."""
        import pty
        import select
        import time
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        process = self.start("python", "-q", stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        os.write(master, b"import sys; print(sys.stdin.isatty(), 6 * 7)\nraise SystemExit(9)\n")
        output, end = b"", time.monotonic() + 20
        try:
            while select.select([master], [], [], max(0, end - time.monotonic()))[0]:
                output += os.read(master, 1000)
        except OSError:  # EIO: all of it was read, and the other side is closed
            pass
        self.assertIn(b"True 42", output)
        self.assertEqual(process.wait(timeout=20), 9)

    def test_writing_of_bytecode_in_the_project(self):
        write(os.path.join(self.project, "mod.py"), "x = 1\n")
        self.ok(self.python("import mod", variables={"PYTHONDONTWRITEBYTECODE": ""}))
        self.assertEqual([name for name in os.listdir(os.path.join(self.project, "__pycache__")) if "mod" in name] != [], True)

    def test_unittest_suite_in_the_project(self):
        write(os.path.join(self.project, "test_x.py"), "import unittest\nclass T(unittest.TestCase):\n"
              "    def test_a(self): self.assertTrue(True)\n    def test_b(self): self.fail()\n")
        result = self.vrun("python", "-m", "unittest")
        self.assertEqual(result.returncode, 1)
        self.assertIn("Ran 2 tests", result.stderr)
        self.assertIn("FAILED (failures=1)", result.stderr)


if __name__ == "__main__":
    unittest.main()
