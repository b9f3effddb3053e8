//! Regular expressions of playbooks, which are Python's.

use crate::change::Refusal;

/// Reads Python's notation where it differs, and says what it cannot do.
pub fn compile(text: &str) -> Result<regex::Regex, Refusal> {
    let spelled = text.replace(r"\Z", r"\z");
    regex::Regex::new(&spelled).map_err(|error| {
        let around = ["(?=", "(?!", "(?<=", "(?<!"].iter().any(|group| text.contains(group));
        if around {
            return Refusal::new(format!("looking around is unsupported in a pattern: `{text}`"))
                .help("match the whole line, and write what should stay as a group for `backrefs`");
        }
        let why = error.to_string();
        let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ").to_string();
        Refusal::new(format!("`{text}` is no pattern: {why}"))
    })
}

/// The same for `grep -E`, with a flag for it: whether it is found anywhere in a line is all that is asked.
pub fn posix(text: &str) -> Result<(&'static str, String), Refusal> {
    let (flag, rest) = match text.strip_prefix("(?i)") {
        Some(rest) => ("i", rest),
        None => ("", text),
    };
    let mut out = String::new();
    let mut letters = rest.chars().peekable();
    let mut within = false;
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => {
                let escaped = letters.next().unwrap_or('\\');
                let class = match escaped.to_ascii_lowercase() {
                    'd' => Some("0-9"),
                    'w' => Some("[:alnum:]_"),
                    's' => Some("[:space:]"),
                    _ => None,
                };
                match (class, within, escaped) {
                    (Some(class), true, 'd' | 'w' | 's') => out.push_str(class),
                    (Some(class), false, 'd' | 'w' | 's') => out.push_str(&format!("[{class}]")),
                    (Some(class), false, _) => out.push_str(&format!("[^{class}]")),
                    (None, _, 't') => out.push('\t'),
                    (None, false, 'A') => out.push('^'),
                    (None, false, 'Z') => out.push('$'),
                    (None, _, 'x' | 'u' | '<' | '>' | '`' | '\'') => return Err(strange(text)),
                    (None, true, escaped) if !matches!(escaped, 'n' | 'r' | ']') => out.push(escaped),
                    (None, false, escaped) if !escaped.is_ascii_digit() && !matches!(escaped, 'n' | 'r') => {
                        out.extend(['\\', escaped])
                    }
                    _ => return Err(strange(text)),
                }
            }
            '[' if !within => {
                within = true;
                out.push('[');
                out.extend(letters.next_if_eq(&'^'));
                out.extend(letters.next_if_eq(&']'));
            }
            ']' => {
                within = false;
                out.push(']');
            }
            '(' if !within && letters.next_if_eq(&'?').is_some() => match letters.next_if_eq(&':') {
                Some(_) => out.push('('),
                None => return Err(strange(text)),
            },
            '*' | '+' | '?' | '}' if !within => {
                out.push(letter);
                letters.next_if_eq(&'?');
            }
            letter => out.push(letter),
        }
    }
    Ok((flag, out))
}

fn strange(text: &str) -> Refusal {
    let refusal = Refusal::new(format!("`{text}` is unsupported here: it is looked for line by line, by `grep -E`"));
    refusal.help("leave out line ends, named groups, looking around and references to groups")
}

/// Python's `match.expand`: `\1`, `\g<1>` and `\g<name>` stand for groups.
pub fn expand(found: &regex::Captures<'_>, text: &str) -> String {
    let group = |name: &str| match name.parse::<usize>() {
        Ok(at) => found.get(at).map_or("", |group| group.as_str()).to_string(),
        Err(_) => found.name(name).map_or("", |group| group.as_str()).to_string(),
    };
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let digits = rest.len() - rest.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
        if digits > 0 {
            let digits = digits.min(2);
            out.push_str(&group(&rest[..digits]));
            rest = &rest[digits..];
        } else if let Some((name, after)) = rest.strip_prefix("g<").and_then(|rest| rest.split_once('>')) {
            out.push_str(&group(name));
            rest = after;
        } else {
            let (letter, after) = rest.split_at(rest.chars().next().map_or(0, char::len_utf8));
            match letter {
                "t" => out.push('\t'),
                "\\" => out.push('\\'),
                _ => {
                    out.push('\\');
                    out.push_str(letter);
                }
            }
            rest = after;
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grep_understands_what_python_would() {
        for (python, flag, grep) in [
            (r"version \d+", "", "version [0-9]+"),
            (r"(?i)READY", "i", "READY"),
            (r"^(?:a|b)+?[\w.\-]\.\S$", "", "^(a|b)+[[:alnum:]_.-]\\.[^[:space:]]$"),
            (r"[]\d]{2,}?", "", "[]0-9]{2,}"),
        ] {
            assert_eq!(posix(python).unwrap(), (flag, grep.to_string()), "{python}");
        }
        for python in [r"a\nb", "(?P<n>x)", "x(?=y)", r"(a)\1"] {
            assert!(posix(python).is_err(), "{python}");
        }
    }

    #[test]
    fn groups_are_filled_in_as_python_does() {
        for (pattern, line, text, wanted) in [
            ("^(a)(b)?", "ac", r"\1-\2!", "a-!"),
            ("(?P<key>k)=(.*)", "k=é", r"\g<key>: \g<2>", "k: é"),
            ("(x)", "x", r"\\1 \d \t", "\\1 \\d \t"),
            ("(x)", "x", r"end\", r"end\"),
        ] {
            let pattern = compile(pattern).unwrap();
            assert_eq!(expand(&pattern.captures(line).unwrap(), text), wanted);
        }
    }
}
