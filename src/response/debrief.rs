//! What was learnt of a run, as those who took part wrote it down afterwards: what went well, what surprised, what contributed, what to change, and who does what until
//! when. Lines of a file of its own beside the journal, each chained to the one before. Pure: text in, text out.

use serde::{Deserialize, Serialize};

use crate::base::{line_sum, one_line};

/// The file's name in a run directory.
pub const FILE: &str = "debrief.jsonl";
/// Longest of each text, in characters.
pub const LONGEST: usize = 4_000;
/// Most that is written in one go, in bytes.
pub const LARGEST: usize = 64 * 1024;
/// Most entries of one run.
pub const MOST: usize = 1_000;

/// One thing that was written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Item {
    /// What went well.
    Well(String),
    /// What surprised us.
    Surprise(String),
    /// What contributed to what happened: a condition, never a person.
    Factor(String),
    /// What to change.
    Change(String),
    /// Who does what until when.
    Action(Action),
}

/// An action item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// Its name within the run: `a1`, `a2` …
    pub id: String,
    /// What.
    pub text: String,
    /// Who.
    pub owner: String,
    /// Until when: a day, `2026-12-24`.
    pub due: String,
}

/// One line of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    /// Dense, from 0.
    pub seq: usize,
    /// Wall time, a label.
    pub wall: String,
    /// Whose account wrote it.
    pub by: String,
    /// What.
    pub item: Item,
}

/// Everything that was written down of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Debrief {
    /// In the order in which it was written.
    pub entries: Vec<Written>,
    /// The first line, from 1, that does not continue the one before it: it and what follows is left out.
    pub damaged: Option<usize>,
    /// The checksum of the last line.
    sum: Option<String>,
}

impl Debrief {
    /// Reads the file of a run.
    pub fn parse(run: &str, text: &str) -> Debrief {
        let mut debrief = Debrief::default();
        for (number, line) in (1..).zip(text.lines()) {
            let Some((body, sum)) = split(line).filter(|(body, sum)| line_sum(debrief.previous(run), body) == *sum) else {
                debrief.damaged = Some(number);
                return debrief;
            };
            match serde_json::from_str::<Written>(&body) {
                Ok(written) if written.seq == debrief.entries.len() => debrief.entries.push(written),
                Ok(_) | Err(_) => {
                    debrief.damaged = Some(number);
                    return debrief;
                }
            }
            debrief.sum = Some(sum.to_owned());
        }
        debrief
    }

    /// The first line continues the run's id: a file of another run is none of this one.
    fn previous<'a>(&'a self, run: &'a str) -> &'a str {
        self.sum.as_deref().unwrap_or(run)
    }

    /// The lines that write this down after everything else, with their line ends. Action items get the next free names.
    ///
    /// # Errors
    /// There would be too many, or what is there is damaged; for people.
    pub fn lines(&self, run: &str, by: &str, wall: &str, items: Vec<Item>) -> Result<String, String> {
        if let Some(line) = self.damaged {
            return Err(format!("line {line} of the run's debrief was changed: nothing can be added to it"));
        }
        if self.entries.len() + items.len() > MOST {
            return Err(format!("a run's debrief has {MOST} entries at most, and would have {}", self.entries.len() + items.len()));
        }
        let mut sum = self.previous(run).to_owned();
        let mut actions = self.actions().count();
        let mut out = String::new();
        for (seq, mut item) in (self.entries.len()..).zip(items) {
            if let Item::Action(action) = &mut item {
                actions += 1;
                action.id = format!("a{actions}");
            }
            let written = Written { seq, wall: wall.to_owned(), by: by.to_owned(), item };
            let body = serde_json::to_string(&written).map_err(|error| error.to_string())?;
            sum = line_sum(&sum, &body);
            out.push_str(&format!("{},\"sum\":\"{sum}\"}}\n", body.strip_suffix('}').unwrap_or(&body)));
        }
        Ok(out)
    }

    /// Action items.
    pub fn actions(&self) -> impl Iterator<Item = &Action> {
        self.entries.iter().filter_map(|written| match &written.item {
            Item::Action(action) => Some(action),
            _ => None,
        })
    }

    /// Nothing was written down, or can be read.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.damaged.is_none()
    }
}

/// A line as its body and its checksum.
fn split(line: &str) -> Option<(String, &str)> {
    let (body, sum) = line.strip_suffix("\"}")?.rsplit_once(",\"sum\":\"")?;
    Some((format!("{body}}}"), sum))
}

/// What an editor shows to begin with.
pub fn template(title: &str, run: &str) -> String {
    format!(
        "# Debrief of {run}: {}\n\n## What went well\n\n- \n\n## What surprised us\n\n- \n\n## What contributed\n\n- \n\n## What to change\n\n- \n\n## Action items\n\n\
         <!-- for example:  - Alert on replica lag; owner: dan; due: 2026-12-24 -->\n\n- \n",
        one_line(title, 200)
    )
}

/// What was written into that form.
///
/// # Errors
/// The first line that cannot be understood, and what is wrong with it.
pub fn read(text: &str) -> Result<Vec<Item>, String> {
    if text.len() > LARGEST {
        return Err(format!("a debrief has at most {} KiB, not {}: link to what is longer", LARGEST / 1024, text.len() / 1024));
    }
    let mut found: Vec<(usize, Section, String)> = Vec::new();
    let mut section = None;
    let mut open = false;
    for (number, line) in (1..).zip(text.lines()) {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with("<!--") {
            open = false;
        } else if let Some(heading) = trimmed.strip_prefix("##") {
            section =
                Some(Section::named(heading).ok_or_else(|| format!("line {number}: no section is called `{}`", one_line(heading, 60)))?);
            open = false;
        } else if trimmed.starts_with('#') {
            open = false;
        } else {
            let section = section.ok_or_else(|| format!("line {number} stands in no section: begin with `## What went well`"))?;
            let bullet = trimmed
                .strip_prefix("- ")
                .or_else(|| trimmed.strip_prefix("* "))
                .or_else(|| trimmed.strip_prefix('-').filter(|rest| rest.is_empty()));
            match (bullet, found.last_mut().filter(|_| open)) {
                (None, Some((_, _, text))) => {
                    text.push(' ');
                    text.push_str(trimmed);
                }
                (bullet, _) => found.push((number, section, bullet.unwrap_or(trimmed).to_owned())),
            }
            open = true;
        }
    }
    let filled = found.into_iter().filter(|(_, _, text)| !text.trim().is_empty());
    filled.map(|(number, section, text)| section.item(&text).map_err(|why| format!("line {number}: {why}"))).collect()
}

/// A section of the form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// What went well.
    Well,
    /// What surprised us.
    Surprise,
    /// What contributed.
    Factors,
    /// What to change.
    Change,
    /// Action items.
    Actions,
}

impl Section {
    fn named(heading: &str) -> Option<Section> {
        let heading = heading.trim().to_lowercase();
        let sections = [
            ("what went well", Section::Well),
            ("what surprised", Section::Surprise),
            ("what contributed", Section::Factors),
            ("contributing factors", Section::Factors),
            ("what to change", Section::Change),
            ("action", Section::Actions),
        ];
        sections.into_iter().find(|(name, _)| heading.starts_with(name)).map(|(_, section)| section)
    }

    /// A text of that section.
    ///
    /// # Errors
    /// It is none; why, for people.
    pub fn item(self, text: &str) -> Result<Item, String> {
        let line = one_line(text, usize::MAX);
        match line.chars().count() {
            0 => return Err("there are no words".to_owned()),
            n if n > LONGEST => return Err(format!("a text has at most {LONGEST} characters, not {n}")),
            _ => {}
        }
        Ok(match self {
            Section::Well => Item::Well(line),
            Section::Surprise => Item::Surprise(line),
            Section::Factors => Item::Factor(line),
            Section::Change => Item::Change(line),
            Section::Actions => Item::Action(action(&line)?),
        })
    }
}

/// `TEXT; owner: NAME; due: DATE`.
fn action(line: &str) -> Result<Action, String> {
    let form = "write for example `Alert on replica lag; owner: dan; due: 2026-12-24`";
    let (mut text, mut owner, mut due) = (Vec::new(), None, None);
    // A check box of Markdown is no part of the text.
    for part in line.trim_start_matches("[ ] ").split(';').map(str::trim) {
        match part.split_once(':').map(|(key, value)| (key.trim().to_lowercase(), value.trim())) {
            Some((key, value)) if key == "owner" => owner = Some(value.to_owned()),
            Some((key, value)) if key == "due" => due = Some(value.to_owned()),
            _ => text.push(part),
        }
    }
    let text = text.join("; ");
    let owner = owner.filter(|owner| !owner.is_empty()).ok_or_else(|| format!("an action item needs somebody who does it: {form}"))?;
    let due = due.filter(|due| !due.is_empty()).ok_or_else(|| format!("an action item needs a day until when: {form}"))?;
    let day: jiff::civil::Date = due.parse().map_err(|_| format!("`{}` is no day: {form}", one_line(&due, 40)))?;
    if text.is_empty() {
        return Err(format!("an action item says what is to be done: {form}"));
    }
    Ok(Action { id: String::new(), text, owner: one_line(&owner, 100), due: day.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: &str = "# Debrief\n\n## What went well\n- The page came\n  within seconds.\n\n- \n## What surprised us\nNobody had the key.\n\n## What contributed\n- One key for all\n\n## What to change\n* Keys\n\n## Action items\n<!-- x -->\n- [ ] Alert on lag; owner: dan; due: 2026-12-24\n";

    #[test]
    fn the_form_is_read_back() {
        let items = read(FORM).unwrap();
        let action = Action { id: String::new(), text: "Alert on lag".into(), owner: "dan".into(), due: "2026-12-24".into() };
        assert_eq!(
            items,
            [
                Item::Well("The page came within seconds.".into()),
                Item::Surprise("Nobody had the key.".into()),
                Item::Factor("One key for all".into()),
                Item::Change("Keys".into()),
                Item::Action(action)
            ]
        );
        assert_eq!(read(&template("T\u{1b}[2J", "01R")), Ok(Vec::new()), "nothing was filled in");
    }

    #[test]
    fn what_cannot_be_understood_is_told_by_line() {
        for (text, words) in [
            ("hello", "line 1 stands in no section"),
            ("## Weather\n", "line 1: no section is called `Weather`"),
            ("## Actions\n- do it", "line 2: an action item needs somebody who does it"),
            ("## Actions\n- do it; owner: dan", "needs a day until when"),
            ("## Actions\n- do it; owner: dan; due: soon", "`soon` is no day"),
            ("## Actions\n- owner: dan; due: 2026-12-24", "says what is to be done"),
        ] {
            let why = read(text).unwrap_err();
            assert!(why.contains(words), "{why}");
        }
        assert!(read(&format!("## What went well\n- {}", "x".repeat(5_000))).unwrap_err().contains("at most 4000 characters, not 5000"));
        assert!(read(&"x".repeat(1 << 20)).unwrap_err().contains("at most 64 KiB, not 1024"));
        assert_eq!(read("## What went well\n- a\u{1b}[2J\u{202e}b"), Ok(vec![Item::Well("a [2J b".into())]));
    }

    #[test]
    fn lines_are_chained_and_a_change_shows() {
        let empty = Debrief::parse("01R", "");
        let first = empty.lines("01R", "alice", "now", read(FORM).unwrap()).unwrap();
        let debrief = Debrief::parse("01R", &first);
        assert_eq!((debrief.entries.len(), debrief.damaged, debrief.actions().next().unwrap().id.as_str()), (5, None, "a1"));
        let more = debrief.lines("01R", "bob", "later", read(FORM).unwrap()).unwrap();
        let both = format!("{first}{more}");
        let whole = Debrief::parse("01R", &both);
        assert_eq!((whole.entries.len(), whole.damaged), (10, None));
        assert_eq!(whole.actions().map(|a| a.id.as_str()).collect::<Vec<_>>(), ["a1", "a2"]);
        assert_eq!(Debrief::parse("01OTHER", &both).damaged, Some(1));
        let changed = Debrief::parse("01R", &both.replacen("Nobody", "Somebody", 1));
        assert_eq!((changed.entries.len(), changed.damaged), (1, Some(2)));
        assert!(changed.lines("01R", "x", "x", Vec::new()).unwrap_err().starts_with("line 2"));
        let lines: Vec<&str> = both.lines().collect();
        assert_eq!(Debrief::parse("01R", &[lines[0], lines[2]].join("\n")).damaged, Some(2));
        let many = (0..MOST).map(|_| Item::Well("x".into())).collect();
        assert!(whole.lines("01R", "x", "x", many).unwrap_err().contains("1000 entries at most"));
    }
}
