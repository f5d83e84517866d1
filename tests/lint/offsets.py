#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""offsets.py ROOT CC: the tables of vshm_layout(5) say the offsets, sizes and values that the compiler finds.

A table with the columns Offset, Bytes, Field, Meaning belongs to the last "*struct NAME*" before it; one with Name, Value,
Meaning, or Offset, Name, What, holds constants.
"""
import os
import re
import subprocess
import sys
import tempfile


def tables(text):
    """Yields (text before, header cells, rows) of each table of a scdoc page."""
    before, header, rows, row = "", None, [], None
    for line in text.splitlines() + [""]:
        cell = re.match(r"[|:](?:[\[<]| ) ?(.*)", line)
        if cell and re.match(r"\|\[|\[\[|\]\[", line) and header is None:
            header, row = [cell.group(1).strip("* ")], None
            rows = []
        elif header is not None and cell and line.startswith("|"):
            row = [cell.group(1).strip()]
            rows.append(row)
        elif header is not None and cell:
            (header if row is None else row).append(cell.group(1).strip("* ").strip())
        elif header is not None:
            yield before, header, rows
            header, before = None, ""
        if header is None:
            before += line + "\n"


def checks(text):
    """Yields C expressions that must be true, each with what it stands for."""
    for before, header, rows in tables(text):
        if header[:3] == ["Offset", "Bytes", "Field"]:
            struct = before_struct(before)
            for offset, size, field in (row[:3] for row in rows):
                place = f"struct {struct}, {field}"
                yield f"offsetof(struct {struct}, {field}) == {offset}", place
                yield f"sizeof(((struct {struct} *)0)->{field}) == {size}", place
            end = f"{rows[-1][0]} + {rows[-1][1]}"
            yield f"sizeof(struct {struct}) == ({end} + 7) / 8 * 8", f"size of struct {struct}"
        elif header[:2] == ["Name", "Value"]:
            for name, value in (row[:2] for row in rows):
                yield f"{name} == {value.replace('2^', '1ull << ')}", name
        elif header[:2] == ["Offset", "Name"]:
            for value, name in (row[:2] for row in rows):
                yield f"{name} == {value}", name
        elif header[:2] == ["Bit", "Name"]:
            for value, name in (row[:2] for row in rows):
                yield f"{name} == {value}", name
    for name, value in re.findall(r"\b(VSHM_\w+) \((0x[0-9a-f]+|\d+)\)", text):
        yield f"{name} == {value}", name
    for name, value in re.findall(r"\((VSHM_\w+), (0x[0-9a-f]+)\)", text):
        yield f"{name} == {value}", name


def before_struct(text):
    """The structure that the text before a table is about: the first one its last paragraph names."""
    paragraphs = [part for part in text.strip().split("\n\n") if part]
    for paragraph in reversed(paragraphs):
        match = re.search(r"\*struct (vshm_\w+)\*", paragraph)
        if match:
            return match.group(1)
    return None


def main(arguments):
    root, compiler = arguments
    with open(os.path.join(root, "pkg/man/vshm_layout.5.scd"), encoding="utf-8") as page:
        found = list(checks(page.read()))
    lines = ["#include <stddef.h>", "#include <stdio.h>", "#include <vshm/layout.h>", "int main(void) { int bad = 0;"]
    lines += [f'if (!({test})) bad += printf("vshm_layout(5): {place}: not so: {test}\\n") > 0;' for test, place in found]
    lines += ["return bad != 0; }"]
    with tempfile.TemporaryDirectory() as scratch:
        source, program = os.path.join(scratch, "offsets.c"), os.path.join(scratch, "offsets")
        with open(source, "w", encoding="utf-8") as file:
            file.write("\n".join(lines))
        subprocess.run([compiler, "-I", os.path.join(root, "include"), "-o", program, source], check=True)
        status = subprocess.run([program], check=False).returncode
    print(f"{len(found)} offsets, sizes and values compared")
    return 1 if status or len(found) < 100 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
