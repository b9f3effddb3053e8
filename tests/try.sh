#!/bin/sh
# Boots hosts on this machine: a WireGuard mesh, built and taken back, then the scenarios of the thesis, measured and compared.
set -eu
cd "$(dirname "$0")/.."
. tests/packages.sh
cargo build --release
inventory=inventories/lab/hosts.yaml
if [ "$(id -u)" = 0 ]; then sudo=; else sudo='sudo -E'; fi
$sudo target/release/tbctl lab up $inventory
$sudo target/release/tbctl apply $inventory playbooks/wireguard.yaml
$sudo target/release/tbctl lab exec $inventory node-1 -- wg show
$sudo target/release/tbctl destroy --yes $inventory
$sudo target/release/tbctl lab down $inventory
sh tests/thesis.sh
