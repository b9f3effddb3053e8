_tb_p= _tb_b=
[ ! -e "$_tb_d/pid" ] || read -r _tb_p _tb_b <"$_tb_d/pid"
if [ -n "$_tb_p" ] && { read -r _tb_l <"/proc/$_tb_p/stat"; } 2>/dev/null; then
	set -f
	set -- ${_tb_l##*) }
	set +f
	[ "${20}" != "$_tb_b" ] || kill "$_tb_p" 2>/dev/null
fi
rm -rf "$_tb_d"
