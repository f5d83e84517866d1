#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The classic pair: consumer first, producer first, and a consumer that follows a producer through its ends. Two event loops.
# Frames that are lent, a sensor that never waits, three producers for one consumer.
set -euo pipefail
bin=${VSHM_BIN:?set by ctest}
scratch=$(mktemp -d)
region=/dev/shm/vshm-examples-$$
log=$scratch/log
clean_up() {
	local pid
	for pid in $(jobs -p); do
		kill -9 "$pid" 2>/dev/null || true
	done
	rm -rf "$scratch" "$region"
}
trap clean_up EXIT

passed=0
fail() {
	echo "examples: FAILED: $*"
	echo "-- output:"
	cat "$scratch"/* 2>/dev/null
	echo "checks: $passed passed, 1 failed"
	exit 1
}
ok() {
	echo "examples: $*"
	passed=$((passed + 1))
}
# Waits until a line that matches stands in a log, at most 30 s.
await() {
	for _ in $(seq 300); do
		grep -q "$2" "$1" && return
		sleep 0.1
	done
	fail "no line \"$2\""
}

"$bin/consumer" "$region" >"$log" 2>&1 &
consumer=$!
timeout 60 "$bin/producer" "$region" 20000 >>"$scratch/producer" 2>&1 || fail "producer"
wait $consumer || fail "consumer that was first"
grep -q '^consumer: 20000 frames, ' "$log" || fail "not all frames"
ok "20000 frames, the consumer was there first"

"$bin/producer" "$region" 20000 >"$scratch/producer" 2>&1 &
producer=$!
timeout 60 "$bin/consumer" "$region" >"$log" 2>&1 || fail "consumer that was second"
wait $producer || fail "producer that was first"
grep -q '^consumer: 20000 frames, ' "$log" || fail "not all frames"
ok "20000 frames, the producer was there first"

# --follow: a producer that ends, one that is killed, and one more.
"$bin/consumer" "$region" --follow >"$log" 2>&1 &
consumer=$!
timeout 60 "$bin/producer" "$region" 5000 >"$scratch/producer" 2>&1 || fail "producer"
await "$log" "^consumer: 5000 frames, then: "
"$bin/producer" "$region" 0 >"$scratch/producer" 2>&1 &
producer=$!
sleep 0.3
kill -9 $producer
wait $producer 2>/dev/null || true
for _ in $(seq 300); do
	[ "$(grep -c ' frames, then: ' "$log")" -ge 2 ] && break
	sleep 0.1
done
[ "$(grep -c ' frames, then: ' "$log")" -ge 2 ] || fail "the death of the producer was not noticed"
timeout 60 "$bin/producer" "$region" 7000 >"$scratch/producer" 2>&1 || fail "producer after the killed one"
await "$log" "^consumer: 7000 frames, then: "
kill -TERM $consumer
wait $consumer || fail "consumer --follow"
ok "followed a producer that ended, one that was killed, and one more: $(tail -n 1 "$log")"
"$bin/vshmctl" destroy "file:$region" >/dev/null || fail "destroy"

# Two event loops talk: what goes into one comes out of the other, both ways; one is killed, another comes.
mkdir "$scratch/in"
mkfifo "$scratch/in/one" "$scratch/in/two"
"$bin/epoll_loop" "$region" here there <"$scratch/in/one" >"$log" 2>&1 &
one=$!
exec 8>"$scratch/in/one"
"$bin/epoll_loop" "$region" there here <"$scratch/in/two" >"$scratch/other" 2>&1 &
two=$!
exec 9>"$scratch/in/two"
await "$log" '^peer [01] joined'
for i in $(seq 20); do
	echo "ping $i" >&8
	await "$scratch/other" "^< ping $i\$"
	echo "pong $i" >&9
	await "$log" "^< pong $i\$"
done
kill -9 $two
wait $two 2>/dev/null || true
await "$log" '^peer [01] died'
exec 9>&-
"$bin/epoll_loop" "$region" there here <"$scratch/in/two" >"$scratch/other" 2>&1 &
two=$!
exec 9>"$scratch/in/two"
echo "again" >&9
await "$log" '^< again'
exec 9>&-
wait $two || fail "the second loop"
await "$log" '^peer [01] left'
exec 8>&-
wait $one || fail "the first loop"
ok "two event loops talked, and one was killed"
"$bin/vshmctl" destroy "file:$region" >/dev/null || fail "destroy"

# Frames of 4 MiB, lent to two viewers.
"$bin/frames" view "$region" >"$scratch/view1" 2>&1 &
one=$!
timeout 60 "$bin/frames" lend "$region" 40 >"$log" 2>&1 &
lender=$!
timeout 60 "$bin/frames" view "$region" >"$scratch/view2" 2>&1 || fail "second viewer"
wait $one || fail "first viewer"
wait $lender || fail "lender"
grep -q '^frames: lent 40 frames' "$log" || fail "not all frames were lent"
for viewer in view1 view2; do
	grep -q '^frames: saw 40, then: end of stream' "$scratch/$viewer" || fail "$viewer"
done
ok "40 frames were lent to two viewers"
"$bin/vshmctl" destroy "file:$region" >/dev/null || fail "destroy"

# A sensor that never waits. What the reader saw and what it missed add up to the last number, from its first on.
"$bin/sensor" watch "$region" >"$log" 2>&1 &
one=$!
timeout 60 "$bin/sensor" measure "$region" 50000 >"$scratch/other" 2>&1 || fail "sensor"
wait $one || fail "reader of the sensor"
grep -q '^sensor: saw [1-9][0-9]* values and missed [0-9]*, the last: number 49999' "$log" || fail "the last value was not seen"
ok "$(cat "$log")"
"$bin/vshmctl" destroy "file:$region" >/dev/null || fail "destroy"

# Three producers, one consumer.
"$bin/fan_in" collect "$region" >"$log" 2>&1 &
one=$!
sources=()
for name in red green blue; do
	timeout 60 "$bin/fan_in" send "$region" $name 20000 >"$scratch/$name" 2>&1 &
	sources+=($!)
done
for source in "${sources[@]}"; do
	wait "$source" || fail "a source"
done
wait $one || fail "collector"
grep -q '^fan_in: red 20000, green 20000, blue 20000' "$log" || fail "not all was collected"
ok "$(cat "$log")"
"$bin/vshmctl" destroy "file:$region" >/dev/null || fail "destroy"
echo "checks: $passed passed, 0 failed"
