//! What AWS itself would hit: an experiment that skips all its actions resolves its targets and touches none of them. What is made for it is removed
//! again; what a preview that died left behind, the next one removes.

use aws_sdk_fis::types::{
    ActionsMode, ExperimentStatus, ExperimentTemplateSummary, ResolvedTarget, StartExperimentExperimentOptionsInput as Options,
};
use serde::Serialize;
use serde_json::Value;

use super::experiment::{FisExperiment, Undo, lever_is_free};
use super::find::all_templates;
use super::look::{self, one_line};
use super::spec::Spec;
use super::template::create;
use super::{MARK, RUN, place_of};
use crate::base::{Id, Span};
use crate::fault::{Fault, FaultError};
use crate::plan::Plan;
use crate::sys::aws::{self, Account, failed};
use crate::sys::{Cx, clock};

/// What stands in place of a run in the tag [`RUN`].
const PREVIEW: &str = "preview";
/// How long AWS may take to resolve targets.
const RESOLVED_WITHIN: Span = Span::secs(60);
const LOOK_EVERY: Span = Span::millis(500);
/// A template of a preview that is older than this belongs to nobody any more.
const ABANDONED_AFTER: i64 = 900;
/// The most resources that are told.
const MOST: usize = 2_000;

/// A resource that AWS would hit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Hit {
    /// The target's name in the experiment.
    pub target: String,
    /// What it is: its ARN, or what else AWS says of it.
    pub resource: String,
}

/// Asks AWS what an experiment would hit. `spec` is that of an `aws.fis.experiment`, as a plan has it.
///
/// # Errors
/// AWS refuses or does not answer, a target matches nothing, or the answer does not say that every action is skipped; then it is stopped at once.
pub async fn resolve(id: &Id, spec: &Value, plan: &Plan, cx: &Cx) -> Result<Vec<Hit>, FaultError> {
    let spec: Spec =
        serde_json::from_value(spec.clone()).map_err(|source| FaultError::Decode { kind: FisExperiment::KIND, what: "spec", source })?;
    let aws = plan.aws.as_ref().ok_or_else(|| FaultError::Target("the scenario names no account under `aws:`".into()))?;
    let account = aws::open(&place_of(aws)).await?;
    lever_is_free(&account).await?;
    sweep(&account).await?;
    let mark = format!("{PREVIEW}-{}-{}", clock::now().as_nanosecond(), std::process::id());
    let undo = Undo::of(&account.place, mark, PREVIEW, spec.template.clone());
    let found = ask(id, &spec, &account, &undo).await;
    // Whatever came of it: nothing stays.
    FisExperiment.undo(&undo, cx).await?;
    found
}

async fn ask(id: &Id, spec: &Spec, account: &Account, undo: &Undo) -> Result<Vec<Hit>, FaultError> {
    let template = match &spec.template {
        Some(template) => template.clone(),
        None => {
            let about = format!("firedrill plan, fault {id}: only to see what it would hit; may be removed");
            let request = create(spec, &about, account)?.client_token(format!("{}-template", undo.mark()));
            let made = request.tags(MARK, undo.mark()).tags(RUN, PREVIEW).send().await;
            let made = made.map_err(|error| failed("create the template of a preview", &account.place, error))?;
            let id = made.experiment_template().and_then(|template| template.id()).map(str::to_owned);
            id.ok_or_else(|| FaultError::Other("create the template of a preview: AWS names none".into()))?
        }
    };
    let request = account.fis.start_experiment().experiment_template_id(template).client_token(format!("{}-start", undo.mark()));
    let skip = Options::builder().actions_mode(ActionsMode::SkipAll).build();
    let started = request.experiment_options(skip).tags(MARK, undo.mark()).tags(RUN, PREVIEW).send().await;
    let started = started.map_err(|error| failed("start an experiment that skips all its actions", &account.place, error))?;
    let experiment = started.experiment();
    let skips = experiment.and_then(|one| one.experiment_options()).and_then(|options| options.actions_mode());
    if skips != Some(&ActionsMode::SkipAll) {
        return Err(FaultError::Other("preview it: AWS does not say that its actions are skipped; it was stopped".into()));
    }
    let id = experiment.and_then(|one| one.id()).ok_or_else(|| FaultError::Other("preview it: AWS names no experiment".into()))?;
    ended(id, account).await?;
    hits(id, account).await
}

/// Waits until AWS has resolved the targets.
async fn ended(id: &str, account: &Account) -> Result<(), FaultError> {
    let end = clock::mono_ns().saturating_add(RESOLVED_WITHIN.0);
    loop {
        let answer = account.fis.get_experiment().id(id).send().await;
        let answer = answer.map_err(|error| failed("look at the preview", &account.place, error))?;
        let experiment = answer.experiment().ok_or_else(|| FaultError::Other("look at the preview: AWS does not describe it".into()))?;
        match experiment.state().and_then(|state| state.status()) {
            Some(ExperimentStatus::Completed) => return Ok(()),
            Some(ExperimentStatus::Failed | ExperimentStatus::Stopped | ExperimentStatus::Cancelled) => {
                return Err(FaultError::Target(format!("AWS says of a preview: {}", look::words(experiment))));
            }
            _ if clock::mono_ns() >= end => {
                let waited = RESOLVED_WITHIN.human();
                return Err(FaultError::Other(format!("see what it would hit within {waited}: {}", look::words(experiment))));
            }
            _ => clock::sleep(LOOK_EVERY).await,
        }
    }
}

async fn hits(id: &str, account: &Account) -> Result<Vec<Hit>, FaultError> {
    let mut pages = account.fis.list_experiment_resolved_targets().experiment_id(id).max_results(100).into_paginator().send();
    let mut found: Vec<Hit> = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| failed("list what it would hit", &account.place, error))?;
        found.extend(page.resolved_targets().iter().map(hit));
        if found.len() > MOST {
            return Err(FaultError::Target(format!("it would hit more than {MOST} resources")));
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn hit(target: &ResolvedTarget) -> Hit {
    let told = target.target_information();
    let arn = told.and_then(|told| told.values().find(|value| value.starts_with("arn:")));
    let mut others: Vec<&String> = told.into_iter().flatten().map(|(_, value)| value).collect();
    others.sort_unstable();
    let resource = arn.or(others.first().copied()).map_or_else(|| "something that AWS does not name".to_owned(), |text| one_line(text));
    Hit { target: one_line(target.target_name().unwrap_or("?")), resource }
}

/// Removes templates of previews that died.
async fn sweep(account: &Account) -> Result<(), FaultError> {
    let old = clock::now().as_second() - ABANDONED_AFTER;
    let abandoned = |one: &ExperimentTemplateSummary| {
        one.tags().and_then(|tags| tags.get(RUN)).is_some_and(|run| run == PREVIEW) && one.creation_time().is_some_and(|at| at.secs() < old)
    };
    for id in all_templates(account, abandoned).await? {
        let gone = account.stop.delete_experiment_template().id(&id).send().await;
        match gone.map_err(|error| failed("delete the template of a preview that died", &account.place, error)) {
            Err(error) if !error.is_missing() => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_named_by_its_arn_where_it_has_one() {
        let told = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            hit(&ResolvedTarget::builder().target_name("shop").set_target_information(Some(pairs)).build()).resource
        };
        assert_eq!(told(&[("z", "arn:aws:ec2:x:1:instance/i-1"), ("a", "zone")]), "arn:aws:ec2:x:1:instance/i-1");
        assert_eq!(told(&[("pod", "b\u{1b}[2J"), ("namespace", "a")]), "a");
        assert_eq!(told(&[]), "something that AWS does not name");
    }
}
