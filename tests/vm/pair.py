# SPDX-License-Identifier: BSD-3-Clause
"""A region of the host, its ivshmem server, and two guests that have it with doorbells: for the benchmark and the demo."""
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import time

import cross
import guest

LISTEN_SECONDS = 20
PEERS = 4
DEVICE = "grep -l 0x1110 /sys/bus/pci/devices/*/device | cut -d/ -f6 >/tmp/D; test -s /tmp/D"
# VFIO takes the device; without this it is mapped from sysfs, and nobody can ring.
BIND = "; D=$(cat /tmp/D); echo vfio-pci >/sys/bus/pci/devices/$D/driver_override; echo $D >/sys/bus/pci/drivers_probe"


class Pair:
    """`guests`: two, up; they are peers 0 and 1 of `region`. `devices(number)`: more arguments of QEMU for each."""

    def __init__(self, native, arch, programs, name="net0", size="16M", devices=None, **options):
        self.bin, self.arch, self.name = native, arch, name
        self.guests, self.server = [], None
        self.shm = tempfile.mkdtemp(prefix="vshm-pair-", dir="/dev/shm")
        self.region, self.socket = self.shm + "/region", self.shm + "/server"
        self.env = dict(os.environ, VSHM_RUN_DIR=self.shm + "/run", LC_ALL="C.UTF-8")
        try:
            os.mkdir(self.shm + "/run")
            self.ctl("create", name, "--path", self.region, "--size", size, "--peers", str(PEERS))
            self.serve()
            self.boot(programs, devices or (lambda number: []), options)
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def ctl(self, *words):
        """Runs vshmctl on the host: its output."""
        done = subprocess.run([self.bin + "/vshmctl", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.env,
                              check=False)
        if done.returncode:
            raise guest.Failed(f"vshmctl {' '.join(words)}: {done.stderr.decode()}")
        return done.stdout.decode()

    def serve(self):
        self.server = subprocess.Popen([self.bin + "/vshmctl", "serve", "--socket", self.socket, "--path", self.region],
                                       env=self.env, stderr=subprocess.DEVNULL, preexec_fn=guest.die_with_parent)
        give_up = time.monotonic() + LISTEN_SECONDS
        while not os.path.exists(self.socket):
            if self.server.poll() is not None or time.monotonic() > give_up:
                raise guest.Failed("vshmctl serve does not start")
            time.sleep(0.02)

    def boot(self, programs, devices, options):
        folder, roots = cross.programs(self.arch, self.bin)
        places = {"bin/" + program: os.path.join(folder, program) for program in programs}
        doorbell = shlex.split(self.ctl("qemu-args", self.name, "--socket", self.socket))
        for number in range(2):
            self.guests.append(guest.Guest(self.arch, doorbell + devices(number), places, roots=roots, vfio=True, wait=False,
                                           first=DEVICE + BIND, **options))
        for one in self.guests:
            one.up()

    def uri(self, number):
        """The region, as the guest of this number names it."""
        return f"ivshmem:$(cat /tmp/D)?peer={number}"

    def processes(self):
        """Everything that works for these guests."""
        return [self.server.pid, *(one.process.pid for one in self.guests)]

    def close(self):
        for one in self.guests:
            one.close()
        if self.server:
            self.server.send_signal(signal.SIGTERM)
            self.server.wait()
        shutil.rmtree(self.shm, ignore_errors=True)
