//! One line for the shell of one host, for whoever has something to say there: sent once, and what the host printed. What is said is no concern of AWS's.

use std::collections::BTreeMap;

use aws_sdk_ssm::types::CommandInvocationStatus;

use super::super::hand;
use super::super::look::one_line;
use super::order::{Order, SHELL};
use super::sent::{self, How};
use super::spec::Spec;
use super::{hosts, since};
use crate::fault::{FaultError, shell};
use crate::plan::AwsPlan;
use crate::sys::aws::{Account, AwsError, Place, failed};

/// What IAM must allow for it. `ssm:SendCommand` is asked of the document and of the instance.
pub const ACTIONS: &[&str] = &["ssm:DescribeInstanceInformation", "ssm:GetCommandInvocation", "ssm:ListCommands", "ssm:SendCommand"];
/// The document that takes lines.
pub const DOCUMENT: &str = SHELL;
/// How long AWS waits for a host to take a line, in seconds: the least that it knows. What comes later would be of no use any more.
const DELIVERED_WITHIN: i32 = 30;
/// How long a line may run, in seconds.
const RUNS_AT_MOST: u32 = 120;
/// What AWS keeps of what a command prints, in characters.
const KEPT: usize = 24_000;
/// What it writes behind what it cut.
const CUT: &str = "--output truncated--";

/// What became of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::fault) enum Became {
    /// The host has not taken it.
    Waits,
    /// It runs there.
    Runs,
    /// It has ended.
    Ended(Printed),
    /// It never came there, or was ended: in words.
    Lost(String),
}

/// What a line printed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::fault) struct Printed {
    /// Its exit code.
    pub code: i32,
    /// Its output.
    pub output: String,
    /// The end of its errors.
    pub errors: String,
    /// Whether AWS has cut its output.
    pub cut: bool,
}

impl Printed {
    fn of(code: i32, output: &str, errors: &str) -> Printed {
        let whole = output.trim_end();
        let cut = whole.ends_with(CUT) || output.chars().count() >= KEPT;
        let last = errors.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
        Printed { code, output: whole.trim_end_matches(CUT).to_owned(), errors: one_line(last), cut }
    }

    /// How it ended, for people.
    pub fn words(&self) -> String {
        if self.errors.is_empty() { format!("exit {}", self.code) } else { format!("exit {}: {}", self.code, self.errors) }
    }
}

/// Whether lines may be sent to that host: it is managed, carries what the house asks for, is connected, and runs Linux.
///
/// # Errors
/// It is not, or AWS refuses or does not answer.
pub(in crate::fault) async fn admit(instance: &str, plan: &AwsPlan, account: &Account) -> Result<(), FaultError> {
    let spec = Spec { instances: vec![instance.to_owned()], ..Spec::default() };
    hosts::find(&spec, plan, &["Linux".to_owned()], account).await.map(drop)
}

fn order(line: &str) -> Order {
    let parameters =
        BTreeMap::from([("commands".to_owned(), vec![line.to_owned()]), ("executionTimeout".to_owned(), vec![RUNS_AT_MOST.to_string()])]);
    Order { document: DOCUMENT.to_owned(), version: None, parameters }
}

/// Sends a line once, and finds it by its comment when the answer was lost; which command it is. The comment is never used twice, and has at most 100 characters.
///
/// # Errors
/// AWS refuses, throttles for too long, or nobody knows whether it was sent.
pub(in crate::fault) async fn send(account: &Account, instance: &str, line: &str, comment: &str) -> Result<String, AwsError> {
    let since = since();
    let how = How { delivery: DELIVERED_WITHIN, concurrency: None, errors: None, output: None, comment, since: &since };
    sent::send(account, &order(line), &[instance.to_owned()], how, &[]).await
}

/// What has become of a line. `first` says that it goes before everything else, with a budget of retries of its own.
///
/// # Errors
/// AWS refuses or does not answer.
pub(in crate::fault) async fn became(account: &Account, instance: &str, command: &str, first: bool) -> Result<Became, AwsError> {
    use CommandInvocationStatus::{Cancelled, Cancelling, Failed, InProgress, Success, TimedOut};
    let client = if first { &account.ssm_stop } else { &account.ssm };
    let answer = client.get_command_invocation().command_id(command).instance_id(instance).send().await;
    let answer = match answer.map_err(|error| failed("hear what the host says", &account.place, error)) {
        // What was sent is shown a moment later.
        Err(error) if error.is_missing() => return Ok(Became::Waits),
        answer => answer?,
    };
    Ok(match answer.status() {
        Some(InProgress | Cancelling) => Became::Runs,
        Some(Success | Failed) if answer.response_code() >= 0 => Became::Ended(Printed::of(
            answer.response_code(),
            answer.standard_output_content().unwrap_or_default(),
            answer.standard_error_content().unwrap_or_default(),
        )),
        Some(status @ (Success | Failed | Cancelled | TimedOut)) => {
            Became::Lost(one_line(answer.status_details().unwrap_or(status.as_str())))
        }
        _ => Became::Waits,
    })
}

/// One line for `sh` here that says this line there, waits, and shows what was printed, with the AWS command line.
pub(in crate::fault) fn by_hand(place: &Place, instance: &str, line: &str, comment: &str) -> String {
    hand::line(place, |aws| {
        let parameters = serde_json::json!({ "commands": [line] }).to_string();
        let (instance, comment, parameters) = (shell::quote(instance), shell::quote(comment), shell::quote(&parameters));
        let send = format!(
            "id=$({aws} ssm send-command --document-name {DOCUMENT} --instance-ids {instance} --timeout-seconds {DELIVERED_WITHIN} --comment {comment} --parameters {parameters} --query Command.CommandId) || exit 1"
        );
        let of = format!("--command-id \"$id\" --instance-id {instance}");
        let wait = format!("{aws} ssm wait command-executed {of}; code=$?");
        let show = format!("{aws} ssm get-command-invocation {of} --query '[StandardOutputContent,StandardErrorContent]'; exit $code");
        format!("{send}; {wait}; {show}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_aws_has_cut_is_known_to_be_cut() {
        assert!(!Printed::of(0, "all\n", "").cut);
        let cut = Printed::of(3, "firedrill: {\"a--output truncated--", "x\n\nsh: no\n");
        assert_eq!((cut.cut, cut.output.as_str(), cut.words().as_str()), (true, "firedrill: {\"a", "exit 3: sh: no"));
        assert!(Printed::of(0, &"x".repeat(24_000), "").cut);
    }

    #[test]
    fn the_line_by_hand_enters_the_account_says_it_and_waits() {
        let place = Place {
            account: "111122223333".into(),
            region: "eu-west-1".into(),
            profile: Some("drills".into()),
            role: None,
            external_id: None,
            mfa: None,
            session: None,
        };
        let line = by_hand(&place, "i-0abc1", "/opt/fire drill __host undo '/x'", "firedrill 01RUN by hand");
        for part in [
            "sts get-caller-identity --query Account)\" = 111122223333",
            "aws --profile drills --region eu-west-1 --output text ssm send-command --document-name AWS-RunShellScript --instance-ids i-0abc1",
            "wait command-executed --command-id \"$id\" --instance-id i-0abc1",
            "exit $code",
        ] {
            assert!(line.contains(part), "{part} in {line}");
        }
        assert!(!line.contains('\n'));
    }
}
