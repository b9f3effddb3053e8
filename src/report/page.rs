//! Everything the report says, put together once: the page, the Markdown and the files are readings of it.

use minijinja::AutoEscape;
use minijinja::Environment;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::value::Value;
use serde::Serialize;

use crate::diag::Diagnostic;
use crate::report::compare;
use crate::report::environment;
use crate::report::figure;
use crate::report::figure::Figure;
use crate::report::figure::Figures;
use crate::report::group::Scenario;
use crate::report::group::Set;
use crate::report::table::Table;
use crate::report::table::escape;
use crate::report::tables;
use crate::report::verdict;
use crate::report::words::count;

const TEMPLATE: &str = include_str!("../../templates/report.html");
const CSS: &str = include_str!("../../templates/report.css");

#[derive(Debug)]
pub(super) struct Page {
    /// For the terminal.
    pub(super) text: String,
    pub(super) html: String,
    pub(super) markdown: String,
    pub(super) tables: Vec<Table>,
    pub(super) figures: Figures,
}

/// What the template is given.
#[derive(Debug, Serialize)]
struct View {
    title: String,
    about: String,
    css: &'static str,
    warnings: Vec<String>,
    headlines: Vec<String>,
    verdicts: Table,
    thesis: Table,
    statistics: Table,
    differences: Option<Table>,
    response: Option<Table>,
    responders: Table,
    runs: Table,
    repetitions: Option<Table>,
    together: Vec<Picture>,
    scenarios: Vec<Section>,
    method: Vec<String>,
    environment: Vec<Table>,
    definitions: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Section {
    id: String,
    short: String,
    title: String,
    invalid: Vec<String>,
    figures: Vec<Picture>,
}

#[derive(Debug, Serialize)]
struct Picture {
    name: String,
    title: String,
    caption: String,
    wide: String,
    narrow: String,
}

impl From<&Figure> for Picture {
    fn from(figure: &Figure) -> Picture {
        Picture {
            name: figure.name.clone(),
            title: figure.title.clone(),
            caption: figure.caption.clone(),
            wide: figure.wide.clone(),
            narrow: figure.narrow.clone(),
        }
    }
}

impl View {
    fn new(set: &Set, figures: &Figures) -> View {
        let differences = compare::differences(&set.scenarios);
        let scenarios = &set.scenarios;
        let requests: usize = scenarios.iter().map(|one| one.count).sum();
        let runs: usize = scenarios.iter().map(|one| one.runs.len()).sum();
        let sections = scenarios.iter().zip(&figures.each).map(|(one, figures)| Section {
            id: one.slug.clone(),
            short: one.marked(),
            title: title(one),
            invalid: one.invalid.clone(),
            figures: figures.iter().map(Picture::from).collect(),
        });
        View {
            title: "How long requests take".into(),
            about: format!(
                "{} in {} of {}",
                count(requests, "request"),
                count(runs, "run"),
                count(scenarios.len(), "scenario")
            ),
            css: CSS,
            warnings: warnings(set),
            headlines: differences.iter().map(compare::Difference::sentence).collect(),
            verdicts: verdict::table(set, &differences),
            thesis: tables::beside(scenarios),
            statistics: tables::statistics(scenarios),
            differences: (!differences.is_empty()).then(|| tables::differences(&differences)),
            response: tables::response(scenarios),
            responders: tables::responder_table(scenarios),
            runs: tables::runs(set),
            repetitions: tables::spread(scenarios),
            together: figures.together.iter().map(Picture::from).collect(),
            scenarios: sections.collect(),
            method: verdict::method(set),
            environment: environment::tables(scenarios),
            definitions: verdict::definitions(),
        }
    }

    fn tables(&self) -> Vec<&Table> {
        let fixed = [&self.verdicts, &self.thesis, &self.statistics];
        let rest = [&self.responders, &self.runs];
        let some = self.differences.iter().chain(&self.response).chain(&self.repetitions);
        fixed.into_iter().chain(some).chain(rest).chain(&self.environment).collect()
    }

    /// The same as on the page, with links to the pictures.
    fn markdown(&self) -> String {
        let list = |texts: &[String]| texts.iter().map(|text| format!("- {}\n", escape(text))).collect::<String>();
        let picture = |one: &Picture| {
            format!("![{}](figures/{}.svg)\n\n{}\n\n", escape(&one.title), one.name, escape(&one.caption))
        };
        let pictures = |all: &[Picture]| all.iter().map(picture).collect::<String>();
        let mut out = format!("# {}\n\n{}\n\n", self.title, self.about);
        out += &self.warnings.iter().map(|text| format!("**{}**\n\n", escape(text))).collect::<String>();
        if !self.headlines.is_empty() {
            out += &(list(&self.headlines) + "\n");
        }
        for table in [Some(&self.verdicts), Some(&self.thesis), Some(&self.statistics), self.differences.as_ref()] {
            out += &table.map(Table::markdown).unwrap_or_default();
        }
        out += &self.response.as_ref().map(Table::markdown).unwrap_or_default();
        out += &format!("## Figures\n\n{}", pictures(&self.together));
        for section in &self.scenarios {
            out += &format!("## {}\n\n", escape(&section.title));
            out +=
                &section.invalid.iter().map(|why| format!("**Not valid: {}.**\n\n", escape(why))).collect::<String>();
            out += &pictures(&section.figures);
        }
        out += &(self.responders.markdown() + &self.runs.markdown());
        out += &self.repetitions.as_ref().map(Table::markdown).unwrap_or_default();
        out += &format!("## How it was measured\n\n{}\n", list(&self.method));
        out += &self.environment.iter().map(Table::markdown).collect::<String>();
        out + &format!("## What the words mean\n\n{}", list(&self.definitions))
    }
}

/// The label with its mark, and the title where that says more.
fn title(one: &Scenario) -> String {
    match one.title.strip_prefix(&one.label) {
        Some(rest) => format!("{}{rest}", one.marked()),
        None => format!("{} – {}", one.marked(), one.title),
    }
}

/// What has to be known before any number is read.
fn warnings(set: &Set) -> Vec<String> {
    let invalid = set.scenarios.iter().filter(|one| !one.invalid.is_empty());
    let mut said: Vec<String> = invalid
        .map(|one| {
            format!("{} is not valid: {}. Its numbers are shown, and prove nothing.", one.label, one.invalid.join("; "))
        })
        .collect();
    said.extend(environment::circular(&set.scenarios).then(|| environment::CIRCULAR.to_string()));
    said
}

impl Page {
    pub(super) fn new(set: &Set) -> Result<Page, Diagnostic> {
        let figures = figure::figures(&set.scenarios)
            .map_err(|error| Diagnostic::error(format!("cannot draw the figures: {error:#}")))?;
        let view = View::new(set, &figures);
        let html = render(&view).map_err(|error| Diagnostic::error(format!("cannot write the page: {error:#}")))?;
        Ok(Page {
            text: tables::short(&set.scenarios).plain(),
            html,
            markdown: view.markdown(),
            tables: view.tables().into_iter().cloned().collect(),
            figures,
        })
    }
}

fn render(view: &View) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.add_template("page.html", TEMPLATE)?;
    environment.get_template("page.html")?.render(Value::from(Serde(view)))
}
