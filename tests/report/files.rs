//! The files of a report: whether they are what they should be, legible, and complete.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use resvg::tiny_skia::Pixmap;
use resvg::tiny_skia::Rect;
use resvg::usvg::Group;
use resvg::usvg::Node;
use resvg::usvg::Options;
use resvg::usvg::Tree;
use resvg::usvg::fontdb::Database;
use resvg::usvg::roxmltree::Document;

use crate::made;
use crate::report;
use crate::root;
use crate::text;

/// A report of all scenarios.
fn made() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    made::all(dir.path(), 2, 600);
    let made = report(dir.path(), &["."]);
    assert!(made.status.success() && made.stderr.is_empty(), "{}", text(&made.stderr));
    dir
}

fn named(dir: &Path, ending: &str) -> BTreeSet<String> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter_map(|name| name.strip_suffix(ending).map(str::to_string)).collect()
}

/// The drawings of a page.
fn drawings(html: &str) -> Vec<String> {
    let parts = html.split("<svg ").skip(1);
    parts.map(|part| format!("<svg {}</svg>", part.split("</svg>").next().unwrap())).collect()
}

/// The boxes of all texts, with what they say.
fn words(group: &Group, found: &mut Vec<(String, Rect)>) {
    for node in group.children() {
        match node {
            Node::Group(group) => words(group, found),
            Node::Text(text) => {
                let said = text.chunks().iter().map(|chunk| chunk.text().to_string()).collect();
                found.push((said, text.abs_bounding_box()));
            }
            _ => {}
        }
    }
}

#[track_caller]
fn legible(svg: &str) {
    let mut fonts = Database::new();
    fonts.load_font_data(dejavu::sans::regular().to_vec());
    fonts.load_font_data(dejavu::sans::bold().to_vec());
    let tree = Tree::from_str(svg, &Options { fontdb: Arc::new(fonts), ..Options::default() }).unwrap();
    let (width, height) = (tree.size().width(), tree.size().height());
    let mut found = Vec::new();
    words(tree.root(), &mut found);
    assert!(!found.is_empty(), "a figure without a word");
    for (at, (said, one)) in found.iter().enumerate() {
        let inside = one.left() >= 0.0 && one.top() >= 0.0 && one.right() <= width && one.bottom() <= height;
        assert!(inside, "`{said}` is cut: {one:?} in {width} × {height}");
        // Letters of 11 pixels at least, as wide as the drawing is meant to be.
        assert!(one.height() >= 5.0, "`{said}` is too small: {one:?}");
        for (other_said, other) in &found[at + 1..] {
            let apart = one.right() <= other.left()
                || other.right() <= one.left()
                || one.bottom() <= other.top()
                || other.bottom() <= one.top();
            assert!(apart, "`{said}` and `{other_said}` overlap");
        }
    }
}

#[test]
fn figures_are_there_in_both_forms_and_of_their_size() {
    let dir = made();
    let figures = dir.path().join("report/figures");
    let (svgs, pngs) = (named(&figures, ".svg"), named(&figures, ".png"));
    assert_eq!(svgs, pngs);
    for name in
        ["averages", "ecdf", "histograms", "series", "series-control", "histogram-scenario-1", "responders-scenario-3"]
    {
        assert!(svgs.contains(name), "{name} in {svgs:?}");
    }
    for name in svgs {
        let svg = fs::read_to_string(figures.join(format!("{name}.svg"))).unwrap();
        let document = Document::parse(&svg).unwrap();
        let size = |name| document.root_element().attribute(name).unwrap().parse::<u32>().unwrap();
        let png = Pixmap::load_png(figures.join(format!("{name}.png"))).unwrap();
        assert_eq!((png.width(), png.height()), (2 * size("width"), 2 * size("height")), "{name}");
        assert_eq!(size("width"), 960, "{name}");
        // Letters are drawn, not left out for want of a font: black is there.
        assert!(png.pixels().iter().any(|dot| dot.red() < 0x30 && dot.alpha() == 255), "{name} has no ink");
    }
}

#[test]
fn no_word_is_cut_or_covered_by_another() {
    let dir = made();
    let html = fs::read_to_string(dir.path().join("report/index.html")).unwrap();
    let all = drawings(&html);
    assert_eq!(all.len(), 2 * named(&dir.path().join("report/figures"), ".svg").len());
    for svg in all {
        legible(&svg);
    }
    let odd = tempfile::tempdir().unwrap();
    made::odd(odd.path());
    assert!(report(odd.path(), &["."]).status.success());
    for svg in drawings(&fs::read_to_string(odd.path().join("report/index.html")).unwrap()) {
        legible(&svg);
    }
}

#[test]
fn the_page_needs_nothing_else_and_says_what_figures_show() {
    let dir = made();
    let html = fs::read_to_string(dir.path().join("report/index.html")).unwrap();
    for outside in ["<script", "<link", "<iframe", "src=", "@import", "url(", "https:"] {
        assert!(!html.contains(outside), "{outside}");
    }
    let spaces = html.matches("xmlns=\"http://www.w3.org/2000/svg\"").count();
    assert_eq!(html.matches("http:").count(), spaces);
    assert!(html.split("href=\"").skip(1).all(|rest| rest.starts_with('#')));
    for svg in drawings(&html) {
        let document = Document::parse(&svg).unwrap();
        assert_eq!(document.root_element().attribute("role"), Some("img"));
        let told = document.root_element().attribute("aria-label").unwrap();
        assert!(told.len() > 40 && told.contains("ms") || told.contains("node-1"), "{told}");
    }
    let titled = html.matches("<figure").count() == html.matches("<figcaption").count();
    assert!(titled && html.contains("<html lang=\"en\">") && html.contains("width=device-width"));
}

#[test]
fn what_a_name_says_is_never_markup() {
    let dir = tempfile::tempdir().unwrap();
    let evil = "<script>alert(1)</script>|*x*";
    let mut record = made::record(&made::SCENARIOS[0], "r", 40);
    record.title = evil.into();
    record.scenario = evil.into();
    record.notes.push(evil.into());
    record.placement.push(evil.into());
    let mut samples = made::samples(&made::SCENARIOS[0], 40, &mut made::Dice(1));
    samples.iter_mut().for_each(|sample| sample.responder = evil.into());
    made::write(dir.path(), &record, &samples);
    let made = report(dir.path(), &["."]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    for name in ["index.html", "report.md", "figures/averages.svg"] {
        let text = fs::read_to_string(dir.path().join("report").join(name)).unwrap();
        // In Markdown a backslash takes the meaning away.
        assert!(!text.replace("\\<", "").contains("<script"), "{name}");
    }
}

#[test]
fn markdown_and_tables_of_a_small_measurement() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let made = report(&root().join("tests/report"), &["small", "-o", out.to_str().unwrap()]);
    assert!(made.status.success() && made.stderr.is_empty(), "{}", text(&made.stderr));
    insta::assert_snapshot!("report.md", fs::read_to_string(out.join("report.md")).unwrap());
    let mut tables = String::new();
    for name in named(&out.join("tables"), ".csv") {
        tables += &format!("# {name}.csv\n{}\n", fs::read_to_string(out.join(format!("tables/{name}.csv"))).unwrap());
    }
    insta::assert_snapshot!("tables", tables);
    let said = text(&made.stdout).replace(out.to_str().unwrap(), "OUT");
    assert!(said.lines().all(|line| line.chars().count() <= 80), "{said}");
    insta::assert_snapshot!("terminal", said);
}

#[test]
fn a_second_report_is_the_same_and_no_run() {
    let dir = made();
    let read = || fs::read(dir.path().join("report/index.html")).unwrap();
    let first = read();
    let again = report(dir.path(), &["."]);
    assert!(again.status.success() && again.stderr.is_empty(), "{}", text(&again.stderr));
    assert_eq!(first, read());
    let left = fs::read_dir(dir.path().join("report")).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(left.into_iter().all(|name| !name.to_string_lossy().starts_with('.')));
}
