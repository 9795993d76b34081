//! How the participant's terminal is set: words wrapped to its width, and nothing that steers it. Pure.

use crate::base::one_line;

/// Narrowest that is set for.
const NARROW: usize = 24;

/// The text in lines of at most so many columns; all but the first begin with so many blanks. A line that is one long word is broken.
pub fn wrap(text: &str, width: usize, indent: usize) -> Vec<String> {
    let width = width.max(NARROW);
    let mut lines = vec![String::new()];
    let mut fresh = true;
    for word in text.split(' ') {
        let mut word: String = word.chars().filter(|c| !c.is_control()).collect();
        while let Some(last) = lines.last_mut() {
            let gap = usize::from(!fresh);
            let room = width.saturating_sub(last.chars().count() + gap);
            let long = word.chars().count();
            if last.chars().count() + gap + long <= width {
                last.push_str(&" ".repeat(gap));
                last.push_str(&word);
                fresh = false;
                break;
            }
            // A blank at the end of a line is none.
            if long == 0 {
                break;
            }
            // Longer than a whole line: what fits goes here.
            if fresh || long > width.saturating_sub(indent.min(width / 2)) {
                last.push_str(&" ".repeat(gap.min(room)));
                last.extend(word.chars().take(room));
                word = word.chars().skip(room).collect();
            }
            lines.push(" ".repeat(indent.min(width / 2)));
            fresh = true;
        }
    }
    lines
}

/// A line that a program wrote; JSON gets places where it can be broken.
pub fn readable(line: &str) -> String {
    let line = one_line(line, 4_000);
    if line.starts_with(['{', '[']) { line.replace(",\"", ", \"").replace("\":", "\": ").replace("},{", "}, {") } else { line }
}

/// Two columns: a word, and what it means.
pub fn row(word: &str, meaning: &str, column: usize, width: usize) -> Vec<String> {
    let padded = format!("{word:column$}");
    if column + 20 > width {
        let mut lines = wrap(&format!("  {word}"), width, 2);
        lines.extend(wrap(&format!("    {meaning}"), width, 4));
        return lines;
    }
    wrap(&format!("  {padded}  {meaning}"), width, column + 4)
}

/// The end of a text that is too long for a line, with a sign that something is missing.
pub fn tail(text: &str, width: usize) -> String {
    let count = text.chars().count();
    if count <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().skip(count - width.saturating_sub(1)).collect();
    format!("…{kept}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_are_wrapped_and_a_long_one_is_broken() {
        assert_eq!(wrap("aaaa bbbb cccc dddd eeee ffff", 24, 2), ["aaaa bbbb cccc dddd eeee", "  ffff"]);
        let long = "x".repeat(60);
        assert_eq!(wrap(&long, 24, 2).concat().replace(' ', ""), long);
        assert_eq!(row("a, ack", "you take the page", 10, 80), ["  a, ack      you take the page"]);
        assert_eq!(row("a, ack", "you take the page", 30, 40), ["  a, ack", "    you take the page"]);
        assert_eq!(tail("abcdef", 4), "…def");
    }

    proptest! {
        #[test]
        fn no_line_is_too_wide_and_nothing_is_lost(text in "[a-zä ]{0,200}", width in 24usize..100, indent in 0usize..20) {
            let lines = wrap(&text, width, indent);
            prop_assert!(lines.iter().all(|line| line.chars().count() <= width), "{:?}", lines);
            let bare = |text: &str| text.replace(' ', "");
            prop_assert_eq!(bare(&lines.concat()), bare(&text));
        }
    }
}
