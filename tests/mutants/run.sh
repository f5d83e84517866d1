#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Plants one bug after the other in a copy of the sources, and wants the gate that is named for it to fail.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

usage() {
	cat <<-'EOF2'
	usage: run.sh [--check | --quick] [NAME...]
	  Without options all patches, some minutes; --quick a choice that takes some seconds.
	  --check only tells whether each patch still applies.
	  The first line of a patch says what it breaks and which gate has to notice:
	    Gate: model              tests/model
	    Gate: unit SUITE         tests/unit
	    Gate: tsan SUITE         the same under ThreadSanitizer
	    Gate: fuzz TARGET        tests/fuzz, 15 s
	    Gate: api SUITE          tests/api
	    Gate: crash SUITE        tests/crash
	    Gate: hostile all        tests/hostile under AddressSanitizer, 16 s
	EOF2
}

quick=(rx-length-unchecked rx-tail-relaxed rx-return-no-fence tx-head-range tx-start-behind-the-tail-word
	sleep-arms-after-the-look sleep-on-a-spent-ring superblock-magic-first entry-grant-not-framed entry-ring-overflow)

if ! command -v patch >/dev/null; then
	echo "skipped: patch is not installed"
	exit 77
fi

mode=all names=()
for argument in "$@"; do
	case $argument in
	--check | --quick) mode=${argument#--} ;;
	--one) mode=one ;; # for itself: one NAME
	-*) usage >&2; exit 2 ;;
	*) names+=("$argument") ;;
	esac
done
if [ ${#names[@]} -eq 0 ]; then
	if [ "$mode" = quick ]; then
		names=("${quick[@]}")
	else
		for patch in "$here"/*.patch; do
			names+=("$(basename "$patch" .patch)")
		done
	fi
fi

# ---- does each apply? ----

check_one() {
	local patch=$here/$1.patch
	if ! head -n 1 "$patch" | grep -Eq '^# .+\. Gate: (model|(unit|tsan|fuzz|api|crash|hostile) [a-z_]+)$'; then
		echo "$1: the first line does not say what breaks and which gate notices"
		return 1
	fi
	if ! patch -d "$root" -p1 -F1 --dry-run --force --silent <"$patch" >/dev/null; then
		echo "$1: does not apply any more: make the same mistake in today's sources"
		return 1
	fi
}

check_all() {
	local good=0 bad=0 name
	for name in "${names[@]}"; do
		if check_one "$name"; then good=$((good + 1)); else bad=$((bad + 1)); fi
	done
	echo "checks: $good passed, $bad failed"
	[ "$bad" -eq 0 ]
}

shopt -s extglob # src/!(discover): that is a library of its own

# ---- the gates, in the current directory: a copy of the tree ----

common=(-std=gnu11 -g -w -fno-strict-aliasing -D_GNU_SOURCE -Isrc -Iinclude -Igenerated)
base=(src/base/arith.c src/base/crc32c.c src/base/name.c)
cc=${CC:-cc}
read -ra check_flags < <(pkg-config --cflags --libs check)

build_model() {
	"$cc" "${common[@]}" -O2 -DVSHM_TEST_HOOKS=1 -Itests/model "${base[@]}" src/wire/*.c src/ring/*.c src/pool/*.c \
		src/wait/sleep.c tests/model/*.c -o gate
}

build_unit() {
	local compiler=$1 suite=$2 wait=(src/wait/sleep.c src/wait/spin.c) ring=(src/ring/*.c)
	shift 2
	case $suite in # these include what they test
	wait_*) wait=() ;;
	ring_latest) ring=(src/ring/{head,many,rx,tx}.c) ;;
	esac
	local inside=("${base[@]}" src/wire/*.c "${ring[@]}" src/pool/*.c "${wait[@]}" src/os/futex.c src/os/clock.c)
	case $suite in # these take the whole library
	region_* | server_* | transport_*) inside=(src/!(discover)/*.c) ;;
	discover) inside=(src/*/*.c -ludev -lpci) ;;
	esac
	"$compiler" "${common[@]}" -O1 "$@" -Itests/unit -Itests/support "tests/unit/$suite.c" tests/support/support.c \
		"${inside[@]}" -o gate "${check_flags[@]}" -lpthread
}

build_fuzz() {
	clang "${common[@]}" -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -DVSHM_TEST_HOOKS=1 \
		-Itests/fuzz "${base[@]}" src/wire/*.c src/ring/*.c src/pool/*.c tests/fuzz/fetch.c "tests/fuzz/$1.c" -o gate
}

build_api() {
	"$cc" "${common[@]}" -O1 -Itests/api -Itests/support src/!(discover)/*.c tests/api/main.c tests/api/test_*.c \
		tests/api/world.c tests/support/support.c -o gate "${check_flags[@]}" -lpthread
}

build_crash() {
	"$cc" "${common[@]}" -O1 -Itests/crash -Itests/support src/!(discover)/*.c tests/crash/*.c tests/support/support.c \
		-o gate "${check_flags[@]}" -lpthread
}

build_hostile() {
	clang "${common[@]}" -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -Itests/hostile -Itests/support \
		src/!(discover)/*.c tests/hostile/*.c tests/support/support.c -o gate -lpthread
}

build() {
	case $1 in
	model) build_model ;;
	unit) build_unit "$cc" "$2" ;;
	tsan) build_unit clang "$2" -fsanitize=thread ;;
	fuzz) build_fuzz "$2" ;;
	api) build_api ;;
	crash) build_crash ;;
	hostile) build_hostile ;;
	esac
}

run() {
	case $1 in
	model) timeout 200 ./gate quick ;;
	unit | tsan) timeout 60 ./gate ;;
	fuzz) timeout 60 ./gate -error_exitcode=1 -max_total_time=15 -max_len=400 -seed=1 -rss_limit_mb=1024 ;;
	api) CK_RUN_SUITE=$2 timeout 60 ./gate ;;
	crash) CK_DEFAULT_TIMEOUT=40 timeout 60 ./gate "$2" ;;
	hostile) HOSTILE_SECONDS=16 timeout 60 ./gate ;;
	esac
}

copy_tree() {
	cp -r "$root/src" "$root/include" "$1"
	mkdir -p "$1/tests" "$1/generated/vshm"
	cp -r "$root"/tests/{model,fuzz,unit,api,crash,hostile,support} "$1/tests"
	sed -E 's/@[A-Za-z_]*MAJOR@/0/; s/@[A-Za-z_]*MINOR@/0/; s/@[A-Za-z_]*PATCH@/0/; s/@[A-Za-z_]*@/0.0.0/' \
		"$root/include/vshm/version.h.in" >"$1/generated/vshm/version.h"
}

# One line of the table: "killed", or in capitals what went wrong. The name "none": the gate without a bug has to pass.
try() {
	local name=$1 kind=$2 what=${3:-} work verdict start=$EPOCHREALTIME
	work=$(mktemp -d "${TMPDIR:-/tmp}/vshm-mutant-XXXXXX")
	copy_tree "$work"
	cd "$work"
	if [ "$name" != none ] && ! patch -p1 -F1 --force --silent <"$here/$name.patch" >log 2>&1; then
		verdict=UNPATCHED
	elif ! build "$kind" "$what" >log 2>&1; then
		verdict=UNBUILT
	elif run "$kind" "$what" >log 2>&1; then
		verdict=SURVIVED
	else
		verdict=killed
	fi
	case $name:$verdict in
	none:SURVIVED) verdict=passes ;;
	none:killed) verdict=FAILS ;;
	esac
	case $verdict in
	UN* | FAILS) tail -n 20 log >&2 ;;
	esac
	cd "$root"
	rm -rf "$work"
	LC_ALL=C awk -v a="$start" -v b="$EPOCHREALTIME" -v v="$verdict" -v g="$kind $what" -v n="$name" \
		'BEGIN { printf "%-9s %5.1f s  %-22s %s\n", v, b - a, g, n }'
}

gate_of() {
	head -n 1 "$here/$1.patch" | sed 's/.*Gate: //'
}

if [ "$mode" = check ]; then
	check_all
	exit
elif [ "$mode" = one ]; then
	read -ra words <<<"${names[0]}"
	try "${words[@]}"
	exit
fi

table=$(mktemp "${TMPDIR:-/tmp}/vshm-mutants-XXXXXX")
trap 'rm -f "$table"' EXIT

# The gates themselves first (but in a quick run: there they are tests of their own), then the bugs.
{
	if [ "$mode" = all ]; then
		for name in "${names[@]}"; do gate_of "$name"; done | sort -u | sed 's/^/none /'
	fi
	for name in "${names[@]}"; do echo "$name $(gate_of "$name")"; done
} | xargs -d '\n' -n 1 -P "$(nproc)" "$0" --one | tee "$table"
passed=$(grep -Ec '^(killed|passes) ' "$table" || true)
failed=$(grep -Evc '^(killed|passes) ' "$table" || true)
echo "checks: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
