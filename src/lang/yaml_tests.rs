use super::*;

/// Values as JSON, one document a line, then the faults as `line:column text / help`.
fn show(text: &str) -> String {
    let source = Source::new("t.yaml", text);
    let mut faults = Diagnostics::default();
    let mut lines: Vec<String> =
        parse(&source, &mut faults).iter().map(|node| serde_json::to_string(&node.to_value()).unwrap()).collect();
    for fault in &faults.list {
        let at = fault.span.as_ref().map(|span| format!("{}:{}", span.line_column().0, span.line_column().1));
        lines.push(format!(
            "{} {} / {}",
            at.unwrap_or_default(),
            fault.message,
            fault.help.as_deref().unwrap_or_default()
        ));
    }
    lines.join("\n")
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(show(text), expected, "{text}");
}

#[test]
fn values() {
    check("", "");
    check("---\n", "null");
    check(
        "a: yes\nb: 'yes'\nc: 0644\nd: \"0644\"\ne:\nf: ~\n",
        r#"{"a":true,"b":"yes","c":420,"d":"0644","e":null,"f":null}"#,
    );
    check("yes: 1\n80: 2\n0644: 3\n'on': 4\n", r#"{"true":1,"80":2,"420":3,"on":4}"#);
    check("- [1, {a: b}]\n- |\n  x\n  y\n- >-\n  x\n  y\n", "[[1,{\"a\":\"b\"}],\"x\\ny\\n\",\"x y\"]");
    check("a: 1\n---\nb: 2\n", "{\"a\":1}\n{\"b\":2}");
    check("a: !!str 5\nb: !!int \"7\"\nc: ! 5\n", r#"{"a":"5","b":7,"c":"5"}"#);
}

#[test]
fn anchors_and_merge_keys() {
    check("a: &x {p: 1, q: 2}\nb:\n  q: 3\n  <<: *x\n", r#"{"a":{"p":1,"q":2},"b":{"p":1,"q":3}}"#);
    check("- &x {p: 1}\n- &y {p: 2, q: 2}\n- {<<: [*x, *y]}\n", r#"[{"p":1},{"p":2,"q":2},{"p":1,"q":2}]"#);
    check("- '<<': 1\n", r#"[{"<<":1}]"#);
    check(
        "a:\n  <<: 3\n",
        "{\"a\":{}}\n2:3 `<<` merges mappings, found a number / write `<<: *anchor`, or a list of such aliases",
    );
}

#[test]
fn faults() {
    check(
        "a: 1\nb: 2\na: 3\n",
        "{\"a\":3,\"b\":2}\n3:1 the key `a` is written twice; the last one counts / remove one of the two",
    );
    check("x: {{ v }}\n", "{\"x\":{}}\n1:4 a value that begins with `{{` needs quotes / write \"{{ v }}\"");
    check(
        "x: {y: {{ v }}}\n",
        "{\"x\":{\"y\":{}}}\n1:8 a value that begins with `{{` needs quotes / write \"{{ v }}\"",
    );
    check("x: {{ v }}/bin # c\n", "1:4 a value that begins with `{{` needs quotes / write \"{{ v }}/bin\"");
    check("- {{ v['a'] }}: \"\n", "1:3 a value that begins with `{{` needs quotes / write '{{ v[''a''] }}: \"'");
    check("w: \"a\" in b\n", "1:4 the quotes end before the value does / put the whole value in quotes: '\"a\" in b'");
    check(
        "w: 'a' in b\n",
        "1:4 the quotes end before the value does / put the whole value in quotes of the other kind",
    );
    check("a: b: c\n", "1:5 a second `: ` on one line / put a value that contains `: ` in quotes");
    check("a:\n\t- b\n", "2:2 a tab where YAML wants spaces / indent with spaces");
    check("a: @x\n", "1:4 a value cannot begin with `@` / put the value in quotes");
    check("a: [1\n", "1:4 the bracket `[` is never closed / close it, or put the value in quotes");
    check("a: [1}\n", "1:4 the bracket `[` is closed by `}` / close it with its own kind");
    check("a: \"x\n", "2:1 quotes are opened here or above and never closed / close the quotes");
    check(
        "a: \"\\q\"\n",
        "1:4 a backslash in double quotes that YAML does not know / use single quotes, or write `\\\\`",
    );
    check("a: *x\n", "1:4 the alias refers to no anchor above it / write `&name` at the value it means");
    check(
        "a:\n  b: 1\n c: 2\n",
        "3:2 this does not fit the mapping it stands in / indent all keys of one mapping alike",
    );
    check("a: 1\n- b\n", "2:3 this does not fit the mapping it stands in / indent all keys of one mapping alike");
    check(
        "- a\nb: 1\n",
        "2:1 this does not fit the list it stands in / begin each item with `- `, all in the same column",
    );
    check("a: 1\nfoo\nb: 2\n", "2:1 a line without `: ` where a key and its value belong / write `key: value`");
    check(
        "? [a]\n: b\n",
        "{}\n1:3 a mapping's key must be text, found a list / write a word before the colon, in quotes if it has special characters",
    );
    check(
        "a: &x\n  - *x\n",
        "{\"a\":[null]}\n2:5 the alias `*x` stands inside of what it refers to / a value cannot contain itself: write it out, or anchor another one",
    );
    check(
        "a\u{1}b: 1\n",
        "1:2 the control character U+0001 cannot stand in YAML / write it as \"\\x01\" in double quotes",
    );
    check(
        "a\0b: 1\n",
        "1:2 the control character U+0000 cannot stand in YAML / write it as \"\\x00\" in double quotes",
    );
    check(
        "p: 22:30\n",
        "{\"p\":1350}\n1:4 `22:30` is a number to base sixty in YAML 1.1 / if text is meant, write '22:30' in quotes",
    );
}

#[test]
fn tags() {
    check(
        "a: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n",
        "{\"a\":\"$ANSIBLE_VAULT;1.1;AES256\\n\"}\n1:4 values encrypted with ansible-vault are unsupported / use `lookup('env', 'NAME')`, or `-e @file` with a file of mode 0600",
    );
    check(
        "a: !!binary aa\n",
        "{\"a\":null}\n1:4 the YAML tag `!!binary` is unsupported / remove it; `!unsafe` is the one that is known",
    );
    check(
        "a: !env x\n",
        "{\"a\":\"x\"}\n1:4 the YAML tag `!env` is unsupported / remove it; `!unsafe` is the one that is known",
    );
    check(
        "a: !!set {x}\n",
        "{\"a\":{\"x\":null}}\n1:4 the YAML tag `!!set` is unsupported / remove it; `!unsafe` is the one that is known",
    );
    check("a: !!int x\n", "{\"a\":null}\n1:4 `x` is not a value of the type !!int / ");
    let mut faults = Diagnostics::default();
    let node = document(&Source::new("t", "a: !unsafe '{{ x }}'\nb: !unsafe ['{{ y }}']\n"), &mut faults).unwrap();
    assert!(!node.is_live());
}

#[test]
fn places_are_bytes_of_the_content() {
    let source = Source::new("t", "é: 'ü{{ x }}'\nb: |\n\n    line\n  \nc: [1, 2]\nd:\n  - x\n\n\ne: 1\n");
    let mut faults = Diagnostics::default();
    let node = document(&source, &mut faults).unwrap();
    for (key, text) in [("é", "ü{{ x }}"), ("b", "line\n  \n"), ("c", "[1, 2]"), ("d", "- x"), ("e", "1")] {
        assert_eq!(node.get(key).map(|node| node.span.text()), Some(text));
    }
    assert_eq!(node.span.start, 0);
}

#[test]
fn one_document_only() {
    let mut faults = Diagnostics::default();
    document(&Source::new("t", "a: 1\n---\nb: 1\n"), &mut faults);
    assert_eq!(faults.list[0].message, "a second YAML document in a file that may hold just one");
}

#[test]
fn hostile_texts_end_soon() {
    check(&"[".repeat(100), "1:65 lists and mappings are nested more than 64 levels deep / ");
    let nested: String = (0..80).map(|level| format!("{}a:\n", " ".repeat(level))).collect();
    check(&nested, "65:65 lists and mappings are nested more than 64 levels deep / ");
    let mut laughs = String::from("- &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..20 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        laughs.push_str(&format!("- &a{level} [{aliases}]\n"));
    }
    assert!(
        show(&laughs).contains("more than 1048576 values or 64 MiB after writing out aliases"),
        "{}",
        show(&laughs).len()
    );
    let long = format!("- &a {}\n{}", "x".repeat(1 << 20), "- *a\n".repeat(100));
    assert!(show(&long).contains("more than 1048576 values"));
    let mut deep = String::from("- &a0 [x]\n");
    for level in 1..80 {
        deep.push_str(&format!("- &a{level} [*a{}]\n", level - 1));
    }
    assert!(show(&deep).contains("nested more than 64 levels"));
    let large = Source::new("t", " ".repeat(MAX_BYTES + 1));
    let mut faults = Diagnostics::default();
    parse(&large, &mut faults);
    assert_eq!(faults.list[0].message, "the file is larger than 8 MiB, the most that is read as YAML");
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[-a:{}\\[\\]\"'|>&*!?%#, \n\t~<0é]{0,60}") {
        show(&text);
    }
}
