# SPDX-License-Identifier: BSD-3-Clause
"""Debian's kernel and busybox for guests: downloaded by apt in the versions that it resolves, unpacked into a cache, never installed."""
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


def newest_image(arch):
    """The package that the metapackage linux-image-ARCH depends on."""
    meta = f"linux-image-{DEBIAN[arch]}:{DEBIAN[arch]}"
    status, text = command("apt-cache", "depends", meta)
    found = re.search(r"Depends: (linux-image-\S+)", text)
    if status or not found:
        raise NotPossible(f"apt knows no {meta}: pkg/install-deps.sh --vm")
    name = found[1].split(":")[0]
    return f"{name}:{DEBIAN[arch]}"


def unpack(package, into):
    """Downloads a package and unpacks it; the folder appears whole or not at all."""
    if os.path.isdir(into):
        return
    os.makedirs(os.path.dirname(into), exist_ok=True)
    with tempfile.TemporaryDirectory(dir=os.path.dirname(into)) as work:
        status, text = command("apt-get", "download", package, cwd=work)
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
        package = newest_image(arch)
        cache = cache_directory()
        self.root = os.path.join(cache, package.replace(":", "_"))
        tools = os.path.join(cache, f"busybox-static_{DEBIAN[arch]}")
        unpack(package, self.root)
        unpack(f"busybox-static:{DEBIAN[arch]}", tools)
        self.busybox = glob.glob(tools + "/**/bin/busybox", recursive=True)[0]
        self.image = glob.glob(self.root + "/boot/vmlinuz-*")[0]
        if arch == "x86_64":
            compressed, self.image = self.image, self.root + "/boot/vmlinux"
            if not os.path.exists(self.image):
                extract_vmlinux(compressed, self.image)

    def versions(self):
        with open(self.root + "/PACKAGE", encoding="ascii") as file:
            return file.read().strip()
