//! Patterns of `ssh_config` and `known_hosts`: `*`, `?` and a leading `!`.
//!
//! Knows nothing of what is matched.

/// Whether the whole text fits the pattern, where `*` stands for any run of characters and `?` for one.
pub(super) fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Where to go on when a later character does not fit: after the last `*`, with one more character swallowed.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p + 1, t));
                p += 1;
            }
            Some(&one) if one == '?' || one == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((after, swallowed)) => {
                    star = Some((after, swallowed + 1));
                    (p, t) = (after, swallowed + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&one| one == '*')
}

/// Whether one of the patterns fits and no negated one does.
pub(super) fn any_fits<'a>(patterns: impl IntoIterator<Item = &'a str>, text: &str) -> bool {
    let mut found = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(negated) if fits(negated, text) => return false,
            Some(_) => {}
            None => found |= fits(pattern, text),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("web?", "web1", true),
            ("web?", "web", false),
            ("*.example.org", "a.b.example.org", true),
            ("*.example.org", "example.org", false),
            ("a*b*c", "aXbYbc", true),
            ("a*b*c", "aXbYb", false),
            ("192.168.?.*", "192.168.1.20", true),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} on {text}");
        }
    }

    #[test]
    fn a_negated_pattern_wins_and_alone_says_nothing() {
        assert!(any_fits(["*", "!db*"], "web1"));
        assert!(!any_fits(["*", "!db*"], "db1"));
        assert!(!any_fits(["!db*"], "web1"));
    }
}
