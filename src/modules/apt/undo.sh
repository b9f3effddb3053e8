cd "$_tb_k" && [ -e first ] || exit 0
_tb_whole
# The transaction did not end: what it had done so far is what differs.
[ ! -e open ] || _tb_settled || exit
_tb_now '[^nc][^ ]*' >now || exit
touch added gone
sort -u -o added added
sort -u -o gone gone
# What one task installed another may have removed, and the other way round: what was there at first decides.
[ -e orig ] || cp before orig
_tb_r=0
comm -12 gone orig | comm -23 - now >back
if [ -s back ]; then
	echo "installing again: $(tr '\n' ' ' <back)"
	_tb_apt --no-install-recommends install $(cat back) || exit
	comm -12 back auto >marks
	[ ! -s marks ] || apt-mark auto $(cat marks) >/dev/null
fi
comm -23 added orig >mine
comm -12 mine now >ours
comm -23 mine conf >new
if [ -s ours ]; then
	echo "removing: $(tr '\n' ' ' <ours)"
	sed 's/:.*//' ours | sort -u >short
	apt-get -s remove $(cat ours) | sed -n 's/^Remv \([^ :]*\).*/\1/p' | sort -u | comm -23 - short >others
	if [ -s others ]; then
		dpkg --purge $(comm -12 ours new)
		echo "some packages are kept, since these came later and need them: $(tr '\n' ' ' <others)" >&2
		_tb_r=1
	else
		_tb_apt remove $(cat ours) || exit
	fi
fi
if [ $_tb_r = 0 ]; then
	_tb_now config-files | comm -12 - new >rest
	[ ! -s rest ] || dpkg --purge $(cat rest) || exit
fi
if [ -s empty ]; then
	while IFS= read -r _tb_p; do [ -d "$_tb_p" ] || mkdir -m 0755 "$_tb_p"; done <empty
fi
[ $_tb_r != 0 ] || rm -f first
exit $_tb_r
