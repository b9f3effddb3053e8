//! Tables of templates, variables and what they give.

use std::sync::Arc;

use super::*;
use crate::lang::lookup::Found;
use crate::lang::lookup::Pending;
use crate::lang::template::python::repr;
use crate::lang::template::test_vars::*;
use crate::lang::template::val::Val;

fn text(template: &str) -> Node {
    Node::live(&Span::synthetic("play.yml", template), template)
}

/// The value as Python prints it, or the fault.
fn shown(result: Result<Node, Fault>) -> String {
    fn val(node: &Node) -> Val {
        match &node.tree {
            Tree::Null => Val::None,
            Tree::Bool(value) => Val::Bool(*value),
            Tree::Int(value) => Val::Int((*value).into()),
            Tree::Float(value) => Val::Float(*value),
            Tree::Text(text) => Val::str(&text.text),
            Tree::List(items) => Val::list(items.iter().map(val).collect()),
            Tree::Map(entries) => {
                Val::map(entries.iter().map(|(key, node)| (super::val::Key::Str(key.name.as_str().into()), val(node))))
            }
        }
    }
    match result {
        Ok(node) => repr(&val(&node)),
        Err(Fault::Unknown(pending)) => format!("UNKNOWN {pending:?}"),
        Err(Fault::Error(fault)) => {
            assert!(fault.span.is_some(), "without a place: {fault:?}");
            format!("ERR {}", fault.message)
        }
    }
}

pub(super) fn run(template: &str, vars: Vars) -> String {
    let templates = Templates::new();
    match template.strip_prefix('?') {
        Some(condition) => {
            let result = templates.condition(&[text(condition)], &scope(vars));
            shown(result.map(|yes| Node::new(&Span::synthetic("", ""), Tree::Bool(yes))))
        }
        None => shown(templates.render(&text(template), &scope(vars))),
    }
}

/// A row is a template (a condition after `?`), variables and the result, with `⏎` for newlines.
fn rows(table: &str) -> impl Iterator<Item = [String; 3]> + '_ {
    table.lines().filter(|line| !line.is_empty() && !line.starts_with("# ")).map(|line| {
        let parts: Vec<String> = line.split(" ;; ").map(|part| part.replace('⏎', "\n")).collect();
        match &parts[..] {
            [template, expected] => [template.clone(), String::new(), expected.clone()],
            [template, vars, expected] => [template.clone(), vars.clone(), expected.clone()],
            _ => panic!("no row: {line}"),
        }
    })
}

fn check(table: &str) {
    let mut wrong = Vec::new();
    for [template, json, expected] in rows(table) {
        let got = run(&template, vars(&json));
        let right = match expected.strip_prefix("ERR ") {
            Some(part) => got.strip_prefix("ERR ").is_some_and(|message| message.contains(part)),
            None => got == expected,
        };
        if !right {
            wrong.push(format!("{template} ;; {json}\n    wanted {expected}\n    got    {got}"));
        }
    }
    assert!(wrong.is_empty(), "{} rows\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn values_are_those_of_ansible() {
    check(include_str!("conformance.txt"));
}

#[test]
fn addresses_are_those_of_the_collection() {
    check(include_str!("conformance_ip.txt"));
}

#[test]
fn where_we_differ_is_written_down() {
    check(include_str!("differences.txt"));
}

/// `u` and `v` are not known yet, `cfg` only in part.
pub(super) fn partly_known() -> Vars {
    let mut known = vars(
        r#"{"t": true, "f": false, "cfg": {"a": 1, "b": "{{ u.stdout }}", "c": "x {{ v }}"}, "one": [1, "{{ u }}"]}"#,
    );
    for name in ["u", "v"] {
        known.entries.push((name.into(), Found::Unknown(Pending(name.into()))));
    }
    known
}

#[test]
fn only_what_is_touched_is_unknown() {
    let u = "UNKNOWN [Pending(\"u\")]";
    let v = "UNKNOWN [Pending(\"v\")]";
    for (template, expected) in [
        ("{{ u }}", u),
        ("{{ u.stdout }}", u),
        ("a {{ u.stdout }}", u),
        ("{{ u | default(1) }}", u),
        ("{{ u is defined }}", u),
        ("{{ u.rc is undefined }}", u),
        ("{{ u.stdout | upper | length }}", u),
        ("{{ u == 1 }}", u),
        ("{{ not u }}", u),
        ("{{ 'x' in u }}", u),
        ("{{ u in [1] }}", u),
        ("{{ f and u }}", "False"),
        ("{{ t or u }}", "True"),
        ("{{ u or t }}", u),
        ("{{ 1 if t else u }}", "1"),
        ("{{ 1 if u else 2 }}", u),
        ("{{ [1, u] | length }}", "2"),
        ("{{ [1, u] | first }}", "1"),
        ("{{ [1, u] }}", u),
        ("{{ [u, v] }}", u),
        ("{{ {'a': u}.b | default(3) }}", "3"),
        ("{{ cfg.a }}", "1"),
        ("{{ cfg.b }}", u),
        ("{{ cfg.c }}", v),
        ("{{ cfg.z | default('d') }}", "'d'"),
        ("{{ cfg | length }}", "3"),
        ("{{ cfg.keys() | list }}", "['a', 'b', 'c']"),
        ("{{ 'a' in cfg }}", "True"),
        ("{{ cfg | to_json }}", u),
        ("{{ one[0] }}", "1"),
        ("{{ one | map('string') | first }}", "'1'"),
        ("{{ one | last }}", u),
        ("{% if t %}a{% else %}{{ u }}{% endif %}", "'a'"),
        ("{% for i in u %}{% endfor %}", u),
        ("{{ lookup('vars', 'u') }}", u),
        ("{{ u is failed }}", u),
        ("{{ nope }} {{ u }}", "ERR 'nope' is undefined"),
    ] {
        assert_eq!(run(template, partly_known()), expected, "{template}");
    }
    assert_eq!(run("?f and u", partly_known()), "False");
    assert_eq!(run("?u.rc == 0", partly_known()), u);
}

#[test]
fn all_unknowns_of_a_tree_are_told_but_an_error_counts_first() {
    let templates = Templates::new();
    let node = tree(&serde_json::json!({"a": "{{ u }}", "b": ["{{ v }}", "{{ u }}"], "c": 1}));
    let Err(Fault::Unknown(pending)) = templates.render(&node, &scope(partly_known())) else { panic!() };
    assert_eq!(pending, [Pending("u".into()), Pending("v".into())]);
    let node = tree(&serde_json::json!({"a": "{{ u }}", "b": "{{ nope }}"}));
    assert!(matches!(templates.render(&node, &scope(partly_known())), Err(Fault::Error(_))));
}

#[test]
fn conditions_go_left_to_right() {
    let templates = Templates::new();
    let all = |list: &[&str]| {
        templates.condition(&list.iter().map(|one| text(one)).collect::<Vec<_>>(), &scope(partly_known()))
    };
    assert_eq!(all(&[]), Ok(true));
    assert_eq!(all(&["t", "cfg.a == 1"]), Ok(true));
    assert_eq!(all(&["f", "u"]), Ok(false));
    assert_eq!(all(&["t", "u.rc == 0", "f"]), Err(Fault::Unknown(vec![Pending("u".into())])));
    let literal = Node::new(&Span::synthetic("", "true"), Tree::Bool(true));
    assert_eq!(templates.condition(&[literal], &scope(vars(""))), Ok(true));
}

#[test]
fn omitted_entries_are_gone_from_trees() {
    let templates = Templates::new();
    let node = tree(
        &serde_json::json!({"a": "{{ omit }}", "b": ["{{ x | default(omit) }}", 1], "c": {"d": "{{ omit }}"}, "e": 2}),
    );
    assert_eq!(shown(templates.render(&node, &scope(vars("")))), "{'b': [1], 'c': {}, 'e': 2}");
    assert_eq!(templates.render_unless_omitted(&text("{{ omit }}"), &scope(vars(""))), Ok(None));
}

#[test]
fn results_are_not_rendered_again() {
    let templates = Templates::new();
    let mut all = vars("");
    all.entries.push(("out".into(), Found::Value(Value::from("{{ evil }}"))));
    let span = Span::synthetic("", "{{ evil }}");
    all.entries.push(("raw".into(), Found::Node(Arc::new(Node::literal(&span, "{{ evil }}")))));
    let rendered = templates.render(&text("{{ out }}{{ raw }}"), &scope(all)).unwrap();
    assert_eq!(rendered.tree, Tree::Text(crate::lang::node::Text { text: "{{ evil }}{{ evil }}".into(), live: false }));
}

#[test]
fn scopes_in_scopes_are_rendered_with_their_own_names() {
    let host = |n: i64| vars(&format!(r#"{{"n": {n}, "ip": "10.0.0.{{{{ n }}}}", "bad": "{{{{ nope }}}}"}}"#));
    let mut hosts = Vars::default();
    for (name, n) in [("a", 1), ("b", 2)] {
        hosts.entries.push((name.into(), Found::Scope(scope(host(n)))));
    }
    let all = || {
        let mut all = vars(r#"{"n": 99, "groups": {"all": ["a", "b"]}, "me": "a"}"#);
        let mut copy = Vars::default();
        copy.entries.extend(hosts.entries.iter().cloned());
        all.entries.push(("hostvars".into(), Found::Scope(scope(copy))));
        all
    };
    for (template, expected) in [
        ("{{ hostvars['b'].ip }}", "'10.0.0.2'"),
        ("{{ hostvars[me]['ip'] }}", "'10.0.0.1'"),
        ("{{ groups.all | map('extract', hostvars, 'ip') | list }}", "['10.0.0.1', '10.0.0.2']"),
        ("{{ groups.all | map('extract', hostvars) | map(attribute='n') | sum }}", "3"),
        ("{{ hostvars | list }}", "['a', 'b']"),
        ("{{ 'c' in hostvars }}", "False"),
        ("{{ hostvars['c'].ip | default('none') }}", "'none'"),
        ("{{ hostvars.get('a').n }}", "1"),
        ("{% for h in hostvars %}{{ hostvars[h].n }}{% endfor %}", "'12'"),
        ("{{ hostvars.a | length }}", "3"),
        ("{{ hostvars.a.bad is defined }}", "False"),
        ("{{ hostvars['c'].ip }}", "ERR the mapping has no entry 'c'"),
    ] {
        assert_eq!(run(template, all()), expected, "{template}");
    }
}

#[test]
fn values_of_hosts_are_opened_as_far_as_touched() {
    let facts = serde_json::json!({"os": {"family": "Debian"}, "list": [1, {"a": [2]}], "n": 1.5, "none": null});
    let all = || {
        let mut all = vars("");
        all.entries.push(("facts".into(), Found::Value(Value::from(minijinja::value::Serde(&facts)))));
        all
    };
    for (template, expected) in [
        ("{{ facts.os.family }}", "'Debian'"),
        ("{{ facts['list'][1].a[0] + 1 }}", "3"),
        ("{{ facts.list[-1] }}", "{'a': [2]}"),
        ("{{ facts.list | length }}{{ facts | length }}", "'24'"),
        ("{{ facts.n }} {{ facts.none }}|", "'1.5 |'"),
        ("{{ facts.os.nope | default('x') }}", "'x'"),
        ("{{ facts.os | combine({'x': 1}) }}", "{'family': 'Debian', 'x': 1}"),
        ("{{ facts }}", "{'os': {'family': 'Debian'}, 'list': [1, {'a': [2]}], 'n': 1.5, 'none': None}"),
        ("{% set l = facts.list %}{% set _ = l.append(3) %}{{ l | length }}", "3"),
    ] {
        assert_eq!(run(template, all()), expected, "{template}");
    }
}

/// The part of the text under the caret, the message, the help.
fn place(template: &str, json: &str) -> (String, String, String) {
    let templates = Templates::new();
    let result = match template.strip_prefix('?') {
        Some(condition) => templates.condition(&[text(condition)], &scope(vars(json))).map(|_| ()),
        None => templates.render(&text(template), &scope(vars(json))).map(|_| ()),
    };
    match result {
        Err(Fault::Error(fault)) => {
            (fault.span.unwrap().text().to_string(), fault.message, fault.help.unwrap_or_default())
        }
        other => panic!("{template}: {other:?}"),
    }
}

#[test]
fn faults_point_into_the_text() {
    for (template, json, under, message, help) in [
        ("a {{ usr }}", r#"{"user": 1}"#, "usr", "'usr' is undefined", "did you mean `user`?"),
        ("{{ d.e.nmae }}", r#"{"d": {"e": {"name": 1}}}"#, "d.e.nmae", "no entry 'nmae'", "did you mean `name`?"),
        ("{{ 1 | uper }}", "", "uper", "unknown filter `uper`", "did you mean `upper`?"),
        ("{{ 1 is strin }}", "", "strin", "unknown test `strin`", "did you mean `string`?"),
        ("{{ lookup('fil', 'x') }}", "", "lookup('fil', 'x')", "unknown lookup", "did you mean `file`?"),
        ("{{ x }}", r#"{"x": "b {{ nope }}"}"#, "nope", "'nope' is undefined", ""),
        ("{{ 'a' + 1 }}", "", "'a' + 1", "cannot join", "`~` joins anything"),
        ("{{ a | json_query('b') }}", r#"{"a": 1}"#, "json_query('b')", "unsupported", "use `map`"),
        ("{{ upper('x') }}", "", "upper", "'upper' is undefined", "`upper` is a filter"),
        ("{{ ('x' ~ 'y').spilt() }}", "", "'x' ~ 'y').spilt()", "no method `spilt`", "did you mean `split`?"),
        ("{{ a b }}", r#"{"a": 1}"#, "b", "syntax error", "`}}`"),
        ("{{ 'abc }}", "", "", "syntax error", "a quote is not closed"),
        ("{% if x %}", "", "%}", "syntax error", "endif"),
        ("?x", r#"{"x": "yes"}"#, "x", "gives text 'yes', not a boolean", "write `x | bool`"),
        ("?{{ x }} == 1", r#"{"x": 1}"#, "}", "syntax error", "without braces"),
        ("{{ 'a' | regex_replace('(?=b)', '') }}", "", "regex_replace('(?=b)', '')", "look-around", "pick a group"),
        ("{{ x | default(1, 2, 3) }}", "", "default(1, 2, 3)", "too many arguments", ""),
        ("{{ [1] | join(sep=',') }}", "", "join(sep=',')", "no argument `sep`", ""),
    ] {
        let (text, got, hint) = place(template, json);
        assert_eq!(text, under, "{template}");
        assert!(got.contains(message), "{template}: {got}");
        assert!(hint.contains(help), "{template}: {hint}");
    }
}

#[test]
fn the_way_to_a_missing_name_is_told() {
    let templates = Templates::new();
    let all = scope(vars(r#"{"a": "{{ b }}", "b": "x {{ nope }}"}"#));
    let Err(Fault::Error(fault)) = templates.render(&text("see {{ a }}"), &all) else { panic!() };
    assert_eq!(fault.span.unwrap().text(), "nope");
    let notes: Vec<&str> = fault.notes.iter().map(|(_, note)| note.as_str()).collect();
    assert_eq!(notes, ["`b` is used here", "`a` is used here"]);
}

fn file(source: &str, json: &str, files: Vec<(&'static str, &'static str)>) -> String {
    let templates = Templates::new();
    let all = Vars { files: Some(Fixed(files)), ..vars(json) };
    match templates.file(&Source::new("t.j2", source), &scope(all)) {
        Ok(text) => text,
        Err(fault) => shown(Err(fault)),
    }
}

#[test]
fn template_files_are_text() {
    for (source, expected) in [
        ("a\n", "a\n"),
        ("a", "a"),
        ("a\n\n", "a\n\n"),
        ("{{ x }}\n", "5\n"),
        ("{% if true %}\na\n{% endif %}\nb\n", "a\nb\n"),
        ("{% if true %}\na\n{% endif %}\n", "a\n"),
        ("  {% if true %}\na\n  {% endif %}\n", "  a\n  \n"),
        ("#jinja2: lstrip_blocks: True\n  {% if true %}\na\n  {% endif %}\n", "a\n"),
        ("#jinja2:trim_blocks:False\n{% if true %}\na{% endif %}\nb\n", "\na\nb\n"),
        ("#jinja2: variable_start_string: '[%', variable_end_string: '%]'\n[% x %] {{ x }}\n", "5 {{ x }}\n"),
        ("{% for i in l %}\n{{ i }}{{ ',' if not loop.last }}\n{% endfor %}\n", "1,\n2\n"),
        ("{{ \"a\\tb\" }}\n", "a\tb\n"),
        ("{{ none }}|{{ true }}|{{ [1, 'a'] }}\n", "|True|[1, 'a']\n"),
        ("{# c #}\na\n", "a\n"),
        ("{% raw %}{{ x }}{% endraw %}\n", "{{ x }}\n"),
        ("{{ nope }}", "ERR 'nope' is undefined"),
        ("#jinja2: trim_block: True\nx", "ERR unknown option `trim_block`"),
    ] {
        assert_eq!(file(source, r#"{"x": 5, "l": [1, 2]}"#, vec![]), expected, "{source}");
    }
}

#[test]
fn template_files_include_each_other() {
    let files = || {
        vec![
            ("part.j2", "<{{ x }}>\n"),
            ("macros.j2", "{% macro twice(a) %}{{ a }}{{ a }}{% endmacro %}{% set y = 7 %}"),
            ("base.j2", "head\n{% block body %}base{% endblock %}\n{% block foot %}foot{% endblock %}\n"),
            ("mid.j2", "{% extends 'base.j2' %}{% block body %}mid {{ super() }}{% endblock %}"),
            ("self.j2", "{% include 'self.j2' %}"),
        ]
    };
    for (source, expected) in [
        ("a{% include 'part.j2' %}b\n", "a<5>b\n"),
        ("{% set x = 6 %}{% include 'part.j2' %}\n", "<6>\n"),
        ("{% include 'none.j2' ignore missing %}a\n", "a\n"),
        ("{% include ['none.j2', 'part.j2'] %}\n", "<5>\n"),
        ("{% include 'none.j2' %}\n", "ERR the template `none.j2` was not found"),
        ("{% import 'macros.j2' as m %}{{ m.twice('a') }}{{ m.y }}\n", "aa7\n"),
        ("{% from 'macros.j2' import twice, y as z %}{{ twice('a') }}{{ z }}\n", "aa7\n"),
        ("{% from 'macros.j2' import once %}{{ once() }}\n", "ERR the imported template does not define `once`"),
        ("{% extends 'base.j2' %}{% block body %}own {{ x }}{% endblock %}\n", "head\nown 5foot\n"),
        ("{% extends 'mid.j2' %}{% block body %}own {{ super() }}{% endblock %}\n", "head\nown mid basefoot\n"),
        ("{% block a %}x{% endblock %}{{ self.a() }}\n", "xx\n"),
        ("{% include 'self.j2' %}", "ERR templates are nested deeper than 200 levels"),
    ] {
        assert_eq!(file(source, r#"{"x": 5}"#, files()), expected, "{source}");
    }
}

#[test]
fn the_controller_is_seen_only_through_the_scope() {
    let files = || vec![("/etc/a.conf", "text\n"), ("/etc/b.conf", "b"), ("t.j2", "T{{ x }} {{ \"a\\tb\" }}\n")];
    for (template, expected) in [
        ("{{ lookup('file', '/etc/a.conf') }}", "'text'"),
        ("{{ lookup('unvault', '/etc/a.conf') }}", "'text\\n'"),
        ("{{ lookup('file', '/nope') }}", "ERR the file `/nope` was not found"),
        ("{{ lookup('file', '/nope', errors='ignore') }}", "None"),
        ("{{ lookup('template', 't.j2') }}", "'T5 a\\tb\\n'"),
        ("{{ lookup('template', 't.j2', template_vars={'x': 6}) }}", "'T6 a\\tb\\n'"),
        (
            "{{ lookup('env', 'HOME') }}|{{ lookup('env', 'NOPE') }}|{{ lookup('env', 'NOPE', default='d') }}",
            "'/home/me||d'",
        ),
        ("{{ query('fileglob', '/etc/*') }}", "['/etc/a.conf', '/etc/b.conf']"),
        ("{{ lookup('fileglob', '/etc/*') }}", "'/etc/a.conf,/etc/b.conf'"),
        ("{{ lookup('first_found', ['/nope', '/etc/b.conf']) }}", "'/etc/b.conf'"),
        ("{{ query('first_found', {'files': ['b.conf'], 'paths': ['/nope', '/etc/']}) }}", "['/etc/b.conf']"),
        ("{{ query('first_found', ['/nope'], skip=true) }}", "[]"),
        ("{{ lookup('first_found', ['/nope']) }}", "ERR none of these files was found: `/nope`"),
        ("{{ '/etc/a.conf' is file }} {{ '/etc' is directory }} {{ '/x' is exists }}", "'True True False'"),
        ("{{ '~/x' | expanduser }}", "'/home/me/x'"),
        ("{{ now().year }} {{ now(fmt='%F %T') }}", "'2001 2001-09-09 01:46:40'"),
        ("{{ '%s' | strftime }}", "'1000000000'"),
        ("{{ lookup('pipe', 'id') }}", "ERR the lookup `pipe` is unsupported"),
    ] {
        let all = Vars { files: Some(Fixed(files())), ..vars(r#"{"x": 5}"#) };
        assert_eq!(run(template, all), expected, "{template}");
    }
    assert!(run("{{ lookup('env', 'HOME') }}", vars("")).contains("unsupported here"));
    assert!(run("{{ now() }}", vars("")).contains("unsupported here"));
}

#[test]
fn names_are_what_a_template_reads() {
    let templates = Templates::new();
    let names = |text: &str, expression: bool| {
        let node = Node::live(&Span::synthetic("", text), text);
        let found = if expression { templates.expression_names(&node) } else { templates.names(&node) };
        found.iter().map(|name| format!("{name}{}", if name.guarded { "?" } else { "" })).collect::<Vec<_>>().join(" ")
    };
    for (template, expected) in [
        ("{{ a }} {{ b.c }} {{ d['e'].f[0] }}", "a b.c d.e.f[0]"),
        ("{{ hostvars['x'].y }} {{ hostvars[h].z }}", "hostvars.x.y h hostvars[…].z"),
        ("{{ a | default(b) }} {{ c.d is defined }}", "a? b c.d?"),
        ("{{ a.b | default(1) }} {{ a.c }}", "a.b? a.c"),
        ("{% if x is defined %}{{ x.y }}{% endif %}", "x? x.y?"),
        ("{% set q = 1 %}{{ q }}{% for i in l %}{{ i.x }}{{ loop.index }}{% endfor %}{{ i }}", "l i"),
        ("{% macro m(p, r=s) %}{{ p }}{{ r }}{{ t }}{% endmacro %}{{ m(u) }}", "s t u"),
        ("{{ lookup('vars', 'v') }} {{ range(n) }} {{ x.items() }} {{ f(1) }}", "v n x f"),
        ("{{ [a, {'k': b}] }} {{ x if y else z }} {{ a[b:c] }}", "a b y x z a b c"),
        ("{{ groups['web'] | map('extract', hostvars, 'ip') | list }}", "groups.web hostvars"),
        ("no template", ""),
    ] {
        assert_eq!(names(template, false), expected, "{template}");
    }
    assert_eq!(names("a.rc == 0 and b in c", true), "a.rc b c");
    assert_eq!(names("{{ a }}", true), "a");
    let source = Source::new("t.j2", "#jinja2: trim_blocks: False\n{{ a.b }}");
    let found = templates.file_names(&source);
    assert_eq!((found[0].to_string(), found[0].span.text()), ("a.b".to_string(), "a.b"));
}

#[test]
fn faults_are_found_before_the_run() {
    let templates = Templates::new();
    for (template, expected) in [
        (
            "{{ x | uper }} {{ y is defnied }} {{ lookup('pip') }}",
            "unknown filter `uper`|unknown test `defnied`|unknown lookup `pip`",
        ),
        ("{% if x %}{{ a | json_query('b') }}{% endif %}", "the filter `json_query` is unsupported"),
        ("{{ l | map('uper') | select('strin') | list }}", "unknown filter `uper`|unknown test `strin`"),
        ("{{ a", "syntax error"),
        ("{{ a | ansible.builtin.upper }}", ""),
    ] {
        let node = tree(&serde_json::json!([template]));
        let mut messages: Vec<String> = templates.check(&node).list.iter().map(|one| one.message.clone()).collect();
        messages.sort();
        for part in expected.split('|').filter(|part| !part.is_empty()) {
            assert!(messages.iter().any(|message| message.contains(part)), "{template}: {messages:?}");
        }
        assert_eq!(messages.is_empty(), expected.is_empty(), "{template}: {messages:?}");
    }
    let warned = templates.check_expression(&text("{{ x }}"));
    assert!(!warned.has_errors() && warned.list[0].help.as_deref() == Some("write `x`"), "{warned:?}");
}

#[test]
fn loops_with_lookups_get_their_items() {
    let templates = Templates::new();
    for (name, terms, expected) in [
        ("items", serde_json::json!([1, [2, 3], "{{ x }}"]), "[1, 2, 3, 5, 6]"),
        ("dict", serde_json::json!({"a": 1}), "[{'key': 'a', 'value': 1}]"),
        ("sequence", serde_json::json!("start=1 end=3 format=h%d"), "['h1', 'h2', 'h3']"),
        ("nested", serde_json::json!([[1], "{{ x }}"]), "[[1, 5], [1, 6]]"),
        ("together", serde_json::json!([[1, 2], "{{ x }}"]), "[[1, 5], [2, 6]]"),
        ("indexed_items", serde_json::json!("{{ x }}"), "[[0, 5], [1, 6]]"),
        ("flattened", serde_json::json!([[1, [2]], "{{ x }}"]), "[1, 2, 5, 6]"),
    ] {
        let found = templates.query(name, &tree(&terms), &scope(vars(r#"{"x": [5, 6]}"#))).unwrap();
        let span = Span::synthetic("", "");
        assert_eq!(shown(Ok(Node::new(&span, Tree::List(found)))), expected, "{name}");
    }
}
