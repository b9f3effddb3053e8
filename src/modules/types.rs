//! Types of arguments that several kinds share.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::Error as _;

use crate::change::Content;

/// Permission bits: the number YAML reads from `0644`, the text `"0644"`, or symbolic `u=rw,g=r`.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String")]
pub enum Mode {
    Bits(u32),
    /// `u=rw,g-w`, applied to the bits that are there.
    Symbolic(String),
    /// `preserve`: as the source file has it.
    Preserve,
}

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Mode, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Mode;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a mode such as 0644, \"0644\" or u=rw,g=r")
            }

            fn visit_i64<E: serde::de::Error>(self, bits: i64) -> Result<Mode, E> {
                let bits = u32::try_from(bits).ok().filter(|bits| *bits <= 0o7777);
                bits.map(Mode::Bits).ok_or_else(|| E::custom("a mode lies between 0 and 07777; write it as 0644"))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Mode, E> {
                if text == "preserve" {
                    return Ok(Mode::Preserve);
                }
                if let Ok(bits) = u32::from_str_radix(text.trim_start_matches("0o"), 8) {
                    return self.visit_i64(i64::from(bits));
                }
                match symbolic(text, 0, false) {
                    Some(_) => Ok(Mode::Symbolic(text.to_string())),
                    None => Err(E::custom(format!("`{text}` is no mode; write 0644 or u=rw,g=r,o="))),
                }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl Mode {
    /// The bits wanted of something that has `now` (or, when new, what the umask 022 leaves).
    pub fn bits(&self, now: u32, directory: bool) -> u32 {
        match self {
            Mode::Bits(bits) => *bits,
            Mode::Symbolic(text) => symbolic(text, now, directory).unwrap_or(now),
            Mode::Preserve => now,
        }
    }
}

/// Applies `u=rw,g+x,o-r,a=X`; `None` when the text is not of that form.
fn symbolic(text: &str, mut bits: u32, directory: bool) -> Option<u32> {
    for clause in text.split(',') {
        let at = clause.find(['=', '+', '-'])?;
        let (who, rest) = clause.split_at(at);
        let (sign, letters) = rest.split_at(1);
        let who = if who.is_empty() { "a" } else { who };
        let mut classes = Vec::new();
        for letter in who.chars() {
            match letter {
                'u' => classes.push((6, 0o4000)),
                'g' => classes.push((3, 0o2000)),
                'o' => classes.push((0, 0)),
                'a' => classes.extend([(6, 0o4000), (3, 0o2000), (0, 0)]),
                _ => return None,
            }
        }
        let before = bits;
        for (shift, special) in classes {
            let mut mask = 0;
            for letter in letters.chars() {
                mask |= match letter {
                    'r' => 4 << shift,
                    'w' => 2 << shift,
                    'x' => 1 << shift,
                    'X' if directory || before & 0o111 != 0 => 1 << shift,
                    'X' => 0,
                    's' => special,
                    't' => 0o1000,
                    'u' => ((before >> 6) & 7) << shift,
                    'g' => ((before >> 3) & 7) << shift,
                    'o' => (before & 7) << shift,
                    _ => return None,
                };
            }
            match sign {
                "=" => bits = (bits & !((7 << shift) | special)) | mask,
                "+" => bits |= mask,
                _ => bits &= !mask,
            }
        }
    }
    Some(bits)
}

/// A file of the controller, found and read by the engine.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct Source {
    /// Where it was found.
    pub path: PathBuf,
    pub sha256: String,
    /// Permission bits of the file on the controller.
    #[serde(default)]
    pub mode: u32,
    /// The content, rendered if it is a template, when it is text and small enough for a script; else it is sent ahead.
    #[serde(default)]
    pub text: Option<String>,
    /// Set instead of the above for a directory: what is in it, by path below it, directories with no source.
    #[serde(default)]
    pub tree: Option<Vec<(String, Option<Source>)>>,
}

impl Source {
    pub fn content(&self) -> Content {
        match &self.text {
            Some(text) => Content::Text(text.clone()),
            None => Content::File { path: self.path.clone(), sha256: self.sha256.clone() },
        }
    }
}

/// An absolute path on a host, in one line.
#[derive(Debug, Clone, PartialEq, Eq, Hash, JsonSchema)]
#[schemars(with = "String")]
pub struct HostPath(pub String);

impl<'de> Deserialize<'de> for HostPath {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<HostPath, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.contains('\0') {
            return Err(D::Error::custom("a path on a host cannot hold a NUL byte"));
        }
        if text.contains('\n') {
            return Err(D::Error::custom("a path on a host cannot hold a line end"));
        }
        if text.starts_with('~') {
            return Err(D::Error::custom("`~` is unsupported in a path on a host; write `{{ ansible_env.HOME }}`"));
        }
        if !text.starts_with('/') {
            return Err(D::Error::custom(format!("`{text}` is not an absolute path; write it from `/`")));
        }
        // One spelling a path, since resources are named after paths. `..` stays: what it means depends on links.
        let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        Ok(HostPath(format!("/{}", parts.join("/"))))
    }
}

impl std::ops::Deref for HostPath {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// Where a file goes: a path, or, written with `/` at its end, the directory it is put into.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String")]
pub struct Dest {
    pub path: HostPath,
    /// Written with `/` at its end.
    pub directory: bool,
}

impl<'de> Deserialize<'de> for Dest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Dest, D::Error> {
        let text = String::deserialize(deserializer)?;
        let directory = text.ends_with('/');
        let path = HostPath::deserialize(serde::de::value::StringDeserializer::<D::Error>::new(text))?;
        Ok(Dest { path, directory })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbolic_modes() {
        for (text, now, directory, wanted) in [
            ("u=rw,g=r,o=", 0o777, false, 0o640),
            ("a+x", 0o644, false, 0o755),
            ("g-w", 0o664, false, 0o644),
            ("u=rwX,go=rX", 0o600, true, 0o755),
            ("u=rwX,go=rX", 0o600, false, 0o644),
            ("+t", 0o755, true, 0o1755),
            ("u+s", 0o755, false, 0o4755),
            ("g=u", 0o640, false, 0o660),
        ] {
            assert_eq!(symbolic(text, now, directory), Some(wanted), "{text}");
        }
        for text in ["rw", "z=r", "u=q", ""] {
            assert_eq!(symbolic(text, 0, false), None, "{text}");
        }
    }
}
