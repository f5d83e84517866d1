#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The one command of newcomer and CI: installs what is missing, builds, runs every test.
# The last line of its output is "N passed, N failed" or "N passed, N failed, N skipped".
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
	cat <<-'EOF'
	usage: test.sh [PRESET...]
	  Builds and tests the presets (default: release asan tsan fuzz cross-aarch64) under build/PRESET.
	  The logs stay in build/PRESET/test-log.
	EOF
}

presets=()
for argument in "$@"; do
	case $argument in
	--help) usage; exit 0 ;;
	-*) usage >&2; exit 2 ;;
	*) presets+=("$argument") ;;
	esac
done
[ ${#presets[@]} -gt 0 ] || presets=(release asan tsan fuzz cross-aarch64)

started=$SECONDS
say() {
	printf '== %3d s  %s\n' $((SECONDS - started)) "$*"
}

# A build that fails counts as a failed test, and the others go on.
build_failed=0
build() {
	local preset=$1 log=build/$1/test-log/build.log
	mkdir -p "build/$preset/test-log"
	rm -f "build/$preset/test-log"/*.xml
	say "$preset: build"
	if ! { cmake --preset "$preset" && cmake --build --preset "$preset" -- --quiet; } >"$log" 2>&1; then
		tail -n 60 "$log"
		say "$preset: the build FAILED ($log)"
		build_failed=$((build_failed + 1))
		return 1
	fi
}

run_tests() {
	local preset=$1 log=build/$1/test-log
	say "$preset: test"
	# ctest's own verdict is not looked at: summary.py counts, and shows what failed and what was skipped.
	# Two per processor, because half of the tests mostly wait.
	ctest --test-dir "build/$preset" -j $((2 * $(nproc))) --output-on-failure --no-tests=ignore \
		--test-output-size-passed 200000 --test-output-size-failed 400000 \
		--output-junit "$PWD/$log/junit.xml" >"$log/ctest.log" 2>&1 || true
	python3 pkg/test-summary.py --show "$preset" "$log/junit.xml"
}

say "dependencies"
pkg/install-deps.sh --test
pkg/install-deps.sh --vm || say "without QEMU: the tests in guests will be skipped"

reports=()
for preset in "${presets[@]}"; do
	if build "$preset" && [ "$preset" != cross-aarch64 ]; then
		run_tests "$preset"
		reports+=("build/$preset/test-log/junit.xml")
	fi
done

say "done"
python3 pkg/test-summary.py --failed "$build_failed" "${reports[@]}"
