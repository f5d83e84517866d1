# SPDX-License-Identifier: BSD-3-Clause
"""qemu-args and libvirt-xml: a region as the devices of a virtual machine."""
import shlex
import xml.etree.ElementTree

import ctl


class Machine(ctl.Case):
    def create(self, name, *options):
        path = self.path(name)
        self.ok("create", name, "--path", path, *options)
        self.addCleanup(self.ctl, "destroy", name)
        return path

    def args(self, *arguments):
        return shlex.split(self.ok("qemu-args", *arguments).out)

    def xml(self, *arguments):
        return xml.etree.ElementTree.fromstring(
            "<domain xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>" + self.ok("libvirt-xml", *arguments).out +
            "</domain>")

    def test_one_file(self):
        path = self.create("one", "--size", "4M")
        wanted = ["-object", f"memory-backend-file,id=vshm-one,mem-path={path},size=4194304,share=on",
                  "-device", "ivshmem-plain,memdev=vshm-one"]
        self.assertEqual(self.args("one"), wanted)
        self.assertEqual(self.args("vshm:one"), wanted)
        self.assertEqual(self.args(path), wanted)
        self.assertIn(f"mem-path={path},size=4194304,share=on", self.ok("libvirt-xml", path).out)

    def test_doorbells(self):
        self.create("bells", "--size", "4M")
        self.assertEqual(self.args("bells", "--socket", "/run/a b,c'd.sock", "--vectors", "3"),
                         ["-chardev", "socket,id=vshm-bells-bell,path=/run/a b,,c'd.sock",
                          "-device", "ivshmem-doorbell,chardev=vshm-bells-bell,vectors=3"])
        shmem = self.xml("bells", "--socket", "/run/a<&'b.sock").find("shmem")
        self.assertEqual((shmem.get("name"), shmem.find("server").get("path"), shmem.find("msi").get("vectors")),
                         ("bells", "/run/a<&'b.sock", "1"))
        self.assertIsNone(shmem.find("size"))

    def test_split(self):
        path = self.create("parts", "--size", "12M", "--peers", "3", "--profile", "split")
        args = self.args("parts", "--peer", "1")
        self.assertEqual([word.split("mem-path=")[1] for word in args if "mem-path=" in word],
                         [f"{path}/peer-1,size=4194304,share=on", f"{path}/peer-2,size=4194304,share=on,readonly=on",
                          f"{path}/peer-0,size=4194304,share=on,readonly=on"])
        self.assertEqual(len(self.args("parts", "--peer", "1", "--socket", "/run/s")), 16)
        values = [arg.get("value") for arg in self.xml("parts", "--peer", "2").iter() if arg.get("value")]
        self.assertEqual(values, self.args("parts", "--peer", "2"))
        self.places("parts", "--peer", "2", "--socket", "/run/s")
        self.fails(2, "qemu-args", "parts", says="--peer 0 to 2")
        self.fails(2, "qemu-args", "parts", "--peer", "3", says="--peer 0 to 2")

    def places(self, *arguments):
        """Two elements: before each stands where it goes."""
        lines = self.ok("libvirt-xml", *arguments).out.splitlines()
        shmem = next(number for number, line in enumerate(lines) if line.startswith("<shmem"))
        command = lines.index("<qemu:commandline>")
        self.assertIn("<!-- into <devices>", lines[shmem - 1])
        self.assertRegex(lines[command - 1], "^<!-- into <domain>, which needs xmlns:qemu=.* -->$")
        self.xml(*arguments)  # it is still XML

    def test_what_virsh_attaches(self):
        """One element, and nothing before it."""
        self.create("one", "--size", "4M")
        text = self.ok("libvirt-xml", "one", "--socket", "/run/s").out
        self.assertEqual(xml.etree.ElementTree.fromstring(text).tag, "shmem")
        self.assertTrue(text.startswith("<shmem "), text)

    def test_what_cannot_be(self):
        self.create("odd", "--size", "3M")
        self.fails(1, "qemu-args", "odd", says=["3 MiB", "power of two", "a size of 4 MiB"])
        self.fails(1, "libvirt-xml", "odd", says="power of two")
        self.fails(1, "qemu-args", "nobody", says="nobody")
        self.fails(2, "qemu-args", "odd", "--vectors", "0", says="1 to 64")
        self.fails(2, "qemu-args", "odd", "--vectors", "65", says="1 to 64")
        self.fails(2, "libvirt-xml", says="missing")


if __name__ == "__main__":
    ctl.main()
