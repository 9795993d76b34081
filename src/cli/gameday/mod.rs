//! `firedrill gameday`: an agenda of drills, held one after another.

pub mod gate;
mod plan;
mod report;
mod run;
pub(super) mod store;

use std::path::{Path, PathBuf};

use indexmap::IndexMap;

use super::args::Gameday;
use super::exit::Exit;
use super::known::known;
use super::load::{Loaded, load};
use super::out::{Voice, say};
use super::{named, policy};
use crate::base::Span;
use crate::gameday::{Planned, Read, schedule};
use crate::plan::preview::worst_case;
use crate::plan::{Mode, Plan};
use crate::scenario::render_all;
use crate::sys::clock;

/// More than the language allows is not read at all.
const LARGEST: u64 = 1024 * 1024;

/// Does what was asked.
pub fn gameday(asked: &Gameday, voice: Voice) -> Exit {
    match asked {
        Gameday::Plan(args) => plan::plan(args, voice),
        Gameday::Export(args) => plan::export(args, voice),
        Gameday::Run(args) => run::run(args, voice),
        Gameday::Go(args) => gate::say_it(args, true, voice),
        Gameday::NoGo(args) => gate::say_it(args, false, voice),
        Gameday::Report(args) => report::report(args, voice),
    }
}

/// A game day with its drills.
struct Whole {
    text: Vec<u8>,
    dir: PathBuf,
    read: Read,
    /// By item; nothing for those that are no drills.
    drills: Vec<Option<Loaded>>,
}

/// Reads a game day and every scenario of it; all problems are said.
fn whole(path: &Path, named_policy: Option<&Path>, voice: Voice) -> Result<Whole, Exit> {
    let (text, read) = read_file(path, voice)?;
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
    let mut drills = Vec::new();
    let mut refused = None;
    for index in 0..read.day.agenda.len() {
        let loaded = drill(&read, &dir, index, named_policy, voice);
        drills.push(loaded.transpose().unwrap_or_else(|exit| {
            refused.get_or_insert(exit);
            None
        }));
    }
    match refused {
        Some(exit) => Err(exit),
        None => Ok(Whole { text, dir, read, drills }),
    }
}

fn read_file(path: &Path, voice: Voice) -> Result<(Vec<u8>, Read), Exit> {
    let text = named::whole(path, LARGEST).map_err(|unread| {
        voice.error(&format!("failed to read {}: {}", path.display(), unread.why), Some(unread.help));
        Exit::Refused
    })?;
    let read = crate::gameday::read(&text, &path.display().to_string(), &clock::zone).map_err(|diagnostics| {
        say(&render_all(&diagnostics, voice.colour_err));
        Exit::Refused
    })?;
    Ok((text, read))
}

/// The drill of an item, as it would be run now: with the roster of the day. Nothing where the item is none.
fn drill(read: &Read, dir: &Path, index: usize, named_policy: Option<&Path>, voice: Voice) -> Option<Result<Loaded, Exit>> {
    let item = read.day.agenda.get(index)?;
    let file = dir.join(item.run.as_ref()?);
    let vars: Vec<(String, String)> = item.vars.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let mode = if item.tabletop { Mode::Tabletop } else { Mode::Normal };
    let loaded = load(&file, &vars, mode, known(), &voice);
    Some(loaded.and_then(|mut loaded| {
        policy::check(&loaded, named_policy, &voice)?;
        enrol(&mut loaded.plan, read, item.unattended).map_err(|why| {
            voice.error(&format!("{}: {why}", file.display()), Some("add the role to `participants` of the game day, with its accounts"));
            Exit::Refused
        })?;
        Ok(loaded)
    }))
}

/// Puts the roster of the day in the place of the scenario's own.
fn enrol(plan: &mut Plan, read: &Read, unattended: bool) -> Result<(), String> {
    let Some(team) = &mut plan.team else { return Ok(()) };
    team.unattended |= unattended;
    let roster = &read.day.participants;
    if roster.is_empty() {
        return Ok(());
    }
    if let Some(role) = team.roles.keys().find(|role| !roster.contains_key(role.as_str())) {
        return Err(format!("it has a role `{role}` that nobody fills on this day"));
    }
    team.roles = roster.iter().map(|(role, accounts)| (role.clone(), accounts.clone())).collect::<IndexMap<_, _>>();
    Ok(())
}

impl Whole {
    /// The agenda with its times, if each item took as long as it may.
    fn schedule(&self) -> Vec<Planned<'_>> {
        schedule(&self.read.day, &self.read.when, &|index| {
            self.drills
                .get(index)
                .and_then(Option::as_ref)
                .map_or_else(Default::default, |drill| (drill.plan.shown().to_owned(), takes(&drill.plan)))
        })
    }

    /// How long drills may begin: as declared, or as long as all of it may take.
    fn lasts(&self) -> Span {
        self.read.day.lasts.unwrap_or_else(|| self.takes())
    }

    fn takes(&self) -> Span {
        self.schedule().iter().fold(Span::ZERO, |sum, item| sum + item.takes)
    }
}

/// How long a drill takes at most.
fn takes(plan: &Plan) -> Span {
    worst_case(plan)
}
