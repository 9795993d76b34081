//! JUnit XML for build servers: one test case per claim part, one for steady state after undo, one per expectation of people, and one for the run, so that a run
//! whose exit code is not 0 is never green.

use std::fmt::Write as _;

use super::Report;
use super::rows::{Row, rows};
use super::team;
use super::view::{Status, headline};

/// What a build server makes of a test case.
enum Case {
    Passed,
    Failure,
    Error,
    Skipped,
}

/// The report as JUnit XML.
pub fn render(report: &Report<'_>) -> String {
    let mut cases = String::new();
    let mut count = [0_u32; 4];
    let suite = attribute(&report.plan.name);
    if report.score.judged {
        for row in rows(report) {
            let case = case_of(&row);
            let time = row.time.map(|t| format!(" time=\"{:.3}\"", t.as_secs_f64())).unwrap_or_default();
            let message = format!("claimed {}; measured {}", row.claimed, row.measured);
            let detail = if row.why.is_empty() { row.margin.clone() } else { row.why.clone() };
            let class = format!("{suite}.{}", attribute(&row.claim));
            add(&mut cases, &mut count, &class, &row.part, &time, &case, &message, &detail);
        }
    }
    for row in team::rows(report).iter().filter(|row| row.counts && team::verdict(report).is_some()) {
        let case = match row.status {
            Status::Passed => Case::Passed,
            // A wrong turn costs time and leaves a finding; the verdict is that of what was expected.
            _ if row.turn || report.facts.team.unattended => Case::Skipped,
            Status::Failed => Case::Failure,
            Status::NotJudged => Case::Skipped,
            _ => Case::Error,
        };
        add(&mut cases, &mut count, &format!("{suite}.team"), &row.id, "", &case, &row.what, &row.why);
    }
    let head = headline(report);
    let case = match report.score.exit_code {
        0 => Case::Passed,
        30 | 32 => Case::Failure,
        _ => Case::Error,
    };
    let time = format!(" time=\"{:.3}\"", report.facts.run.end.0 as f64 / 1e9);
    let mut detail = format!("exit code {}", report.score.exit_code);
    for item in &report.facts.owed {
        let _ = write!(detail, "\nundo {} by hand: {}", item.id, item.undo.by_hand);
    }
    add(&mut cases, &mut count, &format!("{suite}.run"), "verdict", &time, &case, &head.sentence, &detail);
    let [passed, failures, errors, skipped] = count;
    let tests = passed + failures + errors + skipped;
    let demonstration = if report.plan.is_demonstration() { "true" } else { "false" };
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <testsuites name=\"firedrill\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\"{time}>\n\
         <testsuite name=\"{suite}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\"{time} timestamp=\"{}\">\n\
         <properties>\n<property name=\"run\" value=\"{}\"/>\n<property name=\"plan_digest\" value=\"{}\"/>\n\
         <property name=\"exit_code\" value=\"{}\"/>\n<property name=\"demonstration\" value=\"{demonstration}\"/>\n</properties>\n\
         {cases}</testsuite>\n</testsuites>\n",
        attribute(&report.facts.run.started_at),
        attribute(&report.facts.run.id),
        attribute(&report.facts.run.plan_digest),
        report.score.exit_code,
    )
}

fn case_of(row: &Row) -> Case {
    match row.status {
        Status::Passed => Case::Passed,
        Status::Failed => Case::Failure,
        Status::Inconclusive if row.not_run => Case::Skipped,
        Status::NotJudged => Case::Skipped,
        Status::Inconclusive | Status::Invalid | Status::Aborted | Status::NotStarted | Status::NotSteady | Status::Stuck => Case::Error,
    }
}

#[expect(clippy::too_many_arguments, reason = "one argument an attribute of the element")]
fn add(out: &mut String, count: &mut [u32; 4], class: &str, name: &str, time: &str, case: &Case, message: &str, detail: &str) {
    let (slot, tag) = match case {
        Case::Passed => (0, ""),
        Case::Failure => (1, "failure"),
        Case::Error => (2, "error"),
        Case::Skipped => (3, "skipped"),
    };
    count[slot] += 1;
    let open = format!("<testcase classname=\"{class}\" name=\"{}\"{time}", attribute(name));
    let _ = match case {
        Case::Passed => writeln!(out, "{open}/>"),
        Case::Skipped => writeln!(out, "{open}><skipped message=\"{}\"/></testcase>", attribute(detail)),
        Case::Failure | Case::Error => {
            writeln!(out, "{open}><{tag} message=\"{}\">{}</{tag}></testcase>", attribute(message), attribute(detail))
        }
    };
}

/// Text as XML 1.0 can hold it, in an attribute or an element: forbidden characters are gone.
fn attribute(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\t' | '\n' | '\r' => {
                let _ = write!(out, "&#{};", c as u32);
            }
            '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}' => out.push(c),
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::samples::{Sample, all};
    use crate::score::score;

    fn render_sample(sample: &Sample) -> (String, u8) {
        let score = score(&sample.plan, &sample.facts);
        (render(&Report::new(&sample.plan, &sample.facts, &score)), score.exit_code)
    }

    #[test]
    fn what_a_build_server_reads() {
        for sample in all() {
            insta::assert_snapshot!(format!("junit-{}", sample.name), render_sample(&sample).0);
        }
    }

    #[test]
    fn green_exactly_when_the_exit_code_is_0() {
        for sample in all() {
            let (xml, code) = render_sample(&sample);
            let red = xml.contains("<failure ") || xml.contains("<error ");
            assert_eq!(red, code != 0, "{}", sample.name);
        }
    }

    #[test]
    fn the_counts_are_those_of_the_cases() {
        for sample in all() {
            let (xml, _) = render_sample(&sample);
            let n = |tag: &str| xml.matches(tag).count();
            let head = format!(
                "tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\"",
                n("<testcase "),
                n("<failure "),
                n("<error "),
                n("<skipped ")
            );
            assert_eq!(xml.matches(&head).count(), 2, "{}: {head}", sample.name);
        }
    }

    #[test]
    fn forbidden_characters_are_gone_and_markup_is_text() {
        assert_eq!(attribute("a\u{0}\u{1b}\u{fffe}<b>&\"'\n"), "a&lt;b&gt;&amp;&quot;&apos;&#10;");
        let mut sample = all().into_iter().nth(1).unwrap();
        sample.facts.claims["checkout-node-loss"].rto.as_mut().unwrap().part.why = "\u{1}</failure><x a=\"".into();
        let (xml, _) = render_sample(&sample);
        assert!(xml.contains("&lt;/failure&gt;&lt;x a=&quot;") && !xml.contains('\u{1}'));
    }
}
