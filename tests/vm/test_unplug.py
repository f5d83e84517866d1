# SPDX-License-Identifier: BSD-3-Clause
"""The device is unplugged while programs use it: they are told, let it go, and nobody else is blamed."""
import os
import subprocess

import monitor
import world
from world import runner

GONE = "its memory is gone"


class Unplug(world.Case):
    def setUp(self):
        super().setUp()
        self.socket = self.shm + "/server"
        self.start("serve", "--socket", self.socket, "--path", self.region, stderr=subprocess.DEVNULL)
        self.eventually(lambda: os.path.exists(self.socket))

    def unplug(self, **options):
        """A guest whose device can be pulled, and what pulls it."""
        qmp = self.shm + "/qmp"
        one = self.doorbell(self.socket, port=monitor.devices(qmp, "late_slot"), kernel_args=monitor.KERNEL_ARGS, **options)
        machine = monitor.Monitor(qmp)
        self.addCleanup(machine.close)
        return one, lambda: machine.ask("device_del", id="pulled")

    def ended(self, *running):
        for each in running:
            each.wait()
            print(each.output.strip().splitlines()[-1])
            self.assertEqual(each.status, 1)
            self.assertIn(GONE, each.output)

    def test_through_sysfs(self):
        """All words read as ones from then on: neither side takes that for what the other one wrote."""
        one, pull = self.unplug(then="")
        receiver = one.begin(world.in_guest("vshmctl recv URI data --quiet 2>&1 >/dev/null", 0))
        sender = one.begin("mkfifo /tmp/f; (sleep 60 >/tmp/f &); " + world.in_guest("vshmctl send URI data /tmp/f --quiet 2>&1", 1))
        self.eventually(lambda: [ring for ring in self.show()["rings"] if ring["connected"]])
        pull()
        self.ended(receiver, sender)

    def test_through_vfio(self):
        """The kernel asks for the device, and gives it away when the program has closed it."""
        if world.ARCH == "aarch64":
            self.skipTest("the port and the device are one IOMMU group on this machine: with VFIO the port loses its own interrupts")
        one, pull = self.unplug()
        receiver = one.begin(world.in_guest("vshmctl recv URI data --quiet 2>&1 >/dev/null", 0))
        self.eventually(lambda: "label" in self.show()["peers"][0])
        pull()
        self.ended(receiver)
        one.eventually("! test -e /sys/bus/pci/devices/$(cat /tmp/D)")


if __name__ == "__main__":
    runner.main()
