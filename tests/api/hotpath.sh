#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Between peers that are awake, the hot path neither calls the system nor allocates: shown with strace.
# Usage: hotpath.sh PROGRAM
set -euo pipefail

program=$1
trace=$(mktemp)
trap 'rm -f "$trace"' EXIT

skip() {
	echo "skip: $*"
	exit 77
}

command -v strace >/dev/null || skip "strace is not installed"
strace -o "$trace" true 2>/dev/null || skip "strace may not trace here"

# System calls between the marks of each thread: "number, and which".
count_calls() {
	awk '
		/"vshm-begin"/ { on[$1] = 1; marks++; next }
		/"vshm-end"/ { on[$1] = 0; next }
		# the rest of a mark that another thread interrupted in the output; the planted calls are others
		/<\.\.\. prctl resumed>/ { next }
		on[$1] && !/SIG[A-Z]+ / { calls++; print > "/dev/stderr" }
		END { print (marks ? calls + 0 : "no marks") }
	' "$trace" 2>"$trace.calls"
	head -n 20 "$trace.calls" >&2
	rm -f "$trace.calls"
}

run() {
	local output
	output=$(timeout 300 strace -f -o "$trace" "$program" "$@")
	echo "$output" >&2
	allocations=${output##* }
	calls=$(count_calls)
	echo "system calls between the marks: $calls" >&2
}

run
[ "$calls" = 0 ] || { echo "FAIL: the hot path calls the system"; exit 1; }
[ "$allocations" = 0 ] || { echo "FAIL: the hot path allocates"; exit 1; }

# The gate must be able to fail.
run plant
[ "$calls" -ge 3 ] || { echo "FAIL: planted system calls were not noticed"; exit 1; }
[ "$allocations" -ge 3 ] || { echo "FAIL: planted allocations were not noticed"; exit 1; }
echo "no system call and no allocation on the hot path"
