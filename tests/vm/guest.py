# SPDX-License-Identifier: BSD-3-Clause
"""A guest under an emulating QEMU: boots, performs commands, side by side if need be, and ends with whoever started it."""
import base64
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

import initramfs
import kernel

HERE = os.path.dirname(os.path.abspath(__file__))

# Emulation on a loaded machine is slow; what hangs is hung long before.
BOOT_SECONDS = 90

MACHINE = {
    "x86_64": ["-M", "q35", "-append", "console=ttyS0 quiet panic=-1 {more}"],
    "aarch64": ["-M", "virt,gic-version=3{machine}", "-cpu", "cortex-a57", "-append", "console=ttyAMA0 quiet panic=-1 {more}"],
}
# What a guest needs for VFIO: an IOMMU that remaps interrupts.
IOMMU = {
    "x86_64": (["-device", "intel-iommu"], "intel_iommu=on", ""),
    "aarch64": ([], "", ",iommu=smmuv3"),
}
MODULES = ["virtio_pci", "virtio_console"]
VFIO_MODULES = ["vfio_pci", "vfio_iommu_type1"]


class Failed(Exception):
    """The guest did not do what it was told; its last lines tell."""


class Running:
    """A command in a guest: `status` and `output` once it has ended."""

    def __init__(self, guest, script):
        self.guest, self.script = guest, script
        self.ended = threading.Event()
        self.status, self.output = None, ""

    def wait(self, seconds=60):
        if not self.ended.wait(seconds):
            raise Failed(f"{self.script!r} does not end within {seconds} s\n{self.guest.last_lines()}")
        if self.status is None:
            raise Failed(f"the guest ended during {self.script!r}\n{self.guest.last_lines()}")
        return self

    def ok(self, seconds=60):
        """Its output; a status other than 0 is a failure."""
        self.wait(seconds)
        if self.status:
            raise Failed(f"{self.script!r}: status {self.status}\n{self.output}")
        return self.output


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Guest:
    """`devices`: arguments of QEMU. `programs`: {place: file}, with their libraries. `files`: {place: bytes}."""

    def __init__(self, arch="x86_64", devices=(), programs=None, files=None, vfio=False, memory=256, roots=(), shell=False):
        self.arch, self.shell = arch, shell
        self.work = tempfile.mkdtemp(prefix="vshm-vm-")
        self.process = self.port = None
        self.running, self.number = {}, 0
        self.lock = threading.Lock()
        try:
            self.start(kernel.Kernel(arch), list(devices), programs or {}, files or {}, vfio, memory, roots)
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    # ---- beginning and end ----

    def start(self, boot, devices, programs, files, vfio, memory, roots):
        ramdisk = os.path.join(self.work, "initramfs")
        with open(ramdisk, "wb") as file:
            file.write(self.build(boot, programs, files, vfio, roots))
        iommu, kernel_words, machine = IOMMU[self.arch] if vfio else ([], "", "")
        words = [word.format(machine=machine, more=kernel_words + (" vshm.shell" if self.shell else ""))
                 for word in MACHINE[self.arch]]
        args = [f"qemu-system-{self.arch}", *words, "-accel", "tcg", "-m", str(memory), "-kernel", boot.image, "-initrd", ramdisk,
                "-nodefaults", "-no-reboot", "-nographic", *iommu, *devices]
        if self.shell:
            self.process = subprocess.Popen([*args, "-serial", "mon:stdio"])
            return
        path = os.path.join(self.work, "commands")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen(1)
        log = os.path.join(self.work, "console")
        args += ["-serial", f"file:{log}", "-device", "virtio-serial-pci", "-chardev", f"socket,id=commands,path={path}",
                 "-device", "virtserialport,chardev=commands,name=vshm.commands"]
        with open(os.path.join(self.work, "qemu"), "wb") as errors:
            self.process = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors,
                                            preexec_fn=die_with_parent)
        self.begun = self.expect(listener)

    def build(self, boot, programs, files, vfio, roots):
        image = initramfs.Initramfs()
        image.add_file(boot.busybox, "bin/busybox", initramfs.PROGRAM)
        image.add_file(os.path.join(HERE, "init"), "init", initramfs.PROGRAM)
        modules = initramfs.Modules(boot.root).in_order(MODULES + (VFIO_MODULES if vfio else []))
        for name, path in modules:
            image.add_file(path, f"m/{name}.ko")
        image.add("modules", "".join(name + "\n" for name, _ in modules).encode())
        for place, source in programs.items():
            image.add_program(source, place, roots)
        for place, data in files.items():
            image.add(place, data)
        return image.pack()

    def expect(self, listener):
        """QEMU connects at once, the guest says that it is there a while later."""
        listener.settimeout(20)
        try:
            self.port, _ = listener.accept()
        except socket.timeout:
            raise Failed(f"QEMU does not start\n{self.last_lines()}") from None
        finally:
            listener.close()
        begun = Running(self, "boot")
        self.running[0] = begun
        threading.Thread(target=self.listen, daemon=True).start()
        begun.wait(BOOT_SECONDS)
        return begun

    def listen(self):
        """Answers, until QEMU is gone."""
        try:
            with self.port.makefile("rb") as lines:
                for line in lines:
                    words = line.split()
                    with self.lock:
                        ended = self.running.pop(int(words[0]), None)
                    if ended:
                        ended.status = int(words[1])
                        ended.output = base64.b64decode(words[2]).decode("utf-8", "replace") if len(words) > 2 else ""
                        ended.ended.set()
        except OSError:
            pass
        with self.lock:
            for lost in self.running.values():
                lost.ended.set()

    def kill(self):
        """As when somebody pulls the plug."""
        self.process.kill()
        self.process.wait()

    def close(self):
        if self.process and self.process.poll() is None:
            self.kill()
        if self.port:
            self.port.close()
        shutil.rmtree(self.work, ignore_errors=True)

    def last_lines(self):
        text = ""
        for name in ("qemu", "console"):
            try:
                with open(os.path.join(self.work, name), encoding="utf-8", errors="replace") as file:
                    text += "".join(file.readlines()[-15:])
            except FileNotFoundError:
                pass
        return text

    # ---- commands ----

    def begin(self, script):
        """Starts a command of the guest's shell, and goes on."""
        running = Running(self, script)
        with self.lock:
            self.number += 1
            self.running[self.number] = running
            line = b"%d %s\n" % (self.number, base64.b64encode(script.encode()))
        self.port.sendall(line)
        return running

    def run(self, script, seconds=60):
        """Performs a command to its end: its output. A status other than 0 is a failure."""
        return self.begin(script).ok(seconds)

    def eventually(self, script, seconds=30):
        """Repeats a command until it succeeds."""
        give_up = time.monotonic() + seconds
        while True:
            running = self.begin(script).wait(seconds)
            if not running.status:
                return running.output
            if time.monotonic() > give_up:
                raise Failed(f"{script!r} does not succeed: status {running.status}\n{running.output}")
