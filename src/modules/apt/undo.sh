cd "$_tb_k" && [ -e first ] || exit 0
_tb_whole
# The transaction did not end: what it had done so far is what differs.
[ ! -e open ] || _tb_settled || exit
_tb_now '[^nc][^ ]*' >now || exit
touch added gone
_tb_r=0
comm -23 gone now >back
if [ -s back ]; then
	echo "installing again: $(tr '\n' ' ' <back)"
	_tb_apt --no-install-recommends install $(cat back) || exit
	comm -12 back auto >marks
	[ ! -s marks ] || apt-mark auto $(cat marks) >/dev/null
fi
comm -12 added now >ours
if [ -s ours ]; then
	echo "removing: $(tr '\n' ' ' <ours)"
	sed 's/:.*//' ours | sort -u >short
	apt-get -s remove $(cat ours) | sed -n 's/^Remv \([^ :]*\).*/\1/p' | sort -u | comm -23 - short >others
	comm -23 ours conf >new
	if [ -s others ]; then
		dpkg --purge $(cat new)
		echo "some packages are kept, since these came later and need them: $(tr '\n' ' ' <others)" >&2
		_tb_r=1
	else
		_tb_apt remove $(cat ours) || exit
		_tb_now config-files | comm -12 - new >rest
		[ ! -s rest ] || dpkg --purge $(cat rest) || exit
	fi
fi
if [ -s empty ]; then
	while IFS= read -r _tb_p; do [ -d "$_tb_p" ] || mkdir -m 0755 "$_tb_p"; done <empty
fi
exit $_tb_r
