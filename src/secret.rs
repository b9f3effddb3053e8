//! Values that must not be shown, and the filter that keeps them out of everything that is.
//!
//! Knows nothing of where secrets come from.

use std::fmt;
use std::sync::{Arc, RwLock};

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use zeroize::Zeroize;

/// A value whose content is never printed by `Debug` or `Display`, and is wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    pub fn new(value: T) -> Secret<T> {
        Secret(value)
    }

    /// The content. Whoever calls this answers for where it goes.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// What stands where a secret was.
pub const MASK: &str = "<secret>";

/// Shorter values would blot out ordinary text.
const SHORTEST: usize = 6;

/// Replaces every known secret, and its base64, URL and JSON forms, by [`MASK`].
/// Clones share what they know: a key made during the run is hidden everywhere at once.
#[derive(Clone, Default)]
pub struct Redactor(Arc<RwLock<Known>>);

#[derive(Default)]
struct Known {
    words: Vec<String>,
    search: Option<AhoCorasick>,
}

impl Redactor {
    /// Hides this value from now on. Each line of a value of many lines is hidden by itself.
    pub fn hide(&self, value: &str) {
        let mut known = self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        let before = known.words.len();
        for line in value.lines().map(str::trim).filter(|line| line.len() >= SHORTEST) {
            let json = serde_json::Value::from(line).to_string();
            let url: String = line
                .bytes()
                .map(|b| match b {
                    b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => (b as char).to_string(),
                    _ => format!("%{b:02X}"),
                })
                .collect();
            let base64 = base64::engine::general_purpose::STANDARD_NO_PAD.encode(line);
            for form in [line.to_string(), json.trim_matches('"').to_string(), url, base64] {
                if !known.words.contains(&form) {
                    known.words.push(form);
                }
            }
        }
        if known.words.len() != before {
            known.search = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&known.words).ok();
        }
    }

    pub fn clean(&self, text: &str) -> String {
        let known = self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        match &known.search {
            Some(search) => search.replace_all(text, &vec![MASK; known.words.len()]),
            None => text.to_string(),
        }
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_secret_is_hidden() {
        let redactor = Redactor::default();
        redactor.hide("pa\"ss/word+1");
        assert_eq!(redactor.clean("x pa\"ss/word+1 y"), "x <secret> y");
        assert_eq!(redactor.clean(r#"{"p":"pa\"ss/word+1"}"#), r#"{"p":"<secret>"}"#);
        assert_eq!(redactor.clean("pa%22ss%2Fword%2B1"), "<secret>");
        assert_eq!(redactor.clean("cGEic3Mvd29yZCsx"), "<secret>");
    }

    #[test]
    fn short_words_are_left_alone() {
        let redactor = Redactor::default();
        redactor.hide("yes");
        assert_eq!(redactor.clean("yes"), "yes");
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Secret::new("hunter22".to_string())), "<secret>");
    }
}
