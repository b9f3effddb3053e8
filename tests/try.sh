#!/bin/sh
# Boots four hosts on this machine and builds the WireGuard mesh on them. `tbctl lab down` takes them away again.
set -eu
cd "$(dirname "$0")/.."
. tests/packages.sh
cargo build --release
inventory=inventories/lab/hosts.yaml
if [ "$(id -u)" = 0 ]; then sudo=; else sudo='sudo -E'; fi
$sudo target/release/tbctl lab up $inventory
$sudo target/release/tbctl apply $inventory playbooks/wireguard.yaml
$sudo target/release/tbctl lab exec $inventory node-1 -- wg show
