//! Runbooks: Markdown with a front matter that says whose they are and for which alerts, and task-list steps with ids that a drill can name.

use std::collections::BTreeMap;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use serde::Deserialize;

use crate::base::{Id, one_line};

/// Largest runbook that is read, in bytes.
pub const LARGEST: usize = 1 << 20;
/// Most steps of one.
const MOST_STEPS: usize = 1_000;

/// A runbook.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Runbook {
    /// Who keeps it.
    pub owner: Option<String>,
    /// What it is about.
    pub service: Option<String>,
    /// The alerts that lead here.
    pub alerts: Vec<String>,
    /// What is to be done, in order.
    pub steps: Vec<Step>,
    /// Links to other files: line and target.
    pub links: Vec<(usize, String)>,
    /// What is wrong with it, by line.
    pub problems: Vec<(usize, String)>,
    /// It has a front matter or steps; else it is a page that nobody drills.
    pub is_one: bool,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its id: `{#promote-replica}` at the end of its line.
    pub id: String,
    /// What is to be done.
    pub text: String,
    /// Where it stands.
    pub line: usize,
}

#[derive(Debug, Default, Deserialize)]
struct Front {
    owner: Option<String>,
    service: Option<String>,
    #[serde(default)]
    alerts: Vec<String>,
}

/// Reads a runbook; what is wrong with it stands in it.
pub fn parse(text: &str) -> Runbook {
    let mut book = Runbook::default();
    let (front, body, before) = split(text);
    if let Some(front) = front {
        book.is_one = true;
        match serde_saphyr::from_str::<Front>(front) {
            Ok(front) => {
                (book.owner, book.service, book.alerts) =
                    (front.owner.filter(|owner| !owner.trim().is_empty()), front.service, front.alerts)
            }
            Err(error) => book.problems.push((1, format!("the front matter cannot be read: {}", one_line(&error.to_string(), 200)))),
        }
    }
    let line_of = |offset: usize| before + body[..offset].matches('\n').count() + 1;
    let mut step: Option<(usize, String)> = None;
    let mut depth = 0_usize;
    for (event, range) in Parser::new_ext(body, Options::ENABLE_TASKLISTS).into_offset_iter() {
        match event {
            Event::TaskListMarker(_) => (step, depth) = (Some((line_of(range.start), String::new())), 0),
            Event::Start(Tag::Link { dest_url, .. }) => book.links.push((line_of(range.start), dest_url.into_string())),
            Event::Text(text) | Event::Code(text) if depth == 0 => {
                if let Some((_, said)) = &mut step {
                    said.push_str(&text);
                }
            }
            Event::SoftBreak | Event::HardBreak if depth == 0 => {
                if let Some((_, said)) = &mut step {
                    said.push(' ');
                }
            }
            // What stands in a list within a step is no part of its text.
            Event::Start(Tag::List(_) | Tag::CodeBlock(_)) => {
                depth += 1;
                if let Some((line, said)) = step.take() {
                    book.take(line, &said);
                }
            }
            Event::End(TagEnd::List(_) | TagEnd::CodeBlock) => depth = depth.saturating_sub(1),
            Event::End(TagEnd::Item | TagEnd::Paragraph) => {
                if let Some((line, said)) = step.take() {
                    book.take(line, &said);
                }
            }
            _ => {}
        }
    }
    if book.is_one && book.owner.is_none() && !book.problems.iter().any(|(line, _)| *line == 1) {
        book.problems.push((1, "nobody owns it: its front matter has no `owner`".to_owned()));
    }
    book.double();
    book
}

/// The front matter, what follows it, and how many lines stand before that.
fn split(text: &str) -> (Option<&str>, &str, usize) {
    let Some(rest) = text.strip_prefix("---\n") else { return (None, text, 0) };
    let Some(end) = rest.find("\n---\n").map(|end| end + 1).or_else(|| rest.starts_with("---\n").then_some(0)) else {
        return (None, text, 0);
    };
    let front = &rest[..end];
    (Some(front), &rest[end + 4..], front.matches('\n').count() + 2)
}

impl Runbook {
    fn take(&mut self, line: usize, said: &str) {
        self.is_one = true;
        let said = said.trim();
        let named = said.strip_suffix('}').and_then(|rest| rest.rsplit_once("{#"));
        let short = one_line(named.map_or(said, |(text, _)| text.trim()), 80);
        match named {
            _ if self.steps.len() >= MOST_STEPS => {}
            None => self.problems.push((line, format!("the step “{short}” has no id: end its line with `{{#some-id}}`"))),
            Some((_, id)) if id.parse::<Id>().is_err() => {
                let near = Id::suggest(id).map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
                self.problems.push((line, format!("`{}` is no id: lower-case letters, digits and `-`{near}", one_line(id, 64))));
            }
            Some((text, id)) => self.steps.push(Step { id: id.to_owned(), text: one_line(text, 200), line }),
        }
    }

    fn double(&mut self) {
        let mut first: BTreeMap<&str, usize> = BTreeMap::new();
        for step in &self.steps {
            match first.get(step.id.as_str()) {
                Some(line) => self.problems.push((step.line, format!("the step id `{}` is taken: it stands in line {line}", step.id))),
                None => drop(first.insert(&step.id, step.line)),
            }
        }
        self.problems.sort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "---\nowner: payments-sre\nservice: checkout\nalerts: [DatabaseDown]\n---\n# Fail over\n\n- [ ] Look who leads {#look}\n  with `psql`:\n\n  ```sh\n  psql -c 'x' {#no-step}\n  ```\n- [x] **Promote** the [replica](replica.md) {#promote-replica}\n- no step\n";

    #[test]
    fn steps_owner_and_alerts_are_read() {
        let book = parse(GOOD);
        assert_eq!((book.owner.as_deref(), book.service.as_deref()), (Some("payments-sre"), Some("checkout")));
        assert_eq!(book.alerts, ["DatabaseDown"]);
        assert_eq!(
            book.problems,
            [(8, "the step “Look who leads {#look} with psql:” has no id: end its line with `{#some-id}`".to_owned())]
        );
        assert_eq!(book.steps, [Step { id: "promote-replica".into(), text: "Promote the replica".into(), line: 14 }]);
        assert_eq!(book.links, [(14, "replica.md".to_owned())]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let bad = "---\nservice: x\n---\n- [ ] One {#a}\n- [ ] Two {#a}\n- [ ] Three {#B c}\n- [ ] Four\n";
        let said: Vec<String> = parse(bad).problems.into_iter().map(|(line, text)| format!("{line}: {text}")).collect();
        assert_eq!(
            said,
            [
                "1: nobody owns it: its front matter has no `owner`",
                "5: the step id `a` is taken: it stands in line 4",
                "6: `B c` is no id: lower-case letters, digits and `-`; did you mean `b-c`?",
                "7: the step “Four” has no id: end its line with `{#some-id}`",
            ]
        );
        assert!(parse("---\nowner: [\n---\n").problems[0].1.starts_with("the front matter cannot be read"));
        assert!(!parse("# A page\n\n- a list\n").is_one);
        assert!(parse("- [ ] Do {#it}\n").is_one, "steps without a front matter");
    }

    #[test]
    fn hostile_text_does_no_harm() {
        let deep = format!("{}- [ ] x {{#a}}\n", "> ".repeat(5_000));
        assert!(parse(&deep).steps.len() <= 1);
        let many = "- [ ] x {#a}\n".repeat(5_000);
        assert_eq!(parse(&many).steps.len(), MOST_STEPS);
        assert!(parse("- [ ] a\u{1b}[2J\n").problems.iter().all(|(_, text)| !text.contains('\u{1b}')));
        assert_eq!(
            parse("---\n---\n"),
            Runbook { is_one: true, problems: vec![(1, "nobody owns it: its front matter has no `owner`".into())], ..Runbook::default() }
        );
    }
}
