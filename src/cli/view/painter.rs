//! Draws on a terminal: lines that stay, and below them lines that are drawn again and again. Each frame is one write. Every line ends with a
//! line end, so that what stays can be copied and survives a resize, and a `^C` that the terminal echoes lands where it is overwritten.

use std::fmt::Write as _;
use std::io::Write;

use super::line::columns_of;

/// A terminal, and what was last drawn at its end.
#[derive(Debug)]
pub(in crate::cli) struct Painter<W> {
    out: W,
    columns: usize,
    rows: usize,
    lower: Vec<String>,
}

impl<W: Write> Painter<W> {
    /// Nothing drawn yet.
    pub(in crate::cli) fn new(out: W, columns: usize, rows: usize) -> Painter<W> {
        Painter { out, columns, rows, lower: Vec::new() }
    }

    /// The size of the terminal now.
    pub(in crate::cli) fn resize(&mut self, columns: usize, rows: usize) {
        (self.columns, self.rows) = (columns, rows);
    }

    /// Writes lines that stay, above the others.
    pub(in crate::cli) fn above(&mut self, lines: &[String]) {
        let lower = self.lower.clone();
        self.frame(lines, lower);
    }

    /// Draws the lower lines anew.
    pub(in crate::cli) fn lower(&mut self, mut lines: Vec<String>) {
        // What has scrolled away cannot be drawn over: never more than the terminal holds.
        lines.truncate(self.rows.saturating_sub(1));
        if lines != self.lower {
            self.frame(&[], lines);
        }
    }

    fn frame(&mut self, above: &[String], lower: Vec<String>) {
        // A terminal that became narrower has broken what was drawn into more rows.
        let used: usize = self.lower.iter().map(|line| columns_of(&bare(line)).div_ceil(self.columns.max(1)).max(1)).sum();
        let mut text = String::new();
        if used > 0 {
            let _ = write!(text, "\r\x1b[{used}A");
        }
        for line in above.iter().chain(&lower) {
            let _ = write!(text, "\r{line}\x1b[K\n");
        }
        text.push_str("\r\x1b[J");
        // A terminal that went away is no error of ours: the drill goes on, and the journal has everything.
        let _ = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
        self.lower = lower;
    }
}

fn bare(line: &str) -> String {
    anstream::adapter::strip_str(line).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn written(painter: &mut Painter<Vec<u8>>) -> String {
        String::from_utf8(std::mem::take(&mut painter.out)).unwrap()
    }

    #[test]
    fn what_stays_is_written_above_what_is_drawn_again() {
        let mut painter = Painter::new(Vec::new(), 80, 24);
        painter.lower(lines(&["one", "two"]));
        assert_eq!(written(&mut painter), "\rone\x1b[K\n\rtwo\x1b[K\n\r\x1b[J");
        painter.above(&lines(&["event"]));
        assert_eq!(written(&mut painter), "\r\x1b[2A\revent\x1b[K\n\rone\x1b[K\n\rtwo\x1b[K\n\r\x1b[J");
        painter.lower(Vec::new());
        assert_eq!(written(&mut painter), "\r\x1b[2A\r\x1b[J", "at the end only what stays is left");
    }

    #[test]
    fn the_same_lines_are_not_drawn_twice() {
        let mut painter = Painter::new(Vec::new(), 80, 24);
        painter.lower(lines(&["one"]));
        written(&mut painter);
        painter.lower(lines(&["one"]));
        assert_eq!(written(&mut painter), "");
    }

    #[test]
    fn a_terminal_that_became_narrower_is_cleared_whole() {
        let mut painter = Painter::new(Vec::new(), 80, 24);
        painter.lower(lines(&["\x1b[1mabcdefghijklmnopqrstuvwxyz\x1b[0m", ""]));
        written(&mut painter);
        painter.resize(20, 24);
        painter.lower(lines(&["x"]));
        assert!(written(&mut painter).starts_with("\r\x1b[3A\rx"));
    }

    #[test]
    fn no_more_is_drawn_than_a_terminal_holds() {
        let mut painter = Painter::new(Vec::new(), 80, 3);
        painter.lower(lines(&["1", "2", "3", "4"]));
        assert_eq!(written(&mut painter).matches('\n').count(), 2);
    }
}
