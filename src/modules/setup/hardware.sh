# Only file systems on local devices are asked for their size: a dead network file system would not answer.
echo @paths
for _tb_p in /.dockerenv /run/.containerenv /sys/module/kvm; do
	[ ! -e "$_tb_p" ] || printf '%s\n' "$_tb_p"
done
set --
while read -r _tb_e _tb_p _tb_l; do
	case $_tb_e in /dev/*)
		case $_tb_p in *\\*) _tb_p=$(printf '%b' "$_tb_p") ;; esac
		set -- "$@" "$_tb_p"
		;;
	esac
done </proc/mounts
echo @sizes
[ $# -eq 0 ] || stat -f -c '%S|%b|%a|%c|%d|%n' "$@" 2>/dev/null
