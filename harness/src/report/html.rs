//! The document as one HTML file that needs nothing else.

use std::fmt::{self, Write};

use super::document::{Block, Line, Row, Span, Table};
use super::text::{html as escape, slug};

/// The style sheet.
const STYLE: &str = include_str!("style.css");

/// Sorts tables. The page says everything without it.
pub(super) const SORT: &str = include_str!("sort.js");

/// Writes `blocks` as a page called `title`.
pub(super) fn page(title: &str, blocks: &[Block<'_>]) -> Result<String, fmt::Error> {
    let mut out = String::new();
    write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n",
        escape(title)
    )?;
    let anchors = anchors(blocks);
    let mut anchored = anchors.iter();
    let mut has_contents = false;
    for block in blocks {
        if let Block::Heading(level, text) = block {
            if *level == 2 && !has_contents {
                write_contents(&mut out, &anchors)?;
                has_contents = true;
            }
            let id = anchored.next().map_or("", |anchor| anchor.id.as_str());
            let text = escape(text);
            writeln!(
                out,
                "<h{level} id=\"{id}\"><a href=\"#{id}\">{text}</a></h{level}>"
            )?;
        } else {
            write_block(&mut out, block)?;
        }
    }
    write!(
        out,
        "</main>\n<script>\n{SORT}</script>\n</body>\n</html>\n"
    )?;
    Ok(out)
}

/// A heading that can be linked to.
struct Anchor<'a> {
    level: u8,
    text: &'a str,
    id: String,
}

/// All headings, with a name for each that no other one has.
fn anchors<'a>(blocks: &'a [Block<'_>]) -> Vec<Anchor<'a>> {
    let mut anchors = Vec::<Anchor<'_>>::new();
    for block in blocks {
        if let Block::Heading(level, text) = block {
            let stem = match slug(text) {
                empty if empty.is_empty() => "part".to_owned(),
                stem => stem,
            };
            let mut id = stem.clone();
            let mut number = 1;
            while anchors.iter().any(|other| other.id == id) {
                number += 1;
                id = format!("{stem}-{number}");
            }
            anchors.push(Anchor {
                level: *level,
                text,
                id,
            });
        }
    }
    anchors
}

/// Links to the parts of the page; those within a part in one line.
fn write_contents(out: &mut String, anchors: &[Anchor<'_>]) -> fmt::Result {
    out.push_str("<nav aria-label=\"contents\">\n<ul>\n");
    let mut parts = anchors
        .iter()
        .filter(|it| matches!(it.level, 2 | 3))
        .peekable();
    while let Some(Anchor { text, id, .. }) = parts.next() {
        write!(out, "<li><a href=\"#{id}\">{}</a>", escape(text))?;
        let mut separator = ": ";
        while let Some(Anchor { text, id, .. }) = parts.next_if(|it| it.level == 3) {
            write!(out, "{separator}<a href=\"#{id}\">{}</a>", escape(text))?;
            separator = ", ";
        }
        out.push_str("</li>\n");
    }
    out.push_str("</ul>\n</nav>\n");
    Ok(())
}

/// Writes one block.
fn write_block(out: &mut String, block: &Block<'_>) -> fmt::Result {
    match block {
        // Written with its anchor, by who knows all of them.
        Block::Heading(..) => Ok(()),
        Block::Paragraph(line) => {
            out.push_str("<p>");
            write_line(out, line)?;
            out.push_str("</p>\n");
            Ok(())
        }
        Block::Notice(line) => {
            out.push_str("<p class=\"notice\" role=\"note\">");
            write_line(out, line)?;
            out.push_str("</p>\n");
            Ok(())
        }
        Block::List(items) => {
            out.push_str("<ul>\n");
            for item in items {
                out.push_str("<li>");
                write_line(out, item)?;
                out.push_str("</li>\n");
            }
            out.push_str("</ul>\n");
            Ok(())
        }
        Block::Command(command) => writeln!(
            out,
            "<pre tabindex=\"0\" role=\"region\" aria-label=\"command\"><code>{}</code></pre>",
            escape(command)
        ),
        Block::Table(table) => write_table(out, table),
        Block::Figure(picture) => writeln!(
            out,
            "<figure>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"picture: {}\">\n{}</div>\n\
             <figcaption>{}</figcaption>\n</figure>",
            escape(&picture.title),
            picture.svg,
            escape(&picture.caption)
        ),
    }
}

/// Writes the pieces of a line.
fn write_line(out: &mut String, line: &Line) -> fmt::Result {
    for span in line {
        match span {
            Span::Text(text) => out.push_str(&escape(text)),
            Span::Strong(text) => write!(out, "<strong>{}</strong>", escape(text))?,
            Span::Code(text) => write!(out, "<code>{}</code>", escape(text))?,
            Span::Mark(text) => write!(out, " <span class=\"mark\">{}</span>", escape(text))?,
            Span::Note(text) => write!(out, " <span class=\"note\">{}</span>", escape(text))?,
        }
    }
    Ok(())
}

/// Writes a table in a box that scrolls by itself where the page is narrow.
fn write_table(out: &mut String, table: &Table) -> fmt::Result {
    writeln!(
        out,
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"table: {0}\">\n<table>\n<caption><span>{0}</span></caption>\n<thead>\n<tr>",
        escape(&table.caption)
    )?;
    for column in &table.columns {
        let class = if column.numeric { " class=\"n\"" } else { "" };
        writeln!(
            out,
            "<th scope=\"col\"{class}>{}</th>",
            escape(&column.title)
        )?;
    }
    out.push_str("</tr>\n</thead>\n<tbody>\n");
    for row in &table.rows {
        write_row(out, row, table)?;
    }
    out.push_str("</tbody>\n");
    if !table.summary.is_empty() {
        out.push_str("<tfoot>\n");
        for row in &table.summary {
            write_row(out, row, table)?;
        }
        out.push_str("</tfoot>\n");
    }
    out.push_str("</table>\n</div>\n");
    Ok(())
}

/// Writes a row.
fn write_row(out: &mut String, row: &Row, table: &Table) -> fmt::Result {
    out.push_str(if row.doubtful {
        "<tr class=\"doubtful\">\n"
    } else {
        "<tr>\n"
    });
    for (index, (cell, column)) in row.cells.iter().zip(&table.columns).enumerate() {
        let class = if column.numeric { " class=\"n\"" } else { "" };
        let (open, close) = match index {
            0 => ("th scope=\"row\"", "th"),
            _ => ("td", "td"),
        };
        write!(out, "<{open}{class}>")?;
        write_line(out, cell)?;
        writeln!(out, "</{close}>")?;
    }
    out.push_str("</tr>\n");
    Ok(())
}
