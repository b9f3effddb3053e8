# Whether something listens on this port (hex) of the loopback interface or of all: state 0A in the kernel's own list.
_tb_listens() {
	for _tb_p in /proc/net/tcp /proc/net/tcp6; do
		[ -r "$_tb_p" ] || continue
		while read -r _tb_n _tb_l _tb_r _tb_x _tb_y; do
			case $_tb_x:$_tb_l in
			0A:00000000:"$1" | 0A:0100007F:"$1" | 0A:00000000000000000000000000000000:"$1" | \
				0A:00000000000000000000000001000000:"$1" | 0A:0000000000000000FFFF00000100007F:"$1") return 0 ;;
			esac
		done <"$_tb_p"
	done
	return 1
}
_tb_connects() {
	if command -v bash >/dev/null && command -v timeout >/dev/null; then
		timeout "$3" bash -c ': <"/dev/tcp/$1/$2"' bash "$1" "$2" 2>/dev/null
	elif command -v nc >/dev/null; then
		nc -z -w "$3" "$1" "$2" >/dev/null 2>&1
	else
		echo 'this host has neither bash nor nc to reach a port with' >&2
		exit 1
	fi
}
