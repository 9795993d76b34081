//! Quantities as people read them. Bounds are rounded outwards, so that what is printed still contains what was measured.

use crate::base::Span;
use crate::measure::facts::Range;

/// A duration within bounds: `7.31 – 7.42 s`; `at most 57 ms` when it may be nothing; `more than 42 s` while it had not ended.
pub fn bounds(lo: Span, hi: Option<Span>) -> String {
    let low = outward(lo, false).human();
    let Some(hi) = hi else { return format!("more than {low}") };
    let high = outward(hi, true).human();
    if lo == Span::ZERO && hi > Span::ZERO {
        return format!("at most {high}");
    }
    if low == high {
        return high;
    }
    match (low.rsplit_once(' '), high.rsplit_once(' ')) {
        (Some((number, a)), Some((_, b))) if a == b && !number.contains(' ') => format!("{number} – {high}"),
        _ => format!("{low} – {high}"),
    }
}

/// A duration that is a lower bound: rounded down, so that it stays one.
pub fn at_least(span: Span) -> String {
    outward(span, false).human()
}

/// Three significant digits, down or up; whole seconds where minutes are shown.
fn outward(span: Span, up: bool) -> Span {
    let mut step = 1_u64;
    while span.0 / step >= 1_000 {
        step *= 10;
    }
    let step = if span.0 >= 119_500_000_000 { 1_000_000_000 } else { step };
    let down = span.0 / step * step;
    Span(if up && down < span.0 { down.saturating_add(step) } else { down })
}

/// A fragment with its first letter raised, as at the start of a sentence.
pub fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}

/// A measured range as people read it.
pub fn range(range: &Range) -> String {
    bounds(range.lo, range.hi)
}

/// A share with as many digits as it takes to tell it from one: `99.2 %`, `99.95 %`.
pub fn percent(fraction: f64) -> String {
    let digits = share_digits(fraction);
    format!("{} %", trimmed(fraction * 100.0, digits))
}

/// A share within bounds, rounded outwards: `99.2 – 99.4 %`.
pub fn percent_bounds(lo: f64, hi: f64) -> String {
    let digits = share_digits(lo).max(if hi < 1.0 { share_digits(hi) } else { 0 });
    let scale = 10_f64.powi(digits as i32);
    // A hair of tolerance: 0.992 × 100 must not fall below 99.2.
    let low = (lo * 100.0 * scale + 1e-6).floor() / scale;
    let high = ((hi * 100.0 * scale - 1e-6).ceil() / scale).min(100.0);
    if low >= high {
        return format!("{} %", trimmed(low, digits));
    }
    format!("{low:.digits$} – {} %", if high >= 100.0 { "100".to_owned() } else { format!("{high:.digits$}") })
}

fn share_digits(fraction: f64) -> usize {
    let missing = (1.0 - fraction) * 100.0;
    match missing {
        m if m >= 0.1 => 1,
        m if m >= 0.01 => 2,
        m if m >= 0.001 => 3,
        m if m > 1e-9 => 4,
        _ => 0,
    }
}

fn trimmed(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A count with its thousands set apart: `9,214`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// A count of things: `1 write`, `9,214 writes`.
pub fn many(n: u64, thing: &str) -> String {
    format!("{} {thing}{}", count(n), if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bounds_share_their_unit_and_are_rounded_outwards() {
        let ms = Span::millis;
        assert_eq!(bounds(ms(7_314), Some(ms(7_416))), "7.31 – 7.42 s");
        assert_eq!(bounds(ms(7_310), Some(ms(7_420))), "7.31 – 7.42 s");
        assert_eq!(bounds(ms(9_996), Some(ms(10_004))), "9.99 – 10.1 s");
        assert_eq!(bounds(Span::ZERO, Some(ms(57))), "at most 57 ms");
        assert_eq!(bounds(Span::secs(42), None), "more than 42 s");
        assert_eq!(bounds(ms(125_400), Some(ms(127_100))), "2 min 5 s – 2 min 8 s");
        assert_eq!(bounds(ms(6), Some(ms(6))), "6 ms");
        assert_eq!(at_least(ms(29_951)), "29.9 s");
        assert_eq!(bounds(Span::micros(999_700), Some(Span::micros(1_000_100))), "999 ms – 1.01 s");
    }

    #[test]
    fn shares_show_what_is_missing() {
        assert_eq!(percent(0.992), "99.2 %");
        assert_eq!(percent(0.9995), "99.95 %");
        assert_eq!(percent(1.0), "100 %");
        assert_eq!(percent(0.0), "0 %");
        assert_eq!(percent_bounds(0.99184, 0.99196), "99.1 – 99.2 %");
        assert_eq!(percent_bounds(0.9992, 1.0), "99.92 – 100 %");
        assert_eq!(percent_bounds(0.992, 0.992), "99.2 %");
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!((count(0), count(999), count(9_214), count(1_234_567)), ("0".into(), "999".into(), "9,214".into(), "1,234,567".into()));
        assert_eq!((many(1, "write"), many(2, "write")), ("1 write".into(), "2 writes".into()));
    }

    proptest! {
        #[test]
        fn printed_bounds_contain_the_measured_ones(lo in 1_000u64..100_000_000_000, width in 1u64..10_000_000_000) {
            let hi = (lo + width).min(119_000_000_000);
            prop_assume!(hi > lo);
            let text = bounds(Span(lo), Some(Span(hi)));
            let unit = text.rsplit_once(' ').unwrap().1;
            let value = |side: &str| {
                let (number, unit) = side.split_once(' ').unwrap_or((side, unit));
                number.parse::<f64>().unwrap() * match unit { "s" => 1e9, "ms" => 1e6, _ => 1e3 }
            };
            let (low, high) = text.split_once(" – ").unwrap_or((&text, &text));
            prop_assert!(value(low) <= lo as f64 + 1.0, "{text}");
            prop_assert!(value(high) >= hi as f64 - 1.0, "{text}");
        }
    }
}
