# SPDX-License-Identifier: BSD-3-Clause
"""A machine is switched off, and another machine learns it: from what the server tells in the memory, as it has no other way."""
import hashlib
import json
import os
import subprocess
import time

import world
from world import runner


class Departures(world.Case):
    def setUp(self):
        super().setUp()
        self.socket = self.shm + "/server"
        self.server = self.serve()

    def both(self):
        """Two guests."""
        return self.together(lambda **options: self.doorbell(self.socket, **options))

    def serve(self):
        server = self.start("serve", "--socket", self.socket, "--path", self.region, stderr=subprocess.DEVNULL)
        self.eventually(lambda: os.path.exists(self.socket))
        return server

    def state_in(self, one, peer):
        """What `show` in that guest says of a peer. VFIO lets one process in at a time."""
        return json.loads(one.run(world.in_guest("vshmctl show URI --json", 1)))["peers"][peer]["state"]

    def connected(self):
        return [ring for ring in self.show()["rings"] if ring["connected"]]

    def test_a_guest_is_switched_off(self):
        one, two = self.both()
        one.begin(world.in_guest("yes | vshmctl send URI data --quiet", 0))
        receiver = two.begin(world.in_guest("vshmctl recv URI data --quiet 2>&1 >/dev/null", 1))
        self.eventually(self.connected)
        one.kill()
        killed = time.monotonic()
        receiver.wait()
        took = time.monotonic() - killed
        print(f"the receiver in the other guest ended {took * 1000:.0f} ms after SIGKILL of the sender's QEMU")
        self.assertNotEqual(receiver.status, 0)
        self.assertIn("the sender died", receiver.output)
        self.assertEqual(self.state_in(two, 0), "fenced") # not just suspect, and nobody evicted it

        three = self.doorbell(self.socket)
        sent = three.run("head -c 1000000 /dev/urandom >/tmp/f && sha256sum </tmp/f")
        receiver = two.begin(world.in_guest("vshmctl recv URI data --quiet | sha256sum", 1))
        three.run(world.in_guest("vshmctl send URI data /tmp/f --quiet", 0))
        self.assertEqual(receiver.ok(), sent)

    def test_without_interrupts(self):
        """A guest that uses the device through sysfs hears nothing, and the server still knows it by its address."""
        one = self.doorbell(self.socket, then="")
        one.begin(world.in_guest("vshmctl recv URI data --quiet", 0))
        self.eventually(lambda: "label" in self.show()["peers"][0])
        one.kill()
        killed = time.monotonic()
        self.eventually(lambda: self.show()["peers"][0]["state"] == "fenced")
        print(f"fenced {(time.monotonic() - killed) * 1000:.0f} ms after SIGKILL of QEMU")

    def test_after_the_server(self):
        """The next server knows nothing of the clients of the one before: they are not fenced, and go on."""
        one, two = self.both()
        one.run("mkfifo /tmp/fifo")
        receiver = two.begin(world.in_guest("vshmctl recv URI data --quiet | sha256sum", 1))
        sender = one.begin(world.in_guest("vshmctl send URI data /tmp/fifo --quiet", 0))
        one.begin("(echo begin; until test -e /tmp/go; do sleep 0.2; done; echo end) >/tmp/fifo")
        self.eventually(self.connected)
        self.server.kill()
        self.server.wait()
        os.unlink(self.socket)
        self.serve()
        three = self.doorbell(self.socket)
        answering = three.begin(world.in_guest("vshmctl recv URI late --quiet", 2))
        seen = self.eventually(lambda: self.show_if(lambda seen: "label" in seen["peers"][2]))
        self.assertEqual([seen["peers"][peer]["state"] for peer in (0, 1, 2)], ["live"] * 3)
        self.assertEqual([seen["peers"][peer]["can_wake"] for peer in (0, 1, 2)], [[1], [0], []])
        one.run("touch /tmp/go")
        sender.ok()
        self.assertEqual(receiver.ok().split()[0], hashlib.sha256(b"begin\nend\n").hexdigest())
        three.run("kill $(pidof vshmctl)")
        answering.wait()


if __name__ == "__main__":
    runner.main()
