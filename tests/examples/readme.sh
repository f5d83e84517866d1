#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Pastes what README.md shows: installs to a temporary prefix, compiles the program and runs the shell lines there.
set -euo pipefail
readme=${VSHM_SOURCE_DIR:?set by ctest}/README.md
scratch=$(mktemp -d)
places=(/dev/shm/hello-$$ /dev/shm/net0-$$)

clean_up() {
	local pid
	for pid in $(jobs -p); do
		kill -9 "$pid" 2>/dev/null || true
	done
	rm -rf "$scratch" "${places[@]}"
}
trap clean_up EXIT

fail() {
	echo "readme: FAILED: $*"
	exit 1
}

# block N LANGUAGE: the Nth block of that language, with places of its own
block() {
	awk -v wanted="$1" -v fence="\`\`\`$2" '
		$0 == fence { count++; inside = count == wanted; next }
		/^```/ { inside = 0 }
		inside' "$readme" | sed "s,/dev/shm/hello,/dev/shm/hello-$$,g; s,/dev/shm/net0,/dev/shm/net0-$$,g"
}

[ "$(block 1 sh | grep -c '^\./pkg/\(demo\|test\)\.sh ')" = 2 ] || fail "the first lines are not the two commands"
lines=$(block 1 c | wc -l)
[ "$lines" = 20 ] || fail "the program has $lines lines, not 20"

cmake --install "$VSHM_BINARY_DIR" --prefix "$scratch/prefix" >"$scratch/log" || fail "$(cat "$scratch/log")"
libdir=$(dirname "$(find "$scratch/prefix" -name libvshm.so)")
export PATH=$scratch/prefix/bin:$PATH LD_LIBRARY_PATH=$libdir PKG_CONFIG_PATH=$libdir/pkgconfig
export VSHM_RUN_DIR=$scratch/run
mkdir "$scratch/run"
cd "$scratch"

block 1 c >hello.c
block 2 sh >hello.sh
sed -i 's/^cc /cc -std=c11 -Wall -Wextra -Wpedantic -Werror /' hello.sh
timeout 30 bash -eu hello.sh >hello.out 2>hello.err || fail "the program: $(cat hello.out hello.err)"
diff <(seq -f 'hello %g' 0 9) <(grep '^hello' hello.out) || fail "the program printed something else"
echo "readme: the program prints what it should"

block 3 sh >pair.sh
head -c 3000000 /dev/urandom >in
timeout 30 bash -eu pair.sh >pair.out 2>pair.err || fail "the command line: $(cat pair.out pair.err)"
cmp in out || fail "what came out is not what went in"
grep -q net0 pair.out || fail "show said nothing"
echo "readme: the command line does what it should"

# Names that the page mentions exist.
while read -r word; do
	grep -q "$word;" "$VSHM_SOURCE_DIR/pkg/libvshm.map" || fail "no $word"
done < <(grep -oE '\bvshm_[a-z]+_[a-z_]+\b' "$readme" | sort -u)
for path in pkg/demo.sh pkg/test.sh src/README.md include/vshm cli examples tests pkg LICENSE; do
	[ -e "$VSHM_SOURCE_DIR/$path" ] || fail "no $path"
done
echo "checks: 3 passed, 0 failed"
