#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The classic pair: consumer first, producer first, and a consumer that follows a producer through its ends. Two event loops.
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
echo "checks: $passed passed, 0 failed"
