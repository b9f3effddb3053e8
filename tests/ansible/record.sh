#!/bin/sh
# Writes what Ansible makes of the playbooks here: of all that it has been asked before, or of those named. Needs python3 with
# venv; Ansible itself is fetched once into a place of its own.
set -eu
cd "$(dirname "$0")"
place=${XDG_CACHE_HOME:-$HOME/.cache}/tbctl-ansible
[ -x "$place/bin/ansible-playbook" ] || {
	python3 -m venv "$place"
	"$place/bin/pip" install --quiet ansible-core==2.19.14
}
export ANSIBLE_CONFIG="$PWD/callback/ansible.cfg" ANSIBLE_PYTHON_INTERPRETER="$place/bin/python3" PYTHONDONTWRITEBYTECODE=1
[ $# -gt 0 ] || set -- */*.told
for book; do
	book=${book%.*}
	tmp=$(mktemp -d)
	(cd "${book%/*}" && "$place/bin/ansible-playbook" -i hosts.yaml -e "tmp=$tmp" "${book##*/}.yaml") >"$book.told" 2>"$tmp.err" ||
		[ -s "$book.told" ] || {
		cat "$tmp.err" >&2
		exit 1
	}
	rm -rf "$tmp" "$tmp.err"
done
