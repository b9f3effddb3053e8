//! Templates that want to hang, panic or exhaust the stack.

use super::test_vars::vars;
use super::tests::partly_known;
use super::tests::run;

/// On a small stack, as threads have.
#[test]
fn hostile_templates_end_with_a_message() {
    let done = std::thread::Builder::new().stack_size(512 << 10).spawn(hostile).unwrap();
    done.join().unwrap();
}

fn hostile() {
    let long_chain = format!("{{{{ a{} }}}}", " | upper".repeat(20_000));
    let deep = format!("{{{{ {}1{} }}}}", "(".repeat(5_000), ")".repeat(5_000));
    let wide = format!("{{{{ {} }}}}", vec!["1"; 5_000].join(" + "));
    let doubling: serde_json::Value = (1..60)
        .map(|n| (format!("a{n}"), format!("{{{{ a{} ~ a{} }}}}", n - 1, n - 1).into()))
        .chain([("a0".to_string(), "xy".into())])
        .collect::<serde_json::Map<_, _>>()
        .into();
    let minus = format!("{{{{ {}1 }}}}", "-".repeat(60_000));
    let not = format!("{{{{ {}1 }}}}", "not ".repeat(16_000));
    let ifs = format!("{{{{ {}1 }}}}", "1 if 1 else ".repeat(5_000));
    let dots = format!("{{{{ a{} }}}}", ".b".repeat(30_000));
    let lists = format!("{{% for a in [1] %}}{}", "{% if 1 %}".repeat(5_000));
    let huge = format!("{{{{ {} }}}}", "'x' ~ ".repeat(50_000));
    for (template, json) in [
        (long_chain.as_str(), ""),
        (&minus, ""),
        (&not, ""),
        (&ifs, ""),
        (&dots, ""),
        (&lists, ""),
        (&huge, ""),
        (&deep, ""),
        (&wide, ""),
        ("{{ a59 }}", &doubling.to_string()),
        ("{{ 'x' * 1000000000000 }}", ""),
        ("{{ [1] * 1000000000000 }}", ""),
        ("{{ range(1000000000) }}", ""),
        ("{{ 2 ** 100000 }}", ""),
        ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", ""),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", ""),
        ("{% set ns = namespace(l=[]) %}{% for i in range(9999) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}", ""),
        (
            "{% set ns = namespace(l=[]) %}{% for i in range(90) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}",
            "",
        ),
        (
            "{% set ns = namespace(l=[]) %}{% for i in range(90) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l == ns.l | to_json }}",
            "",
        ),
        ("{% set l = [] %}{% set _ = l.append(l) %}{{ l }}", ""),
        ("{{ range(30) | permutations(15) | list }}", ""),
        ("{{ range(30) | product(repeat=16) | list }}", ""),
        ("{{ ('a' * 100000) | regex_replace('(a*)*b', 'x') | regex_replace('a', 'a' * 100000) }}", ""),
        ("{{ '%999999999d' % 1 }}", ""),
        ("{{ '{:>999999999}'.format('a') }}", ""),
        ("{{ 'a'.ljust(999999999999) }}", ""),
        ("{{ x.a }}", r#"{"x": {"a": "{{ x.b }}", "b": "{{ x }}"}}"#),
        ("{{ '[' * 5000 | from_json }}", ""),
        ("{{ ('[' * 5000) | from_json }}", ""),
        ("{{ ('[' * 5000) | from_yaml }}", ""),
        ("{{ 'é'[0:1:0] }}", ""),
        ("{{ 1 // 0 }}", ""),
        ("{{ -170141183460469231731687303715884105727 - 2 }}", ""),
        ("{{ ('9' * 50) | int + 1 }}{{ nope }}", ""),
        ("{{ '{0é}'.format(1) }}", ""),
        ("{{ '{0[a}'.format(1) }}", ""),
        ("{{ 'x' | b64decode }}", ""),
    ] {
        let got = run(template, vars(json));
        assert!(got.starts_with("ERR "), "{}: {}", &template[..template.len().min(80)], &got[..got.len().min(200)]);
    }
    // These are odd, but end well.
    for template in [
        "{% set ns = namespace(l=[]) %}{% for i in range(99999) %}{% set ns.l = [ns.l] %}{% endfor %}ok",
        "{% set ns = namespace(x=[]) %}{% for i in range(99999) %}{% set n = [] %}{% set _ = ns.x.append(n) %}{% set ns.x = n %}{% endfor %}ok",
        "{% set l = [] %}{% set _ = l.append(l) %}ok",
        "{{ [0.0 / 1, 'nan' | float, 1] | sort | length and 'ok' }}",
        "{{ 'ok' if ('(' * 2000) else '' }}",
    ] {
        assert_eq!(run(template, vars("")), "'ok'", "{template}");
    }
}

/// One of the filters, tests, literals and signs, by a number.
fn token(n: u32) -> String {
    let [mut filters, mut tests] = crate::lang::filters::all();
    filters.sort_unstable();
    tests.sort_unstable();
    let literals = [
        "'a'",
        "'é\u{1F600}'",
        "''",
        "1",
        "-1",
        "0",
        "2.5",
        "170141183460469231731687303715884105727",
        "none",
        "true",
        "[]",
        "{}",
        "[1,'b']",
        "{'a':[1]}",
        "(1,)",
        "x",
        "nope",
        "u",
        "'%Y-%m-%d'",
        "'10.0.0.1/24'",
        "'%5.2f'",
        "'{:>3}'",
        "'a/b.c'",
        "omit",
        "'(a)|b'",
        "'\\\\1'",
        "[[1],[2]]",
        "range(3)",
        "'2020-01-31'",
        "'1.2.3'",
        "[{'a':1,'b':[2]}]",
        "x.a",
        "'ipv6'",
        "'::1/64'",
        "'[{\"a\": 1}]'",
        "1e308",
        "'start=1 end=3'",
    ];
    let pick = |list: &[&str], n: u32| list[n as usize % list.len()].to_string();
    let (kind, n) = (n % 8, n / 8);
    match kind {
        0..=2 => pick(&literals, n),
        3 => format!("| {}", pick(&filters, n)),
        4 => format!("| {}({})", pick(&filters, n / 37), pick(&literals, n)),
        5 => format!("| {}({}, {})", pick(&filters, n / 37 / 41), pick(&literals, n), pick(&literals, n / 37)),
        6 => format!("is {}({})", pick(&tests, n / 37), pick(&literals, n)),
        _ => pick(
            &[
                "+",
                "-",
                "*",
                "/",
                "//",
                "%",
                "**",
                "~",
                "==",
                "<",
                "in",
                "and",
                "or",
                "[",
                "]",
                "(",
                ")",
                ",",
                "if",
                "else",
                ".a",
                "[0]",
                "[1:]",
                ".items()",
                ".split(1)",
                ".format(1)",
            ],
            n,
        ),
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: std::env::var("SOUP").map_or(300, |n| n.parse().unwrap()), failure_persistence: None, ..Default::default() })]

    /// Whatever is written, there is a value or a message.
    #[test]
    fn no_soup_of_tokens_panics(tokens in proptest::collection::vec(0u32.., 1..7)) {
        let soup: Vec<String> = tokens.into_iter().map(token).collect();
        let mut all = partly_known();
        all.entries.extend(vars(r#"{"x": {"a": "{{ 'q' }}", "b": [1, "{{ nope }}"]}}"#).entries);
        _ = run(&format!("{{{{ {} }}}}", soup.join(" ")), all);
    }

    #[test]
    fn no_filter_panics(value in 0u32.., filter in 0u32.., more in 0u32.., kind in 3u32..7) {
        let soup = [token(value / 8 * 8), token(filter / 8 * 8 + kind), token(more / 8 * 8 + 4)];
        let all = vars(r#"{"x": {"a": "{{ 'q' }}", "b": [1, "{{ nope }}"]}}"#);
        _ = run(&format!("{{{{ {} }}}}", soup.join(" ")), all);
    }
}
