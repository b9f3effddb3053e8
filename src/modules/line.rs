//! Scripts that change one line of a file which others write to as well. Not a kind.

use crate::change::sh;

/// Puts `new` in the place of the last line that equals `old`. Without `old`, or when it is not there, `new` goes to the end;
/// without `new` the line goes. A file that is not there is made with `mode`. Links are followed; mode and owner stay.
///
/// What was there first and what was put since are kept in the resource's directory, for [`restore`].
pub(super) fn replace(path: &str, old: Option<&str>, new: Option<&str>, mode: &str) -> String {
    let flag = |text: Option<&str>| if text.is_some() { "1" } else { "" };
    format!(
        "_tb_f={path} _tb_h={has} _tb_o={old} _tb_p={puts} _tb_n={new}
[ ! -h \"$_tb_f\" ] || _tb_f=$(readlink -f \"$_tb_f\") || exit
if [ ! -e \"$_tb_f\" ] || {{ [ -e \"$_tb_k/created\" ] && [ ! -s \"$_tb_f\" ]; }}; then
	: >\"${{_tb_k:?}}/created\" && (umask 077 && : >\"$_tb_f\") && chmod {mode} \"$_tb_f\" || exit
fi
if [ ! -s \"$_tb_k/file\" ]; then
	[ -z \"$_tb_h\" ] || printf '%s\\n' \"$_tb_o\" >\"$_tb_k/old\" || exit
	printf '%s\\n' \"$_tb_f\" >\"$_tb_k/file\" || exit
fi
[ -z \"$_tb_p\" ] || printf '%s\\n' \"$_tb_n\" >>\"$_tb_k/new\" || exit
{EDIT}",
        path = sh::quote(path),
        has = flag(old),
        old = sh::quote(old.unwrap_or_default()),
        puts = flag(new),
        new = sh::quote(new.unwrap_or_default()),
    )
}

/// Takes [`replace`] back, from the resource's directory; a file that was made for the line goes when it is empty.
pub(super) fn restore() -> String {
    format!(
        "[ -s \"$_tb_k/file\" ] || exit 0
IFS= read -r _tb_f <\"$_tb_k/file\"
[ -e \"$_tb_f\" ] || exit 0
_tb_h= _tb_o= _tb_p= _tb_n=
[ ! -e \"$_tb_k/new\" ] || while IFS= read -r _tb_l; do
	! grep -qxF -e \"$_tb_l\" \"$_tb_f\" || {{ _tb_h=1; _tb_o=$_tb_l; }}
done <\"$_tb_k/new\"
[ ! -e \"$_tb_k/old\" ] || {{ _tb_p=1; IFS= read -r _tb_n <\"$_tb_k/old\"; }}
{EDIT}
if [ -e \"$_tb_k/created\" ] && [ ! -s \"$_tb_f\" ]; then rm -f \"$_tb_f\"; fi"
    )
}

/// Writes beside `$_tb_f` and renames. A line that is there already is not added again.
const EDIT: &str = r#"_tb_beside "$_tb_f.tbctl~"
cp -p "$_tb_f" "$_tb_f.tbctl~" || exit
_tb_h=$_tb_h _tb_o=$_tb_o _tb_p=$_tb_p _tb_n=$_tb_n awk '
	BEGIN { has = ENVIRON["_tb_h"]; old = ENVIRON["_tb_o"]; puts = ENVIRON["_tb_p"]; new = ENVIRON["_tb_n"] }
	{ line[NR] = $0; if (has && $0 == old) at = NR; if ($0 == new) there = NR }
	END {
		for (i = 1; i <= NR; i++) if (i != at) print line[i]; else if (puts) print new
		if (!at && puts && !there) print new
	}' "$_tb_f" >"$_tb_f.tbctl~" && mv -f "$_tb_f.tbctl~" "$_tb_f" || { rm -f "$_tb_f.tbctl~"; exit 1; }"#;

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn run(shell: &[&str], dir: &str, text: &str) {
        let text = format!("{}\n_tb_k={dir}\n{text}", crate::change::fuse::PRELUDE);
        let out = Command::new(shell[0]).args(&shell[1..]).arg("-c").arg(text).output().unwrap();
        assert!(out.status.success(), "{shell:?}: {}", String::from_utf8_lossy(&out.stderr));
    }

    #[test]
    fn lines_come_and_go_and_the_file_is_as_before() {
        for shell in [&["sh"][..], &["bash"], &["busybox", "sh"]] {
            for (before, old, new, after) in [
                (Some("a\nb\na\n"), Some("a"), Some("c\\n'"), Some("a\nb\nc\\n'\n")),
                (Some("a\n"), None, Some("b"), Some("a\nb\n")),
                (Some("a\nb\n"), Some("b"), None, Some("a\n")),
                (None, None, Some("b"), Some("b\n")),
            ] {
                let dir = tempfile::tempdir().unwrap();
                let at = dir.path().to_str().unwrap();
                let file = dir.path().join("it's");
                let path = file.to_str().unwrap();
                if let Some(before) = before {
                    std::fs::write(&file, before).unwrap();
                }
                run(shell, at, &replace(path, old, new, "0644"));
                assert_eq!(std::fs::read_to_string(&file).ok().as_deref(), after, "{shell:?}");
                if new.is_some() {
                    // Written twice, with another text: still back to the beginning.
                    run(shell, at, &replace(path, new, Some("z"), "0644"));
                }
                for _ in 0..2 {
                    run(shell, at, &restore());
                    assert_eq!(std::fs::read_to_string(&file).ok().as_deref(), before, "{shell:?} {old:?} {new:?}");
                }
            }
        }
    }
}
