#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""pages.py ROOT CC: each public header has its page of section 3, with every function, its errors, and code that compiles.

A function has a section "## NAME" that has its errors, or the page mentions both anywhere. The prototypes of a synopsis are
compiled beside the header: one that says something else is an error of the compiler.
"""
import os
import re
import subprocess
import sys
import tempfile

# What is too small for a page of its own is explained in vshm(7).
WITHOUT_PAGE = ("error", "version", "vshm", "types", "layout")
FLAGS = ("-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-xc", "-")


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def headers(root):
    """Names of the headers that must have a page."""
    names = [name[:-2] for name in sorted(os.listdir(os.path.join(root, "include/vshm"))) if name.endswith(".h")]
    return [name for name in names if name not in WITHOUT_PAGE]


def functions(header):
    """{name: the error codes in the comment before it}; functions that stand together share it."""
    found, comment = {}, ""
    for match in re.finditer(r"/\*.*?\*/|\bVSHM_API\b[^;{]*?\b(vshm_\w+)\s*\([^;]*;", header, flags=re.S):
        if not match.group(1):
            comment = match.group(0)
        else:
            found[match.group(1)] = set(re.findall(r"-(E[A-Z0-9]+)\b", comment))
    return found


def titled(page, level):
    """{title: text} of the headings of one level; each text ends at the next heading of that or a higher one."""
    parts = re.split(rf"^#{{1,{level}}} (.*)$", page, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def code_blocks(text):
    """Literal blocks, as they come out of scdoc."""
    return [re.sub(r"\\(.)", r"\1", block) for block in re.findall(r"^```\n(.*?)^```$", text, flags=re.M | re.S)]


def programs(page, synopsis):
    """Blocks that are whole: they begin with what they include."""
    chapters = titled(page, 1)
    for title, text in chapters.items():
        if title == "SYNOPSIS" and synopsis or title in ("EXAMPLE", "EXAMPLES"):
            for block in code_blocks(text):
                if title == "SYNOPSIS":  # a structure that is shown is in the header already
                    block = re.sub(r"^struct \w+ \{.*?^\};\n", "", block, flags=re.M | re.S)
                if block.startswith("#include"):
                    yield title.lower(), block


def compiles(root, compiler, scratch, code):
    include = os.path.join(scratch, "vshm")
    os.makedirs(include, exist_ok=True)
    with open(os.path.join(include, "version.h"), "w", encoding="utf-8") as file:
        file.write(re.sub(r"@\w+@", "0", read(os.path.join(root, "include/vshm/version.h.in"))))
    done = subprocess.run([compiler, f"-I{root}/include", f"-I{scratch}", *FLAGS], input=code, capture_output=True,
                          text=True, check=False)
    return next((line for line in done.stderr.splitlines() if "error:" in line), None) if done.returncode else None


def missing(header, page, name):
    """What the page of a header does not say."""
    synopsis = " ".join(code_blocks(titled(page, 1).get("SYNOPSIS", "")))
    prose = "".join(text for title, text in titled(page, 1).items() if title not in ("NAME", "SYNOPSIS"))
    sections = titled(page, 2)
    for function, errors in functions(header).items():
        if not re.search(rf"\b{function}\(", synopsis):
            yield f"{function}() is not in the synopsis"
        text = next((text for title, text in sections.items() if function in re.findall(r"\w+", title)), prose)
        if text is prose and not re.search(rf"\b{function}\b", prose):
            yield f"{function}() is not explained"
            continue
        for error in sorted(errors - set(re.findall(r"\bE[A-Z0-9]+\b", text))):
            yield f"{function}(): {error} is in vshm/{name}.h, and not here"


def differences(root, compiler, scratch):
    man = os.path.join(root, "pkg/man")
    for name in headers(root):
        path = os.path.join(man, f"vshm_{name}.3.scd")
        if not os.path.exists(path):
            yield f"include/vshm/{name}.h has no page pkg/man/vshm_{name}.3.scd"
            continue
        for line in missing(read(os.path.join(root, f"include/vshm/{name}.h")), read(path), name):
            yield f"vshm_{name}(3): {line}"
    for file in sorted(os.listdir(man)):
        # A synopsis of another section is not all C
        for kind, code in programs(read(os.path.join(man, file)), file.endswith(".3.scd")):
            error = compiles(root, compiler, scratch, code)
            if error:
                yield f"pkg/man/{file}: {kind}: {error}"


def main(arguments):
    root, compiler = arguments
    with tempfile.TemporaryDirectory() as scratch:
        found = list(differences(root, compiler, scratch))
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
