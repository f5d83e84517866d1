# SPDX-License-Identifier: BSD-3-Clause
"""Rules about the source tree: layers, headers, sizes, licences, what may be used where.

Each rule is a generator: rule(root) yields (path, line, message), path relative to root, line 0 for the whole file.
"""
import os
import re

# What each module may include besides itself: the table of src/README.md.
LAYERS = {
    "base": (),
    "shared": ("base",),
    "os": ("base",),
    "wire": ("shared", "base"),
    "ring": ("wire", "shared", "base"),
    "pool": ("wire", "shared", "base"),
    "transport": ("shared", "os", "base"),
    "region": ("transport", "ring", "pool", "wire", "shared", "os", "base"),
    "wait": ("shared", "os", "base"),
    "end": ("wait", "region", "ring", "pool", "wire", "shared", "os", "base"),
    "server": ("wire", "shared", "os", "base"),
    "discover": (),
}

# These build without an operating system; no header beyond what a freestanding compiler or any C library has.
FREESTANDING = ("base", "shared", "wire", "ring", "pool")
FREESTANDING_HEADERS = {"stdarg.h", "stdbool.h", "stddef.h", "stdint.h", "limits.h", "string.h", "errno.h",
                        "stdatomic.h"}

PUBLIC_ONLY = ("cli", "examples", "tests/api")
TOP_LEVEL = {"src", "include", "cli", "examples", "tests", "pkg", "CMakeLists.txt", "CMakePresets.json",
             "README.md", "LICENSE", "build"}
MAX_LINES = 800
MAX_EXAMPLE_LINES = 150

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
CODE = (".c", ".h", ".cpp", ".h.in", ".py", ".sh", ".cmake", "CMakeLists.txt", ".map", ".pc.in")


def files(root, *below, ends=(".c", ".h")):
    """Paths of files under the given directories, relative to root."""
    for start in below:
        for directory, names, found in os.walk(os.path.join(root, start)):
            names[:] = sorted(name for name in names if name not in (".git", "build", "__pycache__"))
            for name in sorted(found):
                if name.endswith(ends):
                    yield os.path.relpath(os.path.join(directory, name), root)


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8", errors="replace") as file:
        return file.read()


def without_comments(text):
    """Blanks out comments and string contents, keeping the lines where they are."""
    def blank(match):
        found = match.group(0)
        if found[0] == "/":
            return re.sub(r"[^\n]", " ", found)
        return found[0] + found[0]
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text, flags=re.S)


def includes(root, path):
    for number, line in enumerate(read(root, path).splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match.group(1), match.group(2)


def rule_layers(root):
    """A module includes the public headers, itself, and the one header of modules below it."""
    for path in files(root, "src"):
        parts = path.split(os.sep)
        module = parts[1]
        if module not in LAYERS or len(parts) != 3:
            yield path, 0, f"no such module in the layer table: {os.path.dirname(path)}"
            continue
        for number, kind, header in includes(root, path):
            if header.startswith("vshm/"):
                continue
            if kind == "<":
                if module in FREESTANDING and header not in FREESTANDING_HEADERS:
                    yield path, number, f"{module} builds freestanding and may not include <{header}>"
                continue
            target, _, rest = header.partition("/")
            if target not in LAYERS or not rest:
                yield path, number, f'"{header}" is not written as "module/header.h"'
            elif target != module and target not in LAYERS[module]:
                yield path, number, f"{module} may not include {target}: it is not below it"
            elif target != module and rest != target + ".h":
                yield path, number, f'"{header}" is private to {target}: include "{target}/{target}.h"'


def rule_layer_table(root):
    """src/README.md shows the table that is checked here."""
    path = "src/README.md"
    rows = re.findall(r"^\|\s*\d+\s*\|\s*`(\w+)`\s*\|.*\|\s*([^|]*?)\s*\|$", read(root, path), flags=re.M)
    shown = {module: set(re.findall(r"[a-z]+", below)) for module, below in rows}
    for module in sorted(LAYERS.keys() | shown.keys()):
        if set(LAYERS.get(module, ())) != shown.get(module):
            yield path, 0, f"the table of modules says otherwise than tests/lint about {module}"


def rule_public_only(root):
    """The command line, the examples and the API tests see what every other program sees."""
    for path in files(root, *PUBLIC_ONLY):
        for number, kind, header in includes(root, path):
            beside = (os.path.dirname(path), "tests/support") if path.startswith("tests/") else (os.path.dirname(path),)
            if kind == '"' and not any(os.path.exists(os.path.join(root, place, header)) for place in beside):
                yield path, number, f'"{header}" is not public: only <vshm/...> may be used here'
    for path in files(root, "include", ends=(".h", ".h.in")):
        for number, kind, header in includes(root, path):
            if not header.startswith("vshm/") and header not in ("stddef.h", "stdint.h"):
                yield path, number, f"a public header may not include <{header}>"


def rule_size(root):
    for path in files(root, ".", ends=CODE + (".scd", ".md")):
        lines = read(root, path).count("\n")
        limit = MAX_EXAMPLE_LINES if path.startswith("examples/") else MAX_LINES
        if lines >= limit:
            yield path, lines, f"{lines} lines: must be less than {limit}"


def rule_listed(root):
    """Every source file of the library and of vshmctl is in the lists of their CMakeLists.txt, and nothing else."""
    listed = set()
    for module, names in re.findall(r"^set\(VSHM_SOURCES_(\w+) ([^)]*)\)", read(root, "src/CMakeLists.txt"), flags=re.M):
        listed |= {f"src/{module}/{name}" for name in names.split()}
    names = re.search(r"add_executable\(vshmctl ([^)]*)\)", read(root, "cli/CMakeLists.txt")).group(1)
    listed |= {f"cli/{name}" for name in names.split()}
    there = set(files(root, "src", "cli", ends=(".c",)))
    for path in sorted(there ^ listed):
        where = os.path.join(path.split("/")[0], "CMakeLists.txt")
        yield path, 0, f"is not in {where}" if path in there else f"is in {where}, but not there"


def rule_spdx(root):
    for path in files(root, ".", ends=CODE):
        head = read(root, path).splitlines()[:2]
        if not any("SPDX-License-Identifier: BSD-3-Clause" in line for line in head):
            yield path, 1, "no SPDX-License-Identifier: BSD-3-Clause in the first two lines"


def rule_top_level(root):
    for name in sorted(os.listdir(root)):
        if name not in TOP_LEVEL and not name.startswith("."):
            yield name, 0, "does not belong at the top level"


def calls(root, names, *below):
    pattern = re.compile(r"(?<![\w.>])(" + "|".join(names) + r")\s*\(")
    for path in files(root, *below):
        for number, line in enumerate(without_comments(read(root, path)).splitlines(), 1):
            for match in pattern.finditer(line):
                yield path, number, match.group(1)


# libvshm-discover is a library of its own that sees libvshm from outside: it has its own place for this.
ALLOCATORS = ("src/os/", "src/discover/memory.c")


def rule_allocator(root):
    """One module allocates, so that running out of memory can be tested in one place."""
    for path, number, name in calls(root, ("malloc", "calloc", "realloc", "free", "strdup", "asprintf"), "src"):
        if not path.startswith(ALLOCATORS):
            yield path, number, f"{name}() outside src/os"


def rule_no_abort(root):
    """What a peer wrote must never end the program."""
    for path, number, name in calls(root, ("abort", "exit", "_exit", "assert", "__builtin_trap"), "src"):
        yield path, number, f"{name}() in the library"


def rule_shared_words(root):
    """Words that another peer can write are touched through src/shared only: no second door.

    The word types are opaque, so plain and atomic access do not compile. What is left are ways around them: their
    inside, and casts of memory to plain words or to the plain structures of layout.h.
    """
    around = re.compile(r"(?:\.|->)shared_\b|\bvolatile\b|\b_Atomic\b"
                        r"|\((?:const )?(?:u?int(?:8|16|32|64)_t|struct vshm_(?:superblock|identity|entry)) ?\*\)")
    for path in files(root, "src"):
        module = path.split("/")[1]
        if module in ("shared", "os", "discover"):  # these never see a region
            continue
        for number, line in enumerate(without_comments(read(root, path)).splitlines(), 1):
            match = around.search(line)
            if match and not re.search(r"asm(__)?\s+volatile", line):
                yield path, number, f"{match.group(0)}: shared words are read and written through src/shared only"


RULES = (rule_layers, rule_layer_table, rule_public_only, rule_size, rule_listed, rule_spdx, rule_top_level, rule_allocator, rule_no_abort,
         rule_shared_words)
