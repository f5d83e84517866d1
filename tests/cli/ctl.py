# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of vshmctl share: a world of its own for each test, processes that never outlive it."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unicodedata
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import runner

BIN = os.environ.get("VSHM_BIN", "")
CTL = os.path.join(BIN, "vshmctl")

# Longer than any lawful wait on a loaded machine; shorter than the patience of ctest.
LONG = 30

# The layout, as vshm_layout(5) has it.
PAGE = 65536
ALIVE, HEARTBEAT, DIRECTORY, ENTRY = 0x200, 0x280, 0x4000, 512


class Result:
    """How a command ended: status, out and err as text."""

    def __init__(self, args, status, out, err):
        self.args, self.status = args, status
        self.raw_out, self.raw_err = out, err
        self.out, self.err = out.decode("utf-8", "replace"), err.decode("utf-8", "replace")

    def __repr__(self):
        return f"{self.args}: status {self.status}\nout: {self.out[-2000:]}\nerr: {self.err[-2000:]}"


# Format characters that are seen: signs in front of Arabic, Syriac and Kaithi numbers.
SEEN = "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"


def harmless(text):
    """Nothing that drives a terminal, hides or turns text around, or is no text at all."""
    return all(c == "\n" or c in SEEN or c != "\ufffd" and unicodedata.category(c) not in ("Cc", "Cf", "Co", "Cs", "Zl", "Zp")
               for c in text)


class Case(unittest.TestCase):
    """Each test has a scratch directory, a directory in /dev/shm and a run directory; all must be empty at the end."""

    def setUp(self):
        self.scratch = tempfile.mkdtemp(prefix="vshm-cli-")
        self.shm = tempfile.mkdtemp(prefix="vshm-cli-", dir="/dev/shm")
        os.chmod(self.scratch, 0o755)
        os.chmod(self.shm, 0o755)
        self.run_dir = os.path.join(self.scratch, "run")
        self.config_dir = os.path.join(self.scratch, "etc")
        os.mkdir(self.run_dir)
        os.mkdir(self.config_dir)
        self.children = []
        self.env = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS", "LINES")}
        self.env.update(VSHM_RUN_DIR=self.run_dir, VSHM_CONFIG_DIR=self.config_dir, LC_ALL="C.UTF-8", TERM="xterm")
        self.addCleanup(self.clean)

    def clean(self):
        for child in self.children:
            if child.poll() is None:
                child.send_signal(signal.SIGCONT)
                child.kill()
            child.wait()
            for stream in (child.stdin, child.stdout, child.stderr):
                if stream:
                    stream.close()
        shutil.rmtree(self.scratch, ignore_errors=True)
        shutil.rmtree(self.shm, ignore_errors=True)

    # ---- commands ----

    def ctl(self, *args, stdin=b"", timeout=LONG, **options):
        """Runs vshmctl to its end."""
        args = [arg if isinstance(arg, bytes) else str(arg) for arg in args]
        env = dict(self.env, **options.pop("env", {}))
        if "input" not in options:
            options["input"] = stdin
        done = subprocess.run([options.pop("program", CTL), *args], stdout=options.pop("stdout", subprocess.PIPE),
                              stderr=options.pop("stderr", subprocess.PIPE), env=env, timeout=timeout, **options)
        return Result(args, done.returncode, done.stdout or b"", done.stderr or b"")

    def ok(self, *args, **options):
        result = self.ctl(*args, **options)
        self.assertEqual(result.status, 0, result)
        return result

    def fails(self, status, *args, says=(), **options):
        """A command that must fail with exactly one line on stderr, in which every word of `says` stands."""
        result = self.ctl(*args, **options)
        self.assertEqual(result.status, status, result)
        self.assertEqual(result.out, "", result)
        self.one_line(result.err)
        for word in [says] if isinstance(says, str) else says:
            self.assertIn(word, result.err)
        return result

    def one_line(self, text):
        self.assertTrue(text.endswith("\n") and text.count("\n") == 1, repr(text))
        self.assertTrue(text.startswith("vshmctl"), repr(text))
        self.assertTrue(harmless(text), repr(text))

    def start(self, *args, **options):
        """Starts vshmctl; stdin, stdout and stderr are pipes unless said otherwise."""
        for name in ("stdin", "stdout", "stderr"):
            options.setdefault(name, subprocess.PIPE)
        child = subprocess.Popen([CTL, *map(str, args)], env=self.env, **options)
        self.children.append(child)
        return child

    def end(self, child, stdin=None):
        """Waits for the end of what start() started."""
        try:
            out, err = child.communicate(stdin, timeout=LONG)
        except subprocess.TimeoutExpired:
            child.kill()
            out, err = child.communicate()
            self.fail(f"{child.args} does not end; err: {err}")
        # A busy machine gives any of them the time to say that nobody is there yet
        err = re.sub(rb"vshmctl (send|recv): note: waiting for a (receiver|sender) of ring .*\n", b"", err or b"")
        return Result(child.args, child.returncode, out or b"", err)

    # ---- regions ----

    def path(self, name="r"):
        return os.path.join(self.shm, name)

    def region(self, name="r", *options):
        """Makes a region and returns its path."""
        self.ok("create", name, "--path", self.path(name), *(options or ("--size", "8M", "--peers", "4")))
        return self.path(name)

    def gone(self, *names):
        """Destroys regions, and looks whether anything is left anywhere."""
        for name in names or ("r",):
            self.ok("destroy", self.path(name))
        self.assertEqual(os.listdir(self.shm), [])
        self.assertEqual(os.listdir(self.run_dir), [])

    def show(self, uri):
        return json.loads(self.ok("show", uri, "--json").out)

    def await_show(self, uri, ready):
        """Looks at a region until ready(document) is true; returns the document."""
        return self.eventually(lambda: (lambda seen: seen if ready(seen) else None)(self.show(uri)))

    def eventually(self, look):
        end = time.monotonic() + LONG
        while True:
            found = look()
            if found:
                return found
            if time.monotonic() > end:
                self.fail("it does not happen")
            time.sleep(0.02)

    def write(self, name, data, mode=0o644):
        path = os.path.join(self.scratch, name)
        with open(path, "wb") as file:
            file.write(data if isinstance(data, bytes) else data.encode())
        os.chmod(path, mode)
        return path


def patch(path, offset, data):
    """Overwrites bytes of a file."""
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


def noise(size, seed=1):
    """Bytes that do not repeat, the same for the same seed."""
    import random
    return random.Random(seed).randbytes(size)


def main():
    """Runs the tests of the calling file: a line each, and the line that pkg/test.sh counts."""
    if not os.access(CTL, os.X_OK):
        print("no vshmctl: VSHM_BIN does not name the directory that holds it")
        sys.exit(77)
    runner.main()
