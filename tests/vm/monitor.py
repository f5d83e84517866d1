# SPDX-License-Identifier: BSD-3-Clause
"""QEMU's machine protocol: to plug devices in and out of a running guest."""
import json
import socket

# The kernel sizes a port's window before anything is plugged in: on arm64 no firmware does it.
KERNEL_ARGS = "pci=hpmmioprefsize=64M"
SECONDS = 60


def devices(path, slot):
    """Arguments of QEMU: the socket of the protocol, and a port named `slot`."""
    return ["-qmp", f"unix:{path},server=on,wait=off", "-device", f"pcie-root-port,id={slot},chassis=7,slot=7,pref64-reserve=64M"]


class Monitor:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(SECONDS)
        self.socket.connect(path)
        self.lines = self.socket.makefile("r")
        self.lines.readline()  # its greeting
        self.ask("qmp_capabilities")

    def ask(self, command, **arguments):
        self.socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        while True:
            answer = json.loads(self.lines.readline())
            if "error" in answer:
                raise AssertionError(f"{command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]

    def close(self):
        self.lines.close()
        self.socket.close()
