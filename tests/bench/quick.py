#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Checks that the benchmark works, not how fast anything is.

usage: quick.py BENCH_PROGRAM BYTES_PROGRAM

Every candidate must run at every size without losing or spoiling a message (the program checks each byte
and fails otherwise), the JSON must be well-formed and complete, and wrong arguments must be refused.
"""

import glob
import json
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

SIZES = {"stream": {8, 64, 256, 1024, 4096, 65536}, "hand-over": {1048576}}
ROUND_SIZES = {8, 48, 64, 1024}
CROWD_SIZES = {64, 1024}
GOALS = 20


def fail(text):
    print("FAILED:", text)
    sys.exit(1)


def run(*command, expect=0, **more):
    done = subprocess.run(command, capture_output=True, timeout=60, check=False, **more)
    if done.returncode == 77 and expect != 77:
        print(done.stderr.decode().strip())
        sys.exit(77)
    if done.returncode != expect:
        print(done.stdout.decode(), done.stderr.decode(), sep="\n")
        fail(f"{' '.join(command)}: exit {done.returncode}, not {expect}")
    return done.stdout.decode()


def listed(bench):
    """(work, candidate, label) -> left out?"""
    found = {}
    for line in run(bench, "--list").splitlines():
        work, name, label = line.split(None, 2)
        found[work, name, label.split("; left out: ")[0]] = "; left out: " in line
        if "does not apply" in line:
            fail(line)
    return found


def check_results(report, candidates):
    left_out = {(entry["work"], entry["candidate"]) for entry in report["left_out"]}
    if left_out != {key[:2] for key, absent in candidates.items() if absent}:
        fail(f"left_out disagrees with --list: {left_out}")
    sizes = {}
    for result in report["results"]:
        key = result["work"], result["candidate"]
        sizes.setdefault(key, set()).add(result["size"])
        if not result["ns"] > 0 or not all(one["measured"] > 0 for one in result["rounds"]):
            fail(f"nothing measured: {result}")
        if len(result["rounds"]) != report["rounds"]:
            fail(f"not every round is there: {result}")
        if "ratio" in result and not result["ratio"] > 0:
            fail(f"no ratio: {result}")
    for key, absent in candidates.items():
        wanted = CROWD_SIZES if key[1].endswith("crowd") else SIZES.get(key[0], ROUND_SIZES)
        if not absent and sizes.get(key[:2]) != wanted:
            fail(f"{key}: sizes {sizes.get(key[:2])}, not {wanted}")


def check_goals(report):
    """Each goal that the run could judge says so; with all peers there, that is every one."""
    goals = report["goals"]
    if len(goals) != GOALS:
        fail(f"{len(goals)} goals, not {GOALS}")
    for goal in goals:
        if (goal["met"] is None) != (goal["measured"] == "not measured"):
            fail(f"a goal is judged without a figure: {goal}")
    if not report["left_out"] and any(goal["met"] is None for goal in goals):
        fail(f"not judged: {goals}")


def check_pictures(svg, markdown, candidates):
    root = xml.etree.ElementTree.parse(svg).getroot()
    texts = {element.text for element in root.iter("{http://www.w3.org/2000/svg}text")}
    bars = sum(1 for _ in root.iter("{http://www.w3.org/2000/svg}rect"))
    with open(markdown, encoding="utf-8") as file:
        lines = file.read().splitlines()
    for _, _, label in (key for key, absent in candidates.items() if not absent):
        if not any(line.startswith(f"| {label} |") for line in lines):
            fail(f"{label!r} is not in the Markdown tables")
    for label in "vshm, bursts of 32", "pipe", "raw cache line", "bare futex", "bare flag":
        if label not in texts:
            fail(f"{label!r} is not in the chart")
    if bars < 70:
        fail(f"only {bars} bars in the chart")


def check_bytes(program, folder):
    path = os.path.join(folder, "bytes")
    with open(path, "wb") as file:
        file.write(os.urandom(1000003))
    for kind in "pipe", "unix":
        if not run(program, kind, path).startswith(f"{kind}: 1000003 bytes in "):
            fail(f"bench_bytes {kind}")
        with open(path, "rb") as file:
            if not run(program, kind, stdin=file).startswith(f"{kind}: 1000003 bytes in "):
                fail(f"bench_bytes {kind} from standard input")
    run(program, "fax", path, expect=2)
    run(program, "pipe", path + "-is-not-there", expect=1)


def check_script():
    """pkg/bench.sh builds and runs for minutes: here only that it says what it is and refuses what it is not."""
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../pkg/bench.sh")
    if "--quick" not in run(script, "--help"):
        fail("bench.sh --help")
    for wrong in ("--rounds",), ("--rounds", "x"), ("x",):
        run(script, *wrong, expect=2)
    run(script, "--rounds", "4", expect=1)


def main():
    bench, bench_bytes = sys.argv[1:3]
    regions = set(glob.glob("/dev/shm/vshm-bench-*"))
    candidates = listed(bench)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "report.json")
        svg, markdown = os.path.join(folder, "chart.svg"), os.path.join(folder, "tables.md")
        table = run(bench, "--rounds", "1", "--seconds", "0.003", "--json", path, "--svg", svg, "--markdown", markdown)
        with open(path, encoding="utf-8") as file:
            report = json.load(file)
        check_results(report, candidates)
        check_goals(report)
        check_pictures(svg, markdown, candidates)
        check_bytes(bench_bytes, folder)
    for word in "M msg/s", "p50 ns", "Goals", "Noise":
        if word not in table:
            fail(f"no {word!r} in the table")
    check_script()
    for wrong in ("--rounds", "0"), ("--seconds", "x"), ("--only", "x"), ("--size", "7"), ("--cores", "1,1"), ("--ring", "5000"), \
            ("--dawdle", "1"), ("x",):
        run(bench, *wrong, expect=2)
    left = set(glob.glob("/dev/shm/vshm-bench-*")) - regions
    if left:
        fail(f"left behind: {left}")
    print(f"{len(report['results'])} results, each with every byte checked")


if __name__ == "__main__":
    main()
