#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Installs what the build needs (with --test what the tests need, with --bench what it is compared with, with --vm what boots
# guests) and is not there yet, with apt.
# Does nothing, and needs neither network nor root, when all is there.
set -euo pipefail

# scdoc: without it no man pages are made and installed.
build=(gcc libc6-dev cmake ninja-build pkg-config libjson-c-dev libinih-dev libudev-dev libpci-dev check python3 scdoc)
# make: what CMake falls back to in the install test; llvm: symbolizer of the sanitizers; libck-dev: compared by bench.
test=(g++ make clang libclang-rt-dev llvm binutils gcc-aarch64-linux-gnu libc6-dev-arm64-cross
	libck-dev strace shellcheck procps util-linux patch umockdev)
# g++: boost's queue is C++; patch: takes the checks out of a copy, to see what they cost.
bench=(g++ patch libck-dev libdpdk-dev libboost-dev libucx-dev libzmq3-dev libnng-dev)
# Guests: their kernel is downloaded when they are booted first, and not installed.
vm=(qemu-system-x86 qemu-system-arm binutils)

usage() {
	cat <<-'EOF'
	usage: install-deps.sh [--test] [--bench] [--vm] [--list]
	  --test   what the tests need, too
	  --bench  the peers that the benchmark compares with, too
	  --vm     what boots guests for the tests, too
	  --list   only name what is missing
	EOF
}

wanted=("${build[@]}")
list_only=no
for argument in "$@"; do
	case $argument in
	--test) wanted+=("${test[@]}") ;;
	--bench) wanted+=("${bench[@]}") ;;
	--vm) wanted+=("${vm[@]}") ;;
	--list) list_only=yes ;;
	--help) usage; exit 0 ;;
	*) usage >&2; exit 2 ;;
	esac
done

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
	echo "install-deps: this is no Debian-like system; make sure that these are there: ${wanted[*]}" >&2
	exit 0
fi

# dpkg-query complains of packages that it never heard of, and lists the others.
installed=" $(dpkg-query -W -f '${db:Status-Status}=${Package} ' "${wanted[@]}" 2>/dev/null || true) "
missing=()
for package in "${wanted[@]}"; do
	[[ $installed == *" installed=$package "* ]] || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
	exit 0
fi
if [ $list_only = yes ]; then
	printf '%s\n' "${missing[@]}"
	exit 0
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
	if ! command -v sudo >/dev/null; then
		echo "install-deps: not root and no sudo; as root, run: apt-get install ${missing[*]}" >&2
		exit 1
	fi
	as_root=(sudo)
fi

apt() {
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 "$@"
}

install() {
	apt install -y --no-install-recommends "${missing[@]}" </dev/null
}

echo "install-deps: with ${as_root[*]:+${as_root[*]} }apt-get: ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# Without package lists, or with old ones, the first try fails: get new ones, try again.
if ! { install >"$log" 2>&1 || { apt update && install; } >"$log" 2>&1; }; then
	cat "$log" >&2
	echo "install-deps: apt-get failed (see above); missing: ${missing[*]}" >&2
	exit 1
fi
