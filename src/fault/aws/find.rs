//! What a fault has made in the account, found by its mark alone: AWS's own lists are the record that outlives every runner.

use aws_sdk_fis::types::{ExperimentStatus, ExperimentSummary, ExperimentTemplateSummary};

use super::MARK;
use crate::sys::aws::{Account, AwsError, failed};

/// How many pages of a list are read: an account keeps experiments for 120 days.
const MOST_PAGES: usize = 100;
const A_PAGE: i32 = 100;

/// What is there of a fault.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Made {
    /// Its experiments that have not ended, by id.
    pub running: Vec<String>,
    /// Those that have.
    pub ended: Vec<String>,
    /// Its templates.
    pub templates: Vec<String>,
}

impl Made {
    /// Its experiments, those that run first.
    pub fn experiments(&self) -> impl Iterator<Item = &String> {
        self.running.iter().chain(&self.ended)
    }

    /// Whether nothing was found that could hurt or be left behind.
    pub fn is_over(&self) -> bool {
        self.running.is_empty() && self.templates.is_empty()
    }
}

/// Whether an experiment that says so can change nothing any more. What is not known may still act.
fn has_ended(status: &ExperimentStatus) -> bool {
    use ExperimentStatus::{Cancelled, Completed, Failed, Stopped};
    matches!(status, Cancelled | Completed | Failed | Stopped)
}

/// Everything that carries the mark. Of a template that is somebody else's only its experiments are looked at.
///
/// # Errors
/// AWS refuses, does not answer, or has more than is read.
pub(super) async fn made(account: &Account, mark: &str, template: Option<&str>) -> Result<Made, AwsError> {
    let mut made = started(account, mark, template).await?;
    if template.is_none() {
        made.templates = templates(account, mark).await?;
    }
    Ok(made)
}

/// The same without templates: fewer calls, where only experiments matter.
///
/// # Errors
/// As above.
pub(super) async fn started(account: &Account, mark: &str, template: Option<&str>) -> Result<Made, AwsError> {
    let mut made = Made::default();
    for experiment in experiments(account, mark, template).await? {
        let Some(id) = experiment.id() else { continue };
        let ended = experiment.state().and_then(|state| state.status()).is_some_and(has_ended);
        if ended { &mut made.ended } else { &mut made.running }.push(id.to_owned());
    }
    Ok(made)
}

async fn experiments(account: &Account, mark: &str, template: Option<&str>) -> Result<Vec<ExperimentSummary>, AwsError> {
    let mut request = account.stop.list_experiments().max_results(A_PAGE);
    if let Some(template) = template {
        request = request.experiment_template_id(template);
    }
    let mut pages = request.into_paginator().send();
    let mut found = Vec::new();
    for read in 0.. {
        let Some(page) = pages.next().await else { break };
        let page = page.map_err(|error| failed("list the account's experiments", &account.place, error))?;
        enough(read, "experiments")?;
        let ours = |one: &&ExperimentSummary| one.tags().and_then(|tags| tags.get(MARK)).is_some_and(|value| value == mark);
        found.extend(page.experiments().iter().filter(ours).cloned());
    }
    Ok(found)
}

/// The templates that carry the mark, by id.
///
/// # Errors
/// As above.
pub(super) async fn templates(account: &Account, mark: &str) -> Result<Vec<String>, AwsError> {
    all_templates(account, |one| one.tags().and_then(|tags| tags.get(MARK)).is_some_and(|value| value == mark)).await
}

/// The templates of the account that are like that, by id.
///
/// # Errors
/// As above.
pub(super) async fn all_templates(account: &Account, like: impl Fn(&ExperimentTemplateSummary) -> bool) -> Result<Vec<String>, AwsError> {
    let mut pages = account.stop.list_experiment_templates().max_results(A_PAGE).into_paginator().send();
    let mut found = Vec::new();
    for read in 0.. {
        let Some(page) = pages.next().await else { break };
        let page = page.map_err(|error| failed("list the account's experiment templates", &account.place, error))?;
        enough(read, "experiment templates")?;
        found.extend(page.experiment_templates().iter().filter(|one| like(one)).filter_map(|one| one.id()).map(str::to_owned));
    }
    Ok(found)
}

/// A list that is cut off would be taken for one without what was looked for.
fn enough(read: usize, of: &str) -> Result<(), AwsError> {
    if read < MOST_PAGES {
        return Ok(());
    }
    let message = format!("there are more than {} of them", MOST_PAGES * A_PAGE as usize);
    Err(AwsError::Refused { doing: format!("list the account's {of}"), code: "TooMany".into(), message })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_ended_has_ended() {
        let of = |status: &str| has_ended(&ExperimentStatus::from(status));
        assert!(["completed", "stopped", "failed", "cancelled"].into_iter().all(of));
        assert!(!["pending", "initiating", "running", "stopping", "something new"].into_iter().any(of));
    }

    #[test]
    fn a_list_that_does_not_end_is_no_answer() {
        assert!(enough(99, "experiments").is_ok());
        assert!(enough(100, "experiments").unwrap_err().to_string().contains("more than 10000"));
    }
}
