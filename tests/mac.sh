#!/bin/sh
# Builds the program for macOS on this Linux machine, down to the linked binary: zig brings macOS' system libraries as stubs.
# It cannot be run here. Needs python3 with venv, and rustup. The target may be named: aarch64-apple-darwin.
set -eu
cd "$(dirname "$0")/.."
target=${1:-x86_64-apple-darwin}
tools=${XDG_CACHE_HOME:-$HOME/.cache}/tbctl-mac
if [ ! -x "$tools/bin/cargo-zigbuild" ]; then
	python3 -m venv "$tools"
	"$tools/bin/pip" install --quiet ziglang==0.17.1 cargo-zigbuild
fi
rustup target add "$target"
PATH=$tools/bin:$PATH cargo zigbuild --locked --target "$target" --bin tbctl
made=${CARGO_TARGET_DIR:-target}/$target/debug/tbctl
[ "$(head -c 4 "$made" | od -An -tx1 | tr -d ' ')" = cffaedfe ] || {
	echo "$made is no program of macOS" >&2
	exit 1
}
ls -l "$made"
