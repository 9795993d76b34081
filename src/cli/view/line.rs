//! One line of the terminal: time, word, sentence, bounds. Everything that comes from outside is made harmless here, and what is too long for
//! a terminal is cut by columns, never wrapped.

use anstyle::{AnsiColor, Style as Paint};

use crate::base::{At, Interval, Span};

/// Columns of a sentence before its bounds, so that bounds stand below each other.
const SENTENCE: usize = 48;

/// What a line is for those who skim. The words say the same: colour alone tells nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    /// A fact.
    Plain,
    /// As hoped.
    Good,
    /// Something was done to the system.
    Act,
    /// Not as hoped.
    Bad,
}

impl Mood {
    /// The style of the line's word.
    pub(super) fn paint(self) -> Paint {
        let colour = match self {
            Mood::Plain => return Paint::new().bold(),
            Mood::Good => AnsiColor::Green,
            Mood::Act => AnsiColor::Yellow,
            Mood::Bad => AnsiColor::Red,
        };
        Paint::new().bold().fg_color(Some(colour.into()))
    }
}

/// What happened, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// When.
    pub(super) at: At,
    /// One word: a phase, or who speaks.
    pub(super) word: String,
    /// The sentence.
    pub(super) text: String,
    /// How exactly the time is known, counted from the injection.
    pub(super) bounds: String,
    /// What it is.
    pub(super) mood: Mood,
}

/// How lines are set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    /// On a terminal: cut at its width.
    pub(super) live: bool,
    /// Colour.
    pub(super) colour: bool,
    /// Columns of the terminal.
    pub(super) width: usize,
    /// Columns of the word, with the gap behind it.
    pub(super) word: usize,
}

impl Look {
    /// Columns that may be used. The last one stays free: some terminals wrap as soon as it is written.
    pub(super) fn columns(&self) -> usize {
        if self.live { self.width.saturating_sub(1).max(20) } else { usize::MAX }
    }

    /// The text in a style, or bare.
    pub(super) fn paint(&self, style: Paint, text: &str) -> String {
        if self.colour && !text.is_empty() { format!("{}{text}{}", style.render(), style.render_reset()) } else { text.to_owned() }
    }

    /// An event line.
    pub(super) fn line(&self, line: &Line) -> String {
        let (time, word) = (clock(line.at), pad(&plain(&line.word), self.word));
        let before = 2 + columns_of(&time) + 2 + columns_of(&word);
        let bounds = if line.bounds.is_empty() { String::new() } else { format!("   {}", line.bounds) };
        let room = self.columns().saturating_sub(before + columns_of(&bounds));
        let mut text = cut(&plain(&line.text), room);
        if !bounds.is_empty() {
            // The bounds bring their own gap.
            text.push_str(&" ".repeat(SENTENCE.min(room).saturating_sub(columns_of(&text))));
        }
        let (time, word) = (self.paint(Paint::new().dimmed(), &time), self.paint(line.mood.paint(), &word));
        format!("  {time}  {word}{text}{}", self.paint(Paint::new().dimmed(), &bounds)).trim_end().to_owned()
    }

    /// A row of the head or of the lower lines: a label and a text that is cut.
    pub(super) fn row(&self, label: &str, width: usize, style: Paint, text: &str) -> String {
        let label = pad(&plain(label), width);
        let text = cut(&plain(text), self.columns().saturating_sub(2 + columns_of(&label)));
        format!("  {}{text}", self.paint(style, &label)).trim_end().to_owned()
    }

    /// A row whose text is wrapped on a terminal, further lines below the first.
    pub(super) fn wrapped(&self, label: &str, width: usize, text: &str) -> Vec<String> {
        let room = self.columns().saturating_sub(2 + width).max(20);
        let mut lines = vec![String::new()];
        for word in unbroken(&plain(text)) {
            match lines.last_mut() {
                Some(last) if last.is_empty() => *last = word,
                Some(last) if columns_of(last) + 1 + columns_of(&word) <= room => {
                    last.push(' ');
                    last.push_str(&word);
                }
                _ => lines.push(word),
            }
        }
        let dimmed = Paint::new().dimmed();
        lines.iter().enumerate().map(|(n, line)| self.row(if n == 0 { label } else { "" }, width, dimmed, line)).collect()
    }
}

/// Words; a number is not parted from its unit.
fn unbroken(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let unit = matches!(word.trim_end_matches([';', ',', '.', ')', ':']), "s" | "ms" | "µs" | "min" | "h" | "%");
        match words.last_mut() {
            Some(last) if unit && last.ends_with(|c: char| c.is_ascii_digit()) => {
                last.push(' ');
                last.push_str(word);
            }
            _ => words.push(word.to_owned()),
        }
    }
    words
}

/// Minutes and seconds since the run began; hours where there are any.
pub(super) fn clock(at: At) -> String {
    span_clock(Span(at.0))
}

/// The same for a duration.
pub(super) fn span_clock(span: Span) -> String {
    let s = span.0 / 1_000_000_000;
    if s < 3600 { format!("{:02}:{:02}", s / 60, s % 60) } else { format!("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60) }
}

/// Text from a scenario or a target as it may reach a terminal: what could steer it, or turn its direction, is spelt out.
pub(super) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let steers =
            c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        if steers { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

/// Columns of a character: none for what is put on the one before, two for wide scripts and pictures.
fn columns_of_char(c: char) -> usize {
    match u32::from(c) {
        0x0300..=0x036f | 0x200b..=0x200d | 0x20d0..=0x20ff | 0xfe00..=0xfe0f | 0xfe20..=0xfe2f => 0,
        0x1100..=0x115f | 0x231a..=0x231b | 0x23e9..=0x23ec | 0x2e80..=0x303e | 0x3041..=0x4dbf | 0x4e00..=0xa4cf | 0xa960..=0xa97f => 2,
        0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f | 0xff01..=0xff60 | 0xffe0..=0xffe6 | 0x1f300..=0x1f64f => 2,
        0x1f680..=0x1f6ff | 0x1f900..=0x1faff | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

/// Columns of a text without escape codes.
pub(super) fn columns_of(text: &str) -> usize {
    text.chars().map(columns_of_char).sum()
}

/// The text within so many columns; what is cut off is shown by an ellipsis.
pub(super) fn cut(text: &str, room: usize) -> String {
    if columns_of(text) <= room {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += columns_of_char(c);
        if used > room {
            break;
        }
        out.push(c);
    }
    if room > 0 {
        out.push('…');
    }
    out
}

/// The text filled up with blanks; a gap of two stays behind a longer one.
pub(super) fn pad(text: &str, width: usize) -> String {
    let used = columns_of(text);
    let gap = if used + 2 > width && used != width { 2 } else { width - used };
    format!("{text}{}", " ".repeat(gap))
}

/// An instant that is known within bounds, counted from another: `+2 … +6 ms`. Rounded outwards: an instant is never said more exactly than
/// it is known.
pub(super) fn bounds(when: Interval, origin: At) -> String {
    let lo = signed(when.lo.signed_since(origin), false);
    let Some(hi) = when.hi else { return format!("after {}", join(&lo)) };
    let hi = signed(hi.signed_since(origin), true);
    if lo.1 == "0" && hi.1 != "0" {
        return format!("+0 … {}", join(&hi));
    }
    if lo.1 == hi.1 && lo.2 == hi.2 {
        return if lo.0 == hi.0 { join(&hi) } else { format!("{}{} … {}", lo.0, lo.1, join(&hi)) };
    }
    if lo.2 == hi.2 { format!("{}{} … {}", lo.0, lo.1, join(&hi)) } else { format!("{} … {}", join(&lo), join(&hi)) }
}

/// Sign, number and unit.
type Signed = (&'static str, String, String);

fn join((sign, number, unit): &Signed) -> String {
    format!("{sign}{number}{unit}")
}

fn signed(ns: i64, up: bool) -> Signed {
    let away = up == (ns >= 0);
    let sign = if ns < 0 { "-" } else { "+" };
    let human = outward(Span(ns.unsigned_abs()), away).human();
    match human.split_once(' ') {
        Some((number, unit)) if !unit.contains(' ') => (sign, number.to_owned(), format!(" {unit}")),
        _ => (sign, human, String::new()),
    }
}

/// Three significant digits, away from zero or towards it.
fn outward(span: Span, away: bool) -> Span {
    let mut step = 1u64;
    while span.0 / step >= 1000 {
        step *= 10;
    }
    if span.0 >= 119_500_000_000 {
        step = 1_000_000_000;
    }
    let down = span.0 / step * step;
    Span(if away && down < span.0 { down.saturating_add(step) } else { down })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(live: bool, width: usize) -> Look {
        Look { live, colour: false, width, word: 12 }
    }

    fn a_line(text: &str, bounds: &str) -> Line {
        Line { at: At(90_500_000_000), word: "checkout".into(), text: text.into(), bounds: bounds.into(), mood: Mood::Bad }
    }

    #[test]
    fn bounds_stand_below_each_other_and_survive_a_cut() {
        let short = a_line("failing: connection reset", "+6 … +57 ms");
        let (before, after) = ("  01:30  checkout    failing: connection reset", "   +6 … +57 ms");
        assert_eq!(look(true, 110).line(&short), format!("{before}{}{after}", " ".repeat(SENTENCE - 25)));
        let long = a_line(&"x".repeat(300), "+6 … +57 ms");
        let cut = look(true, 80).line(&long);
        assert!(cut.ends_with("…   +6 … +57 ms") && columns_of(&cut) == 79, "{cut}");
        assert_eq!(columns_of(&look(false, 80).line(&long)), 21 + 300 + 3 + 11, "without a terminal nothing is cut");
    }

    #[test]
    fn wide_and_combining_characters_are_counted() {
        assert_eq!((columns_of("日本"), columns_of("e\u{301}"), columns_of("×▁")), (4, 1, 2));
        assert_eq!(cut("日本語", 5), "日本…");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("日本語", 6), "日本語");
        assert_eq!(cut("abc", 0), "");
        assert_eq!(pad("ab", 5), "ab   ");
        assert_eq!(pad("abcdef", 5), "abcdef  ");
    }

    #[test]
    fn nothing_from_outside_can_steer_the_terminal() {
        let hostile = a_line("\x1b[2Ja\nb\u{202e}c\u{9b}", "");
        let shown = look(false, 80).line(&hostile);
        assert!(shown.chars().all(|c| !c.is_control() && c != '\u{202e}'), "{shown:?}");
        assert!(shown.contains("\\u{1b}[2Ja\\nb\\u{202e}c"), "{shown}");
    }

    #[test]
    fn colour_adds_nothing_but_codes() {
        let line = a_line("failing", "+6 ms");
        let coloured = Look { colour: true, ..look(true, 100) }.line(&line);
        assert!(coloured.contains("\x1b["));
        assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), look(true, 100).line(&line));
    }

    #[test]
    fn bounds_are_said_from_the_injection_and_rounded_outwards() {
        let origin = At(1_000_000_000);
        let of = |lo: i64, hi: i64| {
            let at = |us: i64| At((1_000_000_000 + us * 1_000) as u64);
            bounds(Interval::new(at(lo), at(hi)), origin)
        };
        assert_eq!(of(2_000, 6_000), "+2 … +6 ms");
        assert_eq!(of(7_312_900, 7_415_100), "+7.31 … +7.42 s");
        assert_eq!(of(950_000, 1_050_000), "+950 ms … +1.05 s");
        assert_eq!(of(-22_750, 12_060), "-22.8 … +12.1 ms");
        assert_eq!(of(10, 10), "+10 µs");
        assert_eq!(of(0, 0), "+0 s");
        assert_eq!(of(0, 15_300), "+0 … +15.3 ms");
        assert_eq!(bounds(Interval { lo: At(3_000_000_000), hi: None }, origin), "after +2 s");
        let minutes = Interval::new(At(200_500_000_000), At(260_000_000_001));
        assert_eq!(bounds(minutes, At(0)), "+3 min 20 s … +4 min 21 s");
    }

    #[test]
    fn words_wrap_below_each_other_on_a_terminal_only() {
        let text = "checkout back within 5 s; no write lost";
        assert_eq!(look(true, 38).wrapped("claim", 9, text), ["  claim    checkout back within 5 s;", "           no write lost"]);
        assert_eq!(look(false, 38).wrapped("claim", 9, text).len(), 1);
        // A number stays with its unit.
        assert_eq!(look(true, 36).wrapped("claim", 9, text)[0], "  claim    checkout back within");
    }

    #[test]
    fn hours_are_shown_where_there_are_any() {
        assert_eq!(clock(At(59_999_999_999)), "00:59");
        assert_eq!(span_clock(Span::secs(3_725)), "1:02:05");
    }
}
