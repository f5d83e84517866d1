# SPDX-License-Identifier: BSD-3-Clause
"""The harness itself: what the scenarios rely on. Two guests at a time, statuses and output, and failures that are noticed."""
import os
import subprocess
import sys
import tempfile
import time

import guest
import world
from world import runner

RUN = os.path.join(guest.HERE, "run")
DEVICE = "cd /sys/bus/pci/devices/$(cat /tmp/D) && cat vendor device"

# Failing at once takes as long as QEMU needs to start; waiting for a boot that does not come takes guest.BOOT_SECONDS.
AT_ONCE = 10


class Boot(world.Case):
    def setUp(self):
        super().setUp()
        # What a guest leaves behind would stand here.
        self.work = os.path.join(self.shm, "work")
        os.mkdir(self.work)
        before, tempfile.tempdir = tempfile.tempdir, self.work
        self.addCleanup(setattr, tempfile, "tempdir", before)

    def fails(self, seconds, says, action):
        """The action must end with Failed, within so many seconds, and say why."""
        begun = time.monotonic()
        with self.assertRaises(guest.Failed) as caught:
            action()
        self.assertLess(time.monotonic() - begun, seconds)
        self.assertIn(says, str(caught.exception))

    def test_two_at_once(self):
        """Both have the device and our program, and no command waits for another."""
        one, two = self.together(self.plain)
        version = self.ctl("--version").decode()
        for each in (one, two):
            self.assertEqual(each.run(DEVICE), "0x1af4\n0x1110\n")
            self.assertEqual(each.run("/bin/vshmctl --version"), version)
        long = [each.begin("until test -e /tmp/go; do sleep 0.1; done; echo went") for each in (one, two, one)]
        for each in (two, one):
            each.run("touch /tmp/go")
        self.assertEqual([each.ok() for each in long], ["went\n"] * 3)

    def test_statuses_and_output(self):
        with self.guest_alone(modules=["uio_pci_generic"], kernel_args="vshm.word=7", files={"etc/word": b"seven"}) as one:
            self.assertEqual(one.begin("exit 0").wait().status, 0)
            self.assertEqual(one.begin("exit 3").wait().status, 3)
            self.assertEqual(one.begin("kill -9 $$").wait().status, 137)
            self.assertEqual(one.run("echo out; echo err >&2; printf 'no end'"), "out\nerr\nno end")
            self.assertEqual(len(one.run("head -c 1000000 /dev/zero | tr '\\0' x")), 1000000)
            self.assertEqual(one.run("cat /etc/word; test -d /sys/module/uio_pci_generic; grep -o 'vshm.word=7' /proc/cmdline"),
                             "sevenvshm.word=7\n")
            self.fails(AT_ONCE, "status 3", lambda: one.run("exit 3"))
            self.fails(AT_ONCE, "does not end", lambda: one.run("sleep 1000", seconds=1))
            self.fails(AT_ONCE, "it printed:\nso far\n", lambda: one.run("echo so far; sleep 1000", seconds=1))

    def test_killed(self):
        """Whoever waits is told, and so is whoever comes later; nothing is left."""
        with self.guest_alone() as one:
            waiting = one.begin("sleep 1000")
            one.kill()
            self.fails(AT_ONCE, "the guest ended", waiting.wait)
            self.fails(AT_ONCE, "the guest is gone", lambda: one.run("true"))
        self.assertEqual(os.listdir(self.work), [])

    def test_panic(self):
        """The console's last words stand in the failure."""
        with self.guest_alone() as one:
            self.fails(guest.BOOT_SECONDS, "sysrq triggered crash", lambda: one.run("echo c >/proc/sysrq-trigger; sleep 60"))

    def test_too_little_memory(self):
        self.fails(guest.BOOT_SECONDS + AT_ONCE, "boot", lambda: self.guest_alone(memory=24))
        self.assertEqual(os.listdir(self.work), [])

    def test_qemu_does_not_start(self):
        """A device that it does not have, and a server that is not there: its own words."""
        self.fails(AT_ONCE, "no-such-device", lambda: self.guest_alone("-device", "no-such-device"))
        absent = os.path.join(self.shm, "absent")
        self.fails(AT_ONCE, "Failed to connect", lambda: self.guest_alone("-chardev", f"socket,id=s,path={absent}"))
        self.assertEqual(os.listdir(self.work), [])

    def guest_alone(self, *devices, **options):
        """A guest without a device of ours."""
        return guest.Guest(world.ARCH, devices, **options)

    # ---- the command line ----

    def run_guests(self, *args, **env):
        done = subprocess.run([sys.executable, "-B", RUN, "--arch", world.ARCH, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=dict(os.environ, TMPDIR=self.work, **env), timeout=2 * guest.BOOT_SECONDS, check=False)
        self.assertEqual(os.listdir(self.work), [])
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def test_run(self):
        note = os.path.join(self.shm, "note")
        with open(note, "w", encoding="ascii") as file:
            file.write("from the host")
        status, out, err = self.run_guests("--bin", world.BIN, "--file", f"{note}=/etc/note", "vshmctl --version", "cat /etc/note")
        self.assertEqual((status, out), (0, "==== guest 1: status 0\n" + self.ctl("--version").decode() +
                                         "==== guest 2: status 0\nfrom the host\n"), err)
        self.assertIn("linux-image-", err)
        kept = os.path.join(self.shm, "kept")
        status, out, _ = self.run_guests("--keep", kept, "exit 3", "true")
        self.assertEqual((status, out), (1, "==== guest 1: status 3\n==== guest 2: status 0\n"))
        for number in (1, 2):
            self.assertEqual(sorted(os.listdir(f"{kept}/guest-{number}")), ["console", "qemu"])

    def test_run_refuses(self):
        self.assertEqual(self.run_guests()[0], 2)
        self.assertEqual(self.run_guests("--file", "no-place", "true")[0], 2)
        status, out, err = self.run_guests("true", PATH=self.shm)
        self.assertEqual((status, out, err.count("\n")), (77, "", 1))
        self.assertIn("qemu-system", err)


if __name__ == "__main__":
    runner.main()
