if [ -e "$_tb_d/run" ]; then
	_tb_x= _tb_y=open _tb_p= _tb_b=
	read -r _tb_x <"$_tb_d/run"
	[ ! -e "$_tb_d/end" ] || read -r _tb_y _tb_l <"$_tb_d/end"
	[ ! -e "$_tb_d/pid" ] || read -r _tb_p _tb_b <"$_tb_d/pid"
	if [ -n "$_tb_p" ] && { read -r _tb_l <"/proc/$_tb_p/stat"; } 2>/dev/null; then
		set -f
		set -- ${_tb_l##*) }
		set +f
		[ "${20}" != "$_tb_b" ] || _tb_y=running
	fi
	printf '%s %s %s\n' "$_tb_x" "$_tb_y" "$(grep -c '^[rh].*\.$' "$_tb_d/rows")"
fi
