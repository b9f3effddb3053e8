echo @paths
for _tb_p in /sys/class/net/*/bridge /sys/class/net/*/bonding /sys/class/net/*/wireless /sys/class/net/*/brif/*; do
	[ ! -e "$_tb_p" ] || printf '%s\n' "$_tb_p"
done
echo @ip
command -v ip >/dev/null && ip -o addr 2>/dev/null
