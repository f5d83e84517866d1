# SPDX-License-Identifier: BSD-3-Clause
"""What the tests in guests share: a region in /dev/shm, guests that have it, programs of the host beside them."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

import cross
import guest
import kernel

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import runner

BIN = os.environ.get("VSHM_BIN", "")
ARCH = os.environ.get("VSHM_VM_ARCH", "x86_64")

LONG = 60
PROGRAMS = ("vshmctl", "vm-crowd", "vm-mark", "vm-echo", "vm-scribble", "producer", "consumer")
DEVICE = "grep -l 0x1110 /sys/bus/pci/devices/*/device | cut -d/ -f6 | head -n 1 >/tmp/D; test -s /tmp/D"
VFIO = "; D=$(cat /tmp/D); echo vfio-pci >/sys/bus/pci/devices/$D/driver_override; echo $D >/sys/bus/pci/drivers_probe"


class Case(unittest.TestCase):
    """A flat region of 16 MiB for eight peers: 0 to 3 in guests, the others on the host. All that was started is ended, and nothing stays in /dev/shm."""

    def setUp(self):
        try:
            kernel.Kernel(ARCH)
            self.programs, self.roots = cross.programs(ARCH, BIN)
        except kernel.NotPossible as why:
            self.skipTest(str(why))
        self.shm = tempfile.mkdtemp(prefix="vshm-vm-", dir="/dev/shm")
        self.addCleanup(shutil.rmtree, self.shm, True)
        self.env = dict(os.environ, VSHM_RUN_DIR=self.shm + "/run", LC_ALL="C.UTF-8")
        os.mkdir(self.shm + "/run")
        self.region = self.shm + "/net0"
        self.host = [f"{self.region}?peer={peer}" for peer in range(4, 8)]
        self.ctl("create", "net0", "--path", self.region, "--size", "16M", "--peers", "8")

    # ---- the host ----

    def ctl(self, *args, **options):
        """Runs vshmctl on the host to its end; its output."""
        done = subprocess.run([BIN + "/vshmctl", *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.env,
                              timeout=LONG, **options)
        self.assertEqual(done.returncode, 0, (args, done.stderr))
        return done.stdout

    def start(self, *args, program="vshmctl", **options):
        process = subprocess.Popen([os.path.join(BIN, program), *args], env=self.env, **options)
        self.addCleanup(self.end, process)
        return process

    @staticmethod
    def end(process):
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream:
                stream.close()

    def show(self, uri=None):
        return json.loads(self.ctl("show", uri or self.region, "--json"))

    def show_if(self, condition):
        """What show says, if that is as wanted; else None."""
        seen = self.show()
        return seen if condition(seen) else None

    def eventually(self, what, seconds=LONG):
        """Until what() is true: its value."""
        give_up = time.monotonic() + seconds
        while True:
            value = what()
            if value:
                return value
            self.assertLess(time.monotonic(), give_up, "it does not happen")
            time.sleep(0.05)

    # ---- guests ----

    def guest(self, *devices, then="", more_programs=None, **options):
        """A guest with our programs, which keeps the address of its ivshmem device in /tmp/D. `then`: more to begin with."""
        programs = {"bin/" + name: os.path.join(self.programs, name) for name in PROGRAMS}
        programs.update(more_programs or {})
        one = guest.Guest(ARCH, devices, programs, roots=self.roots, first=DEVICE + then, **options)
        self.addCleanup(one.close)
        return one

    def plain(self, *devices, **options):
        args = self.ctl("qemu-args", "net0").decode()
        words = [word.strip("'") for line in args.splitlines() for word in line.split(" ", 1)]
        return self.guest(*words, *devices, **options)

    def doorbell(self, path, *devices, port=(), then=VFIO, **options):
        """A guest with doorbells, bound to vfio-pci. `port`: arguments that make a port `late_slot`, where the device is plugged, as `pulled`."""
        at = ",bus=late_slot,id=pulled" if port else ""
        return self.guest("-chardev", f"socket,id=s,path={path}", *port, "-device", f"ivshmem-doorbell,chardev=s,vectors=1{at}", *devices,
                          vfio=True, then=then, **options)

    @staticmethod
    def together(start):
        """Two guests, by what starts one, that boot at the same time."""
        both = start(wait=False), start(wait=False)
        for one in both:
            one.up()
        return both


def in_guest(command, peer):
    """A command line in which URI stands for the guest's device, as that peer: on arm64 a free slot cannot be claimed."""
    return command.replace("URI", f"ivshmem:$(cat /tmp/D)?peer={peer}")
