//! The report as one HTML file: no script, no request to anywhere, light and dark, for screens of any width and for paper. It reads from
//! verdict to evidence: a busy director stops early, a sceptical reviewer gets to the bottom. It must never know where the file goes.

mod compared;
mod evidence;
mod gameday;
mod legs;
pub mod many;
mod opening;
mod people;
mod practices;
mod story;
mod style;

pub use gameday::gameday;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::Report;
use super::chart::clipped;
use super::signoff;
use super::view::{Status, headline, plain};

/// The largest file that is made: what is bulky is left out before this is passed.
const MOST_BYTES: usize = 5 * 1024 * 1024;

/// How much is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Detail {
    /// Everything.
    Full,
    /// Without the tables behind pictures, the histograms and the plan.
    Lean,
}

/// The report as HTML.
pub fn render(report: &Report<'_>) -> String {
    let full = page(report, Detail::Full).into_string();
    if full.len() < MOST_BYTES { full } else { page(report, Detail::Lean).into_string() }
}

fn page(report: &Report<'_>, detail: Detail) -> Markup {
    let head = headline(report);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="generator" content=(format!("firedrill {}", report.facts.run.firedrill));
                title { (head.status.word()) ": " (words(&report.plan.title)) }
                style { (PreEscaped(style::SHEET)) }
            }
            body {
                main {
                    (opening::owed(report))
                    (opening::header(report, &head))
                    (section("claims", "Claims", "claimed, measured, margin", opening::claims(report)))
                    (section("picture", "What happened", "response times over the run", story::picture(report, detail)))
                    (section("timeline", "Timeline", "with the source of each stamp", story::timeline(report)))
                    (section("people", "People", "expected against observed", people::people(report)))
                    (section("questions", "Well-Architected", "questions and practices, with coverage", practices::questions(report)))
                    (section("findings", "Findings", "worst first", story::findings(report)))
                    (section("method", "How it was measured", "and what it cannot show", evidence::method(report)))
                    (section("phases", "Numbers by phase", "response time, all samples", evidence::phases(report, detail)))
                    (section("plan", "Plan", "and digests", evidence::plan(report, detail)))
                    (section("sign-off", "Sign-off", "who, when", sign_off(report)))
                }
            }
        }
    }
}

/// Lines to be filled in on paper, or beside the bundle that holds this file.
fn sign_off(report: &Report<'_>) -> Markup {
    let Some(subject) = signoff::subject(report) else { return html! { p { (signoff::NOT_SIGNED) } } };
    html! {
        p { (words(&subject)) }
        table.signoff {
            thead { tr { @for head in ["Role", "Name", "Date", "Signature"] { th scope="col" { (head) } } } }
            tbody { @for (role, what) in signoff::LINES { tr { td { (role) span.why { (what) } } td {} td {} td {} } } }
        }
    }
}

fn section(id: &str, title: &str, note: &str, body: Markup) -> Markup {
    html! {
        section id=(id) aria-labelledby=(format!("{id}-h")) {
            div.rail { h2 id=(format!("{id}-h")) { (title) } @if !note.is_empty() { p.note { (note) } } }
            div.body { (body) }
        }
    }
}

/// Text from outside: no control or direction characters, and no more of it than a person would read.
fn words(text: &str) -> String {
    clipped(&plain(text), 2_000)
}

/// A status by shape, word and colour.
fn badge(status: Status) -> Markup {
    html! { span class=(format!("badge {}", class(status))) { (icon(status)) " " (status.word()) } }
}

pub(super) fn class(status: Status) -> &'static str {
    match status {
        Status::Passed => "good",
        Status::Failed | Status::Stuck => "bad",
        Status::Inconclusive | Status::Aborted | Status::NotStarted | Status::NotSteady => "open",
        Status::Invalid | Status::NotJudged => "none",
    }
}

/// Each status has an outline of its own, so that it is told without colour.
fn icon(status: Status) -> Markup {
    let shape = match status {
        Status::Passed => r#"<circle cx="8" cy="8" r="7" class="f"/><path class="k" d="M4.5 8.3l2.4 2.4 4.6-5"/>"#,
        Status::Failed => r#"<rect x="1.2" y="1.2" width="13.6" height="13.6" rx="2" class="f"/><path class="k" d="M5 5l6 6M11 5l-6 6"/>"#,
        Status::Inconclusive => {
            r#"<path class="f" d="M8 .5L15.5 8 8 15.5.5 8z"/><path class="k" d="M6.2 6.4C6.3 4.2 9.9 4.4 9.7 6.6 9.6 7.8 8 7.9 8 9.3M8 11.2v.6"/>"#
        }
        Status::Invalid => r#"<circle cx="8" cy="8" r="6.6" class="o"/><path class="o" d="M3.6 12.4l8.8-8.8"/>"#,
        Status::NotJudged => r#"<circle cx="8" cy="8" r="6.6" class="o"/><path class="o" d="M5 8h6"/>"#,
        Status::Aborted | Status::NotStarted | Status::NotSteady => {
            r#"<path class="f" d="M5 1h6l4 4v6l-4 4H5l-4-4V5z"/><path class="k" d="M6 5.2v5.6M10 5.2v5.6"/>"#
        }
        Status::Stuck => r#"<path class="f" d="M8 .8L15.6 15H.4z"/><path class="k" d="M8 5.6v4.6M8 12.2v.7"/>"#,
    };
    PreEscaped(format!(r#"<svg class="icon" viewBox="0 0 16 16" aria-hidden="true">{shape}</svg>"#))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::facts::Second;
    use crate::score::samples::{Sample, all};
    use crate::score::score;

    fn of(sample: &Sample) -> String {
        let score = score(&sample.plan, &sample.facts);
        render(&Report::new(&sample.plan, &sample.facts, &score))
    }

    /// Tags open and close in order; a small check, enough for what `maud` and `chart` write.
    fn well_formed(html: &str) {
        const VOID: [&str; 4] = ["meta", "br", "!DOCTYPE", "col"];
        let style = html.find("<style>").unwrap()..html.find("</style>").unwrap();
        let text = format!("{}{}", &html[..style.start], &html[style.end + "</style>".len()..]);
        let mut open: Vec<&str> = Vec::new();
        let mut rest = text.as_str();
        while let Some(start) = rest.find('<') {
            let end = start + rest[start..].find('>').expect("a tag ends");
            let tag = &rest[start + 1..end];
            rest = &rest[end + 1..];
            let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap();
            if tag.starts_with('/') {
                assert_eq!(open.pop(), Some(name), "</{name}>");
            } else if !tag.ends_with('/') && !VOID.contains(&name) {
                open.push(name);
            }
        }
        assert!(open.is_empty(), "{open:?}");
    }

    #[test]
    fn one_well_formed_file_that_asks_nobody() {
        for sample in all() {
            let html = of(&sample);
            well_formed(&html);
            for bad in ["<script", "<link", "<img", "<iframe", "@import", "url(http", "src=", "href=\"http", "xlink"] {
                assert!(!html.contains(bad), "{}: {bad}", sample.name);
            }
            assert!(html.len() < 400_000, "{}: {}", sample.name, html.len());
        }
    }

    #[test]
    fn the_samples_can_be_looked_at() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/report-samples");
        std::fs::create_dir_all(&folder).unwrap();
        for sample in all() {
            std::fs::write(folder.join(format!("{}.html", sample.name)), of(&sample)).unwrap();
        }
        assert!(folder.join("passed.html").exists());
    }

    #[test]
    fn the_verdict_comes_with_its_number_and_bounds() {
        for (name, words) in [
            ("passed", "7.31 – 7.42 s"),
            ("failed", "14.2 – 14.4 s"),
            ("censored", "not stably up more than 89.9 s"),
            ("inconclusive", "an interval of 10 ms or less would decide it"),
            ("not-confirmed", "No valid evidence"),
            ("no-claims", "no claims were made"),
        ] {
            let html = of(&all().into_iter().find(|s| s.name == name).unwrap());
            assert!(html.contains(words), "{name}: {words}");
        }
    }

    #[test]
    fn what_is_owed_comes_before_everything_else() {
        for sample in all() {
            let html = of(&sample);
            let body = &html[html.find("<main>").unwrap()..];
            assert_eq!(body.starts_with("<main><aside class=\"owed\""), sample.name == "stuck", "{}", sample.name);
        }
        let stuck = of(&all().into_iter().find(|s| s.name == "stuck").unwrap());
        for words in
            ["pg_ctl -D /srv/pg/a start", "firedrill undo 01JD8Z4Q2V7W3N5T9X6M1K0RCE", "could not start server", "pid 4121 on db-1"]
        {
            assert!(stuck.contains(words), "{words}");
        }
    }

    #[test]
    fn the_order_is_the_readers() {
        let html = of(&all().into_iter().next().unwrap());
        let ids = ["verdict", "claims", "picture", "timeline", "people", "questions", "findings", "method", "phases", "plan", "sign-off"];
        let places: Vec<usize> = ids.iter().map(|id| html.find(&format!("id=\"{id}\"")).unwrap_or_else(|| panic!("{id}"))).collect();
        assert!(places.is_sorted(), "{places:?}");
    }

    #[test]
    fn every_picture_says_what_it_shows() {
        let html = of(&all().into_iter().next().unwrap());
        let pictures =
            html.matches("<svg class=").count() - html.matches("<svg class=\"icon").count() - html.matches("<svg class=\"swatch").count();
        assert!(pictures >= 4);
        assert_eq!(html.matches("role=\"img\"").count(), pictures);
        assert_eq!(html.matches("<title id=").count(), pictures);
        assert_eq!(html.matches("<desc id=").count(), pictures);
    }

    #[test]
    fn ids_are_unique() {
        let html = of(&all().into_iter().next().unwrap());
        let mut ids: Vec<&str> = html.match_indices(" id=\"").map(|(at, m)| html[at + m.len()..].split('"').next().unwrap()).collect();
        let n = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), n);
    }

    #[test]
    fn a_hostile_scenario_is_only_text() {
        let evil = "<script>alert(1)</script>\"><img src=x onerror=y>\u{202e}";
        let mut sample = all().into_iter().find(|s| s.name == "failed").unwrap();
        sample.plan.title = evil.into();
        sample.plan.why = Some(evil.into());
        sample.plan.owner = Some(evil.into());
        sample.plan.carried.insert("score".into(), serde_json::json!({ "impact": evil }));
        sample.facts.episodes["lose-primary"].kind = evil.into();
        sample.facts.episodes["lose-primary"].targets = vec![evil.into()];
        sample.facts.probes["checkout"].served_by[0].0 = evil.into();
        sample.facts.probes["checkout"].outages[0].reason = evil.into();
        for moment in &mut sample.facts.timeline {
            moment.text = evil.into();
        }
        let html = of(&sample);
        well_formed(&html);
        assert!(!html.contains("<script") && !html.contains("<img") && !html.contains('\u{202e}'));
    }

    #[test]
    fn a_demonstration_is_called_one() {
        for sample in all() {
            let demonstration = ["laptop", "baseline", "tabletop"].contains(&sample.name);
            assert_eq!(of(&sample).contains(super::super::view::DEMONSTRATION), demonstration, "{}", sample.name);
        }
    }

    #[test]
    fn the_file_stays_below_five_mebibytes() {
        let mut sample = all().into_iter().next().unwrap();
        let checkout = sample.facts.probes["checkout"].clone();
        for i in 0..40 {
            let mut probe = checkout.clone();
            let template: Second = probe.seconds[40];
            probe.seconds = (0..7_200).map(|s| Second { at: crate::base::At(s * 1_000_000_000), ..template }).collect();
            for phase in 0..40 {
                probe.phases.insert(format!("fault-{phase}.during"), checkout.phases["before"].clone());
            }
            probe.outages = vec![checkout.outages[0].clone(); 5_000];
            sample.facts.probes.insert(format!("probe-{i}"), probe);
        }
        sample.facts.timeline = vec![sample.facts.timeline[0].clone(); 100_000];
        sample.plan.why = Some("x".repeat(1 << 20));
        let html = of(&sample);
        assert!(html.len() < MOST_BYTES, "{}", html.len());
    }
}
