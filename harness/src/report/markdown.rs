//! The document as Markdown, with pictures beside it.

use std::fmt::{self, Write};

use super::PLOTS;
use super::document::{Block, Line, Span, Table};
use super::text::{clean, longest_run, markdown as escape, markdown_code};

/// Writes `blocks`.
pub(super) fn page(blocks: &[Block<'_>]) -> Result<String, fmt::Error> {
    let mut out = String::new();
    for block in blocks {
        write_block(&mut out, block)?;
        out.push('\n');
    }
    Ok(out)
}

/// Writes one block.
fn write_block(out: &mut String, block: &Block<'_>) -> fmt::Result {
    match block {
        Block::Heading(level, text) => {
            writeln!(out, "{} {}", "#".repeat(usize::from(*level)), escape(text))
        }
        Block::Paragraph(line) => {
            writeln!(out, "{}", line_of(line, false))
        }
        Block::Notice(line) => {
            writeln!(out, "> {}", line_of(line, false))
        }
        Block::List(items) => {
            for item in items {
                writeln!(out, "- {}", line_of(item, false))?;
            }
            Ok(())
        }
        Block::Command(command) => {
            let command = clean(command);
            let fence = "`".repeat(longest_run(&command, '`').max(2) + 1);
            writeln!(out, "{fence}sh\n{command}\n{fence}")
        }
        Block::Table(table) => write_table(out, table),
        Block::Figure(picture) => writeln!(
            out,
            "![{}]({PLOTS}/{}.svg)\n\n{}",
            escape(&picture.description),
            picture.file,
            escape(&picture.caption)
        ),
    }
}

/// A line as Markdown.
fn line_of(line: &Line, in_table: bool) -> String {
    let mut out = String::new();
    for span in line {
        match span {
            Span::Text(text) => out.push_str(&escape(text)),
            Span::Strong(text) => {
                // Emphasis does not begin before a blank.
                let text = escape(text.trim());
                if !text.is_empty() {
                    out.push_str(&format!("**{text}**"));
                }
            }
            Span::Code(text) => out.push_str(&markdown_code(text, in_table)),
            Span::Mark(text) => out.push_str(&format!(" **({})**", escape(text.trim()))),
            Span::Note(text) => out.push_str(&format!(" ({})", escape(text))),
        }
    }
    out
}

/// Writes a table under its caption.
fn write_table(out: &mut String, table: &Table) -> fmt::Result {
    writeln!(out, "**{}**\n", escape(&table.caption))?;
    out.push('|');
    for column in &table.columns {
        write!(out, " {} |", escape(&column.title))?;
    }
    out.push_str("\n|");
    for column in &table.columns {
        out.push_str(if column.numeric { "---:|" } else { "---|" });
    }
    out.push('\n');
    for row in table.rows.iter().chain(&table.summary) {
        out.push('|');
        for cell in &row.cells {
            write!(out, " {} |", line_of(cell, true))?;
        }
        out.push('\n');
    }
    Ok(())
}
