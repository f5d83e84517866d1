#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Installs into a temporary prefix and uses the result as an outside C and C++ program does: through pkg-config,
# and through find_package; also after the tree was moved.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=${VSHM_BINARY_DIR:?set by ctest}
unset LD_LIBRARY_PATH PKG_CONFIG_PATH CFLAGS CXXFLAGS LDFLAGS DESTDIR

for tool in g++ pkg-config cmake ninja; do
	if ! command -v $tool >/dev/null; then
		echo "install: $tool is missing"
		exit 77
	fi
done

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
passed=0
fail() {
	echo "install: FAILED: $*"
	echo "checks: $passed passed, 1 failed"
	exit 1
}
ok() {
	echo "install: $*"
	passed=$((passed + 1))
}

cmake --install "$build" --prefix "$scratch/first" >"$scratch/log" || fail "cmake --install: $(cat "$scratch/log")"
mv "$scratch/first" "$scratch/prefix"
prefix=$scratch/prefix
libdir=$(dirname "$(find "$prefix" -name 'libvshm.so')")
ok "installed, moved"

for file in bin/vshmctl lib/udev/rules.d/60-vshm.rules include/vshm/vshm.h include/vshm/discover.h include/vshm/version.h share/man/man1/vshmctl.1 share/man/man5/vshm_layout.5 \
	share/man/man7/vshm.7 share/man/man3/vshm_wait.3 share/man/man3/vshm_ring.3 share/man/man3/vshm_pool.3 share/man/man3/vshm_region_open.3 share/man/man3/vshm_diagnose.3 share/doc/libvshm/LICENSE; do
	if [[ $file == share/man/* ]] && ! command -v scdoc >/dev/null; then
		continue
	fi
	[ -s "$prefix/$file" ] || fail "$file was not installed"
done
grep -q "^ExecStart=$scratch/first/bin/vshmctl serve" "$prefix/lib/systemd/system/vshm-serve.service" || fail "the service has another prefix"
if grep -q '@' <(sed '/^SystemCallFilter/d' "$prefix/lib/systemd/system/vshm-serve.service"); then
	fail "the service is a template"
fi
[ -z "$(find "$prefix" -name '*.in')" ] || fail "a template was installed"
if [ -d "$prefix/share/man/man3" ]; then
	while read -r name; do
		[ -s "$prefix/share/man/man3/$name.3" ] || fail "$name has no page of section 3"
	done < <(sed -n 's/^\t\(vshm_poll\|vshm_\(region\|producer\|consumer\|pool\)_[a-z_]*\);/\1/p' "$VSHM_SOURCE_DIR/pkg/libvshm.map")
fi
if [ -d "$prefix/share/man/man3" ] && grep -q '^\.so' "$prefix/share/man/man3/vshm_discover.3"; then
	fail "vshm_discover.3 leads to itself"
fi
ok "files are in place"

if command -v systemd-sysusers systemd-tmpfiles >/dev/null; then
	mkdir -p "$scratch/root/etc"
	systemd-sysusers --root="$scratch/root" "$prefix/lib/sysusers.d/vshm.conf" 2>"$scratch/log" || fail "sysusers: $(cat "$scratch/log")"
	grep -q '^vshm:' "$scratch/root/etc/group" || fail "sysusers makes no group vshm"
	systemd-tmpfiles --create --root="$scratch/root" "$prefix/lib/tmpfiles.d/vshm.conf" || fail "tmpfiles"
	[ "$(stat -c %a "$scratch/root/run/vshm")" = 755 ] || fail "tmpfiles makes no /run/vshm"
	ok "a group and a directory are made"
fi

[ "$(readlink "$libdir/libvshm.so")" = libvshm.so.0 ] || fail "libvshm.so does not lead to libvshm.so.0"
readelf -d "$libdir/libvshm.so" | grep -q 'SONAME.*\[libvshm.so.0\]' || fail "the soname is not libvshm.so.0"
# The library itself needs nothing but libc.
needed=$(readelf -d "$libdir/libvshm.so" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' | grep -v '^ld-linux' | sort | tr '\n' ' ')
[ "$needed" = "libc.so.6 " ] || fail "libvshm.so needs $needed"
readelf -d "$libdir/libvshm.so" | grep -q 'BIND_NOW' || fail "libvshm.so is not linked with -z now"
exported=$(nm -D --defined-only "$libdir/libvshm.so" | awk '$2 != "A" {print $3}' | sed 's/@.*//' | sort)
wanted=$(sed -n 's/^\t\(vshm_[a-z_]*\);/\1/p' "$VSHM_SOURCE_DIR/pkg/libvshm.map" | sort)
[ "$exported" = "$wanted" ] || fail "exported symbols differ from the map: $(diff <(echo "$exported") <(echo "$wanted"))"
ok "soname, dependencies and symbols are right"

# libvshm-discover has what libvshm must not link: libpci is GPL.
discover=$libdir/libvshm-discover.so
if [ -e "$discover" ]; then
	readelf -d "$discover" | grep -q 'SONAME.*\[libvshm-discover.so.0\]' || fail "the soname is not libvshm-discover.so.0"
	needed=$(readelf -d "$discover" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' | grep -v '^ld-linux' | sort | tr '\n' ' ')
	[ "$needed" = "libc.so.6 libpci.so.3 libudev.so.1 libvshm.so.0 " ] || fail "libvshm-discover.so needs $needed"
	exported=$(nm -D --defined-only "$discover" | awk '$2 != "A" {print $3}' | sed 's/@.*//' | sort)
	wanted=$(sed -n 's/^\t\(vshm_[a-z_]*\);/\1/p' "$VSHM_SOURCE_DIR/pkg/libvshm-discover.map" | sort)
	[ "$exported" = "$wanted" ] || fail "exported symbols differ from the map: $(diff <(echo "$exported") <(echo "$wanted"))"
	ok "libvshm-discover: soname, dependencies and symbols are right"
fi

"$prefix/bin/vshmctl" --help >/dev/null || fail "the installed vshmctl does not start"
ok "vshmctl starts from the prefix"

export PKG_CONFIG_PATH=$libdir/pkgconfig
read -ra flags <<<"$(pkg-config --cflags --libs libvshm)"
read -ra static <<<"$(pkg-config --cflags --libs --static libvshm)"
strict=(-Wall -Wextra -Wpedantic -Wconversion -Werror)
gcc -std=c11 "${strict[@]}" -o "$scratch/c" "$here/outside/program.c" "${flags[@]}" || fail "C, pkg-config"
g++ -std=c++17 "${strict[@]}" -o "$scratch/cxx" "$here/outside/program.cpp" "${flags[@]}" || fail "C++, pkg-config"
gcc -std=c11 "${strict[@]}" -static -o "$scratch/static" "$here/outside/program.c" "${static[@]}" || fail "C, static"
for program in c cxx static; do
	LD_LIBRARY_PATH=$libdir "$scratch/$program" || fail "$program, built with pkg-config"
	ok "$program built with pkg-config runs"
done

read -ra flags <<<"$(pkg-config --cflags --libs libvshm-discover)"
gcc -std=c11 "${strict[@]}" -o "$scratch/discover" "$here/outside/discover.c" "${flags[@]}" || fail "libvshm-discover, pkg-config"
LD_LIBRARY_PATH=$libdir "$scratch/discover" || fail "a program with libvshm-discover"
ok "a program with libvshm-discover runs"

cmake -G Ninja -S "$here/outside" -B "$scratch/outside" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER=gcc \
	-DCMAKE_CXX_COMPILER=g++ >"$scratch/log" 2>&1 || fail "find_package: $(cat "$scratch/log")"
cmake --build "$scratch/outside" >"$scratch/log" 2>&1 || fail "build: $(cat "$scratch/log")"
for program in c-shared c-static cxx-shared discover-shared; do
	"$scratch/outside/$program" || fail "$program, built with find_package"
	ok "$program built with find_package runs"
done
sed 's/libvshm 0.1 REQUIRED/libvshm 0.2 REQUIRED/' "$here/outside/CMakeLists.txt" >"$scratch/CMakeLists.txt"
if cmake -G Ninja -S "$scratch" -B "$scratch/newer" -DCMAKE_PREFIX_PATH="$prefix" >"$scratch/log" 2>&1; then
	fail "find_package accepted a version that is not there"
fi
grep -q 'version: 0.1.0' "$scratch/log" || fail "another version was asked for: $(cat "$scratch/log")"
ok "find_package refuses version 0.2"
echo "checks: $passed passed, 0 failed"
