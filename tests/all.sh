#!/bin/sh
# Runs all tests: format, lints, unit, property, SSH and lab tests. Needs root for the lab.
set -eu
cd "$(dirname "$0")/.."
. tests/packages.sh
if [ "$(id -u)" != 0 ]; then
	echo "the lab tests boot hosts and need root; run: sudo -E sh tests/all.sh" >&2
	exit 1
fi
cargo fmt --check
cargo clippy --all-targets -- -D warnings
cargo test
