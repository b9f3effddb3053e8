#!/bin/sh
# Makes a bare system tree ($1) a lab host: what every host shares. Repeatable.
# Everything that differs from host to host is written by host.sh at its first boot.
set -u
root=$1

# Nothing may hold dpkg's lock, wait for hardware or ask at a console that is not there.
mask() {
    for unit; do ln -sfn /dev/null "$root/etc/systemd/system/$unit"; done
}
mkdir -p "$root/etc/systemd/system"
mask systemd-udevd.service systemd-udevd-control.socket systemd-udevd-kernel.socket systemd-udev-trigger.service \
    systemd-udev-settle.service systemd-networkd-wait-online.service NetworkManager-wait-online.service \
    getty@.service console-getty.service dev-hugepages.mount sys-kernel-debug.mount sys-kernel-tracing.mount \
    proc-sys-fs-binfmt_misc.automount
# Off, but as anybody could have switched them off: playbooks do the same.
for timer in apt-daily apt-daily-upgrade dpkg-db-backup e2scrub_all fstrim; do
    rm -f "$root/etc/systemd/system/timers.target.wants/$timer.timer"
done

# Two people: one whom sudo asks for nothing, one whom it asks for the password, which is "labpw".
password='$6$tbctllab$aawtY8.E8Rf1kG0EvhaZN2wKyCQMo/TQM5KxWaDGJ9Fla.BosmpFpDycpRBTHWFK5qX1T7IzHW3oRKjDWRrB60'
shell=/bin/sh
[ -x "$root/bin/bash" ] && shell=/bin/bash
grep -q '^lab:' "$root/etc/passwd" || chroot "$root" useradd -m -U -s "$shell" lab
grep -q '^labpw:' "$root/etc/passwd" || chroot "$root" useradd -m -U -s "$shell" -p "$password" labpw
if [ -d "$root/etc/sudoers.d" ]; then
    printf 'lab ALL=(ALL:ALL) NOPASSWD: ALL\nlabpw ALL=(ALL:ALL) ALL\n' >"$root/etc/sudoers.d/tbctl-lab"
    chmod 0440 "$root/etc/sudoers.d/tbctl-lab"
fi

# Hosts that share a key or an id are not several hosts.
rm -f "$root"/etc/ssh/ssh_host_*_key "$root"/etc/ssh/ssh_host_*_key.pub
: >"$root/etc/machine-id"
if [ -d "$root/etc/ssh/sshd_config.d" ]; then
    printf 'UseDNS no\n' >"$root/etc/ssh/sshd_config.d/tbctl-lab.conf"
fi

# Hosts may live in memory.
mkdir -p "$root/etc/systemd/journald.conf.d"
printf '[Journal]\nSystemMaxUse=16M\nRuntimeMaxUse=8M\n' >"$root/etc/systemd/journald.conf.d/tbctl-lab.conf"
