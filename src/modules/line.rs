//! Scripts that change one line of a file which others write to as well. Not a kind.

use crate::change::sh;

/// Puts `new` in the place of the last line that equals `old`. Without `old`, or when it is not there, `new` goes to the end;
/// without `new` the line goes. A file that is not there is made with `mode`, and noted in the resource's directory;
/// links are followed; mode and owner stay.
pub(super) fn replace(path: &str, old: Option<&str>, new: Option<&str>, mode: &str) -> String {
    format!(
        "_tb_f={path}
[ ! -h \"$_tb_f\" ] || _tb_f=$(readlink -f \"$_tb_f\") || exit
if [ ! -e \"$_tb_f\" ]; then
	: >\"${{_tb_k:?}}/created\" && (umask 077 && : >\"$_tb_f\") && chmod {mode} \"$_tb_f\" || exit
fi
{edit}",
        path = sh::quote(path),
        edit = edit(old, new),
    )
}

/// Takes [`replace`] back: `new` is put in the place of `old`, and a file that was made for it goes when it is empty.
pub(super) fn restore(path: &str, old: Option<&str>, new: Option<&str>) -> String {
    format!(
        "_tb_f={path}
[ ! -h \"$_tb_f\" ] || _tb_f=$(readlink -f \"$_tb_f\") || exit
[ -e \"$_tb_f\" ] || exit 0
{edit}
if [ -e \"$_tb_k/created\" ] && [ ! -s \"$_tb_f\" ]; then rm -f \"$_tb_f\"; fi",
        path = sh::quote(path),
        edit = edit(old, new),
    )
}

/// Writes beside `$_tb_f` and renames.
fn edit(old: Option<&str>, new: Option<&str>) -> String {
    let flag = |text: Option<&str>| if text.is_some() { "1" } else { "" };
    format!(
        "cp -p \"$_tb_f\" \"$_tb_f.tbctl~\" || exit
_tb_o={} _tb_n={} awk '
	BEGIN {{ old = ENVIRON[\"_tb_o\"]; new = ENVIRON[\"_tb_n\"]; has = \"{}\"; puts = \"{}\" }}
	{{ line[NR] = $0; if (has && $0 == old) at = NR }}
	END {{
		for (i = 1; i <= NR; i++) if (i != at) print line[i]; else if (puts) print new
		if (!at && puts) print new
	}}' \"$_tb_f\" >\"$_tb_f.tbctl~\" && mv -f \"$_tb_f.tbctl~\" \"$_tb_f\" || {{ rm -f \"$_tb_f.tbctl~\"; exit 1; }}",
        sh::quote(old.unwrap_or_default()),
        sh::quote(new.unwrap_or_default()),
        flag(old),
        flag(new),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn run(shell: &[&str], dir: &str, text: &str) {
        let text = format!("_tb_k={dir}\n{text}");
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
                for _ in 0..2 {
                    // A second undo of a line that went would add it again: the engine takes each resource back once.
                    if old.is_some() && new.is_none() && std::fs::read_to_string(&file).ok().as_deref() == before {
                        continue;
                    }
                    run(shell, at, &restore(path, new, old));
                    assert_eq!(std::fs::read_to_string(&file).ok().as_deref(), before, "{shell:?} {old:?} {new:?}");
                    if old.is_some() {
                        break;
                    }
                }
            }
        }
    }
}
