# SPDX-License-Identifier: BSD-3-Clause
"""A split region: each guest can write its own segment only, whatever it does."""
import hashlib
import os
import subprocess

import world
from world import runner

MIB = 1 << 20
PAGES = MIB // 4096
HONEST, HOSTILE, FIRST, SECOND = range(4)  # two guests, two peers of the host
SECTION = 0x10000  # in a segment, behind the page of the superblock
DATA = SECTION + 0x10000  # the rings, behind what names them

# Of the devices of a guest the last has the doorbells; the first is its own segment.
DEVICES = """; grep -l 0x1110 /sys/bus/pci/devices/*/device | cut -d/ -f6 >/tmp/all
head -n 4 /tmp/all >/tmp/S; B=$(tail -n 1 /tmp/all)
echo vfio-pci >/sys/bus/pci/devices/$B/driver_override; echo $B >/sys/bus/pci/drivers_probe
echo "split:$(tr '\\n' ',' </tmp/S | sed 's/,$//')?doorbell=$B" >/tmp/U"""


class Split(world.Case):
    """One honest guest, one that is not, and the host. Another small region has the doorbells."""

    def setUp(self):
        super().setUp()
        self.split, self.socket = self.shm + "/split", self.shm + "/server"
        self.ctl("create", "split", "--path", self.split, "--size", "4M", "--peers", "4", "--profile", "split")
        self.ctl("create", "bells", "--path", self.shm + "/bells", "--size", "1M")
        self.start("serve", "--socket", self.socket, "--path", self.shm + "/bells", stderr=subprocess.DEVNULL)
        self.eventually(lambda: os.path.exists(self.socket))

    def machine(self, peer):
        """A guest that is this peer, as vshmctl tells QEMU; it boots meanwhile."""
        args = self.ctl("qemu-args", "split", "--peer", str(peer), "--socket", self.socket).decode()
        words = [word.strip("'") for line in args.splitlines() for word in line.split(" ", 1)]
        return self.guest(*words, vfio=True, then=DEVICES, wait=False)

    def segments(self):
        """The bytes of all of them."""
        together = []
        for peer in range(4):
            with open(f"{self.split}/peer-{peer}", "rb") as file:
                together.append(file.read())
        return together

    def receive(self, peer, ring):
        return self.start("recv", f"{self.split}?peer={peer}", ring, "--quiet", stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def connected(self, ring):
        return [one for one in self.show(self.split)["rings"] if one["name"] == ring and one["connected"]]

    def test_hostile(self):
        """Who writes to all that it can reach spoils its own segment and its own rings, and nothing else."""
        honest, hostile = self.machine(HONEST), self.machine(HOSTILE)
        honest.up()
        hostile.up()
        everywhere = "vm-scribble {} $(sed 's|.*|/sys/bus/pci/devices/&/resource2|' /tmp/S)"

        # nobody else is at work: not a byte of theirs changes, and all of its own, the superblock too
        before = self.segments()
        said = [line.split(": ")[1] for line in hostile.run(everywhere.format("")).splitlines()]
        after = self.segments()
        print("the hostile guest's own segment, and those of the others:", "; ".join(said))
        self.assertEqual(said, [f"kept {PAGES} of {PAGES} pages"] + 3 * [f"kept 0 of {PAGES} pages"])
        self.assertEqual([peer for peer in range(4) if after[peer] != before[peer]], [HOSTILE])

        # its superblock is spoilt, too: the others do without that peer, and it cannot come back
        receiver = self.receive(FIRST, "without")
        honest.run("echo hello | vshmctl send $(cat /tmp/U) without --quiet")
        self.assertEqual(receiver.communicate(timeout=world.LONG)[0], b"hello\n")
        self.assertEqual(self.show(self.split)["peers"][HOSTILE]["state"], "pending")
        self.assertNotEqual(hostile.begin("echo x | vshmctl send $(cat /tmp/U) trap").wait().status, 0)
        with open(f"{self.split}/peer-{HOSTILE}", "r+b") as file:
            file.write(before[HOSTILE])

        # a peer that begins well, and then writes all over its rings, beside a stream of the others
        trapped, streamed = self.receive(FIRST, "trap"), self.receive(SECOND, "stream")
        hostile.begin("yes | vshmctl send $(cat /tmp/U) trap --quiet")
        self.eventually(lambda: self.connected("trap"))
        sent = honest.run("head -c 16777216 /dev/urandom >/tmp/f && sha256sum </tmp/f").split()[0]
        sender = honest.begin("vshmctl send $(cat /tmp/U) stream /tmp/f --quiet")
        hostile.run(everywhere.format(f"-f {DATA} -r 4"), 120)
        digest = hashlib.sha256(streamed.communicate(timeout=world.LONG)[0]).hexdigest()
        sender.ok()
        self.assertEqual(digest, sent)
        complaint = trapped.communicate(timeout=world.LONG)[1].decode()
        print("its consumer:", complaint.strip())
        self.assertEqual(trapped.returncode, 1)
        self.assertIn("broke", complaint)

    def test_wrong_order(self):
        """Another peer's device first: what is written into it does not stay, and that is said."""
        one = self.machine(HONEST)
        one.up()
        one.run("sed 's/split:\\([^,]*\\),\\([^,]*\\)/split:\\2,\\1/' /tmp/U >/tmp/V")
        refused = one.begin("echo x | vshmctl send $(cat /tmp/V) ring").wait()
        print(refused.output.strip())
        self.assertEqual(refused.status, 1)
        self.assertIn("this machine's own device first", refused.output)


if __name__ == "__main__":
    runner.main()
