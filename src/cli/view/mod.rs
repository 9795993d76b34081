//! A run in the terminal: one line for each event that matters, and on a terminal lower lines that live. Everything goes to stderr; stdout
//! belongs to reports. It must never know how a drill is judged, nor have a say in it: it is handed journal entries and the time.

mod head;
mod line;
mod lower;
mod painter;
mod people;
mod pulse;
mod story;
mod teller;
mod veil;

use std::sync::Arc;

use indexmap::IndexMap;

use self::line::{Line, Look, Mood};
pub(in crate::cli) use self::painter::Painter;
use self::pulse::Pulse;
use self::story::{Story, names};
pub use self::teller::Teller;
use super::out::{say, terminal_size};
use crate::base::{At, Span};
use crate::engine::folds::bounds_of;
use crate::event::{Entry, Event};
use crate::fold::steady::{Held, SteadyFold, Watched};
use crate::plan::{Mode, Plan};

/// How long lines wait for the head to be complete. Starting what a scenario brings along may take a while.
const PATIENCE: Span = Span::secs(2);

/// How to show.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// On a terminal: lower lines live, and what is too long is cut.
    pub live: bool,
    /// Colour beside words.
    pub colour: bool,
    /// Columns of the terminal.
    pub width: usize,
    /// Those who respond look on: of a blind drill nothing is shown that is hidden.
    pub shared: bool,
}

/// Where lines go.
#[derive(Debug)]
enum Screen {
    /// One line after the other, on stderr.
    Plain,
    /// Above lower lines that are redrawn.
    Live(Painter<std::io::Stderr>),
    /// Kept, for tests.
    #[cfg(test)]
    Kept(Vec<String>),
}

/// A run as people see it.
#[derive(Debug)]
pub struct View {
    story: Story,
    run: String,
    look: Look,
    screen: Screen,
    pulses: IndexMap<String, Pulse>,
    steady: SteadyFold,
    /// Until the blast radius is known, lines are held back: the head stays in one piece.
    held: Option<Vec<Line>>,
    began: Option<At>,
    /// What is hidden is not shown yet.
    veiled: bool,
}

impl View {
    /// A view of one run, from its plan and its id.
    pub fn new(plan: Arc<Plan>, run: &str, style: Style) -> View {
        let screen = if style.live { Screen::Live(Painter::new(std::io::stderr(), style.width, 24)) } else { Screen::Plain };
        View::on(screen, plan, run, style)
    }

    fn on(screen: Screen, plan: Arc<Plan>, run: &str, style: Style) -> View {
        let look =
            Look { live: style.live, colour: style.colour, width: style.width, word: head::word_columns(&plan, style.live, style.width) };
        let pulses = plan.probes.iter().map(|(id, probe)| (id.to_string(), Pulse::new(probe))).collect();
        let watched = plan.probes.iter().filter_map(|(id, probe)| {
            let bounds = bounds_of(plan.steady.probes.get(id)?);
            Some((id.to_string(), Watched { interval: probe.rate.interval(), timeout: probe.timeout, bounds }))
        });
        let steady = SteadyFold::new(plan.steady.over, plan.steady.over + Span::secs(30), watched.collect());
        let held = (plan.mode == Mode::Normal && !plan.faults.is_empty()).then(Vec::new);
        let veiled = style.shared && plan.is_blind();
        let held = held.filter(|_| !veiled);
        View { story: Story::new(plan), run: run.to_owned(), look, screen, pulses, steady, held, began: None, veiled }
    }

    /// The head of the run: what is known before anything starts.
    pub fn head(&mut self) {
        if self.veiled {
            return self.print(&veil::opening(&self.story.plan, &self.run, &self.look));
        }
        let lines = head::opening(&self.story.plan, &self.run, &self.look);
        self.print(&lines);
        if self.held.is_none() {
            self.print(&[String::new()]);
        }
    }

    /// Takes in a journal entry, as it is written.
    pub fn entry(&mut self, entry: &Entry) {
        self.began.get_or_insert(entry.at);
        match &entry.event {
            Event::Samples { probe, rows } if self.look.live => {
                if let Some(pulse) = self.pulses.get_mut(probe) {
                    pulse.push(rows);
                }
                self.steady.push(probe, rows);
            }
            Event::Turned { probe, up, when, seen } => {
                if let Some(pulse) = self.pulses.get_mut(probe) {
                    pulse.turn(*up, *when, seen);
                }
            }
            _ => {}
        }
        let previewed = self.story.seen.len();
        let told = self.story.tell(entry);
        if self.veiled {
            return self.behind_the_veil(entry);
        }
        match &mut self.held {
            Some(held) => {
                held.extend(told);
                let trouble = self.story.state.abort.is_some() || held.iter().any(|line| line.mood == Mood::Bad);
                if self.story.previewed() || trouble {
                    self.release();
                }
            }
            None => {
                // The head is out already: what a late look for targets finds stands where it was found.
                let late = self.story.seen.get(previewed..).unwrap_or_default();
                let late = head::previewed(&self.story.plan, late, self.story.watchdog, &self.look);
                self.print(&late);
                let lines: Vec<String> = told.iter().map(|line| self.look.line(line)).collect();
                self.print(&lines);
            }
        }
    }

    /// What those who respond may see of an entry; lifts the veil with the reveal, or the end.
    fn behind_the_veil(&mut self, entry: &Entry) {
        let line = veil::line(&self.story.plan, entry).map(|line| self.look.line(&line));
        self.print(&line.into_iter().collect::<Vec<_>>());
        if veil::is_lifted_by(entry) {
            self.veiled = false;
            let mut lines = head::opening(&self.story.plan, &self.run, &self.look);
            lines.extend(head::previewed(&self.story.plan, &self.story.seen, self.story.watchdog, &self.look));
            lines.push(String::new());
            self.print(&lines);
        }
    }

    /// Ends the head with what is known by now, and lets out what waited for it.
    fn release(&mut self) {
        let Some(held) = self.held.take() else { return };
        let mut lines = head::previewed(&self.story.plan, &self.story.seen, self.story.watchdog, &self.look);
        if lines.is_empty() {
            lines.extend(self.look.wrapped("blast", 9, "known once what the scenario brings along has started"));
        }
        lines.push(String::new());
        lines.extend(together(held).iter().map(|line| self.look.line(line)));
        self.print(&lines);
    }

    /// Draws the lower lines anew. To be called about ten times a second.
    pub fn tick(&mut self, now: At) {
        if self.began.is_some_and(|began| now.since(began) > PATIENCE) {
            self.release();
        }
        if !self.look.live {
            return;
        }
        // It may have been resized.
        let size = terminal_size();
        if let Some((columns, _)) = size {
            self.look.width = columns;
        }
        let lower = self.lower(now);
        if let Screen::Live(painter) = &mut self.screen {
            if let Some((columns, rows)) = size {
                painter.resize(columns, rows);
            }
            painter.lower(lower);
        }
    }

    /// The lower lines.
    fn lower(&self, now: At) -> Vec<String> {
        if self.veiled {
            return veil::lower(&self.story.state, now, &self.look);
        }
        let state = &self.story.state;
        let asks = state.abort.is_none() && !state.probes_stopped && state.baseline_at.is_some();
        let asks = asks && (state.steady_at.is_none() || (state.settle_at.is_some() && state.steady_after.is_none()));
        let why_not = match self.steady.held() {
            Held::No { why } if asks => Some(why),
            _ => None,
        };
        lower::lines(&self.story, &self.pulses, why_not.as_deref(), now, &self.look)
    }

    /// The run is over: the lower lines go, the others stay.
    pub fn finish(&mut self) {
        self.release();
        if let Screen::Live(painter) = &mut self.screen {
            painter.lower(Vec::new());
        }
        self.screen = Screen::Plain;
        say("");
    }

    fn print(&mut self, lines: &[String]) {
        match &mut self.screen {
            Screen::Plain => lines.iter().for_each(|line| say(line)),
            Screen::Live(painter) if !lines.is_empty() => painter.above(lines),
            Screen::Live(_) => {}
            #[cfg(test)]
            Screen::Kept(kept) => kept.extend_from_slice(lines),
        }
    }
}

/// Several things that were started become one line.
fn together(lines: Vec<Line>) -> Vec<Line> {
    let (ready, mut rest): (Vec<Line>, Vec<Line>) =
        lines.into_iter().partition(|line| line.word == "system" && line.text.ends_with(" is ready"));
    let (Some(last), true) = (ready.last(), ready.len() > 1) else {
        return ready.into_iter().chain(rest).collect();
    };
    let who: Vec<String> = ready.iter().map(|line| line.text.trim_end_matches(" is ready").to_owned()).collect();
    rest.insert(0, Line { text: format!("{} are ready", names(&who)), ..last.clone() });
    rest
}

#[cfg(test)]
mod tests;
