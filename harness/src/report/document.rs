//! A document as a value, which HTML and Markdown are written from, so that both say the same.

use super::plots::Picture;

/// A piece of a line.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Span {
    /// As it is.
    Text(String),
    /// Emphasised.
    Strong(String),
    /// A command or a name to be typed.
    Code(String),
    /// A caution that belongs to what stands before it; on a line of its own.
    Mark(String),
    /// More about what stands before it; on a line of its own.
    Note(String),
}

/// A line.
pub(super) type Line = Vec<Span>;

/// A line of plain text.
pub(super) fn plain(text: impl Into<String>) -> Line {
    vec![Span::Text(text.into())]
}

/// A part of a document.
pub(super) enum Block<'a> {
    /// A heading of level 1 to 4.
    Heading(u8, String),
    /// A paragraph.
    Paragraph(Line),
    /// A box that must not be overlooked.
    Notice(Line),
    /// An unordered list.
    List(Vec<Line>),
    /// Lines to be typed.
    Command(String),
    /// A table.
    Table(Table),
    /// A picture.
    Figure(&'a Picture),
}

/// A column of a table.
#[derive(Debug, Clone)]
pub(super) struct Column {
    /// Its heading, with the unit.
    pub title: String,
    /// Whether it holds numbers, which are aligned to the right.
    pub numeric: bool,
}

/// A row of a table; the first cell names it.
#[derive(Debug, Clone)]
pub(super) struct Row {
    /// One for each column.
    pub cells: Vec<Line>,
    /// Whether its figures cannot be trusted.
    pub doubtful: bool,
}

/// A table.
#[derive(Debug, Clone)]
pub(super) struct Table {
    /// What it shows.
    pub caption: String,
    /// Its columns.
    pub columns: Vec<Column>,
    /// Its rows.
    pub rows: Vec<Row>,
    /// Rows below, which say something of the others.
    pub summary: Vec<Row>,
}

impl Table {
    /// A table without rows. Titles that begin with `#` are of columns of numbers.
    pub(super) fn new(caption: impl Into<String>, titles: &[&str]) -> Self {
        let column = |title: &&str| Column {
            title: title.trim_start_matches('#').to_owned(),
            numeric: title.starts_with('#'),
        };
        Self {
            caption: caption.into(),
            columns: titles.iter().map(column).collect(),
            rows: Vec::new(),
            summary: Vec::new(),
        }
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: Vec<Line>) {
        self.rows.push(Row {
            cells,
            doubtful: false,
        });
    }

    /// Adds a row that says something of the others, and stands below them.
    pub(super) fn summary(&mut self, cells: Vec<Line>) {
        self.summary.push(Row {
            cells,
            doubtful: false,
        });
    }
}
