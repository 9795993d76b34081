//! Approvals: who agreed to exactly which drill. A small JSON file each, bound to digests of everything that decides what will happen; what
//! has changed since is named.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::model::Approvals;
use super::when::end_of;
use crate::base::{Digest, digest_of};

/// How far the clock of another machine may be ahead of ours.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// What an approval is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bound {
    /// The scenario's text.
    pub scenario: Digest,
    /// The workload's text; of nothing where there is none.
    pub workload: Digest,
    /// Every var with its value.
    pub vars: Digest,
    /// Every policy that applies.
    pub policy: Digest,
    /// What would be hit, as far as the plan alone tells.
    pub targets: Digest,
    /// The plan with every default.
    pub plan: Digest,
}

impl Bound {
    /// One digest over all of them.
    pub fn digest(&self) -> Digest {
        let parts = [&self.scenario, &self.workload, &self.vars, &self.policy, &self.targets, &self.plan];
        digest_of(parts.map(Digest::to_string).join("\n").as_bytes())
    }

    /// What differs, in words.
    pub fn changes(&self, now: &Bound) -> Vec<&'static str> {
        let causes: Vec<&'static str> = [
            ("the scenario", self.scenario != now.scenario),
            ("the workload", self.workload != now.workload),
            ("a var", self.vars != now.vars),
            ("the policy", self.policy != now.policy),
            ("the targets", self.targets != now.targets),
        ]
        .into_iter()
        .filter_map(|(what, differs)| differs.then_some(what))
        .collect();
        // The plan follows from the others, unless another firedrill has made it.
        if causes.is_empty() && self.plan != now.plan { vec!["the plan that this firedrill makes of it"] } else { causes }
    }
}

/// An approval as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// Version of this file's format: 1.
    pub firedrill_approval: u32,
    /// The scenario's name, for people.
    pub scenario: String,
    /// Who approved, by their own word.
    pub who: String,
    /// The account it was written under.
    pub account: String,
    /// That account's number.
    pub uid: u32,
    /// When, RFC 3339.
    pub at: Timestamp,
    /// To what.
    pub of: Bound,
    /// The digest over `of`, as people compare it.
    pub digest: Digest,
}

/// A file that was found where approvals are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presented {
    /// The file's name.
    pub file: String,
    /// Which account the file belongs to.
    pub owner: u32,
    /// What it says; or why it says nothing.
    pub said: Result<Approval, String>,
}

/// What a file is worth for one question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It counts.
    Good,
    /// It is about another scenario: not worth a word.
    Elsewhere,
    /// It is no approval, or one that nobody should believe.
    Refused(String),
    /// It was good once.
    Void(String),
}

/// Whether a text can be the name of a person.
pub fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 64
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "._@+-".contains(c))
        && !name.starts_with(['.', '-'])
}

/// Reads the text of an approval.
///
/// # Errors
/// Why it is none, as it reads after "is no approval: ".
pub fn parse(bytes: &[u8]) -> Result<Approval, String> {
    let approval: Approval = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if approval.firedrill_approval != 1 {
        return Err(format!("its format is version {}, and this firedrill reads version 1", approval.firedrill_approval));
    }
    if !is_name(&approval.who) {
        return Err("it names nobody".to_owned());
    }
    if approval.digest != approval.of.digest() {
        return Err("its digest is not that of what it lists: it was edited".to_owned());
    }
    Ok(approval)
}

impl Presented {
    /// What it is worth for a scenario of that name and these digests.
    pub fn standing(&self, scenario: &str, bound: &Bound, asked: &Approvals, now: Timestamp) -> Standing {
        let approval = match &self.said {
            Ok(approval) => approval,
            Err(why) => return Standing::Refused(format!("it is no approval: {why}")),
        };
        if approval.scenario != scenario {
            return Standing::Elsewhere;
        }
        if asked.own_accounts && approval.uid != self.owner {
            let why = format!("it says account {} ({}), and the file belongs to account {}", approval.account, approval.uid, self.owner);
            return Standing::Refused(why);
        }
        if asked.by.as_ref().is_some_and(|by| !by.iter().any(|name| same(name, &approval.who))) {
            return Standing::Refused(format!("{} is not among those who may approve", approval.who));
        }
        let changes = approval.of.changes(bound);
        if !changes.is_empty() {
            return Standing::Void(format!("{} changed since", changes.join(" and ")));
        }
        if approval.at > now.checked_add(SKEW).unwrap_or(Timestamp::MAX) {
            return Standing::Refused(format!("it is from the future: {}", approval.at));
        }
        if end_of(approval.at, asked.valid_for) <= now {
            return Standing::Void(format!("it expired: approvals are good for {}", asked.valid_for));
        }
        Standing::Good
    }
}

/// Whether two names are one person's.
fn same(a: &str, b: &str) -> bool {
    a.trim().eq_ignore_ascii_case(b.trim())
}

/// The largest set of good approvals by different people, and under different accounts where that is asked. People and accounts are matched
/// so that one person with two accounts, or one account with two names, never counts twice.
pub(super) fn different<'a>(good: &[&'a Approval], own_accounts: bool) -> Vec<&'a Approval> {
    let mut people: Vec<Vec<&'a Approval>> = Vec::new();
    for approval in good {
        match people.iter_mut().find(|of| same(&of[0].who, &approval.who)) {
            Some(of) => of.push(approval),
            None => people.push(vec![approval]),
        }
    }
    if !own_accounts {
        return people.into_iter().map(|of| of[0]).collect();
    }
    // Augmenting paths: the textbook way to give as many people as possible an account each.
    let mut taken: Vec<(u32, usize, &'a Approval)> = Vec::new();
    for person in 0..people.len() {
        give(person, &people, &mut taken, &mut Vec::new());
    }
    taken.sort_by_key(|(_, person, _)| *person);
    taken.into_iter().map(|(_, _, approval)| approval).collect()
}

fn give<'a>(person: usize, people: &[Vec<&'a Approval>], taken: &mut Vec<(u32, usize, &'a Approval)>, tried: &mut Vec<u32>) -> bool {
    for approval in &people[person] {
        if tried.contains(&approval.uid) {
            continue;
        }
        tried.push(approval.uid);
        let holder = taken.iter().position(|(uid, ..)| *uid == approval.uid);
        let free = holder.is_none_or(|holder| give(taken[holder].1, people, taken, tried));
        if free {
            taken.retain(|(uid, holder, _)| *uid != approval.uid && *holder != person);
            taken.push((approval.uid, person, approval));
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn approval(who: &str, uid: u32) -> Approval {
        let of = bound("");
        let (account, at, digest) = (uid.to_string(), Timestamp::UNIX_EPOCH, of.digest());
        Approval { firedrill_approval: 1, scenario: "s".into(), who: who.into(), account, uid, at, of, digest }
    }

    fn bound(vars: &str) -> Bound {
        let of = |text: &str| digest_of(text.as_bytes());
        Bound { scenario: of("s"), workload: of(""), vars: of(vars), policy: of("p"), targets: of("t"), plan: of(&format!("plan{vars}")) }
    }

    #[test]
    fn nobody_counts_twice() {
        let count = |given: &[(&str, u32)], own: bool| {
            let all: Vec<Approval> = given.iter().map(|(who, uid)| approval(who, *uid)).collect();
            different(&all.iter().collect::<Vec<_>>(), own).len()
        };
        assert_eq!(count(&[("alice", 1), ("Alice", 2)], true), 1, "one person with two accounts");
        assert_eq!(count(&[("alice", 1), ("bob", 1)], true), 1, "one account with two names");
        assert_eq!(count(&[("alice", 1), ("bob", 1)], false), 2);
        assert_eq!(count(&[("alice", 1), ("bob", 2)], true), 2);
        assert_eq!(count(&[("alice", 1), ("alice", 2), ("bob", 1)], true), 2, "alice under 2, bob under 1");
        assert_eq!(count(&[("alice", 1), ("alice", 2), ("bob", 2), ("bob", 3), ("carol", 1)], true), 3);
        assert_eq!(count(&[("alice", 1), ("bob", 2), ("carol", 1), ("carol", 2)], true), 2);
    }

    #[test]
    fn what_changed_is_named_by_its_cause() {
        assert_eq!(bound("a").changes(&bound("b")), ["a var"], "the plan follows from it");
        let other = Bound { plan: digest_of(b"new"), ..bound("a") };
        assert_eq!(bound("a").changes(&other), ["the plan that this firedrill makes of it"]);
        let of = digest_of(b"new");
        let targets = Bound { targets: of.clone(), plan: of.clone(), ..bound("a") };
        assert_eq!(bound("a").changes(&targets), ["the targets"]);
        let several = Bound { workload: of.clone(), policy: of, ..bound("a") };
        assert_eq!(bound("a").changes(&several), ["the workload", "the policy"]);
        assert!(bound("a").changes(&bound("a")).is_empty());
        assert_ne!(bound("a").digest(), bound("b").digest());
    }

    #[test]
    fn an_approval_survives_its_own_file() {
        let written = serde_json::to_vec(&approval("alice", 7)).unwrap();
        assert_eq!(parse(&written), Ok(approval("alice", 7)));
        for bad in ["", "..", "a b", "a/b", "-x", &"x".repeat(65)] {
            assert!(!is_name(bad), "{bad}");
        }
        assert!(is_name("alice.smith@example.org"));
    }
}
