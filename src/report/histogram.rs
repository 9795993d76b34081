//! A small picture of one phase: how many answers took how long, on a log scale.

use crate::base::Span;
use crate::measure::facts::PhaseFacts;
use crate::score::words::{count, many};

use super::chart::{Scale, Svg, log_ticks};

const WIDTH: f64 = 260.0;
const HEIGHT: f64 = 104.0;
const BASE: f64 = 78.0;
const MOST: usize = 48;

/// Neighbouring buckets put together until there are at most [`MOST`].
pub(super) fn merged(histogram: &[(Span, u64)]) -> Vec<(Span, u64)> {
    let each = histogram.len().div_ceil(MOST).max(1);
    histogram.chunks(each).filter_map(|c| c.last().map(|(upper, _)| (*upper, c.iter().map(|(_, n)| n).sum()))).collect()
}

/// The picture; `None` without samples. `id` must be unique in the document; all pictures that share `range` can be compared.
pub(super) fn histogram(phase: &PhaseFacts, id: &str, name: &str, range: (Span, Span)) -> Option<String> {
    let bars = merged(&phase.histogram);
    let total: u64 = bars.iter().map(|(_, n)| n).sum();
    let most = bars.iter().map(|(_, n)| *n).max().filter(|n| *n > 0)?;
    let p99 = phase.response.map_or_else(String::new, |r| format!(", p50 {}, p99 {}", r.p50.human(), r.p99.human()));
    let mut svg = Svg::new(id, WIDTH, HEIGHT, "histogram", &format!("Response times: {name}"), &format!("{}{p99}", many(total, "sample")));
    let ticks = log_ticks(range.0, range.1);
    let (lo, hi) = (ticks.first().copied().unwrap_or(range.0), ticks.last().copied().unwrap_or(range.1));
    let x = Scale::log(lo.0 as f64, hi.0 as f64, 6.0, WIDTH - 6.0);
    let y = Scale::linear(0.0, most as f64, BASE, 14.0);
    let mut from = lo;
    for (upper, n) in &bars {
        let (a, b) = (x.at(from.0 as f64), x.at(upper.0 as f64));
        if *n > 0 {
            svg.rect("bar", a, y.at(*n as f64).min(BASE - 1.0), (b - a - 0.5).max(1.0), (BASE - y.at(*n as f64)).max(1.0));
        }
        from = *upper;
    }
    svg.line("axis", (6.0, BASE), (WIDTH - 6.0, BASE));
    let mut free = f64::MIN;
    for tick in &ticks {
        let at = x.at(tick.0 as f64);
        let label = tick.human();
        let half = label.chars().count() as f64 * 3.8;
        let centre = at.clamp(half, WIDTH - half);
        svg.line("axis", (at, BASE), (at, BASE + 4.0));
        if centre - half >= free {
            svg.text("tick", centre, BASE + 17.0, "middle", &label);
            free = centre + half + 6.0;
        }
    }
    svg.text("tick", 6.0, 10.0, "start", &format!("tallest {} of {}", count(most), many(total, "sample")));
    Some(svg.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::samples::facts;

    #[test]
    fn merging_keeps_the_count() {
        let many: Vec<(Span, u64)> = (1..=1000).map(|i| (Span::micros(i), i)).collect();
        let few = merged(&many);
        assert!(few.len() <= MOST);
        assert_eq!(few.iter().map(|(_, n)| n).sum::<u64>(), 500_500);
        assert_eq!(few.last().unwrap().0, Span::millis(1));
        assert!(merged(&[]).is_empty());
    }

    #[test]
    fn no_samples_no_picture() {
        let mut phase = facts().probes["checkout"].phases["before"].clone();
        let range = (Span::micros(200), Span::secs(1));
        let drawn = histogram(&phase, "h", "before", range).unwrap();
        assert!(drawn.matches("class=\"bar\"").count() > 10 && drawn.contains("</svg>"));
        phase.histogram.clear();
        assert!(histogram(&phase, "h", "before", range).is_none());
    }
}
