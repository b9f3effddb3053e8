#!/bin/sh
# Regenerates the thesis' scenarios in the lab and compares them: sh tests/thesis.sh [REPETITIONS]
#
# Repetitions are interleaved (1 2 3 control, 1 2 3 control, …), so that whatever changes on this machine meets all of them.
# A lab is taken down after its last measurement; KEEP=1 leaves it up.
set -eu
cd "$(dirname "$0")/.."
. tests/packages.sh
cargo build --release
if [ "$(id -u)" = 0 ]; then sudo=; else sudo='sudo -E'; fi
tbctl="$sudo target/release/tbctl"
times=${1:-1}
time=0
while [ "$time" -lt "$times" ]; do
	time=$((time + 1))
	for scenario in scenario-1 scenario-2 scenario-3 control; do
		inventory=inventories/thesis/$scenario.yaml
		$tbctl lab up "$inventory"
		if [ "$time" = 1 ]; then again=; else again=--rerun; fi
		$tbctl apply "$inventory" playbooks/thesis.yaml $again
		[ "$time" -lt "$times" ] || [ -n "${KEEP-}" ] || $tbctl lab down "$inventory"
	done
done
$tbctl report results
