//! What the YAML scanner complains of, in words that say what to do.

use serde_saphyr::granit_parser::ErrorKind;

use super::node::Place;
use super::parse::{Slip, too_deep};

/// A syntax error at byte `at`; `open` is the bracket that is still open there.
pub fn explain(kind: &ErrorKind, at: usize, text: &str, open: Option<Place>) -> Slip {
    let here = at..text[at..].chars().next().map_or(at, |c| at + c.len_utf8());
    let slip = match kind {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabInPlainScalar
        | ErrorKind::TabAtBlockScalarStart => {
            let tab = indenting_tab(text, at).unwrap_or(at);
            Slip::at(tab..tab + 1, "a tab cannot indent YAML", "a tab").help("indent with spaces")
        }
        ErrorKind::UnexpectedCharacter { character } if character.is_control() => {
            Slip::at(here, format!("a control character (U+{:04X}) cannot stand in YAML", *character as u32), "here")
        }
        ErrorKind::UnexpectedCharacter { character: '\t' } => {
            Slip::at(here, "a tab cannot indent YAML", "a tab").help("indent with spaces")
        }
        ErrorKind::UnexpectedCharacter { character } => {
            Slip::at(here, format!("text cannot begin with `{character}`"), "here").help("put the text in quotes")
        }
        ErrorKind::UnknownAnchor => {
            let name: String =
                text[at..].trim_start_matches('*').chars().take_while(|c| !c.is_whitespace() && !",]}".contains(*c)).collect();
            Slip::at(at..at + 1 + name.len(), format!("no anchor is called `{name}`"), "unknown anchor")
                .help(format!("text that begins with `*` needs quotes; an anchor is set with `&{name}` before it is used"))
        }
        ErrorKind::ExpectedBlockMappingKey | ErrorKind::InvalidIndentation | ErrorKind::ExpectedBlockSequenceEntry => {
            Slip::at(here, "the indentation does not fit", "begins in a column where nothing else does")
                .help("keys of one mapping, and items of one list, begin in one column")
        }
        ErrorKind::ExpectedFlowMappingSeparator
        | ErrorKind::ExpectedFlowSequenceSeparator
        | ErrorKind::UnexpectedEofFlowMapping
        | ErrorKind::UnexpectedEofFlowSequence => Slip::at(here, "a `,` or a closing bracket is missing", "something else stands here"),
        ErrorKind::UnclosedQuotedScalar if text[at..].starts_with(['"', '\'']) => {
            return Slip::at(here, "a quoted text has no end", "the quotes begin here");
        }
        ErrorKind::UnclosedQuotedScalar | ErrorKind::InvalidQuotedScalarIndent | ErrorKind::DocumentIndicatorInQuotedScalar => {
            let quote = last_quote(text, at);
            let slip = Slip::at(here, "a quoted text has no end", "still inside the quotes");
            quote.map_or_else(|| slip.clone(), |q| slip.clone().also(q..q + 1, "the quotes begin here"))
        }
        ErrorKind::UnclosedFlowCollection { open } => {
            Slip::at(here, format!("`{open}` is never closed"), format!("this `{open}` has no partner"))
        }
        ErrorKind::MappingValueNotAllowed | ErrorKind::InvalidColonPlacement => {
            Slip::at(here, "a `:` cannot stand here", "begins a value where none can be").help("put text that contains `: ` in quotes")
        }
        ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => {
            Slip::at(here, "a key and its `:` must stand on one line", "no `:` follows")
                .help("write `key: value`; a long text needs quotes, `|` or `>`")
        }
        ErrorKind::RecursionLimitExceeded => return Slip::at(here, too_deep(), "one level too many"),
        other => Slip::at(here, format!("this is not YAML: {other}"), "here"),
    };
    if open.is_some() && unquoted_var(text, at) {
        let start = text[..at].rfind("${").unwrap_or(at);
        return Slip::at(start..start + 2, "`${` needs quotes inside `[ ]` and `{ }`", "begins a mapping here, for YAML")
            .help("write `\"${name}\"`");
    }
    match open {
        Some(bracket) if slip.also.is_empty() && slip.place.as_ref() != Some(&bracket) => {
            let character = text.get(bracket.clone()).unwrap_or("[").to_owned();
            slip.also(bracket, format!("this `{character}` is still open"))
        }
        _ => slip,
    }
}

/// The first tab at or after `at` that stands before anything else on its line, or else any tab there.
fn indenting_tab(text: &str, at: usize) -> Option<usize> {
    let mut start = text[..at].rfind('\n').map_or(0, |n| n + 1);
    for line in text[start..].split_inclusive('\n') {
        let blank = line.len() - line.trim_start_matches([' ', '\t']).len();
        if let Some(tab) = line[..blank].find('\t') {
            return Some(start + tab);
        }
        start += line.len();
    }
    text[at..].find('\t').map(|n| at + n)
}

/// Whether the scanner stumbled over a template without quotes: `${` stands on this line shortly before.
fn unquoted_var(text: &str, at: usize) -> bool {
    let line = text[..at].rfind('\n').map_or(0, |n| n + 1);
    let near = text.get(at..at + 1).map_or(at, |c| if c == "{" { at + 1 } else { at });
    text[line..near].rfind("${").is_some_and(|n| !text[line + n..near].contains(['"', '\'']) && !text[line + n..at].contains(','))
}

/// The last quote that could have opened before `at`.
fn last_quote(text: &str, at: usize) -> Option<usize> {
    let before = &text[..at];
    before
        .char_indices()
        .rev()
        .find(|(n, c)| matches!(c, '"' | '\'') && before[..*n].ends_with([' ', '[', '{', ',', '\n', '-']))
        .map(|(n, _)| n)
}

#[cfg(test)]
mod tests {
    use super::super::parse::parse;

    fn slip(text: &str) -> (String, String) {
        let (root, slips) = parse(text);
        assert!(root.is_none(), "{text}");
        let place = slips[0].place.clone().unwrap();
        (slips[0].title.clone(), text[place].to_owned())
    }

    #[test]
    fn the_place_is_where_the_mistake_is() {
        for (text, title, at) in [
            ("a: 1\n\tb: 2\n", "a tab cannot indent YAML", "\t"),
            ("a: @x\n", "text cannot begin with `@`", "@"),
            ("a: *nope\n", "no anchor is called `nope`", "*nope"),
            ("a:\n  b: 1\n c: 2\n", "the indentation does not fit", "c"),
            ("a: \"x\nb: 1\n", "a quoted text has no end", "b"),
            ("a: x: y\n", "a `:` cannot stand here", ":"),
            ("a: \u{1b}[0m\n", "a control character (U+001B) cannot stand in YAML", "\u{1b}"),
        ] {
            assert_eq!(slip(text), (title.to_owned(), at.to_owned()), "{text:?}");
        }
    }

    #[test]
    fn an_open_bracket_is_shown() {
        let (_, slips) = parse("a: [1, 2\nb: 3\n");
        assert_eq!(slips[0].also, [(3..4, "this `[` is still open".to_owned())]);
    }
}
