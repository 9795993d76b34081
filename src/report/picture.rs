//! The one large picture: response times over time on a log scale, failures, outage edges with their bounds, who answered, and a lane
//! for each fault. The number of points is bounded, however long the run.

use crate::base::{At, Interval, Span};
use crate::measure::facts::{Episode, Outage, ProbeFacts, Second};
use crate::score::words::bounds;

use super::Report;
use super::chart::{Scale, Svg, clipped, log_ticks, polyline, time_ticks};
use super::view::clock;

/// Most probes and faults that are drawn; tables hold the others.
pub(super) const MOST_PANELS: usize = 6;
const MOST_LANES: usize = 10;
const MOST_OUTAGES: usize = 200;

/// What was put into one point of the picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bucket {
    pub(super) at: At,
    pub(super) length: Span,
    pub(super) ok: u64,
    pub(super) bad: u64,
    pub(super) other: u64,
    /// Median of the seconds' medians; only of seconds with a good answer.
    pub(super) p50: Option<Span>,
    /// The worst second's p99; only of seconds with a good answer.
    pub(super) p99: Option<Span>,
    /// The slowest answer of a second with failures.
    pub(super) worst_bad: Option<Span>,
    pub(super) tainted: bool,
}

/// Seconds in at most `most` points.
pub(super) fn buckets(seconds: &[Second], most: usize) -> Vec<Bucket> {
    let each = seconds.len().div_ceil(most.max(1)).max(1);
    seconds
        .chunks(each)
        .map(|chunk| {
            let mut medians: Vec<Span> = chunk.iter().filter(|s| s.ok > 0).filter_map(|s| s.p50).collect();
            medians.sort_unstable();
            Bucket {
                at: chunk.first().map_or(At(0), |s| s.at),
                length: Span::secs(each as u64),
                ok: chunk.iter().map(|s| u64::from(s.ok)).sum(),
                bad: chunk.iter().map(|s| u64::from(s.bad)).sum(),
                other: chunk.iter().map(|s| u64::from(s.other)).sum(),
                p50: medians.get(medians.len() / 2).copied(),
                p99: chunk.iter().filter(|s| s.ok > 0).filter_map(|s| s.p99).max(),
                worst_bad: chunk.iter().filter(|s| s.bad > 0).filter_map(|s| s.max).max(),
                tainted: chunk.iter().any(|s| s.tainted),
            }
        })
        .collect()
}

/// The probes that are drawn: those of users, not those of control paths.
pub(super) fn drawn<'a>(report: &Report<'a>) -> Vec<(&'a String, &'a ProbeFacts)> {
    report.facts.probes.iter().filter(|(_, p)| !p.control && !p.seconds.is_empty()).take(MOST_PANELS).collect()
}

/// Where things lie.
struct Frame {
    width: f64,
    left: f64,
    right: f64,
    x: Scale,
    plot: f64,
    narrow: bool,
}

const HEAD: f64 = 24.0;
const EDGES: f64 = 24.0;
const STRIP: f64 = 34.0;
const SERVED: f64 = 22.0;
const LANE: f64 = 34.0;
const AXIS: f64 = 46.0;

/// The picture for a width in pixels; `None` when nothing was watched. `id` must be unique in the document.
pub(super) fn picture(report: &Report<'_>, id: &str, width: u32) -> Option<String> {
    let probes = drawn(report);
    if probes.is_empty() {
        return None;
    }
    let narrow = width < 600;
    let frame = Frame {
        width: f64::from(width),
        left: 56.0,
        right: f64::from(width) - 14.0,
        x: Scale::linear(0.0, report.facts.run.end.0.max(1) as f64, 56.0, f64::from(width) - 14.0),
        plot: match (probes.len(), narrow) {
            (1, false) => 270.0,
            (2, false) => 190.0,
            (_, false) => 140.0,
            (1, true) => 190.0,
            (_, true) => 120.0,
        },
        narrow,
    };
    let faults: Vec<_> = report.facts.episodes.iter().take(MOST_LANES).collect();
    let panel = |p: &ProbeFacts| HEAD + EDGES + frame.plot + STRIP + if p.served_by.is_empty() { 0.0 } else { SERVED } + 14.0;
    let panels: f64 = probes.iter().map(|(_, p)| panel(p)).sum();
    let height = panels + LANE * faults.len() as f64 + AXIS;
    let mut svg =
        Svg::new(id, frame.width, height, if narrow { "picture narrow" } else { "picture wide" }, &title(&probes), &about(report, &probes));
    let hatch = format!("{id}-hatch");
    svg.hatch(&hatch);
    let mut top = 0.0;
    for (name, probe) in &probes {
        draw_panel(&mut svg, &frame, report, name, probe, top, &hatch);
        top += panel(probe);
    }
    for (name, episode) in &faults {
        draw_lane(&mut svg, &frame, report, name, episode, top);
        top += LANE;
    }
    draw_time(&mut svg, &frame, report.facts.run.end, top);
    Some(svg.finish())
}

fn title(probes: &[(&String, &ProbeFacts)]) -> String {
    let names: Vec<&str> = probes.iter().map(|(name, _)| name.as_str()).collect();
    format!("Response time of {} over the run, on a log scale", names.join(", "))
}

fn about(report: &Report<'_>, probes: &[(&String, &ProbeFacts)]) -> String {
    let mut said = Vec::new();
    for (name, probe) in probes {
        let outages: Vec<String> =
            probe.outages.iter().take(5).map(|o| format!("an outage of {} from {}", bounds(o.lo, o.hi), clock(o.onset.lo))).collect();
        said.push(format!("{name}: {}", if outages.is_empty() { "no outage seen".to_owned() } else { outages.join(", ") }));
    }
    for (id, e) in report.facts.episodes.iter().take(MOST_LANES) {
        if let Some(effect) = e.effective {
            said.push(format!("fault {id} effective from {}", clock(effect.lo)));
        }
    }
    format!("{}. The numbers are in the table below the picture.", said.join("; "))
}

impl Frame {
    fn at(&self, at: At) -> f64 {
        self.x.at(at.0 as f64)
    }
}

fn draw_panel(svg: &mut Svg, frame: &Frame, report: &Report<'_>, name: &str, probe: &ProbeFacts, top: f64, hatch: &str) {
    let points = buckets(&probe.seconds, if frame.narrow { 150 } else { 520 });
    let plot_top = top + HEAD + EDGES;
    let bottom = plot_top + frame.plot;
    let values = || points.iter().flat_map(|b| [b.p50, b.p99, b.worst_bad]).flatten().filter(|s| s.0 > 0);
    let (lo, hi) = (values().min().unwrap_or(Span::millis(1)), values().max().unwrap_or(Span::millis(10)));
    let ticks = log_ticks(lo, hi);
    let (least, most) = (ticks.first().copied().unwrap_or(lo), ticks.last().copied().unwrap_or(hi));
    let y = Scale::log(least.0 as f64, most.0 as f64, bottom, plot_top);
    svg.text("name", 0.0, top + 15.0, "start", &clipped(name, if frame.narrow { 24 } else { 60 }));
    bands(svg, frame, report, plot_top, bottom + STRIP);
    for tick in &ticks {
        let at = y.at(tick.0 as f64);
        svg.line("grid", (frame.left, at), (frame.right, at));
        svg.text("tick", frame.left - 6.0, at + 4.0, "end", &tick.human());
    }
    for b in points.iter().filter(|b| b.tainted) {
        let x = frame.at(b.at);
        svg.hatched(hatch, x, plot_top, (frame.at(b.at + b.length) - x).max(2.0), frame.plot + STRIP);
    }
    let line = |pick: fn(&Bucket) -> Option<Span>| {
        let points: Vec<_> = points.iter().map(|b| pick(b).map(|v| (frame.at(At(b.at.0 + b.length.0 / 2)), y.at(v.0 as f64)))).collect();
        polyline(&points)
    };
    svg.path("p99", &line(|b| b.p99));
    svg.path("p50", &line(|b| b.p50));
    for b in &points {
        if let Some(worst) = b.worst_bad {
            let (x, y) = (frame.at(At(b.at.0 + b.length.0 / 2)), y.at(worst.0 as f64));
            svg.path("bad-mark", &cross(x, y));
        }
    }
    draw_strip(svg, frame, &points, bottom);
    draw_edges(svg, frame, probe, top + HEAD);
    if !probe.served_by.is_empty() {
        draw_served(svg, frame, report, probe, bottom + STRIP);
    }
}

fn cross(x: f64, y: f64) -> String {
    use super::chart::px;
    let r = 3.0;
    format!("M{} {}L{} {}M{} {}L{} {}", px(x - r), px(y - r), px(x + r), px(y + r), px(x - r), px(y + r), px(x + r), px(y - r))
}

/// Fault windows shaded, command, effect and undo as lines, the time of stability outlined.
fn bands(svg: &mut Svg, frame: &Frame, report: &Report<'_>, top: f64, bottom: f64) {
    for (id, e) in &report.facts.episodes {
        let Some(effect) = e.effective else { continue };
        let end = e.undone.and_then(|u| u.hi).unwrap_or(report.facts.run.end);
        let (from, to) = (frame.at(effect.lo), frame.at(end));
        svg.rect("band", from, top, (to - from).max(1.0), bottom - top);
        if let Some(up) = e.stable_up.filter(|u| u.hi.is_some()) {
            let stable = report.plan.faults.get(id.as_str()).map_or(Span::ZERO, |f| f.stable_for);
            let (a, b) = (frame.at(up.lo), frame.at(up.hi.unwrap_or(up.lo) + stable));
            svg.rect("stable", a, top, b - a, bottom - top - STRIP);
        }
        for (class, at) in [("at-command", e.command), ("at-effect", Some(effect.hi.unwrap_or(effect.lo))), ("at-undo", e.undo_started)] {
            if let Some(at) = at {
                svg.line(class, (frame.at(at), top), (frame.at(at), bottom));
            }
        }
    }
}

/// How many of the samples failed.
fn draw_strip(svg: &mut Svg, frame: &Frame, points: &[Bucket], top: f64) {
    let (base, tall) = (top + STRIP - 2.0, STRIP - 14.0);
    svg.text("tick", frame.left - 6.0, base - 4.0, "end", "failed");
    svg.line("grid", (frame.left, base), (frame.right, base));
    for b in points.iter().filter(|b| b.bad > 0) {
        let share = b.bad as f64 / (b.ok + b.bad).max(1) as f64;
        let height = (share * tall).max(2.0);
        let x = frame.at(b.at);
        svg.rect("failed-bar", x, base - height, (frame.at(b.at + b.length) - x).max(1.5), height);
    }
}

/// Outages as error bars: the thick part was certainly down, the thin ends are where the edges may lie.
fn draw_edges(svg: &mut Svg, frame: &Frame, probe: &ProbeFacts, top: f64) {
    let y = top + 17.0;
    let mut longest: Vec<&Outage> = probe.outages.iter().collect();
    longest.sort_by_key(|o| std::cmp::Reverse(o.lo));
    for (i, o) in longest.iter().take(MOST_OUTAGES).enumerate() {
        let (from, to) = (frame.at(o.onset.lo), o.recovery.hi.map_or(frame.right, |hi| frame.at(hi)));
        svg.line("edge", (from, y), (to.max(from + 1.0), y));
        let inner = (frame.at(o.onset.hi.unwrap_or(o.onset.lo)), frame.at(o.recovery.lo));
        if inner.1 > inner.0 {
            svg.line("edge-sure", (inner.0, y), (inner.1, y));
        }
        svg.line("edge", (from, y - 5.0), (from, y + 5.0));
        if o.recovery.hi.is_some() {
            svg.line("edge", (to, y - 5.0), (to, y + 5.0));
        } else {
            svg.path("edge", &polyline(&[Some((to - 6.0, y - 5.0)), Some((to, y)), Some((to - 6.0, y + 5.0))]));
        }
        if i < 2 {
            let label = format!("outage {}", bounds(o.lo, o.hi));
            let half = label.chars().count() as f64 * 3.4;
            let middle = f64::midpoint(from, to).clamp(frame.left + half, frame.right - half);
            let crowded = i == 1
                && longest.first().is_some_and(|first| {
                    (f64::midpoint(frame.at(first.onset.lo), frame.at(first.recovery.hi.unwrap_or(first.recovery.lo))) - middle).abs()
                        < 4.0 * half
                });
            if !crowded {
                svg.text("edge-label", middle, y - 9.0, "middle", &label);
            }
        }
    }
}

/// Who answered, until when.
fn draw_served(svg: &mut Svg, frame: &Frame, report: &Report<'_>, probe: &ProbeFacts, top: f64) {
    svg.text("tick", frame.left - 6.0, top + 14.0, "end", "by");
    let mut from = At(0);
    for (i, (who, until)) in probe.served_by.iter().take(100).enumerate() {
        let to = until.unwrap_or(report.facts.run.end);
        let (a, b) = (frame.at(from), frame.at(to));
        svg.rect(if i % 2 == 0 { "served" } else { "served other" }, a, top + 3.0, (b - a - 1.0).max(1.0), SERVED - 7.0);
        let room = ((b - a - 10.0) / 7.0).max(0.0) as usize;
        if room >= who.chars().count().min(4) {
            svg.text("served-label", a + 6.0, top + 14.5, "start", &clipped(who, room));
        }
        from = to;
    }
}

/// A fault's own lane: armed to undone, with a shape for each operation.
fn draw_lane(svg: &mut Svg, frame: &Frame, report: &Report<'_>, id: &str, e: &Episode, top: f64) {
    use super::chart::px;
    let y = top + 24.0;
    svg.line("grid", (frame.left, y), (frame.right, y));
    let Some(command) = e.command else {
        let why = if e.phase == "not_run" { "not run" } else { "not injected" };
        svg.text("lane-label", frame.left, y - 6.0, "start", &clipped(&format!("{id}: {why}"), if frame.narrow { 40 } else { 90 }));
        return;
    };
    let end = e.undone.and_then(|u| u.hi);
    let (from, to) = (frame.at(command), end.map_or(frame.right, |at| frame.at(at)));
    svg.rect("lane", from, y - 5.0, (to - from).max(2.0), 10.0);
    let label = clipped(&format!("{id} · {}", e.kind), if frame.narrow { 36 } else { 70 });
    let room = frame.right - label.chars().count() as f64 * 6.6;
    svg.text("lane-label", from.min(room).max(frame.left), y - 9.0, "start", &label);
    let mark = |svg: &mut Svg, class: &str, interval: Option<Interval>, d: &dyn Fn(f64) -> String| {
        if let Some(i) = interval {
            svg.path(class, &d(frame.at(i.hi.unwrap_or(i.lo))));
        }
    };
    let (up, down) = (y - 5.0, y + 5.0);
    mark(svg, "op", Some(Interval::exact(command)), &|x| {
        format!("M{} {}L{} {}L{} {}Z", px(x - 4.0), px(up), px(x + 4.0), px(up), px(x), px(down))
    });
    mark(svg, "op solid", e.effective, &|x| format!("M{} {}a4 4 0 1 0 8 0a4 4 0 1 0 -8 0Z", px(x - 4.0), px(y)));
    mark(svg, "op", e.undo_started.map(Interval::exact), &|x| {
        format!("M{} {}L{} {}L{} {}L{} {}Z", px(x), px(up), px(x + 5.0), px(y), px(x), px(down), px(x - 5.0), px(y))
    });
    mark(svg, "op solid", e.undone, &|x| format!("M{} {}h8v8h-8Z", px(x - 4.0), px(y - 4.0)));
    if end.is_none() && report.score.exit_code == 50 {
        svg.text("owed-label", frame.right, y - 9.0, "end", "not undone");
    }
}

fn draw_time(svg: &mut Svg, frame: &Frame, end: At, top: f64) {
    let y = top + 6.0;
    svg.line("axis", (frame.left, y), (frame.right, y));
    for tick in time_ticks(end.0 as f64 / 1e9, if frame.narrow { 5 } else { 11 }) {
        let at = At((tick * 1e9) as u64);
        let x = frame.at(at);
        svg.line("axis", (x, y), (x, y + 5.0));
        let label = if tick.fract() > 0.0 { format!("{tick:.1} s") } else { clock(at) };
        // The last one may stand at the very edge.
        let half = label.chars().count() as f64 * 3.8;
        svg.text("tick", x.min(frame.width - half), y + 18.0, "middle", &label);
    }
    svg.text("tick", frame.right, y + 32.0, "end", if frame.narrow { "since start, min:s" } else { "time since the run's start, min:s" });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::samples::all;
    use crate::score::score;

    #[test]
    fn a_long_run_has_no_more_points_than_a_short_one() {
        let mut sample = all().into_iter().next().unwrap();
        let template = sample.facts.probes["checkout"].seconds[40];
        sample.facts.probes["checkout"].seconds = (0..100_000).map(|s| Second { at: At(Span::secs(s).0), ..template }).collect();
        sample.facts.run.end = At(Span::secs(100_000).0);
        let score = score(&sample.plan, &sample.facts);
        let svg = picture(&Report::new(&sample.plan, &sample.facts, &score), "p", 1120).unwrap();
        assert!(svg.len() < 100_000, "{}", svg.len());
    }

    #[test]
    fn putting_seconds_together_loses_no_sample_and_keeps_the_worst() {
        let sample = all().into_iter().next().unwrap();
        let seconds = &sample.facts.probes["checkout"].seconds;
        let (one, few) = (buckets(seconds, 1000), buckets(seconds, 7));
        assert_eq!((one.len(), few.len()), (120, 7));
        let total = |b: &[Bucket]| b.iter().fold((0, 0, 0), |a, b| (a.0 + b.ok, a.1 + b.bad, a.2 + b.other));
        assert_eq!(total(&one), total(&few));
        assert_eq!(one.iter().filter_map(|b| b.p99).max(), few.iter().filter_map(|b| b.p99).max());
        assert!(few.iter().any(|b| b.tainted));
        assert!(buckets(&[], 10).is_empty());
    }

    #[test]
    fn seconds_without_a_good_answer_have_no_latency() {
        let sample = all().into_iter().next().unwrap();
        let one = buckets(&sample.facts.probes["checkout"].seconds, 1000);
        assert_eq!((one[33].ok, one[33].p50, one[33].p99), (0, None, None), "refusals in 310 µs are no fast answers");
    }

    #[test]
    fn what_has_not_ended_is_drawn_open() {
        for sample in all() {
            let score = score(&sample.plan, &sample.facts);
            let svg = picture(&Report::new(&sample.plan, &sample.facts, &score), "p", 1120).unwrap();
            assert_eq!(svg.contains("outage more than"), sample.name == "censored", "{}", sample.name);
            assert_eq!(svg.contains("not undone"), sample.name == "stuck");
        }
    }
}
