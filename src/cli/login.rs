//! Who acts in an AWS account, before anything is touched: asked for a code where the role wants one, and held to credentials that outlast the drill.

use std::path::Path;

use serde_json::Value;
#[cfg(feature = "aws")]
use serde_json::json;

use super::exit::Exit;
use super::out::Voice;
use crate::plan::Plan;

/// When somebody has to log in again, as `plan` tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// For people.
    pub words: String,
    /// Why a run could not start, if it could not.
    pub trouble: Option<String>,
    /// For programs.
    pub value: Value,
}

/// Without AWS nobody logs in.
#[cfg(not(feature = "aws"))]
mod act {
    use super::*;

    pub fn ready(_: &Plan, _: Voice) -> Result<(), Exit> {
        Ok(())
    }

    pub fn enter(_: &Plan, _: Voice) -> Result<(), Exit> {
        Ok(())
    }

    pub fn to_undo(_: &Path, _: Voice) {}

    pub fn told(_: &Plan) -> Option<Told> {
        None
    }
}

#[cfg(feature = "aws")]
mod act {
    use std::io::Write;
    use std::sync::atomic::{AtomicBool, Ordering};

    use jiff::Timestamp;

    use super::*;
    use crate::base::Span;
    use crate::cli::helper::TRYING;
    use crate::cli::keys::{Decoder, Key, Line};
    use crate::cli::out::{can_ask, say};
    use crate::cli::runtime;
    use crate::engine::finish::{self, place_of};
    use crate::event::UndoRecord;
    use crate::plan::Mode;
    use crate::plan::preview::worst_case;
    use crate::sys::aws::{self, AwsError, End};
    use crate::sys::terminal::{Keyboard, Typed};
    use crate::sys::{Place, clock, session};

    /// How often it is asked again after a code that AWS did not take.
    const AGAIN: u32 = 3;
    /// How long a session of a role lasts where nothing is said.
    const USUAL: Span = Span::secs(3600);
    /// What an undo, or a look, needs of a session that is there already.
    const A_MOMENT: Span = Span::secs(120);
    /// How often the keyboard is looked at.
    const LOOK: Span = Span::millis(20);
    const SHORTER: &str =
        "write a longer `session:` under `aws:`, up to the maximum of the role, or make the drill shorter; nothing was injected";

    fn place(plan: &Plan) -> Option<Place> {
        plan.aws.as_ref().map(place_of)
    }

    fn after(span: Span) -> Timestamp {
        clock::now().saturating_add(span.std()).unwrap_or(Timestamp::MAX)
    }

    /// The longest that credentials may be needed: the drill, and undoing it, also when its runner is dead.
    fn needed(plan: &Plan) -> Span {
        worst_case(plan) + if plan.mode == Mode::Normal { TRYING } else { Span::ZERO }
    }

    fn in_words(needed: Span, plan: &Plan) -> String {
        let undoing = if plan.mode == Mode::Normal { format!(", and undoing it up to {} more", TRYING.human()) } else { String::new() };
        let until = at(after(needed));
        format!("the drill may last {}{undoing}: until {until}", worst_case(plan).human())
    }

    /// An instant to the second.
    fn at(instant: Timestamp) -> String {
        instant.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// Makes sure that whoever acts for this plan can act until the end of it, and undo it.
    pub fn ready(plan: &Plan, voice: Voice) -> Result<(), Exit> {
        let Some(place) = place(plan) else { return Ok(()) };
        let needed = needed(plan);
        if plan.mode == Mode::Tabletop {
            // Nothing is touched: at most alarms are looked at.
            return if can_ask() || is_given() { asked(&place, A_MOMENT, voice) } else { Ok(()) };
        }
        let lasts = place.session.unwrap_or(USUAL);
        if place.mfa.is_some() && lasts < needed {
            let why = format!("a session of the role lasts {}, and {}", lasts.human(), in_words(needed, plan));
            voice.error(&why, Some(SHORTER));
            return Err(Exit::CouldNotStart);
        }
        asked(&place, needed, voice)?;
        match end_of(&place, needed) {
            Some(end) if end.at < after(needed) => {
                let why = format!("{}, and {}", ends(&end), in_words(needed, plan));
                voice.error(&why, Some(&format!("{}; nothing was injected", end.help)));
                Err(Exit::CouldNotStart)
            }
            _ => Ok(()),
        }
    }

    /// `the SSO login ends at 2026-11-28T01:00:00Z, in 20 min`.
    fn ends(end: &End) -> String {
        let left = end.at.as_second().saturating_sub(clock::now().as_second());
        match u64::try_from(left) {
            Ok(left) if left > 0 => format!("{} ends at {}, in {}", end.what, at(end.at), Span::secs(left).human()),
            _ => format!("{} ended at {}", end.what, at(end.at)),
        }
    }

    fn end_of(place: &Place, needed: Span) -> Option<End> {
        let runtime = runtime().ok()?;
        runtime.block_on(aws::ends(place, after(needed)))
    }

    /// Asks for a code where looking at what a plan would hit needs one.
    pub fn enter(plan: &Plan, voice: Voice) -> Result<(), Exit> {
        place(plan).map_or(Ok(()), |place| asked(&place, A_MOMENT, voice))
    }

    /// Asks for a code where what a dead run owes needs one. Without one the rest is undone all the same.
    pub fn to_undo(dir: &Path, voice: Voice) {
        let Ok(plan) = finish::plan_of(dir) else { return };
        // Nobody knows what a damaged journal owes.
        let needs = finish::load(dir).map_or(true, |dead| dead.state.owed().any(|(_, item)| is_in_account(&item.undo)));
        if needs && enter(&plan, voice).is_err() {
            voice.warn(&format!("{}: what is owed in the account cannot be undone like this; the rest is", dir.display()));
        }
    }

    /// Whether an undo, or the look that tells whether it worked, is for the account.
    fn is_in_account(undo: &UndoRecord) -> bool {
        undo.kind.starts_with("aws.") || undo.declared.as_ref().is_some_and(|undo| json!(undo).to_string().contains("\"aws."))
    }

    /// When somebody has to log in again, and whether that is too soon.
    pub fn told(plan: &Plan) -> Option<Told> {
        let place = place(plan)?;
        let needed = needed(plan);
        let lasts = place.session.unwrap_or(USUAL);
        let value =
            |end: Option<Timestamp>| json!({ "ends": end.map(at), "needed_until": at(after(needed)), "by_code": place.mfa.is_some() });
        if let Some(end) = end_of(&place, needed) {
            // One that was opened to look is not the one of the drill.
            let short = if place.mfa.is_some() { lasts < needed } else { end.at < after(needed) };
            let trouble = short.then(|| format!("{}, and {}", ends(&end), in_words(needed, plan)));
            return Some(Told { words: ends(&end), trouble, value: value(Some(end.at)) });
        }
        place.mfa.as_ref()?;
        let words = format!("a session of the role lasts {} from when its code is given", lasts.human());
        let trouble = (lasts < needed).then(|| format!("{words}, and {}", in_words(needed, plan)));
        Some(Told { words, trouble, value: value(None) })
    }

    static USED: AtomicBool = AtomicBool::new(false);

    /// Whether the environment holds a code that was not tried yet.
    fn is_given() -> bool {
        !USED.load(Ordering::SeqCst) && session::code().is_some()
    }

    /// The code of the environment, once: each is good once.
    fn given() -> Option<String> {
        let code = is_given().then(session::code).flatten();
        USED.store(true, Ordering::SeqCst);
        code
    }

    /// Makes sure that there is a session for so long, where only a code opens one.
    fn asked(place: &Place, needed: Span, voice: Voice) -> Result<(), Exit> {
        if place.mfa.is_none() || session::of(place).is_some_and(|session| session.until >= after(needed)) {
            return Ok(());
        }
        let Ok(runtime) = runtime() else { return Err(Exit::Bug) };
        let device = aws::device(place);
        let mut said = false;
        for _ in 0..=AGAIN {
            let code = match given() {
                Some(code) => code,
                None if can_ask() => match typed(&device, voice) {
                    Some(code) => code,
                    None => break,
                },
                None => break,
            };
            said = true;
            if code.len() != 6 || !code.bytes().all(|byte| byte.is_ascii_digit()) {
                voice.error(&format!("a code of {device} has six digits"), None);
                continue;
            }
            match runtime.block_on(aws::log_in(place, &code)) {
                Ok(until) => {
                    if !voice.shared {
                        say(&format!("session  until {}", at(until)));
                    }
                    return Ok(());
                }
                Err(error @ AwsError::WrongCode { .. }) => voice.error(&format!("failed to {error}"), None),
                Err(error) => {
                    voice.error(&format!("failed to {error}"), Some("nothing was touched"));
                    return Err(Exit::CouldNotStart);
                }
            }
        }
        if !said {
            let needs = AwsError::NeedsCode { doing: format!("enter account {}", place.account), device };
            voice.error(&format!("failed to {needs}"), Some("nothing was touched"));
        }
        Err(Exit::CouldNotStart)
    }

    /// Asks for a code on the terminal, without showing what is typed; nothing when whoever is asked leaves.
    fn typed(device: &str, voice: Voice) -> Option<String> {
        // Keys first: what is typed before the question is seen is not shown either.
        let mut keyboard = Keyboard::keys(false).ok()?;
        let whose = if voice.shared { String::new() } else { format!(" of {device}") };
        let mut err = std::io::stderr().lock();
        let _gone = write!(err, "MFA code{whose}: ").and_then(|()| err.flush());
        drop(err);
        let (mut decoder, mut line) = (Decoder::default(), Line::default());
        let answer = 'asked: loop {
            match keyboard.read() {
                Typed::Nothing => clock::block(LOOK),
                Typed::End => break None,
                Typed::Bytes(bytes) => {
                    for key in decoder.keys(&bytes) {
                        match key {
                            Key::Ctrl('c' | 'd') => break 'asked None,
                            key => {
                                if let Some(text) = line.key(key) {
                                    break 'asked Some(text.split_whitespace().collect());
                                }
                            }
                        }
                    }
                }
            }
        };
        drop(keyboard);
        say("");
        answer
    }
}

pub use act::{enter, ready, to_undo, told};
