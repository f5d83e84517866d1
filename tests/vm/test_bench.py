# SPDX-License-Identifier: BSD-3-Clause
"""The benchmark between two guests, with few trips: all ways carry what they should, and ours is not the slower one."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

import guest
import world
from world import runner

BENCH = os.path.join(guest.HERE, "bench")
ROUNDS = 2
WAYS = {"ring-poll", "ring-sleep", "doorbell", "doorbell-poll", "tcp", "serial"}


class Bench(unittest.TestCase):
    def test_quick(self):
        """Each trip was checked, or there would be no figure for it."""
        folder = tempfile.mkdtemp(prefix="vshm-vm-")
        self.addCleanup(shutil.rmtree, folder)
        figures = os.path.join(folder, "figures")
        done = subprocess.run([sys.executable, "-B", BENCH, "--quick", "--rounds", str(ROUNDS), "--arch", world.ARCH,
                               "--bin", world.BIN, "--json", figures], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        if done.returncode == 77:
            self.skipTest(done.stderr.decode())
        self.assertEqual(done.returncode, 0, done.stderr)
        print(done.stdout.decode())
        with open(figures, encoding="ascii") as file:
            found = json.load(file)
        self.assertEqual({row["way"] for row in found["rows"]}, WAYS)
        for row in found["rows"]:
            self.assertEqual(len(row["rounds"]), ROUNDS)
            for one in row["rounds"]:
                self.assertGreater(one["trips"], 0)
                self.assertGreater(one["p50_ns"], 0)
        best = {row["way"]: min(one["p50_ns"] for one in row["rounds"]) for row in found["rows"] if row["size"] == 64}
        self.assertLess(best["ring-poll"], best["tcp"])
        self.assertIn("| 64 B, both poll, to virtio-net TCP | at most 1/300 |", done.stdout.decode())

    def test_wrong_usage(self):
        done = subprocess.run([sys.executable, "-B", BENCH, "--rounds", "0"], stderr=subprocess.PIPE, check=False)
        self.assertEqual((done.returncode, b"at least one round" in done.stderr), (2, True))


if __name__ == "__main__":
    runner.main()
