//! Making text from the run's files safe to print, and quoting it for each format.

use crate::record::Environment;
use std::fmt::Write;

/// Replaces what could disturb a reader: control characters, invisible and direction-changing ones.
///
/// Escape sequences would act on a terminal, control characters make an SVG unreadable, and a change of direction
/// could show a figure's digits in another order. Line breaks become spaces.
pub(super) fn clean(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' => ' ',
            c if c.is_control() => '\u{fffd}',
            '\u{061c}' | '\u{200b}' | '\u{200e}'..='\u{200f}' => '\u{fffd}',
            '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' => '\u{fffd}',
            '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// Cleaned text for HTML and SVG, in content and in quoted attributes.
pub(super) fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in clean(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// Cleaned text for Markdown, so that nothing in it is markup, also at the start of a line and in a table.
pub(super) fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut word_start = true;
    for c in clean(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '$' => {
                out.push('\\');
                out.push(c);
            }
            // Headings, lists and images begin with these; inside a word they are harmless.
            '#' | '+' | '-' | '=' | '!' if word_start => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
        word_start = c == ' ';
    }
    out
}

/// Cleaned text as a Markdown code span. `in_table` also protects it from ending a cell.
pub(super) fn markdown_code(text: &str, in_table: bool) -> String {
    let text = clean(text);
    if text.trim().is_empty() {
        return String::new();
    }
    let fence = "`".repeat(longest_run(&text, '`') + 1);
    let text = if in_table {
        text.replace('|', "\\|")
    } else {
        text
    };
    // The blanks keep a backtick at either end apart from the fence; renderers strip them.
    format!("{fence} {text} {fence}")
}

/// Length of the longest run of `wanted`.
pub(super) fn longest_run(text: &str, wanted: char) -> usize {
    let (mut longest, mut run) = (0, 0);
    for c in text.chars() {
        run = if c == wanted { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

/// A command as a POSIX-like shell would have to be given it.
pub(super) fn shell(words: &[String]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| shell_word(word)).collect();
    quoted.join(" ")
}

/// One word of a command.
fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    if clean(word) == word {
        return format!("'{}'", word.replace('\'', "'\\''"));
    }
    // Characters that are not shown as they are get their number instead: $'…' of bash, zsh and POSIX 2024.
    let mut out = String::from("$'");
    for c in word.chars() {
        let mut buffer = [0; 4];
        let shown: &str = c.encode_utf8(&mut buffer);
        match c {
            '\'' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            _ if clean(shown) == shown => out.push(c),
            _ => {
                for byte in shown.bytes() {
                    // Writing to a string cannot fail.
                    let _ = write!(out, "\\{byte:03o}");
                }
            }
        }
    }
    out.push('\'');
    out
}

/// How many columns cleaned text takes in a terminal: wide characters take two, combining ones none.
pub(super) fn width(text: &str) -> usize {
    text.chars()
        .map(|c| match c {
            '\u{300}'..='\u{36f}' | '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}' => 0,
            '\u{1100}'..='\u{115f}'
            | '\u{2e80}'..='\u{a4cf}'
            | '\u{ac00}'..='\u{d7a3}'
            | '\u{f900}'..='\u{faff}'
            | '\u{fe30}'..='\u{fe6f}'
            | '\u{ff00}'..='\u{ff60}'
            | '\u{1f300}'..='\u{1faff}'
            | '\u{20000}'..='\u{3fffd}' => 2,
            _ => 1,
        })
        .sum()
}

/// Cleaned text of at most `columns` columns, with an ellipsis where something was cut off.
pub(super) fn shorten(text: &str, columns: usize) -> String {
    let text = clean(text);
    if width(&text) <= columns {
        return text;
    }
    let mut out = String::new();
    for c in text.chars() {
        out.push(c);
        if width(&out) + 1 > columns {
            out.pop();
            break;
        }
    }
    out.push('…');
    out
}

/// A run's command with its seed, as it is typed to repeat the run.
pub(crate) fn repeat(command: &[String], seed: u64) -> String {
    let mut words = without_folder(command);
    let seeded = |word: &String| word == "--seed" || word.starts_with("--seed=");
    if !words.is_empty() && !words.iter().any(seeded) {
        words.extend(["--seed".to_owned(), seed.to_string()]);
    }
    let repeated = shell(&words);
    match words.first().is_some_and(|word| word == "docker") {
        // The tester ends, and the droplets that it asked for serve on.
        true => format!("{repeated}; docker compose -f docker/compose.yaml down"),
        false => repeated,
    }
}

/// A run's command without its folder, which holds a run already: no run is overwritten.
pub(super) fn without_folder(command: &[String]) -> Vec<String> {
    let mut words = Vec::new();
    let mut given = command.iter();
    while let Some(word) = given.next() {
        if word == "--out" {
            given.next();
        } else if !word.starts_with("--out=") {
            words.push(word.clone());
        }
    }
    words
}

/// Cleaned text broken at blanks into lines of at most `columns` columns; longer words are broken too.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in clean(text).split_whitespace() {
        if !line.is_empty() && width(&line) + 1 + width(word) > columns {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        for c in word.chars() {
            if width(&line) >= columns {
                lines.push(std::mem::take(&mut line));
            }
            line.push(c);
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// A file name's stem made of `text`: lower-case letters, digits and dashes only.
pub(super) fn slug(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars().take(80) {
        if c.is_ascii_alphanumeric() {
            out.push(c.to_ascii_lowercase());
        } else if !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
    }
    out.trim_end_matches('-').to_owned()
}

/// `one` or `several`, with the count before it: `1 trial`, `1,234 trials`.
pub(crate) fn count(number: u64, one: &str, several: &str) -> String {
    let noun = if number == 1 { one } else { several };
    format!("{} {noun}", super::units::integer(number))
}

/// On what a run was made, and by what program if that is known.
pub(super) fn machine(environment: &Environment) -> String {
    let processors = count(environment.cpus as u64, "processor", "processors");
    let commit = environment.commit.as_ref();
    let commit = commit.map_or_else(String::new, |it| format!(", bench of commit {it}"));
    format!(
        "{}, {processors}, kernel {}{commit}",
        environment.cpu_model, environment.kernel
    )
}

/// Names as a sentence lists them: `a, b and c`.
pub(crate) fn list<S: AsRef<str>>(names: &[S]) -> String {
    match names {
        [] => String::new(),
        [only] => only.as_ref().to_owned(),
        [most @ .., last] => {
            let most: Vec<_> = most.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", most.join(", "), last.as_ref())
        }
    }
}
