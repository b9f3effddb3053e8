# Functions of tbctl's scripts. POSIX sh only; every name starts with _tb_, so that the user's text meets none of its own.

# Type letters, then `stat` of what exists, then digests of readable regular files. Behind -L links are followed: what one leads
# to has a capital letter, and its line of `stat` comes after all others. Behind -S and -SL everything `stat` knows is printed,
# and the digests are those of `sha1sum`.
_tb_paths() {
	_tb_letters "$@"
	set --
	eval "$_tb_there"
	[ $# -eq 0 ] || _tb_stat $_tb_short '' "$@"
	set --
	eval "$_tb_led"
	[ $# -eq 0 ] || _tb_stat $_tb_short_led -L "$@"
	set --
	eval "$_tb_files"
	[ $# -eq 0 ] || sha256sum "$@" 2>/dev/null
	set --
	eval "$_tb_summed"
	[ $# -eq 0 ] || sha1sum "$@" 2>/dev/null
}

# $1: of how many only what is canonical is printed; $2: -L or nothing.
_tb_stat() {
	_tb_i=$1 _tb_f=$2
	shift 2
	if [ $_tb_i -ge $# ]; then
		QUOTING_STYLE=literal stat $_tb_f -c '%f|%u|%g|%U|%G|%N' "$@" 2>/dev/null
		return
	fi
	QUOTING_STYLE=literal stat $_tb_f -c '%s|%h|%i|%d|%X|%Y|%Z|%b|%f|%u|%g|%U|%G|%N' "$@" 2>/dev/null |
		while IFS= read -r _tb_l; do
			_tb_i=$((_tb_i - 1))
			[ $_tb_i -lt 0 ] || _tb_l=${_tb_l#*|*|*|*|*|*|*|*|}
			printf '%s\n' "$_tb_l"
		done
}

# Prints a letter for each path; leaves commands that set the arguments to what exists, to what links lead to, and to what
# can be read.
_tb_letters() {
	_tb_b= _tb_i=0 _tb_f= _tb_short=0 _tb_short_led=0
	_tb_there='set --' _tb_led='set --' _tb_files='set --' _tb_summed='set --'
	for _tb_p do
		case $_tb_p in
		'') continue ;;
		-L | -S | -SL)
			_tb_f=$_tb_p
			continue
			;;
		esac
		_tb_i=$((_tb_i + 1)) _tb_t=- _tb_x=
		if [ -h "$_tb_p" ]; then _tb_x=yes; fi
		case $_tb_x$_tb_f in
		yes | yes-S) _tb_t=l _tb_x= ;;
		*)
			if [ -f "$_tb_p" ]; then
				if [ -r "$_tb_p" ]; then _tb_t=f; else _tb_t=u; fi
			elif [ -d "$_tb_p" ]; then
				_tb_t=d
			elif [ -e "$_tb_p" ]; then
				_tb_t=o
			fi
			;;
		esac
		if [ $_tb_t != - ]; then
			eval "_tb_a$_tb_i=\$_tb_p"
			case $_tb_t$_tb_f in
			f-S*) _tb_summed="$_tb_summed \"\$_tb_a$_tb_i\"" ;;
			f*) _tb_files="$_tb_files \"\$_tb_a$_tb_i\"" ;;
			esac
			if [ -z "$_tb_x" ]; then
				_tb_there="$_tb_there \"\$_tb_a$_tb_i\""
				case $_tb_f in -S*) ;; *) _tb_short=$((_tb_short + 1)) ;; esac
			else
				_tb_led="$_tb_led \"\$_tb_a$_tb_i\""
				case $_tb_f in -S*) ;; *) _tb_short_led=$((_tb_short_led + 1)) ;; esac
				case $_tb_t in f) _tb_t=F ;; u) _tb_t=U ;; d) _tb_t=D ;; *) _tb_t=O ;; esac
			fi
		fi
		_tb_b=$_tb_b$_tb_t
	done
	printf '%s\n' "$_tb_b"
}

# Every line with its file's name in front; behind -g are patterns of files, told from the others by a line of this file.
# /proc/sys is left to grep: dash's read gets just the first digit there.
_tb_texts() {
	_tb_i=$# _tb_f=
	while [ $_tb_i -gt 0 ]; do
		_tb_p=$1
		shift
		_tb_i=$((_tb_i - 1))
		case $_tb_f$_tb_p in
		-g) _tb_f=g && set -- "$@" /proc/sys/kernel/ostype ;;
		g*) for _tb_x in $_tb_p; do
			if [ -f "$_tb_x" ] && [ -r "$_tb_x" ]; then set -- "$@" "$_tb_x"; fi
		done ;;
		*) if [ -f "$_tb_p" ] && [ -r "$_tb_p" ]; then set -- "$@" "$_tb_p"; fi ;;
		esac
	done
	[ $# -eq 0 ] || grep -H '' "$@" 2>/dev/null || :
}

_tb_packages() {
	dpkg-query -W -f='${Package} ${db:Status-Abbrev}${Version}\n' "$@" 2>/dev/null || :
}

# Three properties of each unit; of those behind -r, whether their files were changed since they were read.
_tb_units() {
	_tb_i=0 _tb_n=$#
	for _tb_p do
		shift
		if [ "$_tb_p" = -r ]; then _tb_n=$_tb_i; else set -- "$@" "$_tb_p"; fi
		_tb_i=$((_tb_i + 1))
	done
	if [ $_tb_n -ge $# ]; then
		systemctl show -p LoadState -p ActiveState -p UnitFileState "$@" 2>/dev/null || :
		return
	fi
	systemctl show -p LoadState -p ActiveState -p UnitFileState -p NeedDaemonReload "$@" 2>/dev/null |
		while IFS= read -r _tb_l; do
			case $_tb_l in
			'') _tb_n=$((_tb_n - 1)) && echo ;;
			Need*) [ $_tb_n -gt 0 ] || printf '%s\n' "$_tb_l" ;;
			*) [ $_tb_n -le 0 ] || printf '%s\n' "$_tb_l" ;;
			esac
		done
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

# A read-only script of a kind; it always ends its output with a line end. 75: whoever has to be asked does not answer, which is
# no state.
_tb_look() {
	_tb_x=$(eval "$1" 2>/dev/null </dev/null)
	[ $? != 75 ] || _tb_mute=yes
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

# The journal's text between two marks, and a line with the numbers of all entries that have a place; no process if there is
# neither.
_tb_journal() {
	_tb_x=
	for _tb_p in "$_tb_j"/k/*; do
		[ ! -d "$_tb_p" ] || _tb_x="$_tb_x ${_tb_p##*/}"
	done
	_tb_say J
	# What is there and cannot be read is no journal; what another run has just removed is none either.
	[ ! -e "$_tb_j/journal" ] || cat "$_tb_j/journal" 2>/dev/null || [ ! -e "$_tb_j/journal" ] || echo unreadable
	[ -z "$_tb_x" ] || printf '\n@places%s' "$_tb_x"
	_tb_say .
}

# Handlers that an earlier run owes.
_tb_owed() {
	[ ! -s "$_tb_j/pending" ] || while IFS= read -r _tb_l; do _tb_say W "$_tb_l"; done <"$_tb_j/pending"
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
