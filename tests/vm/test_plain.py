# SPDX-License-Identifier: BSD-3-Clause
"""Host and two guests with a plain device: memory, and nobody who rings."""
import hashlib
import os
import subprocess
import time

import world
from world import runner

MIB = 1 << 20
MAKE = f"head -c {64 * MIB} /dev/urandom >/tmp/f && sha256sum </tmp/f"
RECEIVE = world.in_guest("vshmctl recv URI data --quiet | sha256sum", 1)
SEND = world.in_guest("vshmctl send URI data /tmp/f --quiet", 0)


class Plain(world.Case):
    def test_64_mib_every_way(self):
        """Guest to guest, guest to host, host to guest; what arrives is what was sent."""
        one, two = self.together(self.plain)
        sent = one.run(MAKE)
        receiver = two.begin(RECEIVE)
        one.run(SEND)
        self.assertEqual(receiver.ok(), sent)

        receiver = self.start("recv", self.host[0], "data", "--quiet", stdout=subprocess.PIPE)
        sender = one.begin(SEND)
        digest = hashlib.sha256(receiver.stdout.read()).hexdigest()
        sender.ok()
        self.assertEqual(receiver.wait(world.LONG), 0)
        self.assertEqual(digest, sent.split()[0])

        data = os.urandom(64 * MIB)
        receiver = two.begin(RECEIVE)
        self.ctl("send", self.host[0], "data", "--quiet", input=data)
        self.assertEqual(receiver.ok().split()[0], hashlib.sha256(data).hexdigest())

        # the examples: as much, in frames that their consumer checks
        consumer = two.begin(world.in_guest("consumer URI", 1))
        one.run(world.in_guest("producer URI 34000", 0))
        print(consumer.ok().strip())

    def test_who_is_there(self):
        """Host and guest see the same peers, and the host's kernel is not the guest's."""
        one = self.plain()
        one.begin(world.in_guest("vshmctl recv URI from-guest", 0))
        self.start("recv", self.host[0], "from-host", stderr=subprocess.DEVNULL)
        seen = self.eventually(lambda: self.show_if(lambda seen: len(seen["waiting"]) == 2))
        self.assertEqual(sorted(ring["name"] for ring in seen["waiting"]), ["from-guest", "from-host"])
        kernels = {peer["label"] + str(peer["pid"]): peer["same_kernel"] for peer in seen["peers"] if peer["state"] == "live"}
        self.assertEqual(sorted(kernels.values()), [False, True])
        text = one.run(world.in_guest("vshmctl show URI", 0))
        self.assertIn("2 of 8 peers attached", text)
        self.assertEqual(text.count("vshmctl-recv"), 2)
        self.assertIn("from-host", text)
        one.run(world.in_guest("vshmctl check URI", 0))

    def test_a_process_in_a_guest_dies(self):
        """SIGKILL in one guest: the kernel there marks it in the memory, and host and the other guest are told at once.

        Not on arm64: what may be device memory is not for the exclusive access with which the kernel does that.
        """
        one, two = self.together(self.plain)
        on_host = self.start("recv", self.host[0], "to-host", "--quiet", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        in_two = two.begin(world.in_guest("vshmctl recv URI to-guest --quiet >/dev/null", 2))
        for peer, to in enumerate(("to-host", "to-guest")):
            one.begin(world.in_guest(f"yes | vshmctl send URI {to} --quiet", peer))
        self.eventually(lambda: sum(ring["connected"] for ring in self.show()["rings"]) == 2)
        begin = time.monotonic()
        one.begin("kill -9 $(pidof vshmctl)")
        if world.ARCH != "x86_64":
            self.eventually(lambda: all(peer["state"] == "suspect" for peer in self.show()["peers"][:2]))
            return
        on_host.wait(world.LONG)
        told = time.monotonic() - begin
        self.assertIn(b"the sender died", on_host.stderr.read())
        self.assertIn("the sender died", in_two.wait().output)
        print(f"told on the host {1000 * told:.0f} ms after the order to kill")
        self.assertLess(told, 5)
        self.eventually(lambda: all(peer["state"] in ("free", "died", "fenced") for peer in self.show()["peers"]))

    def test_a_guest_is_switched_off(self):
        """Nobody marks it: its heart stands still. An operator's word frees the slot, and a new guest gets it."""
        one = self.plain()
        receiver = self.start("recv", self.host[0], "data", "--quiet", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        one.begin(world.in_guest("yes | vshmctl send URI data --quiet", 0))
        self.eventually(lambda: [ring for ring in self.show()["rings"] if ring["connected"]])
        one.kill()
        self.eventually(lambda: self.show()["peers"][0]["state"] == "suspect")
        self.assertIsNone(receiver.poll())
        self.ctl("evict", self.region, "0", "--force")
        receiver.wait(world.LONG)
        self.assertIn(b"the sender died", receiver.stderr.read())
        two = self.plain()
        receiver = self.start("recv", self.host[0], "data", "--quiet", stdout=subprocess.PIPE)
        two.run(world.in_guest("echo again | vshmctl send URI data --quiet", 0))
        self.assertEqual(receiver.stdout.read(), b"again\n")


if __name__ == "__main__":
    runner.main()
