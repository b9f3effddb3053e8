# Installs what a bare Debian or Ubuntu machine lacks; quiet when nothing is missing.
need() { command -v "$1" >/dev/null 2>&1 || missing="$missing $2"; }
missing=
need cc gcc
need ip iproute2
need iptables iptables
need mmdebstrap mmdebstrap
need ssh openssh-client
need wg wireguard-tools
need insmod kmod
# A kernel with netem, wherever this one has none.
[ "$(uname -m)" != x86_64 ] || need linux.uml user-mode-linux
need busybox busybox
need dash dash
need tmux tmux
need python3 python3
# numpy, which the statistics are checked against, is installed into an environment of its own.
python3 -c 'import ensurepip' >/dev/null 2>&1 || missing="$missing python3-venv"
if [ -n "$missing" ]; then
	echo "installing:$missing" >&2
	if [ "$(id -u)" = 0 ]; then sudo=; else sudo=sudo; fi
	$sudo apt-get update -q >&2
	# Word splitting is wanted.
	# shellcheck disable=SC2086
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing >&2
fi
