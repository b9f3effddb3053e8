//! From plays to the graph: one node per task and host, chosen by tags, with the edges that can be known before the run.

use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::Arc;

use petgraph::algo::kosaraju_scc;
use petgraph::graphmap::DiGraphMap;

use crate::diag::Diagnostic;
use crate::diag::Diagnostics;
use crate::diag::Lacking;
use crate::event::NodeId;
use crate::graph::Edge;
use crate::graph::Frame;
use crate::graph::Graph;
use crate::graph::HostId;
use crate::graph::Node;
use crate::graph::Once;
use crate::graph::Part;
use crate::graph::Pos;
use crate::graph::Why;
use crate::graph::Work;
use crate::lang::config::Config;
use crate::lang::config::Gathering;
use crate::lang::inherit::Inherited;
use crate::lang::node::Key;
use crate::lang::node::Node as Static;
use crate::lang::playbook::Play;
use crate::lang::playbook::VarsFile;
use crate::lang::project::Project;
use crate::lang::role::Role;
use crate::lang::task::Entry;
use crate::lang::task::Include;
use crate::lang::task::Task;
use crate::lang::template::Templates;
use crate::modules;

/// Which tasks are wanted: `--tags` and `--skip-tags`.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    pub tags: Vec<String>,
    pub skip_tags: Vec<String>,
}

impl Choice {
    pub fn wants(&self, inherited: &Inherited) -> bool {
        self.wants_tags(inherited.tags.iter().map(|key| key.name.as_str()).collect())
    }

    /// Ansible's rule: `always` unless skipped by name, `never` only if asked for by one of its other tags.
    fn wants_tags(&self, tags: Vec<&str>) -> bool {
        let tagged = !tags.is_empty();
        let tags = if tagged { tags } else { vec!["untagged"] };
        let has = |name: &str| tags.contains(&name);
        let named = |list: &[String], name: &str| list.iter().any(|one| one == name);
        let meet = |list: &[String]| list.iter().any(|name| has(name));
        let all = self.tags.is_empty() || named(&self.tags, "all");
        let chosen =
            has("always") || meet(&self.tags) || !has("never") && (all || tagged && named(&self.tags, "tagged"));
        let skipped = match named(&self.skip_tags, "all") {
            true => !has("always") || named(&self.skip_tags, "always"),
            false => meet(&self.skip_tags) || tagged && named(&self.skip_tags, "tagged"),
        };
        chosen && !skipped
    }
}

/// Builds the whole graph, or says what is wrong.
pub fn build(project: &Project, templates: &Templates, choice: &Choice) -> Result<Graph, Diagnostics> {
    let (graph, faults) = built(project, templates, choice);
    faults.check(graph)
}

/// The graph as far as it can be built, and its faults: notified handlers and `needs` that do not exist, cycles.
pub fn built(project: &Project, templates: &Templates, choice: &Choice) -> (Graph, Diagnostics) {
    let graph = Graph { choice: choice.clone(), ..Graph::default() };
    let mut builder = Builder::over(graph, choice, &project.config);
    for (index, play) in project.plays.iter().enumerate() {
        builder.play(index, play);
    }
    let Builder { mut graph, mut faults, .. } = builder;
    // Whom a task may be delegated to.
    for host in project.inventory.hosts.keys().chain([&project.inventory.localhost.name]) {
        if graph.host(host).is_none() {
            graph.hosts.push(host.clone());
            graph.chains.push(Vec::new());
        }
    }
    notify_edges(&mut graph, 0, &mut faults);
    needs_edges(&mut graph, 0, &mut faults);
    data_edges(&mut graph, templates);
    cycles(&graph, &mut faults);
    project.gaps.sift(&mut faults, None);
    (graph, faults)
}

/// The kind of a task. `lang` has refused unknown ones; what is left here is a name that only the language knows.
pub fn kind_of(task: &Task) -> Result<&'static modules::Kind, Diagnostic> {
    let name = &task.action.kind.name;
    modules::find(name).ok_or_else(|| {
        let fault = Diagnostic::error(format!("`{name}` is unsupported here")).at(&task.action.kind.span);
        fault.suggest(name, modules::names())
    })
}

pub(super) struct Builder<'a> {
    pub(super) graph: Graph,
    pub(super) choice: &'a Choice,
    pub(super) faults: Diagnostics,
    /// Roles of the plays before that run once.
    roles: usize,
    config: &'a Config,
}

/// Where in the tree of tasks the walk is.
#[derive(Clone)]
pub(super) struct At {
    pub(super) play: usize,
    pub(super) hosts: Vec<HostId>,
    pub(super) block: Option<Arc<Frame>>,
    /// For each host: the include in front.
    pub(super) gates: HashMap<HostId, NodeId>,
    pub(super) prefix: Pos,
    pub(super) once: Option<Once>,
}

impl<'a> Builder<'a> {
    pub(super) fn over(graph: Graph, choice: &'a Choice, config: &'a Config) -> Builder<'a> {
        Builder { graph, choice, faults: Diagnostics::default(), roles: 0, config }
    }

    fn play(&mut self, index: usize, play: &Play) {
        for host in &play.hosts {
            if self.graph.host(host).is_none() {
                self.graph.hosts.push(host.clone());
                self.graph.chains.push(Vec::new());
            }
        }
        let hosts: Vec<HostId> = play.hosts.iter().filter_map(|host| self.graph.host(host)).collect();
        let at = At { play: index, hosts, block: None, gates: HashMap::new(), prefix: vec![index as u32], once: None };
        self.refuse_in_play(play);
        let handlers = self.handlers(&play.handlers);
        self.graph.plays.push(Arc::new(play.clone()));
        self.graph.handlers.push(handlers);
        let mut next = 0;
        if let Some(kind) = modules::find("setup").filter(|_| self.gathers(play) && self.wants_facts(play)) {
            self.push(&at, &mut next, Work::Facts { kind }, None);
        }
        self.entries(&play.pre_tasks, &at, &mut next);
        self.flush(&at, &mut next);
        let mut uses: Vec<&str> = Vec::new();
        for role in &play.roles {
            let once = role.once.as_deref().map(|text| {
                let first = uses.iter().position(|use_of| *use_of == text).unwrap_or(uses.len());
                let nth = uses.iter().filter(|use_of| **use_of == text).count();
                uses.push(text);
                Once { role: self.roles + first, nth }
            });
            self.entries(&role.entries, &At { once, ..at.clone() }, &mut next);
        }
        self.roles += uses.len();
        self.entries(&play.tasks, &at, &mut next);
        self.flush(&at, &mut next);
        self.entries(&play.post_tasks, &at, &mut next);
        self.flush(&at, &mut next);
    }

    /// Whether a play gathers facts: as it says, else as the configuration says.
    fn gathers(&self, play: &Play) -> bool {
        let says = play.gather_facts.as_ref().and_then(|node| crate::lang::decode::decode::<bool>(node).ok());
        says.unwrap_or(self.config.gathering != Some(Gathering::Explicit))
    }

    /// Facts have the tags of their play; those of a play without tags are always gathered.
    fn wants_facts(&self, play: &Play) -> bool {
        let tags: Vec<&str> = play.inherited.tags.iter().map(|key| key.name.as_str()).collect();
        self.choice.wants_tags(if tags.is_empty() { vec!["always"] } else { tags })
    }

    /// What the language reads and the engine does not do yet is refused, never passed over.
    fn refuse_in_play(&mut self, play: &Play) {
        let later = play.vars_files.iter().find_map(|file| match file {
            VarsFile::Later(names) => names.first(),
            VarsFile::Loaded { .. } => None,
        });
        let refused =
            [(later, "a `vars_files` name that only the run knows is unsupported yet", "name the file without facts")];
        self.refuse(&refused);
    }

    fn refuse_in_task(&mut self, task: &Task) {
        let control = task.loops.as_ref().map(|over| &over.control);
        let refused = [
            (task.delegate_facts.as_ref(), "`delegate_facts` is unsupported yet", "run `setup` on that host"),
            (
                task.inherited.ignore_unreachable.as_ref(),
                "`ignore_unreachable` is unsupported yet",
                "other hosts go on without it anyway",
            ),
            (
                task.inherited.run_once.as_ref().filter(|node| node.is_live()),
                "a template in `run_once` is unsupported yet",
                "write `true` or `false`, or name the host in a `when`",
            ),
            (control.and_then(|control| control.pause.as_ref()), "`pause` is unsupported yet", "use `wait_for`"),
        ];
        self.refuse(&refused);
    }

    fn refuse(&mut self, refused: &[(Option<&Static>, &str, &str)]) {
        for (node, message, help) in refused {
            let says_no = |node: &&Static| crate::lang::decode::decode::<bool>(node).is_ok_and(|value| !value);
            if let Some(node) = node.filter(|node| !says_no(node)) {
                self.faults.push(Diagnostic::error(*message).at(&node.span).help(*help));
            }
        }
    }

    /// Handlers flattened: blocks of handlers are their tasks.
    pub(super) fn handlers(&mut self, entries: &[Entry]) -> Vec<Arc<Task>> {
        let mut found = Vec::new();
        for entry in entries {
            match entry {
                Entry::Task(task) => found.push(Arc::new((**task).clone())),
                Entry::Block(block) => found.extend(self.handlers(&block.body)),
                Entry::Include(include) => match &include.body {
                    Some(body) => {
                        self.refuse(&[(
                            include.loops.as_ref().map(|over| &over.over),
                            "a loop over an include among handlers is unsupported",
                            "put the loop on the tasks inside",
                        )]);
                        let inner = self.handlers(&body.entries).into_iter();
                        found.extend(inner.map(|task| Arc::new(answers_to(&task, include))));
                    }
                    None => self.faults.push(
                        Diagnostic::error("an include among handlers whose name is a template is unsupported")
                            .at(&include.span)
                            .help("name the file without a template, or use `import_tasks`"),
                    ),
                },
            }
        }
        found
    }

    fn flush(&mut self, at: &At, next: &mut u32) {
        let mut place = at.prefix.clone();
        place.push(*next);
        *next += 1;
        self.graph.flushes.push((at.play, place.clone()));
        let (at, next) = (&At { prefix: place, ..at.clone() }, &mut 0);
        for (index, task) in self.graph.handlers[at.play].clone().into_iter().enumerate() {
            if let Some(kind) = self.faults.take(kind_of(&task)) {
                self.push(at, next, Work::Task { task, kind }, Some(index));
            }
        }
    }

    /// `meta: flush_handlers`, on the hosts where its `when` holds.
    fn flush_if(&mut self, task: &Task, at: &At, next: &mut u32) {
        match modules::find("meta").filter(|_| !task.inherited.when.is_empty()) {
            None => self.flush(at, next),
            Some(kind) => {
                let placed = self.push(at, next, Work::Task { task: Arc::new(task.clone()), kind }, None);
                let gates = at.hosts.iter().copied().zip(placed).collect();
                self.flush(&At { gates, ..at.clone() }, next);
            }
        }
    }

    pub(super) fn entries(&mut self, entries: &[Entry], at: &At, next: &mut u32) {
        for entry in entries {
            match entry {
                Entry::Task(task) => self.task(task, at, next),
                Entry::Block(block) => {
                    let id = self.graph.frames;
                    self.graph.frames += 1;
                    let rescues = !block.rescue.is_empty();
                    let together = (rescues || !block.always.is_empty()) && self.fails_for_all(&block.body);
                    let parts =
                        [(Part::Body, &block.body), (Part::Rescue, &block.rescue), (Part::Always, &block.always)];
                    for (part, entries) in parts {
                        let frame = Frame { id, part, rescues, together, parent: at.block.clone() };
                        self.entries(entries, &At { block: Some(Arc::new(frame)), ..at.clone() }, next);
                    }
                }
                Entry::Include(include) => self.include(include, at, next),
            }
        }
    }

    /// Whether a failure of one of them may be one of all hosts: `any_errors_fatal`, which may be a template.
    fn fails_for_all(&self, entries: &[Entry]) -> bool {
        let says = |inherited: &Inherited| match &inherited.any_errors_fatal {
            Some(node) => node.is_live() || is_true(Some(node)),
            None => self.config.any_errors_fatal == Some(true),
        };
        entries.iter().any(|entry| match entry {
            Entry::Task(task) => says(&task.inherited),
            Entry::Block(block) => {
                [&block.body, &block.rescue, &block.always].into_iter().any(|part| self.fails_for_all(part))
            }
            Entry::Include(include) => {
                says(&include.inherited) || include.body.as_ref().is_some_and(|body| self.fails_for_all(&body.entries))
            }
        })
    }

    fn task(&mut self, task: &Task, at: &At, next: &mut u32) {
        if !self.choice.wants(&task.inherited) {
            return;
        }
        if task.action.kind.name == "meta" && word(task) == Some("flush_handlers") {
            return self.flush_if(task, at, next);
        }
        self.refuse_in_task(task);
        if let Some(kind) = self.faults.take(kind_of(task)) {
            self.push(at, next, Work::Task { task: Arc::new(task.clone()), kind }, None);
        }
    }

    fn include(&mut self, include: &Include, at: &At, next: &mut u32) {
        if !self.choice.wants(&include.inherited) {
            return;
        }
        let placed = self.push(at, next, Work::Include(Arc::new(include.clone())), None);
        // What only the run can read is put in behind it when its turn comes.
        if let Some(body) = include.body.as_ref().filter(|_| include.loops.is_none()) {
            let gates = at.hosts.iter().copied().zip(placed).collect();
            self.entries(&body.entries, &At { gates, ..at.clone() }, next);
        }
    }

    /// One node on each host, all at the same position.
    pub(super) fn push(&mut self, at: &At, next: &mut u32, work: Work, handler: Option<usize>) -> Vec<NodeId> {
        let mut pos = at.prefix.clone();
        pos.push(*next);
        *next += 1;
        let once = is_for_all(&work);
        let mut placed: Vec<NodeId> = Vec::new();
        for &host in &at.hosts {
            let id = self.graph.nodes.len() as NodeId;
            let leader = placed.first().copied().filter(|_| once);
            let gate = at.gates.get(&host).copied();
            let (work, block, pos) = (work.clone(), at.block.clone(), pos.clone());
            let once = at.once.filter(|_| handler.is_none());
            self.graph.nodes.push(Node { host, play: at.play, pos, work, gate, block, handler, leader, once });
            self.graph.chains[host].push(id);
            placed.push(id);
        }
        placed
    }
}

/// A task of an include among handlers: all of them run when the include is notified, if its `when` holds.
fn answers_to(task: &Task, include: &Include) -> Task {
    let mut own = task.clone();
    own.inherited.when.splice(0..0, include.inherited.when.iter().cloned());
    own.listen.extend(include.listen.iter().cloned());
    if let (Some(node), Some(name)) = (&include.name, include.name.as_ref().and_then(Static::scalar)) {
        let in_role = include.role.as_ref().map(|role| format!("{} : {name}", role.name));
        own.listen
            .extend([Some(name), in_role].into_iter().flatten().map(|name| Key { span: node.span.clone(), name }));
    }
    own
}

/// The word of `meta`.
pub fn word(task: &Task) -> Option<&str> {
    task.action.free_form.as_ref().and_then(|node| node.as_text())
}

/// Whether one host's turn counts for all.
fn is_for_all(work: &Work) -> bool {
    match work {
        Work::Task { task, .. } => tells_all(task) || is_true(task.inherited.run_once.as_ref()),
        Work::Include(include) => is_true(include.inherited.run_once.as_ref()),
        Work::Facts { .. } => false,
    }
}

/// Whether the run is told something about all hosts.
pub fn tells_all(task: &Task) -> bool {
    let all = ["end_play", "end_batch", "clear_host_errors"];
    task.action.kind.name == "meta" && word(task).is_some_and(|word| all.contains(&word))
}

/// A keyword that says yes without a template.
fn is_true(node: Option<&crate::lang::node::Node>) -> bool {
    node.is_some_and(|node| crate::lang::decode::decode::<bool>(node).unwrap_or(false))
}

/// `from`: the first new node. Edges to the handlers that are named without a template; a name nobody answers to is a fault.
pub(super) fn notify_edges(graph: &mut Graph, from: usize, faults: &mut Diagnostics) {
    let mut edges = Vec::new();
    for (id, node) in graph.nodes.iter().enumerate().skip(from) {
        let Some(task) = node.task() else { continue };
        for name in task.inherited.notify.iter().filter(|name| !name.is_live()) {
            for single in name.as_list().unwrap_or(std::slice::from_ref(name)) {
                let Some(text) = single.scalar() else { continue };
                let found = answering(&graph.handlers[node.play], &text);
                if found.is_empty() {
                    let names: Vec<String> = graph.handlers[node.play].iter().map(|task| task.title()).collect();
                    let fault = Diagnostic::error(format!("no handler is called `{text}`"));
                    let fault = fault.at(&single.span).lacks(Lacking::Name(text.clone()));
                    faults.push(fault.suggest(&text, names.iter().map(String::as_str)));
                }
                let target = graph.chains[node.host].iter().copied().find(|&other| {
                    let other = graph.node(other);
                    other.pos > node.pos && other.handler.is_some_and(|handler| found.contains(&handler))
                });
                edges.extend(target.map(|to| Edge { from: id as NodeId, to, why: Why::Notify }));
            }
        }
    }
    graph.edges.extend(edges);
}

/// The handlers that answer to a name: one of that name, and all that listen to it. Of several of one name those of the last
/// role or play count, and of these the first, as in Ansible.
pub fn answering(handlers: &[Arc<Task>], name: &str) -> Vec<usize> {
    let role = |index: &usize| handlers[*index].role.as_ref().map(Arc::as_ptr);
    let all: Vec<usize> = (0..handlers.len()).collect();
    let order: Vec<usize> = all.chunk_by(|one, next| role(one) == role(next)).rev().flatten().copied().collect();
    let title = |index: usize| handlers[index].name.as_ref().map(|_| handlers[index].title());
    let answers = |index: usize| {
        let of_role = |role: &Arc<Role>, title: &str| format!("{} : {title}", role.name) == name;
        let title = title(index);
        title.is_some_and(|title| {
            title == name || handlers[index].role.as_ref().is_some_and(|role| of_role(role, &title))
        })
    };
    let mut found: Vec<usize> = order.iter().copied().find(|&index| answers(index)).into_iter().collect();
    let mut seen = HashSet::new();
    let listens = |index: &usize| handlers[*index].listen.iter().any(|key| key.name == name);
    found.extend(
        order.iter().copied().filter(listens).filter(|&index| title(index).is_none_or(|title| seen.insert(title))),
    );
    found.sort_unstable();
    found.dedup();
    found
}

/// `needs:` names tasks that must be done before, on all hosts.
pub(super) fn needs_edges(graph: &mut Graph, from: usize, faults: &mut Diagnostics) {
    let mut edges = Vec::new();
    for (id, node) in graph.nodes.iter().enumerate().skip(from) {
        let Some(task) = node.task() else { continue };
        for need in &task.needs {
            let Some(name) = need.scalar() else { continue };
            let matching: Vec<usize> = (0..graph.nodes.len())
                .filter(|&other| graph.nodes[other].task().is_some_and(|other| other.title() == name))
                .collect();
            if matching.is_empty() {
                let names: Vec<String> = graph.nodes.iter().filter_map(|node| Some(node.task()?.title())).collect();
                let fault = Diagnostic::error(format!("no task is called `{name}`"));
                let fault = fault.at(&need.span).lacks(Lacking::Name(name.clone()));
                faults.push(fault.suggest(&name, names.iter().map(String::as_str)));
            }
            edges.extend(matching.into_iter().filter(|&from| from != id).map(|from| Edge {
                from: from as NodeId,
                to: id as NodeId,
                why: Why::Needs,
            }));
        }
    }
    graph.edges.extend(edges);
}

/// Edges from the tasks that register or set a variable to those that read it.
fn data_edges(graph: &mut Graph, templates: &Templates) {
    let mut writers: HashMap<String, Vec<NodeId>> = HashMap::new();
    for (id, node) in graph.nodes.iter().enumerate() {
        for name in node.task().map(|task| written(task)).unwrap_or_default() {
            writers.entry(name).or_default().push(id as NodeId);
        }
    }
    let mut edges = Vec::new();
    for (id, node) in graph.nodes.iter().enumerate() {
        let Some(task) = node.task() else { continue };
        for name in reads(task, templates) {
            let earlier = |from: &&NodeId| graph.node(**from).pos < node.pos;
            for &from in writers.get(&name).into_iter().flatten().filter(earlier) {
                if graph.node(from).host == node.host || name.starts_with("hostvars.") {
                    edges.push(Edge { from, to: id as NodeId, why: Why::Data(name.clone()) });
                }
            }
        }
    }
    graph.edges.extend(edges);
}

/// Variables a task leaves behind.
pub fn written(task: &Task) -> Vec<String> {
    let mut names: Vec<String> = task.register.iter().map(|key| key.name.clone()).collect();
    if task.action.kind.name == "set_fact" {
        names.extend(task.action.args.as_map().unwrap_or_default().iter().map(|(key, _)| key.name.clone()));
        names.retain(|name| name != "cacheable");
    }
    names
}

fn reads(task: &Task, templates: &Templates) -> Vec<String> {
    let mut names = templates.names(&task.action.args);
    let conditions = [&task.changed_when, &task.failed_when, &task.until];
    let own = conditions.into_iter().flatten().flatten().chain(&task.inherited.when);
    names.extend(own.flat_map(|node| templates.expression_names(node)));
    names.extend(task.loops.iter().flat_map(|loops| templates.names(&loops.over)));
    let mut found: Vec<String> = names.iter().map(|name| name.root().to_string()).collect();
    found.sort();
    found.dedup();
    found
}

/// `needs` against program order can go in a circle; the way round is named.
fn cycles(graph: &Graph, faults: &mut Diagnostics) {
    let mut directed: DiGraphMap<NodeId, ()> = DiGraphMap::new();
    for chain in &graph.chains {
        for pair in chain.windows(2) {
            directed.add_edge(pair[0], pair[1], ());
        }
    }
    for edge in &graph.edges {
        directed.add_edge(edge.from, edge.to, ());
    }
    // Chains are long: not by recursion.
    for mut circle in kosaraju_scc(&directed).into_iter().filter(|circle| circle.len() > 1) {
        circle.sort_unstable();
        let mut names: Vec<String> = circle.iter().map(|&id| graph.place(id).task).collect();
        names.dedup();
        let fault = Diagnostic::error(format!("these tasks wait for each other: {}", names.join(" → ")));
        let span = circle.iter().find_map(|&id| {
            let task = graph.node(id).task()?;
            task.needs.first().map(|need| need.span.clone())
        });
        let fault = fault.help("remove the `needs:` that points backwards");
        faults.push(match span {
            Some(span) => fault.at(&span),
            None => fault,
        });
    }
}
