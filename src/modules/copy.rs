//! `copy`: files of the controller, texts, or files that are on the host already.

use minijinja::Value;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::change::Apply;
use crate::change::Change;
use crate::change::Content;
use crate::change::Look;
use crate::change::Probe;
use crate::change::Ran;
use crate::change::Refusal;
use crate::change::Resource;
use crate::change::Undo;
use crate::change::look::PathKind;
use crate::change::look::PathState;
use crate::change::sh;
use crate::modules::Fields;
use crate::modules::FileArg;
use crate::modules::Module;
use crate::modules::Nature;
use crate::modules::Reach;
use crate::modules::attributes::Wanted;
use crate::modules::place;
use crate::modules::place::Place;
use crate::modules::place::Wish;
use crate::modules::place_tree;
use crate::modules::types::Dest;
use crate::modules::types::HostPath;
use crate::modules::types::Mode;
use crate::modules::types::Source;

/// Puts a file, a directory or a text on the host.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Copy {
    /// A file or directory of the controller, searched in the role's `files`. Of a directory written with `/` at its end only
    /// what is in it is copied. With `remote_src`: a path on the host.
    #[serde(default)]
    pub src: Option<String>,
    /// What was found; filled in by the engine.
    #[serde(default)]
    #[schemars(skip)]
    pub source_: Option<Source>,
    /// The text itself instead of `src`. A list or mapping is written as JSON.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub content: Option<Value>,
    /// Where it goes. A directory, or a path with `/` at its end, takes the name of `src`.
    pub dest: Dest,
    /// `src` is a file on the host.
    #[serde(default)]
    pub remote_src: bool,
    /// Permission bits: `0644`, `u=rw,g=r`, or `preserve` for those of `src`. Without it a new file gets 0644.
    #[serde(default)]
    pub mode: Option<Mode>,
    /// Permission bits of directories that are created.
    #[serde(default)]
    pub directory_mode: Option<Mode>,
    /// Name or number of the owner.
    #[serde(default)]
    pub owner: Option<String>,
    /// Name or number of the group.
    #[serde(default)]
    pub group: Option<String>,
    /// `false`: a file that is there is left as it is.
    #[serde(default = "yes")]
    pub force: bool,
    /// Keeps the old file beside the new one under a dated name.
    #[serde(default)]
    pub backup: bool,
    /// A command that must accept the new file before it is put in place; `%s` stands for it: `visudo -cf %s`.
    #[serde(default)]
    pub validate: Option<String>,
    /// If `dest` is a link, what it points to is meant; else a link is replaced by a file.
    #[serde(default)]
    pub follow: bool,
    /// Accepted; links of the controller are always followed.
    #[serde(default = "yes")]
    pub local_follow: bool,
    /// Accepted; files are always replaced in one step where the host allows it.
    #[serde(default)]
    pub unsafe_writes: bool,
}

fn yes() -> bool {
    true
}

#[derive(Debug, Deserialize)]
pub struct Identity {
    #[serde(default)]
    src: Option<String>,
    #[serde(default)]
    source_: Option<Source>,
    dest: Dest,
    #[serde(default)]
    remote_src: bool,
}

#[derive(Debug, Deserialize)]
pub struct State {
    #[serde(flatten)]
    place: Place,
    /// `src`, if it is on the host.
    #[serde(default)]
    src: PathState,
    /// Every path of a directory that is copied, as `_tb_paths` prints it.
    #[serde(default)]
    tree: String,
}

impl Copy {
    fn mode(&self, now: Option<&PathState>) -> Option<Mode> {
        match (&self.mode, &self.source_, now) {
            (Some(Mode::Preserve), _, Some(src)) => Some(Mode::Bits(src.mode)),
            (Some(Mode::Preserve), Some(source), None) => Some(Mode::Bits(source.mode)),
            (mode, _, _) => mode.clone(),
        }
    }

    fn wish<'a>(&'a self, mode: Option<&'a Mode>) -> Wish<'a> {
        let wanted = Wanted { mode, owner: self.owner.as_deref(), group: self.group.as_deref() };
        Wish {
            dest: &self.dest,
            src: self.src.as_deref(),
            wanted,
            above: Wanted { mode: self.directory_mode.as_ref(), ..wanted },
            follow: self.follow,
            force: self.force,
            backup: self.backup,
            validate: self.validate.as_deref(),
        }
    }

    fn content(&self) -> Option<Content> {
        match (&self.content, &self.source_) {
            (Some(value), _) => Some(Content::Text(text(value))),
            (None, Some(source)) => Some(source.content()),
            (None, None) => None,
        }
    }

    /// A file on the host is copied there, whatever is in it.
    fn remote(&self, now: &State) -> Result<Change, Refusal> {
        let src = self.src.as_deref().unwrap_or_default();
        match now.src.kind {
            PathKind::File => {}
            PathKind::Absent => return Err(Refusal::new(format!("{src} does not exist on the host"))),
            PathKind::Directory => return Err(Refusal::new("`remote_src` with a directory is unsupported; write `command: cp -a`")),
            _ => return Err(Refusal::new(format!("{src} is no regular file"))),
        }
        let mode = self.mode(Some(&now.src));
        let wish = self.wish(mode.as_ref());
        let place = wish.place(&now.place);
        if place.itself.exists() && !self.force || place.holds(&now.src.sha256, self.follow) {
            // The digest is that of what is there, so only the attributes are compared.
            let same = Content::File { path: src.into(), sha256: now.src.sha256.clone() };
            return wish.change(&now.place, &same);
        }
        let mut change = wish.prepare(&now.place, &place)?;
        wish.unlink(&mut change, &place)?;
        let mode = match (place.itself.kind, &mode) {
            (PathKind::File, None) => "-".to_string(),
            (PathKind::File, Some(mode)) => format!("{:05o}", mode.bits(place.itself.mode, false)),
            (_, mode) => format!("{:05o}", mode.as_ref().map_or(0o644, |mode| mode.bits(0o644, false))),
        };
        let words = [place.path.as_str(), &mode, self.owner.as_deref().unwrap_or("-"), self.group.as_deref().unwrap_or("-")];
        let text = format!("_tb_over {} <{}", sh::words(words), sh::quote(src));
        change.step("content", Resource::path(&place.path), Apply::run(text), Undo::Restore);
        Ok(change)
    }
}

/// A value as the text of a file: JSON, as Python spaces it, for what is no scalar.
fn text(value: &Value) -> String {
    use minijinja::value::ValueKind;
    match value.kind() {
        ValueKind::Seq | ValueKind::Map | ValueKind::Iterable => {
            let json = serde_json::to_value(value).unwrap_or_default();
            spaced(&json)
        }
        ValueKind::Bool => if value.is_true() { "True" } else { "False" }.to_string(),
        ValueKind::None | ValueKind::Undefined => String::new(),
        _ => value.to_string(),
    }
}

fn spaced(json: &serde_json::Value) -> String {
    match json {
        serde_json::Value::Array(items) => format!("[{}]", items.iter().map(spaced).collect::<Vec<_>>().join(", ")),
        serde_json::Value::Object(entries) => {
            let one = |(key, value): (&String, &serde_json::Value)| {
                format!("{}: {}", serde_json::Value::from(key.as_str()), spaced(value))
            };
            format!("{{{}}}", entries.iter().map(one).collect::<Vec<_>>().join(", "))
        }
        scalar => scalar.to_string(),
    }
}

impl Module for Copy {
    const NAME: &'static str = "copy";
    const SUMMARY: &'static str = "Puts a file, a directory or a text on the host.";
    const EXAMPLE: &'static str = "copy:\n  content: |\n    managed by tbctl\n  dest: /etc/motd\n  mode: '0644'\n";
    const NATURE: Nature = Nature::State;
    const REACH: Reach = Reach::Own;
    const UNSUPPORTED: &'static [&'static str] = &["attr", "attributes", "checksum", "decrypt", "selevel", "serole", "setype", "seuser",];
    const FILE: Option<FileArg> = Some(FileArg { name: "src", directory: "files", template: false });

    type Identity = Identity;
    type State = State;

    fn check(&self) -> Result<(), Refusal> {
        match (&self.src, &self.content) {
            (Some(_), Some(_)) => return Err(Refusal::new("`src` and `content` say the same thing twice").help("write one of them")),
            (None, None) => return Err(Refusal::new("nothing to copy is given").help("write `src:` or `content:`")),
            (None, Some(_)) if self.dest.directory => {
                return Err(Refusal::new("`content` needs the path of a file as `dest`").help("leave out `/` at the end"));
            }
            (None, Some(_)) if self.mode == Some(Mode::Preserve) => {
                return Err(Refusal::new("`mode: preserve` needs a `src` whose mode is preserved"));
            }
            _ => {}
        }
        if self.remote_src {
            let src = self.src.clone().unwrap_or_default();
            let path: Result<HostPath, serde::de::value::Error> =
                HostPath::deserialize(serde::de::value::StringDeserializer::new(src));
            path.map_err(|why| Refusal::new(why.to_string()))?;
            if self.validate.is_some() || self.backup {
                return Err(Refusal::new("`validate` and `backup` are unsupported with `remote_src`"));
            }
        }
        place::check_validate(self.validate.as_deref())
    }

    fn probe(identity: &Identity) -> Probe {
        let src = identity.src.as_deref();
        if let Some(tree) = identity.source_.as_ref().and_then(|source| source.tree.as_ref()) {
            let root = place_tree::root(&identity.dest, src.unwrap_or_default());
            let text = place_tree::question(&root, tree);
            return place::ask(&identity.dest, src).ask("tree", Look::Script { text });
        }
        let probe = place::ask(&identity.dest, src);
        match src {
            Some(src) if identity.remote_src => probe.target("src", src),
            _ => probe,
        }
    }

    fn change(&self, now: &State) -> Result<Change, Refusal> {
        if self.remote_src {
            return self.remote(now);
        }
        let mode = self.mode(None);
        let wish = self.wish(mode.as_ref());
        if let Some(tree) = self.source_.as_ref().and_then(|source| source.tree.as_ref()) {
            let preserve = self.mode == Some(Mode::Preserve);
            return place_tree::change(&wish, tree, &now.tree, &now.place, preserve);
        }
        match self.content() {
            Some(content) => wish.change(&now.place, &content),
            None => Err(Refusal::new(format!("{} was not read", self.src.as_deref().unwrap_or_default()))),
        }
    }

    fn result(&self, now: &State, ran: &[Ran]) -> Fields {
        let mode = self.mode(self.remote_src.then_some(&now.src));
        let wish = self.wish(mode.as_ref());
        if self.source_.as_ref().is_some_and(|source| source.tree.is_some()) {
            let root = place_tree::root(&self.dest, self.src.as_deref().unwrap_or_default());
            let src = Value::from(self.src.as_deref());
            return Fields::from([("dest".into(), Value::from(root)), ("src".into(), src)]);
        }
        let mut fields = wish.report(&now.place, self.content().as_ref());
        crate::modules::attributes::told(&mut fields, ran);
        fields
    }
}
