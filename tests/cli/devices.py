# SPDX-License-Identifier: BSD-3-Clause
"""Trees of devices that are not there, in the language of umockdev-run."""
import struct

MSIX_AT, TABLE_SIZE = 0x40, 0x7ff


def config(vendor, device, command, subsystem, vectors, klass=0x050000):
    """256 bytes of configuration (PCI Local Bus Specification 3.0, chapter 6), with an MSI-X capability if there are vectors."""
    header = struct.pack("<HHHHBBBB", vendor, device, command, 0x10 if vectors else 0, 1, klass & 0xff, klass >> 8 & 0xff, klass >> 16)
    data = bytearray(256)
    data[:len(header)] = header
    data[0x2c:0x30] = struct.pack("<HH", *subsystem)
    if vectors:
        data[0x34] = MSIX_AT
        data[MSIX_AT:MSIX_AT + 4] = struct.pack("<BBH", 0x11, 0, vectors - 1)
    return bytes(data)


def resources(size, registers=True, msix=False):
    """The attribute "resource": start, end and flags of each BAR."""
    bars = [(0xfea00000, 256, 0x40200) if registers else None, (0xfea01000, 4096, 0x40200) if msix else None,
            (0x800000000, size, 0x14220c) if size else None] + [None] * 10
    return "".join("0x%016x 0x%016x 0x%016x\\n" % ((bar[0], bar[0] + bar[1] - 1, bar[2]) if bar else (0, 0, 0)) for bar in bars)


def pci(address, vendor=0x1af4, device=0x1110, subsystem=(0x1af4, 0x1100), command=2, vectors=0, size=1 << 20, memory=b"", driver=None,
        group=None, klass=0x050000):
    """`memory`: what the BAR holds; None: the BAR got no address, and there is no file of it."""
    lines = [f"P: /devices/pci0000:00/{address}", "E: SUBSYSTEM=pci"]
    lines += [f"E: DRIVER={driver}", f"L: driver=../../../bus/pci/drivers/{driver}"] if driver else []
    lines += [f"L: iommu_group=../../iommu_groups/{group}"] if group is not None else []
    for name, value in (("vendor", f"0x{vendor:04x}"), ("device", f"0x{device:04x}"), ("class", f"0x{klass:06x}"), ("irq", "0"),
                        ("revision", "0x01"), ("subsystem_vendor", f"0x{subsystem[0]:04x}"), ("subsystem_device", f"0x{subsystem[1]:04x}"),
                        ("enable", "1"), ("resource", resources(size, msix=vectors > 0)[:-2])):
        lines.append(f"A: {name}={value}\\n")
    lines.append("H: config=" + config(vendor, device, command, subsystem, vectors, klass).hex().upper())
    if memory is not None and size:
        lines.append("H: resource2=" + (memory or bytes(4096)).hex().upper())
    return "\n".join(lines) + "\n\n"


def uio(number, name, maps, parent=None):
    """A UIO device with maps (name, size), of a PCI device or of a platform device."""
    path = f"/devices/pci0000:00/{parent}" if parent else f"/devices/platform/{name}"
    lines = [] if parent else [f"P: {path}", "E: SUBSYSTEM=platform", "E: DRIVER=uio_pdrv_genirq",
                               "L: driver=../../../bus/platform/drivers/uio_pdrv_genirq", ""]
    lines += [f"P: {path}/uio/uio{number}", f"N: uio{number}", f"E: DEVNAME=/dev/uio{number}", "E: SUBSYSTEM=uio", f"A: name={name}\\n"]
    for index, (label, size) in enumerate(maps):
        lines += [f"A: maps/map{index}/name={label}\\n", f"A: maps/map{index}/size=0x{size:016x}\\n"]
    return "\n".join(lines) + "\n\n"


def dax(name, size):
    return f"P: /devices/platform/ndbus0/region0/dax0.0/{name}\nN: {name}\nE: DEVNAME=/dev/{name}\nE: SUBSYSTEM=dax\nA: size={size}\\n\n\n"


def group(number, *members):
    """An IOMMU group; umockdev has devices below /devices only."""
    lines = [f"P: /devices/iommu_groups/{number}", "E: SUBSYSTEM=iommu"]
    lines += [f"L: devices/{member}=../../../pci0000:00/{member}" for member in members]
    return "\n".join(lines) + "\n\n"


def vfio(number, parent):
    """The node that VFIO gives a device since Linux 6.6."""
    name = f"vfio{number}"
    return (f"P: /devices/pci0000:00/{parent}/vfio-dev/{name}\nN: vfio/devices/{name}\nE: DEVNAME=/dev/vfio/devices/{name}\n"
            "E: SUBSYSTEM=vfio-dev\n\n")
