//! How another machine is reached, and what is asked of whatever reaches it: an ask goes there, its answer comes back. `local` needs none of it.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::super::{FaultError, Scene};
use super::There;
use super::words::{Answer, Ask, Order};
use crate::plan::HostDecl;
use crate::sys::ssh::Login;
use crate::sys::{Cx, Place};

/// Gets asks to the firedrill on another machine, and its answers back.
pub(super) trait Executor: fmt::Display {
    /// Looks whether the machine may be reached, and where the firedrill there is; brings it there where it can. `named` is what the scenario says.
    fn settle(&self, named: Option<&str>, scene: &Scene<'_>) -> impl Future<Output = Result<String, FaultError>> + Send;

    /// One question, one answer. Safe to repeat for everything but [`Ask::Inject`].
    fn ask(&self, exe: &str, ask: &Ask) -> impl Future<Output = Result<Answer, Trouble>> + Send;

    /// Breaks it there, and says from then on, for as long as this process lives or until an undo is asked for, that the runner lives. `confirmed` says
    /// that something else shows whether it bites: the fault may cut off the machine before it can answer.
    fn inject(&self, there: &There, order: Box<Order>, confirmed: bool, cx: &Cx) -> impl Future<Output = Result<(), FaultError>> + Send;

    /// One line for `sh` here that undoes it there.
    fn by_hand(&self, exe: &str, dir: &str) -> String;
}

/// A machine that AWS Systems Manager manages. Known to every build, also to one that cannot go there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Managed {
    /// The account, and who acts in it.
    pub place: Place,
    /// Its id.
    pub instance: String,
    /// The run, by which its commands can be told from those of others.
    pub run: String,
}

impl fmt::Display for Managed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by Systems Manager in {}, {}", self.instance, self.place.account, self.place.region)
    }
}

/// How a machine is reached: enough for a fresh process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Reach {
    /// Over the system's own `ssh`.
    Ssh(Login),
    /// By AWS Systems Manager, command by command.
    Ssm(Managed),
}

impl Reach {
    /// The way that a scenario names.
    pub(super) fn of(how: &HostDecl, cx: &Cx) -> Result<Reach, FaultError> {
        let Some(instance) = &how.ssm else {
            let path = |text: &String| -> PathBuf { cx.base_dir.join(text) };
            let (config, identity) = (how.config.as_ref().map(path), how.identity.as_ref().map(path));
            return Ok(Reach::Ssh(Login { destination: how.place().to_owned(), port: how.port, config, identity }));
        };
        let place =
            cx.account.as_deref().cloned().ok_or_else(|| FaultError::Target("the scenario names no account under `aws:`".into()))?;
        Ok(Reach::Ssm(Managed { place, instance: instance.clone(), run: cx.run.to_string() }))
    }

    /// Whether each ask costs seconds and a call of somebody else's service, so that none is made for comfort.
    pub(super) fn is_costly(&self) -> bool {
        matches!(self, Reach::Ssm(_))
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reach::Ssh(login) => login.fmt(f),
            Reach::Ssm(managed) => managed.fmt(f),
        }
    }
}

impl Executor for Reach {
    async fn settle(&self, named: Option<&str>, scene: &Scene<'_>) -> Result<String, FaultError> {
        match self {
            Reach::Ssh(login) => login.settle(named, scene).await,
            Reach::Ssm(managed) => managed.settle(named, scene).await,
        }
    }

    async fn ask(&self, exe: &str, ask: &Ask) -> Result<Answer, Trouble> {
        match self {
            Reach::Ssh(login) => login.ask(exe, ask).await,
            Reach::Ssm(managed) => managed.ask(exe, ask).await,
        }
    }

    async fn inject(&self, there: &There, order: Box<Order>, confirmed: bool, cx: &Cx) -> Result<(), FaultError> {
        match self {
            Reach::Ssh(login) => login.inject(there, order, confirmed, cx).await,
            Reach::Ssm(managed) => managed.inject(there, order, confirmed, cx).await,
        }
    }

    fn by_hand(&self, exe: &str, dir: &str) -> String {
        match self {
            Reach::Ssh(login) => login.by_hand(exe, dir),
            Reach::Ssm(managed) => managed.by_hand(exe, dir),
        }
    }
}

#[cfg(not(feature = "aws"))]
impl Executor for Managed {
    async fn settle(&self, _: Option<&str>, _: &Scene<'_>) -> Result<String, FaultError> {
        Err(self.left_out())
    }

    async fn ask(&self, _: &str, _: &Ask) -> Result<Answer, Trouble> {
        Err(Trouble::Fault(self.left_out()))
    }

    async fn inject(&self, _: &There, _: Box<Order>, _: bool, _: &Cx) -> Result<(), FaultError> {
        Err(self.left_out())
    }

    fn by_hand(&self, exe: &str, dir: &str) -> String {
        format!("echo {}", super::super::shell::quote(&format!("on {}: {exe} __host undo {dir}", self.instance)))
    }
}

#[cfg(not(feature = "aws"))]
impl Managed {
    fn left_out(&self) -> FaultError {
        missing(format!("reach {self}: this firedrill was built without AWS"), "build it with the feature `aws`")
    }
}

/// Why an answer is missing.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The machine was not reached, or its answer was not heard: it may be in a while. Reads after "failed to".
    Away(String),
    /// It was.
    Fault(FaultError),
}

impl From<Trouble> for FaultError {
    fn from(trouble: Trouble) -> FaultError {
        match trouble {
            Trouble::Away(why) => FaultError::Other(why),
            Trouble::Fault(error) => error,
        }
    }
}

/// Something that a machine lacks.
pub(super) fn missing(what: String, help: &str) -> FaultError {
    FaultError::Missing { what, help: help.to_owned() }
}

/// The firedrill there is another one.
pub(super) fn other_version(version: &str, place: &str) -> Trouble {
    let what = format!("talk to firedrill {version} on {place}: this is {}", env!("CARGO_PKG_VERSION"));
    Trouble::Fault(missing(what, "install the same version there; over `ssh`, leave `firedrill:` out: this one is copied then"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_journal_says_leads_there_again() {
        let login = json!({ "destination": "ops@db1", "port": 2222 });
        let managed = json!({ "place": { "account": "111122223333", "region": "eu-west-1" }, "instance": "i-0abc1", "run": "01RUN" });
        for (text, words) in [(login, "ops@db1:2222"), (managed, "i-0abc1 by Systems Manager in 111122223333, eu-west-1")] {
            let reach: Reach = serde_json::from_value(text.clone()).unwrap();
            assert_eq!((reach.to_string().as_str(), serde_json::to_value(&reach).unwrap()), (words, text));
        }
    }
}
