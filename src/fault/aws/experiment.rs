//! `aws.fis.experiment`: an experiment of AWS's Fault Injection Service. Started with a client token, so that a start that is repeated is one start;
//! marked with a tag, so that a start whose answer was lost is found; stopped, seen to have ended, and its template removed where the drill made it.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Mutex, PoisonError};

use aws_sdk_fis::types::SafetyLeverStatus;
use serde::{Deserialize, Serialize};

use super::find::{made, started, templates};
use super::hand::{self, in_quotes};
use super::spec::Spec;
use super::template::{Shape, create};
use super::{MARK, RUN, look, place_of, targets};
use crate::base::{Problem, Span};
use crate::fault::{Fault, FaultError, Permit, Prepared, Resource, Scene, Seen};
use crate::plan::Environment;
use crate::sys::aws::{self, Account, Place, failed};
use crate::sys::{Cx, clock};

/// How long the lists of AWS may lag behind a start whose answer was lost.
const LISTED_WITHIN: Span = Span::secs(4);
/// How long one attempt waits for an experiment that was told to stop: below what a step of a fault has, with the calls before it.
const STOPPED_WITHIN: Span = Span::secs(18);
/// What this very process has started, by mark: an abort stops it first and looks for it afterwards.
static STARTED: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());
/// Marks of those that were still going when this very process told them to stop.
static STOPPED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
/// How often it is looked at meanwhile.
const LOOK_EVERY: Span = Span::millis(500);

/// An experiment of AWS Fault Injection Service.
#[derive(Debug)]
pub struct FisExperiment;

/// Enough to find and end it in a fresh process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Undo {
    /// Where.
    place: Place,
    /// What everything that this fault makes is tagged with; never used twice.
    mark: String,
    /// The run.
    run: String,
    /// The template, where it is not made for this fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    template: Option<String>,
}

impl Undo {
    /// Of something that is marked like that.
    pub(super) fn of(place: &Place, mark: String, run: &str, template: Option<String>) -> Undo {
        Undo { place: place.clone(), mark, run: run.to_owned(), template }
    }

    pub(super) fn mark(&self) -> &str {
        &self.mark
    }
}

impl Fault for FisExperiment {
    const KIND: &'static str = "aws.fis.experiment";
    const ABOUT: &'static str = "runs an experiment of AWS Fault Injection Service, from a template or as described";
    const EXAMPLE: &'static str = "aws.fis.experiment: { template: EXTabc123 }\nfor: 5m\n";
    const UNDO: &'static str = "the experiment is stopped and seen to have ended; a template made for it is deleted";
    const UNDO_TAKES: Span = Span::secs(15);
    const CONFIRM: (Span, Span) = (Span::secs(1), Span::secs(120));
    const IN_ACCOUNT: bool = true;
    const READS_BACK: bool = true;
    type Spec = Spec;
    type Undo = Undo;

    fn check(&self, spec: &Spec) -> Vec<Problem> {
        spec.problems()
    }

    fn claims(&self, spec: &Spec) -> Vec<Resource> {
        spec.template.iter().map(|id| Resource::Aws(format!("experiment template {id}"))).collect()
    }

    fn by_hand(&self, undo: &Undo) -> String {
        by_hand(undo)
    }

    async fn prepare(&self, spec: &Spec, scene: &Scene<'_>) -> Result<Prepared<Undo>, FaultError> {
        let plan = scene.plan.aws.as_ref().ok_or_else(|| FaultError::Target("the scenario names no account under `aws:`".into()))?;
        let account = aws::open(&place_of(plan)).await?;
        lever_is_free(&account).await?;
        let shape = match &spec.template {
            None => Shape::described(spec),
            Some(id) => template_of(&account, id).await?,
        };
        let strict = !matches!(scene.plan.environment, Environment::Laptop | Environment::Test);
        if strict && !shape.stops && spec.without_stop_condition.is_none() {
            return Err(FaultError::Missing {
                what: "find a stop condition: without one nothing would end the experiment but its own duration if firedrill were cut off"
                    .into(),
                help: "add a CloudWatch alarm to its stop conditions, or say why not under `without_stop_condition`".into(),
            });
        }
        let mut found = targets::find(&shape, plan, &account).await?;
        found.claims.extend(self.claims(spec));
        let what = spec.template.as_ref().map_or_else(|| "a template of its own".to_owned(), |id| format!("template {id}"));
        Ok(Prepared {
            summary: format!("experiment from {what} ({}), as {}", shape.actions.join(", "), account.caller),
            undo: Undo::of(&account.place, format!("{}-{}", scene.cx.run, clock::mono_ns()), scene.cx.run.as_ref(), spec.template.clone()),
            targets: found.targets,
            population: found.population,
            claims: found.claims,
        })
    }

    async fn inject(&self, spec: &Spec, undo: &Undo, permit: Permit<'_>, cx: &Cx) -> Result<(), FaultError> {
        let account = unless_cancelled(cx, async { Ok(aws::open(&undo.place).await?) }).await?;
        let template = match &undo.template {
            Some(id) => id.clone(),
            None => {
                let about = format!("firedrill run {}, fault {}; removed when it is undone", undo.run, permit.id());
                let request = create(spec, &about, &account)?.client_token(format!("{}-template", undo.mark));
                let request = request.tags(MARK, &undo.mark).tags(RUN, &undo.run);
                let made =
                    async { Ok(request.send().await.map_err(|error| failed("create the experiment template", &undo.place, error))?) };
                let made = unless_cancelled(cx, made).await?;
                let id = made.experiment_template().and_then(|template| template.id()).map(str::to_owned);
                id.ok_or_else(|| FaultError::Other("create the experiment template: AWS names none".into()))?
            }
        };
        let request = account.fis.start_experiment().experiment_template_id(template).client_token(format!("{}-start", undo.mark));
        let request = request.tags(MARK, &undo.mark).tags(RUN, &undo.run);
        let starting = async { Ok(request.send().await.map_err(|error| failed("start the experiment", &undo.place, error))?) };
        if let Some(id) = unless_cancelled(cx, starting).await?.experiment().and_then(|experiment| experiment.id()) {
            STARTED.lock().unwrap_or_else(PoisonError::into_inner).insert(undo.mark.clone(), id.to_owned());
        }
        Ok(())
    }

    async fn observe(&self, undo: &Undo, _: &Cx) -> Result<Seen, FaultError> {
        let account = aws::open(&undo.place).await?;
        let there = started(&account, &undo.mark, undo.template.as_deref()).await?;
        let Some(id) = there.experiments().next() else {
            return Ok(Seen::NotBiting("AWS lists no experiment with this fault's mark".into()));
        };
        let answer = account.fis.get_experiment().id(id).send().await;
        let answer = answer.map_err(|error| failed("look at the experiment", &undo.place, error))?;
        let Some(experiment) = answer.experiment() else { return Ok(Seen::NotBiting(format!("AWS does not describe experiment {id}"))) };
        // What it hits is worth knowing and no reason to fail: the role may not be allowed to ask.
        let resolved = account.fis.list_experiment_resolved_targets().experiment_id(id).max_results(100).send().await;
        Ok(look::seen(experiment, resolved.as_ref().map(|answer| answer.resolved_targets()).unwrap_or_default()))
    }

    async fn undo(&self, undo: &Undo, _: &Cx) -> Result<(), FaultError> {
        let account = aws::open(&undo.place).await?;
        let end = clock::mono_ns().saturating_add(STOPPED_WITHIN.0);
        let known = STARTED.lock().unwrap_or_else(PoisonError::into_inner).get(&undo.mark).cloned();
        if let Some(id) = &known {
            stop(&account, id, &undo.mark).await?;
        }
        let mut left = started(&account, &undo.mark, undo.template.as_deref()).await?;
        if left.experiments().next().is_none() {
            // Never started, or so lately that the lists do not show it yet.
            clock::sleep(LISTED_WITHIN).await;
            left = started(&account, &undo.mark, undo.template.as_deref()).await?;
        }
        for id in left.running.iter().filter(|id| known.as_ref() != Some(*id)) {
            stop(&account, id, &undo.mark).await?;
        }
        while !left.running.is_empty() {
            if clock::mono_ns() >= end {
                return Err(FaultError::Other(format!("see the end of {}: AWS is still stopping it", left.running.join(", "))));
            }
            clock::sleep(LOOK_EVERY).await;
            left = started(&account, &undo.mark, undo.template.as_deref()).await?;
        }
        if undo.template.is_some() {
            return Ok(());
        }
        for id in &templates(&account, &undo.mark).await? {
            let answer = account.stop.delete_experiment_template().id(id).send().await;
            match answer.map_err(|error| failed("delete the experiment template", &undo.place, error)) {
                Err(error) if !error.is_missing() => return Err(error.into()),
                _ => {}
            }
        }
        Ok(())
    }

    async fn verify(&self, undo: &Undo, _: &Cx) -> Result<bool, FaultError> {
        let account = aws::open(&undo.place).await?;
        let first = made(&account, &undo.mark, undo.template.as_deref()).await?;
        if !first.is_over() {
            return Ok(false);
        }
        if first.ended.is_empty() {
            // Never started, or started so lately that the lists do not show it yet: only a later look tells.
            clock::sleep(LISTED_WITHIN).await;
            return Ok(made(&account, &undo.mark, undo.template.as_deref()).await?.is_over());
        }
        Ok(true)
    }

    async fn cut_short(&self, undo: &Undo, _: &Cx) -> Option<String> {
        let account = aws::open(&undo.place).await.ok()?;
        let there = started(&account, &undo.mark, undo.template.as_deref()).await.ok()?;
        let answer = account.fis.get_experiment().id(there.ended.first()?).send().await.ok()?;
        // A process that did not start it cannot tell whose stop it was.
        let began = STARTED.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&undo.mark);
        let by_others = began && !STOPPED.lock().unwrap_or_else(PoisonError::into_inner).contains(&undo.mark);
        answer.experiment().and_then(|experiment| look::cut_short(experiment, by_others))
    }

    async fn ended(&self, undo: &Undo, _: &Cx) -> Option<String> {
        let account = aws::open(&undo.place).await.ok()?;
        let there = started(&account, &undo.mark, undo.template.as_deref()).await.ok()?;
        let Some(id) = there.ended.first() else { return Some("no experiment was started".into()) };
        let answer = account.fis.get_experiment().id(id).send().await.ok()?;
        answer.experiment().map(look::words)
    }
}

/// A call that ends at once when the drill is aborted; whether it had been made is then found out by the mark.
async fn unless_cancelled<T>(cx: &Cx, call: impl Future<Output = Result<T, FaultError>>) -> Result<T, FaultError> {
    tokio::select! {
        biased;
        () = cx.cancel.cancelled() => Err(FaultError::Other("go on: the drill was aborted".into())),
        done = call => done,
    }
}

pub(super) async fn lever_is_free(account: &Account) -> Result<(), FaultError> {
    let answer = account.fis.get_safety_lever().id("default").send().await;
    let answer = answer.map_err(|error| failed("read the safety lever of the account", &account.place, error))?;
    let state = answer.safety_lever().and_then(|lever| lever.state());
    match state.and_then(|state| state.status()) {
        Some(SafetyLeverStatus::Disengaged) => Ok(()),
        _ => {
            let why = state.and_then(|state| state.reason()).map(look::one_line).filter(|why| !why.is_empty());
            let why = why.map(|why| format!(": {why}")).unwrap_or_default();
            Err(FaultError::Missing {
                what: format!("start experiments: the FIS safety lever of account {} is engaged{why}", account.place.account),
                help: "whoever engaged it lets go with `aws fis update-safety-lever-state`".into(),
            })
        }
    }
}

async fn template_of(account: &Account, id: &str) -> Result<Shape, FaultError> {
    let doing = format!("find the experiment template {id} in {} ({})", account.place.region, account.place.account);
    let answer = account.fis.get_experiment_template().id(id).send().await.map_err(|error| failed(&doing, &account.place, error))?;
    Shape::of(answer.experiment_template().ok_or(FaultError::Target(format!("AWS does not describe template {id}")))?)
}

/// Tells AWS to stop an experiment. One that has ended meanwhile cannot be stopped, and need not be: the next look tells.
async fn stop(account: &Account, id: &str, mark: &str) -> Result<(), FaultError> {
    match account.stop.stop_experiment().id(id).send().await.map_err(|error| failed("stop the experiment", &account.place, error)) {
        Err(error) if !error.is_missing() && !error.is_refused() => Err(error.into()),
        Err(_) => Ok(()),
        Ok(_) => {
            STOPPED.lock().unwrap_or_else(PoisonError::into_inner).insert(mark.to_owned());
            Ok(())
        }
    }
}

/// One line that stops and removes everything that carries the mark, with the AWS command line.
fn by_hand(undo: &Undo) -> String {
    hand::line(&undo.place, |aws| {
        let mine = format!("tags.\"{MARK}\"=='{}'", undo.mark);
        let open = "(state.status=='pending'||state.status=='initiating'||state.status=='running')";
        let stop = format!(
            "for id in $({aws} fis list-experiments --query 'experiments[?{mine_q}&&{open_q}].id'); do {aws} fis stop-experiment --id \"$id\" >/dev/null || exit 1; done",
            mine_q = in_quotes(&mine),
            open_q = in_quotes(open),
        );
        let gone = format!(
            "for id in $({aws} fis list-experiment-templates --query 'experimentTemplates[?{}].id'); do {aws} fis delete-experiment-template --id \"$id\" >/dev/null || exit 1; done",
            in_quotes(&mine),
        );
        if undo.template.is_some() { stop } else { format!("{stop}; {gone}") }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn undo(template: Option<&str>, role: Option<&str>) -> Undo {
        Undo {
            place: Place {
                account: "111122223333".into(),
                region: "eu-west-1".into(),
                profile: Some("drills".into()),
                role: role.map(str::to_owned),
                ..Place::default()
            },
            mark: "01RUN-7".into(),
            run: "01RUN".into(),
            template: template.map(str::to_owned),
        }
    }

    #[test]
    fn the_line_by_hand_touches_what_carries_the_mark_and_no_template_of_others() {
        let line = by_hand(&undo(None, None));
        assert!(line.contains("01RUN-7") && line.contains("stop-experiment") && line.contains("delete-experiment-template"), "{line}");
        assert!(line.contains("--profile drills --region eu-west-1") && line.contains("= 111122223333 ]"), "{line}");
        let line = by_hand(&undo(Some("EXT1"), None));
        assert!(!line.contains("delete-experiment-template"), "{line}");
        let line = by_hand(&undo(None, Some("arn:aws:iam::111122223333:role/drill")));
        assert!(line.starts_with("( keys=$(aws --profile drills sts assume-role"), "{line}");
        assert!(!line.contains('\n'));
    }
}
