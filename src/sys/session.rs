//! Sessions that a person's code opened: held in memory by the process that asked, and handed on over a socket to the process that must undo without
//! asking anybody. They are in no file, environment or argument, and nobody can print them.

use std::fmt;
use std::sync::{Mutex, OnceLock, PoisonError};

use serde::{Deserialize, Serialize};

use super::Place;

/// The environment variable that holds a code where nobody can be asked for it. It is taken away from everything that is started.
pub const CODE: &str = "FIREDRILL_MFA_CODE";

/// The code that the environment holds.
pub fn code() -> Option<String> {
    super::env::var("FIREDRILL_MFA_CODE").map(|code| code.trim().to_owned()).filter(|code| !code.is_empty())
}

/// A session in an account: what calls are signed with until it ends.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// Where it is good.
    pub place: Place,
    /// When it ends.
    pub until: jiff::Timestamp,
    /// Its key id.
    pub key: String,
    /// Its secret key.
    pub secret: String,
    /// Its token.
    pub token: String,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("place", &self.place).field("until", &self.until).finish_non_exhaustive()
    }
}

fn held() -> &'static Mutex<Vec<Session>> {
    static HELD: OnceLock<Mutex<Vec<Session>>> = OnceLock::new();
    HELD.get_or_init(Mutex::default)
}

/// Holds a session, in the place of an older one of the same place.
pub fn hold(session: Session) {
    let mut all = held().lock().unwrap_or_else(PoisonError::into_inner);
    all.retain(|other| other.place != session.place);
    all.push(session);
}

/// The session that is held for a place, whether it has ended or not.
pub fn of(place: &Place) -> Option<Session> {
    held().lock().unwrap_or_else(PoisonError::into_inner).iter().find(|session| session.place == *place).cloned()
}

/// All that is held, in one line, for a process that can ask nobody.
pub fn handed_on() -> String {
    serde_json::to_string(&*held().lock().unwrap_or_else(PoisonError::into_inner)).unwrap_or_default()
}

/// Holds what another process handed on; what is no such line says nothing.
pub fn take(line: &str) {
    let all: Vec<Session> = serde_json::from_str(line).unwrap_or_default();
    all.into_iter().for_each(hold);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_handed_on_is_held_again_and_shows_no_secret() {
        let place = Place { account: "111122223333".into(), region: "eu-test-1".into(), mfa: Some("arn".into()), ..Place::default() };
        let session = Session {
            place: place.clone(),
            until: "2026-11-28T01:00:00Z".parse().unwrap(),
            key: "ASIA".into(),
            secret: "hush".into(),
            token: "whisper".into(),
        };
        let shown = format!("{session:?}");
        assert!(shown.contains("2026") && !shown.contains("hush") && !shown.contains("whisper") && !shown.contains("ASIA"), "{shown}");
        hold(session.clone());
        let line = handed_on();
        assert!(!line.contains('\n') && line.contains("whisper"));
        let later = Session { until: "2026-11-28T02:00:00Z".parse().unwrap(), ..session.clone() };
        hold(later.clone());
        assert_eq!(of(&place), Some(later));
        take(&line);
        assert_eq!(of(&place), Some(session));
        take("what is this");
        assert_eq!(of(&Place { region: "eu-test-2".into(), ..place }), None);
    }
}
