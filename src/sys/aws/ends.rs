//! Until when whoever acts can act without a person: the sources of the SDK's chain that end, and are renewed by nobody but somebody who logs in.

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use aws_config::profile::{self, ProfileSet};
use aws_credential_types::provider::ProvideCredentials;
use jiff::Timestamp;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::super::{clock, env, session};
use super::{Place, of_profile};
use crate::base::Span;

/// Between two runs of a credential process: ends are told in whole seconds.
const BETWEEN: Span = Span::millis(1_100);
/// Keys of a profile in which tools that write session tokens write down when these end.
const ENDS: [&str; 4] = ["x_security_token_expires", "aws_expiration", "aws_session_expiration", "expiration"];

/// An end that only a person can put off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// When.
    pub at: Timestamp,
    /// What ends: reads before "ends at".
    pub what: String,
    /// What to do about it.
    pub help: String,
}

/// Where the first credentials of a chain come from.
#[derive(Debug, PartialEq, Eq)]
enum Source {
    /// The environment.
    Environment,
    /// Keys in a profile; with the end of their session, where it stands beside them.
    Keys(Option<String>),
    /// A login whose token lies under this name; with whether it is renewed while its registration lasts.
    Sso { name: String, renewed: bool },
    /// The process that this profile names.
    Process(String),
    /// The machine itself, or nobody.
    Machine,
}

/// When somebody has to log in again for a place; nothing where no such end is known. `needed` is the end that would do.
pub async fn ends(place: &Place, needed: Timestamp) -> Option<End> {
    if place.mfa.is_some() {
        let held = session::of(place)?;
        let help = "write a longer `session:` under `aws:`, up to the maximum of the role, or make the drill shorter";
        return Some(End { at: held.until, what: "the session of the role".into(), help: help.into() });
    }
    let login = place.profile.as_ref().map(|profile| format!(" --profile {profile}")).unwrap_or_default();
    let anew = "get new ones, which last longer, before the drill begins".to_owned();
    let (at, what, help) = match source_of(place).await? {
        Source::Machine => return None,
        Source::Environment => {
            // Keys without a token do not end.
            is_set("AWS_SESSION_TOKEN").then_some(())?;
            (instant(&env::var("AWS_CREDENTIAL_EXPIRATION")?)?, "what the environment holds", anew)
        }
        Source::Keys(until) => (instant(&until?)?, "the session in the profile", anew),
        Source::Sso { name, renewed } => {
            let token = token_of(&name)?;
            let until = token.ends(renewed, clock::now())?;
            (until, "the SSO login", format!("log in again with `aws sso login{login}`"))
        }
        Source::Process(profile) => (process(place, &profile, needed).await?, "what the credential process gives", anew),
    };
    Some(End { at, what: what.into(), help })
}

fn is_set(name: &str) -> bool {
    env::var(name).is_some_and(|value| !value.trim().is_empty())
}

async fn source_of(place: &Place) -> Option<Source> {
    if place.profile.is_none() && is_set("AWS_ACCESS_KEY_ID") {
        return Some(Source::Environment);
    }
    let chosen = place.profile.clone().map(Cow::Owned);
    // What cannot be read is told by whoever needs it.
    let profiles: ProfileSet = profile::load(&Default::default(), &Default::default(), &Default::default(), chosen).await.ok()?;
    let get = |profile: &str, key: &str| profiles.get_profile(profile).and_then(|found| found.get(key)).map(str::to_owned);
    Some(source(profiles.selected_profile(), &get))
}

/// Follows a chain of profiles to its beginning, as the SDK does.
fn source(first: &str, get: &dyn Fn(&str, &str) -> Option<String>) -> Source {
    let mut name = first.to_owned();
    let mut seen: Vec<String> = Vec::new();
    loop {
        let of = |key: &str| get(&name, key);
        let keys = || Source::Keys(of("aws_session_token").and_then(|_| ENDS.iter().find_map(|key| of(key))));
        let has_keys = of("aws_access_key_id").is_some();
        if has_keys && !seen.is_empty() {
            return keys();
        }
        let token_file = of("web_identity_token_file").is_some();
        let next = of("role_arn").and_then(|_| of("source_profile")).filter(|next| *next != name && !token_file);
        if let Some(next) = next.filter(|next| !seen.contains(next)) {
            seen.push(std::mem::replace(&mut name, next));
            continue;
        }
        return match of("credential_source") {
            Some(from) if from.eq_ignore_ascii_case("environment") => Source::Environment,
            Some(_) => Source::Machine,
            None if token_file => Source::Machine,
            None => match (of("sso_session"), of("sso_start_url"), of("credential_process")) {
                (Some(name), ..) => Source::Sso { name, renewed: true },
                (None, Some(name), _) => Source::Sso { name, renewed: false },
                (None, None, Some(_)) => Source::Process(name),
                (None, None, None) if has_keys => keys(),
                (None, None, None) => Source::Machine,
            },
        };
    }
}

/// An instant as AWS and its tools write it.
fn instant(text: &str) -> Option<Timestamp> {
    text.trim().replace("UTC", "Z").parse().ok()
}

/// What `aws sso login` leaves behind, without its secrets.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Token {
    expires_at: String,
    refresh_token: Option<IgnoredAny>,
    registration_expires_at: Option<String>,
}

impl Token {
    /// When it ends for good; nothing while it is renewed by itself.
    fn ends(&self, renewed: bool, now: Timestamp) -> Option<Timestamp> {
        let registered = self.registration_expires_at.as_deref().and_then(instant).is_some_and(|until| until > now);
        if renewed && registered && self.refresh_token.is_some() { None } else { instant(&self.expires_at) }
    }
}

fn token_of(name: &str) -> Option<Token> {
    // The name of the file is AWS's choice.
    let name: String = digest(&SHA1_FOR_LEGACY_USE_ONLY, name.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let path = PathBuf::from(env::var("HOME")?).join(".aws/sso/cache").join(name + ".json");
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// When a process's credentials end; nothing where it was seen to make new ones each time it is asked, which needs nobody. Whether it could otherwise is
/// not known: some ask a person.
async fn process(place: &Place, profile: &str, needed: Timestamp) -> Option<Timestamp> {
    let ask = async || {
        let given = of_profile(place, profile).provide_credentials().await.ok()?;
        let since = given.expiry()?.duration_since(UNIX_EPOCH).ok()?;
        Timestamp::from_second(i64::try_from(since.as_secs()).ok()?).ok()
    };
    let first = ask().await?;
    if first >= needed {
        return Some(first);
    }
    clock::sleep(BETWEEN).await;
    let second = ask().await?;
    (second <= first).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, first: &str) -> Source {
        let get = |profile: &str, key: &str| {
            let section = text.split('[').find_map(|section| section.strip_prefix(profile)?.strip_prefix(']'))?;
            section.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('=').map(str::to_owned))
        };
        source(first, &get)
    }

    #[test]
    fn a_chain_of_profiles_begins_somewhere() {
        let profiles = "
            [long]
            aws_access_key_id=A
            [short]
            aws_access_key_id=A
            aws_session_token=T
            expiration=2026-11-28T01:00:00Z
            [role]
            role_arn=R
            source_profile=mid
            [mid]
            role_arn=R
            source_profile=login
            [login]
            sso_session=house
            [old]
            sso_start_url=https://house
            [self]
            role_arn=R
            source_profile=self
            credential_process=p
            [machine]
            role_arn=R
            credential_source=Ec2InstanceMetadata
            [env]
            role_arn=R
            credential_source=Environment
            [pod]
            role_arn=R
            web_identity_token_file=f
            source_profile=login
            [ring]
            role_arn=R
            source_profile=gnir
            [gnir]
            role_arn=R
            source_profile=ring";
        assert_eq!(of(profiles, "long"), Source::Keys(None));
        assert_eq!(of(profiles, "short"), Source::Keys(Some("2026-11-28T01:00:00Z".into())));
        assert_eq!(of(profiles, "role"), Source::Sso { name: "house".into(), renewed: true });
        assert_eq!(of(profiles, "old"), Source::Sso { name: "https://house".into(), renewed: false });
        assert_eq!(of(profiles, "self"), Source::Process("self".into()));
        assert_eq!(of(profiles, "env"), Source::Environment);
        for machine in ["machine", "pod", "ring", "nobody"] {
            assert_eq!(of(profiles, machine), Source::Machine, "{machine}");
        }
    }

    #[test]
    fn a_login_that_is_renewed_has_no_end() {
        let token = |text: &str| serde_json::from_str::<Token>(text).unwrap();
        let now: Timestamp = "2026-11-28T00:00:00Z".parse().unwrap();
        let plain = token(r#"{"accessToken":"hush","expiresAt":"2026-11-28T01:00:00UTC","region":"eu-west-1"}"#);
        assert_eq!(plain.ends(true, now), Some("2026-11-28T01:00:00Z".parse().unwrap()));
        let lasting = token(r#"{"expiresAt":"2026-11-28T01:00:00Z","refreshToken":"hush","registrationExpiresAt":"2027-01-01T00:00:00Z"}"#);
        assert_eq!((lasting.ends(true, now), lasting.ends(false, now).is_some()), (None, true));
        let over = token(r#"{"expiresAt":"2026-11-28T01:00:00Z","refreshToken":"hush","registrationExpiresAt":"2026-01-01T00:00:00Z"}"#);
        assert!(over.ends(true, now).is_some());
    }
}
