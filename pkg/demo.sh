#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Shows libvshm on real files of this machine: streams them from one process to another through shared memory, compares
# with a pipe and a socket, lends large frames to two viewers, measures round trips, kills the producer in mid-stream, twice,
# and finishes. Leaves nothing behind. With --vm it shows the same between two virtual machines (demo-vm.py).
set -euo pipefail
cd "$(dirname "$0")/.."

megabytes=320
frames=500 # of 4 MiB
bin=$PWD/build/release/bin
scratch=
producer=
region=/dev/shm/vshm-demo-$$
if [ -t 1 ]; then
	bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'
else
	bold='' dim='' plain=''
fi
width=120 # of what is shown through a pipe, as wide as the terminal if there is one
if [ -t 1 ] && columns=$(stty size 2>/dev/null <&1 | cut -d ' ' -f 2) && [ "${columns:-0}" -gt 40 ]; then
	width=$columns
fi

clean_up() {
	local pid
	for pid in $(jobs -p) $producer; do
		kill -9 "$pid" 2>/dev/null || true
	done
	wait 2>/dev/null || true
	if [ -n "$scratch" ]; then
		rm -rf "$scratch" "$region" "$region-frames"
	fi
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

step=0
title() {
	step=$((step + 1))
	printf '\n%s%d. %s%s\n' "$bold" $step "$1" "$plain"
}
say() {
	printf '   %s\n' "$*"
}
# Shows a command as one would type it.
shown() {
	printf '   %s$ %s%s\n' "$dim" "$*" "$plain"
}
indent() {
	sed 's/^/   /'
}
fail() {
	printf '\n%sdemo: FAILED: %s%s\n' "$bold" "$*" "$plain" >&2
	exit 1
}
ctl() {
	"$bin/vshmctl" "$@"
}
size_of() {
	stat -c %s "$1"
}
milliseconds() { # since $1, a value of EPOCHREALTIME
	local now=${EPOCHREALTIME/[.,]/} then=${1/[.,]/}
	echo $(((now - then) / 1000))
}
thousands() { # 1234567 as 1 234 567
	sed -E ':a; s/^([0-9]+)([0-9]{3})/\1 \2/; ta' <<<"$1"
}

prepare() {
	local started=$SECONDS
	printf '%slibvshm: two %s, one memory%s\n\n' "$bold" "$1" "$plain"
	pkg/install-deps.sh
	mkdir -p build/release
	say "building the release preset in build/release ..."
	if ! { cmake --preset release && cmake --build --preset release; } >build/release/demo.log 2>&1; then
		tail -n 40 build/release/demo.log >&2
		fail "the build (build/release/demo.log)"
	fi
	say "built in $((SECONDS - started)) s"
}

make_scratch() {
	scratch=$(mktemp -d "${TMPDIR:-/tmp}/vshm-demo.XXXXXX")
	export VSHM_RUN_DIR=$scratch/run # instead of /run/vshm, which belongs to root
	mkdir "$scratch/run"
}

# A tar of real files, cut to size; repeated where this machine has not that many.
make_tar() {
	local wanted=$((megabytes << 20)) free
	free=$(($(stat -f -c '%a * %S' "$scratch")))
	if [ $free -lt $((wanted * 5 / 2)) ]; then
		fail "$scratch needs $((megabytes * 5 / 2)) MiB of free space; set TMPDIR to another place"
	fi
	while [ ! -e "$scratch/in.tar" ] || [ "$(size_of "$scratch/in.tar")" -lt $wanted ]; do
		{ tar -C / -cf - usr/lib 2>/dev/null || true; } | head -c $wanted >>"$scratch/in.tar"
	done
	truncate -s $wanted "$scratch/in.tar"
	total=$wanted
	sum=$(sha256sum <"$scratch/in.tar")
	sum=${sum%% *}
}

region_from_file() {
	title "A region, described by an INI file"
	cat >"$scratch/demo.ini" <<-EOF
		[region demo]
		path = $region
		size = 16M
		peers = 4
		mode = 0600
	EOF
	indent <"$scratch/demo.ini"
	shown "vshmctl create --config demo.ini"
	ctl create --config "$scratch/demo.ini" | indent
}

# Both ends compute SHA-256 of what they see: the producer of what it sends, the consumer of what arrives.
whole_stream() {
	local sent received
	title "$megabytes MiB of this machine's /usr/lib, from one process to another"
	shown "vshmctl recv vshm:demo files | sha256sum &"
	shown "tee >(sha256sum) < in.tar | vshmctl send vshm:demo files"
	ctl recv vshm:demo files 2>"$scratch/recv.err" | sha256sum >"$scratch/received" &
	tee >(sha256sum >"$scratch/sent") <"$scratch/in.tar" | ctl send vshm:demo files
	wait $!
	until [ -s "$scratch/sent" ]; do # tee's sha256sum is nobody's child to wait for
		sleep 0.02
	done
	read -r sent _ <"$scratch/sent"
	read -r received _ <"$scratch/received"
	say "sent      $sent"
	say "received  $received"
	[ "$sent$received" = "$sum$sum" ] || fail "the sums differ"
}

compare_speed() {
	local name median low high
	title "How fast: the same $megabytes MiB, 64 KiB at a time, every byte read by the receiver"
	"$bin/demo-carry" vshm:demo "$scratch/in.tar" 9 >"$scratch/speed" || fail "demo-carry"
	while read -r name median low high; do
		case $name in
		ring) name="libvshm ring" ;;
		pipe) name="pipe" ;;
		socket) name="Unix socket" ;;
		esac
		printf '   %-14s %6s MiB/s  %s(%s to %s in nine rounds, in turns)%s\n' "$name" "$median" "$dim" "$low" "$high" "$plain"
	done <"$scratch/speed"
}

# Feeds the tar from byte $1 on, at some 80 MiB/s, so that there is a "mid-stream" to look at.
feed() {
	local left=$(((total - $1 + 4194303) / 4194304))
	tail -c +$(($1 + 1)) "$scratch/in.tar" | while [ $left -gt 0 ]; do
		dd bs=4M count=1 iflag=fullblock status=none 2>/dev/null || break
		left=$((left - 1))
		sleep 0.05
	done
}

# Starts a pair: a producer that goes on at byte $1, a consumer that appends to out.tar.
start_pair() {
	"$bin/vshmctl" recv vshm:demo files >>"$scratch/out.tar" 2>"$scratch/recv.err" &
	consumer=$!
	feed "$1" 2>/dev/null | "$bin/vshmctl" send vshm:demo files 2>"$scratch/send.err" &
	producer=$!
	disown # the shell need not tell that it was killed
}

# Waits until out.tar has more than $1 bytes.
await_bytes() {
	local _
	for _ in {1..500}; do
		[ "$(size_of "$scratch/out.tar")" -gt "$1" ] && return
		sleep 0.02
	done
	fail "the stream does not flow: $(cat "$scratch/recv.err" "$scratch/send.err")"
}

# The consumer of a producer that was killed must end with status 1, and say why.
consumer_was_told() {
	local status=0
	wait $consumer || status=$?
	told_ms=$(milliseconds "$1")
	producer=
	[ $status = 1 ] || fail "the consumer ended with status $status: $(cat "$scratch/recv.err")"
	tail -n 1 "$scratch/recv.err" | indent
	got=$(size_of "$scratch/out.tar")
	cmp -n "$got" "$scratch/in.tar" "$scratch/out.tar" || fail "what arrived is not what was sent"
}

look_while_it_streams() {
	title "The region while it is in use, seen by a third process that takes no part"
	shown "vshmctl show vshm:demo"
	: >"$scratch/out.tar"
	start_pair 0
	await_bytes $((total / 16))
	COLUMNS=$((width - 3)) ctl show vshm:demo | indent
}

kill_in_mid_stream() {
	local when
	title "kill -9 of the producer, in mid-stream"
	await_bytes $((total / 4))
	when=$EPOCHREALTIME
	kill -9 $producer
	consumer_was_told "$when"
	first_told_ms=$told_ms
	say "The consumer was told and had ended $told_ms ms after the kill, with exit status 1."
	say "It wrote $(thousands "$got") bytes: exactly the first $(thousands "$got") bytes of the tar."
}

kill_with_records_in_the_ring() {
	local when before unread
	title "A new producer goes on there; the consumer is paused; then the producer is killed, too"
	before=$got
	start_pair "$got"
	await_bytes $((before + total / 16))
	kill -STOP $consumer
	sleep 0.3
	before=$(size_of "$scratch/out.tar")
	kill -9 $producer
	unread=$(ctl show vshm:demo --json | sed -n 's/.*"unread": *\([1-9][0-9]*\).*/\1/p' | head -n 1)
	say "The ring holds $(thousands "${unread:-0}") bytes that a dead process committed and nobody has read."
	when=$EPOCHREALTIME
	kill -CONT $consumer
	consumer_was_told "$when"
	[ "$got" -gt "$before" ] || fail "the committed records were not delivered"
	say "The consumer, awake again, first got them all: $(thousands $((got - before))) bytes of the tar. Then it was told."
}

lend_frames() {
	local first second lender
	title "Frames of 4 MiB, lent to two viewers: written once, read in place, never copied"
	shown "frames view & frames view & frames lend"
	"$bin/frames" view "$region-frames" >"$scratch/view1" 2>&1 &
	first=$!
	"$bin/frames" view "$region-frames" >"$scratch/view2" 2>&1 &
	second=$!
	"$bin/frames" lend "$region-frames" $frames >"$scratch/lend" 2>&1 &
	lender=$!
	for _ in $(seq 50); do # while they are at it
		COLUMNS=$((width - 3)) ctl show "$region-frames" >"$scratch/seen" 2>/dev/null || true
		if grep -q ' 2 of 2 ' "$scratch/seen"; then
			grep -A 1 -E '^(RING|POOL) ' "$scratch/seen" | grep -v '^--' | indent
			break
		fi
	done
	wait $lender || fail "the lender: $(cat "$scratch/lend")"
	wait $first || fail "a viewer: $(cat "$scratch/view1")"
	wait $second || fail "a viewer: $(cat "$scratch/view2")"
	for viewer in view1 view2; do
		grep -q "saw $frames, then: end of stream" "$scratch/$viewer" || fail "$viewer: $(cat "$scratch/$viewer")"
	done
	say "Each viewer saw and checked $frames frames, $((frames * 4)) MiB, and kept each one beyond the next."
	ctl destroy "$region-frames" >/dev/null
}

ping_once() {
	title "Round trips between two processes that both wait"
	shown "vshmctl ping vshm:demo"
	COLUMNS=$((width - 3)) ctl ping vshm:demo --count 50000 --quiet | indent
}

finish() {
	local status=0
	title "One more producer finishes the stream"
	"$bin/vshmctl" recv vshm:demo files >>"$scratch/out.tar" 2>"$scratch/recv.err" &
	consumer=$!
	tail -c +$((got + 1)) "$scratch/in.tar" | ctl send vshm:demo files
	wait $consumer || status=$?
	[ $status = 0 ] || fail "the consumer ended with status $status: $(cat "$scratch/recv.err")"
	read -r received _ < <(sha256sum <"$scratch/out.tar")
	say "the tar                   $sum"
	say "what three producers sent $received"
	[ "$received" = "$sum" ] || fail "the sums differ"
	ctl check vshm:demo | indent
	ctl destroy vshm:demo >/dev/null
	left=$(find "$scratch/run" /dev/shm -mindepth 1 -maxdepth 1 -path "$scratch/*" -o -path "$region*")
	[ -z "$left" ] || fail "left behind: $left"
}

usage() {
	cat <<-'EOF'
	usage: demo.sh [--vm]
	  Shows libvshm between processes of this machine, or, with --vm, between two virtual machines that it boots (no KVM needed).
	  Exit status 77: not possible here.
	EOF
}

case ${1-} in
'') ;;
--help) usage; exit 0 ;;
--vm)
	pkg/install-deps.sh --vm 2>/dev/null || true # what is missing then is said in the next line
	pkg/demo-vm.py --check
	prepare "virtual machines"
	pkg/demo-vm.py --bin "$bin"
	exit
	;;
*) usage >&2; exit 2 ;;
esac

prepare processes
make_scratch
make_tar
region_from_file
whole_stream
compare_speed
lend_frames
ping_once
look_while_it_streams
kill_in_mid_stream
kill_with_records_in_the_ring
finish
printf '\n%sProven: %s MiB arrived intact across two kill -9, consumer told within %s ms, no committed record lost, %s MiB lent to two, nothing left behind.%s\n' \
	"$bold" $megabytes "$first_told_ms" $((frames * 4)) "$plain"
