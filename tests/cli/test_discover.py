# SPDX-License-Identifier: BSD-3-Clause
"""vshmctl list --watch and doctor on a host, and list and doctor of devices that umockdev pretends. Real ones are in tests/vm."""
import json
import os
import shutil
import signal
import socket
import subprocess
import unittest

import ctl
import devices


class Doctor(ctl.Case):
    """What is wrong on this host; each command that is named must mend it."""

    def findings(self, name, status):
        result = self.ctl("doctor", name, "--json")
        self.assertEqual((result.status, result.err), (status, ""), result)
        (thing,) = json.loads(result.out)["found"]
        return {finding["topic"]: finding for finding in thing["findings"]}

    def mend(self, finding):
        env = dict(self.env, PATH=ctl.BIN + ":" + os.environ["PATH"])
        subprocess.run(finding["command"], shell=True, check=True, env=env, stdout=subprocess.DEVNULL, timeout=ctl.LONG)

    def test_a_good_region(self):
        path = self.region()
        for name in ("r", "vshm:r", path, "file:" + path, path + "?peer=1"):
            findings = self.findings(name, 0)
            self.assertEqual({finding["level"] for finding in findings.values()}, {"ok"}, findings)
        text = self.ok("doctor", "r").out
        self.assertIn("ok       holds the region r: 0 of 4 peers attached", text)
        child = self.start("recv", "r", "x")
        self.await_show("r", lambda seen: seen["waiting"])
        self.assertIn(f"vshmctl (process {child.pid})", self.findings("r", 0)["held"]["text"])
        child.terminate()
        self.end(child)
        self.gone()

    def test_a_region_anywhere(self):
        path = os.path.join(self.scratch, "elsewhere")
        self.ok("create", "e", "--path", path)
        os.unlink(os.path.join(self.run_dir, "e"))
        self.assertEqual(self.findings(path, 0)["registration"]["level"], "hint")
        os.unlink(path)
        self.fails(1, "doctor", path, says=["there is no", "vshmctl list"])

    def test_sizes_of_devices(self):
        self.region("r", "--size", "3M")
        self.assertIn("--size 4M", self.findings("r", 0)["size"]["text"])
        self.region("s", "--size", "3M", "--profile", "split")
        self.assertNotIn("size", self.findings("s", 0))
        self.gone("r", "s")

    def test_a_name_whose_region_is_gone(self):
        os.unlink(self.region())
        finding = self.findings("r", 1)["registration"]
        self.assertIn("is gone", finding["text"])
        self.mend(finding)
        self.fails(1, "doctor", "r", says="there is no 'r'")

    def test_a_name_that_is_not_believed(self):
        self.region()
        os.chmod(os.path.join(self.run_dir, "r"), 0o666)
        self.mend(self.findings("r", 1)["registration"])
        self.findings("r", 0)
        self.gone()

    def test_zeros(self):
        ctl.patch(self.region(), 0, bytes(4096))
        self.mend(self.findings("r", 1)["format"])
        self.findings("r", 0)
        self.gone()

    def test_open_to_everybody(self):
        os.chmod(self.region(), 0o666)
        finding = self.findings("r", 0)["permission"]
        self.assertEqual(finding["level"], "hint")
        self.mend(finding)
        self.assertNotIn("permission", self.findings("r", 0))
        self.gone()

    def test_names_that_are_commands(self):
        """Anybody may make files in /dev/shm, and root may run what doctor says."""
        path = self.path("$(touch x);y")
        self.ok("create", "r", "--path", path)
        os.chmod(path, 0o666)
        finding = self.findings("r", 0)["permission"]
        self.assertEqual((finding["level"], finding["command"]), ("hint", None))
        self.ok("destroy", path)

    def server(self):
        (server,) = json.loads(self.ok("list", "--json").out)["servers"]
        return server

    def serve(self, path, *args):
        """A server, and a descriptor that gets what it says, once it serves."""
        reading, writing = os.pipe()
        child = self.start("serve", "r", "--socket", path, "--path", self.path(), *args, stderr=writing)
        os.close(writing)
        said = os.fdopen(reading)
        self.addCleanup(said.close)
        self.assertIn("serving at", said.readline())
        return child, said

    def test_servers_that_are_asked(self):
        """Of a server that lives nobody says that it is dead, and it hears nothing of being looked at."""
        self.region()
        path = os.path.join(self.run_dir, "r.sock")
        child, said = self.serve(path)
        self.assertEqual(self.findings(path, 0)["server"]["level"], "ok")
        self.assertEqual((self.server()["name"], self.server()["uri"], self.server()["error"]), ("r", "server:" + path, None))
        self.assertNotIn("nobody listens", self.ok("list").out)
        child.terminate()
        self.end(child)
        self.assertEqual(said.read(), "")
        self.assertFalse(os.path.exists(path))

        child, _ = self.serve(path)
        child.kill()
        self.end(child)
        finding = self.findings(path, 1)["server"]
        self.assertEqual((finding["level"], finding["command"]), ("problem", "rm " + path))
        self.assertEqual(self.server()["error"], "nobody listens there")
        child, _ = self.serve(path)
        self.assertEqual(self.findings(path, 0)["server"]["level"], "ok")
        child.kill()
        self.end(child)
        self.mend(self.findings(path, 1)["server"])
        self.assertFalse(os.path.exists(path))
        self.ok("destroy", "r")

    def test_servers_of_others(self):
        path = os.path.join(self.run_dir, "s.sock")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen(1)
            self.assertEqual(self.findings("s", 0)["server"]["level"], "ok")
            self.assertEqual((self.server()["name"], self.server()["uri"], self.server()["error"]), ("s", "server:" + path, None))
            listener.settimeout(0.1)
            self.assertRaises(TimeoutError, listener.accept)  # nobody asked for an id
        finding = self.findings(path, 1)["server"]
        self.assertIn("nobody listens", finding["text"])
        self.mend(finding)
        self.assertEqual(os.listdir(self.run_dir), [])

    def test_a_socket_of_another_kind(self):
        path = os.path.join(self.run_dir, "s.sock")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.bind(path)
            finding = self.findings("s", 1)["server"]
            self.assertEqual((finding["level"], finding["command"]), ("problem", None))

    @unittest.skipUnless(os.geteuid() == 0, "only root can be another user")
    def test_servers_that_this_user_may_not_ask(self):
        """A lock tells of those of vshmctl; of others nothing is said that could be wrong."""
        self.region()
        path = os.path.join(self.run_dir, "r.sock")
        child, _ = self.serve(path, "--mode", "0600")
        findings = self.findings_of_nobody(path)
        self.assertEqual((findings["server"]["level"], findings["permission"]["level"]), ("ok", "hint"), findings)
        child.kill()
        self.end(child)
        findings = self.findings_of_nobody(path)
        self.assertEqual(set(findings), {"permission"}, findings)
        self.assertEqual((findings["permission"]["level"], findings["permission"]["command"]), ("hint", None))
        self.assertIn("cannot be told", findings["permission"]["text"])
        self.ok("destroy", "r")

    @unittest.skipUnless(os.geteuid() == 0, "only root can be another user")
    def test_regions_of_others(self):
        self.region()
        result = self.as_nobody("doctor")
        self.assertIn("hint     not readable (owner root)", result.out)
        result = self.as_nobody("doctor", "r")
        self.assertEqual(result.status, 1)
        self.assertIn("problem  not readable (owner root)", result.out)
        self.gone()

    def as_nobody(self, *args):
        nobody = {"user": 65534, "group": 65534, "extra_groups": []}
        program = os.path.join(self.scratch, "vshmctl")
        shutil.copy(ctl.CTL, program)
        result = self.ctl(*args, program=program, env={"LD_LIBRARY_PATH": os.path.join(ctl.BIN, "../lib")}, **nobody)
        if result.status == 127:
            self.skipTest("nobody may not read the libraries")
        return result

    def findings_of_nobody(self, name):
        result = self.as_nobody("doctor", name, "--json")
        self.assertEqual((result.status, result.err), (0, ""), result)
        (thing,) = json.loads(result.out)["found"]
        return {finding["topic"]: finding for finding in thing["findings"]}


class Watch(ctl.Case):
    def wait_for(self, child, start, *words):
        """The next line that begins so and has these words; other programs have regions, too."""
        while True:
            line = child.stdout.readline().decode()
            self.assertTrue(line, "the watch has ended")
            if line.startswith(start) and all(word in line for word in words):
                return line

    def test_watch(self):
        self.region("a")
        child = self.start("list", "--watch")
        self.wait_for(child, "  region   a ", self.path("a"))
        self.region("b")
        self.wait_for(child, "+ region   b ", self.path("b"))
        self.ok("create", "b", "--path", self.path("b"), "--force", "--size", "16M")
        while "16 MiB" not in self.wait_for(child, "~ region   b ", self.path("b")):
            pass
        self.ok("destroy", "a")
        self.wait_for(child, "- region   a ", self.path("a"))
        child.send_signal(signal.SIGINT)
        result = self.end(child)
        self.assertEqual((result.status, result.err), (-signal.SIGINT, ""))
        self.gone("b")

    def test_watch_for_programs(self):
        child = self.start("list", "--watch", "--json")
        self.region("a")
        while True:
            change = json.loads(child.stdout.readline())
            if change["name"] == "a":
                break
        self.assertIn((change["change"], change["kind"]), (("added", "region"), ("present", "region")))
        child.terminate()
        self.assertEqual(self.end(child).status, -signal.SIGTERM)
        self.gone("a")


PLAIN, DOORBELL, ACRN, HYPERVISOR, SECOND, BOUND, OTHER, ZERO = (f"0000:00:{slot:02x}.0" for slot in range(2, 10))
MIB = 1 << 20


@unittest.skipUnless(shutil.which("umockdev-run"), "umockdev-run is not installed: pkg/install-deps.sh --test")
@unittest.skipIf(os.environ.get("VSHM_SANITIZE") == "thread", "ThreadSanitizer does not go together with umockdev")
class Devices(ctl.Case):
    def pretend(self, *tree):
        path = self.write("tree.umockdev", "".join(tree))
        self.prefix = ["-d", path, "--", ctl.CTL]

    def in_tree(self, *args):
        return self.ctl(*self.prefix, *args, program="umockdev-run")

    def listed(self):
        result = self.in_tree("list", "--json")
        self.assertEqual((result.status, result.err), (0, ""), result)
        return {device["place"]: device for device in json.loads(result.out)["devices"]}

    def findings(self, place, status):
        result = self.in_tree("doctor", place, "--json")
        self.assertEqual(result.status, status, result)
        (thing,) = json.loads(result.out)["found"]
        return {finding["topic"]: finding for finding in thing["findings"]}

    def test_all_kinds(self):
        self.region("tiny", "--size", "256K", "--peers", "1")
        with open(self.path("tiny"), "rb") as file:
            memory = file.read()
        self.gone("tiny")
        self.pretend(devices.group(7, DOORBELL), devices.pci(PLAIN, size=len(memory), memory=memory),
                     devices.pci(DOORBELL, vectors=4, driver="vfio-pci", group=7),
                     devices.pci(ACRN, vectors=8, subsystem=(0x8086, 3)),
                     devices.pci(HYPERVISOR, subsystem=(0, 0)),
                     devices.pci(SECOND, 0x110a, 0x4106, klass=0xff4001, vectors=2),
                     devices.pci(BOUND, driver="uio_ivshmem"),
                     devices.uio(0, "uio_ivshmem", (("registers", 4096), ("shmem", MIB)), parent=BOUND),
                     devices.pci(OTHER, device=0x1000),
                     devices.uio(1, "vshm0", (("regs", 4096), ("ram", 16 * MIB))),
                     devices.uio(2, "camera", (("io", 4096),), parent=OTHER),
                     devices.dax("dax0.0", 128 * MIB))
        seen = self.listed()
        self.assertEqual(set(seen), {PLAIN, DOORBELL, ACRN, HYPERVISOR, SECOND, BOUND, "uio1", "dax0.0"})
        self.assertEqual([seen[PLAIN][key] for key in ("name", "error", "size", "peer_count", "way", "uri")],
                         ["tiny", None, len(memory), 1, "sysfs", "ivshmem:" + PLAIN])
        self.assertEqual([seen[DOORBELL][key] for key in ("model", "vectors", "iommu_group", "way", "node", "driver")],
                         ["ivshmem-doorbell, 4 vectors", 4, 7, "sysfs (vfio-pci)", "/dev/vfio/7", "vfio-pci"])  # there is no such node
        self.assertEqual([seen[ACRN][key] for key in ("model", "vectors", "subsystem")], ["ACRN ivshmem, region 3", 8, "8086:0003"])
        self.assertEqual([seen[HYPERVISOR][key] for key in ("model", "vectors")], ["ivshmem-plain", 0])
        self.assertEqual([seen[SECOND][key] for key in ("kind", "uri", "protocol", "vectors", "model")],
                         ["ivshmem2", None, 0x4001, 2, "ivshmem version 2, protocol 0x4001"])
        self.assertEqual([seen[BOUND][key] for key in ("way", "node")], ["uio (uio_ivshmem)", "/dev/uio0"])
        self.assertEqual([seen["uio1"][key] for key in ("kind", "uri", "size", "node", "driver")],
                         ["uio", None, 16 * MIB, "/dev/uio1", "uio_pdrv_genirq"])
        self.assertEqual([seen["dax0.0"][key] for key in ("kind", "uri", "size", "node")], ["dax", None, 128 * MIB, "/dev/dax0.0"])
        text = self.in_tree("list").out
        self.assertTrue(ctl.harmless(text), text)
        self.assertRegex(text, rf"\ntiny +ivshmem:{PLAIN} +256 KiB +0/1 +flat +sysfs +ivshmem-plain\n")

    def test_names_of_uio_maps(self):
        names = (("ivshmem-mmr", "ivshmem-shmem"), ("registers", "shmem"))
        for own in names:
            self.pretend(devices.pci(BOUND, driver="uio_ivshmem"),
                         devices.uio(0, "uio_ivshmem", tuple((name, MIB) for name in own), parent=BOUND))
            self.assertEqual(self.listed()[BOUND]["way"], "uio (uio_ivshmem)")

    def test_doors_of_vfio(self):
        """Where the kernel has no node for the group, the device's own."""
        self.pretend(devices.group(9, BOUND), devices.pci(BOUND, vectors=1, driver="vfio-pci", group=9), devices.vfio(4, BOUND))
        self.assertEqual(self.listed()[BOUND]["node"], "/dev/vfio/devices/vfio4")
        self.assertIn("there is no /dev/iommu", self.in_tree("doctor", BOUND).out)

    def test_what_doctor_says(self):
        self.pretend(devices.group(3, ACRN), devices.group(9, BOUND, OTHER), devices.pci(OTHER, device=0x1000, driver="virtio-pci"),
                     devices.pci(ZERO, memory=bytes(MIB)), devices.pci(PLAIN, size=0), devices.pci(DOORBELL, memory=None), devices.pci(ACRN, vectors=1, group=3),
                     devices.pci(HYPERVISOR, vectors=2, command=0), devices.pci(SECOND, 0x110a, 0x4106, klass=0xff0000),
                     devices.pci(BOUND, vectors=1, driver="vfio-pci", group=9))
        self.assertIn("no BAR 2", self.findings(PLAIN, 1)["memory"]["text"])
        self.assertIn("got no address", self.findings(DOORBELL, 1)["memory"]["text"])
        finding = self.findings(ACRN, 1)["driver"]
        self.assertEqual(finding["command"], f"modprobe vfio-pci && vshmctl bind {ACRN}")
        findings = self.findings(HYPERVISOR, 1)
        self.assertIn("IOMMU", findings["iommu"]["text"])
        self.assertIn("switched on when it is opened", findings["memory"]["text"])
        self.assertEqual(self.findings(ZERO, 1)["format"]["command"], f"vshmctl create net0 --uri ivshmem:{ZERO} --size 1M")
        self.assertEqual(self.findings(SECOND, 0)["support"]["level"], "hint")
        text = self.in_tree("doctor", BOUND).out
        self.assertIn("there is no /dev/vfio/9", text)
        self.assertIn("reach no program until VFIO can be used", text)
        self.assertIn(f"{OTHER}, with the driver virtio-pci, is in the same IOMMU group 9", self.findings(BOUND, 1)["group"]["text"])
        result = self.in_tree("doctor")
        self.assertEqual(result.status, 1)
        self.assertTrue(ctl.harmless(result.out), result)

    def test_unplugged_meanwhile(self):
        """What libpci takes for an error that ends a program."""
        whole = devices.pci(PLAIN)
        self.pretend("".join(line for line in whole.splitlines(True) if not line.startswith("A: resource=")), devices.pci(ACRN))
        seen = self.listed()
        self.assertEqual([seen[place]["kind"] for place in (PLAIN, ACRN)], ["ivshmem", "ivshmem"])
        self.assertIn("no BAR 2", self.findings(PLAIN, 1)["memory"]["text"])

    def test_nothing_there(self):
        self.pretend(devices.pci(OTHER, device=0x1000))
        self.assertEqual(self.listed(), {})
        result = self.in_tree("bind", OTHER)
        self.assertEqual(result.status, 1)
        self.assertIn("no ivshmem device", result.err)


if __name__ == "__main__":
    ctl.main()
