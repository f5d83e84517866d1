# SPDX-License-Identifier: BSD-3-Clause
"""What vshmctl finds in a guest, what doctor says is missing, and whether the commands that it names mend it; hot-plug."""
import json
import os
import shutil
import subprocess

import monitor
import world
from world import runner

NOBODY = "nobody:x:65534:65534:nobody:/:/bin/sh\n"


def as_user(command, user):
    return f"su -s /bin/sh {user} -c '{command}'" if user else command


class Discover(world.Case):
    def device(self, one, user=""):
        """The only device that list shows."""
        devices = json.loads(one.run(as_user("vshmctl list --json", user)))["devices"]
        self.assertEqual(len(devices), 1, devices)
        return devices[0]

    def findings(self, one, status, user=""):
        """What doctor says, by topic; its exit status must be as said."""
        running = one.begin(as_user("vshmctl doctor --json", user)).wait()
        self.assertEqual(running.status, status, running.output)
        found = json.loads(running.output)["found"]
        self.assertEqual(len(found), 1, found)
        return {finding["topic"]: finding for finding in found[0]["findings"]}

    def mend(self, one, finding):
        """Performs exactly the command that doctor names."""
        self.assertEqual(finding["level"], "problem")
        return one.run(finding["command"])

    def unbound_doorbell(self, more=(), **options):
        """A guest whose doorbell device has no driver yet."""
        path = self.shm + "/server"
        self.start("serve", "--socket", path, "--path", self.region, stderr=subprocess.DEVNULL)
        self.eventually(lambda: os.path.exists(path))
        return self.guest("-chardev", f"socket,id=s,path={path}", "-device", "ivshmem-doorbell,chardev=s,vectors=2", *more, **options)

    def test_plain(self):
        one = self.plain()
        device = self.device(one)
        self.assertEqual((device["name"], device["kind"], device["way"], device["error"]), ("net0", "ivshmem", "sysfs", None))
        self.assertEqual((device["size"], device["peer_count"], device["peers_live"]), (16 << 20, 8, 0))
        self.assertEqual((device["id"], device["vectors"], device["model"]), ("1af4:1110", 0, "ivshmem-plain"))
        one.run(f"vshmctl show '{device['uri']}'")
        findings = self.findings(one, 0)
        self.assertEqual((findings["region"]["level"], findings["interrupts"]["level"]), ("ok", "hint"))
        one.begin(world.in_guest("vshmctl recv URI nothing --quiet", 0))
        one.eventually("vshmctl list | grep '1/8 .*in use by vshmctl'")
        self.assertIn("in use by vshmctl", self.findings(one, 0)["held"]["text"])
        self.assertIn("net0", one.run("vshmctl doctor net0"))
        for name in (device["place"], device["place"][5:], device["uri"]):
            self.assertEqual(one.run(f"vshmctl doctor {name}"), one.run("vshmctl doctor"))

    def test_doctor_and_bind(self):
        """The driver is missing, its command mends it; and back."""
        one = self.unbound_doorbell(vfio=True)
        self.assertEqual(self.device(one)["name"], "net0")
        findings = self.findings(one, 1)
        self.assertIn("its doorbell has address ", findings["server"]["text"])
        self.mend(one, findings["driver"])
        address, findings = findings["server"]["text"], self.findings(one, 0)
        self.assertEqual(findings["server"]["text"], address)
        self.assertEqual({finding["level"] for finding in findings.values()}, {"ok"}, findings)
        device = self.device(one)
        self.assertEqual((device["name"], device["way"], device["driver"]), ("net0", "vfio", "vfio-pci"))
        self.assertTrue(device["node"].startswith("/dev/vfio/"))

        receiver = one.begin(world.in_guest("vshmctl recv URI greetings --quiet", 0))
        one.eventually("vshmctl list | grep 'in use by vshmctl'")
        self.assertEqual(self.findings(one, 0)["held"]["level"], "hint")
        self.assertRegex(one.run("vshmctl list"), r"in use by vshmctl \(process \d+\)\n")
        refused = one.begin("vshmctl unbind $(cat /tmp/D)").wait()
        self.assertEqual(refused.status, 1)
        self.assertIn("in use by vshmctl", refused.output)
        self.ctl("send", self.host[0], "greetings", "--quiet", input=b"hello\n")
        self.assertEqual(receiver.ok(), "hello\n")

        self.assertIn("was vfio-pci", one.run("vshmctl unbind $(cat /tmp/D)"))
        self.assertEqual(self.device(one)["way"], "sysfs")
        self.assertIn("and had none", one.run("vshmctl unbind $(cat /tmp/D)"))
        self.assertIn("is bound to vfio-pci", one.run("vshmctl bind $(cat /tmp/D)"))
        self.assertIn("is already bound", one.run("vshmctl bind $(cut -c 6- /tmp/D)"))
        self.findings(one, 0)

    def test_an_iommu_that_does_not_remap(self):
        """Rights and drivers are as they should be, and the kernel still refuses: the way is not vfio, and the cure is named."""
        if world.ARCH != "x86_64":
            self.skipTest("this architecture's IOMMU always does")
        one = self.unbound_doorbell(more=("-global", "intel-iommu.intremap=off"), vfio=True)
        one.run("vshmctl bind $(cat /tmp/D)")
        device = self.device(one)
        self.assertEqual((device["name"], device["way"], device["error"]), ("net0", "sysfs (vfio-pci)", None))
        self.assertIn("remap", device["because"])
        findings = self.findings(one, 1)
        self.assertEqual(findings["interrupts"]["text"], device["because"])
        self.assertIn("-device intel-iommu,intremap=on", findings["iommu"]["text"])
        self.mend(one, findings["interrupts"])
        self.assertEqual({finding["level"] for finding in self.findings(one, 0).values()}, {"ok"})
        self.assertEqual(self.device(one)["way"], "vfio")

    def test_refusals_of_bind(self):
        one = self.unbound_doorbell(modules=["uio_pci_generic"])
        self.assertIn("no interrupts: VFIO needs an IOMMU", one.run("vshmctl doctor"))
        other = "$(ls /sys/bus/pci/devices | grep -v $(cat /tmp/D) | head -1)"
        for command, status, says in ((f"bind {other}", 1, "no ivshmem device"), ("bind 0000:1f:1f.7", 1, "there is no PCI device"),
                                      ("bind $(cat /tmp/D)", 1, "the kernel has no driver vfio-pci: modprobe vfio-pci"),
                                      ("bind $(cat /tmp/D) virtio-pci", 1, "virtio-pci does not take"),
                                      ("bind $(cat /tmp/D) ../x", 2, "no name of a driver")):
            running = one.begin("vshmctl " + command).wait()
            self.assertEqual(running.status, status, running.output)
            self.assertIn(says, running.output)
        self.assertEqual(self.device(one)["driver"], None)
        one.run("vshmctl bind $(cat /tmp/D) uio_pci_generic")
        device = self.device(one)
        self.assertEqual((device["name"], device["way"], device["node"]), ("net0", "uio (uio_pci_generic)", "/dev/uio0"))
        one.run("vshmctl unbind $(cat /tmp/D)")
        self.assertEqual(self.device(one)["way"], "sysfs")

    def test_permissions(self):
        """A user who may do nothing, and the commands that change it."""
        one = self.plain(files={"etc/passwd": NOBODY.encode()})
        device = self.device(one, "nobody")
        self.assertEqual((device["name"], device["way"]), (None, "none"))
        findings = self.findings(one, 1, "nobody")
        self.assertIn("only root may see", findings["interrupts"]["text"])
        for topic in ("permission", "memory"):
            if findings[topic]["level"] == "problem":
                self.mend(one, findings[topic])
        self.findings(one, 0, "nobody")
        device = self.device(one, "nobody")
        self.assertEqual((device["name"], device["way"]), ("net0", "sysfs"))

    def test_memory_without_a_region(self):
        """Zeros: doctor names the command that makes a region of them."""
        one = self.plain()
        with open(self.region, "r+b") as file:
            file.write(bytes(4096))
        self.assertIn("all zero", self.device(one)["error"])
        self.mend(one, self.findings(one, 1)["format"])
        device = self.device(one)
        self.assertEqual((device["name"], device["size"], device["registered"]), ("net0", 16 << 20, True))
        self.findings(one, 0)
        one.run("vshmctl show net0")

    def test_udev(self):
        """With udevd and our rules a member of the group may do everything, and its events are watched instead of the kernel's."""
        udevadm = shutil.which("udevadm")
        if world.ARCH != os.uname().machine or not udevadm:
            self.skipTest("no udevd for guests of this architecture here")
        with open(os.path.join(world.cross.SOURCE, "pkg/udev/60-vshm.rules"), "rb") as file:
            files = {"etc/passwd": NOBODY.encode(), "etc/group": b"vshm:x:990:nobody\n", "etc/udev/rules.d/60-vshm.rules": file.read()}
        one = self.unbound_doorbell(vfio=True, files=files, more_programs={"bin/udevadm": udevadm})
        one.run("ln -s udevadm /bin/systemd-udevd; systemd-udevd --daemon && udevadm trigger --action=add && udevadm settle")
        one.run("test -S /run/udev/control")
        one.begin("vshmctl list --watch >/tmp/watch")
        one.eventually("grep '^  ivshmem .*net0.*sysfs' /tmp/watch")
        device = self.device(one, "nobody")
        self.assertEqual((device["name"], device["way"]), ("net0", "sysfs"))
        one.run("vshmctl bind $(cat /tmp/D) && udevadm settle && chmod a+rw /dev/vfio/vfio")
        device = self.device(one, "nobody")
        self.assertEqual((device["name"], device["way"], device["error"]), ("net0", "vfio", None))
        self.assertEqual(one.run(f"stat -c '%G %a' {device['node']}"), "vshm 660\n")
        one.eventually("grep '^~ ivshmem .*vfio' /tmp/watch")
        # who watches does not get into the way of others: VFIO would say that the device is in use
        receiver = one.begin(world.in_guest("vshmctl recv URI nothing --quiet", 0))
        one.eventually("vshmctl list | grep 'in use by'")
        one.run("wc -l </tmp/watch >/tmp/lines; touch /dev/shm/any; sleep 0.5; rm /dev/shm/any; sleep 0.5")
        self.assertEqual(one.run("wc -l </tmp/watch"), one.run("cat /tmp/lines"))
        one.run("kill $(pidof vshmctl | tr ' ' '\\n' | sort -n | tail -1)")
        receiver.wait()
        one.run("vshmctl unbind $(cat /tmp/D)")
        one.eventually("tail -1 /tmp/watch | grep '^~ ivshmem .*sysfs'")

    def test_split(self):
        """The devices of a split region are put together, the machine's own first, with the one that has the doorbells."""
        path = self.shm + "/server"
        self.ctl("create", "parts", "--path", self.shm + "/parts", "--size", "3M", "--peers", "3", "--profile", "split")
        self.start("serve", "--socket", path, "--path", self.region, stderr=subprocess.DEVNULL)
        self.eventually(lambda: os.path.exists(path))
        args = self.ctl("qemu-args", "parts", "--peer", "1", "--socket", path).decode()
        one = self.guest(*[word.strip("'") for line in args.splitlines() for word in line.split(" ", 1)])
        seen = json.loads(one.run("vshmctl list --json"))["devices"]
        self.assertEqual([(device["name"], device.get("peer")) for device in seen],
                         [("parts", 1), ("parts", 2), ("parts", 0), ("net0", None)])
        places = [device["place"] for device in seen]
        uri = f"split:{','.join(places[:3])}?doorbell={places[3]}"
        self.assertEqual([device["uri"] for device in seen[:3]], [uri] * 3)
        self.assertEqual((seen[0]["size"], seen[0]["peer_count"], seen[0]["error"]), (3 << 20, 3, None))
        one.run(f"vshmctl show '{uri}'; vshmctl doctor '{uri}'")
        self.assertEqual(one.run("vshmctl list").count(uri), 1)
        one.begin(f"vshmctl recv '{uri}' nothing --quiet")
        one.eventually("vshmctl list | grep ' 1/3 '")

    def test_regions_for_libvirt(self):
        """A guest as a host of others: huge pages, and what AppArmor must be told."""
        one = self.plain(files={"etc/apparmor.d/abstractions/libvirt-qemu": b"", "etc/apparmor.d/local/abstractions/libvirt-qemu": b""})
        one.run("mkdir -p /dev/hugepages && echo 4 >/proc/sys/vm/nr_hugepages && mount -t hugetlbfs none /dev/hugepages")
        one.run("vshmctl create big --path /dev/hugepages/big --size 8M && vshmctl create small --path /dev/shm/small")
        self.assertIn("lies on huge pages of 2048 KiB", one.run("vshmctl doctor big"))
        self.assertNotIn("AppArmor", one.run("vshmctl doctor small"))
        one.run("mount -t securityfs none /sys/kernel/security && test -d /sys/kernel/security/apparmor")
        found, = json.loads(one.run("vshmctl doctor small --json"))["found"]
        rule, = [finding for finding in found["findings"] if finding["topic"] == "apparmor"]
        self.assertEqual(rule["level"], "hint")
        one.run("printf '#!/bin/sh\\n' >/bin/systemctl && chmod +x /bin/systemctl")
        one.run(rule["command"])
        self.assertIn("AppArmor lets libvirt's machines open it", one.run("vshmctl doctor small"))

    def test_hot_plug(self):
        self.ctl("create", "net1", "--path", self.shm + "/net1", "--size", "4M")
        qmp = self.shm + "/qmp"
        one = self.plain(*monitor.devices(qmp, "late_slot"), kernel_args=monitor.KERNEL_ARGS)
        one.begin("vshmctl list --watch >/tmp/watch; echo ended with $? >>/tmp/watch")
        one.eventually("grep '^  ivshmem .*net0' /tmp/watch")
        machine = monitor.Monitor(qmp)
        self.addCleanup(machine.close)
        machine.ask("object-add", **{"qom-type": "memory-backend-file", "id": "late", "mem-path": self.shm + "/net1", "size": 4 << 20,
                                     "share": True})
        machine.ask("device_add", driver="ivshmem-plain", id="late", memdev="late", bus="late_slot")
        one.eventually("grep '^[+~] ivshmem .*net1 .* 4 MiB' /tmp/watch", 60)
        self.assertEqual(len(json.loads(one.run("vshmctl list --json"))["devices"]), 2)
        machine.ask("device_del", id="late")
        one.eventually("grep '^- ivshmem .*net1' /tmp/watch", 60)
        one.run("kill $(pidof vshmctl)")
        one.eventually("grep 'ended with 143' /tmp/watch")
        text = one.run("cat /tmp/watch")
        self.assertEqual(len([line for line in text.splitlines() if "net0" in line]), 1, text)


if __name__ == "__main__":
    runner.main()
