//! What a scribe sees go by: the run's journal, where it may be read and hides nothing; else what the drill tells everybody at its socket.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::out::Voice;
use super::super::runbook;
use super::super::view::Teller;
use super::desk::clock;
use crate::base::{Span, one_line};
use crate::engine::cues::Ask;
use crate::engine::lead::{Asking, ask};
use crate::event::{Entry, Event};
use crate::journal::{FILE, Registry};
use crate::plan::Plan;

const ANSWER: Span = Span::secs(5);
/// Most that is read of a journal at one look.
const MOST: u64 = 4 << 20;

/// What is new.
#[derive(Debug, Default)]
pub struct Seen {
    /// Lines to show.
    pub lines: Vec<String>,
    /// The drill is over.
    pub over: bool,
}

/// Where it comes from.
#[derive(Debug)]
pub enum Source {
    /// The journal of a run of one's own that is not blind.
    Journal(Box<Tail>),
    /// The participant socket.
    Socket {
        /// Its directory.
        place: PathBuf,
        /// As which role.
        role: Option<String>,
        /// The last entry that was shown.
        last: Option<u64>,
        /// How often in a row nobody answered.
        silent: u32,
    },
}

/// A journal that is read as it grows.
#[derive(Debug)]
pub struct Tail {
    file: File,
    at: u64,
    rest: Vec<u8>,
    teller: Teller,
    steps: Vec<String>,
}

impl Source {
    /// The best that there is for a run.
    pub fn of(run: &str, place: &Path, role: Option<String>, voice: Voice) -> Source {
        let journal = Registry::here().runs().into_iter().find(|(id, _)| id == run).and_then(|(_, dir)| Tail::open(&dir, voice));
        match journal {
            Some(tail) => Source::Journal(Box::new(tail)),
            None => Source::Socket { place: place.to_owned(), role, last: None, silent: 0 },
        }
    }

    /// Steps of the runbooks, where they are known.
    pub fn steps(&self) -> Vec<String> {
        match self {
            Source::Journal(tail) => tail.steps.clone(),
            Source::Socket { .. } => Vec::new(),
        }
    }

    /// What is new since the last look.
    pub async fn look(&mut self) -> Seen {
        match self {
            Source::Journal(tail) => tail.look(),
            Source::Socket { place, role, last, silent } => {
                let asking = Asking { role: role.clone(), ask: Ask::Look {} };
                let Some(look) = ask(place, &asking, ANSWER).await.ok().and_then(|heard| heard.look) else {
                    *silent += 1;
                    return Seen { over: *silent > 3 || !place.exists(), ..Seen::default() };
                };
                *silent = 0;
                let mut seen = Seen::default();
                if last.is_none() {
                    seen.lines.push(format!("  {}", one_line(&look.shown_as, 200)));
                }
                for told in look.lines.iter().filter(|told| last.is_none_or(|last| told.seq > last)) {
                    seen.lines.push(format!("  {}  {:<10}{}", clock(told.at), one_line(&told.what, 20), one_line(&told.text, 600)));
                }
                *last = Some(look.lines.last().map_or(0, |told| told.seq).max(last.unwrap_or(0)));
                seen
            }
        }
    }
}

impl Tail {
    fn open(dir: &Path, voice: Voice) -> Option<Tail> {
        let plan: Plan = serde_json::from_slice(&std::fs::read(dir.join("plan.json")).ok()?).ok()?;
        // Somebody who only writes down must not spoil what they look on at.
        if plan.is_blind() {
            return None;
        }
        let file = File::open(dir.join(FILE)).ok()?;
        let steps = runbook::steps(&plan);
        let teller = Teller::new(Arc::new(plan), voice.colour_err, voice.width);
        Some(Tail { file, at: 0, rest: Vec::new(), teller, steps })
    }

    fn look(&mut self) -> Seen {
        let mut seen = Seen::default();
        let read = self.file.seek(SeekFrom::Start(self.at)).and_then(|_| (&mut self.file).take(MOST).read_to_end(&mut self.rest));
        self.at += read.unwrap_or(0) as u64;
        // A line that is being written is read at the next look.
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else { return seen };
        let whole: Vec<u8> = self.rest.drain(..=end).collect();
        for line in whole.split(|byte| *byte == b'\n') {
            let Ok(entry) = serde_json::from_slice::<Entry>(line) else { continue };
            seen.over |= matches!(entry.event, Event::RunFinished { .. });
            seen.lines.extend(self.teller.lines(&entry));
        }
        seen
    }
}
