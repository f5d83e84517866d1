# SPDX-License-Identifier: BSD-3-Clause
"""Debian's kernel and busybox for guests: downloaded by apt in the versions that it resolves, unpacked into a cache, never installed."""
import functools
import glob
import lzma
import os
import re
import shutil
import subprocess
import tempfile

DEBIAN = {"x86_64": "amd64", "aarch64": "arm64"}


class NotPossible(Exception):
    """Why guests cannot be had here, in one line."""


def cache_directory():
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.environ.get("VSHM_VM_CACHE") or os.path.join(home, "vshm-vm")


def command(*words, cwd=None):
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=cwd, check=False)
    return done.returncode, done.stdout.decode("utf-8", "replace")


def apt_options(arch):
    """For packages of another architecture apt gets lists of its own in the cache, so that the system stays as it is."""
    if arch == os.uname().machine:
        return []
    home = os.path.join(cache_directory(), "apt-" + DEBIAN[arch])
    options = []
    for option in (f"APT::Architecture={DEBIAN[arch]}", f"APT::Architectures::={DEBIAN[arch]}", f"Dir::State::lists={home}/lists",
                   f"Dir::State::status={home}/status", f"Dir::Cache={home}/cache", "Debug::NoLocking=1"):
        options += ["-o", option]
    if not os.path.exists(home + "/status"):
        os.makedirs(home + "/lists/partial", exist_ok=True)
        os.makedirs(home + "/cache/archives/partial", exist_ok=True)
        status, text = command("apt-get", *options, "update")
        if status:
            raise NotPossible(f"apt-get update for {arch}: {text.strip().splitlines()[-1]}")
        with open(home + "/status", "w", encoding="ascii"):
            pass
    return options


@functools.lru_cache(maxsize=None)  # apt thinks for half a second
def newest_image(arch):
    """The package that the metapackage linux-image-ARCH depends on."""
    meta = f"linux-image-{DEBIAN[arch]}"
    status, text = command("apt-cache", *apt_options(arch), "depends", meta)
    found = re.search(r"Depends: (linux-image-\S+)", text)
    if status or not found:
        raise NotPossible(f"apt knows no {meta}: apt-get update")
    return found[1].split(":")[0]


def fetch(package, arch):
    """A package, unpacked in the cache; the folder appears whole or not at all."""
    into = os.path.join(cache_directory(), f"{package}_{DEBIAN[arch]}")
    if os.path.isdir(into):
        return into
    os.makedirs(os.path.dirname(into), exist_ok=True)
    with tempfile.TemporaryDirectory(dir=os.path.dirname(into)) as work:
        status, text = command("apt-get", *apt_options(arch), "download", package, cwd=work)
        files = glob.glob(work + "/*.deb")
        if status or not files:
            raise NotPossible(f"apt-get cannot download {package}: {text.strip().splitlines()[-1] if text.strip() else status}")
        status, text = command("dpkg-deb", "-x", files[0], work + "/tree")
        if status:
            raise NotPossible(f"{package} cannot be unpacked: {text.strip()}")
        with open(work + "/tree/PACKAGE", "w", encoding="ascii") as file:
            file.write(os.path.basename(files[0]) + "\n")
        os.chmod(work + "/tree", 0o755)
        os.rename(work + "/tree", into)
    return into


def extract_vmlinux(compressed, into):
    """An uncompressed kernel starts through PVH, which saves the emulated processor some seconds of decompression."""
    with open(compressed, "rb") as file:
        data = file.read()
    start = data.find(bytes.fromhex("fd377a585a00"))
    if start < 0:
        shutil.copy(compressed, into)
        return
    with open(into + ".new", "wb") as file:
        file.write(lzma.LZMADecompressor(format=lzma.FORMAT_XZ).decompress(data[start:]))
    os.rename(into + ".new", into)


class Kernel:
    """`image` to boot, `root` with its modules, `busybox`; all from the cache."""

    def __init__(self, arch):
        if not shutil.which(f"qemu-system-{arch}"):
            raise NotPossible(f"qemu-system-{arch} is not installed: pkg/install-deps.sh --vm")
        self.root = fetch(newest_image(arch), arch)
        self.busybox = glob.glob(fetch("busybox-static", arch) + "/**/bin/busybox", recursive=True)[0]
        self.image = glob.glob(self.root + "/boot/vmlinuz-*")[0]
        if arch == "x86_64":
            compressed, self.image = self.image, self.root + "/boot/vmlinux"
            if not os.path.exists(self.image):
                extract_vmlinux(compressed, self.image)

    def version(self):
        """The package of the kernel, with its version."""
        with open(self.root + "/PACKAGE", encoding="ascii") as file:
            return file.read().strip()
