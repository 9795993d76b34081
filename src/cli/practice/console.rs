//! The participant's side of the terminal: what they may see of a drill that they know nothing of, and what they say while its clock runs. It shows
//! what it lists, and nothing else: no name of a fault, a target, an expectation or an answer passes through here before the end.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use tokio::sync::mpsc;

use super::super::keys::{Decoder, Key, Line};
use super::super::onlooker::Onlooker;
use super::super::out::{Voice, say, terminal_size};
use super::super::view::Painter;
use super::drills::{Pick, Ports};
use super::page::{tail, wrap};
use super::spoken::{self, Out};
use super::words::{self, Word};
use crate::base::{At, Span, one_line};
use crate::event::{Deed, Entry, Event, Outcome, TeamEvent, Verdict};
use crate::response::runbook::Runbook;
use crate::sys::terminal::{Keyboard, Typed};

/// As which role a participant speaks.
pub const ROLE: &str = "oncall";
/// How far back it is looked whether customers are served.
const LATELY: Span = Span::secs(3);

/// The terminal of somebody who practises.
#[derive(Debug)]
pub struct Console {
    pub(super) pick: Pick,
    pub(super) ports: Ports,
    pub(super) shelf: Vec<(&'static str, String, Runbook)>,
    /// Where the runbooks lie, for a second terminal.
    pub(super) books: PathBuf,
    pub(super) runs: PathBuf,
    keyboard: Keyboard,
    decoder: Decoder,
    line: Line,
    painter: Option<Painter<std::io::Stderr>>,
    pub(super) width: usize,
    first_hint: bool,
    pub(super) place: Option<PathBuf>,
    pub(super) run: Option<String>,
    pub(super) inbox: mpsc::UnboundedReceiver<Out>,
    pub(super) outbox: mpsc::UnboundedSender<Out>,
    /// The runbook that was read last.
    pub(super) last_book: Option<String>,
    steady: bool,
    paged: Option<At>,
    pub(super) hints: usize,
    penalty: Span,
    /// Of each order of late: when, and whether it was served.
    orders: VecDeque<(At, bool)>,
    warned: bool,
    mitigated: bool,
    answered: bool,
    /// When an answer came of which nothing is known yet.
    doubt: Option<At>,
    pub(super) ending: bool,
}

impl Console {
    /// Takes the terminal, where it is one that can be drawn on.
    pub fn new(pick: Pick, ports: Ports, books: PathBuf, runs: &Path, first_hint: bool, voice: Voice) -> Console {
        let taken = if voice.live { Keyboard::keys(true).ok() } else { None };
        let painter = taken.as_ref().map(|_| Painter::new(std::io::stderr(), voice.width, 24));
        let (outbox, inbox) = mpsc::unbounded_channel();
        Console {
            pick,
            ports,
            shelf: super::drills::shelf(&ports),
            books,
            runs: runs.to_owned(),
            keyboard: taken.unwrap_or_else(Keyboard::lines),
            decoder: Decoder::default(),
            line: Line::default(),
            painter,
            width: voice.width,
            first_hint,
            place: None,
            run: None,
            inbox,
            outbox,
            last_book: None,
            steady: false,
            paged: None,
            hints: 0,
            penalty: Span::ZERO,
            orders: VecDeque::new(),
            warned: false,
            mitigated: false,
            answered: false,
            doubt: None,
            ending: false,
        }
    }

    /// Every step of the runbooks.
    pub(super) fn steps(&self) -> Vec<String> {
        self.shelf.iter().flat_map(|(name, _, book)| book.steps.iter().map(move |step| format!("{name}#{}", step.id))).collect()
    }

    pub(super) fn show(&mut self, lines: &[String]) {
        match &mut self.painter {
            Some(painter) => painter.above(lines),
            None => lines.iter().for_each(|line| say(line)),
        }
    }

    /// A line with its time, wrapped.
    fn at(&mut self, at: At, text: &str) {
        let lines = wrap(&format!("{}  {}", spoken::clock(at), one_line(text, 2_000)), self.columns(), 7);
        self.show(&lines);
    }

    pub(super) fn tell(&mut self, text: &str) {
        let lines = wrap(&format!("       {text}"), self.columns(), 7);
        self.show(&lines);
    }

    pub(super) fn columns(&self) -> usize {
        self.width.saturating_sub(1).min(110)
    }

    fn of_team(&mut self, at: At, event: &TeamEvent) {
        match event {
            TeamEvent::Listening { place } => self.place = Path::new(place).parent().map(Path::to_owned),
            TeamEvent::Deaf { why } => self.at(at, &format!("you cannot be heard: {why}")),
            TeamEvent::Alert(alert) if alert.firing => {
                self.paged.get_or_insert(at);
                let book = self.shelf.iter().find(|(_, _, book)| book.alerts.contains(&alert.name)).map(|(name, ..)| *name);
                let of =
                    alert.labels.get("instance").filter(|of| of.as_str() != "balancer").map_or_else(String::new, |of| format!(" ({of})"));
                let book = book.map_or_else(String::new, |book| format!("; runbook: `book {book}`"));
                let severity = alert.labels.get("severity").map_or("alert", String::as_str).to_ascii_uppercase();
                self.at(at, &format!("{severity}: {}{of} fires{book}", alert.name));
            }
            TeamEvent::Alert(alert) => self.at(at, &format!("ok: {} has ended", alert.name)),
            TeamEvent::SourceLost { .. } => self.at(at, "the monitor does not answer"),
            TeamEvent::Said(said) => self.of_participant(at, &said.deed),
            TeamEvent::Met { id, .. } if id == "diagnosed" => {
                self.answered = true;
                if self.mitigated {
                    self.tell("That is what it was. The drill ends as soon as all was well for a moment.");
                }
            }
            _ => {}
        }
    }

    fn of_participant(&mut self, at: At, deed: &Deed) {
        match deed {
            Deed::Mark { mark, text } if mark.starts_with("hint-") => self.at(at, &format!("hint: {text}")),
            Deed::Mark { mark, .. } if mark == "mitigated" => {
                self.mitigated = true;
                self.at(at, "you: mitigated");
                if !self.answered {
                    self.tell("What was wrong? Say it by `answer` and your words; the drill waits for it. `give up` ends it.");
                }
            }
            Deed::Mark { mark, .. } => self.at(at, &format!("you: {mark}")),
            Deed::Answer { text, .. } => {
                self.at(at, &format!("you: it is “{text}”"));
                self.doubt = (self.mitigated && !self.answered).then_some(at);
            }
            Deed::Step { step, back_out: false } => self.at(at, &format!("you did {step}")),
            Deed::Step { step, back_out: true } => self.at(at, &format!("you took {step} back")),
            Deed::Note { text } => self.at(at, &format!("noted: {text}")),
            Deed::Command { line } => self.at(at, &format!("$ {line}")),
            _ => {}
        }
    }

    /// Share of the orders of late that were not served, in percent.
    fn unserved(&self) -> Option<usize> {
        let all = self.orders.len();
        let bad = self.orders.iter().filter(|(_, good)| !good).count();
        (all > 0).then(|| bad * 100 / all)
    }

    fn word(&mut self, typed: &str) {
        let word = words::read(typed);
        if self.painter.is_some() && word != Word::Nothing {
            self.show(&[format!("> {}", one_line(typed, 4_000))]);
        }
        match word {
            Word::Nothing => {}
            Word::Help => spoken::help(self),
            Word::Look(place) => spoken::look(self, place.as_deref()),
            Word::Book(name) => spoken::book(self, name.as_deref()),
            Word::Ack => spoken::say(self, Deed::Mark { mark: "ack".into(), text: String::new() }),
            Word::Answer(text) => spoken::say(self, Deed::Answer { of: None, text }),
            Word::Note(text) => spoken::say(self, Deed::Note { text }),
            Word::Step { step, back } => match words::find(&self.steps(), self.last_book.as_deref(), &step) {
                Ok(step) => spoken::say(self, Deed::Step { step, back_out: back }),
                Err(why) => self.tell(&why),
            },
            Word::Mitigated => match self.unserved().filter(|bad| *bad > 10 && !self.warned) {
                Some(bad) => {
                    self.warned = true;
                    self.tell(&format!("{bad} % of the orders of the last 3 s were not served. Not yet, perhaps? Once more, and it is written down all the same."));
                }
                None => spoken::say(self, Deed::Mark { mark: "mitigated".into(), text: String::new() }),
            },
            Word::Hint if self.paged.is_none() => self.tell("Nothing is wrong yet: wait for the page."),
            Word::Hint => self.hint(),
            Word::Run(line) => spoken::run(self, line),
            Word::GiveUp => spoken::give_up(self, "the participant gave up"),
            Word::Lacks(why) => self.tell(why),
            Word::Unknown(word) => self.tell(&format!("`{}` is no word here; `?` shows them", one_line(&word, 40))),
        }
    }

    fn hint(&mut self) {
        let Some(hint) = self.pick.drill.hints.get(self.hints) else {
            self.tell("There are no more hints. `give up` shows what it was.");
            return;
        };
        self.hints += 1;
        self.penalty = self.penalty + hint.costs;
        let text = format!("{} (+{} on your clock)", hint.say, hint.costs.human());
        spoken::say(self, Deed::Mark { mark: format!("hint-{}", self.hints), text });
    }

    fn listen(&mut self) {
        match self.keyboard.read() {
            Typed::Nothing => {}
            Typed::End if self.ending => {}
            Typed::End => spoken::give_up(self, "nobody sits at the terminal any more"),
            Typed::Bytes(bytes) => {
                for key in self.decoder.keys(&bytes) {
                    match key {
                        Key::Ctrl('d') if self.line.text().is_empty() => self.tell("`give up` ends it, and shows what it was."),
                        Key::Ctrl('z') => {
                            self.tell("A drill cannot be put aside: its clock runs. `give up`, or Ctrl-C, ends it and undoes everything.")
                        }
                        key => {
                            if let Some(line) = self.line.key(key) {
                                self.word(&line);
                            }
                        }
                    }
                }
            }
        }
    }

    /// The lines that are drawn again and again.
    fn lower(&self, now: At) -> Vec<String> {
        if self.ending {
            return Vec::new();
        }
        let cost = self
            .pick
            .drill
            .hints
            .get(self.hints)
            .map_or_else(|| "no more hints".to_owned(), |hint| format!("hint: +{}", hint.costs.human()));
        let standing = match self.paged {
            Some(paged) if self.penalty > Span::ZERO => {
                format!("your clock {} (+{} for hints)", spoken::clock(At(now.since(paged).0)), self.penalty.human())
            }
            Some(paged) => format!("your clock {}", spoken::clock(At(now.since(paged).0))),
            None if self.steady => "all is well".to_owned(),
            None => "starting".to_owned(),
        };
        let columns = self.columns();
        let cut = |text: String| text.chars().take(columns).collect();
        vec![
            cut(format!("─ {standing} · {cost} · ? help · q give up")),
            format!("> {}▏", tail(self.line.text(), columns.saturating_sub(4))),
        ]
    }
}

impl Onlooker for Console {
    fn head(&mut self) {
        spoken::opening(self);
    }

    fn entry(&mut self, entry: &Entry) {
        match &entry.event {
            Event::RunStarted { run, .. } => self.run = Some(run.clone()),
            Event::SteadyShown { .. } => {
                self.steady = true;
                self.at(entry.at, "The shop is up, and customers are served. Wait for the page.");
            }
            Event::Samples { probe, rows } if probe == "checkout" => {
                let counted = rows.iter().filter(|row| matches!(row.verdict, Verdict::Ok | Verdict::Bad));
                self.orders.extend(counted.map(|row| (row.planned, row.verdict == Verdict::Ok)));
                while self.orders.pop_front_if(|(at, _)| entry.at.since(*at) > LATELY).is_some() {}
            }
            Event::Team(event) => self.of_team(entry.at, event),
            Event::AbortRequested { .. } => {
                self.ending = true;
                self.at(entry.at, "It ends here. Everything is being undone …");
            }
            Event::SettleStarted { .. } if !self.ending => self.at(entry.at, "What was broken is repaired."),
            Event::RunFinished { outcome } => {
                self.ending = true;
                let text = match outcome {
                    Outcome::NotSteady => {
                        "The shop did not come to rest on this machine, so nothing was broken. Try again when it is less busy."
                    }
                    Outcome::Stuck => "Something could not be undone; see below.",
                    Outcome::Completed | Outcome::Aborted => "Everything is undone.",
                };
                self.at(entry.at, text);
            }
            _ => {}
        }
    }

    fn tick(&mut self, now: At) {
        if let Some((columns, rows)) = terminal_size().filter(|_| self.painter.is_some()) {
            self.width = columns;
            if let Some(painter) = &mut self.painter {
                painter.resize(columns, rows);
            }
        }
        while let Ok(out) = self.inbox.try_recv() {
            spoken::heard(self, out);
        }
        if self.first_hint && self.paged.is_some() && self.place.is_some() {
            self.first_hint = false;
            self.hint();
        }
        // When it was right, the drill says so at once.
        if self.doubt.is_some_and(|at| self.answered || now.since(at) > Span::secs(1)) {
            self.doubt = None;
            if !self.answered && !self.ending {
                self.tell("That is not it: look on, and say what it is; or `give up`.");
            }
        }
        self.listen();
        let lower = self.lower(now);
        if let Some(painter) = &mut self.painter {
            painter.lower(lower);
        }
    }

    fn finish(&mut self) {
        while let Ok(out) = self.inbox.try_recv() {
            spoken::heard(self, out);
        }
        if let Some(painter) = &mut self.painter {
            painter.lower(Vec::new());
        }
        self.keyboard.give_back();
    }
}
