//! The shape of the notation: items between commas, some with items of their own in parentheses.

use super::Refusal;

/// What stands between two commas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item<'a> {
    /// What stands before the parenthesis, the equals sign or the colon; all of it, if there is none.
    pub name: &'a str,
    /// What stands in the parentheses.
    pub inside: Option<&'a str>,
    /// What stands behind the equals sign or the colon.
    pub value: Option<&'a str>,
    /// All of it.
    pub text: &'a str,
}

/// The items of a list.
pub fn items(text: &str) -> Result<Vec<Item<'_>>, Refusal> {
    let mut items = Vec::new();
    let mut depth = 0usize;
    let mut start = 0;
    for (at, character) in text.char_indices() {
        match character {
            '(' | '{' => depth += 1,
            ')' | '}' => depth = depth.checked_sub(1).ok_or_else(|| Refusal::of(text))?,
            ',' if depth == 0 => {
                items.push(item(&text[start..at])?);
                start = at + 1;
            }
            _ => {}
        }
    }
    if depth != 0 {
        return Err(Refusal::of(text));
    }
    if !text[start..].trim().is_empty() {
        items.push(item(&text[start..])?);
    }
    Ok(items)
}

fn item(text: &str) -> Result<Item<'_>, Refusal> {
    let text = text.trim();
    let item = |name, inside, value| Item {
        name,
        inside,
        value,
        text,
    };
    let Some(at) = text.find(['(', '=', ':', '{']) else {
        return Ok(item(text, None, None));
    };
    let (name, rest) = text.split_at(at);
    match rest.as_bytes()[0] {
        b'(' => {
            let inside = rest[1..].strip_suffix(')');
            Ok(item(
                name,
                Some(inside.ok_or_else(|| Refusal::of(text))?),
                None,
            ))
        }
        b'{' => Ok(item("", Some(text), None)),
        _ => Ok(item(name, None, Some(&rest[1..]))),
    }
}

/// What stands in the braces of a row of them.
pub fn braces(text: &str) -> Result<Vec<&str>, Refusal> {
    let mut all = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let inside = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
        let (inside, after) = inside.ok_or_else(|| Refusal::of(text))?;
        all.push(inside);
        rest = after.trim_start();
    }
    Ok(all)
}
