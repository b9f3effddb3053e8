# Functions of tbctl's scripts. POSIX sh only; every name starts with _tb_, so that the user's text meets none of its own.

# Type letters, then `stat` of what exists, then digests of readable regular files. $1: -L to follow links.
_tb_paths() {
	_tb_f=$1
	shift
	_tb_letters "$@"
	set --
	eval "$_tb_there"
	[ $# -gt 0 ] || return 0
	QUOTING_STYLE=literal stat $_tb_f -c '%f|%u|%g|%U|%G|%N' "$@" 2>/dev/null
	set --
	eval "$_tb_files"
	[ $# -eq 0 ] || sha256sum "$@" 2>/dev/null
}

_tb_stats() {
	_tb_f=$1
	shift
	_tb_letters "$@"
	set --
	eval "$_tb_there"
	[ $# -gt 0 ] || return 0
	QUOTING_STYLE=literal stat $_tb_f -c '%f|%u|%g|%U|%G|%s|%h|%i|%d|%X|%Y|%Z|%b|%N' "$@" 2>/dev/null
	set --
	eval "$_tb_files"
	[ $# -eq 0 ] || sha1sum "$@" 2>/dev/null
}

# Prints a letter for each path; leaves commands that set the arguments to what exists and to what can be read.
_tb_letters() {
	_tb_b= _tb_i=0 _tb_there='set --' _tb_files='set --'
	for _tb_p do
		_tb_i=$((_tb_i + 1)) _tb_t=-
		if [ -z "$_tb_f" ] && [ -h "$_tb_p" ]; then
			_tb_t=l
		elif [ -f "$_tb_p" ]; then
			if [ -r "$_tb_p" ]; then _tb_t=f; else _tb_t=u; fi
		elif [ -d "$_tb_p" ]; then
			_tb_t=d
		elif [ -e "$_tb_p" ]; then
			_tb_t=o
		fi
		_tb_b=$_tb_b$_tb_t
		if [ $_tb_t != - ]; then
			eval "_tb_a$_tb_i=\$_tb_p"
			_tb_there="$_tb_there \"\$_tb_a$_tb_i\""
			[ $_tb_t != f ] || _tb_files="$_tb_files \"\$_tb_a$_tb_i\""
		fi
	done
	printf '%s\n' "$_tb_b"
}

# Every line with its file's name in front. /proc/sys is left to grep: dash's read gets just the first digit there.
_tb_texts() {
	_tb_i=$#
	while [ $_tb_i -gt 0 ]; do
		_tb_p=$1
		shift
		_tb_i=$((_tb_i - 1))
		if [ -f "$_tb_p" ] && [ -r "$_tb_p" ]; then set -- "$@" "$_tb_p"; fi
	done
	[ $# -eq 0 ] || grep -H '' "$@" 2>/dev/null || :
}

_tb_packages() {
	dpkg-query -W -f='${Package} ${db:Status-Abbrev}${Version}\n' "$@" 2>/dev/null || :
}

_tb_units() {
	systemctl show -p LoadState -p ActiveState -p UnitFileState "$@" 2>/dev/null || :
}

# The lines of a colon separated file that start with these names, an empty one where there is none.
_tb_entries() {
	_tb_p=$1
	shift
	for _tb_n do
		_tb_x=
		if [ -r "$_tb_p" ]; then
			while IFS= read -r _tb_l; do
				case $_tb_l in "$_tb_n":*)
					_tb_x=$_tb_l
					break
					;;
				esac
			done <"$_tb_p"
		fi
		printf '%s\n' "$_tb_x"
	done
}

# `user:group` for every group that lists one of the users.
_tb_member() {
	while IFS=: read -r _tb_n _tb_x _tb_x _tb_l; do
		for _tb_p do
			case ,$_tb_l, in *,"$_tb_p",*) printf '%s:%s\n' "$_tb_p" "$_tb_n" ;; esac
		done
	done </etc/group
}

# A read-only script of a kind; it always ends its output with a line end.
_tb_look() {
	_tb_x=$(eval "$1" 2>/dev/null </dev/null)
	[ -z "$_tb_x" ] || printf '%s\n' "$_tb_x"
}

# A mark between frames, with its words. The line end in front of it is its own.
_tb_say() {
	printf '\n%s %s\n' "$_tb_m" "$*"
}

# Where the journal of a testbed is: sets _tb_j. Root's is below /var/lib, everybody else's below the home directory.
_tb_home() {
	if [ -O / ]; then
		_tb_b=/var/lib
	else
		_tb_b=${XDG_STATE_HOME:-${HOME:-/nonexistent}/.local/state}
	fi
	_tb_j=$_tb_b/tbctl/$1
}

# The journal's text between two marks; no process if there is none.
_tb_journal() {
	_tb_say J
	[ ! -s "$_tb_j/journal" ] || cat "$_tb_j/journal"
	_tb_say .
}

# Kills a process and all that come from it, children first stopped so that none escapes.
_tb_kill() {
	kill -STOP "$1" 2>/dev/null
	for _tb_x in $(_tb_children "$1"); do (_tb_kill "$_tb_x"); done
	kill -KILL "$1" 2>/dev/null
}

_tb_children() {
	for _tb_p in /proc/[0-9]*/stat; do
		read -r _tb_l 2>/dev/null <"$_tb_p" || continue
		_tb_n=${_tb_l##*) }
		_tb_n=${_tb_n#* }
		[ "${_tb_n%% *}" != "$1" ] || printf '%s\n' "${_tb_l%% *}"
	done
}
