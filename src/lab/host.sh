#!/bin/sh
# The life of one lab host, in four stages; each runs the next in namespaces of its own.
#
#   supervise  outside; boots the host, and boots it again when it asked for that
#   wire       own network, mounts, host name, IPC; makes the host's end of the cable
#   enter      own processes: this one is the host's process 1 from here on
#   root       own view of the cgroups; builds the root, turns to it, becomes init
#   links      (alone) keeps the forwarder of the lab's links running, which is the program $4
#   sweep      (alone) kills whatever a lab has running and removes its cgroups
#
# $lab is the lab's directory; $host one of its hosts, whose facts are in $lab/hosts/$host/facts.
set -u
stage=$1 lab=$2 host=${3-}
name=${lab##*/}
dir=$lab/hosts/$host
groups=$lab/cgroup
group=$groups/tbctl-lab/$name

fail() {
    echo "$stage: $1" >&2
    [ -z "$host" ] || : >"$dir/failed"
    exit 1
}
must() { "$@" || fail "failed: $*"; }
next() { exec sh "$0" "$1" "$lab" "$host"; }
# Mounted anew, as it may be missing here, or be elsewhere. There is just one such hierarchy.
see_groups() { mkdir -p "$groups" && must mount -t cgroup2 none "$groups"; }

facts() {
    # address, prefix, mac, gateway, cable, bridge, hostname, advmss
    . "$dir/facts"
}

links() {
    # Open from here on, so that it can be run again after it was replaced or removed.
    exec 9<"$1" || fail "cannot open $1"
    see_groups
    must mkdir -p "$group/links"
    echo $$ >"$group/links/cgroup.procs" || fail "cannot enter a cgroup"
    echo $$ >"$lab/links.pid"
    # The lab's lock came in here, as in `supervise`.
    exec </dev/null
    # Before others whenever a packet is due, where the machine allows that.
    first=
    ! chrt --rr 1 true 2>/dev/null || first="chrt --rr 1"
    while :; do
        # Anew each time: one that cannot do its work must not fill the memory with saying so.
        exec >"$lab/links.log" 2>&1
        $first "/proc/$$/fd/9" lab forward "$lab"
        code=$?
        echo "the forwarder ended with $code"
        # Killed: at once; what it has said itself will be true a moment later too.
        [ "$code" -gt 128 ] && sleep 0.1 || sleep 1
    done
}

# The process whose network is the machine's goes along in $boss.
supervise() {
    see_groups
    must mkdir -p "$group/supervisors" "$group/host-$host"
    echo $$ >"$group/supervisors/cgroup.procs" || fail "cannot enter a cgroup"
    echo $$ >"$dir/supervisor"
    # The lab's lock came in here: whoever takes the lab down finds this process in its cgroup, or not at all.
    exec </dev/null
    facts
    while :; do
        rm -f "$dir/pid"
        ip link delete "$cable" 2>/dev/null
        boss=$$ unshare --net --mount --uts --ipc --propagation private sh "$0" wire "$lab" "$host"
        code=$?
        # A host that reboots ends its process 1 by SIGHUP.
        [ "$code" = 129 ] || break
        echo "reboots" >&2
    done
    rm -f "$dir/pid"
    echo "ended with $code" >&2
    : >"$dir/ended"
}

wire() {
    facts
    # The machine forwards because of the lab, and a new network copies that; a host starts without.
    echo 0 >/proc/sys/net/ipv4/ip_forward
    # Always the same one: the others remember who had the address before a reboot.
    must ip link add eth0 mtu 1500 address "$mac" type veth peer name "$cable" mtu 1500 netns "$boss"
    must nsenter --target "$boss" --net ip link set "$cable" master "$bridge" up
    must ip link set lo up
    must ip address add "$address/$prefix" broadcast + dev eth0
    must ip link set eth0 up
    must ip route add default via "$gateway" advmss "$advmss"
    must hostname "$hostname"
    exec unshare --pid --fork --kill-child sh "$0" enter "$lab" "$host"
}

enter() {
    # /proc still shows the machine: this is the host's process 1 as seen from outside.
    read -r pid _ </proc/self/stat
    echo "$pid" >"$dir/pid.new" && mv "$dir/pid.new" "$dir/pid"
    echo 0 >"$group/host-$host/cgroup.procs" || fail "cannot enter a cgroup"
    # The clock, the kernel's modules and its memory are the machine's, not the host's.
    exec unshare --cgroup setpriv --bounding-set -sys_time,-sys_module,-sys_rawio sh "$0" root "$lab" "$host"
}

root() {
    facts
    new=$dir/root
    must mount -t overlay overlay -o "lowerdir=$lab/lower,upperdir=$dir/upper,workdir=$dir/work" "$new"
    [ -e "$dir/dressed" ] || { dress && : >"$dir/dressed"; }
    mount_kernel
    mount_devices
    must mount -t tmpfs -o mode=0755,nosuid,nodev run "$new/run"
    must cd "$new"
    must pivot_root . .
    # The old root lies over the new one until here; its files are out of reach from now on.
    umount -l . || exit 1
    exec env -i container=tbctl-lab PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
        /sbin/init </dev/null >/dev/null 2>&1
}

# What makes this host differ from the others, once: a reboot must find what was changed meanwhile.
dress() {
    sh "$lab/dress.sh" "$new" || fail "cannot prepare the tree"
    echo "$hostname" >"$new/etc/hostname"
    printf '127.0.0.1\tlocalhost\n127.0.1.1\t%s\n::1\tlocalhost ip6-localhost ip6-loopback\n' "$hostname" >"$new/etc/hosts"
    rm -f "$new/etc/resolv.conf"
    cat "$lab/resolv.conf" >"$new/etc/resolv.conf"
    mkdir -p "$new/etc/ssh"
    (umask 077 && cat "$dir/ssh_host_ed25519_key" >"$new/etc/ssh/ssh_host_ed25519_key") || fail "cannot write the host's key"
    cat "$dir/ssh_host_ed25519_key.pub" >"$new/etc/ssh/ssh_host_ed25519_key.pub"
    admit root /root
    admit lab /home/lab
    admit labpw /home/labpw
}

admit() {
    mkdir -p -m 0700 "$new$2/.ssh"
    (umask 077 && cat "$lab/id_ed25519.pub" >"$new$2/.ssh/authorized_keys") || fail "cannot admit $1"
    [ "$1" = root ] || chroot "$new" chown -R "$1:" "$2/.ssh"
}

mount_kernel() {
    must mount -t proc -o nosuid,nodev,noexec proc "$new/proc"
    must mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$new/sys"
    must mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$new/sys/fs/cgroup"
    [ ! -e "$new/proc/sysrq-trigger" ] || must mount --bind /dev/null "$new/proc/sysrq-trigger"
    # Of /proc/sys only net (and a few names in kernel) belongs to a namespace; the rest is the machine's. The host
    # gets a copy, where a setting is kept and read back as anywhere, but reaches nobody.
    must mount --bind "$new/proc/sys" "$dir/sys"
    must mount -t tmpfs -o mode=0755,nosuid,nodev,noexec sysctl "$new/proc/sys"
    for part in "$dir/sys"/*; do
        case ${part##*/} in
        net) mkdir "$new/proc/sys/net" && must mount --bind "$part" "$new/proc/sys/net" ;;
        *) cp -r "$part" "$new/proc/sys/" 2>/dev/null ;; # some can only be written
        esac
    done
    for live in kernel/hostname kernel/domainname kernel/random; do
        must mount --bind "$dir/sys/$live" "$new/proc/sys/$live"
    done
    umount "$dir/sys"
}

mount_devices() {
    must mount -t tmpfs -o mode=0755,nosuid dev "$new/dev"
    must cp -a /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty "$new/dev/"
    mkdir "$new/dev/net" "$new/dev/pts" "$new/dev/shm" "$new/dev/mqueue"
    must mknod -m 0666 "$new/dev/net/tun" c 10 200
    must mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5,nosuid,noexec devpts "$new/dev/pts"
    must mount -t tmpfs -o mode=1777,nosuid,nodev shm "$new/dev/shm"
    must mount -t mqueue -o nosuid,nodev,noexec mqueue "$new/dev/mqueue"
    ln -s pts/ptmx "$new/dev/ptmx"
    ln -s null "$new/dev/console"
    ln -s /proc/self/fd "$new/dev/fd"
    ln -s fd/0 "$new/dev/stdin"
    ln -s fd/1 "$new/dev/stdout"
    ln -s fd/2 "$new/dev/stderr"
}

# The hosts' processes and the links'; then, when those are gone and have been waited for, the supervisors.
members() {
    found=$(find "$group" \( -path '*/host-*' -o -path '*/links/*' \) -name cgroup.procs -exec cat {} + 2>/dev/null)
    [ -n "$found" ] || found=$(cat "$group/supervisors/cgroup.procs" 2>/dev/null)
    echo "$found"
}

sweep() {
    see_groups
    tries=0
    while alive=$(members) && [ -n "$alive" ]; do
        tries=$((tries + 1))
        [ "$tries" -lt 500 ] || fail "processes that do not end: $alive"
        kill -KILL $alive 2>/dev/null
        sleep 0.02
    done
    [ ! -d "$group" ] || find "$group" -depth -type d -exec rmdir {} \; || fail "cannot remove the cgroup $group"
    rmdir "$groups/tbctl-lab" 2>/dev/null
    exit 0
}

[ "$stage" != links ] || shift 3
"$stage" "$@"
