//! A table, and the four ways to write it: for a terminal, as Markdown, as CSV, and (by the page's template) as HTML.

use serde::Serialize;

/// Columns between two columns of plain text.
const GAP: &str = "  ";

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub(super) struct Table {
    /// Names its file.
    pub(super) name: String,
    pub(super) title: String,
    pub(super) head: Vec<Column>,
    pub(super) rows: Vec<Vec<String>>,
    /// What is to be known for reading it.
    pub(super) notes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Column {
    /// With its unit.
    pub(super) name: String,
    pub(super) align: Align,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

impl Table {
    /// `head`: names of columns; those of numbers begin with `>`.
    pub(super) fn new(name: &str, title: &str, head: &[&str]) -> Table {
        let column = |text: &&str| match text.strip_prefix('>') {
            Some(name) => Column { name: name.to_string(), align: Align::Right },
            None => Column { name: (*text).to_string(), align: Align::Left },
        };
        Table { name: name.into(), title: title.into(), head: head.iter().map(column).collect(), ..Table::default() }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub(super) fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    pub(super) fn markdown(&self) -> String {
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let mut out = format!("### {}\n\n", escape(&self.title));
        out += &line(self.head.iter().map(|column| escape(&column.name)).collect());
        let rule = |column: &Column| if column.align == Align::Right { "---:" } else { "---" };
        out += &format!("|{}|\n", self.head.iter().map(rule).collect::<Vec<_>>().join("|"));
        for row in &self.rows {
            out += &line(row.iter().map(|cell| escape(cell)).collect());
        }
        for note in &self.notes {
            out += &format!("\n{}\n", escape(note));
        }
        out + "\n"
    }

    /// Numbers as they are printed; a cell that is not there is empty.
    pub(super) fn csv(&self) -> Vec<u8> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let head: Vec<&str> = self.head.iter().map(|column| column.name.as_str()).collect();
        // Writing to memory does not fail, and all rows are as long as the head.
        let _ = writer.write_record(head);
        for row in &self.rows {
            let _ = writer.write_record(row.iter().map(|cell| if cell == "–" { "" } else { cell }));
        }
        writer.into_inner().unwrap_or_default()
    }

    /// For a terminal: padded columns.
    pub(super) fn plain(&self) -> String {
        let head: Vec<String> = self.head.iter().map(|column| column.name.clone()).collect();
        let lines: Vec<&Vec<String>> = std::iter::once(&head).chain(&self.rows).collect();
        let width = |at: usize| lines.iter().map(|line| columns(&line[at])).max().unwrap_or_default();
        let widths: Vec<usize> = (0..head.len()).map(width).collect();
        let mut out = String::new();
        for line in lines {
            let cells = line.iter().zip(&self.head).zip(&widths).map(|((cell, column), width)| {
                let fill = " ".repeat(width - columns(cell));
                match column.align {
                    Align::Left => format!("{cell}{fill}"),
                    Align::Right => format!("{fill}{cell}"),
                }
            });
            out += cells.collect::<Vec<_>>().join(GAP).trim_end();
            out.push('\n');
        }
        out
    }
}

fn columns(text: &str) -> usize {
    console::measure_text_width(text)
}

/// What would be markup in Markdown is text. Line ends would end the row.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::new();
    for one in text.chars() {
        match one {
            '|' | '*' | '_' | '`' | '<' | '[' | ']' | '\\' => out.extend(['\\', one]),
            one if one.is_control() => out.push(' '),
            one => out.push(one),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new("t", "Some times", &["who", ">ms"]);
        table.row(["a|b".into(), "1.0".into()]);
        table.row(["ä, c".into(), "–".into()]);
        table.note("n *1*");
        table
    }

    #[test]
    fn three_ways_to_write_it() {
        assert_eq!(
            table().markdown(),
            "### Some times\n\n| who | ms |\n|---|---:|\n| a\\|b | 1.0 |\n| ä, c | – |\n\nn \\*1\\*\n\n"
        );
        assert_eq!(String::from_utf8_lossy(&table().csv()), "who,ms\na|b,1.0\n\"ä, c\",\n");
        assert_eq!(table().plain(), "who    ms\na|b   1.0\nä, c    –\n");
    }
}
