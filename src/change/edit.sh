
# Writes standard input over a file: beside it, synced, renamed. $2 $3 $4: mode, owner, group; `-` or nothing keeps the old ones.
# A link is followed; a file that cannot be renamed over (a bind mount) is written in place.
_tb_over() {
	_tb_p=$1
	[ ! -h "$_tb_p" ] || _tb_p=$(readlink -f "$_tb_p") || return
	_tb_n=$(mktemp "${_tb_p%/*}/.tb.XXXXXX") || return
	{
		{ [ ! -e "$_tb_p" ] || cp -a "$_tb_p" "$_tb_n"; } &&
			cat >"$_tb_n" &&
			{ [ "${3:--}" = - ] || chown -- "$3" "$_tb_n"; } &&
			{ [ "${4:--}" = - ] || chgrp -- "$4" "$_tb_n"; } &&
			{ [ "${2:--}" = - ] || chmod "$2" "$_tb_n"; } &&
			{ sync "$_tb_n" 2>/dev/null || sync; } &&
			{ mv -f "$_tb_n" "$_tb_p" 2>/dev/null || { cat "$_tb_n" >"$_tb_p" && rm -f "$_tb_n"; }; }
	} && return
	rm -f "$_tb_n"
	return 1
}
