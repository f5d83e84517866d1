#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Measures libvshm beside everything comparable that Debian packages, and the kernel's own means, on this machine: installs
# the peers, builds the release preset, runs all of them back to back. Tables, JSON and a chart go to build/bench.
set -euo pipefail
cd "$(dirname "$0")/.."

rounds=5
seconds=0.2
out=build/bench
bin=build/release/bin

usage() {
	cat <<-'EOF'
	usage: bench.sh [--rounds N] [--quick]
	  --rounds N  rounds (5, which is also the least that says anything); a round takes about a minute
	  --quick     one short round with whatever is installed: shows that all of it works, measures nothing
	Writes bench.txt, bench.json, bench.md and bench.svg to build/bench.
	Exit codes: 0 ok, 1 failed, 2 usage, 77 not possible here, or too noisy to conclude.
	EOF
}

fail() {
	printf 'bench: FAILED: %s\n' "$*" >&2
	exit 1
}

quick=no
while [ $# -gt 0 ]; do
	case $1 in
	--rounds) [[ ${2:-} =~ ^[0-9]+$ ]] || { usage >&2; exit 2; }; rounds=$2; shift ;;
	--quick) quick=yes ;;
	--help) usage; exit 0 ;;
	*) usage >&2; exit 2 ;;
	esac
	shift
done

if [ $quick = yes ]; then
	rounds=1 seconds=0.005
	pkg/install-deps.sh
else
	[ "$rounds" -ge 5 ] || fail "fewer than five rounds say nothing"
	# A peer that cannot be had is left out by name; libvshm itself has to build.
	pkg/install-deps.sh --bench || pkg/install-deps.sh
fi

mkdir -p $out
echo "building the release preset in build/release ..."
# The peers may have been installed since the last time: they are looked for again.
if ! { cmake --preset release -U '*_LIBRARY' -U '*_INCLUDE_DIR' -U 'CMAKE_CXX_COMPILER' &&
	cmake --build --preset release --target vshm-bench; } >$out/build.log 2>&1; then
	tail -n 40 $out/build.log >&2
	fail "the build ($out/build.log)"
fi

status=0
$bin/vshm-bench --rounds "$rounds" --seconds $seconds --strict --json $out/bench.json --svg $out/bench.svg \
	--markdown $out/bench.md >$out/bench.txt || status=$?
cat $out/bench.txt
case $status in
0) ;;
77) if [ $quick = no ]; then
	printf '\nbench: skipped: %s\n' "$(sed -n 's/^warning: //p' $out/bench.txt | grep . || echo 'see above')"
	exit 77
fi ;;
*) fail "vshm-bench, status $status; see above" ;;
esac
printf '\nMeasured: %s candidates in %s kinds of work, %s rounds, every byte written and checked; %s goals met, %s not. %s\n' \
	"$($bin/vshm-bench --list | grep -vc 'left out:')" "$($bin/vshm-bench --list | awk '{print $1}' | sort -u | wc -l)" \
	"$rounds" "$(grep -c '  met$' $out/bench.txt || true)" "$(grep -c 'not met$' $out/bench.txt || true)" \
	"See $out/bench.{txt,json,md,svg}."
