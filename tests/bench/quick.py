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

STREAM_SIZES = {8, 64, 256, 1024, 4096, 65536}
ROUND_SIZES = {8, 48, 64, 1024}


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
    """(work, candidate) -> left out?"""
    found = {}
    for line in run(bench, "--list").splitlines():
        work, name, _ = line.split(None, 2)
        found[work, name] = "; left out: " in line
    return found


def check_results(report, candidates):
    left_out = {(entry["work"], entry["candidate"]) for entry in report["left_out"]}
    if left_out != {key for key, absent in candidates.items() if absent}:
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
        wanted = STREAM_SIZES if key[0] == "stream" else ROUND_SIZES
        if not absent and sizes.get(key) != wanted:
            fail(f"{key}: sizes {sizes.get(key)}, not {wanted}")


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


def main():
    bench, bench_bytes = sys.argv[1:3]
    regions = set(glob.glob("/dev/shm/vshm-bench-*"))
    candidates = listed(bench)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "report.json")
        table = run(bench, "--rounds", "1", "--seconds", "0.01", "--json", path)
        with open(path, encoding="utf-8") as file:
            report = json.load(file)
        check_results(report, candidates)
        check_bytes(bench_bytes, folder)
    for word in "M msg/s", "p50 ns", "Noise":
        if word not in table:
            fail(f"no {word!r} in the table")
    for wrong in ("--rounds", "0"), ("--seconds", "x"), ("--only", "x"), ("--size", "7"), ("--cores", "1,1"), ("x",):
        run(bench, *wrong, expect=2)
    left = set(glob.glob("/dev/shm/vshm-bench-*")) - regions
    if left:
        fail(f"left behind: {left}")
    print(f"{len(report['results'])} results, each with every byte checked")


if __name__ == "__main__":
    main()
