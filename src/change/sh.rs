//! The one place where text becomes shell words.

/// One shell word that stands for exactly this text. A NUL cannot be in a word and is left out.
pub fn quote(text: &str) -> String {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"@%_+:,./-".contains(&b)) {
        return text.to_string();
    }
    format!("'{}'", text.replace('\0', "").replace('\'', r"'\''"))
}

/// Words separated by blanks, each quoted.
pub fn words<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    texts.into_iter().map(quote).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_text_comes_back_from_the_shell() {
        for text in ["", "plain/-1", "a b", "it's", "$(x) `y` \\ \"z\"", "two\nlines", "-n", "é\t*?[a]", "'"] {
            let script = format!("printf %s {}", quote(text));
            let out = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(out.stdout).unwrap(), text);
        }
    }
}
