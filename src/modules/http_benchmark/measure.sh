# Makes the requests that are still missing, with one curl for all of them. POSIX sh; the variables are set in front.
#
# In $_tb_d: run (whose samples these are), before (what was known before), rows (one a request, and marks), starts (open loop:
# when each was due and began, in microseconds), conf (curl's configuration), pid (of curl), end (how it ended, and why).
umask 077
_tb_tab=$(printf '\t')

# When a process was started, to tell it from a later one of the same number.
_tb_age() {
	{ read -r _tb_l <"/proc/$1/stat"; } 2>/dev/null || return 0
	set -f
	set -- ${_tb_l##*) }
	set +f
	printf '%s\n' "${20}"
}

_tb_alive() {
	_tb_p= _tb_b=
	[ -s "$_tb_d/pid" ] && read -r _tb_p _tb_b <"$_tb_d/pid" && [ -n "$_tb_b" ] && [ "$(_tb_age "$_tb_p")" = "$_tb_b" ]
}

_tb_quit() {
	! _tb_alive || kill "$_tb_p" 2>/dev/null
}

_tb_rows() {
	grep -c '^[rh].*\.$' "$_tb_d/rows"
}

_tb_now() {
	date +%s.%N
}

# $1: whole, open (it can be gone on with) or failed; $2: why.
_tb_close() {
	printf '%s %s\n' "$1" "$2" >"$_tb_d/end"
}

_tb_sorry_too() {
	printf '%s\n' "$1" >&2
	exit 1
}

_tb_prepare() {
	if [ -h "$_tb_d" ] || { [ -e "$_tb_d" ] && [ ! -O "$_tb_d" ]; }; then
		_tb_sorry_too "$_tb_d belongs to somebody else: remove it"
	fi
	_tb_x=
	[ ! -e "$_tb_d/run" ] || read -r _tb_x <"$_tb_d/run"
	[ "$_tb_x" != "$_tb_run" ] || return 0
	_tb_quit
	rm -rf "$_tb_d"
	mkdir "$_tb_d" && mkfifo "$_tb_d/p0" "$_tb_d/p1" "$_tb_d/nap" && printf '%s\n' "$_tb_before" >"$_tb_d/before" &&
		true >"$_tb_d/rows" && true >"$_tb_d/starts" && printf '%s\n' "$_tb_run" >"$_tb_d/run" ||
		_tb_sorry_too "cannot write below ${_tb_d%/*}; is the disk full?"
}

# One request that is not counted: is there a target, and does it say what it should?
_tb_knock() {
	_tb_i=0
	while :; do
		_tb_x=$(printf '%s\nurl = "%s"\noutput = /dev/null\n' "$_tb_options" "$_tb_url" | curl -q -K - \
			-w '%{http_code} %{exitcode} %{local_ip} %{remote_ip} %{errormsg}')
		case $_tb_x in "$_tb_ok 0 "*)
			_tb_x=${_tb_x#"$_tb_ok 0 "}
			_tb_remote=${_tb_x#* }
			_tb_ends="${_tb_x%% *} ${_tb_remote%% *}"
			return
			;;
		esac
		_tb_i=$((_tb_i + 1))
		[ $_tb_i -lt 3 ] && [ ! -e "$_tb_r/stop" ] || break
		sleep 1
	done
	_tb_code=${_tb_x%% *}
	_tb_x=${_tb_x#* }
	case $_tb_x in
	"0 "*) _tb_close failed "$_tb_url answers with status $_tb_code, not $_tb_ok" ;;
	*)
		_tb_x=${_tb_x#* }
		_tb_x=${_tb_x#* }
		_tb_close failed "$_tb_url does not answer: ${_tb_x#* }"
		;;
	esac
	return 1
}

# $1: requests that are missing.
_tb_configure() {
	if [ "$_tb_warm" -gt 0 ]; then
		printf '%s\nwrite-out = "w%s"\nurl = "%s#[1-%s]"\noutput = /dev/null\nnext\n' "$_tb_options" "$_tb_out" "$_tb_url" "$_tb_warm"
	fi
	printf '%s\n' "$_tb_options"
	if [ -z "$_tb_period" ]; then
		printf 'write-out = "r%s"\nurl = "%s#[1-%s]"\noutput = /dev/null\n' "$_tb_out" "$_tb_url" "$1"
		return
	fi
	# Each request stands behind a pipe that is opened when it is due.
	printf 'globoff\nwrite-out = "%%{url}%s"\n' "$_tb_out"
	_tb_i=0
	while [ $_tb_i -lt "$1" ]; do
		printf 'url = "file://%s/p%s"\noutput = /dev/null\nurl = "%s"\noutput = /dev/null\n' "$_tb_d" $((_tb_i % 2)) "$_tb_url"
		_tb_i=$((_tb_i + 1))
	done
}

# Opens the pipes when their requests are due. A word of bash, which sleeps and reads the clock without a process.
_tb_pace='
d=$1 n=$2 period=$3
exec 9<>"$d/nap"
: >"$d/p0"
t=${EPOCHREALTIME/[.,]/}
printf "@ %s\n0 0\n" "$t" >>"$d/starts"
for ((i = 1; i < n; i++)); do
	due=$((i * period)) now=$((${EPOCHREALTIME/[.,]/} - t))
	if ((due > now)); then
		printf -v nap "%d.%06d" $(((due - now) / 1000000)) $(((due - now) % 1000000))
		read -r -t "$nap" -u 9 x
	fi
	: >"$d/p$((i % 2))"
	printf "%s %s\n" "$due" $((${EPOCHREALTIME/[.,]/} - t)) >>"$d/starts"
done'

_tb_begin_session() {
	_tb_configure "$1" >"$_tb_d/conf"
	command -v stdbuf >/dev/null && _tb_flush='stdbuf -oL' || _tb_flush=
	rm -f "$_tb_d/pid"
	(
		trap '' HUP PIPE
		printf '\n@ %s %s %s %s\n' "$(_tb_now)" "$_tb_version" $((_tb_warm + _tb_i + 1)) "$_tb_ends" >>"$_tb_d/rows"
		if [ -n "$_tb_period" ]; then
			printf '\n' >>"$_tb_d/starts"
			bash -c "$_tb_pace" bash "$_tb_d" "$1" "$_tb_period" &
			_tb_pacer=$!
		fi
		$_tb_flush curl -q -K "$_tb_d/conf" >>"$_tb_d/rows" &
		_tb_curl=$!
		printf '%s %s\n' $_tb_curl "$(_tb_age $_tb_curl)" >"$_tb_d/pid.new"
		mv "$_tb_d/pid.new" "$_tb_d/pid"
		wait $_tb_curl
		printf '\n= %s\n' "$(_tb_now)" >>"$_tb_d/rows"
		[ -z "$_tb_period" ] || kill $_tb_pacer
	) </dev/null >/dev/null 2>&1 &
	while [ ! -e "$_tb_d/pid" ] && kill -0 $! 2>/dev/null; do sleep 0.1 2>/dev/null || sleep 1; done
}

# Whether the last requests all failed: nobody is there any more.
_tb_streak() {
	_tb_x=$(tail -n $((2 * _tb_give)) "$_tb_d/rows" | grep '^[rh].*\.$' | tail -n "$_tb_give")
	[ "$(printf '%s\n' "$_tb_x" | grep -vc "^[^$_tb_tab]*$_tb_tab$_tb_ok${_tb_tab}0$_tb_tab")" -ge "$_tb_give" ] || return 1
	_tb_last=$(printf '%s\n' "$_tb_x" | tail -n 1)
}

# Looks once a second, so that looking does not disturb what is measured.
_tb_watch() {
	_tb_said=$(_tb_rows) _tb_cut=
	_tb_every=$((_tb_n / 20 + 1))
	[ $_tb_every -le 500 ] || _tb_every=500
	while _tb_alive; do
		sleep 1
		if [ -e "$_tb_r/stop" ]; then
			_tb_cut=stop
			_tb_quit
		elif _tb_streak; then
			_tb_quit
		fi
		_tb_have=$(_tb_rows)
		if [ $((_tb_have - _tb_said)) -ge $_tb_every ]; then
			echo "$_tb_have of $_tb_n requests"
			_tb_said=$_tb_have
		fi
	done
	wait
}

_tb_conclude() {
	_tb_have=$(_tb_rows)
	if _tb_streak; then
		_tb_code=${_tb_last#*"$_tb_tab"}
		_tb_why=${_tb_last%"$_tb_tab".}
		_tb_why=${_tb_why##*"$_tb_tab"}
		_tb_close failed "after $_tb_have of $_tb_n requests the last $_tb_give all failed: ${_tb_why:-status ${_tb_code%%"$_tb_tab"*}}"
	elif [ "$_tb_have" -ge "$_tb_n" ]; then
		_tb_close whole "$_tb_have requests"
	elif [ -n "$_tb_cut" ]; then
		_tb_close open "interrupted after $_tb_have of $_tb_n requests: the next apply goes on from there"
	else
		_tb_close open "curl ended after $_tb_have of $_tb_n requests: the next apply goes on from there"
	fi
}

_tb_version=$(curl -q --version 2>/dev/null) || _tb_sorry_too 'there is no curl on this host: install it first'
_tb_version=${_tb_version#curl }
_tb_version=${_tb_version%% *}
_tb_x=${_tb_version#*.}
if [ "${_tb_version%%.*}" -lt 8 ] && [ "${_tb_x%%.*}" -lt "$_tb_least" ]; then
	_tb_sorry_too "this host has curl $_tb_version; 7.$_tb_least or newer is needed"
fi
if [ -n "$_tb_period" ] && ! bash -c '[ -n "$EPOCHREALTIME" ]' 2>/dev/null; then
	_tb_sorry_too 'an open loop needs bash 5 or newer on this host'
fi
_tb_prepare
_tb_cut=
if ! _tb_alive; then
	rm -f "$_tb_d/end"
	_tb_x=$((_tb_n - $(_tb_rows)))
	if [ $_tb_x -gt 0 ]; then
		_tb_left=$_tb_x
		_tb_knock || exit 0
		_tb_begin_session $_tb_left
	fi
fi
_tb_watch
_tb_conclude
