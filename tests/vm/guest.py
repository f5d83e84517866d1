# SPDX-License-Identifier: BSD-3-Clause
"""A guest under an emulating QEMU: boots, performs commands, side by side if need be, and ends with whoever started it."""
import base64
import ctypes
import os
import re
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
START_SECONDS = 20
BOOT_SECONDS = 90
# As many lines of the console stand in a failure: enough for a whole panic.
LAST_LINES = 60
# A guest that works answers at once.
SO_FAR_SECONDS = 5
# What firmware and kernel do to a terminal: ESC c, ESC [ 2 J.
CONTROL = re.compile(r"\x1b(\[[0-9;?=]*[A-Za-z]|.)?|[\x00-\x08\x0b-\x1f\x7f]")

# no_timer_check: the kernel panics when a loaded machine lets too few ticks through while it tests its timer.
MACHINE = {
    "x86_64": ["-M", "q35{machine}", "-append", "console=ttyS0 quiet no_timer_check panic=-1 {more}"],
    "aarch64": ["-M", "virt,gic-version=3{machine}", "-cpu", "cortex-a57", "-append", "console=ttyAMA0 quiet panic=-1 {more}"],
}
# What a guest needs for VFIO: an IOMMU that remaps interrupts.
IOMMU = {
    "x86_64": (["-global", "intel-iommu.intremap=on", "-device", "intel-iommu"], "intel_iommu=on", ",kernel-irqchip=split"),
    "aarch64": ([], "", ",iommu=smmuv3"),
}
LOGS = ("qemu", "console")
MODULES = ["virtio_pci", "virtio_console"]
VFIO_MODULES = ["vfio_pci", "vfio_iommu_type1"]


class Failed(Exception):
    """The guest did not do what it was told; its last lines tell."""


class Running:
    """A command in a guest: `status` and `output` once it has ended."""

    def __init__(self, guest, script, number=0):
        self.guest, self.script, self.number = guest, script, number
        self.ended = threading.Event()
        self.status, self.output = None, ""

    def wait(self, seconds=60):
        if not self.ended.wait(seconds):
            raise Failed(f"{self.script!r} does not end within {seconds} s\n{self.so_far()}{self.guest.last_lines()}")
        if self.status is None:
            raise Failed(f"the guest ended during {self.script!r}\n{self.guest.last_lines()}")
        return self

    def so_far(self):
        """What it printed, though it does not end."""
        if not self.number:
            return ""
        try:
            asked = self.guest.begin(f"cat /tmp/{self.number}.out")
        except Failed:
            return ""
        asked.ended.wait(SO_FAR_SECONDS)
        return f"it printed:\n{asked.output.rstrip()}\nthe console:\n" if asked.output else "it printed nothing; the console:\n"

    def ok(self, seconds=60):
        """Its output; a status other than 0 is a failure."""
        self.wait(seconds)
        if self.status:
            raise Failed(f"{self.script!r}: status {self.status}\n{self.output}")
        return self.output


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Guest:
    """`devices`: arguments of QEMU. `programs`: {place: file}, with their libraries. `files`: {place: bytes}.

    `modules`: names, in addition to what the harness and `vfio` need. `kernel_args`: words of the kernel's command line.
    `keep`: a folder where console and QEMU's messages stay. `first`: a command to begin with.
    `wait=False`: boots meanwhile; up() waits for it.
    """

    def __init__(self, arch="x86_64", devices=(), programs=None, files=None, vfio=False, memory=256, roots=(), shell=False,
                 modules=(), kernel_args="", keep=None, first="", wait=True):
        self.arch, self.shell, self.keep, self.first = arch, shell, keep, first
        self.work = tempfile.mkdtemp(prefix="vshm-vm-")
        self.process = self.port = self.boot = None
        self.running, self.number = {}, 0
        self.lock = threading.Lock()
        try:
            boot = kernel.Kernel(arch)
            modules = MODULES + (VFIO_MODULES if vfio else []) + list(modules)
            ramdisk = self.build(boot, programs or {}, files or {}, modules, roots)
            self.start(boot, list(devices), ramdisk, vfio, memory, kernel_args)
            if wait and not shell:
                self.up()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    # ---- beginning and end ----

    def start(self, boot, devices, ramdisk, vfio, memory, kernel_args):
        iommu, iommu_args, machine = IOMMU[self.arch] if vfio else ([], "", "")
        more = " ".join([iommu_args, kernel_args, "vshm.shell" if self.shell else ""])
        words = [word.format(machine=machine, more=more) for word in MACHINE[self.arch]]
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
        self.connect(listener)

    def build(self, boot, programs, files, modules, roots):
        """Writes the initramfs: its path."""
        image = initramfs.Initramfs()
        image.add_file(boot.busybox, "bin/busybox", initramfs.PROGRAM)
        image.add_file(os.path.join(HERE, "init"), "init", initramfs.PROGRAM)
        in_order = initramfs.Modules(boot.root).in_order(modules)
        for name, path in in_order:
            image.add_file(path, f"m/{name}.ko")
        image.add("modules", "".join(name + "\n" for name, _ in in_order).encode())
        for place, source in programs.items():
            image.add_program(source, place, roots)
        for place, data in files.items():
            image.add(place, data)
        ramdisk = os.path.join(self.work, "initramfs")
        with open(ramdisk, "wb") as file:
            file.write(image.pack())
        return ramdisk

    def connect(self, listener):
        """QEMU connects at once, the guest says that it is there a while later."""
        give_up = time.monotonic() + START_SECONDS
        listener.settimeout(0.1)
        with listener:
            while not self.port:
                try:
                    self.port, _ = listener.accept()
                except socket.timeout:
                    if self.process.poll() is not None or time.monotonic() > give_up:
                        raise Failed(f"QEMU does not start\n{self.last_lines()}") from None
        self.boot = self.running[0] = Running(self, "boot")
        threading.Thread(target=self.listen, daemon=True).start()

    def up(self):
        """Waits until it performs commands, and has performed the first."""
        self.boot.wait(BOOT_SECONDS)
        if self.first:
            self.run(self.first)

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
        if self.keep:
            os.makedirs(self.keep, exist_ok=True)
            for name in LOGS:
                if os.path.exists(os.path.join(self.work, name)):
                    shutil.copy(os.path.join(self.work, name), self.keep)
        shutil.rmtree(self.work, ignore_errors=True)

    def last_lines(self):
        text = ""
        for name in LOGS:
            try:
                with open(os.path.join(self.work, name), encoding="utf-8", errors="replace") as file:
                    text += "".join(file.readlines()[-LAST_LINES:])
            except FileNotFoundError:
                pass
        return CONTROL.sub("", text)

    # ---- commands ----

    def begin(self, script):
        """Starts a command of the guest's shell, and goes on."""
        with self.lock:
            self.number += 1
            running = self.running[self.number] = Running(self, script, self.number)
            line = b"%d %s\n" % (self.number, base64.b64encode(script.encode()))
        try:
            self.port.sendall(line)
        except OSError:
            raise Failed(f"the guest is gone before {script!r}\n{self.last_lines()}") from None
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
