//! What the keys of a scribe mean: one key for each usual mark, a line for what needs words, a list of steps. Pure.

use super::super::keys::{Key, Line};
use crate::base::{At, one_line};
use crate::event::Deed;

/// Keys of marks: key, the mark, and what it stands for.
pub const MARKS: [(char, &str, &str); 5] = [
    ('d', "detected", "somebody noticed"),
    ('a', "ack", "somebody takes the page"),
    ('g', "diagnosed", "the cause is known"),
    ('m', "mitigated", "users are served again"),
    ('e', "escalated", "others were called in"),
];

/// A blank at which no line is broken.
const GLUE: &str = "\u{a0}";

/// What a key came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Does {
    /// Nothing that anybody else sees.
    Nothing,
    /// It is said to the drill.
    Says(Deed),
    /// This is shown.
    Shows(Vec<String>),
    /// The scribe steps away for a moment.
    Suspends,
    /// The scribe leaves; the drill goes on.
    Leaves,
}

/// What is being typed.
#[derive(Debug, Default)]
enum Typing {
    #[default]
    Nothing,
    Note,
    Step,
}

/// The desk of a scribe.
#[derive(Debug, Default)]
pub struct Desk {
    typing: Typing,
    line: Line,
    /// Steps of the runbooks, where they are known.
    steps: Vec<String>,
    /// What was heard of the last key, and when.
    last: Option<(At, String)>,
}

impl Desk {
    /// With the steps that can be ticked.
    pub fn new(steps: Vec<String>) -> Desk {
        Desk { steps, ..Desk::default() }
    }

    /// Takes a key in.
    pub fn key(&mut self, key: Key) -> Does {
        match (&self.typing, key) {
            (_, Key::Ctrl('z')) => Does::Suspends,
            (_, Key::Ctrl('c' | 'd')) => Does::Leaves,
            (Typing::Nothing, Key::Char(c)) => self.single(c),
            (Typing::Nothing, _) => Does::Nothing,
            (_, Key::Escape) => {
                self.typing = Typing::Nothing;
                self.line = Line::default();
                Does::Nothing
            }
            (_, key) => self.line.key(key).map_or(Does::Nothing, |line| self.whole(line.trim())),
        }
    }

    fn single(&mut self, c: char) -> Does {
        if let Some((_, mark, _)) = MARKS.iter().find(|(key, ..)| *key == c) {
            return Does::Says(Deed::Mark { mark: (*mark).to_owned(), text: String::new() });
        }
        match c {
            'n' => self.typing = Typing::Note,
            's' => {
                self.typing = Typing::Step;
                return Does::Shows(self.listed());
            }
            'u' => return self.correction(),
            '?' | 'h' => return Does::Shows(help()),
            'q' => return Does::Leaves,
            _ => {}
        }
        Does::Nothing
    }

    fn whole(&mut self, line: &str) -> Does {
        match std::mem::take(&mut self.typing) {
            _ if line.is_empty() => Does::Nothing,
            Typing::Note | Typing::Nothing => Does::Says(Deed::Note { text: line.to_owned() }),
            Typing::Step => {
                let (line, back_out) = line.strip_prefix('-').map_or((line, false), |line| (line.trim(), true));
                let step = match line.parse::<usize>() {
                    Ok(number) => match number.checked_sub(1).and_then(|n| self.steps.get(n)) {
                        Some(step) => step.clone(),
                        None => return Does::Shows(vec![format!("  there are the steps 1 to {}", self.steps.len())]),
                    },
                    Err(_) => line.to_owned(),
                };
                Does::Says(Deed::Step { step, back_out })
            }
        }
    }

    /// What was written stays: a note beside it says that it was not meant.
    fn correction(&mut self) -> Does {
        match self.last.take() {
            Some((at, what)) => Does::Says(Deed::Note { text: format!("correction: “{what}” at {} was a wrong key", clock(at)) }),
            None => Does::Shows(vec!["  there is nothing of yours to correct".to_owned()]),
        }
    }

    /// The drill has heard this.
    pub fn heard(&mut self, at: At, deed: &Deed) {
        let what = match deed {
            Deed::Mark { mark, .. } => mark.clone(),
            Deed::Step { step, back_out: false } => step.clone(),
            Deed::Step { step, back_out: true } => format!("{step}, taken back"),
            // A correction is not corrected, and neither is what was typed with care.
            _ => return,
        };
        self.last = Some((at, what));
    }

    fn listed(&self) -> Vec<String> {
        if self.steps.is_empty() {
            return vec!["  its runbooks are not known here: write RUNBOOK#STEP".to_owned()];
        }
        let one = |(n, step): (usize, &String)| format!("  {:>3}  {}", n + 1, one_line(step, 100));
        let mut lines: Vec<String> = self.steps.iter().enumerate().take(60).map(one).collect();
        lines.push("  its number, or RUNBOOK#STEP; with `-` before it, it was taken back".to_owned());
        lines
    }

    /// The lines at the bottom: the keys, and what is being typed.
    pub fn lower(&self, columns: usize) -> Vec<String> {
        let cut = |text: String| -> String { text.chars().take(columns).collect() };
        // A key and what it means stay together, whatever the width.
        let mut keys: Vec<String> = MARKS.iter().map(|(key, mark, _)| format!("{key}{GLUE}{mark}")).collect();
        keys.extend(["n note", "s step", "u undo", "? help", "q leave"].map(|key| key.replace(' ', GLUE)));
        let head = super::wrap(&format!("─ {}", keys.join(&format!("{GLUE}· "))), columns, 2);
        let head: Vec<String> = head.iter().map(|line| cut(line.replace(GLUE, " "))).collect();
        let label = match self.typing {
            Typing::Nothing => return head,
            Typing::Note => "note",
            Typing::Step => "step",
        };
        let room = columns.saturating_sub(label.len() + 4);
        vec![cut("─ Enter writes it down · Esc does not".to_owned()), format!("{label}> {}▏", super::tail(self.line.text(), room))]
    }
}

/// The keys, one a line.
pub fn help() -> Vec<String> {
    let mut lines: Vec<String> = MARKS.iter().map(|(key, mark, about)| format!("  {key}  {mark}: {about}")).collect();
    lines.push("  n  a note, in words".to_owned());
    lines.push("  s  a step of a runbook".to_owned());
    lines.push("  u  the last key was wrong: a note says so, and what was written stays".to_owned());
    lines.push("  q  leave; the drill goes on".to_owned());
    lines
}

/// An instant, as minutes and seconds.
pub fn clock(at: At) -> String {
    let s = at.0 / 1_000_000_000;
    format!("{:02}:{:02}", s / 60, s % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn type_in(desk: &mut Desk, text: &str) -> Vec<Does> {
        let key = |c| if c == '\n' { Key::Enter } else { Key::Char(c) };
        text.chars().map(|c| desk.key(key(c))).filter(|does| !matches!(does, Does::Nothing | Does::Shows(_))).collect()
    }

    fn note(text: &str) -> Does {
        Does::Says(Deed::Note { text: text.into() })
    }

    fn step(step: &str, back_out: bool) -> Does {
        Does::Says(Deed::Step { step: step.into(), back_out })
    }

    #[test]
    fn one_key_is_one_mark_and_words_end_with_enter() {
        let mut desk = Desk::new(vec!["db#look".into(), "db#promote".into()]);
        let marks: Vec<String> = MARKS.iter().map(|(_, mark, _)| (*mark).to_owned()).collect();
        let said = type_in(&mut desk, "dagme");
        assert_eq!(said, marks.iter().map(|mark| Does::Says(Deed::Mark { mark: mark.clone(), text: String::new() })).collect::<Vec<_>>());
        assert_eq!(type_in(&mut desk, "ndq am\nx"), [note("dq am")], "while something is typed a key is a letter");
        assert_eq!(type_in(&mut desk, "s2\ns-1\nsdb#other\n"), [step("db#promote", false), step("db#look", true), step("db#other", false)]);
        assert!(matches!(desk.key(Key::Char('s')), Does::Shows(lines) if lines[0].contains("1  db#look")));
        assert_eq!(desk.key(Key::Escape), Does::Nothing);
        assert_eq!(type_in(&mut desk, "q"), [Does::Leaves]);
        assert_eq!((desk.key(Key::Ctrl('c')), desk.key(Key::Ctrl('z'))), (Does::Leaves, Does::Suspends));
    }

    #[test]
    fn a_wrong_key_is_corrected_by_a_note_and_once() {
        let mut desk = Desk::default();
        assert!(matches!(desk.key(Key::Char('u')), Does::Shows(_)));
        desk.heard(At(62_000_000_000), &Deed::Mark { mark: "mitigated".into(), text: String::new() });
        assert_eq!(type_in(&mut desk, "u"), [note("correction: “mitigated” at 01:02 was a wrong key")]);
        assert_eq!(type_in(&mut desk, "u"), []);
    }

    proptest! {
        /// Nothing is ever taken away: whatever is typed, what comes of it is something more that is said.
        #[test]
        fn whatever_is_typed_nothing_is_too_wide(text in "[a-z?\\n-]{0,60}", columns in 20usize..120) {
            let mut desk = Desk::default();
            type_in(&mut desk, &text);
            prop_assert!(desk.lower(columns).iter().all(|line| line.chars().count() <= columns), "{:?}", desk.lower(columns));
        }
    }
}
