//! The end of a run in the terminal: what is owed first, then SYSTEM, TEAM and findings. Plain text, wrapped; colour only beside words.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use crate::measure::facts::Owed;

use super::cues;
use super::rows::rows;
use super::team;
use super::view::{self, Status, clock, headline, min_detectable, plain};
use super::{Report, practices};

const WIDTH: usize = 100;
/// Where text begins behind `SYSTEM ? inconclusive`.
const GAP: usize = 26;

/// The report for a terminal of the usual width.
pub fn render(report: &Report<'_>, colour: bool) -> String {
    render_to(report, colour, WIDTH)
}

/// The same for a given width in columns; at least 40 are used.
pub fn render_to(report: &Report<'_>, colour: bool, width: usize) -> String {
    let mut page = Page::new(colour, width);
    if let Some(text) = view::demonstration(report) {
        page.block("  ", &text, Style::new().bold());
        page.line("");
    }
    system(report, &mut page);
    people(report, &mut page);
    page.line("");
    findings(report, &mut page);
    practices::section(report, &mut page);
    page.block("  ", &format!("exit {} · run {}", report.score.exit_code, report.facts.run.id), Style::new().dimmed());
    // Last, because this is what stays on the screen.
    owed(report, &mut page);
    page.out
}

/// What is written, wrapped to a width.
pub(super) struct Page {
    pub(super) out: String,
    colour: bool,
    width: usize,
}

impl Page {
    pub(super) fn new(colour: bool, width: usize) -> Page {
        Page { out: String::new(), colour, width: width.max(40) }
    }

    pub(super) fn line(&mut self, text: &str) {
        self.out.push_str(text.trim_end());
        self.out.push('\n');
    }

    fn paint(&self, style: Style, text: &str) -> String {
        if self.colour && !text.is_empty() { format!("{}{text}{}", style.render(), style.render_reset()) } else { text.to_owned() }
    }

    /// A paragraph, wrapped, each line behind `indent`.
    pub(super) fn block(&mut self, indent: &str, text: &str, style: Style) {
        for line in wrap(&plain(text), self.width - indent.chars().count().min(self.width / 2)) {
            let painted = self.paint(style, &line);
            self.line(&format!("{indent}{painted}"));
        }
    }

    /// `  SYSTEM passed    text`, further lines indented under the text.
    fn labelled(&mut self, label: &str, word: &str, style: Style, text: &str) {
        let head = format!("{label} {}", self.paint(style, word));
        self.columns(&head, label.chars().count() + 1 + word.chars().count(), GAP, text);
    }

    /// `    ✓ what             text`.
    pub(super) fn part(&mut self, status: Status, what: &str, text: &str, gap: usize) {
        let (what, gap) = (plain(what.trim_end()), gap.min(self.width / 2));
        let head = format!("  {} {what}", self.paint(style_of(status), status.shape()));
        self.columns(&head, 4 + what.chars().count(), gap, text);
    }

    /// A head of `used` visible columns, then text from column `gap` on; on a line of its own when the head is too long.
    pub(super) fn columns(&mut self, head: &str, used: usize, gap: usize, text: &str) {
        let lines = wrap(&plain(text), self.width.saturating_sub(gap).max(20));
        let mut lines = lines.iter();
        if used + 3 <= gap {
            let first = lines.next().map_or("", String::as_str);
            self.line(&format!("  {head}{}{first}", " ".repeat(gap - 2 - used)));
        } else {
            self.line(&format!("  {head}"));
        }
        for line in lines {
            self.line(&format!("{}{line}", " ".repeat(gap)));
        }
    }
}

fn style_of(status: Status) -> Style {
    let colour = match status {
        Status::Passed => AnsiColor::Green,
        Status::Failed | Status::Stuck => AnsiColor::Red,
        Status::Inconclusive | Status::Invalid | Status::Aborted | Status::NotStarted | Status::NotSteady => AnsiColor::Yellow,
        Status::NotJudged => AnsiColor::Cyan,
    };
    Style::new().bold().fg_color(Some(colour.into()))
}

fn system(report: &Report<'_>, page: &mut Page) {
    let head = headline(report);
    let of_run = matches!(head.status, Status::Stuck | Status::Aborted | Status::NotStarted | Status::NotSteady);
    if of_run {
        page.labelled("RUN", &marked(head.status), style_of(head.status), &head.sentence);
    }
    if of_run && head.status != Status::NotStarted {
        let status = if report.score.judged { Status::of(report.score.system) } else { Status::NotJudged };
        page.labelled("SYSTEM", &marked(status), style_of(status), &report.score.system_why.join("; "));
    } else if !of_run {
        page.labelled("SYSTEM", &marked(head.status), style_of(head.status), &head.sentence);
    }
    page.line("");
    let rows = rows(report);
    let shown: Vec<_> = rows.iter().filter(|r| report.score.judged && !r.not_run).collect();
    for row in &shown {
        let claimed = if row.claimed.is_empty() { String::new() } else { format!("; claimed {}", row.claimed) };
        let margin = if row.margin.is_empty() { String::new() } else { format!("; {}", row.margin) };
        page.part(row.status, &row.what, &format!("{}{claimed}{margin}", row.measured), 34);
        if row.worth_saying() {
            page.columns("", 0, 34.min(page.width / 2), &row.why);
        }
    }
    if !shown.is_empty() {
        page.line("");
    }
    if report.score.judged && !of_run && head.status != Status::Invalid {
        if let Some(least) = min_detectable(report) {
            page.block("  ", &format!("An outage under {} would not have been seen.", least.human()), Style::new().dimmed());
        }
        page.block("  ", view::ONE_RUN, Style::new().dimmed());
        page.line("");
    }
    for (id, who) in &report.facts.left_to {
        page.block("  ", &format!("{id} was left to {who} to undo, and was not seen to be undone"), Style::new().bold());
    }
}

fn marked(status: Status) -> String {
    format!("{} {}", status.shape(), status.word())
}

fn people(report: &Report<'_>, page: &mut Page) {
    match (team::verdict(report), team::declared(report)) {
        (Some(status), _) => page.labelled("TEAM", &marked(status), style_of(status), &team::sentence(report)),
        (None, declared) => {
            page.labelled("TEAM", if declared { "– not judged" } else { "–" }, Style::new().bold(), &team::sentence(report))
        }
    }
    let rows = team::rows(report);
    if !rows.is_empty() {
        page.line("");
    }
    for row in &rows {
        let name = if row.counts { row.id.clone() } else { format!("{} (training)", row.id) };
        page.part(row.status, &name, &format!("{}: {}", row.word, row.why), 34);
    }
    let remarks = team::remarks(report);
    if !remarks.is_empty() {
        page.line("");
    }
    for text in remarks {
        page.block("  ", &text, Style::new().dimmed());
    }
    for (heading, texts) in cues::debrief(report) {
        page.line("");
        page.block("  ", heading, Style::new().bold());
        for text in texts {
            page.block("    ", &text, Style::new());
        }
    }
}

fn owed(report: &Report<'_>, page: &mut Page) {
    if report.score.exit_code != 50 {
        return;
    }
    let red = Style::new().bold().fg_color(Some(AnsiColor::White.into())).bg_color(Some(AnsiColor::Red.into()));
    let rule = "█".repeat(page.width.min(WIDTH));
    let rule = page.paint(Style::new().fg_color(Some(AnsiColor::Red.into())), &rule);
    page.line("");
    page.line(&rule);
    page.block("  ", "UNDO FAILED: A FAULT MAY STILL BE THERE", red);
    for item in &report.facts.owed {
        page.line("");
        owed_item(report, item, page);
    }
    page.line("");
    page.block("  ", "to try again", Style::new().bold());
    page.line(&format!("      firedrill undo {}", plain(&report.facts.run.id)));
    page.line(&rule);
}

fn owed_item(report: &Report<'_>, item: &Owed, page: &mut Page) {
    let what = if item.targets.is_empty() { item.id.clone() } else { format!("{} ({})", item.targets.join(", "), item.id) };
    page.block("  ", &what, Style::new().bold());
    let for_how_long = report.facts.run.end.since(item.since).human();
    let since = format!(
        "armed at {} of the run, started {}; {for_how_long} before the journal's end",
        clock(item.since),
        report.facts.run.started_at
    );
    page.block("    ", &since, Style::new());
    page.block("  ", "undo it by hand", Style::new().bold());
    // Never wrapped: it is there to be pasted.
    page.line(&format!("      {}", plain(&item.undo.by_hand)));
    if !item.tried.is_empty() {
        page.block("  ", "what was tried", Style::new().bold());
    }
    for tried in &item.tried {
        page.block("      ", tried, Style::new());
    }
}

fn findings(report: &Report<'_>, page: &mut Page) {
    if report.score.findings.is_empty() {
        return;
    }
    for finding in &report.score.findings {
        let text = format!("{} Observed: {}. Expected: {}.", view::sentence(&finding.title), finding.observed, finding.expected);
        page.labelled("FINDING", finding.risk.abbreviation(), style_of(Status::Inconclusive), &text);
    }
    page.line("");
}

/// Words into lines of at most `width` columns; a longer word stands alone, and a number is not parted from its unit.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in text.split(' ').filter(|w| !w.is_empty()) {
        let bare = word.trim_end_matches([';', ',', '.', ')', ':']);
        match words.last_mut() {
            Some(last) if matches!(bare, "s" | "ms" | "µs" | "min" | "h" | "%" | "–") && last.ends_with(|c: char| c.is_ascii_digit()) => {
                let _ = write!(last, " {word}");
            }
            _ => words.push(word.to_owned()),
        }
    }
    let mut lines = vec![String::new()];
    for word in words {
        match lines.last_mut() {
            Some(line) if line.is_empty() => *line = word,
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                let _ = write!(line, " {word}");
            }
            _ => lines.push(word),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::samples::{Sample, all};
    use crate::score::score;

    fn render_sample(sample: &Sample, colour: bool, width: usize) -> String {
        let score = score(&sample.plan, &sample.facts);
        render_to(&Report::new(&sample.plan, &sample.facts, &score), colour, width)
    }

    #[test]
    fn what_people_read() {
        for sample in all() {
            insta::assert_snapshot!(format!("text-{}", sample.name), render_sample(&sample, false, WIDTH));
        }
    }

    #[test]
    fn nothing_is_told_by_colour_alone() {
        for sample in all() {
            let coloured = render_sample(&sample, true, WIDTH);
            assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), render_sample(&sample, false, WIDTH), "{}", sample.name);
            assert!(!render_sample(&sample, false, WIDTH).contains('\x1b'));
        }
    }

    #[test]
    fn lines_fit_but_the_command_to_paste_is_whole() {
        for mut sample in all() {
            let long = format!("ssh db-1 sudo systemctl start {}", "x".repeat(80));
            for item in &mut sample.facts.owed {
                item.undo.by_hand.clone_from(&long);
            }
            let text = render_sample(&sample, false, 60);
            for line in text.lines().filter(|l| !l.contains(&long)) {
                assert!(line.chars().count() <= 60, "{line}");
            }
            assert_eq!(text.contains(&long), sample.name == "stuck");
        }
    }

    #[test]
    fn a_hostile_scenario_cannot_drive_the_terminal() {
        let mut sample = all().into_iter().find(|s| s.name == "stuck").unwrap();
        sample.facts.owed[0].undo.by_hand = "\x1b[2Jrm\nx".into();
        sample.facts.owed[0].tried = vec!["\x1b]0;title\x07".into()];
        let text = render_sample(&sample, false, WIDTH);
        assert!(!text.contains('\x1b') && !text.contains('\x07'), "{text}");
    }
}
