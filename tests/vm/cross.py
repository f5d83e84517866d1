# SPDX-License-Identifier: BSD-3-Clause
"""Our programs for the guests' architecture: the host's own, or built by the preset for the other one.

What they need there comes from Debian's packages, unpacked in the cache.
"""
import hashlib
import os
import shutil
import subprocess
import tempfile

import kernel

SOURCE = os.environ.get("VSHM_SOURCE_DIR") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PRESET = {"aarch64": "cross-aarch64"}
TARGETS = ("vshmctl", "vm-trips", "vm-crowd", "vm-mark", "vm-echo", "vm-scribble", "example-producer", "example-consumer")
PACKAGES = ("libjson-c5", "libjson-c-dev", "libinih1", "libinih-dev", "libudev1", "libudev-dev", "libpci3", "libpci-dev", "zlib1g")


def programs(arch, native):
    """The folder with the programs, and the folders below which their libraries are found (none: where they are now)."""
    if arch == os.uname().machine:
        return native, ()
    triplet = arch + "-linux-gnu"
    if not shutil.which(triplet + "-gcc"):
        raise kernel.NotPossible(f"{triplet}-gcc is not installed: pkg/install-deps.sh --test")
    root = sysroot(arch)
    build = os.path.join(os.environ.get("VSHM_BINARY_DIR") or os.path.join(SOURCE, "build/dev"), "vm-" + arch)
    libraries = f"{root}/usr/lib/{triplet}"
    env = dict(os.environ, PKG_CONFIG_LIBDIR=libraries + "/pkgconfig", PKG_CONFIG_SYSROOT_DIR=root)
    env.pop("CC", None)
    flags = f"-L{libraries} -Wl,-rpath-link,{libraries} -Wl,-rpath-link,{root}/lib/{triplet}"
    for words in (["--preset", PRESET[arch], "-B", build, "-DVSHM_BUILD_CLI=ON", "-DVSHM_BUILD_DISCOVER=ON",
                   "-DVSHM_BUILD_GUEST_PROGRAMS=ON", f"-DCMAKE_EXE_LINKER_FLAGS={flags}", f"-DCMAKE_SHARED_LINKER_FLAGS={flags}"],
                  ["--build", build, "--target", *TARGETS]):
        done = subprocess.run(["cmake", *words], cwd=SOURCE, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if done.returncode:
            raise RuntimeError(f"cmake {' '.join(words)}\n{done.stdout.decode('utf-8', 'replace')[-3000:]}")
    return build + "/bin", (build + "/lib", root, "/usr/" + triplet)


def sysroot(arch):
    """One tree with all that is needed to build vshmctl, from the unpacked packages; another one for each list of them."""
    name = hashlib.sha256(" ".join(PACKAGES).encode()).hexdigest()[:8]
    root = os.path.join(kernel.cache_directory(), f"sysroot-{name}_{kernel.DEBIAN[arch]}")
    if os.path.isdir(root):
        return root
    new = tempfile.mkdtemp(dir=kernel.cache_directory())
    for package in PACKAGES:
        shutil.copytree(kernel.fetch(package, arch), new, symlinks=True, dirs_exist_ok=True)
    try:
        os.rename(new, root)
    except OSError:  # another test was faster
        shutil.rmtree(new)
    return root
