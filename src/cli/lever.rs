//! `firedrill lever`: the safety lever of this machine, and what those are told whom it stops.

use super::args::Lever as Action;
use super::exit::Exit;
use super::out::{Voice, print, say};
use crate::journal::{Engaged, JournalError, Registry};

/// Engages it, releases it, or says where it stands.
pub fn lever(action: &Action, voice: Voice) -> Exit {
    let lever = Registry::here().lever();
    let failed = |error: JournalError, help: &str| {
        voice.error(&format!("failed to {error}"), Some(help));
        Exit::CouldNotStart
    };
    match action {
        Action::Engage { reason } => match lever.engage(reason) {
            Ok(true) => {
                say("the safety lever is engaged: running drills abort, and none starts until `firedrill lever release`");
                Exit::Ok
            }
            Ok(false) => {
                say(&format!(
                    "it was engaged before, and stays so{}",
                    lever.look().map(|now| format!(": {}", words(&now))).unwrap_or_default()
                ));
                Exit::Ok
            }
            Err(error) => failed(error, "interrupt each drill instead: `firedrill abort --all`"),
        },
        Action::Release => {
            let before = lever.look();
            match lever.release() {
                Ok(true) => {
                    say(&format!("released; it was {}", before.map_or_else(|| "engaged".to_owned(), |before| words(&before))));
                    Exit::Ok
                }
                Ok(false) => {
                    say("it was not engaged");
                    Exit::Ok
                }
                Err(error) => failed(error, &format!("whoever owns that file, or root, can release it; {}", whose(before))),
            }
        }
        Action::Status => match lever.look() {
            None => {
                print("released: drills may run");
                Exit::Ok
            }
            Some(engaged) => {
                print(&words(&engaged));
                Exit::CouldNotStart
            }
        },
    }
}

fn whose(engaged: Option<Engaged>) -> String {
    engaged.map_or_else(|| "it is engaged no more".to_owned(), |engaged| format!("it is {}", words(&engaged)))
}

fn words(engaged: &Engaged) -> String {
    let at = engaged.at.as_ref().map(|at| format!(" at {at}")).unwrap_or_default();
    format!("engaged by {}{at}: {}", engaged.by, engaged.reason)
}

/// Tells somebody who wants to start a drill why they may not.
pub fn refuse(engaged: &Engaged, voice: Voice) {
    let why = format!("the safety lever of this machine is {}", words(engaged));
    voice.error(&why, Some("nothing was started; when drills may run again: firedrill lever release"));
}
