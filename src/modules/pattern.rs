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
