#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Shows libvshm between two virtual machines: boots them, streams a tar of the host to one guest and on to the other, rings
doorbells, kills the sender in mid-stream, and finishes. Called by demo.sh --vm; leaves nothing behind."""
import argparse
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests/vm"))

import guest
import kernel
import pair

MIB = 1 << 20
SIZE = 64 * MIB
GUEST_MEMORY = 512 # MiB; the tar lies in it, twice
A, B = 0, 1
NAMES = "AB"
TRIPS = 2000
LOOK_SECONDS = 0.25
LONG = 120
TOLD_SECONDS = 5
TERMINAL = sys.stdout.isatty()
BOLD, DIM, PLAIN = ("\033[1m", "\033[2m", "\033[0m") if TERMINAL else ("", "", "")
# Some 20 MiB/s, so that there is a mid-stream to look at and to kill in.
PACED = f"for i in $(seq 0 {SIZE // MIB - 1}); do dd if=/tmp/in.tar bs=1M skip=$i count=1 2>/dev/null; usleep 50000; done"
INTERRUPTS = "awk '/vfio-msix/ {print $2}' /proc/interrupts"


class Wrong(Exception):
    """The demo does not show what it should."""


# ---- talking ----

def say(*lines):
    for line in lines:
        print(("   " + line).rstrip(), flush=True)


def shown(where, command):
    say(f"{DIM}{where + ' ' if where else ''}$ {command}{PLAIN}")


def thousands(number):
    return f"{number:,}".replace(",", " ")


def columns():
    """How wide a program may write, which is moved to the right here."""
    wide = min(shutil.get_terminal_size().columns, 160) if TERMINAL else 120
    return max(wide - 3, 40)


def passing(text):
    """A line that is overwritten, for who watches."""
    if TERMINAL:
        print(f"\r\033[K   {text}" if text else "\r\033[K", end="", flush=True)


def expect(condition, what):
    if not condition:
        raise Wrong(what)


class Demo(pair.Pair):
    def __init__(self, native, arch):
        self.step, self.sum, self.told, self.got = 0, "", 0, 0
        self.title("Two guests, and a region of the host that both have as a PCI device with doorbells")
        shown("host", "vshmctl create demo --size 16M --peers 4 ... && vshmctl serve demo --socket ... &")
        for name in NAMES:
            shown("host", f"qemu-system-{arch} ... $(vshmctl qemu-args demo --socket ...) &   {PLAIN}# guest {name}")
        passing("booting ...")
        begun = time.monotonic()
        super().__init__(native, arch, ("vshmctl",), name="demo", memory=GUEST_MEMORY)
        passing("")
        say(f"Both are up after {time.monotonic() - begun:.1f} s: emulated, {kernel.Kernel(arch).version().split('_')[0]}")
        self.address = self.guests[A].run("cat /tmp/D").strip()

    def title(self, text):
        self.step += 1
        print(f"\n{BOLD}{self.step}. {text}{PLAIN}", flush=True)

    # ---- commands ----

    def in_guest(self, number, command, before="", after="", env="", show=True):
        """Starts a command there; URI stands for the device."""
        if show:
            shown(f"guest {NAMES[number]}", before + command.replace("URI", f"ivshmem:{self.address}?peer={number}") + after)
        return self.guests[number].begin(before + env + command.replace("URI", self.uri(number)) + after)

    def look(self):
        return json.loads(self.ctl("show", self.region, "--json"))

    def ring(self, name):
        """What the host sees of a ring; None: nobody is at it."""
        return next((ring for ring in self.look()["rings"] if ring["name"] == name and ring["connected"]), None)

    def watch(self, name, commands, until=None):
        """Shows how a stream flows until all commands have ended, or so many bytes have passed."""
        while not all(command.ended.is_set() for command in commands):
            ring = self.ring(name)
            if ring:
                done = ring["producer"]["tail"]
                passing(f"{DIM}{name}: {done / MIB:5.1f} MiB through the ring, {(ring['bytes_per_second'] or 0) / MIB:.0f} MiB/s, "
                        f"{ring['doing']}{PLAIN}")
                if until and done > until:
                    break
            time.sleep(LOOK_SECONDS)
        else:
            expect(not until, f"the stream {name} ended early: " + " ".join(command.output for command in commands))
        passing("")

    # ---- steps ----

    def to_the_first(self):
        self.title(f"{SIZE // MIB} MiB of the host's /usr/lib, from a process of the host to guest A")
        tar = self.make_tar()
        receiver = self.in_guest(A, "vshmctl recv URI to-a /tmp/in.tar --quiet --stats")
        shown("host", "vshmctl send server:... to-a in.tar")
        with open(tar, "rb") as file:
            sender = subprocess.Popen([self.bin + "/vshmctl", "send", f"server:{self.socket}?peer=2", "to-a", "--quiet"],
                                      stdin=file, env=self.env, preexec_fn=guest.die_with_parent)
        self.watch("to-a", [receiver])
        say(*receiver.ok(LONG).strip().split("; ", 1))
        expect(sender.wait(LONG) == 0, "the sender on the host failed")
        os.unlink(tar)
        found = self.guests[A].run("sha256sum </tmp/in.tar", LONG).split()[0]
        say(f"the tar     {self.sum}", f"in guest A  {found}")
        expect(found == self.sum, "the sums differ")

    def make_tar(self):
        """Real files, cut to size, and repeated where this machine has not that many; their sum."""
        path, digest, left = self.shm + "/in.tar", hashlib.sha256(), SIZE
        with open(path, "wb") as file:
            while left:
                with subprocess.Popen(["tar", "-C", "/", "-cf", "-", "usr/lib"], stdout=subprocess.PIPE,
                                      stderr=subprocess.DEVNULL) as tar:
                    while data := tar.stdout.read(min(MIB, left)):
                        file.write(data)
                        digest.update(data)
                        left -= len(data)
                    tar.kill()
        self.sum = digest.hexdigest()
        return path

    def from_guest_to_guest(self):
        self.title("The same from guest A to guest B")
        receiver = self.in_guest(B, "vshmctl recv URI files /tmp/out.tar --quiet --stats")
        sender = self.in_guest(A, "vshmctl send URI files /tmp/in.tar --quiet")
        self.watch("files", [receiver, sender])
        say(*receiver.ok(LONG).strip().split("; ", 1))
        sender.ok(LONG)
        found = self.guests[B].run("sha256sum </tmp/out.tar && rm /tmp/out.tar", LONG).split()[0]
        say(f"in guest B  {found}")
        expect(found == self.sum, "the sums differ")

    def ring_doorbells(self):
        self.title("Round trips between two that sleep: each message is a doorbell, and an interrupt there")
        answering = self.in_guest(B, "vshmctl ping --answer URI --sleep --quiet")
        give_up = time.monotonic() + LONG
        while not any(ring["name"] == "ping.ask" for ring in self.look()["waiting"]):
            expect(time.monotonic() < give_up and not answering.ended.is_set(), "guest B does not answer")
            time.sleep(LOOK_SECONDS)
        before = self.interrupts()
        asking = self.in_guest(A, f"vshmctl ping URI --sleep --count {TRIPS} --quiet", env=f"COLUMNS={columns()} ")
        say(*(line for line in asking.ok(LONG).splitlines() if line))
        rung = self.interrupts() - before
        self.guests[B].run("kill $(pidof vshmctl)")
        answering.wait()
        say(f"Guest B had {rung} interrupts for {TRIPS} messages.")

    def interrupts(self):
        return int(self.guests[B].run(INTERRUPTS) or 0)

    def start_slowly(self):
        self.title("The region while it is in use, seen by the host, which takes no part")
        self.receiver = self.in_guest(B, "vshmctl recv URI files --quiet", after=" >/tmp/out.tar")
        self.sender = self.in_guest(A, "vshmctl send URI files --quiet", before=f"({PACED}) | ", show=False)
        shown("guest A", f"feed-slowly in.tar | vshmctl send ivshmem:{self.address}?peer=0 files")
        self.watch("files", [self.receiver, self.sender], until=SIZE / 16)
        shown("host", "vshmctl show demo")
        self.env["COLUMNS"] = str(columns())
        say(*self.ctl("show", self.region).splitlines())

    def kill_in_mid_stream(self):
        self.title("kill -9 of the sender in guest A, in mid-stream")
        self.watch("files", [self.receiver, self.sender], until=SIZE / 4)
        shown("guest A", "kill -9 $(pidof vshmctl)")
        begun = time.monotonic()
        self.guests[A].begin("kill -9 $(pidof vshmctl)")
        if not self.receiver.ended.wait(TOLD_SECONDS):
            say("Nobody told: on arm64 a guest's kernel cannot mark a death in device memory. An operator's word does it.")
            shown("host", "vshmctl evict demo 0 --force")
            self.ctl("evict", self.region, "0", "--force")
            self.receiver.wait()
        self.told = 1000 * (time.monotonic() - begun)
        self.receiver.wait()
        expect(self.receiver.status == 1, f"the receiver ended with status {self.receiver.status}: {self.receiver.output}")
        self.sender.wait()
        self.got = int(self.guests[B].run("stat -c %s /tmp/out.tar"))
        say(*self.receiver.output.strip().splitlines()[-1:])
        say(f"Guest B was told and its receiver had ended {self.told:.0f} ms after the order to kill, with exit status 1.",
            f"It has {thousands(self.got)} bytes of the tar: each record that was committed, and no part of another.")

    def finish(self):
        self.title("A new sender in guest A goes on there")
        receiver = self.in_guest(B, "vshmctl recv URI files --quiet", after=" >>/tmp/out.tar")
        sender = self.in_guest(A, "vshmctl send URI files --quiet", before=f"tail -c +{self.got + 1} /tmp/in.tar | ")
        self.watch("files", [receiver, sender])
        receiver.ok(LONG)
        sender.ok(LONG)
        found = self.guests[B].run("sha256sum </tmp/out.tar", LONG).split()[0]
        say(f"the tar      {self.sum}", f"two senders  {found}")
        expect(found == self.sum, "the sums differ")
        say(*self.ctl("check", self.region).splitlines())


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", default=os.path.join(ROOT, "build/release/bin"), metavar="FOLDER", help="our programs")
    parser.add_argument("--arch", choices=sorted(guest.MACHINE), default=os.uname().machine)
    parser.add_argument("--check", action="store_true", help="only say whether guests can be had here: status 0, or 77")
    return parser.parse_args()


def run(options):
    with Demo(os.path.abspath(options.bin), options.arch) as demo:
        demo.to_the_first()
        demo.from_guest_to_guest()
        demo.ring_doorbells()
        demo.start_slowly()
        demo.kill_in_mid_stream()
        demo.finish()
        told, shm = demo.told, demo.shm
    expect(not os.path.exists(shm), f"left behind: {shm}")
    print(f"\n{BOLD}Proven: {SIZE // MIB} MiB went from the host through one guest to another intact, across a kill -9 of which "
          f"guest B was told within {told:.0f} ms; no committed record lost, nothing left behind.{PLAIN}")


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *unused: sys.exit(128 + signal.SIGTERM)) # by way of close()
    try:
        if options.check:
            kernel.Kernel(options.arch)
        else:
            run(options)
    except kernel.NotPossible as why:
        print(f"demo: not possible here: {why}", file=sys.stderr)
        return 77
    except (guest.Failed, Wrong) as why:
        print(f"\n{BOLD}demo: FAILED: {why}{PLAIN}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
