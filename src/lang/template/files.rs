//! Template files: their first line, how they are read and found, and their result as text.
//!
//! Knows nothing of search paths; the scope's [`Files`] answers.
//!
//! [`Files`]: crate::lang::lookup::Files

use std::sync::Arc;

use crate::diag::Diagnostic;
use crate::diag::Source;
use crate::diag::Span;
use crate::lang::lookup::Lookup;
use crate::lang::lookup::Search;
use crate::lang::template::Templates;
use crate::lang::template::eval::with_newlines;
use crate::lang::template::lower::Mode;
use crate::lang::template::lower::Style;
use crate::lang::template::place::Place;
use crate::lang::template::scope::Cx;
use crate::lang::template::syntax::*;
use crate::lang::template::val::*;

/// What the first line of a template file begins with to say how it is to be read.
const HEADER: &str = "#jinja2:";

/// The text of the file after its header, where that begins, and what the header says.
pub(crate) fn styled(source: &Arc<Source>) -> Result<(usize, Style), Diagnostic> {
    let Some(rest) = source.text.strip_prefix(HEADER) else { return Ok((0, Style::default())) };
    let line = rest.lines().next().unwrap_or_default();
    let span = Span::new(source, 0, HEADER.len() + line.len());
    if !rest.contains('\n') {
        return Err(Diagnostic::error(format!("the line `{HEADER} …` must end with a newline")).at(&span));
    }
    let mut style = Style::default();
    for pair in line.split(',') {
        let Some((key, value)) = pair.split_once(':') else {
            let fault = Diagnostic::error(format!("`{}` is not `option: value`", pair.trim()));
            return Err(fault.at(&span).help(format!("write `{HEADER} lstrip_blocks: True, trim_blocks: False`")));
        };
        set_option(&mut style, key.trim(), value.trim()).map_err(|fault| fault.at(&span))?;
    }
    Ok((HEADER.len() + line.len() + 1, style))
}

const OPTIONS: [&str; 10] = [
    "trim_blocks",
    "lstrip_blocks",
    "keep_trailing_newline",
    "newline_sequence",
    "block_start_string",
    "block_end_string",
    "variable_start_string",
    "variable_end_string",
    "comment_start_string",
    "comment_end_string",
];

fn set_option(style: &mut Style, key: &str, value: &str) -> Result<(), Diagnostic> {
    let quoted = value.trim_matches(['"', '\'']).replace("\\n", "\n").replace("\\r", "\r");
    let mark = match key {
        "trim_blocks" | "lstrip_blocks" | "keep_trailing_newline" => {
            let yes = match value {
                "True" | "true" => true,
                "False" | "false" => false,
                _ => return Err(Diagnostic::error(format!("`{key}` is True or False, not `{value}`"))),
            };
            match key {
                "trim_blocks" => style.trim_blocks = yes,
                "lstrip_blocks" => style.lstrip_blocks = yes,
                _ => style.keep_trailing_newline = yes,
            }
            return Ok(());
        }
        "newline_sequence" => &mut style.newline,
        "block_start_string" => &mut style.block[0],
        "block_end_string" => &mut style.block[1],
        "variable_start_string" => &mut style.variable[0],
        "variable_end_string" => &mut style.variable[1],
        "comment_start_string" => &mut style.comment[0],
        "comment_end_string" => &mut style.comment[1],
        "line_statement_prefix" | "line_comment_prefix" => {
            return Err(Diagnostic::error(format!("the option `{key}` is unsupported")));
        }
        _ => return Err(Diagnostic::error(format!("unknown option `{key}`")).suggest(key, OPTIONS)),
    };
    *mark = quoted;
    Ok(())
}

/// With line ends as all templates have them.
fn with_own_ends(source: &Arc<Source>) -> Arc<Source> {
    match source.text.contains('\r') {
        true => Source::new(source.name.as_str(), source.text.replace("\r\n", "\n").replace('\r', "\n")),
        false => source.clone(),
    }
}

/// The parsed file.
pub(crate) fn unit(templates: &Templates, source: &Arc<Source>) -> Result<(Arc<Unit>, Place), Diagnostic> {
    let source = &with_own_ends(source);
    let (start, style) = styled(source)?;
    let place = Place::File(source.clone(), start);
    let text = source.text.get(start..).unwrap_or_default();
    Ok((templates.unit(text, &Mode::File(style), &place)?, place))
}

/// A template file as text. Its last newlines are kept, whatever blocks it ends with.
pub(crate) fn render(templates: &Templates, source: &Arc<Source>, scope: &Arc<dyn Lookup>) -> Res<String> {
    let source = &with_own_ends(source);
    let (start, style) = styled(source)?;
    let (unit, place) = unit(templates, source)?;
    let mut cx = Cx::new(templates, scope, place);
    let Body::Template(stmts) = &unit.body else { return Ok(String::new()) };
    let out = cx.template(stmts)?;
    let printed = !out.is_empty();
    let text = cx.joined(out)?;
    let text = if printed { with_newlines(Val::str(text), &source.text[start..]).to_text() } else { text };
    Ok(if style.newline == "\n" { text } else { text.replace('\n', &style.newline) })
}

/// A file of the controller by name, if it exists.
pub(crate) fn find(cx: &Cx, search: Search, name: &str) -> Res<Option<Arc<Source>>> {
    let scope = cx.env.scope.clone();
    let Some(files) = scope.files() else {
        return fail(format!("reading the file `{name}` is unsupported here: no files can be read at this point"));
    };
    match files.find(search, name) {
        None => Ok(None),
        Some(path) => match files.read(&path) {
            Ok(source) => Ok(Some(source)),
            Err(why) => fail(format!("`{}` cannot be read: {why}", path.display())),
        },
    }
}
