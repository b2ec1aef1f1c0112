"""The disks of the virtual machine, made of what is installed on this machine: no package is fetched for them.

root_image() is a file system with the files of some Debian packages and of all that they depend on; it is kept in a
cache. project_image() has the checkout and the built programs. Both are ext4, as on most users' machines, made by
`mke2fs -d` without any privilege; an ordinary user reads what everybody may read and becomes the owner of everything
by a user namespace (vm.py starts itself anew in one).
"""

import hashlib
import json
import lzma
import os
import re
import shutil
import subprocess

DPKG = "/var/lib/dpkg"
# What the tests use; one that is not installed is left out, and the tests that want it say so.
PACKAGES = """
bash bsdutils busybox coreutils diffutils file findutils fish gcc git grep gzip hostname ksh93u+m less libcap2-bin libc6-dev
libnss-myhostname libstdc++6 login media-types mksh mount netbase passwd perl-base procps psmisc pypy3 pypy3-venv python3
python3-apt python3-cffi-backend python3-numpy python3-pip-whl python3-setuptools-whl python3-venv libpython3-testsuite
libpython3.11-testsuite libpython3.12-testsuite libpython3.13-testsuite sed strace sudo systemd tar tcsh tzdata util-linux xz-utils
zsh ca-certificates openssl libseccomp2 parallel make expect gdb
""".split()
# Not worth their place, or of no use without the machine that they were made on.
LEFT_OUT = re.compile(r"/usr/share/(?:doc|man|info|locale|lintian|bash-completion|help|i18n)/|/usr/lib/[^/]+/(?:gconv|perl)/")
# Made by the packages' scripts, not in their lists.
MADE = ["/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/localtime", "/etc/timezone",
        "/etc/ssl/certs", "/etc/nsswitch.conf", "/etc/mailcap"]
USERS = {"/etc/passwd": "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
                        "tester:x:1000:1000:tester:/home/tester:/bin/bash\n",
         "/etc/group": "root:x:0:\ntty:x:5:\nshadow:x:42:\nnogroup:x:65534:\ntester:x:1000:\n",
         "/etc/shadow": "root:*:19000:0:99999:7:::\ntester:*:19000:0:99999:7:::\n",
         "/etc/gshadow": "root:*::\ntester:*::\n",
         "/etc/hosts": "127.0.0.1 localhost vm\n::1 localhost\n",
         "/etc/hostname": "vm\n", "/etc/resolv.conf": "", "/etc/fstab": "",
         "/etc/machine-id": "00112233445566778899aabbccddeeff\n"}
DIRECTORIES = {"dev": 0o755, "proc": 0o555, "sys": 0o555, "run": 0o755, "tmp": 0o1777, "root": 0o700, "project": 0o755,
               "home": 0o755, "home/tester": 0o755, "var/tmp": 0o1777, "mnt": 0o755, "opt": 0o755, "srv": 0o755,
               "var/log": 0o755, "var/lib/dpkg": 0o755, "boot": 0o755, "usr/local/bin": 0o755}


def installed():
    """{package: (version, the names in its dependencies, whether it is essential)}, with what others provide."""
    form = "${db:Status-Abbrev}\t${Package}\t${Version}\t${Pre-Depends}, ${Depends}\t${Provides}\t${Essential}\n"
    text = subprocess.run(["dpkg-query", "-W", "-f", form], stdout=subprocess.PIPE, text=True, check=True).stdout
    packages, provided = {}, {}
    for line in text.splitlines():
        status, name, version, depends, provides, essential = line.split("\t")
        if status.strip() != "ii":
            continue
        packages[name] = (version, re.findall(r"(?:^|[,|])\s*([a-z0-9][a-z0-9.+-]*)", depends), essential == "yes")
        for other in re.findall(r"(?:^|,)\s*([a-z0-9][a-z0-9.+-]*)", provides):
            provided.setdefault(other, []).append(name)
    return packages, provided


def closure(packages, provided):
    """The essential packages, PACKAGES, and what they depend on, as far as it is installed."""
    wanted = [name for name, (_, _, essential) in packages.items() if essential] + PACKAGES
    found = set()
    while wanted:
        name = wanted.pop()
        if name in packages and name not in found:
            found.add(name)
            wanted += packages[name][1]
        elif name not in packages:
            wanted += [other for other in provided.get(name, []) if other not in found]
    return sorted(found)


def listed(name):
    """The files of a package."""
    for path in (f"{DPKG}/info/{name}.list", f"{DPKG}/info/{name}:amd64.list"):
        if os.path.exists(path):
            with open(path, encoding="utf-8", errors="surrogateescape") as file:
                return file.read().splitlines()
    return []


def copy(path, tree):
    """One file, link or directory to the same place below `tree`; one that this user cannot read stays out."""
    # /bin/sh of a package's list is /usr/bin/sh on a machine with a merged /usr.
    path = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
    target = tree + path
    if os.path.lexists(target) or not os.path.lexists(path):
        return
    make_parents(os.path.dirname(path), tree)
    if os.path.islink(path):
        os.symlink(os.readlink(path), target)
    elif os.path.isdir(path):
        os.mkdir(target)
        shutil.copymode(path, target)
    elif os.path.isfile(path) and os.access(path, os.R_OK):
        shutil.copy2(path, target)
        if os.geteuid() == 0:
            status = os.lstat(path)
            try:
                os.chown(target, status.st_uid, status.st_gid)
            except OSError:
                pass  # in a user namespace of one user
            os.chmod(target, status.st_mode & 0o7777)  # chown took set-user-ID away


def make_parents(directory, tree):
    if directory not in ("/", "") and not os.path.lexists(tree + directory):
        make_parents(os.path.dirname(directory), tree)
        os.mkdir(tree + directory)
        shutil.copymode(directory, tree + directory)


def bytecode(path):
    """Where Python keeps what it compiled of a file: without it, every start in the machine compiles anew."""
    directory, name = os.path.split(path)
    cache = os.path.join(directory, "__pycache__")
    try:
        entries = os.listdir(cache)
    except OSError:
        return []
    return [os.path.join(cache, entry) for entry in entries if entry.startswith(name[:-2])]


def fill(tree, names):
    for link in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        if os.path.islink("/" + link):
            os.symlink(os.readlink("/" + link), os.path.join(tree, link))
    for directory, mode in DIRECTORIES.items():
        os.makedirs(os.path.join(tree, directory), exist_ok=True)
        os.chmod(os.path.join(tree, directory), mode)
    for path, text in USERS.items():
        os.makedirs(os.path.dirname(tree + path), exist_ok=True)
        with open(tree + path, "w") as file:
            file.write(text)
    os.chmod(tree + "/etc/shadow", 0o640)
    os.chmod(tree + "/etc/gshadow", 0o640)

    for name in names:
        for path in listed(name):
            if not LEFT_OUT.search(path + "/"):
                copy(path, tree)
                if path.endswith(".py"):
                    for compiled in bytecode(path):
                        copy(compiled, tree)
        for suffix in (".list", ".md5sums"):
            for path in (f"{DPKG}/info/{name}{suffix}", f"{DPKG}/info/{name}:amd64{suffix}"):
                copy(path, tree)
    for path in MADE:
        if os.path.isdir(path) and not os.path.islink(path):
            for directory, _, files in os.walk(path):
                for file in files:
                    copy(os.path.join(directory, file), tree)
        else:
            copy(path, tree)
    for directory in ("/usr/bin", "/usr/sbin"):
        for entry in os.scandir(directory):
            if entry.is_symlink() and os.readlink(entry.path).startswith("/etc/alternatives/"):
                copy(entry.path, tree)
    copy(f"{DPKG}/status", tree)


def make_file_system(tree, image, room):
    """An ext4 image of `tree` with `room` bytes to spare. Errors: CalledProcessError of mke2fs."""
    size = sum((os.lstat(os.path.join(directory, name)).st_size + 8191) // 4096 * 4096
               for directory, directories, files in os.walk(tree) for name in directories + files)
    size = (size * 11 // 10 + room) // 4096
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal", "-m", "0", "-b", "4096", "-N", "200000",
                    "-E", "root_owner=0:0", "-d", tree, image, str(size)], check=True, stdin=subprocess.DEVNULL)


def root_image(cache, scratch):
    """The path of the image, made when the packages or this file changed since."""
    packages, provided = installed()
    names = closure(packages, provided)
    identity = hashlib.sha256()
    with open(os.path.abspath(__file__), "rb") as file:
        identity.update(file.read())
    for name in names:
        identity.update(f"{name} {packages[name][0]}\n".encode())
    path = os.path.join(cache, f"root-{identity.hexdigest()[:16]}.ext4")
    if not os.path.exists(path):
        for old in os.listdir(cache):
            if old.startswith("root-"):
                os.unlink(os.path.join(cache, old))
        tree = os.path.join(scratch, "root")
        os.mkdir(tree)
        fill(tree, names)
        make_file_system(tree, os.path.join(scratch, "root.ext4"), 3 << 30)
        shutil.rmtree(tree)
        # It is whole or it is not there, and holes stay holes.
        subprocess.run(["cp", "--sparse=always", os.path.join(scratch, "root.ext4"), path + ".new"], check=True)
        os.unlink(os.path.join(scratch, "root.ext4"))
        os.rename(path + ".new", path)
    return path


def project_image(checkout, build, suites, scratch):
    """The checkout without its builds, and the programs of `build` where the tests look for them."""
    tree = os.path.join(scratch, "project")
    ignore = shutil.ignore_patterns(".git", "__pycache__", ".cache")
    os.mkdir(tree)
    for name in os.listdir(checkout):
        if name in ("build", ".git"):
            continue
        source, target = os.path.join(checkout, name), os.path.join(tree, name)
        if os.path.isdir(source):
            shutil.copytree(source, target, symlinks=True, ignore=ignore)
        else:
            shutil.copy2(source, target)
    for name in ("runner/vrun", "builder/vbuild", "tests/probes"):
        source, target = os.path.join(build, name), os.path.join(tree, "build/dev", name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if os.path.isdir(source):
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("CMakeFiles", "*.cmake"))
        else:
            shutil.copy2(source, target)
        files = [os.path.join(target, name) for name in os.listdir(target)] if os.path.isdir(target) else [target]
        for file in files:  # the debug information is most of their size
            subprocess.run(["strip", "--strip-debug", file], check=True)
    with open(os.path.join(tree, "vm-suites.json"), "w") as file:
        json.dump(suites, file)
    image = os.path.join(scratch, "project.ext4")
    make_file_system(tree, image, 64 << 20)
    shutil.rmtree(tree)
    return image


def archive(entries):
    """A memory disk (cpio, "newc") of {name: (mode, bytes)}."""
    data = bytearray()
    for number, (name, (mode, content)) in enumerate([*entries.items(), ("TRAILER!!!", (0, b""))]):
        fields = [number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0]
        data += b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
        data += bytes(-len(data) % 4) + content
        data += bytes(-len(data) % 4)
    return bytes(data)


def modules(directory, wanted):
    """[(name, bytes)] of the modules `wanted` and of what they need, in the order to load them. One that the kernel has
    built in needs no file."""
    needs = {}
    files = {}
    for place, _, names in os.walk(directory):
        for name in names:
            if ".ko" in name:
                with open(os.path.join(place, name), "rb") as file:
                    content = file.read()
                if name.endswith(".xz"):
                    content = lzma.decompress(content)
                short = name.partition(".ko")[0].replace("-", "_")
                files[short] = content
                found = re.search(rb"\0depends=([^\0]*)\0", content)
                needs[short] = [one.replace("-", "_") for one in found[1].decode().split(",") if one] if found else []
    ordered = []

    def add(name):
        for other in needs.get(name, []):
            add(other)
        if name in files and name not in ordered:
            ordered.append(name)

    for name in wanted:
        add(name)
    return [(name, files[name]) for name in ordered]


def memory_disk(init, module_directory):
    """init.c's program with the modules for two disks, and for overlays, which tests mount."""
    entries = {name: (0o040755, b"") for name in ("dev", "root", "modules")}
    with open(init, "rb") as file:
        entries["init"] = (0o100755, file.read())
    for number, (name, content) in enumerate(modules(module_directory, ["virtio_pci", "virtio_blk", "overlay"])):
        entries[f"modules/{number:02}-{name}"] = (0o100644, content)
    return archive(entries)
