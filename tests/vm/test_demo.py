# SPDX-License-Identifier: BSD-3-Clause
"""What ./pkg/demo.sh --vm shows, once it has built our programs."""
import os
import subprocess
import sys
import unittest

import cross
import world
from world import runner

DEMO = os.path.join(cross.SOURCE, "pkg/demo-vm.py")
SCRIPT = os.path.join(cross.SOURCE, "pkg/demo.sh")


def run(*words, **env):
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ, **env), check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


class Demo(unittest.TestCase):
    def test_all_of_it(self):
        status, out, err = run(sys.executable, "-B", DEMO, "--bin", world.BIN, "--arch", world.ARCH)
        if status == 77:
            self.skipTest(err)
        print(out)
        self.assertEqual((status, err), (0, ""))
        self.assertIn("the sender died", out)
        self.assertEqual(out.count("every word is lawful"), 1)
        self.assertIn("\nProven: ", out)
        self.assertNotIn("\033", out)

    def test_without_qemu(self):
        """One line says what is missing."""
        status, out, err = run(sys.executable, "-B", DEMO, "--check", "--arch", world.ARCH, PATH="/nonexistent")
        self.assertEqual((status, out, err.count("\n")), (77, "", 1))
        self.assertIn("pkg/install-deps.sh --vm", err)

    def test_usage(self):
        self.assertEqual(run(SCRIPT, "--wm")[0], 2)
        status, out, _ = run(SCRIPT, "--help")
        self.assertEqual((status, "--vm" in out), (0, True))


if __name__ == "__main__":
    runner.main()
