#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# shell.sh ROOT: shellcheck on every shell script.
set -euo pipefail
if ! command -v shellcheck >/dev/null; then
	echo "shellcheck is missing"
	exit 77
fi
cd "$1"
mapfile -t scripts < <(grep -rlE '^#!/(usr/)?bin/(env )?(ba|da)?sh' --exclude-dir=.git --exclude-dir=build . | sort)
shellcheck -x -P SCRIPTDIR "${scripts[@]}"
echo "checks: ${#scripts[@]} passed, 0 failed"
