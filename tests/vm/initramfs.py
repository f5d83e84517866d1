# SPDX-License-Identifier: BSD-3-Clause
"""An initramfs from unpacked packages and our own programs, built without root: newc cpio, modules in the order they are loaded.

The device nodes that are needed come from devtmpfs, and /dev/console from the kernel's built-in archive.
"""
import glob
import gzip
import os
import re
import subprocess

DIRECTORY, PROGRAM, FILE = 0o40755, 0o100755, 0o100644


class Initramfs:
    def __init__(self):
        self.entries = {}

    def add(self, path, data, mode=FILE):
        """A file, with the directories above it."""
        path = path.strip("/")
        parent = os.path.dirname(path)
        if parent:
            self.directory(parent)
        self.entries[path] = (mode, data)

    def directory(self, path):
        path = path.strip("/")
        if path and path not in self.entries:
            self.directory(os.path.dirname(path))
            self.entries[path] = (DIRECTORY, b"")

    def add_file(self, source, path, mode=FILE):
        with open(source, "rb") as file:
            self.add(path, file.read(), mode)

    def add_program(self, source, path, roots=()):
        """A program and the shared libraries it needs, each where its loader looks for it; below `roots` if it is a foreign one."""
        self.add_file(source, path, PROGRAM)
        for library, place in libraries(source, roots):
            if place.strip("/") not in self.entries:
                self.add_file(library, place, PROGRAM)

    def pack(self):
        archive = bytearray()
        for number, (name, (mode, data)) in enumerate([*self.entries.items(), ("TRAILER!!!", (0, b""))], 1):
            fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name.encode()) + 1, 0)
            archive += b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
            archive += b"\0" * (-len(archive) % 4) + data
            archive += b"\0" * (-len(archive) % 4)
        return gzip.compress(bytes(archive), 1)


def libraries(program, roots):
    """(file, place) of all shared libraries of a program, the loader too."""
    if not roots:
        listing = subprocess.run(["ldd", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout.decode()
        for line in listing.splitlines():
            words = line.split()
            path = words[2] if "=>" in words and len(words) > 2 else words[0] if words and words[0].startswith("/") else ""
            if path.startswith("/"):
                name = words[0] if "=>" in words else path
                yield path, path if name.startswith("/") else "/lib/" + name
        return
    yield from foreign_libraries(program, roots, set())


def foreign_libraries(program, roots, seen):
    """As the dynamic section of a program for another architecture names them, found below `roots`."""
    listing = subprocess.run(["readelf", "-ld", program], stdout=subprocess.PIPE, check=True).stdout.decode()
    interpreter = re.search(r"interpreter: (\S+)\]", listing)
    names = re.findall(r"NEEDED.*\[(.+)\]", listing)
    for name in names + ([os.path.basename(interpreter[1])] if interpreter else []):
        if name in seen:
            continue
        seen.add(name)
        found = [path for root in roots for where in ("", "lib", "usr/lib", "lib/*", "usr/lib/*")
                 for path in glob.glob(f"{root}/{where}/{name}")]
        if not found:
            raise FileNotFoundError(f"{name}, which {program} needs, is not below {roots}")
        yield found[0], "/lib/" + name
        yield from foreign_libraries(found[0], roots, seen)


class Modules:
    """The modules of an unpacked kernel package."""

    def __init__(self, root):
        self.base = glob.glob(root + "/lib/modules/*")[0]
        self.files = {plain(os.path.basename(path)[:-3]): path
                      for path in glob.glob(self.base + "/kernel/**/*.ko", recursive=True)}
        with open(self.base + "/modules.builtin", encoding="ascii") as file:
            self.builtin = {plain(os.path.basename(line.strip())[:-3]) for line in file}

    def in_order(self, wanted):
        """The wanted modules and what they depend on, each behind what it needs. Those that are built in are left out."""
        order = []
        for name in wanted:
            self.visit(plain(name), order)
        return [(name, self.files[name]) for name in order]

    def visit(self, name, order):
        if name in self.builtin or name in order:
            return
        if name not in self.files:
            raise FileNotFoundError(f"this kernel has no module {name}")
        with open(self.files[name], "rb") as file:
            depends = re.search(rb"\0depends=([^\0]*)\0", file.read())
        for other in depends[1].decode().split(",") if depends else ():
            if other:
                self.visit(plain(other), order)
        order.append(name)


def plain(name):
    return name.replace("-", "_")
