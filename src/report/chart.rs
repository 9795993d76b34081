//! A small SVG layer: scales, ticks, paths and escaped text. It knows nothing of drills.

use std::fmt::Write as _;

use crate::base::Span;

use super::view::plain;

/// Maps values to pixels along one axis.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    from: f64,
    to: f64,
    start: f64,
    end: f64,
    log: bool,
}

impl Scale {
    /// Even steps: `from` lies at `start`, `to` at `end`.
    pub(super) fn linear(from: f64, to: f64, start: f64, end: f64) -> Scale {
        Scale { from, to: if to > from { to } else { from + 1.0 }, start, end, log: false }
    }

    /// Even ratios; both ends must be above zero, else they are lifted to one.
    pub(super) fn log(from: f64, to: f64, start: f64, end: f64) -> Scale {
        let from = if from > 0.0 { from } else { 1.0 };
        Scale { from: from.ln(), to: if to > from { to.ln() } else { from.ln() + 1.0 }, start, end, log: true }
    }

    /// The pixel of a value, kept within the axis.
    pub(super) fn at(self, value: f64) -> f64 {
        let value = if self.log { value.max(f64::MIN_POSITIVE).ln() } else { value };
        let share = ((value - self.from) / (self.to - self.from)).clamp(0.0, 1.0);
        self.start + share * (self.end - self.start)
    }
}

/// Steps between ticks of a time axis, in seconds.
const STEPS: [f64; 19] =
    [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 14400.0, 43200.0];

/// At most `most` round instants from zero to `end`, in seconds.
pub(super) fn time_ticks(end: f64, most: usize) -> Vec<f64> {
    let most = most.max(2) as f64;
    let step = STEPS.iter().copied().find(|s| end / s <= most - 1.0).unwrap_or_else(|| (end / (most - 1.0) / 86_400.0).ceil() * 86_400.0);
    let n = (end / step).floor() as usize;
    (0..=n).map(|i| i as f64 * step).collect()
}

/// The round durations (1, 2, 5 × 10ⁿ ns) from just below `lo` to just above `hi`; only decades where those would be many.
pub(super) fn log_ticks(lo: Span, hi: Span) -> Vec<Span> {
    let (lo, hi) = (lo.0.max(1), hi.0.max(lo.0.max(1) + 1));
    let mut all = Vec::new();
    let mut decade = 1_u64;
    while decade <= u64::MAX / 100 {
        all.extend([decade, decade * 2, decade * 5]);
        decade *= 10;
    }
    let first = all.iter().rposition(|t| *t <= lo).unwrap_or(0);
    let last = all.iter().position(|t| *t >= hi).unwrap_or(all.len() - 1);
    let span = &all[first..=last.max(first)];
    let (Some(bottom), Some(top)) = (span.first(), span.last()) else { return Vec::new() };
    let decades = |t: &u64| t.to_string().trim_end_matches('0') == "1";
    let keep = |t: &&u64| span.len() <= 7 || decades(t) || *t == bottom || *t == top;
    span.iter().filter(keep).map(|t| Span(*t)).collect()
}

/// One SVG picture, written from back to front.
pub(super) struct Svg {
    out: String,
}

impl Svg {
    /// A picture of a size in pixels, with a name and a description for those who cannot see it. `id` must be unique in the document.
    pub(super) fn new(id: &str, width: f64, height: f64, class: &str, title: &str, about: &str) -> Svg {
        let mut out = String::new();
        let _ = write!(
            out,
            "<svg class=\"{class}\" viewBox=\"0 0 {} {}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\"><title id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc>",
            px(width),
            px(height),
            escape(title),
            escape(about)
        );
        Svg { out }
    }

    /// A hatching that rectangles of a class can be filled with.
    pub(super) fn hatch(&mut self, id: &str) {
        let _ = write!(
            self.out,
            "<defs><pattern id=\"{id}\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\"><line class=\"hatch\" x1=\"0\" y1=\"0\" x2=\"0\" y2=\"6\"/></pattern></defs>"
        );
    }

    /// A rectangle; nothing when it has no size.
    pub(super) fn rect(&mut self, class: &str, x: f64, y: f64, width: f64, height: f64) {
        if width > 0.0 && height > 0.0 {
            let _ = write!(
                self.out,
                "<rect class=\"{class}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>",
                px(x),
                px(y),
                px(width),
                px(height)
            );
        }
    }

    /// A rectangle filled with a hatching made by [`Svg::hatch`].
    pub(super) fn hatched(&mut self, pattern: &str, x: f64, y: f64, width: f64, height: f64) {
        let _ = write!(
            self.out,
            "<rect fill=\"url(#{pattern})\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>",
            px(x),
            px(y),
            px(width),
            px(height)
        );
    }

    /// A straight line.
    pub(super) fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let _ = write!(
            self.out,
            "<line class=\"{class}\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/>",
            px(from.0),
            px(from.1),
            px(to.0),
            px(to.1)
        );
    }

    /// A path in SVG's own notation.
    pub(super) fn path(&mut self, class: &str, d: &str) {
        if !d.is_empty() {
            let _ = write!(self.out, "<path class=\"{class}\" d=\"{d}\"/>");
        }
    }

    /// Text at a point; `anchor` is `start`, `middle` or `end`.
    pub(super) fn text(&mut self, class: &str, x: f64, y: f64, anchor: &str, text: &str) {
        let _ =
            write!(self.out, "<text class=\"{class}\" x=\"{}\" y=\"{}\" text-anchor=\"{anchor}\">{}</text>", px(x), px(y), escape(text));
    }

    /// The finished picture.
    pub(super) fn finish(mut self) -> String {
        self.out.push_str("</svg>");
        self.out
    }
}

/// A line through points; `None` interrupts it. A point that stands alone becomes a short stroke, so that it is seen.
pub(super) fn polyline(points: &[Option<(f64, f64)>]) -> String {
    let mut d = String::new();
    let mut open = false;
    for (i, point) in points.iter().enumerate() {
        let Some((x, y)) = point else {
            open = false;
            continue;
        };
        let _ = write!(d, "{}{} {}", if open { "L" } else { "M" }, px(*x), px(*y));
        let alone = !open && !matches!(points.get(i + 1), Some(Some(_)));
        if alone {
            d.push_str("h1.5");
        }
        open = true;
    }
    d
}

/// A coordinate with at most one decimal.
pub(super) fn px(value: f64) -> String {
    let text = format!("{value:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// Text as SVG can hold it: no markup, no characters that XML forbids or that turn the reading direction.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in plain(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// Text cut to a number of characters, with an ellipsis where something is missing.
pub(super) fn clipped(text: &str, most: usize) -> String {
    if text.chars().count() <= most { text.to_owned() } else { text.chars().take(most.saturating_sub(1)).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_map_ends_to_ends_and_keep_within() {
        let s = Scale::linear(0.0, 10.0, 100.0, 200.0);
        assert_eq!((s.at(0.0), s.at(5.0), s.at(10.0), s.at(99.0)), (100.0, 150.0, 200.0, 200.0));
        let s = Scale::log(1.0, 100.0, 200.0, 0.0);
        assert!((s.at(10.0) - 100.0).abs() < 1e-9, "one decade of two");
        assert_eq!(s.at(0.0), 200.0, "zero lies at the bottom");
        assert!(Scale::log(0.0, 0.0, 0.0, 1.0).at(5.0).is_finite());
        assert!(Scale::linear(3.0, 3.0, 0.0, 1.0).at(3.0).is_finite());
    }

    #[test]
    fn time_ticks_are_round_and_few() {
        assert_eq!(time_ticks(120.0, 8), [0.0, 30.0, 60.0, 90.0, 120.0]);
        assert_eq!(time_ticks(0.0, 8), [0.0]);
        for end in [0.3, 7.0, 59.0, 901.0, 86_400.0, 1e7] {
            let ticks = time_ticks(end, 6);
            assert!(ticks.len() <= 6 && ticks.iter().all(|t| *t <= end), "{end}: {ticks:?}");
        }
    }

    #[test]
    fn log_ticks_enclose_the_values() {
        let ticks = log_ticks(Span::micros(310), Span::millis(801));
        assert_eq!(ticks.first(), Some(&Span::micros(200)));
        assert_eq!(ticks.last(), Some(&Span::secs(1)));
        assert!(ticks.len() <= 8, "{ticks:?}");
        assert!(log_ticks(Span(0), Span(0)).len() >= 2);
        assert!(!log_ticks(Span(1), Span(u64::MAX)).is_empty());
    }

    #[test]
    fn a_gap_interrupts_a_line() {
        assert_eq!(polyline(&[Some((0.0, 1.0)), Some((1.0, 2.5)), None, Some((3.0, 4.0))]), "M0 1L1 2.5M3 4h1.5");
        assert_eq!(polyline(&[None]), "");
    }

    #[test]
    fn text_cannot_leave_its_element() {
        let mut svg = Svg::new("x", 10.0, 10.0, "c", "</title><script>", "\"d\u{0}");
        svg.text("t", 0.0, 0.0, "start", "<b>&");
        let out = svg.finish();
        assert!(!out.contains("<script") && !out.contains("<b>") && !out.contains('\u{0}'), "{out}");
        assert_eq!(clipped("abcdef", 4), "abc…");
    }
}
