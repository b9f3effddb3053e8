# Functions of streams and of the way back, sent once to a shell that runs steps. POSIX sh only.

# _tb_r is the run directory, _tb_j the journal's, _tb_k an entry's, _tb_s why the stream stops (empty: it goes on).

# A mark that is also kept in the run directory, for a controller that lost its connection.
_tb_tell() {
	_tb_say "$@"
	printf '%s\n' "$*" >>"$_tb_r/log"
}

# Sets _tb_r for a stream's name.
_tb_run() {
	_tb_r=/tmp/$1
	if [ -d "/var/tmp/$1" ] || { [ ! -d "$_tb_r" ] && [ -w /var/tmp ]; }; then _tb_r=/var/tmp/$1; fi
}

# $1: the stream's name, $2: the directory to be made, which nobody else can have made. A caught signal is an ordinary one
# again in the processes that are started; SIGPIPE comes when the controller is gone, and then the work goes on.
_tb_begin() {
	[ -n "$_tb_umask" ] || _tb_umask=$(umask)
	umask 077
	trap : PIPE HUP
	_tb_s= _tb_gone=
	[ ! -s "$_tb_j/intent" ] || _tb_place
	_tb_run "$1"
	if mkdir "$_tb_r$2" 2>/dev/null; then
		printf "%s %s\n" $$ "$(_tb_born $$)" >"$_tb_r/pid"
	else
		_tb_s=setup
		_tb_say X "cannot make the directory $_tb_r$2"
	fi
}

# Locks the testbed on this host. $1: the head of a new journal, $2: the run and its owner. Whoever holds the lock is known by
# the shell that took it, and by a heartbeat: a lock is dead when its shell is gone, or when nothing runs and nobody has shown
# a sign of life for a minute. Then it is taken over, unless a watchdog is still awake.
_tb_lock() {
	[ -z "$_tb_s" ] || return 0
	# Who has no place for a journal can only run commands, and those are not locked.
	{ [ -d "$_tb_j/k" ] || _tb_settle; } 2>/dev/null || return 0
	_tb_intend "$1" ''
	[ -z "$_tb_s" ] || return 0
	_tb_n="$2
$$ $(_tb_born $$)"
	_tb_take && return
	_tb_x= _tb_p= _tb_l=
	{ IFS= read -r _tb_x && read -r _tb_p _tb_l; } 2>/dev/null <"$_tb_j/lock"
	case $_tb_x in "$2") return ;; esac
	if _tb_watched || { [ -n "$_tb_p" ] && [ "$(_tb_born "$_tb_p")" = "$_tb_l" ] && ! _tb_silent; }; then
		_tb_s=setup
		_tb_tell X "locked $_tb_x"
		return
	fi
	rm -f "$_tb_j/lock"
	_tb_take || {
		_tb_s=setup
		_tb_tell X "cannot write the lock $_tb_j/lock"
	}
}

_tb_take() {
	(set -C && printf '%s\n' "$_tb_n" >"$_tb_j/lock") 2>/dev/null && true >"$_tb_j/beat"
}

# Whether nothing of the testbed runs, and its run has not been heard of for a minute.
_tb_silent() {
	for _tb_d in /tmp/"${_tb_r##*/}" /var/tmp/"${_tb_r##*/}"; do
		for _tb_d in "${_tb_d%.*}".????????????????; do
			[ "$_tb_d" = "$_tb_r" ] || [ ! -d "$_tb_d" ] || return 1
		done
	done
	[ ! -e "$_tb_j/beat" ] || [ -n "$(find "$_tb_j/beat" -mmin +1 2>/dev/null)" ]
}

# Whether a watchdog may yet take back what the run did.
_tb_watched() {
	for _tb_d in /tmp/"${_tb_r##*/}" /var/tmp/"${_tb_r##*/}"; do
		for _tb_d in "${_tb_d%.*}".????????????????/awake; do
			{ read -r _tb_t _tb_f; } 2>/dev/null <"$_tb_d" || continue
			[ "$(_tb_born "$_tb_t")" != "$_tb_f" ] || return 0
		done
	done
	return 1
}

# Gives the lock back, if it is ours. $1: the run and its owner, $2: the testbed, which is forgotten if there is nothing to
# remember.
_tb_unlock() {
	{ IFS= read -r _tb_x; } 2>/dev/null <"$_tb_j/lock" || return 0
	[ "$_tb_x" = "$1" ] || return 0
	if [ ! -s "$_tb_j/pending" ] && { read -r _tb_x && ! read -r _tb_x; } <"$_tb_j/journal"; then
		_tb_forget "$2"
	else
		# Who changed something last can still be read.
		mv -f "$_tb_j/lock" "$_tb_j/last" && rm -f "$_tb_j/beat"
	fi
} 2>/dev/null

# Handlers that have to run from now on, whatever comes between.
_tb_wake() {
	for _tb_x do
		_tb_n=
		[ ! -s "$_tb_j/pending" ] || while IFS= read -r _tb_l; do
			[ "$_tb_l" != "$_tb_x" ] || _tb_n=known
		done <"$_tb_j/pending"
		[ -n "$_tb_n" ] || { printf '%s\n' "$_tb_x" >>"$_tb_j/pending" && sync "$_tb_j/pending"; } 2>/dev/null
	done
}

# A handler that need not run any more.
_tb_rest() {
	[ -s "$_tb_j/pending" ] || return 0
	_tb_n=
	while IFS= read -r _tb_l; do
		[ "$_tb_l" = "$1" ] || _tb_n="$_tb_n$_tb_l
"
	done <"$_tb_j/pending"
	printf '%s' "$_tb_n" >"$_tb_j/pending.new" && mv -f "$_tb_j/pending.new" "$_tb_j/pending"
	[ -s "$_tb_j/pending" ] || rm -f "$_tb_j/pending"
}

# Another testbed of this host that keeps the resource $1: sets _tb_x to its name.
_tb_claimed() {
	for _tb_p in "${_tb_j%/*}"/*/k/*/id; do
		case $_tb_p in "$_tb_j"/*) continue ;; esac
		{ IFS= read -r _tb_l || [ -n "$_tb_l" ]; } 2>/dev/null <"$_tb_p" || continue
		if [ "$_tb_l" = "$1" ]; then
			_tb_x=${_tb_p%/k/*}
			_tb_x=${_tb_x##*/}
			return 0
		fi
	done
	return 1
}

# $1: the head of a new journal, $2: the numbers of new entries, then the lines. Each entry gets its place right behind its
# record, so that a place that is missing, or one that no record speaks of, shows that something was taken away. The numbers
# are kept until the places are there, since a crash in between takes nothing away.
_tb_intend() {
	[ -z "$_tb_s" ] || return 0
	if ! { [ -d "$_tb_j/k" ] || _tb_settle; } 2>/dev/null; then
		_tb_s=setup
		_tb_tell X "cannot make the directory $_tb_j for the journal"
		return
	fi
	_tb_l=$1 _tb_n=$2
	shift 2
	[ -s "$_tb_j/journal" ] || set -- "$_tb_l" "$@"
	[ $# -gt 0 ] || return 0
	if ! { printf '%s' "$_tb_n" >"$_tb_j/intent" && printf '%s\n' "$@" >>"$_tb_j/journal" &&
		sync "$_tb_j/intent" "$_tb_j/journal" && { [ -z "$_tb_n" ] || (cd "$_tb_j/k" && mkdir -p $_tb_n); } &&
		true >"$_tb_j/intent"; } 2>/dev/null; then
		_tb_s=setup
		_tb_tell X "cannot write the journal $_tb_j/journal"
	fi
}

# Makes the places that a crash left out.
_tb_place() {
	for _tb_n in $(cat "$_tb_j/intent"); do
		! grep -q "\"seq\":$_tb_n," "$_tb_j/journal" || mkdir -p "$_tb_j/k/$_tb_n"
	done
	true >"$_tb_j/intent"
} 2>/dev/null

# Makes the journal's directory, and notes which directories above it were not there.
_tb_settle() {
	_tb_b=${_tb_j%/*}
	_tb_x= _tb_p=${_tb_b%/*}
	while [ -n "$_tb_p" ] && [ ! -d "$_tb_p" ]; do
		_tb_x="$_tb_x$_tb_p
"
		_tb_p=${_tb_p%/*}
	done
	# Another testbed's last goodbye may remove the directory above just now.
	mkdir -p "$_tb_j/k" || mkdir -p "$_tb_j/k" || return
	[ -z "$_tb_x" ] || [ -e "$_tb_b/.made" ] || printf '%s' "$_tb_x" >"$_tb_b/.made"
}

_tb_part() {
	[ -z "$_tb_s" ] || return 1
	[ -e "$_tb_r/stop" ] || return 0
	_tb_s=stop
	return 1
}

# $1: the part, $2: what is, $3: what was decided upon.
_tb_holds() {
	[ "$2" != "$3" ] || return 0
	_tb_s=stale
	_tb_tell T "$1"
	return 1
}

# Prints a state by the shell text that looks at it. Ends with 75 where there is no answer, as in a host that goes down.
_tb_state() (
	LC_ALL=C
	export LC_ALL
	exec </dev/null 2>/dev/null
	_tb_mute=
	eval " $1"
	[ -z "$_tb_mute" ] || exit 75
)

# Right before a step. $1: the entry, $2: its look, $3: how its path is kept, $4: the path, $5: the resource. An entry is always looked at in
# the way it was at first, so that its states can be compared.
_tb_remember() {
	_tb_k=$_tb_j/k/$1 _tb_look=$2
	if [ -e "$_tb_k/ready" ]; then
		_tb_sweep
		[ ! -e "$_tb_k/undoing" ] || rm -f "$_tb_k/undoing"
		[ ! -e "$_tb_k/look" ] || _tb_look=$(cat "$_tb_k/look")
		# What is there from now on is not known until the step has ended.
		[ ! -e "$_tb_k/written" ] || true >"$_tb_k/written"
		return
	fi
	if [ -n "$5" ] && _tb_claimed "$5"; then
		_tb_s=claimed:$_tb_x
		return 1
	fi
	if { [ -z "$2" ] || _tb_before; } && { [ -z "$3" ] || _tb_keep "$3" "$4"; } &&
		{ [ -z "$5" ] || printf '%s\n' "$5" >"$_tb_k/id"; } && true >"$_tb_k/ready"; then
		return 0
	fi 2>/dev/null
	[ -n "$_tb_s" ] || _tb_s=keep
	return 1
}

_tb_before() {
	_tb_x=$(_tb_state "$_tb_look")
	if [ $? = 75 ]; then
		_tb_s=unseen
		return 1
	fi
	printf '%s' "$_tb_look" >"$_tb_k/look" && printf '%s\n' "$_tb_x" >"$_tb_k/prior"
}

# Notes the state that a step has left. Half of it would read as another state.
_tb_after() {
	_tb_x=$(_tb_state "$_tb_look")
	[ $? != 75 ] || return
	printf '%s\n' "$_tb_x" >"$_tb_k/now" && mv -f "$_tb_k/now" "$_tb_k/written"
} 2>/dev/null

# Before a change that these entries see as well: sets _tb_near to those that are as they were written last. Nothing is known
# of them until they are noted anew.
_tb_note() {
	_tb_near=
	for _tb_n do
		_tb_q=$_tb_j/k/$_tb_n
		if [ -s "$_tb_q/written" ] && [ -s "$_tb_q/look" ] && [ "$(_tb_seen)" = "$(cat "$_tb_q/written")" ]; then
			true >"$_tb_q/written"
			_tb_near="$_tb_near $_tb_n"
		fi
	done
	return 0
}

_tb_renote() {
	for _tb_n in $_tb_near; do
		_tb_q=$_tb_j/k/$_tb_n
		_tb_x=$(_tb_seen)
		[ $? != 75 ] || continue
		printf '%s\n' "$_tb_x" >"$_tb_q/now" && mv -f "$_tb_q/now" "$_tb_q/written"
	done
	_tb_near=
} 2>/dev/null

# The state of the entry in _tb_q.
_tb_seen() (
	_tb_k=$_tb_q
	_tb_state "$(cat "$_tb_q/look")"
)

# Keeps a path in the entry's directory. $1: plain, follow, deep (with everything below it); $2: the path.
_tb_keep() (
	LC_ALL=C
	export LC_ALL
	_tb_p=$2
	if [ "$1" = follow ] && [ -h "$2" ]; then _tb_p=$(readlink -f -- "$2") || exit; fi
	printf '%s' "$_tb_p" >"$_tb_k/path" || exit
	rm -rf "$_tb_k/keep"
	if [ -h "$_tb_p" ]; then
		cp -a -- "$_tb_p" "$_tb_k/keep"
	elif [ -d "$_tb_p" ]; then
		stat -c '%a %u:%g' -- "$_tb_p" >"$_tb_k/dir" || exit
		[ "$1" = deep ] || exit 0
		_tb_x=$(du -sk -- "$_tb_p") || exit
		if [ "${_tb_x%%[!0-9]*}" -gt 65536 ]; then
			printf '%s\n' "$_tb_p held more than 64 MiB, which is not kept" >"$_tb_k/never"
		else
			tar -C "$_tb_p" --xattrs --acls -cf "$_tb_k/tree" . 2>/dev/null || tar -C "$_tb_p" -cf "$_tb_k/tree" .
		fi
	elif [ -f "$_tb_p" ]; then
		cp -a -- "$_tb_p" "$_tb_k/keep" && sync "$_tb_k/keep" "$_tb_k/prior"
	elif [ -e "$_tb_p" ]; then
		cp -a -- "$_tb_p" "$_tb_k/keep"
	fi
)

# After a step. $1: its number in the stream, $2: its rc.
_tb_ran() {
	printf 'R %s %s\n' "$1" "$2" >>"$_tb_r/log"
	_tb_show "$1" "$2"
	[ "$2" = 0 ] || [ -n "$_tb_s" ] || _tb_s=failed
	[ ! -e "$_tb_r/sorry" ] || _tb_s=sorry
}

_tb_show() {
	_tb_say R "$1" "$2"
	[ ! -s "$_tb_r/$1.o" ] || head -c 10485761 "$_tb_r/$1.o"
	_tb_say E
	[ ! -s "$_tb_r/$1.e" ] || head -c 10485761 "$_tb_r/$1.e"
	_tb_say .
}

_tb_done() {
	if [ -z "$_tb_s" ]; then _tb_tell D "$1"; else _tb_tell F "$1" "$_tb_s"; fi
}

_tb_end() {
	_tb_tell A "$_tb_s"
	trap - PIPE HUP
	umask "$_tb_umask"
}

# Waits for process $1, at most $2 seconds: then it and all that come from it are killed. $3: noted there.
_tb_wait() {
	_tb_p=$1
	(
		trap 'kill $! 2>/dev/null; exit' TERM
		exec >/dev/null 2>&1 </dev/null
		sleep "$2" &
		wait $!
		true >"$3"
		_tb_kill "$_tb_p"
	) &
	_tb_w=$!
	wait "$_tb_p"
	_tb_rc=$?
	# A signal that is caught ends the wait early.
	while kill -0 "$_tb_p" 2>/dev/null; do
		wait "$_tb_p"
		_tb_rc=$?
	done
	kill "$_tb_w" 2>/dev/null
	wait "$_tb_w"
	[ ! -e "$3" ] || _tb_s=late
	return $_tb_rc
} 2>/dev/null

# Writes a file: beside its target, synced, renamed. The content is in _tb_c, or in the file $5.
# $1: path, $2: mode, $3: owner:group, $4: command that checks "$_tb_t", $5: staged content, $6: name of a backup.
_tb_put() {
	umask 077
	case $1 in
	/*) _tb_p=$1 ;;
	*) _tb_p=$PWD/$1 ;;
	esac
	if [ -h "$1" ]; then _tb_p=$(readlink -f -- "$1") || _tb_sorry "the link $1 leads nowhere"; fi
	_tb_d=${_tb_p%/*}/
	[ -d "$_tb_d" ] || _tb_sorry "the directory $_tb_d does not exist"
	[ ! -d "$_tb_p" ] || _tb_sorry "$_tb_p is a directory"
	if [ -n "$6" ] && [ -e "$_tb_p" ]; then
		_tb_backup "$_tb_p" "$6" || _tb_sorry "cannot make a backup of $_tb_p"
		printf '@backup %s\n' "$_tb_bn"
	fi
	_tb_t=$_tb_d.${_tb_r##*/}
	_tb_beside "$_tb_t"
	_tb_x=$( ({ true; } >"$_tb_t") 2>&1) || _tb_sorry "cannot write $_tb_p: ${_tb_x##*: }"
	trap 'rm -f -- "$_tb_t"' EXIT
	# The attributes come while the file is empty, so that the content is never open to others.
	exec 3>"$_tb_t"
	_tb_dress "$_tb_t" "$2" "$3"
	if [ -n "$5" ]; then cat "$5" >&3; else printf '%s' "$_tb_c" >&3; fi || _tb_sorry "cannot write $_tb_p: no space is left"
	exec 3>&-
	case $2 in ????*) chmod "$2" -- "$_tb_t" || exit ;; esac
	sync "$_tb_t" || _tb_sorry "cannot write $_tb_p: it cannot be synced"
	[ -z "$4" ] || (umask "$_tb_umask" && eval " $4") || _tb_sorry "the new content of $_tb_p was not accepted by \`validate\`"
	if _tb_x=$(mv -f -- "$_tb_t" "$_tb_p" 2>&1); then
		trap - EXIT
	elif [ -f "$_tb_p" ] && cat "$_tb_t" >"$_tb_p"; then
		# A file that is mounted on its own cannot be replaced.
		_tb_dress "$_tb_p" "$2" "$3"
		sync "$_tb_p"
	else
		_tb_sorry "cannot write $_tb_p: ${_tb_x##*: }"
	fi
	_tb_as_is "$_tb_p"
}

# Mode, owner and access list of the file at $1: as asked, else as those of the old file.
_tb_dress() {
	if [ -f "$_tb_p" ] && [ "$1" != "$_tb_p" ]; then
		if ! cp -a --attributes-only -- "$_tb_p" "$1" 2>/dev/null; then
			_tb_x=$(stat -c '%a %u:%g' -- "$_tb_p") && chown "${_tb_x#* }" "$1" && chmod "${_tb_x% *}" "$1" ||
				_tb_sorry "cannot keep mode and owner of $_tb_p"
		fi
	elif [ -z "$2" ] && [ "$1" != "$_tb_p" ]; then
		(umask "$_tb_umask" && chmod =rw "$1") || exit
	fi
	[ -z "$3" ] || chown -- "$3" "$1" || _tb_sorry "cannot give $_tb_p to $3"
	[ -z "$2" ] || chmod -- "$2" "$1" || _tb_sorry "cannot set the mode of $_tb_p to $2"
}

# Ends a step with a sentence.
_tb_sorry() {
	printf '%s\n' "$1" >&2
	true >"$_tb_r/sorry"
	exit 1
}

# When a process was started, to tell it from a later one of the same number.
_tb_born() {
	read -r _tb_l 2>/dev/null <"/proc/$1/stat" || return
	set -f
	set -- ${_tb_l##*) }
	set +f
	printf '%s\n' "${20}"
}

# After a lost connection. $1: the stream's name, $2: its claim. What the lost stream said is said again, once it has ended;
# if it has not begun, it never will.
_tb_resume() {
	_tb_run "$1"
	if (umask 077 && mkdir "$_tb_r$2") 2>/dev/null; then
		_tb_say N
		return
	fi
	_tb_p= _tb_x=
	[ ! -e "$_tb_r/pid" ] || read -r _tb_p _tb_x <"$_tb_r/pid"
	while _tb_l= && [ -e "$_tb_r/log" ] && { while read -r _tb_n; do _tb_l=$_tb_n; done <"$_tb_r/log"; }
		case $_tb_l in A*) false ;; esac && [ -n "$_tb_p" ] && [ "$(_tb_born "$_tb_p")" = "$_tb_x" ]; do
		sleep 0.2 2>/dev/null || sleep 1
	done
	[ ! -e "$_tb_r/log" ] || while read -r _tb_l; do
		case $_tb_l in
		R*) set -- $_tb_l && _tb_show "$2" "$3" ;;
		A*) _tb_say "$_tb_l" && return ;;
		*) _tb_say "$_tb_l" ;;
		esac
	done <"$_tb_r/log"
	_tb_say Z
}

# Takes content from standard input into the run directory. $1: the stream's name, $2: the step's number.
_tb_stage() {
	umask 077
	_tb_run "$1"
	if [ ! -d "$_tb_r" ] && ! mkdir "$_tb_r" 2>/dev/null; then
		_tb_say K 1
		exit
	fi
	_tb_say G
	cat >"$_tb_r/$2.c" && sha256sum "$_tb_r/$2.c"
	_tb_say K $?
	exit
}

# Cuts the journal where its last whole line ends, at byte $1: what follows was never synced.
_tb_mend() {
	(
		umask 077
		head -c "$1" "$_tb_j/journal" >"$_tb_j/journal.new" && sync "$_tb_j/journal.new" &&
			mv -f "$_tb_j/journal.new" "$_tb_j/journal"
	) 2>/dev/null
}

# The way back. $1: the entry, $2: its look, $3: restore, by or never, $4: the script or why not, $5: the record that it is
# done, $6: force, $7: entries that see it as well.
_tb_undo() {
	_tb_part || return 0
	_tb_k=$_tb_j/k/$1
	if [ ! -d "$_tb_k" ] && [ -s "$_tb_j/journal" ] && ! grep -qxF -e "$5" "$_tb_j/journal"; then
		_tb_tell U "$1" "failed what was there before was kept in $_tb_k, which is gone"
		return
	elif [ ! -e "$_tb_k/ready" ]; then
		_tb_drop "$1" already "$5"
		return
	elif [ -s "$_tb_k/never" ]; then
		_tb_drop "$1" "never $(cat "$_tb_k/never")" "$5"
		return
	elif [ "$3" = never ]; then
		_tb_drop "$1" "never $4" "$5"
		return
	fi
	_tb_look=$2
	[ ! -s "$_tb_k/look" ] || _tb_look=$(cat "$_tb_k/look")
	# What is halfway back is neither as before nor as it was written, or it only looks so: once more.
	if [ -n "$_tb_look" ] && [ ! -e "$_tb_k/undoing" ]; then
		_tb_x=$(_tb_state "$_tb_look")
		# The look does not see what is below a directory.
		if [ $? = 75 ]; then
			_tb_tell U "$1" "failed its state cannot be seen: who knows it does not answer"
			return
		elif [ ! -e "$_tb_k/tree" ] && [ "$_tb_x" = "$(cat "$_tb_k/prior")" ] && ! _tb_dangles "$3"; then
			_tb_drop "$1" already "$5"
			return
		elif [ -z "$6" ] && [ -s "$_tb_k/written" ] && [ "$_tb_x" != "$(cat "$_tb_k/written")" ]; then
			_tb_tell U "$1" changed
			return
		fi
	fi
	true >"$_tb_k/undoing"
	_tb_note $7
	_tb_rc=0
	_tb_retrace "$3" "$4" || _tb_rc=1
	_tb_renote
	if [ $_tb_rc = 0 ]; then
		# A crash may have taken what was noted of the state before, but not what was kept.
		if [ -n "$_tb_look" ] && [ -s "$_tb_k/prior" ] && [ "$(_tb_state "$_tb_look")" != "$(cat "$_tb_k/prior")" ]; then
			_tb_tell U "$1" "failed it was taken back, but it is not as it was before"
		else
			_tb_drop "$1" back "$5"
		fi
	else
		_tb_tell U "$1" "failed $(_tb_last "$_tb_r/u.e")"
	fi
}

# Whether a link that leads nowhere is where nothing was, which a look that follows links does not tell apart.
_tb_dangles() {
	[ "$1" = restore ] && [ ! -e "$_tb_k/dir" ] && [ ! -e "$_tb_k/keep" ] && [ ! -h "$_tb_k/keep" ] && [ -h "$(cat "$_tb_k/path")" ]
}

_tb_retrace() {
	(
		umask "$_tb_umask"
		LC_ALL=C
		export LC_ALL
		case $1 in restore) _tb_restore ;; *) eval " $2" ;; esac
	) >"$_tb_r/u.o" 2>"$_tb_r/u.e" </dev/null
}

# The last line of a file that says something.
_tb_last() {
	_tb_x="it failed and said nothing"
	while IFS= read -r _tb_l || [ -n "$_tb_l" ]; do
		case $_tb_l in *[!\ ]*) _tb_x=$_tb_l ;; esac
	done <"$1"
	printf '%s\n' "$_tb_x"
}

# Takes an entry out of the journal, and the backups that were made for it; its directory goes at the end, after the journal
# was synced.
_tb_drop() {
	_tb_sweep
	[ ! -s "$_tb_k/backups" ] || while IFS= read -r _tb_l; do rm -f -- "$_tb_l"; done <"$_tb_k/backups"
	printf '%s\n' "$3" >>"$_tb_j/journal"
	_tb_gone="$_tb_gone $1"
	_tb_tell U "$1" "$2"
}

# Puts back what _tb_keep kept.
_tb_restore() {
	_tb_p=$(cat "$_tb_k/path" && echo .) || _tb_sorry "what was there before is not kept"
	_tb_p=${_tb_p%.}
	_tb_t=${_tb_p%/*}/.${_tb_r##*/}
	if [ ! -e "$_tb_k/dir" ] && [ -d "$_tb_p" ] && [ ! -h "$_tb_p" ]; then
		rmdir -- "$_tb_p" 2>/dev/null || _tb_sorry "the directory $_tb_p is not empty"
	elif [ -h "$_tb_p" ]; then
		rm -f -- "$_tb_p" || exit
	fi
	if [ -e "$_tb_k/dir" ]; then
		read -r _tb_x _tb_l <"$_tb_k/dir"
		if [ ! -d "$_tb_p" ]; then
			rm -f -- "$_tb_p" && mkdir -- "$_tb_p" || exit
		fi
		chown "$_tb_l" "$_tb_p" && chmod "$_tb_x" "$_tb_p" || exit
		[ ! -e "$_tb_k/tree" ] || tar -C "$_tb_p" --xattrs --acls --numeric-owner -xpf "$_tb_k/tree" 2>/dev/null ||
			tar -C "$_tb_p" -xpf "$_tb_k/tree"
	elif [ -e "$_tb_k/keep" ] || [ -h "$_tb_k/keep" ]; then
		_tb_beside "$_tb_t"
		cp -a -- "$_tb_k/keep" "$_tb_t" || exit
		[ -h "$_tb_t" ] || sync "$_tb_t"
		if ! _tb_x=$(mv -f -- "$_tb_t" "$_tb_p" 2>&1); then
			rm -f -- "$_tb_t"
			[ -f "$_tb_p" ] && cat "$_tb_k/keep" >"$_tb_p" || _tb_sorry "cannot put $_tb_p back: ${_tb_x##*: }"
			cp -a --attributes-only -- "$_tb_k/keep" "$_tb_p" 2>/dev/null || cp -p -- "$_tb_k/keep" "$_tb_p"
		fi
	else
		rm -f -- "$_tb_p"
	fi
}

# A handler once more. $1: the entry, $2: its unit, $3: its script, $4: the record that it is done.
_tb_repeat() {
	_tb_part || return 0
	_tb_k=$_tb_j/k/$1
	if [ ! -e "$_tb_k/ready" ] || ! systemctl cat -- "$2" >/dev/null 2>&1; then
		_tb_drop "$1" already "$4"
		return
	fi
	case $3 in *restart*)
		if ! systemctl is-active -q -- "$2" 2>/dev/null; then
			if ! systemctl is-failed -q -- "$2" 2>/dev/null; then
				_tb_drop "$1" already "$4"
				return
			fi
			# It ran before. It was restarted too often since, or under what is gone by now.
			_tb_n=$2
			set -- "$1" "$2" 'systemctl reset-failed -- "$_tb_n"; systemctl start -- "$_tb_n"' "$4"
		fi
		;;
	esac
	if _tb_retrace by "$3"; then
		_tb_drop "$1" back "$4"
	else
		_tb_tell U "$1" "failed $(_tb_last "$_tb_r/u.e")"
	fi
}

_tb_cleared() {
	[ -n "$_tb_gone" ] || return 0
	sync "$_tb_j/journal"
	(cd "$_tb_j/k" && rm -rf -- $_tb_gone)
	_tb_gone=
}

# Removes everything of a testbed, and what was made for it above.
_tb_forget() {
	rm -rf "$_tb_j" "/tmp/tbctl-$1."???????????????? "/var/tmp/tbctl-$1."????????????????
	_tb_b=${_tb_j%/*}
	set -- "$_tb_b"/*
	if [ -d "$_tb_b" ] && [ ! -e "$1" ]; then
		_tb_x=
		[ ! -e "$_tb_b/.made" ] || _tb_x=$(cat "$_tb_b/.made")
		rm -f "$_tb_b/.made"
		rmdir "$_tb_b" && printf '%s\n' "$_tb_x" | while IFS= read -r _tb_p; do
			[ -z "$_tb_p" ] || rmdir "$_tb_p" || break
		done
	fi 2>/dev/null
	_tb_say A
}
