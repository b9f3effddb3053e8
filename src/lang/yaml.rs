//! YAML 1.1, as Ansible reads it, into [`Node`] trees with byte-exact places.
//!
//! Builds from the parser's events with an explicit stack, so that hostile text costs bounded time and memory: see the limits.
//! Knows nothing of what the values mean, nor of files.

use std::collections::HashMap;
use std::sync::Arc;

use serde_saphyr::granit_parser as granit;

use crate::diag::Diagnostic;
use crate::diag::Diagnostics;
use crate::diag::Source;
use crate::diag::Span;
use crate::lang::node::Key;
use crate::lang::node::Node;
use crate::lang::node::Text;
use crate::lang::node::Tree;
use crate::lang::scalar;
use crate::lang::yaml_fault;

/// The largest text that is read, in bytes.
pub const MAX_BYTES: usize = 8 << 20;
/// The deepest nesting of lists and mappings.
pub const MAX_DEPTH: usize = 64;
/// The most values in one text once aliases and merge keys are written out.
pub const MAX_NODES: usize = 1 << 20;
/// The most bytes of text in all values once aliases and merge keys are written out.
pub const MAX_EXPANDED: usize = 64 << 20;

/// All documents of a text. Faults go to `faults`; what could be read is returned beside them.
pub fn parse(source: &Arc<Source>, faults: &mut Diagnostics) -> Vec<Node> {
    let mut builder = Builder::new(source, faults);
    match builder.read() {
        Ok(()) => builder.documents,
        Err(fault) => {
            builder.faults.push(*fault);
            Vec::new()
        }
    }
}

/// The only document of a text; `None` if it is empty or a fault was found.
pub fn document(source: &Arc<Source>, faults: &mut Diagnostics) -> Option<Node> {
    if source.text.starts_with("$ANSIBLE_VAULT;") {
        let line = source.text.lines().next().unwrap_or_default().len();
        faults.push(yaml_fault::vault().at(&Span::new(source, 0, line)));
        return None;
    }
    let mut documents = parse(source, faults).into_iter();
    let first = documents.next()?;
    if let Some(second) = documents.next() {
        let fault = Diagnostic::error("a second YAML document in a file that may hold just one");
        faults.push(fault.at(&second.span).help("remove the `---` line, or move this part to a file of its own"));
    }
    (!first.is_null()).then_some(first)
}

type Stop = Box<Diagnostic>;

/// What a value costs: its nodes, its bytes of text, its levels.
#[derive(Clone, Copy, Default)]
struct Weight {
    nodes: usize,
    bytes: usize,
    depth: usize,
}

impl Weight {
    fn add(&mut self, child: Weight) {
        self.nodes += child.nodes;
        self.bytes += child.bytes;
        self.depth = self.depth.max(child.depth + 1);
    }
}

enum Shape {
    List(Vec<Node>),
    Map(Mapping),
}

#[derive(Default)]
struct Mapping {
    entries: Vec<(Key, Node)>,
    index: HashMap<String, usize>,
    merges: Vec<Node>,
    key: Option<MapKey>,
}

enum MapKey {
    Name(Key),
    Merge(Span),
    /// Already reported; its value is dropped.
    Bad,
}

struct Frame {
    start: usize,
    anchor: usize,
    /// The tag as a word and its place.
    tag: Option<Tagged>,
    style: granit::StructureStyle,
    shape: Shape,
    weight: Weight,
}

/// What a tag asks for.
enum Tagged {
    Unsafe,
    /// `!!str`, `!!int` …
    Core(String, Span),
    /// `!` alone: text.
    Text,
}

struct Builder<'a> {
    source: &'a Arc<Source>,
    faults: &'a mut Diagnostics,
    stack: Vec<Frame>,
    documents: Vec<Node>,
    anchors: HashMap<usize, (Node, Weight)>,
    /// Everything built so far, aliases written out.
    total: Weight,
}

impl<'a> Builder<'a> {
    fn new(source: &'a Arc<Source>, faults: &'a mut Diagnostics) -> Builder<'a> {
        let total = Weight::default();
        Builder { source, faults, stack: Vec::new(), documents: Vec::new(), anchors: HashMap::new(), total }
    }

    fn span(&self, start: usize, end: usize) -> Span {
        Span::new(self.source, start, end)
    }

    fn read(&mut self) -> Result<(), Stop> {
        yaml_fault::check_text(self.source)?;
        let mut options = granit::options! {
            flow_nesting_limit: MAX_DEPTH,
            block_nesting_limit: MAX_DEPTH,
        };
        options.set_emit_comments(false);
        let source = self.source.clone();
        for event in granit::Parser::new_from_str_with_options(&source.text, options) {
            match event {
                Ok((event, span)) => self.event(event, &span)?,
                Err(error) => return Err(Box::new(yaml_fault::explain(&source, &error))),
            }
        }
        Ok(())
    }

    fn event(&mut self, event: granit::Event<'_>, at: &granit::Span) -> Result<(), Stop> {
        let (start, end) = (byte(&at.start), byte(&at.end));
        match event {
            granit::Event::Scalar(text, style, anchor, tag) => {
                let tag = tag.and_then(|tag| self.tag(&tag, at));
                let node = self.scalar(&text, style, tag, start, end);
                let weight = Weight { nodes: 1, bytes: text.len(), depth: 0 };
                self.place(node, anchor, weight, style == granit::ScalarStyle::Plain)
            }
            granit::Event::SequenceStart(style, anchor, tag) => {
                self.open(Shape::List(Vec::new()), style, anchor, tag.as_deref(), at)
            }
            granit::Event::MappingStart(style, anchor, tag) => {
                self.open(Shape::Map(Mapping::default()), style, anchor, tag.as_deref(), at)
            }
            granit::Event::SequenceEnd | granit::Event::MappingEnd => self.close(end),
            granit::Event::Alias(anchor) => self.alias(anchor, &self.span(start, end)),
            granit::Event::DocumentStart(..) => {
                self.anchors.clear();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn open(
        &mut self,
        shape: Shape,
        style: granit::StructureStyle,
        anchor: usize,
        tag: Option<&granit::Tag>,
        at: &granit::Span,
    ) -> Result<(), Stop> {
        let start = byte(&at.start);
        if self.stack.len() >= MAX_DEPTH {
            return Err(Box::new(yaml_fault::too_deep().at(&self.span(start, start))));
        }
        let tag = tag.and_then(|tag| self.tag(tag, at));
        let weight = Weight { nodes: 1, bytes: 0, depth: 1 };
        self.stack.push(Frame { start, anchor, tag, style, shape, weight });
        Ok(())
    }

    fn close(&mut self, end: usize) -> Result<(), Stop> {
        let Some(frame) = self.stack.pop() else { return Ok(()) };
        let last = match &frame.shape {
            Shape::List(items) => items.last().map(|item| item.span.end),
            Shape::Map(map) => map.entries.iter().map(|(key, node)| node.span.end.max(key.span.end)).max(),
        };
        // A block ends where its last value does, not where the parser noticed.
        let end = match frame.style {
            granit::StructureStyle::Block => last.unwrap_or(frame.start),
            granit::StructureStyle::Flow => end,
        };
        let span = self.span(frame.start, end);
        let mut weight = frame.weight;
        let tree = match frame.shape {
            Shape::List(items) => Tree::List(items),
            Shape::Map(map) => Tree::Map(self.merged(map, &mut weight)),
        };
        let mut node = Node::new(&span, tree);
        match frame.tag {
            Some(Tagged::Unsafe) => quench(&mut node),
            Some(Tagged::Core(name, place)) if name != if node.as_map().is_some() { "map" } else { "seq" } => {
                self.faults.push(yaml_fault::unsupported_tag(&format!("!!{name}")).at(&place));
            }
            _ => {}
        }
        self.place(node, frame.anchor, weight, false)
    }

    /// Hands a finished value to what it stands in.
    fn place(&mut self, node: Node, anchor: usize, weight: Weight, plain: bool) -> Result<(), Stop> {
        self.charge(
            if node.as_list().is_some() || node.as_map().is_some() { Weight::default() } else { weight },
            &node.span,
        )?;
        if anchor != 0 {
            // The copy costs too: nested anchors would multiply.
            self.charge(weight, &node.span)?;
            self.anchors.insert(anchor, (node.clone(), weight));
        }
        let Some(frame) = self.stack.last_mut() else {
            self.documents.push(node);
            return Ok(());
        };
        frame.weight.add(weight);
        match &mut frame.shape {
            Shape::List(items) => items.push(node),
            Shape::Map(map) => match map.key.take() {
                None => map.key = Some(key_of(node, plain, frame.style, self.faults)),
                Some(MapKey::Name(key)) => insert(map, key, node, self.faults),
                Some(MapKey::Merge(span)) => map.merges.push(Node { span, tree: node.tree }),
                Some(MapKey::Bad) => {}
            },
        }
        Ok(())
    }

    /// Counts what is kept in memory against the limits.
    fn charge(&mut self, weight: Weight, at: &Span) -> Result<(), Stop> {
        self.total.nodes += weight.nodes.max(1);
        self.total.bytes += weight.bytes;
        if self.total.nodes > MAX_NODES || self.total.bytes > MAX_EXPANDED {
            return Err(Box::new(yaml_fault::too_large().at(at)));
        }
        Ok(())
    }

    fn alias(&mut self, anchor: usize, span: &Span) -> Result<(), Stop> {
        let Some((_, weight)) = self.anchors.get(&anchor) else {
            let fault = Diagnostic::error(format!("the alias `{}` stands inside of what it refers to", span.text()));
            self.faults.push(fault.at(span).help("a value cannot contain itself: write it out, or anchor another one"));
            return self.place(Node::new(span, Tree::Null), 0, Weight { nodes: 1, ..Weight::default() }, false);
        };
        let weight = *weight;
        if self.stack.len() + weight.depth > MAX_DEPTH {
            return Err(Box::new(yaml_fault::too_deep().at(span)));
        }
        self.charge(weight, span)?;
        // Cloned only now that it is paid for.
        let node = self.anchors.get(&anchor).map(|(node, _)| node.clone());
        match node {
            Some(node) => self.place(node, 0, weight, false),
            None => Ok(()),
        }
    }

    /// The entries of a mapping with what its merge keys bring laid under them.
    fn merged(&mut self, map: Mapping, weight: &mut Weight) -> Vec<(Key, Node)> {
        if map.merges.is_empty() {
            return map.entries;
        }
        let mut under = Mapping::default();
        for merge in map.merges {
            let parts = match merge.tree {
                Tree::Map(entries) => vec![entries],
                // Of several, the first is the strongest.
                Tree::List(items) => items.into_iter().rev().filter_map(|item| self.mergeable(item)).collect(),
                tree => self.mergeable(Node { span: merge.span, tree }).into_iter().collect(),
            };
            for (key, node) in parts.into_iter().flatten() {
                replace(&mut under, key, node);
            }
        }
        for (key, node) in map.entries {
            replace(&mut under, key, node);
        }
        weight.nodes = weight.nodes.max(under.entries.len());
        under.entries
    }

    fn mergeable(&mut self, node: Node) -> Option<Vec<(Key, Node)>> {
        match node.tree {
            Tree::Map(entries) => Some(entries),
            _ => {
                let fault = Diagnostic::error(format!("`<<` merges mappings, found {}", node.kind()));
                self.faults.push(fault.at(&node.span).help("write `<<: *anchor`, or a list of such aliases"));
                None
            }
        }
    }

    fn scalar(
        &mut self,
        text: &str,
        style: granit::ScalarStyle,
        tag: Option<Tagged>,
        start: usize,
        end: usize,
    ) -> Node {
        use granit::ScalarStyle as Style;
        let span = match style {
            // The content, so that a place in the text is a place in the file.
            Style::SingleQuoted | Style::DoubleQuoted if end >= start + 2 => self.span(start + 1, end - 1),
            _ => self.span(start, end),
        };
        // The parser says `~` for a value that is not there.
        let text = if style == Style::Plain && start == end { "" } else { text };
        let live = |live| Tree::Text(Text { text: text.to_string(), live });
        let tree = match tag {
            Some(Tagged::Unsafe) => live(false),
            Some(Tagged::Text) => live(true),
            Some(Tagged::Core(name, place)) => self.core(&name, text, &place),
            None if style == Style::Plain => {
                if scalar::is_sexagesimal(text) {
                    self.faults.push(yaml_fault::sexagesimal(text).at(&span));
                }
                scalar::plain(text)
            }
            None => live(true),
        };
        Node { span, tree }
    }

    /// A scalar under `!!int` and the like.
    fn core(&mut self, name: &str, text: &str, place: &Span) -> Tree {
        let tree = match name {
            "str" => Some(Tree::Text(Text { text: text.to_string(), live: true })),
            "null" => Some(Tree::Null),
            "bool" => Some(scalar::plain(&text.to_lowercase())).filter(|tree| matches!(tree, Tree::Bool(_))),
            "int" => scalar::int(text).map(Tree::Int),
            "float" => scalar::float(text).or_else(|| text.parse().ok()).map(Tree::Float),
            _ => {
                self.faults.push(yaml_fault::unsupported_tag(&format!("!!{name}")).at(place));
                return Tree::Null;
            }
        };
        tree.unwrap_or_else(|| {
            self.faults.push(Diagnostic::error(format!("`{text}` is not a value of the type !!{name}")).at(place));
            Tree::Null
        })
    }

    fn tag(&mut self, tag: &granit::Tag, at: &granit::Span) -> Option<Tagged> {
        let place =
            at.tag_span().map_or_else(|| byte(&at.start)..byte(&at.end), |tag| byte(&tag.start)..byte(&tag.end));
        let place = self.span(place.start, place.end);
        if let Some(name) = tag.suffix_in_namespace("tag:yaml.org,2002:") {
            return Some(Tagged::Core(name.into_owned(), place));
        }
        match (tag.handle(), tag.suffix()) {
            ("!", "unsafe") => return Some(Tagged::Unsafe),
            ("!", "vault" | "vault-encrypted") => self.faults.push(yaml_fault::vault().at(&place)),
            ("", "!") => return Some(Tagged::Text),
            _ => self.faults.push(yaml_fault::unsupported_tag(&tag.original()).at(&place)),
        }
        None
    }
}

fn byte(marker: &granit::Marker) -> usize {
    marker.byte_offset().unwrap_or_else(|| marker.index())
}

/// No text below is a template any more: `!unsafe` on a whole value.
fn quench(node: &mut Node) {
    match &mut node.tree {
        Tree::Text(text) => text.live = false,
        Tree::List(items) => items.iter_mut().for_each(quench),
        Tree::Map(entries) => entries.iter_mut().for_each(|(_, node)| quench(node)),
        Tree::Null | Tree::Bool(_) | Tree::Int(_) | Tree::Float(_) => {}
    }
}

/// A finished value in the place of a key.
fn key_of(node: Node, plain: bool, style: granit::StructureStyle, faults: &mut Diagnostics) -> MapKey {
    let braces = node.as_map().is_some() && style == granit::StructureStyle::Flow;
    let name = match &node.tree {
        Tree::Null if node.span.start == node.span.end => None,
        Tree::List(_) | Tree::Map(_) => None,
        // As written: `80`, `yes` and `0644` are names here.
        Tree::Text(text) => Some(text.text.clone()),
        _ => Some(node.span.text().to_string()),
    };
    let mut node = node;
    if matches!(node.tree, Tree::Text(_)) && !matches!(scalar::plain(node.span.text()), Tree::Text(_)) {
        // With its quotes it reads as what it is: text.
        node.span.start = node.span.start.saturating_sub(1);
    }
    match name {
        Some(name) if plain && name == "<<" => MapKey::Merge(node.span),
        Some(name) => MapKey::Name(Key { span: node.span, name }),
        None => {
            let fault = match braces {
                true => yaml_fault::bare_template(&node.span),
                false => Diagnostic::error(format!("a mapping's key must be text, found {}", node.kind()))
                    .at(&node.span)
                    .help("write a word before the colon, in quotes if it has special characters"),
            };
            faults.push(fault);
            MapKey::Bad
        }
    }
}

fn insert(map: &mut Mapping, key: Key, mut node: Node, faults: &mut Diagnostics) {
    // A value that is not there is shown at its key.
    if node.is_null() && node.span.start == node.span.end {
        node.span = key.span.clone();
    }
    if let Some(at) = map.index.get(&key.name) {
        let first = &map.entries[*at].0;
        let fault = Diagnostic::warning(format!("the key `{}` is written twice; the last one counts", key.name));
        faults.push(fault.at(&key.span).note(&first.span, "first written here").help("remove one of the two"));
    }
    replace(map, key, node);
}

/// Sets an entry, in the place of one of the same name if there is one.
fn replace(map: &mut Mapping, key: Key, node: Node) {
    match map.index.get(&key.name) {
        Some(at) => map.entries[*at] = (key, node),
        None => {
            map.index.insert(key.name.clone(), map.entries.len());
            map.entries.push((key, node));
        }
    }
}

#[cfg(test)]
#[path = "yaml_tests.rs"]
mod tests;
