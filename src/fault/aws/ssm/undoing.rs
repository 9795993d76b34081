//! Undoing a command: it is cancelled, what undoes it is sent to exactly the hosts that it reached, and both are seen to be over.

use std::collections::BTreeSet;

use super::sent::{self, LISTED_WITHIN, OnHost};
use super::{Undo, all, main_of, remember, remembered, told};
use crate::base::Span;
use crate::fault::FaultError;
use crate::sys::aws::{self, Account};
use crate::sys::clock;

/// How long one attempt waits for a command that was told to stop.
const STOPPED_WITHIN: Span = Span::secs(8);
/// How long one attempt takes altogether: below what a step of a fault has.
const ATTEMPT: Span = Span::secs(24);
/// How often it is looked at meanwhile.
const LOOK_EVERY: Span = Span::millis(500);

/// Cancels, undoes, and waits for both.
///
/// # Errors
/// AWS refuses or does not answer, something goes on, or the undo went wrong on a host.
pub(super) async fn undo(undo: &Undo) -> Result<(), FaultError> {
    let end = clock::mono_ns().saturating_add(ATTEMPT.0);
    let account = aws::open(&undo.place).await?;
    // The one that is known is cancelled before anything else is asked.
    for id in remembered(&undo.breaks()) {
        sent::cancel(&account, &id).await?;
    }
    let mut main = main_of(&account, undo).await?;
    if main.is_none() {
        // Never sent, or so lately that the lists do not show it yet.
        clock::sleep(LISTED_WITHIN).await;
        main = main_of(&account, undo).await?;
    }
    let Some(main) = main else { return Ok(()) };
    if main.open && !remembered(&undo.breaks()).contains(&main.id) {
        sent::cancel(&account, &main.id).await?;
    }
    let hosts = stopped(&account, undo, &main.id).await?;
    if undo.order.is_none() {
        return Ok(());
    }
    let reached: BTreeSet<String> = hosts.iter().filter(|host| !host.never_came()).map(|host| host.instance.clone()).collect();
    make_whole(&account, undo, &reached, end).await
}

/// The hosts of a command, once it is over on each. A timer's host ends it by itself and refuses what comes late, so that its undo need not wait.
async fn stopped(account: &Account, undo: &Undo, id: &str) -> Result<Vec<OnHost>, FaultError> {
    let end = clock::mono_ns().saturating_add(STOPPED_WITHIN.0);
    loop {
        let hosts = everywhere(sent::on_hosts(account, id).await?, undo);
        if !hosts.iter().any(OnHost::open) {
            return Ok(hosts);
        }
        if clock::mono_ns() >= end {
            if undo.timer && undo.order.is_some() {
                return Ok(hosts);
            }
            return Err(FaultError::Other(format!("see the end of it: AWS is still cancelling {}", told::words(id, &hosts, &[]))));
        }
        clock::sleep(LOOK_EVERY).await;
    }
}

/// The hosts of a command with those that the lists do not show yet: it may come to them still. Once some host is told, one that is not was not reached:
/// AWS makes no entry where a command stopped before its turn.
fn everywhere(mut hosts: Vec<OnHost>, undo: &Undo) -> Vec<OnHost> {
    if hosts.is_empty() || !undo.in_turns {
        for id in &undo.instances {
            if !hosts.iter().any(|host| host.instance == *id) {
                hosts.push(OnHost { instance: id.clone(), status: "Pending".into(), details: "NotListed".into() });
            }
        }
    }
    hosts
}

/// The hosts on which an undo has ended well, and those on which one goes on.
async fn undone(account: &Account, undo: &Undo) -> Result<(BTreeSet<String>, BTreeSet<String>, Vec<String>), FaultError> {
    let comment = undo.undoes();
    let (mut well, mut open, mut ids) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for one in all(account, undo).await?.into_iter().filter(|one| one.comment == comment) {
        let hosts = sent::on_hosts(account, &one.id).await?;
        if hosts.is_empty() && one.open {
            // Sent, and not listed yet: it goes on wherever it was sent to.
            open.extend(undo.instances.iter().cloned());
        }
        for host in hosts {
            if host.well() {
                well.insert(host.instance);
            } else if host.open() {
                open.insert(host.instance);
            }
        }
        ids.push(one.id);
    }
    Ok((well, open, ids))
}

/// Sends the undo to every host that has none yet which ended well, and waits for it.
async fn make_whole(account: &Account, undo: &Undo, reached: &BTreeSet<String>, end: u64) -> Result<(), FaultError> {
    let mut sent_now = false;
    loop {
        let (well, open, known) = undone(account, undo).await?;
        let left: Vec<String> = reached.difference(&well).cloned().collect();
        if left.is_empty() {
            return Ok(());
        }
        let to: Vec<String> = left.iter().filter(|id| !open.contains(*id)).cloned().collect();
        if open.is_empty() && sent_now {
            return Err(went_wrong(account, undo, &known).await);
        }
        if !to.is_empty()
            && !sent_now
            && let Some(order) = &undo.order
        {
            let comment = undo.undoes();
            let id = sent::send(account, order, &to, undo.how(&comment), &known).await?;
            remember(comment.clone(), id);
            sent_now = true;
        } else if clock::mono_ns() >= end {
            return Err(FaultError::Other(format!("see the end of the undo: it goes on on {}", left.join(", "))));
        }
        clock::sleep(LOOK_EVERY).await;
    }
}

async fn went_wrong(account: &Account, undo: &Undo, known: &[String]) -> FaultError {
    let last = remembered(&undo.undoes()).last().or(known.first()).cloned().unwrap_or_default();
    let hosts = sent::on_hosts(account, &last).await.unwrap_or_default();
    let said = told::ask(account, &last, &hosts).await;
    FaultError::Other(format!("undo it on every host: {}", told::words(&last, &hosts, &said)))
}

/// Whether nothing goes on, and every host that was reached has been undone.
///
/// # Errors
/// AWS refuses or does not answer.
pub(super) async fn is_over(account: &Account, undo: &Undo) -> Result<bool, FaultError> {
    let Some(main) = main_of(account, undo).await? else { return Ok(true) };
    let hosts = everywhere(sent::on_hosts(account, &main.id).await?, undo);
    let (well, open, _) = undone(account, undo).await?;
    // Where the timer's host was undone, it refuses what still comes.
    let goes_on = |host: &&OnHost| host.open() && !(undo.timer && well.contains(&host.instance));
    if hosts.iter().any(|host| goes_on(&host)) {
        return Ok(false);
    }
    let whole = |host: &OnHost| undo.order.is_none() || host.never_came() || well.contains(&host.instance);
    Ok(hosts.iter().all(whole) && open.is_empty())
}

/// Why it was over before it was undone: where somebody else cancelled it, or it failed.
pub(super) async fn cut_short(account: &Account, undo: &Undo) -> Option<String> {
    // Only the process that sent it can tell whose cancelling it was, and it always cancels what goes on.
    let id = remembered(&undo.breaks()).first().cloned()?;
    let hosts = sent::on_hosts(account, &id).await.ok()?;
    let bad: Vec<OnHost> = hosts.into_iter().filter(|host| ["Failed", "TimedOut"].contains(&host.status.as_str())).collect();
    (!bad.is_empty()).then(|| format!("it went wrong on some hosts: {}", told::words(&id, &bad, &[])))
}
