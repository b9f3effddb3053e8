
# Writes standard input over a file: beside it, synced, renamed. $2 $3 $4: mode, owner, group; `-` or nothing keeps the old ones.
# A link is followed; a file that cannot be renamed over (a bind mount) is written in place. $_tb_v: a command that must accept
# the file "$_tb_n" first.
_tb_over() {
	_tb_p=$1
	[ ! -h "$_tb_p" ] || _tb_p=$(readlink -f "$_tb_p") || return
	_tb_n=$(mktemp "${_tb_p%/*}/.tb.XXXXXX") || return
	_tb_beside "$_tb_n"
	{
		{ [ ! -e "$_tb_p" ] || cp -a "$_tb_p" "$_tb_n"; } &&
			cat >"$_tb_n" &&
			{ [ "${3:--}" = - ] || chown -- "$3" "$_tb_n"; } &&
			{ [ "${4:--}" = - ] || chgrp -- "$4" "$_tb_n"; } &&
			{ [ "${2:--}" = - ] || chmod "$2" "$_tb_n"; } &&
			{ [ -z "${_tb_v-}" ] || (eval "$_tb_v") >&2; } &&
			{ sync "$_tb_n" 2>/dev/null || sync; } &&
			{ mv -f "$_tb_n" "$_tb_p" 2>/dev/null || { cat "$_tb_n" >"$_tb_p" && rm -f "$_tb_n"; }; }
	} && return
	rm -f "$_tb_n"
	return 1
}

# Whether a file's last line has no end.
_tb_open() {
	[ -n "$(tail -c 1 "$1")" ]
}

# Prints a file with lines replaced by those of the file $4: $2 the first, $3 how many. All else stays, byte for byte.
_tb_splice() {
	{ [ "$2" -le 1 ] || head -n $(($2 - 1)) "$1"; } &&
		{ [ ! -s "$4" ] || [ "$2" -le "$(grep -c '' "$1")" ] || ! _tb_open "$1" || echo; } &&
		cat "$4" &&
		tail -n +$(($2 + $3)) "$1"
}

# Replaces lines of a file by standard input: $2 the first, $3 how many. Kept in $_tb_k for the way back: `mine`, the lines
# that were ever written; and from the first time `old`, those that were there, `at`, where, and `open`, if the last line had no end.
_tb_edit() {
	cat >"$_tb_k/put" && cat "$_tb_k/put" >>"$_tb_k/mine" || return
	if [ ! -s "$_tb_k/at" ]; then
		tail -n "+$2" "$1" | head -n "$3" >"$_tb_k/old"
		if [ $(($2 + $3)) -gt "$(grep -c '' "$1")" ] && _tb_open "$1"; then
			: >"$_tb_k/open"
			[ ! -s "$_tb_k/old" ] || echo >>"$_tb_k/old"
		fi
		printf '%s\n' "$2" >"$_tb_k/at" || return
	fi
	_tb_splice "$1" "$2" "$3" "$_tb_k/put" >"$_tb_k/new" && _tb_over "$1" <"$_tb_k/new" && rm -f "$_tb_k/new"
}

# Puts `old` in the place of lines of a file.
_tb_unedit() {
	_tb_t=$(grep -c '' "$1")
	[ "$2" -le "$_tb_t" ] || set -- "$1" $((_tb_t + 1)) 0
	_tb_splice "$1" "$2" "$3" "$_tb_k/old" >"$_tb_k/new" || return
	if [ -e "$_tb_k/open" ] && [ $(($2 + $3)) -gt "$_tb_t" ] && [ -s "$_tb_k/new" ] && ! _tb_open "$_tb_k/new"; then
		head -c $(($(wc -c <"$_tb_k/new") - 1)) "$_tb_k/new" >"$_tb_k/next" && mv -f "$_tb_k/next" "$_tb_k/new" || return
	fi
	_tb_over "$1" <"$_tb_k/new" && rm -f "$_tb_k/at" "$_tb_k/new"
}

# Takes lines out of a file, by their numbers in ascending order; `gone` keeps them, each with its number in front.
_tb_take_out() {
	_tb_d=$1
	shift
	_tb_w= _tb_z=
	[ -e "$_tb_k/done" ] || { : >"$_tb_k/gone" && _tb_w=yes; } || return
	cat "$_tb_d" >"$_tb_k/new" && : >"$_tb_k/none" || return
	_tb_i=0
	for _tb_a do
		_tb_l=$(tail -n "+$_tb_a" "$_tb_d" | head -n 1)
		if [ -s "$_tb_k/at" ] && printf '%s\n' "$_tb_l" | grep -qxF -f "$_tb_k/mine"; then
			_tb_z=yes
		elif [ -n "$_tb_w" ]; then
			printf '%s:%s\n' "$_tb_a" "$_tb_l" >>"$_tb_k/gone"
			if [ "$_tb_a" -ge "$(grep -c '' "$_tb_d")" ] && _tb_open "$_tb_d"; then : >"$_tb_k/open"; fi
		fi
		_tb_splice "$_tb_k/new" $((_tb_a - _tb_i)) 1 "$_tb_k/none" >"$_tb_k/next" && mv -f "$_tb_k/next" "$_tb_k/new" || return
		_tb_i=$((_tb_i + 1))
	done
	_tb_over "$_tb_d" <"$_tb_k/new" && { [ -z "$_tb_z" ] || : >"$_tb_k/mine"; } && rm -f "$_tb_k/new" "$_tb_k/none" && : >"$_tb_k/done"
}

# How often what was written is in a file, and what was taken out.
_tb_line_state() {
	[ ! -s "$_tb_k/mine" ] || printf 'mine %s\n' "$(grep -cxF -f "$_tb_k/mine" "$1")"
	[ ! -s "$_tb_k/gone" ] || printf 'gone %s\n' "$(cut -d: -f2- "$_tb_k/gone" | grep -cxF -f - "$1")"
}

# The way back of a line: what was written becomes what was there, and what was taken out comes back.
_tb_line_back() {
	if [ ! -f "$1" ]; then
		rm -f "$_tb_k/at" "$_tb_k/mine" "$_tb_k/gone" "$_tb_k/done" "$_tb_k/open"
		return
	fi
	if [ -s "$_tb_k/at" ]; then
		read -r _tb_a <"$_tb_k/at"
		_tb_c=
		[ ! -s "$_tb_k/mine" ] || for _tb_i in $(grep -nxF -f "$_tb_k/mine" "$1" | cut -d: -f1); do
			if [ -z "$_tb_c" ] || [ "$_tb_i" = "$_tb_a" ]; then _tb_c=$_tb_i; fi
		done
		if [ -n "$_tb_c" ]; then
			_tb_unedit "$1" "$_tb_c" 1
		elif [ -s "$_tb_k/old" ] && [ "$(tail -n "+$_tb_a" "$1" | head -n 1)" != "$(cat "$_tb_k/old")" ]; then
			_tb_unedit "$1" "$_tb_a" 0
		fi || return
	fi
	[ ! -s "$_tb_k/gone" ] || while IFS= read -r _tb_l; do
		_tb_a=${_tb_l%%:*} _tb_l=${_tb_l#*:}
		# Taken out or put back halfway: it may be there.
		if [ "$(tail -n "+$_tb_a" "$1" | head -n 1)" = "$_tb_l" ]; then continue; fi
		printf '%s\n' "$_tb_l" >"$_tb_k/old"
		_tb_unedit "$1" "$_tb_a" 0 || return
	done <"$_tb_k/gone" || return
	rm -f "$_tb_k/mine" "$_tb_k/gone" "$_tb_k/done" "$_tb_k/open"
}

# Sets _tb_a and _tb_c to the first line and the length of a block between two marker lines; _tb_a is 0 if there is none.
_tb_block() {
	_tb_a=0 _tb_c=0
	_tb_x=$(printf '%s\n' "$2" | grep -nxF -f - "$1" | tail -n 1)
	_tb_y=$(printf '%s\n' "$3" | grep -nxF -f - "$1" | tail -n 1)
	_tb_x=${_tb_x%%:*} _tb_y=${_tb_y%%:*}
	if [ -z "$_tb_x" ] || [ -z "$_tb_y" ]; then return; fi
	_tb_a=$_tb_x _tb_c=$((_tb_y - _tb_x + 1))
	if [ "$_tb_x" -gt "$_tb_y" ]; then _tb_a=$_tb_y _tb_c=$((_tb_x - _tb_y + 1)); fi
}

# The digest of a block with its markers; nothing if there is none.
_tb_block_sum() {
	[ -f "$1" ] || return 0
	_tb_block "$@"
	[ "$_tb_a" = 0 ] || tail -n "+$_tb_a" "$1" | head -n "$_tb_c" | sha256sum
}

_tb_block_back() {
	if [ ! -s "$_tb_k/at" ] || [ ! -f "$1" ]; then return 0; fi
	_tb_block "$@"
	if [ "$_tb_a" = 0 ]; then
		[ -s "$_tb_k/old" ] || return 0
		read -r _tb_a <"$_tb_k/at"
	fi
	_tb_unedit "$1" "$_tb_a" "$_tb_c"
}

# Keeps a copy of the file $1 beside it, with the ending $2. Whatever takes the step back takes the copy along.
_tb_backup() {
	_tb_bn=$1.$2 _tb_bi=0
	while [ -e "$_tb_bn" ]; do _tb_bi=$((_tb_bi + 1)) _tb_bn=$1.$_tb_bi.$2; done
	{ [ ! -d "${_tb_k-}" ] || printf '%s\n' "$_tb_bn" >>"$_tb_k/backups"; } && cp -a -- "$1" "$_tb_bn"
}

# Says what a path is like now, for the task's result.
_tb_as_is() {
	stat -c '@stat %a %u %g %U %G %s' -- "$1" 2>/dev/null || :
}

# Notes a file that is made beside another for a moment, and that a crash would leave there.
_tb_beside() {
	[ ! -d "${_tb_k-}" ] || printf '%s\n' "$1" >>"$_tb_k/beside"
}

# Removes what a crash has left beside files.
_tb_sweep() {
	[ -s "$_tb_k/beside" ] || return 0
	while IFS= read -r _tb_l; do
		if [ -e "$_tb_l" ] || [ -h "$_tb_l" ]; then rm -f -- "$_tb_l"; fi
	done <"$_tb_k/beside"
	true >"$_tb_k/beside"
}
