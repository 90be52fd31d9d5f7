//! The document as one HTML file that needs nothing else.

use std::fmt::{self, Write};

use super::document::{Block, Line, Span, Table};
use super::text::html as escape;

/// The style sheet.
const STYLE: &str = include_str!("style.css");

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
    for block in blocks {
        write_block(&mut out, block)?;
    }
    out.push_str("</main>\n</body>\n</html>\n");
    Ok(out)
}

/// Writes one block.
fn write_block(out: &mut String, block: &Block<'_>) -> fmt::Result {
    match block {
        Block::Heading(level, text) => {
            writeln!(out, "<h{level}>{}</h{level}>", escape(text))
        }
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
    }
    out.push_str("</tbody>\n</table>\n</div>\n");
    Ok(())
}
