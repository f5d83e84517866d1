#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""objects.py ARCHIVE: what the compiled library calls, by nm; exits 1 on a forbidden call.

The sources are searched for the same words by lint.py; this sees what macros and the compiler put in.
"""
import re
import subprocess
import sys

# Ending the program, or jumping out of the library: what a peer wrote must never lead there.
NEVER = {"abort", "exit", "_exit", "_Exit", "quick_exit", "__assert_fail", "__assert_perror_fail",
         "longjmp"}
ALLOCATOR = {"malloc", "calloc", "realloc", "free", "aligned_alloc", "posix_memalign", "strdup", "asprintf"}
# Not in a library that others link: they print, or have one buffer for all threads.
UNWANTED = {"printf", "puts", "perror", "strtok", "gmtime", "localtime", "system", "popen"}
# libvshm-discover is a library of its own. libpci's error handler must not return, so it jumps.
MAY_ALLOCATE = {("discover", "memory.c.o")}
MAY_CALL = {("discover", "pci.c.o"): {"longjmp"}}
# <string.h> is all of the C library that these modules may use.
FREESTANDING = {"memcpy", "memmove", "memset", "memcmp", "memchr", "strlen", "strcmp", "strncmp", "strchr", "strcspn",
                "strnlen"}
FREESTANDING_MODULES = ("base", "shared", "wire", "ring", "pool")


def symbols(archive):
    """{object: (undefined names, defined names)}; object is "module/file.c"."""
    found, current = {}, None
    text = subprocess.run(["nm", "-P", archive], check=True, capture_output=True, text=True).stdout
    for line in text.splitlines():
        member = re.match(r".*\[(.*)\]:$", line)
        if member:
            current = found.setdefault(member.group(1), (set(), set()))
        elif current is not None:
            name, kind = line.split()[:2]
            current[0 if kind in "Uw" else 1].add(name)
    return found


def module_of(archive, objects):
    """{object: module}: ar keeps no directories, so ask the debug information where each came from."""
    text = subprocess.run(["objdump", "--dwarf=info", archive], check=True, capture_output=True, text=True,
                          errors="replace").stdout
    modules, current = {}, None
    for line in text.splitlines():
        member = re.match(r"(\S+\.o):\s+file format", line)
        if member:
            current = member.group(1)
        match = re.search(r"DW_AT_name\s.*?(?:^|[ /])src/(\w+)/[\w.]+\.c\s*$", line)
        if match and current and current not in modules:
            modules[current] = match.group(1)
    return {name: modules.get(name, "?") for name in objects}


def findings(archive):
    objects = symbols(archive)
    modules = module_of(archive, objects)
    if not objects or "?" in modules.values():
        yield f"{archive}: cannot tell where {[name for name, module in modules.items() if module == '?']} came from"
    for name, (undefined, defined) in sorted(objects.items()):
        module = modules[name]
        for symbol in sorted(undefined & NEVER - MAY_CALL.get((module, name), set())):
            yield f"src/{module}: {name} calls {symbol}(): the library never ends the program"
        if module != "os" and (module, name) not in MAY_ALLOCATE:
            for symbol in sorted(undefined & ALLOCATOR):
                yield f"src/{module}: {name} calls {symbol}(): only src/os allocates"
        for symbol in sorted(undefined & UNWANTED):
            yield f"src/{module}: {name} calls {symbol}()"
        if module in FREESTANDING_MODULES:
            for symbol in sorted(undefined - FREESTANDING):
                if not symbol.startswith(("vshmi_", "vshm_", "_GLOBAL_OFFSET_TABLE_", "__stack_chk")):
                    yield f"src/{module}: {name} calls {symbol}(): {module} builds without an operating system"
        for symbol in sorted(defined):
            if not re.match(r"vshmi?_|\.|__(odr|asan|ubsan|tsan)", symbol) and is_global(archive, name, symbol):
                yield f"src/{module}: {name} defines {symbol}, which could clash with a program's own"


_GLOBALS = {}


def is_global(archive, member, symbol):
    if archive not in _GLOBALS:
        text = subprocess.run(["nm", "-P", "-g", "--defined-only", archive], check=True, capture_output=True,
                              text=True).stdout
        _GLOBALS[archive] = {line.split()[0] for line in text.splitlines() if not line.endswith("]:") and line}
    return symbol in _GLOBALS[archive]


def main(arguments):
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    found = list(findings(arguments[0]))
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
