# Who and what a host is, beside what its files say. No process of its own but for `uname` on kernels before 6.1.
if [ ! -r /proc/sys/kernel/arch ]; then
	echo @arch
	uname -m
fi
echo @paths
for _tb_p in /usr/bin/apt-get /usr/bin/dnf5 /usr/bin/dnf /usr/bin/yum /sbin/apk /usr/bin/pacman /usr/bin/zypper /sbin/openrc \
	/run/systemd/system /sys/fs/selinux/enforce /sys/kernel/security/apparmor; do
	[ ! -e "$_tb_p" ] || printf '%s\n' "$_tb_p"
done
echo @env
for _tb_p in HOME USER LOGNAME PATH SHELL LANG PWD TERM MAIL TZ SSH_CONNECTION SSH_CLIENT SUDO_USER SUDO_UID SUDO_GID XDG_RUNTIME_DIR; do
	eval "_tb_x=\${$_tb_p-}"
	[ -z "$_tb_x" ] || printf '%s=%s\n' "$_tb_p" "${_tb_x%%'
'*}"
done
echo @user
_tb_x=
while read -r _tb_k _tb_n _tb_e _tb_p; do
	case $_tb_k in
	Uid:) _tb_x=$_tb_e && printf 'uid:%s:%s\n' "$_tb_n" "$_tb_e" ;;
	Gid:) printf 'gid:%s:%s\n' "$_tb_n" "$_tb_e" && break ;;
	esac
done </proc/self/status
while IFS= read -r _tb_l; do
	case $_tb_l in *:*:"$_tb_x":*:*:*:*)
		_tb_p=${_tb_l#*:*:}
		[ "${_tb_p%%:*}" != "$_tb_x" ] || { printf '%s\n' "$_tb_l" && break; }
		;;
	esac
done </etc/passwd
# The name in full: from /etc/hosts when it is there, else from the resolver, which may be slow.
echo @fqdn
_tb_x=
read -r _tb_n </proc/sys/kernel/hostname
case $_tb_n in
*.*) _tb_x=$_tb_n ;;
*)
	_tb_k=0
	while [ $_tb_k -lt 200 ] && read -r _tb_e _tb_l; do
		_tb_k=$((_tb_k + 1))
		case " ${_tb_l%%#*} " in *[!\ ]*)
			case $_tb_e in \#*) continue ;; esac
			case " ${_tb_l%%#*} " in *[[:space:]]"$_tb_n"[[:space:]]* | *[[:space:]]"$_tb_n".*)
				for _tb_p in ${_tb_l%%#*}; do
					case $_tb_p in "$_tb_n".*)
						_tb_x=$_tb_p
						break 2
						;;
					esac
				done
				_tb_x=$_tb_n
				;;
			esac
			;;
		esac
	done </etc/hosts
	if [ -z "$_tb_x" ] && command -v timeout >/dev/null; then _tb_x=$(timeout 2 hostname -f 2>/dev/null); fi
	;;
esac
printf '%s\n' "${_tb_x:-$_tb_n}"
