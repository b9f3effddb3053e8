# What surrounds a benchmark, as lines: kernel, os, mtu, tunnel, version, ping. $@: NAME ADDRESS pairs, shift by 2.
LC_ALL=C
export LC_ALL
printf 'kernel %s\n' "$(uname -r)"
while IFS= read -r _tb_l; do
	case $_tb_l in PRETTY_NAME=*)
		_tb_l=${_tb_l#*=}
		_tb_l=${_tb_l#\"}
		printf 'os %s\n' "${_tb_l%\"}"
		;;
	esac
done 2>/dev/null </etc/os-release
for _tb_p in /sys/class/net/*; do
	[ "${_tb_p##*/}" = lo ] || { read -r _tb_x <"$_tb_p/mtu"; } 2>/dev/null && [ -n "$_tb_x" ] &&
		printf 'mtu %s %s\n' "${_tb_p##*/}" "$_tb_x"
	_tb_x=
done
if command -v wg >/dev/null; then
	# Names of peers are public keys; only the sums matter.
	wg show all transfer 2>/dev/null | while read -r _tb_i _tb_k _tb_x _tb_y; do printf 'tunnel %s %s %s\n' "$_tb_i" "$_tb_x" "$_tb_y"; done
fi
[ -z "$_tb_packages" ] || dpkg-query -W -f 'version ${Package} ${Version}\n' $_tb_packages 2>/dev/null
if [ $# -gt 0 ]; then
	_tb_t=$(mktemp -d) || exit
	# All at once: what is measured is the way, not the host.
	while [ $# -gt 1 ]; do
		ping -n -q -c "$_tb_packets" -i 0.2 -W 2 "$2" >"$_tb_t/$1" 2>/dev/null &
		shift 2
	done
	wait
	for _tb_p in "$_tb_t"/*; do
		while IFS= read -r _tb_l; do
			case $_tb_l in *min/avg/max*) printf 'ping %s %s\n' "${_tb_p##*/}" "${_tb_l##*= }" ;; esac
		done <"$_tb_p"
	done
	rm -rf "$_tb_t"
fi
exit 0
