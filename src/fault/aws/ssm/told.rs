//! What became of a command, in words: each host with its state, exit code and what it printed.

use aws_sdk_ssm::operation::get_command_invocation::GetCommandInvocationOutput;

use super::super::look::one_line;
use super::sent::OnHost;
use super::spec::Bites;
use crate::fault::Seen;
use crate::sys::aws::Account;

/// What AWS keeps of what a command prints, in characters.
const KEPT: usize = 24_000;
/// How much of that is shown of one host.
const SHOWN: usize = 240;
/// The most hosts that are told one by one.
const NAMED: usize = 12;

/// What one host said, where it can be asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Said {
    exit: Option<i32>,
    output: String,
    error: String,
    cut: bool,
    place: String,
}

impl Said {
    fn of(answer: &GetCommandInvocationOutput) -> Said {
        let (output, error) = (answer.standard_output_content().unwrap_or_default(), answer.standard_error_content().unwrap_or_default());
        Said {
            exit: Some(answer.response_code()).filter(|code| *code >= 0),
            output: end_of(output),
            error: end_of(error),
            cut: output.chars().count() >= KEPT || error.chars().count() >= KEPT,
            place: answer.standard_output_url().map(one_line).unwrap_or_default(),
        }
    }

    fn words(&self) -> String {
        let mut parts: Vec<String> = self.exit.map(|code| format!("exit {code}")).into_iter().collect();
        parts.extend(
            [("says", &self.output), ("errors", &self.error)]
                .into_iter()
                .filter(|(_, text)| !text.is_empty())
                .map(|(what, text)| format!("{what}: {text}")),
        );
        if self.cut {
            parts.push("cut at 24,000 characters by AWS".into());
        }
        if !self.place.is_empty() {
            parts.push(format!("whole in {}", self.place));
        }
        parts.join(", ")
    }
}

/// The end of what was printed, which says most.
fn end_of(text: &str) -> String {
    let one: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let count = one.chars().count();
    let end: String = one.chars().skip(count.saturating_sub(SHOWN)).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if count > SHOWN { format!("… {end}") } else { end }
}

/// Asks each host what it said. Who cannot be asked yet has said nothing: results come later than states.
pub(super) async fn ask(account: &Account, id: &str, hosts: &[OnHost]) -> Vec<Said> {
    let mut said = Vec::new();
    for host in hosts.iter().take(NAMED) {
        let answer = account.ssm.get_command_invocation().command_id(id).instance_id(&host.instance).send().await;
        said.push(answer.as_ref().map(Said::of).unwrap_or_default());
    }
    said
}

/// `command 0a1b: i-1 Success (exit 0, says: …), i-2 Failed (exit 3)`.
pub(super) fn words(id: &str, hosts: &[OnHost], said: &[Said]) -> String {
    let one = |(n, host): (usize, &OnHost)| {
        let said = said.get(n).map(Said::words).filter(|said| !said.is_empty()).map(|said| format!(" ({said})")).unwrap_or_default();
        let details = if host.details.replace(' ', "") == host.status { String::new() } else { format!(", {}", one_line(&host.details)) };
        format!("{} {}{details}{said}", one_line(&host.instance), one_line(&host.status))
    };
    let mut parts: Vec<String> = hosts.iter().enumerate().take(NAMED).map(one).collect();
    if hosts.len() > NAMED {
        parts.push(format!("{} more", hosts.len() - NAMED));
    }
    if parts.is_empty() {
        parts.push("no host has it yet".into());
    }
    format!("command {}: {}", one_line(id), parts.join(", "))
}

/// Whether a command bites. `in_turns` says that not all hosts have it at one time; `failed` that the command as a whole has failed.
pub(super) fn seen(words: String, hosts: &[OnHost], sent_to: usize, bites: Bites, in_turns: bool, failed: bool) -> Seen {
    let hit = |host: &&OnHost| host.well() || bites == Bites::Runs && host.runs();
    let count = hosts.iter().filter(hit).count();
    let open = hosts.iter().filter(|host| host.open() && !hit(host)).count() + sent_to.saturating_sub(hosts.len());
    if failed || (open == 0 && count == 0) {
        Seen::Failed(words)
    } else if count > 0 && (open == 0 || in_turns) {
        Seen::Biting(words)
    } else {
        Seen::NotBiting(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(instance: &str, status: &str, details: &str) -> OnHost {
        OnHost { instance: instance.into(), status: status.into(), details: details.into() }
    }

    #[test]
    fn each_host_is_told_with_what_it_said() {
        let answer = |code: i32, text: String| {
            Said::of(&GetCommandInvocationOutput::builder().response_code(code).standard_output_content(text).build())
        };
        let hosts = [on("i-1", "Success", "Success"), on("i-2", "Failed", "Failed"), on("i-3", "TimedOut", "Delivery Timed Out")];
        let said = [answer(0, "it's\nstopped\u{7}".into()), answer(3, "x".repeat(24_000)), answer(-1, String::new())];
        let words = words("c-1", &hosts, &said);
        assert!(
            words.starts_with("command c-1: i-1 Success (exit 0, says: it's stopped\u{fffd}), i-2 Failed (exit 3, says: … xxx"),
            "{words}"
        );
        assert!(words.contains("cut at 24,000 characters by AWS), i-3 TimedOut, Delivery Timed Out"), "{words}");
        let stored = Said { place: "https://s3.eu-west-1.amazonaws.com/logs/x".into(), ..Said::default() };
        assert_eq!(stored.words(), "whole in https://s3.eu-west-1.amazonaws.com/logs/x");
    }

    #[test]
    fn it_bites_where_every_host_has_it() {
        let is = |hosts: &[OnHost], bites, in_turns| seen(String::new(), hosts, 2, bites, in_turns, false);
        let (well, runs, bad) = (on("i-1", "Success", ""), on("i-2", "InProgress", ""), on("i-2", "Failed", ""));
        assert!(matches!(is(&[well.clone(), runs.clone()], Bites::Ended, false), Seen::NotBiting(_)));
        assert!(matches!(is(&[well.clone(), runs.clone()], Bites::Runs, false), Seen::Biting(_)));
        assert!(matches!(is(std::slice::from_ref(&well), Bites::Runs, false), Seen::NotBiting(_)), "the other host is not listed yet");
        assert!(matches!(is(&[well.clone(), runs], Bites::Ended, true), Seen::Biting(_)));
        assert!(matches!(is(&[well.clone(), bad.clone()], Bites::Ended, false), Seen::Biting(_)), "within max_errors");
        assert!(matches!(is(&[bad.clone(), bad.clone()], Bites::Ended, false), Seen::Failed(_)));
        assert!(matches!(seen(String::new(), &[well, bad], 2, Bites::Ended, false, true), Seen::Failed(_)));
    }
}
