export DEBIAN_FRONTEND=noninteractive DEBIAN_PRIORITY=critical LC_ALL=C
_tb_apt() {
	apt-get -y -q -o DPkg::Lock::Timeout="$_tb_t" -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \
		-o APT::Get::AutomaticRemove=false -o APT::Keep-Downloaded-Packages=false "$@"
}
# A host that went down while dpkg worked has left it halfway, and then apt does nothing.
_tb_whole() {
	set -- /var/lib/dpkg/updates/[0-9]*
	[ ! -e "$1" ] || dpkg --force-confdef --force-confold --configure -a || :
}
# Packages whose state is of this pattern, a name a line.
_tb_now() { dpkg-query -W -f='${db:Status-Status} ${binary:Package}\n' | sed -n "s/^$1 //p" | sort; }
_tb_update() {
	_tb_apt update && touch -c /var/lib/apt/lists
}
# Runs a transaction between two lists of what is installed; the difference is what is taken back.
_tb_transaction() {
	_tb_whole
	[ ! -e "$_tb_k/open" ] || _tb_settled || return
	if [ ! -e "$_tb_k/first" ]; then
		_tb_now config-files >"$_tb_k/conf" || return
		# A purge takes away what is empty there, whosesoever it is.
		find /etc/systemd/system -type d -empty >"$_tb_k/empty" 2>/dev/null
	fi
	_tb_now '[^nc][^ ]*' >"$_tb_k/before" || return
	if [ ! -e "$_tb_k/first" ]; then
		cp "$_tb_k/before" "$_tb_k/orig" && apt-mark showauto | sort >"$_tb_k/auto" || return
	fi
	: >"$_tb_k/open" && : >"$_tb_k/first" || return
	_tb_apt "$@"
	_tb_r=$?
	_tb_settled || return
	return $_tb_r
}
# Notes what came and went since the transaction began; doing it twice changes nothing.
_tb_settled() {
	_tb_now '[^nc][^ ]*' >"$_tb_k/after" || return
	_tb_differ -13 added && _tb_differ -23 gone && rm -f "$_tb_k/open"
}
_tb_differ() {
	touch "$_tb_k/$2" && comm "$1" "$_tb_k/before" "$_tb_k/after" | sort -u - "$_tb_k/$2" >"$_tb_k/next" && mv "$_tb_k/next" "$_tb_k/$2"
}
