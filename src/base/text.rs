//! Text from strangers, made fit for a line of a journal or a terminal.

/// Whether a character steers a terminal or turns the direction of what is read.
fn steers(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// The text as one line of at most so many characters: whatever steers is a blank, blanks in a row are one, and what is cut off shows.
pub fn one_line(text: &str, most: usize) -> String {
    let blank: String = text.chars().map(|c| if steers(c) { ' ' } else { c }).collect();
    let line = blank.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= most {
        return line;
    }
    let mut cut: String = line.chars().take(most.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_is_left() {
        assert_eq!(one_line(" a\n\tb\x1b[2Jc\u{202e}d ", 40), "a b [2Jc d");
        assert_eq!(one_line("äöü", 3), "äöü");
        assert_eq!(one_line("äöüß", 3), "äö…");
        assert_eq!(one_line("\n\r\x07", 3), "");
    }
}
