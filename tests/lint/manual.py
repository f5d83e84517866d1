#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""manual.py ROOT VSHMCTL: vshmctl(1) and what vshmctl --help says have the same commands, options and variables."""
import os
import re
import subprocess
import sys

OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")


def help_of(program, *arguments):
    done = subprocess.run([program, *arguments, "--help"], capture_output=True, text=True, check=False)
    if done.returncode or done.stderr:
        raise SystemExit(f"vshmctl {' '.join(arguments)} --help: exit status {done.returncode}: {done.stderr}")
    return done.stdout


def sections(page):
    """{title: text} of the manual's "## " sections, and everything before the first of them under ""."""
    parts = re.split(r"^#{1,2} (.*)$", page.replace("\\", ""), flags=re.M)
    return dict(zip([""] + parts[1::2], parts[0::2]))


def differences(page, program):
    manual = sections(page)
    general = help_of(program)
    commands = re.findall(r"^  ([a-z]+)\s{2,}\S", general, flags=re.M)
    if len(commands) < 8:
        yield f"vshmctl --help names only {commands}"
    for command in commands:
        if command not in manual:
            yield f'vshmctl(1) has no section "## {command}"'
            continue
        said = set(OPTION.findall(help_of(program, command))) - {"--help"}
        written = set(OPTION.findall(manual[command])) - {"--help"}
        for option in sorted(said - written):
            yield f"vshmctl {command} {option} is not in vshmctl(1)"
        for option in sorted(written - said):
            yield f"vshmctl(1) has {command} {option}, which vshmctl {command} --help does not say"
    for option in sorted(set(OPTION.findall(general)) - set(OPTION.findall(page))):
        yield f"vshmctl {option} is not in vshmctl(1)"
    for variable in sorted(set(re.findall(r"\b(?:VSHM|NO)_[A-Z_]+\b", general))):
        if variable not in page.replace("\\", ""):
            yield f"the variable {variable} is not in vshmctl(1)"


def main(arguments):
    root, program = arguments
    with open(os.path.join(root, "pkg/man/vshmctl.1.scd"), encoding="utf-8") as file:
        found = list(differences(file.read(), program))
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
