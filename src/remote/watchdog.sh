# The dead-man switch: what a part did is taken back by its own host, unless a new connection says in time that it came through.
# POSIX sh only. Sent just before a stream that needs it, and to whoever comes to confirm.

# `settled` in the run directory is made by whoever decides first: the watchdog, that it takes all back, or the new connection,
# that all stays.

# $1: seconds, $2: the watchdog's text. It has a session of its own, so that it outlives this one. The end of its output is
# waited for; it closes it when it is awake.
_tb_arm() {
	_tb_x=$(
		exec 2>/dev/null </dev/null
		cd / && printf '%s\n' "$2" >"$_tb_r/watchdog" || exit
		set -- sh "$_tb_r/watchdog" "$_tb_r" "$_tb_j" "$_tb_umask" "$1"
		if command -v setsid >/dev/null; then setsid "$@" & else "$@" & fi
	)
	[ "$_tb_x" = awake ] || _tb_s=unwatched
}

# The watchdog's life. $1: the run directory, $2: the journal's, $3: the umask, $4: seconds. A host that goes down in order tells
# it so, and then all is taken back at once.
_tb_watch() {
	umask 077
	_tb_r=$1 _tb_j=$2 _tb_umask=$3 _tb_m=- _tb_s= _tb_gone=
	trap '' HUP INT PIPE
	_tb_w= _tb_down=
	# Another signal would be lost on a process that is only just being made.
	trap '_tb_down=yes; [ -z "$_tb_w" ] || kill -9 "$_tb_w"' TERM
	_tb_live=
	for _tb_n in $_tb_units; do
		! systemctl is-active -q -- "$_tb_n" 2>/dev/null || _tb_live="$_tb_live $_tb_n"
	done
	printf '%s %s\n' $$ "$(_tb_born $$)" >"$_tb_r/awake" || exit
	echo awake
	exec >/dev/null 2>&1
	sleep "$4" &
	_tb_w=$!
	[ -z "$_tb_down" ] || kill -9 "$_tb_w"
	wait "$_tb_w"
	# Once more, for it may have been told when it waited already.
	wait "$_tb_w"
	mkdir "$_tb_r/settled" || exit
	_tb_halt
	# What is said from here on is read by the next connection.
	_tb_r=$_tb_r/${_tb_r##*/}
	mkdir "$_tb_r"
	_tb_back
	_tb_revive
	_tb_tell A back
}

# Ends the stream, if it still runs.
_tb_halt() {
	case $(_tb_latest "$_tb_r/log") in A*) return ;; esac
	read -r _tb_p _tb_x <"$_tb_r/pid"
	[ "$(_tb_born "$_tb_p")" != "$_tb_x" ] || _tb_kill "$_tb_p"
}

# The last line of a file.
_tb_latest() {
	_tb_l=
	[ ! -e "$1" ] || while read -r _tb_n; do _tb_l=$_tb_n; done <"$1"
	printf '%s\n' "$_tb_l"
}

# Starts units that ran before, and do not run any more: a service that could not be restarted under what it was given.
_tb_revive() {
	for _tb_n in $_tb_live; do
		systemctl is-active -q -- "$_tb_n" || { systemctl reset-failed -- "$_tb_n" && systemctl start -- "$_tb_n"; }
	done
}

# The lock of this run is held by another shell from now on. $1: the run and its owner.
_tb_lock_on() {
	_tb_x=
	{ IFS= read -r _tb_x; } 2>/dev/null <"$_tb_j/lock"
	[ "$_tb_x" != "$1" ] || {
		printf '%s\n%s %s\n' "$1" $$ "$(_tb_born $$)" >"$_tb_j/lock.new" && mv -f "$_tb_j/lock.new" "$_tb_j/lock"
	}
}

# Says that a new connection has come. $1: the stream's name. If all is being taken back, the end of that is waited for.
_tb_sure() {
	_tb_run "$1"
	_tb_p= _tb_x=
	[ ! -e "$_tb_r/awake" ] || read -r _tb_p _tb_x <"$_tb_r/awake"
	if mkdir "$_tb_r/settled" 2>/dev/null; then
		[ -z "$_tb_p" ] || [ "$(_tb_born "$_tb_p")" != "$_tb_x" ] || _tb_kill "$_tb_p"
		set -- "$1" sure
	elif [ ! -e "$_tb_r/settled" ]; then
		set -- "$1" gone
	else
		while case $(_tb_latest "$_tb_r/$1/log") in A*) false ;; esac && [ "$(_tb_born "$_tb_p")" = "$_tb_x" ]; do
			sleep 0.2 2>/dev/null || sleep 1
		done
		set -- "$1" broken
		[ ! -e "$_tb_r/$1/log" ] || while read -r _tb_l; do
			case $_tb_l in
			A*) set -- "$1" back ;;
			*) _tb_say "$_tb_l" ;;
			esac
		done <"$_tb_r/$1/log"
	fi
	rm -rf "$_tb_r"
	_tb_say V "$2"
}
