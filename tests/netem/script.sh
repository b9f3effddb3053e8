# What happens inside of the machine whose kernel has netem: the lab's own links, then the role, by SSH. Each line that
# begins with `=` is a finding.
export TERM=dumb
say() { echo "= $*"; }
up() { "$tbctl" lab up "$1" --rootfs "$lower" >/dev/null 2>up.log || { cat up.log; say "no lab"; exit 1; }; }
address() { "$tbctl" lab status hosts.yaml | awk -v host="$1" '$1 == host { print $3 }'; }
on() { host=$1; shift; "$tbctl" lab exec hosts.yaml "$host" -- "$@"; }
rtt() { say "rtt $1 $2 $3 $(on "$2" ping -n -q -c 30 -i 0.03 -W 2 "$(address "$3")" | sed -n 's|^rtt.* = \([0-9.]*\)/.*|\1|p')"; }
changed() { "$tbctl" apply --json hosts.yaml netem.yaml "$@" >events 2>&1; say "changed $? $(grep -c '"is":"changed"' events)"; }
shown() { for host in a1 a2 b1; do on "$host" sh -c 'tc qdisc show dev eth0; tc class show dev eth0; tc filter show dev eth0'; done; }
links() { sed "s|^    links: .*|    links: $1|" hosts.yaml >new && mv new hosts.yaml; }

up hosts.yaml
say "by $("$tbctl" lab status hosts.yaml --json | grep -o '"by":"[a-z]*"' | sort -u)"
rtt lab a1 b1
rtt lab b1 a2
rtt lab a1 a2
links '[{between: [a, b], rtt: 20ms, rate: 50mbit}]'
up hosts.yaml
rtt lab-changed b1 a1
rtt lab-plain a1 a2
say "words $(tc qdisc show | grep -c 'netem.*rate 50Mbit')"
links '[]'
up hosts.yaml
say "left $(tc qdisc show | grep -c -e netem -e htb)"
rtt plain a1 b1

shown >before
changed -e @role.yaml
rtt role a1 b1
rtt role b1 a2
rtt role a1 a2
changed -e @role.yaml
sed -i 's/12ms/24ms/' role.yaml
changed -e @role.yaml
rtt role-changed b1 a1
changed -e @role.yaml -e netem_persistent=true
on a1 sh -c 'tc qdisc delete dev eth0 root && systemctl start tbctl-netem'
rtt role-rebooted a1 b1
changed -e @role.yaml -e netem_persistent=true
"$tbctl" destroy hosts.yaml --yes >destroy.log 2>&1
say "destroyed $?"
shown >after
cmp before after && say same
on a1 ls /usr/local/sbin/tbctl-netem /etc/systemd/system/tbctl-netem.service
# Somebody else's work stays.
on a1 tc qdisc add dev eth0 root handle 5: pfifo limit 500
"$tbctl" apply --json hosts.yaml netem.yaml -e @role.yaml >events 2>&1
say "refused $?"
say "why $(grep -o 'queueing discipline of somebody else, `[^`]*`' events | head -n 1)"
say "foreign $(on a1 tc qdisc show dev eth0 | grep -c 'pfifo 5: root')"
"$tbctl" lab down hosts.yaml
say end
