//! `firedrill gameday run`: the agenda, item by item. What happened is on the disk before the day goes on, so that a day whose process died goes on
//! after the item that was under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::args::GamedayRun;
use super::super::exit::Exit;
use super::super::many::repeat::{bring_back, listen};
use super::super::out::{Voice, can_ask, say};
use super::super::policy;
use super::super::run::drill_quietly;
use super::gate::{Gate, Word};
use super::store::{self, DayError, Open};
use super::{Whole, drill, plan, report, whole};
use crate::base::{Span, one_line};
use crate::gameday::{Day, Happened, Item, Previous};
use crate::sys::{account, clock};

/// A day while it is held.
struct Held<'a> {
    whole: &'a Whole,
    open: Open,
    gate: Gate,
    args: &'a GamedayRun,
    stop: Arc<AtomicBool>,
    voice: Voice,
    /// The drill before was aborted: somebody looks before the next.
    shaken: bool,
}

/// `firedrill gameday run FILE`.
pub fn run(args: &GamedayRun, voice: Voice) -> Exit {
    let whole = match whole(&args.file, args.policy.named.as_deref(), voice) {
        Ok(whole) => whole,
        Err(exit) => return exit,
    };
    if !args.yes && !can_ask() {
        voice.error(
            "nobody can be asked before each drill",
            Some("add --yes to hold the day without a terminal; gates that name a role still wait"),
        );
        return Exit::Usage;
    }
    if let Err(why) = within(&whole) {
        voice.error(&why, Some("nothing was run; change `when` or `lasts` if the day was put off"));
        return Exit::CouldNotStart;
    }
    let open = match opened(args, &whole) {
        Ok(open) => open,
        Err(error) => {
            voice.error(&error.to_string(), Some(error.help()));
            return Exit::CouldNotStart;
        }
    };
    let stop = Arc::new(AtomicBool::new(false));
    listen(&stop);
    let gate = Gate::open(&open.id, Arc::clone(&stop), voice);
    say(&plan::text(&whole));
    say(&format!(
        "\n  game day {}\n  `firedrill gameday go` and `no-go` are heard from any account of the roster\n  Ctrl-C between drills ends the day; in a drill it aborts and undoes that\n",
        open.id
    ));
    let dir = open.dir.clone();
    Held { whole: &whole, open, gate, args, stop, voice, shaken: false }.hold();
    report::conclude(&dir, &args.runs.dir, args.output, voice)
}

/// Whether now is when drills may begin.
fn within(whole: &Whole) -> Result<(), String> {
    let (from, to) = whole.read.when.window(whole.lasts(), whole.read.day.early);
    let (now, when) = (clock::now(), &whole.read.when);
    let zone = when.zone.iana_name().unwrap_or("UTC");
    if now < from {
        return Err(format!("the game day begins at {} {zone}, drills from {} on", when.shown(when.begins), when.shown(from)));
    }
    if now >= to {
        return Err(format!("the game day was at {} {zone}; its window closed at {}", when.shown(when.begins), when.shown(to)));
    }
    Ok(())
}

fn opened(args: &GamedayRun, whole: &Whole) -> Result<Open, DayError> {
    let (_, uid) = account::ours();
    let by = account::who(uid);
    let digest = whole.read.digest.to_string();
    let Some(name) = &args.resume else {
        let mut open = store::create(&args.runs.dir, &whole.text)?;
        open.note(Happened::Started { digest, by, firedrill: env!("CARGO_PKG_VERSION").into() })?;
        return Ok(open);
    };
    let (id, dir) = store::find(&args.runs.dir, name)?;
    let mut open = store::open(&id, dir)?;
    let same = |what: &Happened| matches!(what, Happened::Started { digest: first, .. } if *first == digest);
    if !open.log.lines.first().is_some_and(|noted| same(&noted.what)) {
        return Err(DayError::Over(format!("{id} was a day of another file, or the file has changed since it began")));
    }
    if Day::of(&whole.read.day, &open.log).finished {
        return Err(DayError::Over(format!("{id} is done")));
    }
    open.note(Happened::Resumed { by })?;
    Ok(open)
}

impl Held<'_> {
    fn hold(&mut self) {
        let first = Day::of(&self.whole.read.day, &self.open.log).next();
        for index in first..self.whole.read.day.agenda.len() {
            let Some(item) = self.whole.read.day.agenda.get(index) else { break };
            if let Err(why) = self.one(index, item) {
                say(&format!("  the day ends here: {why}"));
                self.note(Happened::Stopped { why });
                return;
            }
        }
        self.note(Happened::Finished {});
    }

    fn note(&mut self, what: Happened) {
        if let Err(why) = self.open.note(what) {
            self.voice.warn(&format!("{why}; it is kept, and written as soon as there is room"));
        }
    }

    /// One item; why the day ends with it, if it does.
    fn one(&mut self, index: usize, item: &Item) -> Result<(), String> {
        let number = index + 1;
        if self.stop.load(Ordering::SeqCst) {
            return Err("it was told to end".into());
        }
        match (item.pause, item.debrief) {
            (Some(takes), _) => self.rest(number, "the break", takes),
            (_, Some(takes)) => self.rest(number, "the debrief", takes),
            _ => self.drill(index, item),
        }
    }

    fn rest(&mut self, number: usize, what: &str, takes: Span) -> Result<(), String> {
        say(&format!("  {number}  {what}: {}, or until somebody says go", takes.human()));
        self.note(Happened::Began { item: number });
        let word = self.gate.rest(what, self.everybody(), takes);
        let by = if let Word::Go { by } = &word { Some(by.clone()) } else { None };
        self.note(Happened::Ended { item: number, run: None, exit: None, by });
        if word == Word::Stop { Err("it was told to end".into()) } else { Ok(()) }
    }

    fn everybody(&self) -> Option<Vec<String>> {
        let all: Vec<String> = self.whole.read.day.participants.values().flatten().cloned().collect();
        (!all.is_empty()).then_some(all)
    }

    fn drill(&mut self, index: usize, item: &Item) -> Result<(), String> {
        let number = index + 1;
        let skip = |held: &mut Self, why: String| {
            say(&format!("  {number}  left out: {why}"));
            held.note(Happened::Skipped { item: number, why });
            Ok(())
        };
        let before = Day::of(&self.whole.read.day, &self.open.log).before(&self.whole.read.day, index);
        if let Some(wanted) = item.skip_if
            && before == Some(wanted.previous)
        {
            return skip(self, format!("the drill before it is {}", report::word(wanted.previous)));
        }
        if let Err(why) = within(self.whole) {
            return skip(self, why);
        }
        let Some(file) = &item.run else { return Ok(()) };
        match self.go(number, item, file)? {
            Word::Go { .. } | Word::Time => {}
            Word::NoGo { by, why } => {
                say(&format!("  {number}  no-go, by {by}"));
                self.note(Happened::NoGo { item: number, by, why });
                return Ok(());
            }
            Word::Stop => return Err("it was told to end".into()),
        }
        self.bring_back(index)?;
        // People take their time: a scenario may have changed, a window of a policy may have closed meanwhile.
        let loaded =
            drill(&self.whole.read, &self.whole.dir, index, self.args.policy.named.as_deref(), self.voice).unwrap_or(Err(Exit::Bug));
        let loaded = loaded.and_then(|loaded| policy::allow(loaded, self.args.policy.named.as_deref(), &self.voice));
        self.note(Happened::Began { item: number });
        let (exit, dir) = match loaded {
            Ok(loaded) => drill_quietly(loaded, &self.args.runs.dir, &self.args.metrics, self.voice),
            Err(exit) => (exit, None),
        };
        let run = dir.and_then(|dir| dir.file_name().map(|id| id.to_string_lossy().into_owned()));
        self.note(Happened::Ended { item: number, run, exit: Some(exit.code()), by: None });
        say(&format!("  {number}  {}\n", exit.meaning()));
        self.shaken = exit.code() == 40;
        match exit.code() {
            50 => Err("something could not be undone".into()),
            _ => Ok(()),
        }
    }

    /// Asks whoever is to be asked; go where nobody is.
    fn go(&mut self, number: usize, item: &Item, file: &str) -> Result<Word, String> {
        let role = item.go.as_deref();
        if role.is_none() && self.args.yes {
            return if self.shaken {
                Err("a drill was aborted, and nobody is named who would say go to the next".into())
            } else {
                Ok(Word::Time)
            };
        }
        let accounts = match role {
            Some(role) => self.whole.read.day.participants.get(role).cloned(),
            None => self.everybody(),
        };
        let title =
            self.whole.drills.get(number - 1).and_then(Option::as_ref).map_or_else(|| file.to_owned(), |drill| drill.plan.title.clone());
        let whose = role.map(|role| format!(" by {role}")).unwrap_or_default();
        let after = if self.shaken { " The drill before it was aborted." } else { "" };
        say(&format!(
            "  {number}  {}\n     go{whose}?{after} Type `go` or `no-go` here, or: firedrill gameday go {}",
            one_line(&title, 120),
            self.open.id
        ));
        self.note(Happened::Asked { item: number, role: role.map(str::to_owned) });
        let word = self.gate.ask(&format!("drill {number}"), role, accounts);
        if let Word::Go { by } = &word {
            self.note(Happened::Go { item: number, by: by.clone() });
        }
        Ok(word)
    }

    /// Brings the system of this drill back, if a drill was held before it and the scenario says how.
    fn bring_back(&mut self, index: usize) -> Result<(), String> {
        let day = &self.whole.read.day;
        let first = Day::of(day, &self.open.log).before(day, index).is_none_or(|before| before == Previous::NotHeld);
        let Some(loaded) = self.whole.drills.get(index).and_then(Option::as_ref).filter(|loaded| !first && loaded.plan.reset.is_some())
        else {
            return Ok(());
        };
        let failed = bring_back(&loaded.plan).err();
        self.note(Happened::Reset { item: index + 1, failed: failed.clone() });
        failed.map_or(Ok(()), |why| Err(format!("the system could not be brought back before drill {}: {why}", index + 1)))
    }
}
