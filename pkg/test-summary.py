#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Counts the tests in ctest's JUnit reports.

test-summary.py --show PRESET REPORT     prints what failed (with its output) and what was skipped (with its reason)
test-summary.py --failed N [REPORT...]   prints the one summary line; exits 1 when anything failed

A program built on Check counts as as many tests as it has checks: it prints "98%: Checks: 50, Failures: 1, Errors: 0".
Scripts can do the same with a line "checks: 12 passed, 1 failed, 2 skipped".
"""
import re
import sys
import xml.etree.ElementTree as tree

CHECK = re.compile(r"^\d+%: Checks: (\d+), Failures: (\d+), Errors: (\d+)", re.M)
SCRIPT = re.compile(r"^checks: (\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", re.M)
SHOWN = 12000  # characters of a failed test's output


def cases(report):
    """Yields (name, verdict, seconds, output) for each ctest entry; verdict: passed, failed or skipped."""
    try:
        root = tree.parse(report).getroot()
    except (OSError, tree.ParseError) as error:
        yield "ctest", "failed", 0.0, f"no report: {error}; see ctest.log beside it"
        return
    for case in root.iter("testcase"):
        status = case.get("status")
        verdict = {"run": "passed", "notrun": "skipped", "disabled": "skipped"}.get(status, "failed")
        # An entry whose program is missing is "notrun" too, but nobody asked for that.
        skipped = case.find("skipped")
        if status == "notrun" and skipped is not None and "SKIP_RETURN_CODE" not in (skipped.get("message") or ""):
            verdict = "failed"
        yield case.get("name"), verdict, float(case.get("time") or 0), case.findtext("system-out") or ""


def count(verdict, output):
    """What one entry adds to (passed, failed, skipped)."""
    if verdict == "skipped":
        return 0, 0, 1
    passed = failed = skipped = 0
    for checks, failures, errors in CHECK.findall(output):
        failed += int(failures) + int(errors)
        passed += int(checks) - int(failures) - int(errors)
    for counted in SCRIPT.findall(output):
        passed, failed, skipped = (a + int(b or 0) for a, b in zip((passed, failed, skipped), counted))
    if verdict == "failed":
        return passed, max(failed, 1), skipped
    return max(passed, 1), failed, skipped


def show(preset, report):
    """Failures with their output, skips with their reason, and how long the slowest took."""
    entries = list(cases(report))
    total = [0, 0, 0]
    for name, verdict, seconds, output in entries:
        total = [a + b for a, b in zip(total, count(verdict, output))]
        if verdict == "skipped":
            lines = [line for line in output.splitlines() if line.strip() and not CHECK.match(line)]
            said = [line for line in lines if "skip" in line.lower()] or lines or ["no reason given"]
            print(f"   {preset}: skipped {name}: {said[-1].strip()}")
        elif verdict == "failed":
            print(f"-- {preset}: FAILED {name} ({seconds:.1f} s)")
            print(output.strip()[-SHOWN:])
            print(f"-- {preset}: end of {name}")
    slow = sorted(entries, key=lambda entry: -entry[2])[:3]
    slowest = ", ".join(f"{name} {seconds:.0f} s" for name, _, seconds, _ in slow)
    print(f"   {preset}: {total[0]} passed, {total[1]} failed, {total[2]} skipped; slowest: {slowest}")


def main(arguments):
    if len(arguments) == 3 and arguments[0] == "--show":
        show(arguments[1], arguments[2])
        return 0
    if len(arguments) < 2 or arguments[0] != "--failed":
        print(__doc__, file=sys.stderr)
        return 2
    total = [0, int(arguments[1]), 0]
    for report in arguments[2:]:
        for _, verdict, _, output in cases(report):
            total = [a + b for a, b in zip(total, count(verdict, output))]
    line = f"{total[0]} passed, {total[1]} failed"
    print(line + (f", {total[2]} skipped" if total[2] else ""))
    return 1 if total[1] or not total[0] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
