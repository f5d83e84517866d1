# SPDX-License-Identifier: BSD-3-Clause
"""Rules that hold headers, symbol map, man pages, changelog and tests against one another."""
import os
import re

from rules_source import files, read, without_comments

MAN = "pkg/man"


def public_functions(root):
    """{name: (header, line)} of everything marked VSHM_API."""
    found = {}
    for path in files(root, "include", ends=(".h", ".h.in")):
        text = without_comments(read(root, path))
        text = re.sub(r"^\s*#.*$", "", text, flags=re.M)
        for match in re.finditer(r"\bVSHM_API\b[^;{]*?\b(vshm_\w+)\s*\(", text):
            found[match.group(1)] = (path, text.count("\n", 0, match.start(1)) + 1)
    return found


# The headers of a library, by its symbol map; all others belong to libvshm.
MAPS = {"pkg/libvshm-discover.map": ("include/vshm/discover.h",), "pkg/libvshm.map": None}


def map_of(header):
    return next(path for path, headers in MAPS.items() if headers is None or header in headers)


def rule_map(root):
    """A library's symbol map lists the functions of its headers, and nothing else."""
    public = public_functions(root)
    for path in MAPS:
        exported = {}
        for number, line in enumerate(without_comments(read(root, path)).splitlines(), 1):
            match = re.match(r"\s*(\w+);", line)
            if match:
                exported[match.group(1)] = number
        own = {name for name, place in public.items() if map_of(place[0]) == path}
        for name in sorted(own - exported.keys()):
            yield (*public[name], f"{name}() is not in {path}")
        for name in sorted(exported.keys() - own):
            yield path, exported[name], f"{name} is exported, but no header of this library declares it with VSHM_API"


def rule_declared(root):
    """A function that looks public is marked so."""
    public = public_functions(root)
    for path in files(root, "include", ends=(".h", ".h.in")):
        text = without_comments(read(root, path))
        for number, line in enumerate(text.splitlines(), 1):
            match = re.match(r"(?!\s*#).*?\b(vshm_\w+)\s*\((?!\*)", line)
            if match and match.group(1) not in public and not match.group(1).endswith("_fn"):
                yield path, number, f"{match.group(1)}() is declared without VSHM_API"


def rule_defined(root):
    """Every public function has one definition in src/: nothing is only promised."""
    text = "\n".join(read(root, path) for path in files(root, "src", ends=(".c",)))
    text = without_comments(text)
    for name, place in sorted(public_functions(root).items()):
        count = len(re.findall(r"^[A-Za-z][^;{}=]*?\b" + name + r"\s*\([^;{}]*\)\s*\{", text, flags=re.M))
        if count != 1:
            yield (*place, f"{name}() has {count} definitions in src/")


def rule_documented(root):
    """vshm(7) names every public function; vshm_layout(5) names every word of layout.h."""
    manual = read(root, f"{MAN}/vshm.7.scd").replace("\\_", "_")
    for name, place in sorted(public_functions(root).items()):
        if not re.search(r"\b" + name + r"\b", manual):
            yield (*place, f"{name}() is not mentioned in {MAN}/vshm.7.scd")
    layout = "include/vshm/layout.h"
    manual = read(root, f"{MAN}/vshm_layout.5.scd").replace("\\_", "_")
    for number, line in enumerate(without_comments(read(root, layout)).splitlines(), 1):
        for name in layout_words(line):
            if not re.search(r"\b" + name + r"\b", manual):
                yield layout, number, f"{name} is not explained in {MAN}/vshm_layout.5.scd"


def layout_words(line):
    """The constants and fields that one line of layout.h declares."""
    match = re.match(r"\s*#define (VSHM_\w+)\s+\S", line) or re.match(r"\s*(VSHM_\w+)\s*(?:=[^,]*)?,", line)
    if match:
        return [match.group(1)]
    match = re.match(r"\s+(?:uint\d+_t|char|struct \w+) ([^;]+);", line)
    if match:
        return [re.match(r"\w+", name.strip()).group(0) for name in re.split(r",(?![^\[]*\])", match.group(1))]
    return []


def rule_error_codes(root):
    """vshm(7) explains the closed list of error codes, and the library returns no other."""
    header = read(root, "include/vshm/error.h")
    known = set(re.findall(r"^ \*\s+-(E[A-Z0-9]+)\s", header, flags=re.M))
    manual = set(re.findall(r"\bE[A-Z0-9]+\b", read(root, f"{MAN}/vshm.7.scd")))
    for code in sorted(known - manual):
        yield "include/vshm/error.h", 0, f"{code} is not explained in {MAN}/vshm.7.scd"
    for path in files(root, "src", ends=(".c", ".h")):
        for number, line in enumerate(without_comments(read(root, path)).splitlines(), 1):
            for code in re.findall(r"\breturn -(E[A-Z0-9]+)\b", line):
                if code not in known and not path.startswith("src/os/"):
                    yield path, number, f"-{code} is not in the list of include/vshm/error.h"


def rule_tested(root):
    """Every public function is called by a test."""
    text = "\n".join(without_comments(read(root, path)) for path in files(root, "tests", ends=(".c", ".cpp")))
    for name, place in sorted(public_functions(root).items()):
        if not re.search(r"\b" + name + r"\s*\(", text):
            yield (*place, f"{name}() is called by no test")


def rule_version(root):
    """The changelog begins with the version that CMakeLists.txt says."""
    version = re.search(r"project\(libvshm VERSION ([\d.]+)", read(root, "CMakeLists.txt")).group(1)
    text = read(root, "pkg/CHANGELOG.md") if os.path.exists(os.path.join(root, "pkg/CHANGELOG.md")) else ""
    match = re.search(r"^## (\S+)", text, flags=re.M)
    if not match or match.group(1) != version:
        yield "pkg/CHANGELOG.md", 0, f"does not begin with version {version}"


RULES = (rule_map, rule_declared, rule_defined, rule_documented, rule_error_codes, rule_tested, rule_version)
