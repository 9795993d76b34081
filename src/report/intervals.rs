//! Pictures of many runs: each run a bar from the least to the most that its samples allow, against what is claimed. Side by side for runs of the same
//! thing, one after the other for runs over time.

use super::chart::{Scale, Svg, clipped, px};
use super::view::Status;
use crate::base::Span;
use crate::score::words::{bounds, many, percent, percent_bounds};

/// What a bar measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// A duration, in nanoseconds.
    Time,
    /// A share from 0 to 1.
    Share,
}

impl Measure {
    fn one(self, value: f64) -> String {
        match self {
            Measure::Time => span(value).human(),
            Measure::Share => percent(value),
        }
    }

    /// A value with its bounds, in words.
    pub(super) fn between(self, lo: Option<f64>, hi: Option<f64>) -> String {
        match (self, known(lo), known(hi)) {
            (_, None, None) => "not measured".to_owned(),
            (Measure::Time, lo, hi) => bounds(span(lo.unwrap_or(0.0)), hi.map(span)),
            (Measure::Share, lo, hi) => percent_bounds(lo.unwrap_or(0.0), hi.unwrap_or(1.0)),
        }
    }
}

/// What is no number was not measured.
fn known(value: Option<f64>) -> Option<f64> {
    value.filter(|value| value.is_finite())
}

/// The longest time that is told: thirty years, in nanoseconds. A history that says more is damaged.
const LONGEST: f64 = 1e18;

fn span(ns: f64) -> Span {
    Span(if ns.is_finite() && ns > 0.0 { ns.min(LONGEST).round() as u64 } else { 0 })
}

/// One run.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// Its id.
    pub run: String,
    /// When it was, for people: a date.
    pub day: String,
    /// At least; absent when it was not measured.
    pub lo: Option<f64>,
    /// At most; absent when it is open.
    pub hi: Option<f64>,
    /// What was said of it: `passed`, `failed`, `inconclusive`, `invalid`.
    pub verdict: String,
    /// Something was changed before this run.
    pub changed: bool,
}

impl Bar {
    /// What was said of it, with its shape.
    pub(super) fn status(&self) -> Status {
        match self.verdict.as_str() {
            "passed" => Status::Passed,
            "failed" => Status::Failed,
            "inconclusive" => Status::Inconclusive,
            "invalid" => Status::Invalid,
            _ => Status::NotJudged,
        }
    }

    fn class(&self) -> &'static str {
        super::html::class(self.status())
    }
}

/// Many runs of one number.
#[derive(Debug, Clone, PartialEq)]
pub struct Bars {
    /// What is measured, for people.
    pub name: String,
    /// In what.
    pub measure: Measure,
    /// What is claimed.
    pub objective: Option<f64>,
    /// In their order.
    pub runs: Vec<Bar>,
}

/// Most runs that are drawn: the last ones.
pub(super) const MOST: usize = 120;

impl Bars {
    /// The runs that are drawn.
    pub(super) fn drawn(&self) -> &[Bar] {
        &self.runs[self.runs.len().saturating_sub(MOST)..]
    }

    /// Where the scale begins and ends. Times begin at zero, shares where they begin to differ.
    fn ends(&self) -> (f64, f64) {
        let values = self.drawn().iter().flat_map(|bar| [bar.lo, bar.hi]).flatten().chain(self.objective).filter(|value| value.is_finite());
        let (low, top) = values.fold((f64::INFINITY, 0.0_f64), |(low, top), value| (low.min(value), top.max(value)));
        match self.measure {
            Measure::Time => (0.0, if top > 0.0 { top * 1.08 } else { 1e9 }),
            Measure::Share => {
                let low = if low.is_finite() { low.min(1.0) } else { 0.0 };
                ((low - (1.0 - low) * 0.15).max(0.0), 1.0)
            }
        }
    }

    fn about(&self) -> String {
        let count = |word: &str| self.runs.iter().filter(|bar| bar.verdict == word).count();
        let claimed = self.objective.map_or_else(String::new, |objective| format!(" {} is claimed.", self.measure.one(objective)));
        format!(
            "{}, of which {} passed and {} failed.{claimed} The numbers are in the table below the picture.",
            many(self.runs.len() as u64, "run"),
            count("passed"),
            count("failed")
        )
    }

    /// Round values from one end of the scale to the other.
    fn ticks(&self, (low, top): (f64, f64), most: usize) -> Vec<f64> {
        let rough = (top - low) / most.max(1) as f64;
        let decade = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].iter().map(|n| n * decade).find(|step| *step >= rough).unwrap_or(10.0 * decade);
        let first = (low / step).ceil() as i64;
        (first..).map(|n| n as f64 * step).take_while(|value| *value <= top + step * 1e-9).take(50).collect()
    }
}

const LINE: f64 = 20.0;

/// Each run a row: for runs of the same thing, whose order says nothing. `id` must be unique in the document.
pub(super) fn side_by_side(bars: &Bars, id: &str, width: u32) -> String {
    let narrow = width < 600;
    let runs = bars.drawn();
    let (left, right) = (if narrow { 8.0 } else { 250.0 }, f64::from(width) - if narrow { 8.0 } else { 250.0 });
    let line = if narrow { 2.0 * LINE } else { LINE };
    let (top, foot) = (34.0, 26.0);
    let bottom = top + line * runs.len() as f64;
    let class = if narrow { "picture narrow" } else { "picture wide" };
    let mut svg = Svg::new(id, f64::from(width), bottom + foot, class, &format!("{} by run, with bounds", bars.name), &bars.about());
    let ends = bars.ends();
    let x = Scale::linear(ends.0, ends.1, left, right);
    grid(&mut svg, bars, ends, &x, (left, right), (top, bottom), if narrow { 3 } else { 7 });
    for (n, bar) in runs.iter().enumerate() {
        let y = top + line * n as f64 + if narrow { 28.0 } else { LINE / 2.0 };
        if narrow {
            svg.text("run-label", left, y - 11.0, "start", &clipped(&bar.run, 26));
        } else {
            svg.text("run-label", left - 12.0, y + 4.0, "end", &clipped(&bar.run, 32));
        }
        horizontal(&mut svg, bar, &x, (left, right), y);
        let said = format!("{} {}", bar.status().shape(), bars.measure.between(bar.lo, bar.hi));
        svg.text(
            &format!("said {}", bar.class()),
            if narrow { right } else { right + 12.0 },
            if narrow { y - 11.0 } else { y + 4.0 },
            if narrow { "end" } else { "start" },
            &clipped(&said, 34),
        );
    }
    svg.finish()
}

fn grid(svg: &mut Svg, bars: &Bars, ends: (f64, f64), x: &Scale, (left, right): (f64, f64), (top, bottom): (f64, f64), most: usize) {
    for tick in bars.ticks(ends, most) {
        let at = x.at(tick);
        svg.line("grid", (at, top), (at, bottom));
        let label = bars.measure.one(tick);
        let half = label.chars().count() as f64 * 3.8;
        svg.text("tick", at.clamp(left + half - 6.0, right - half + 6.0), bottom + 17.0, "middle", &label);
    }
    if let Some(objective) = bars.objective {
        let at = x.at(objective);
        svg.line("objective", (at, top - 6.0), (at, bottom));
        let label = format!("claimed {}", bars.measure.one(objective));
        let half = label.chars().count() as f64 * 3.8;
        svg.text("objective-label", at.clamp(left + half, right - half), top - 13.0, "middle", &label);
    }
}

fn horizontal(svg: &mut Svg, bar: &Bar, x: &Scale, (left, right): (f64, f64), y: f64) {
    let Some(lo) = known(bar.lo) else {
        svg.line("unmeasured", (left, y), (right, y));
        return;
    };
    let (from, to) = (x.at(lo), known(bar.hi).map_or(right, |hi| x.at(hi)));
    svg.rect(&format!("bound {}", bar.class()), from, y - 4.0, (to - from).max(2.5), 8.0);
    if known(bar.hi).is_none() {
        svg.path(
            &format!("open-end {}", bar.class()),
            &format!("M{} {}L{} {}L{} {}", px(to - 6.0), px(y - 7.0), px(to), px(y), px(to - 6.0), px(y + 7.0)),
        );
    }
}

/// Runs in their order, from left to right: for a trend. `id` must be unique in the document.
pub(super) fn over_time(bars: &Bars, id: &str, width: u32) -> String {
    let narrow = width < 600;
    let runs = bars.drawn();
    let (left, right) = (if narrow { 58.0 } else { 72.0 }, f64::from(width) - 12.0);
    let (top, bottom) = (30.0, if narrow { 210.0 } else { 270.0 });
    let class = if narrow { "picture narrow" } else { "picture wide" };
    let mut svg = Svg::new(id, f64::from(width), bottom + 46.0, class, &format!("{} over runs, with bounds", bars.name), &bars.about());
    let ends = bars.ends();
    let y = Scale::linear(ends.0, ends.1, bottom, top);
    for tick in bars.ticks(ends, 5) {
        svg.line("grid", (left, y.at(tick)), (right, y.at(tick)));
        svg.text("tick", left - 8.0, y.at(tick) + 4.0, "end", &bars.measure.one(tick));
    }
    let step = (right - left) / runs.len().max(1) as f64;
    let at = |n: usize| left + step * (n as f64 + 0.5);
    for (n, _) in runs.iter().enumerate().filter(|(_, bar)| bar.changed) {
        svg.line("changed", (at(n) - step / 2.0, top - 8.0), (at(n) - step / 2.0, bottom));
    }
    if let Some(objective) = bars.objective {
        svg.line("objective", (left, y.at(objective)), (right, y.at(objective)));
        // Beside the picture: on the line it would lie on bars.
        svg.text("objective-label", right, 14.0, "end", &format!("dashed: {} is claimed", bars.measure.one(objective)));
    }
    let wide = (step * 0.5).clamp(2.0, 10.0);
    for (n, bar) in runs.iter().enumerate() {
        vertical(&mut svg, bar, at(n), wide, &y, (top, bottom));
    }
    svg.line("axis", (left, bottom), (right, bottom));
    let mut free = f64::MIN;
    for (n, bar) in runs.iter().enumerate() {
        let half = bar.day.chars().count() as f64 * 3.8;
        let middle = at(n).clamp(left + half - 40.0, right - half);
        let again = n > 0 && runs[n - 1].day == bar.day;
        if !again && middle - half >= free {
            svg.line("axis", (at(n), bottom), (at(n), bottom + 5.0));
            svg.text("tick", middle, bottom + 19.0, "middle", &bar.day);
            free = middle + half + 12.0;
        }
    }
    let how = if narrow { "runs in their order" } else { "runs in their order, each from at least to at most" };
    svg.text("tick", right, bottom + 38.0, "end", how);
    svg.finish()
}

fn vertical(svg: &mut Svg, bar: &Bar, x: f64, wide: f64, y: &Scale, (top, bottom): (f64, f64)) {
    let Some(lo) = known(bar.lo) else {
        svg.line("unmeasured", (x, top), (x, bottom));
        return;
    };
    let (from, to) = (y.at(lo), known(bar.hi).map_or(top, |hi| y.at(hi)));
    svg.rect(&format!("bound {}", bar.class()), x - wide / 2.0, to.min(from - 2.5), wide, (from - to).max(2.5));
    if known(bar.hi).is_none() {
        svg.path(
            &format!("open-end {}", bar.class()),
            &format!("M{} {}L{} {}L{} {}", px(x - 5.0), px(top + 6.0), px(x), px(top), px(x + 5.0), px(top + 6.0)),
        );
    }
    // Told without colour as well: a cross for what failed, a ring for what is open; below the bar, where there is room.
    let (middle, r) = (if from + 12.0 < bottom { from + 8.0 } else { (to - 8.0).max(top) }, 3.2);
    let class = format!("verdict-mark {}", bar.class());
    match bar.status() {
        Status::Failed => {
            let (a, b, c, d) = (px(x - r), px(x + r), px(middle - r), px(middle + r));
            svg.path(&class, &format!("M{a} {c}L{b} {d}M{a} {d}L{b} {c}"));
        }
        Status::Passed => {}
        _ => svg.path(&class, &format!("M{} {}a{r} {r} 0 1 0 {} 0a{r} {r} 0 1 0 -{} 0Z", px(x - r), px(middle), 2.0 * r, 2.0 * r)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(n: usize, lo: Option<f64>, hi: Option<f64>, verdict: &str) -> Bar {
        Bar { run: format!("01RUN{n:04}"), day: format!("2026-01-{:02}", n % 28 + 1), lo, hi, verdict: verdict.into(), changed: n == 3 }
    }

    fn bars(runs: Vec<Bar>) -> Bars {
        Bars { name: "back.rto".into(), measure: Measure::Time, objective: Some(5e9), runs }
    }

    #[test]
    fn what_is_open_is_drawn_open_and_what_is_not_measured_is_no_bar() {
        let all = bars(vec![bar(0, Some(1e9), Some(2e9), "passed"), bar(1, Some(4e9), None, "failed"), bar(2, None, None, "invalid")]);
        for svg in [side_by_side(&all, "a", 1120), over_time(&all, "a", 1120), side_by_side(&all, "a", 390), over_time(&all, "a", 390)] {
            assert_eq!(svg.matches("class=\"bound").count(), 2, "{svg}");
            assert_eq!(svg.matches("class=\"open-end bad\"").count(), 1);
            assert_eq!(svg.matches("class=\"unmeasured\"").count(), 1);
            assert!(
                (svg.contains("claimed 5 s") || svg.contains("5 s is claimed")) && svg.contains("<desc") && svg.contains("role=\"img\"")
            );
        }
        assert!(side_by_side(&all, "a", 1120).contains("more than 4 s"));
    }

    #[test]
    fn thousands_of_runs_make_no_larger_picture() {
        let all = bars((0..5_000).map(|n| bar(n, Some(1e9 + n as f64), Some(2e9), "passed")).collect());
        for svg in [side_by_side(&all, "a", 1120), over_time(&all, "a", 1120)] {
            assert_eq!(svg.matches("class=\"bound").count(), MOST);
            assert!(svg.len() < 60_000, "{}", svg.len());
        }
    }

    #[test]
    fn odd_numbers_make_no_odd_picture() {
        for (lo, hi) in [(0.0, 0.0), (f64::INFINITY, f64::NAN), (-1.0, 1e300), (1e-300, 1e-300)] {
            for measure in [Measure::Time, Measure::Share] {
                let all = Bars { measure, objective: None, ..bars(vec![bar(0, Some(lo), Some(hi), "passed")]) };
                for svg in [side_by_side(&all, "a", 390), over_time(&all, "a", 1120)] {
                    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{lo} {hi}: {svg}");
                }
            }
        }
        assert!(side_by_side(&bars(Vec::new()), "a", 390).contains("</svg>"));
    }
}
