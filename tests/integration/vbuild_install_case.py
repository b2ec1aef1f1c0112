"""What the tests of vbuild --install share: wheels of every kind, and pip to compare with."""

import base64
import csv
import glob
import hashlib
import io
import os
import zipfile

from vbuild_case import Case


def digest(content):
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def record(files, name):
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    for path, content in files.items():
        rows.writerow([path, digest(content), len(content)])
    rows.writerow([name, "", ""])
    return out.getvalue().encode()


def walk(directory):
    """Relative paths of everything but directories."""
    return {os.path.relpath(os.path.join(parent, name), directory)
            for parent, directories, files in os.walk(directory)
            for name in files + [one for one in directories if os.path.islink(os.path.join(parent, one))]}


class InstallCase(Case):
    """Writes wheels into self.wheels; self.python is the Python of the environment."""

    def setUp(self):
        super().setUp()
        self.wheels = os.path.join(self.directory, "wheels")
        os.mkdir(self.wheels)

    def wheel(self, project, version, files, tag="py3-none-any", executable=(), entry_points="", metadata="", purelib=True,
              modes=None, rows=None, extra=()):
        """Writes a wheel and returns its path. `rows` replaces RECORD, `extra` are files that it does not list."""
        stem = f"{project}-{version}"
        info = stem + ".dist-info/"
        files = {name.replace("DATA/", stem + ".data/"): content for name, content in files.items()}
        executable = {name.replace("DATA/", stem + ".data/") for name in executable}
        files[info + "METADATA"] = f"Metadata-Version: 2.1\nName: {project}\nVersion: {version}\n{metadata}\n".encode()
        files[info + "WHEEL"] = (f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: {str(purelib).lower()}\n"
                                 f"Tag: {tag}\n").encode()
        if entry_points:
            files[info + "entry_points.txt"] = entry_points.encode()
        path = os.path.join(self.wheels, f"{stem}-{tag}.whl")
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            listed = rows or record(files, info + "RECORD")
            for name, content in [*files.items(), *extra, (info + "RECORD", listed)]:
                entry = zipfile.ZipInfo(name)
                entry.create_system = 3
                entry.external_attr = (modes or {}).get(name, 0o100755 if name in executable else 0o100644) << 16
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, content)
        return path

    def python_in(self, env):
        """The program that vbuild's scripts name."""
        return os.path.join(env, "bin", os.path.basename(self.python))

    def pip(self, env, *arguments):
        # Without bytecode: which of it is written is not what is compared.
        environment = {"PATH": "/usr/bin:/bin", "HOME": self.directory, "PIP_CONFIG_FILE": "/dev/null",
                       "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        return self.check([self.python_in(env), "-m", "pip", "-q", *arguments], env=environment)

    def pip_install(self, env, *wheels):
        self.pip(env, "install", "--no-index", "--no-deps", "--no-compile", *wheels)

    def installed(self, *wheels):
        return [word for wheel in wheels for word in ("--install", wheel)]

    def site_packages(self, env=None):
        return glob.glob((env or self.env) + "/lib/py*3*/site-packages")[0]
