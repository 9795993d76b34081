//! How measured values are said: always with their bounds, rounded outwards.

use crate::base::{At, Interval, Span};

use super::facts::Range;

/// A duration within bounds: `7.31 – 7.42 s`, `at most 60 ms`, `more than 12 s`.
pub(super) fn bounds(lo: Span, hi: Option<Span>) -> String {
    let Some(hi) = hi else { return format!("more than {}", round(lo, false).human()) };
    let (low, high) = (round(lo, false).human(), round(hi, true).human());
    if lo == Span::ZERO {
        return if hi == Span::ZERO { high } else { format!("at most {high}") };
    }
    if low == high {
        return high;
    }
    match (low.rsplit_once(' '), high.rsplit_once(' ')) {
        (Some((number, a)), Some((_, b))) if a == b && !number.contains(' ') => format!("{number} – {high}"),
        _ => format!("{low} – {high}"),
    }
}

/// A measured range in words.
pub(super) fn range(range: &Range) -> String {
    bounds(range.lo, range.hi)
}

/// Three significant digits, down or up.
fn round(span: Span, up: bool) -> Span {
    let mut step = 1u64;
    while span.0 / step >= 1000 {
        step *= 10;
    }
    if span.0 >= 119_500_000_000 {
        step = 1_000_000_000;
    }
    let down = span.0 / step * step;
    Span(if up && down < span.0 { down.saturating_add(step) } else { down })
}

/// From an instant to an instant, both within bounds.
pub(super) fn between(from: Interval, to: Interval, point: Option<Span>) -> Range {
    let lo = from.hi.map_or(Span::ZERO, |hi| to.lo.since(hi));
    let hi = to.hi.map(|hi| hi.since(from.lo));
    Range { lo, hi, point: point.map(|p| hi.map_or(p, |hi| p.min(hi)).max(lo)) }
}

/// The instant as time since another, for people.
pub(super) fn after(at: At, origin: At) -> String {
    at.since(origin).human()
}

/// `1 sample`, `2 samples`, `1,043 samples`.
pub(super) fn count(n: u64, one: &str) -> String {
    format!("{} {one}{}", grouped(n), if n == 1 { "" } else { "s" })
}

/// A whole number with its thousands apart.
pub(super) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Names joined for people: `a`, `a and b`, `a, b and c`.
pub(super) fn list<S: AsRef<str>>(names: &[S]) -> String {
    match names {
        [] => "nobody".into(),
        [one] => one.as_ref().to_owned(),
        [most @ .., last] => {
            let most: Vec<&str> = most.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", most.join(", "), last.as_ref())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_said_once_and_rounded_outwards() {
        let us = Span::micros;
        assert_eq!(bounds(us(7_312_900), Some(us(7_415_100))), "7.31 – 7.42 s");
        assert_eq!(bounds(us(950_000), Some(us(1_050_000))), "950 ms – 1.05 s");
        assert_eq!(bounds(Span::ZERO, Some(us(61_200))), "at most 61.2 ms");
        assert_eq!(bounds(us(12_345_000), None), "more than 12.3 s");
        assert_eq!(bounds(Span::secs(10), Some(Span::secs(10))), "10 s");
        assert_eq!(bounds(Span::secs(3601), Some(Span::secs(3700))), "1 h – 1 h 1 min");
    }

    #[test]
    fn numbers_and_lists_read_well() {
        assert_eq!(count(1, "sample"), "1 sample");
        assert_eq!(count(1_043, "write"), "1,043 writes");
        assert_eq!(list(&["a", "b", "c"]), "a, b and c");
    }

    #[test]
    fn durations_between_bounded_instants_add_their_widths() {
        let from = Interval::new(At(10), At(12));
        assert_eq!(
            between(from, Interval::new(At(20), At(25)), Some(Span(11))),
            Range { lo: Span(8), hi: Some(Span(15)), point: Some(Span(11)) }
        );
        assert_eq!(between(from, Interval { lo: At(11), hi: None }, None), Range { lo: Span::ZERO, hi: None, point: None });
    }
}
