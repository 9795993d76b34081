//! Commands as the account knows them: sent once, found by their comment, and what became of them on each host. Systems Manager knows no client
//! token, so that nothing is sent again before it was looked for.

use aws_sdk_ssm::config::Builder;
use aws_sdk_ssm::config::retry::RetryConfig;
use aws_sdk_ssm::types::{CommandFilter, CommandFilterKey, CommandInvocationStatus, CommandStatus};

use super::super::spec::Bucket;
use super::order::Order;
use crate::base::Span;
use crate::sys::aws::{Account, AwsError, failed};
use crate::sys::clock;

/// How long the lists of AWS may lag behind a command whose answer was lost.
pub(super) const LISTED_WITHIN: Span = Span::secs(5);
/// How often they are looked at meanwhile.
const LOOK_EVERY: Span = Span::millis(400);
/// How often a send is tried that AWS said it did not do.
const TRIES: u32 = 8;
/// How many pages of a list are read.
const MOST_PAGES: usize = 100;
const A_PAGE: i32 = 50;

/// A command that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sent {
    /// Its id.
    pub id: String,
    /// Its comment.
    pub comment: String,
    /// Its state, as AWS calls it.
    pub status: String,
    /// Whether it goes on.
    pub open: bool,
}

/// What became of a command on one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OnHost {
    /// The instance.
    pub instance: String,
    /// Its state, as AWS calls it.
    pub status: String,
    /// The same in more words: `ExecutionTimedOut`.
    pub details: String,
}

impl OnHost {
    /// Whether it may still act there. What is not known may.
    pub fn open(&self) -> bool {
        use CommandInvocationStatus::{Cancelled, Failed, Success, TimedOut};
        !matches!(CommandInvocationStatus::from(self.status.as_str()), Cancelled | Failed | Success | TimedOut)
    }

    /// Whether it ended well.
    pub fn well(&self) -> bool {
        self.status == CommandInvocationStatus::Success.as_str()
    }

    /// Whether it runs.
    pub fn runs(&self) -> bool {
        self.status == CommandInvocationStatus::InProgress.as_str()
    }

    /// Whether it never came to the host, so that nothing is to be undone there.
    pub fn never_came(&self) -> bool {
        let details: String = self.details.chars().filter(|c| !c.is_whitespace()).collect();
        ["Undeliverable", "Terminated", "DeliveryTimedOut", "InvalidPlatform", "AccessDenied"].contains(&details.as_str())
    }
}

/// How a command is sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct How<'a> {
    /// How long AWS waits for a host to take it, in seconds.
    pub delivery: i32,
    /// On how many hosts at one time.
    pub concurrency: Option<&'a str>,
    /// How many may fail.
    pub errors: Option<&'a str>,
    /// Where AWS writes what it prints.
    pub output: Option<&'a Bucket>,
    /// What it is found by.
    pub comment: &'a str,
    /// Since when it can have been sent, as AWS writes moments.
    pub since: &'a str,
}

/// Sends a command once. When its answer is lost it is looked for by its comment, and never sent again.
///
/// # Errors
/// AWS refuses, throttles for too long, or nobody knows whether it was sent.
pub(super) async fn send(account: &Account, order: &Order, to: &[String], how: How<'_>, known: &[String]) -> Result<String, AwsError> {
    let mut request = account
        .ssm_stop
        .send_command()
        .document_name(&order.document)
        .set_document_version(order.version.clone())
        .set_instance_ids(Some(to.to_vec()))
        .set_parameters(Some(order.parameters.clone().into_iter().collect()))
        .timeout_seconds(how.delivery)
        .comment(how.comment)
        .set_max_concurrency(how.concurrency.map(str::to_owned))
        .set_max_errors(how.errors.map(str::to_owned));
    if let Some(output) = how.output {
        request = request.output_s3_bucket_name(&output.bucket).set_output_s3_key_prefix(output.prefix.clone());
    }
    let doing = format!("send {} to {}", order.document, to.join(", "));
    let odd = |message: &str| AwsError::Refused { doing: doing.clone(), code: "NoAnswer".into(), message: message.into() };
    for tried in 1.. {
        // The SDK would send again what may have been done.
        let once = request.clone().customize().config_override(Builder::new().retry_config(RetryConfig::disabled()));
        let error = match once.send().await {
            Ok(answer) => {
                let id = answer.command().and_then(|command| command.command_id()).map(str::to_owned);
                return id.ok_or_else(|| odd("AWS names no command"));
            }
            Err(error) => failed(&doing, &account.place, error),
        };
        if error.is_throttled() && tried < TRIES {
            clock::sleep(Span::millis(150).times(u64::from(tried))).await;
        } else if error.is_in_doubt() {
            return lost(account, how, known).await?.ok_or(error);
        } else {
            return Err(error);
        }
    }
    Err(odd("it was never tried"))
}

/// A command whose answer was lost, once the lists show it.
async fn lost(account: &Account, how: How<'_>, known: &[String]) -> Result<Option<String>, AwsError> {
    let end = clock::mono_ns().saturating_add(LISTED_WITHIN.0);
    loop {
        let found = list(account, how.comment, how.since).await?;
        if let Some(found) = found.into_iter().find(|one| one.comment == how.comment && !known.contains(&one.id)) {
            return Ok(Some(found.id));
        }
        if clock::mono_ns() >= end {
            return Ok(None);
        }
        clock::sleep(LOOK_EVERY).await;
    }
}

/// The commands whose comment begins so, newest first.
///
/// # Errors
/// AWS refuses, does not answer, or has more than is read.
pub(super) async fn list(account: &Account, comment: &str, since: &str) -> Result<Vec<Sent>, AwsError> {
    let filter = CommandFilter::builder().key(CommandFilterKey::InvokedAfter).value(since).build();
    let mut request = account.ssm_stop.list_commands().max_results(A_PAGE);
    if let Ok(filter) = filter {
        request = request.filters(filter);
    }
    let mut pages = request.into_paginator().send();
    let mut found = Vec::new();
    for read in 0.. {
        let Some(page) = pages.next().await else { break };
        let page = page.map_err(|error| failed("list the account's commands", &account.place, error))?;
        if read >= MOST_PAGES {
            // A list that is cut off would be taken for one without what was looked for.
            let message = format!("there are more than {} of them", MOST_PAGES * A_PAGE as usize);
            return Err(AwsError::Refused { doing: "list the account's commands".into(), code: "TooMany".into(), message });
        }
        found.extend(page.commands().iter().filter_map(|one| {
            let text = one.comment().filter(|text| text.starts_with(comment))?;
            let status = one.status();
            let over = |status: &CommandStatus| {
                matches!(status, CommandStatus::Cancelled | CommandStatus::Failed | CommandStatus::Success | CommandStatus::TimedOut)
            };
            Some(Sent {
                id: one.command_id()?.to_owned(),
                comment: text.to_owned(),
                status: status.map_or("Unknown", CommandStatus::as_str).to_owned(),
                open: !status.is_some_and(over),
            })
        }));
    }
    Ok(found)
}

/// What became of a command on each host, sorted by instance. Lists lag: the hosts that it was sent to may be missing.
///
/// # Errors
/// As above.
pub(super) async fn on_hosts(account: &Account, id: &str) -> Result<Vec<OnHost>, AwsError> {
    let mut pages = account.ssm_stop.list_command_invocations().command_id(id).max_results(A_PAGE).into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| failed("list what became of the command", &account.place, error))?;
        found.extend(page.command_invocations().iter().filter_map(|one| {
            let status = one.status().map_or("Pending", CommandInvocationStatus::as_str);
            let details = one.status_details().unwrap_or(status).to_owned();
            Some(OnHost { instance: one.instance_id()?.to_owned(), status: status.to_owned(), details })
        }));
    }
    found.sort_unstable_by(|a, b| a.instance.cmp(&b.instance));
    Ok(found)
}

/// Tells AWS to cancel a command. One that is over or gone need not be: the next look tells.
///
/// # Errors
/// AWS does not answer, or does not allow it.
pub(super) async fn cancel(account: &Account, id: &str) -> Result<(), AwsError> {
    let answer = account.ssm_stop.cancel_command().command_id(id).send().await;
    match answer.map_err(|error| failed("cancel the command", &account.place, error)) {
        Err(error) if !error.is_missing() && !error.is_refused() => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(status: &str, details: &str) -> OnHost {
        OnHost { instance: "i-1".into(), status: status.into(), details: details.into() }
    }

    #[test]
    fn only_what_is_over_is_over_and_only_what_never_came_needs_no_undo() {
        assert!(["Pending", "InProgress", "Delayed", "Cancelling", "Something"].into_iter().all(|status| on(status, status).open()));
        assert!(["Success", "Cancelled", "Failed", "TimedOut"].into_iter().all(|status| !on(status, status).open()));
        assert!(on("Failed", "Undeliverable").never_came() && on("TimedOut", "Delivery Timed Out").never_came());
        assert!(!on("TimedOut", "ExecutionTimedOut").never_came() && !on("Cancelled", "Cancelled").never_came());
    }
}
