//! An experiment in words: its state and that of each action, with AWS's own reasons.

use aws_sdk_fis::types::{Experiment, ExperimentActionStatus, ExperimentStatus, ResolvedTarget};

use crate::fault::Seen;

/// The most resources that are named.
const NAMED: usize = 12;

/// Whether an experiment bites, in words.
pub(super) fn seen(experiment: &Experiment, resolved: &[ResolvedTarget]) -> Seen {
    let words = words(experiment);
    let status = experiment.state().and_then(|state| state.status());
    let bites = |status: &ExperimentActionStatus| matches!(status, ExperimentActionStatus::Running | ExperimentActionStatus::Completed);
    let acts = statuses(experiment).any(|(_, status)| status.is_some_and(bites));
    match status {
        Some(ExperimentStatus::Running | ExperimentStatus::Completed) if acts => Seen::Biting(format!("{words}{}", hit(resolved))),
        Some(ExperimentStatus::Pending | ExperimentStatus::Initiating | ExperimentStatus::Running) => Seen::NotBiting(words),
        _ => Seen::Failed(words),
    }
}

fn statuses(experiment: &Experiment) -> impl Iterator<Item = (&String, Option<&ExperimentActionStatus>)> {
    let of = |(name, action)| (name, aws_sdk_fis::types::ExperimentAction::state(action).and_then(|state| state.status()));
    experiment.actions().into_iter().flatten().map(of)
}

/// `experiment EXP1 stopped (halted by …); actions: stop-one stopped, wait cancelled`.
pub(super) fn words(experiment: &Experiment) -> String {
    let state = experiment.state();
    let status = state.and_then(|state| state.status()).map_or("of an unknown state", ExperimentStatus::as_str);
    let mut why: Vec<String> = state.and_then(|state| state.reason()).map(one_line).into_iter().collect();
    if let Some(error) = state.and_then(|state| state.error()) {
        let code = error.code().unwrap_or("an error");
        why.push(error.location().map_or_else(|| one_line(code), |place| one_line(&format!("{code} in {place}"))));
    }
    let mut actions: Vec<String> = experiment
        .actions()
        .into_iter()
        .flatten()
        .map(|(name, action)| {
            let state = action.state();
            let status = state.and_then(|state| state.status()).map_or("unknown", ExperimentActionStatus::as_str);
            let why = state.and_then(|state| state.reason()).map(one_line).filter(|why| !why.is_empty());
            one_line(name) + " " + status + &why.map(|why| format!(" ({why})")).unwrap_or_default()
        })
        .collect();
    actions.sort_unstable();
    why.retain(|why| !why.is_empty());
    let why = if why.is_empty() { String::new() } else { format!(" ({})", why.join("; ")) };
    format!("experiment {} {status}{why}; actions: {}", one_line(experiment.id().unwrap_or("?")), actions.join(", "))
}

/// Why an experiment ended before it was told to; nothing where it did as it was meant to. `by_others` says that nobody here has stopped it.
pub(super) fn cut_short(experiment: &Experiment, by_others: bool) -> Option<String> {
    let state = experiment.state()?;
    let reason = state.reason().unwrap_or_default().to_lowercase();
    let alarmed = reason.contains("stop condition");
    let why = match state.status()? {
        ExperimentStatus::Stopped if alarmed => "a stop condition ended it",
        ExperimentStatus::Stopped if by_others => "somebody else stopped it",
        ExperimentStatus::Failed => "it failed",
        ExperimentStatus::Cancelled => "it was cancelled",
        _ => return None,
    };
    Some(format!("{why}: {}", words(experiment)))
}

/// What AWS resolved its targets to.
fn hit(resolved: &[ResolvedTarget]) -> String {
    let name = |target: &ResolvedTarget| {
        let mut parts: Vec<&String> = target.target_information().into_iter().flatten().map(|(_, value)| value).collect();
        parts.sort_unstable();
        parts.first().map(|part| one_line(part))
    };
    let mut names: Vec<String> = resolved.iter().filter_map(name).collect();
    names.sort_unstable();
    if names.is_empty() {
        return String::new();
    }
    let more = names.len().saturating_sub(NAMED);
    names.truncate(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("; hit: {}{more}", names.join(", "))
}

/// What AWS says, on one line and without what could steer a terminal.
pub(super) fn one_line(text: &str) -> String {
    let one: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    one.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_fis::types::{ExperimentAction, ExperimentActionState, ExperimentError, ExperimentState};

    fn experiment(status: &str, reason: &str, action: &str) -> Experiment {
        let state = ExperimentActionState::builder().status(action.into()).reason("why so").build();
        let error = ExperimentError::builder().code("TargetsNotFound").location("targets.shop").build();
        let failed = (status == "failed").then_some(error);
        Experiment::builder()
            .id("EXP1")
            .state(ExperimentState::builder().status(status.into()).reason(reason).set_error(failed).build())
            .actions("stop-one", ExperimentAction::builder().state(state).build())
            .build()
    }

    #[test]
    fn it_bites_once_an_action_acts() {
        let is = |status: &str, action: &str| seen(&experiment(status, "", action), &[]);
        assert!(matches!(is("initiating", "pending"), Seen::NotBiting(_)));
        assert!(matches!(is("running", "initiating"), Seen::NotBiting(_)));
        assert!(matches!(is("running", "running"), Seen::Biting(_)));
        assert!(matches!(is("completed", "completed"), Seen::Biting(_)));
        assert!(matches!(is("completed", "skipped"), Seen::Failed(_)));
        assert!(matches!(is("stopped", "stopped"), Seen::Failed(_)));
    }

    #[test]
    fn what_ended_before_its_time_is_told_from_what_was_stopped() {
        let of = |status: &str, reason: &str, by_others| cut_short(&experiment(status, reason, "stopped"), by_others);
        let alarmed = of("stopped", "Experiment halted by stop condition.", false).unwrap();
        assert!(alarmed.starts_with("a stop condition ended it: experiment EXP1 stopped"), "{alarmed}");
        assert!(of("stopped", "Experiment halted by a request to stop it.", false).is_none());
        assert!(of("stopped", "Experiment halted by a request to stop it.", true).unwrap().starts_with("somebody else"));
        assert!(of("failed", "", false).is_some() && of("completed", "", true).is_none() && of("running", "", true).is_none());
    }

    #[test]
    fn it_is_told_with_the_reasons_of_aws() {
        assert_eq!(
            words(&experiment("failed", "Target\nnot found\u{7}", "cancelled")),
            "experiment EXP1 failed (Target not found\u{fffd}; TargetsNotFound in targets.shop); actions: stop-one cancelled (why so)"
        );
        let target = ResolvedTarget::builder().target_name("shop").target_information("arn", "arn:aws:ec2:::instance/i-1").build();
        let Seen::Biting(words) = seen(&experiment("running", "", "running"), &[target]) else { panic!("it bites") };
        assert_eq!(words, "experiment EXP1 running; actions: stop-one running (why so); hit: arn:aws:ec2:::instance/i-1");
    }
}
