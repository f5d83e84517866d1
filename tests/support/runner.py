# SPDX-License-Identifier: BSD-3-Clause
"""Runs the tests of the calling file: a line each, and the line that pkg/test.sh counts."""
import sys
import unittest


class Counted(unittest.TextTestResult):
    """Remembers what passed."""
    passed = 0

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed += 1


def main():
    """The tests that the command line names, or all. Exit status 77: all of them were skipped."""
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"])
    if len(sys.argv) > 1:
        suite = unittest.defaultTestLoader.loadTestsFromNames(sys.argv[1:], sys.modules["__main__"])
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=Counted).run(suite)
    failed = len(result.failures) + len(result.errors)
    for test, why in result.skipped:
        print(f"skipped: {test}: {why}")
    print(f"checks: {result.passed} passed, {failed} failed, {len(result.skipped)} skipped")
    if failed:
        sys.exit(1)
    sys.exit(77 if result.skipped and not result.passed else 0)
