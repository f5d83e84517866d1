# SPDX-License-Identifier: BSD-3-Clause
"""Three peers on one region, host and two guests: one gives records and lends blocks to the two others, who check every byte."""
import os
import signal
import subprocess

import world
from world import runner

COUNT = 20000 # records, of which every second lends a block
HOST = 4
CROWD = "vm-crowd {} URI {} {}"


class Many(world.Case):
    def on_host(self, uri, *args):
        return self.start(args[0], uri, *args[1:], program="vm-crowd", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def takes(self, process):
        """What a taker on the host said when it had ended."""
        status, said = process.wait(world.LONG), process.stdout.read().decode()
        self.assertEqual(status, 0, said)
        return said

    def given(self, ring, takers):
        """All was taken, and each block is home, as anybody can see; the giver stays."""
        for said in takers:
            self.assertEqual(said, f"took {COUNT}, then: end of stream\n")
        pool = self.eventually(lambda: next((pool for pool in self.show()["pools"]
                                             if pool["name"] == ring and not pool["blocks_lent"]), None))
        self.assertEqual(pool["used"], 0)

    def host_gives(self, one, two, uri, ring="down"):
        taking = [each.begin(world.in_guest(CROWD.format("take", ring, ""), peer)) for peer, each in enumerate((one, two))]
        giver = self.on_host(f"{uri}?peer={HOST}", "give", ring, str(COUNT), "2")
        self.given(ring, [each.ok(world.LONG) for each in taking])
        giver.send_signal(signal.SIGTERM)
        self.assertIn("0 blocks are out", self.takes(giver))

    def guest_gives(self, one, two, uri, ring="up"):
        taking = two.begin(world.in_guest(CROWD.format("take", ring, ""), 3))
        taker = self.on_host(f"{uri}?peer={HOST + 1}", "take", ring)
        giver = one.begin(world.in_guest(CROWD.format("give", ring, f"{COUNT} 2"), 2))
        self.given(ring, [taking.ok(world.LONG), self.takes(taker)])
        one.run("kill $(pidof vm-crowd)")
        self.assertIn("0 blocks are out", giver.ok())

    def test_plain(self):
        """Nobody can be rung."""
        one, two = self.together(self.plain)
        self.host_gives(one, two, self.region)
        self.guest_gives(one, two, self.region)
        self.ctl("check", self.region)

    def test_doorbells(self):
        path = self.shm + "/server"
        self.start("serve", "--socket", path, "--path", self.region, stderr=subprocess.DEVNULL)
        self.eventually(lambda: os.path.exists(path))
        one, two = self.together(lambda **options: self.doorbell(path, **options))
        self.host_gives(one, two, f"server:{path}")
        self.guest_gives(one, two, f"server:{path}")
        self.ctl("check", self.region)


if __name__ == "__main__":
    runner.main()
