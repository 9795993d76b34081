//! Where a game day stands, from its log alone.

use super::log::{Happened, Log};
use super::model::{GameDay, Previous};

/// As a run ends that shows nothing either way.
const INCONCLUSIVE: u8 = 31;

/// What became of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stands {
    /// It has not begun.
    NotYet,
    /// It is under way; or it was, when whoever ran the day died.
    UnderWay,
    /// A drill was held.
    Held {
        /// Its run.
        run: Option<String>,
        /// Its exit code.
        exit: u8,
    },
    /// Somebody said no-go.
    NoGo {
        /// Who.
        by: String,
        /// Why.
        why: Option<String>,
    },
    /// It was left out.
    Skipped(String),
    /// A break or the debrief is over.
    Done,
}

/// A game day as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Day {
    /// By item.
    pub items: Vec<Stands>,
    /// The item that waits for a go.
    pub asked: Option<usize>,
    /// Why it ended before its agenda.
    pub stopped: Option<String>,
    /// Its agenda is done.
    pub finished: bool,
}

impl Day {
    /// From its log.
    pub fn of(day: &GameDay, log: &Log) -> Day {
        let mut stands = Day { items: vec![Stands::NotYet; day.agenda.len()], asked: None, stopped: None, finished: false };
        for noted in &log.lines {
            stands.apply(&noted.what, day);
        }
        stands
    }

    fn apply(&mut self, what: &Happened, day: &GameDay) {
        let (number, now) = match what {
            Happened::Started { .. } | Happened::Go { .. } | Happened::Reset { .. } => return,
            Happened::Resumed { .. } => {
                self.stopped = None;
                return;
            }
            Happened::Asked { item, .. } => {
                self.asked = Some(*item);
                return;
            }
            Happened::Stopped { why } => {
                self.stopped = Some(why.clone());
                return;
            }
            Happened::Finished {} => {
                self.finished = true;
                return;
            }
            Happened::NoGo { item, by, why } => (*item, Stands::NoGo { by: by.clone(), why: why.clone() }),
            Happened::Skipped { item, why } => (*item, Stands::Skipped(why.clone())),
            Happened::Began { item } => (*item, Stands::UnderWay),
            Happened::Ended { item, run, exit, .. } => {
                let drill = item.checked_sub(1).and_then(|n| day.agenda.get(n)).is_some_and(|item| item.run.is_some());
                (*item, if drill { Stands::Held { run: run.clone(), exit: exit.unwrap_or(1) } } else { Stands::Done })
            }
        };
        self.asked = None;
        if let Some(stands) = number.checked_sub(1).and_then(|n| self.items.get_mut(n)) {
            *stands = now;
        }
    }

    /// The item that comes next, from 0: after all that anything is known of.
    pub fn next(&self) -> usize {
        self.items.iter().rposition(|item| *item != Stands::NotYet).map_or(0, |last| last + 1)
    }

    /// What became of the drill before an item, from 0; nothing where there is none.
    pub fn before(&self, day: &GameDay, index: usize) -> Option<Previous> {
        let drill = (0..index).rev().find(|n| day.agenda.get(*n).is_some_and(|item| item.run.is_some()))?;
        Some(match self.items.get(drill) {
            Some(Stands::Held { exit, .. }) => previous(*exit),
            _ => Previous::NotHeld,
        })
    }

    /// The exit code of each drill; that of what is inconclusive where one that was planned was not held to its end.
    pub fn exits(&self, day: &GameDay) -> Vec<u8> {
        let drills = self.items.iter().zip(&day.agenda).filter(|(_, item)| item.run.is_some());
        drills.map(|(stands, _)| if let Stands::Held { exit, .. } = stands { *exit } else { INCONCLUSIVE }).collect()
    }
}

/// What an exit code says of a drill's system. The team's verdict leaves no drill out.
pub fn previous(exit: u8) -> Previous {
    match exit {
        0 | 32 => Previous::Passed,
        30 => Previous::Failed,
        INCONCLUSIVE => Previous::Inconclusive,
        33 => Previous::Invalid,
        20 => Previous::NotSteady,
        40 | 50 => Previous::Aborted,
        _ => Previous::NotHeld,
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::Item;
    use super::*;

    fn day() -> GameDay {
        let drill = || Item { run: Some("a.yaml".into()), ..Item::default() };
        let pause = Item { pause: Some(crate::base::Span::secs(60)), ..Item::default() };
        GameDay {
            gameday: 1,
            title: "Payments".into(),
            why: None,
            owner: None,
            when: "2026-12-03 10:00 UTC".into(),
            lasts: None,
            early: None,
            participants: Default::default(),
            agenda: vec![drill(), pause, drill(), drill()],
        }
    }

    fn after(what: Vec<Happened>) -> Day {
        let mut log = Log::default();
        what.into_iter().for_each(|what| drop(log.note(String::new(), what)));
        Day::of(&day(), &log)
    }

    #[test]
    fn what_was_not_held_leaves_the_day_inconclusive() {
        let ended = |item, exit| Happened::Ended { item, run: Some(format!("R{item}")), exit: Some(exit), by: None };
        let no = Happened::NoGo { item: 3, by: "bob".into(), why: None };
        let stands = after(vec![Happened::Began { item: 1 }, ended(1, 0), Happened::Began { item: 2 }, ended(2, 0), no, ended(4, 0)]);
        assert_eq!(stands.items[1], Stands::Done);
        assert_eq!((stands.exits(&day()), stands.next(), stands.before(&day(), 3)), (vec![0, 31, 0], 4, Some(Previous::NotHeld)));
        assert_eq!(stands.before(&day(), 2), Some(Previous::Passed));
        assert_eq!(stands.before(&day(), 0), None);
        let worst = after(vec![ended(1, 30), ended(3, 40), ended(4, 0)]);
        assert_eq!(worst.exits(&day()), [30, 40, 0]);
    }

    #[test]
    fn a_day_goes_on_after_what_was_under_way_when_its_runner_died() {
        let stands = after(vec![Happened::Began { item: 1 }]);
        assert_eq!((stands.items[0].clone(), stands.next()), (Stands::UnderWay, 1));
        assert_eq!(stands.before(&day(), 2), Some(Previous::NotHeld));
    }
}
