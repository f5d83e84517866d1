# SPDX-License-Identifier: BSD-3-Clause
"""The ways to one device: which is taken, what it can, and that each leaves it as it was."""
import os
import subprocess

import world
from world import runner

# The two drivers take turns: each is unbound again by the next.
BIND = """D=$(cat /tmp/D); cd /sys/bus/pci/devices/$D
if [ -e driver ]; then echo $D >driver/unbind; fi
echo {} >driver_override; echo $D >/sys/bus/pci/drivers_probe; test "$(basename $(readlink driver))" = {}"""
VIA = "vshmctl show ivshmem:$(cat /tmp/D) | grep ' via '"
WAIT = "vshmctl wait ivshmem:$(cat /tmp/D) --timeout 30"


class Ways(world.Case):
    def setUp(self):
        super().setUp()
        self.socket = self.shm + "/server"
        self.start("serve", "--socket", self.socket, "--path", self.region, stderr=subprocess.DEVNULL)
        self.eventually(lambda: os.path.exists(self.socket))
        self.uri = f"server:{self.socket}?peer=4"
        self.one = self.guest("-chardev", f"socket,id=s,path={self.socket}", "-device", "ivshmem-doorbell,chardev=s,vectors=1",
                              vfio=True, modules=["uio", "uio_pci_generic"])
        self.one.run("mkdir -p /sys/kernel/debug; mount -t debugfs debugfs /sys/kernel/debug; true")

    def via(self):
        said = self.one.run(VIA).strip()
        print(said)
        return said

    def rings_the_host(self):
        """A doorbell of the host, rung from the guest by hand."""
        waiting = self.start("wait", f"server:{self.socket}", "--timeout", "30", stdout=subprocess.PIPE)
        address = waiting.stdout.readline().split()[-1].decode()
        self.one.run(f"vshmctl ring ivshmem:$(cat /tmp/D) {address}")
        self.assertEqual(waiting.wait(world.LONG), 0)

    def wakes_the_host(self):
        """A consumer of the host sleeps until it is rung: its waits are not short."""
        receiver = self.start("recv", self.uri, "data", "--quiet", stdout=subprocess.PIPE)
        self.one.run(world.in_guest("(sleep 1; echo hello) | vshmctl send URI data --quiet", 0))
        self.assertEqual(receiver.communicate(timeout=world.LONG)[0], b"hello\n")

    def hears_nothing(self):
        refused = self.one.begin(WAIT).wait()
        self.assertEqual(refused.status, 1)
        self.assertIn("no interrupts", refused.output)

    def test_in_turn(self):
        # no driver at all
        self.assertIn("via sysfs: no driver is bound to it", self.via())
        self.rings_the_host()
        self.wakes_the_host()
        self.hears_nothing()

        # a driver for any device
        self.one.run(BIND.format("uio_pci_generic", "uio_pci_generic"))
        self.assertIn("via uio: it is bound to uio_pci_generic", self.via())
        self.rings_the_host()
        self.wakes_the_host()
        self.hears_nothing()

        # interrupts
        self.one.run(BIND.format("vfio-pci", "vfio-pci"))
        self.assertIn("via vfio: it is bound to vfio-pci", self.via())
        self.rings_the_host()
        self.wakes_the_host()
        waiting = self.one.begin("vshmctl wait ivshmem:$(cat /tmp/D) --timeout 30 >/tmp/said")
        self.one.eventually("grep doorbell /tmp/said")
        address = self.one.run("cut -d' ' -f4 /tmp/said").strip()
        self.ctl("ring", f"server:{self.socket}", address)
        waiting.ok()

        # one process at a time, so ping starts no second one
        alone = self.one.begin(world.in_guest("vshmctl ping URI --timeout 1", 0)).wait()
        print(alone.output.strip())
        self.assertEqual(alone.status, 1)
        self.assertIn("no second process", alone.output)

        # sysfs by word, although another driver has the device; and back to none
        self.one.run("vshmctl show 'ivshmem:'$(cat /tmp/D)'?via=sysfs' | grep 'via sysfs: as via= says'")
        self.one.run("D=$(cat /tmp/D); cd /sys/bus/pci/devices/$D; echo $D >driver/unbind; ! test -e driver")
        self.assertIn("via sysfs", self.via())

    def test_kind_of_memory(self):
        """Where the kernel tells how it maps the device, show says so: on x86, in debugfs."""
        said = self.one.run("vshmctl show ivshmem:$(cat /tmp/D) | grep ' memory '")
        told = self.one.begin("test -e /sys/kernel/debug/x86/pat_memtype_list").wait().status == 0
        print(said.strip())
        self.assertEqual("the kernel says" in said, told)


if __name__ == "__main__":
    runner.main()
