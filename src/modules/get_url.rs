//! `get_url`: a file from the network, fetched by the host itself.

use indexmap::IndexMap;
use minijinja::Value;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::change::Apply;
use crate::change::Change;
use crate::change::Look;
use crate::change::Probe;
use crate::change::Ran;
use crate::change::Refusal;
use crate::change::Resource;
use crate::change::Undo;
use crate::change::look::PathKind;
use crate::change::sh;
use crate::modules::Fields;
use crate::modules::Module;
use crate::modules::Nature;
use crate::modules::Reach;
use crate::modules::attributes::Via;
use crate::modules::attributes::Wanted;
use crate::modules::attributes::below;
use crate::modules::place;
use crate::modules::place::Final;
use crate::modules::place::Place;
use crate::modules::place::Wish;
use crate::modules::types::Dest;
use crate::modules::types::Mode;

/// Fetches a file over http or https with the host's `curl` or `wget`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetUrl {
    /// Where from.
    pub url: String,
    /// Where to. A directory, or a path with `/` at its end, takes the last part of the URL's path, and is fetched into each
    /// time; it counts as changed if something else came.
    pub dest: Dest,
    /// `sha256:…`, `sha512:…`, `sha1:…` or `md5:…` in hex. With it the file is fetched only when what is there differs; without
    /// it, only when nothing is there.
    #[serde(default)]
    pub checksum: Option<String>,
    /// Fetches each time, even if the file is there.
    #[serde(default)]
    pub force: bool,
    /// Headers of the request, by name. Needs `curl` on the host, which is told by a pipe, not by arguments.
    #[serde(default)]
    pub headers: IndexMap<String, String>,
    /// Name for authentication. Needs `curl` on the host.
    #[serde(default, alias = "username")]
    pub url_username: Option<String>,
    /// Password for authentication. Needs `curl` on the host.
    #[serde(default, alias = "password")]
    pub url_password: Option<String>,
    /// Accepted; a name and password are always sent with the first request.
    #[serde(default)]
    pub force_basic_auth: bool,
    /// `false`: the server's certificate is not checked.
    #[serde(default = "yes")]
    pub validate_certs: bool,
    /// Seconds to wait for a connection, and for the next byte.
    #[serde(default = "ten")]
    pub timeout: u32,
    /// Permission bits: `0644` or `u=rw,g=r`. Without it a new file gets 0644.
    #[serde(default)]
    pub mode: Option<Mode>,
    /// Name or number of the owner.
    #[serde(default)]
    pub owner: Option<String>,
    /// Name or number of the group.
    #[serde(default)]
    pub group: Option<String>,
    /// Accepted; files are always replaced in one step where the host allows it.
    #[serde(default)]
    pub unsafe_writes: bool,
}

fn yes() -> bool {
    true
}

fn ten() -> u32 {
    10
}

#[derive(Debug, Deserialize)]
pub struct Identity {
    url: String,
    dest: Dest,
    #[serde(default)]
    checksum: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct State {
    #[serde(flatten)]
    place: Place,
    /// The digest of what is there, unless `stat` and `sha256sum` say it already.
    #[serde(default)]
    sum: String,
}

/// Digests and the length of their hex form.
const ALGORITHMS: &[(&str, usize)] = &[("sha256", 64), ("sha512", 128), ("sha384", 96), ("sha224", 56), ("sha1", 40), ("md5", 32)];

/// The name and the digest in lower case.
fn split(checksum: &str) -> Result<(&'static str, String), Refusal> {
    let (name, digest) = checksum.split_once(':').unwrap_or(("", checksum));
    let Some((name, length)) = ALGORITHMS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) else {
        let refusal = Refusal::new(format!("`{name}` is no checksum's name"));
        return Err(refusal.help("write `sha256:` and the digest in hex"));
    };
    let digest = digest.trim().to_ascii_lowercase();
    if digest.contains("://") {
        return Err(Refusal::new("a checksum that has to be fetched is unsupported").help("write the digest itself"));
    }
    if digest.len() != *length || !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Refusal::new(format!("a {name} checksum has {length} hex digits")));
    }
    Ok((name, digest))
}

/// The last part of the URL's path.
fn file_name(url: &str) -> Option<&str> {
    let rest = url.split_once("://")?.1;
    let path = rest.split(['?', '#']).next()?.split_once('/')?.1;
    path.rsplit('/').next().filter(|name| !name.is_empty())
}

/// A text in curl's configuration.
fn curl_text(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\t', "\\t"))
}

impl GetUrl {
    fn wish(&self) -> Wish<'_> {
        let wanted = Wanted { mode: self.mode.as_ref(), owner: self.owner.as_deref(), group: self.group.as_deref() };
        Wish {
            dest: &self.dest,
            src: file_name(&self.url),
            wanted,
            above: Wanted { mode: None, ..wanted },
            follow: false,
            force: self.force,
            backup: false,
            validate: None,
        }
    }

    /// Whether what is there is what is wanted.
    fn done(&self, now: &State, place: &Final<'_>) -> Result<bool, Refusal> {
        if place.target.kind != PathKind::File {
            return Ok(false);
        }
        match &self.checksum {
            // Into a directory it is fetched each time, as in Ansible.
            None => Ok(!self.force && place.path == *self.dest.path),
            Some(checksum) => {
                let (name, digest) = split(checksum)?;
                let seen = if name == "sha256" { place.target.sha256.as_str() } else { now.sum.as_str() };
                Ok(seen == digest)
            }
        }
    }

    /// What only curl can be told without showing it to every user of the host.
    fn curl_only(&self) -> bool {
        !self.headers.is_empty() || self.url_username.is_some() || self.url.split('/').nth(2).is_some_and(|host| host.contains('@'))
    }

    fn script(&self, place: &Final<'_>) -> Result<String, Refusal> {
        let mut config = vec![format!("url = {}", curl_text(&self.url))];
        config.extend(self.headers.iter().map(|(name, value)| format!("header = {}", curl_text(&format!("{name}: {value}")))));
        if let Some(user) = &self.url_username {
            let password = self.url_password.as_deref().unwrap_or_default();
            config.push(format!("user = {}", curl_text(&format!("{user}:{password}"))));
        }
        let (insecure, unchecked) = if self.validate_certs { ("", "") } else { ("-k ", "--no-check-certificate ") };
        let seconds = self.timeout;
        let directory = place.path.rsplit_once('/').map_or("", |(directory, _)| directory);
        let mut text = format!("_tb_u=$(mktemp {}) || exit\n_tb_beside \"$_tb_u\"\n", sh::quote(&format!("{directory}/.tb.XXXXXX")));
        text.push_str(&format!(
            "if command -v curl >/dev/null; then\n\
             printf '%s\\n' {} | curl -sSfL {insecure}--connect-timeout {seconds} --speed-limit 1 --speed-time {seconds} -K - -o \"$_tb_u\"\n",
            sh::words(config.iter().map(String::as_str))
        ));
        if !self.curl_only() {
            // On standard input, where no other user of the host sees it; the wget of busybox knows only its arguments.
            let (url, wget) = (sh::quote(&self.url), format!("wget -q {unchecked}-T {seconds} -O \"$_tb_u\""));
            text.push_str(&format!(
                "elif command -v wget >/dev/null; then\n\
                 case $(wget --help 2>&1) in\n\
                 *--input-file*) printf '%s\\n' {url} | {wget} -i - ;;\n"
            ));
            text.push_str(&match self.url.contains('?') {
                true => "*) echo 'install curl: this wget would show the URL to everybody' >&2; false ;;\nesac\n".to_string(),
                false => format!("*) {wget} -- {url} ;;\nesac\n"),
            });
        }
        let missing = if self.curl_only() { "install curl: this needs it" } else { "install curl or wget" };
        text.push_str(&format!("else\necho '{missing}' >&2\nfalse\nfi"));
        if let Some(checksum) = &self.checksum {
            let (name, digest) = split(checksum)?;
            text.push_str(&format!(
                " && {{\n_tb_x=$({name}sum <\"$_tb_u\")\n[ \"${{_tb_x%% *}}\" = {digest} ] ||\n\
                 {{ echo \"the {name} checksum of what came is ${{_tb_x%% *}}\" >&2; false; }}\n}}"
            ));
        }
        if place.target.kind == PathKind::File && self.wish().wanted.hold(place.target) {
            let path = sh::quote(&place.path);
            text.push_str(&format!(" && {{\nif cmp -s \"$_tb_u\" {path}; then\nrm -f \"$_tb_u\"\necho {SAME}\nexit 0\nfi\n}}"));
        }
        let mode = match (place.itself.kind, &self.mode) {
            (PathKind::File, None) => "-".to_string(),
            (PathKind::File, Some(mode)) => format!("{:05o}", mode.bits(place.itself.mode, false)),
            (_, mode) => format!("{:05o}", mode.as_ref().map_or(0o644, |mode| mode.bits(0o644, false))),
        };
        let words = [place.path.as_str(), &mode, self.owner.as_deref().unwrap_or("-"), self.group.as_deref().unwrap_or("-")];
        text.push_str(&format!(" &&\n_tb_over {} <\"$_tb_u\"\n_tb_x=$?\nrm -f \"$_tb_u\"\nexit $_tb_x", sh::words(words)));
        Ok(text)
    }
}

/// What a step says when what came is what was there.
const SAME: &str = "same";

impl Module for GetUrl {
    const NAME: &'static str = "get_url";
    const SUMMARY: &'static str = "Fetches a file from the network.";
    const EXAMPLE: &'static str = "get_url:\n  url: http://10.0.0.1:8000/tool\n  dest: /usr/local/bin/tool\n  mode: '0755'\n";
    const NATURE: Nature = Nature::State;
    const REACH: Reach = Reach::Beyond;
    const UNSUPPORTED: &'static [&'static str] = &["attr", "attributes", "backup", "ciphers", "client_cert", "client_key", "decompress", "http_agent", "selevel", "serole", "setype", "seuser", "tmp_dest", "unredirected_headers", "use_gssapi", "use_netrc", "use_proxy",];

    type Identity = Identity;
    type State = State;

    fn check(&self) -> Result<(), Refusal> {
        if !["http://", "https://", "ftp://"].iter().any(|scheme| self.url.starts_with(scheme)) {
            return Err(Refusal::new(format!("`{}` is unsupported as a URL", self.url)).help("write http:// or https://"));
        }
        let told = self.headers.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
        let told = told.chain(self.url_username.as_deref()).chain(self.url_password.as_deref()).chain([self.url.as_str()]);
        if told.into_iter().any(|text| text.contains(['\n', '\r', '\0'])) {
            return Err(Refusal::new("a URL, header, name or password cannot hold a line end"));
        }
        if self.dest.directory && file_name(&self.url).is_none() {
            return Err(Refusal::new("the URL names no file").help("write the path of the file as `dest`"));
        }
        if self.mode == Some(Mode::Preserve) {
            return Err(Refusal::new("`mode: preserve` is for `copy` and `template`; a URL has no mode"));
        }
        self.checksum.as_deref().map(split).transpose().map(drop)
    }

    fn probe(identity: &Identity) -> Probe {
        let name = file_name(&identity.url);
        let probe = place::ask(&identity.dest, name);
        match identity.checksum.as_deref().map(split) {
            Some(Ok((algorithm, _))) if algorithm != "sha256" => {
                let dest = sh::quote(&identity.dest.path);
                let inner = sh::quote(&name.map_or(identity.dest.path.to_string(), |name| below(&identity.dest.path, name)));
                let text = format!(
                    "_tb_p={dest}\n[ ! -d {dest} ] || _tb_p={inner}\n\
                     [ ! -f \"$_tb_p\" ] || {{ _tb_x=$({algorithm}sum <\"$_tb_p\") && echo \"${{_tb_x%% *}}\"; }}"
                );
                probe.ask("sum", Look::Script { text })
            }
            _ => probe,
        }
    }

    fn change(&self, now: &State) -> Result<Change, Refusal> {
        let wish = self.wish();
        let place = wish.place(&now.place);
        let mut change = wish.prepare(&now.place, &place)?;
        if self.done(now, &place)? {
            let via = if place.itself.kind == PathKind::Link { Via::Attributes } else { Via::Whole };
            wish.wanted.fix(&mut change, &place.path, place.target, via);
            return Ok(change);
        }
        wish.unlink(&mut change, &place)?;
        let text = self.script(&place)?;
        change.step("fetch", Resource::path(&place.path), Apply::run(text), Undo::Restore);
        Ok(change)
    }

    fn result(&self, now: &State, ran: &[Ran]) -> Fields {
        let mut fields = self.wish().report(&now.place, None);
        fields.shift_remove("src");
        fields.insert("url".into(), Value::from(self.url.as_str()));
        if ran.last().is_some_and(|ran| ran.stdout.trim() == SAME) {
            fields.insert("changed".into(), Value::from(false));
        }
        let msg = if ran.is_empty() { "file already exists" } else { "OK" };
        fields.insert("msg".into(), Value::from(msg));
        fields
    }
}
