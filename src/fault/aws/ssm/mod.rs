//! `aws.ssm.command`: a command on hosts, by Systems Manager, with the command that undoes it. Found by its comment, so that one whose answer was lost
//! is neither sent again nor left; a timer on each host undoes it when nobody else can.

mod document;
mod hosts;
pub(in crate::fault) mod line;
mod order;
mod preset;
mod sent;
mod spec;
mod told;
mod undoing;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use self::order::Order;
use self::sent::{How, LISTED_WITHIN, OnHost, Sent};
use self::spec::{Bites, Spec};
use super::hand::{self, in_quotes};
use super::place_of;
use super::spec::Bucket;
use crate::base::{Problem, Span};
use crate::fault::{Fault, FaultError, Permit, Prepared, Resource, Scene, Seen, shell};
use crate::plan::Environment;
use crate::sys::aws::{self, Account, Place};
use crate::sys::{Cx, clock};

/// What IAM must allow the runner for this kind. `ssm:SendCommand` is asked of the documents and of the instances.
pub const ACTIONS: &[&str] = &[
    "ssm:CancelCommand",
    "ssm:DescribeDocument",
    "ssm:DescribeInstanceInformation",
    "ssm:GetCommandInvocation",
    "ssm:ListCommandInvocations",
    "ssm:ListCommands",
    "ssm:SendCommand",
];
/// How much earlier than our clock says a command may have been sent by AWS's: signatures allow less.
const CLOCKS: i64 = 900;
/// What this very process has sent, by comment: lists lag behind.
static SENT: Mutex<BTreeMap<String, Vec<String>>> = Mutex::new(BTreeMap::new());

/// The documents that a fault with this spec sends, by name or ARN.
pub(super) fn documents(spec: &serde_json::Value) -> Vec<String> {
    let Ok(spec) = serde_json::from_value::<Spec>(spec.clone()) else { return Vec::new() };
    let orders = [Some(order::breaks(&spec, "", Span::secs(1))), order::undoes(&spec, "")];
    orders.into_iter().flatten().map(|order| order.document).collect()
}

/// A command of AWS Systems Manager.
#[derive(Debug)]
pub struct SsmCommand;

/// Enough to find, cancel and undo it in a fresh process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Undo {
    /// Where.
    place: Place,
    /// What the commands of this fault are found by; never used twice.
    mark: String,
    /// Since when they can have been sent, as AWS writes moments.
    since: String,
    /// The instances that it is sent to.
    instances: Vec<String>,
    /// How long it may last on a host until the timer there acts, or its document ends.
    after: Span,
    /// When it bites.
    bites: Bites,
    /// Whether the hosts have it one after the other.
    #[serde(default)]
    in_turns: bool,
    /// How long AWS waits for a host to take it, in seconds.
    delivery: i32,
    /// Where AWS writes what it prints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    output: Option<Bucket>,
    /// Whether a timer on each host undoes it in the end, and refuses what comes late.
    #[serde(default)]
    timer: bool,
    /// What undoes it; none where it ends by itself, or somebody else undoes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    order: Option<Order>,
    /// What nobody stops or undoes from here, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    left: Option<String>,
}

impl Undo {
    /// The comment of the command that breaks.
    fn breaks(&self) -> String {
        format!("firedrill {}", self.mark)
    }

    /// The comment of every command that undoes.
    fn undoes(&self) -> String {
        format!("firedrill {} undo", self.mark)
    }

    fn how<'a>(&'a self, comment: &'a str) -> How<'a> {
        How { delivery: self.delivery, concurrency: None, errors: None, output: self.output.as_ref(), comment, since: &self.since }
    }
}

fn remember(comment: String, id: String) {
    SENT.lock().unwrap_or_else(PoisonError::into_inner).entry(comment).or_default().push(id);
}

fn remembered(comment: &str) -> Vec<String> {
    SENT.lock().unwrap_or_else(PoisonError::into_inner).get(comment).cloned().unwrap_or_default()
}

/// Every command of the fault that is known, by the lists of AWS and by what this process sent itself.
async fn all(account: &Account, undo: &Undo) -> Result<Vec<Sent>, FaultError> {
    let mut found = sent::list(account, &undo.breaks(), &undo.since).await?;
    for comment in [undo.breaks(), undo.undoes()] {
        for id in remembered(&comment) {
            if !found.iter().any(|one| one.id == id) {
                found.push(Sent { id, comment: comment.clone(), status: "Pending".into(), open: true });
            }
        }
    }
    Ok(found)
}

/// The command that breaks, where it was sent.
async fn main_of(account: &Account, undo: &Undo) -> Result<Option<Sent>, FaultError> {
    let comment = undo.breaks();
    Ok(all(account, undo).await?.into_iter().find(|one| one.comment == comment))
}

impl Fault for SsmCommand {
    const KIND: &'static str = "aws.ssm.command";
    const ABOUT: &'static str = "runs a command on hosts, by AWS Systems Manager: lines for the shell, a document, or a preset of AWS";
    const EXAMPLE: &'static str = "aws.ssm.command:\n  commands: [systemctl stop shop]\n  tags: { app: shop, firedrill: allowed }\n  \
        undo: { commands: [systemctl start shop] }\nfor: 1m\n";
    const UNDO: &'static str = "the command is cancelled, its undo is sent to every host that it reached and seen to end well; else each host undoes it by a timer of its own";
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
        spec.instances.iter().map(|id| Resource::Aws(format!("managed instance {id}"))).collect()
    }

    fn by_hand(&self, undo: &Undo) -> String {
        by_hand(undo)
    }

    async fn prepare(&self, spec: &Spec, scene: &Scene<'_>) -> Result<Prepared<Undo>, FaultError> {
        let plan = scene.plan.aws.as_ref().ok_or_else(|| FaultError::Target("the scenario names no account under `aws:`".into()))?;
        let account = aws::open(&place_of(plan)).await?;
        safe(spec, scene)?;
        let ours = serde_json::to_value(spec).unwrap_or_default();
        let same = |other: &serde_json::Value| {
            let other = serde_json::from_value::<Spec>(scene.cx.fill_value(other)).ok();
            other.and_then(|other| serde_json::to_value(other).ok()).is_some_and(|other| other == ours)
        };
        let (held, lasts) = order::lasts(scene.plan, Self::KIND, same);
        let after = spec.timer.unwrap_or(lasts);
        if after <= held {
            let why = format!("the timer on the hosts would act after {}, while the fault is held for {}", after.human(), held.human());
            return Err(FaultError::Missing {
                what: format!("hold the fault: {why}"),
                help: "make `timer` longer, or leave it out".into(),
            });
        }
        let mark = format!("{}-{}", scene.cx.run, clock::mono_ns());
        let breaks = order::breaks(spec, &mark, after);
        let given = (spec.preset.is_none() && spec.commands.is_empty()).then_some(&spec.parameters);
        let platforms = document::check(&breaks, given, &account).await?;
        let undoes = order::undoes(spec, &mark);
        if let (Some(order), Some(undo)) = (&undoes, &spec.undo) {
            document::check(order, undo.commands.is_empty().then_some(&undo.parameters), &account).await?;
        }
        let found = hosts::find(spec, plan, &platforms, &account).await?;
        let lasting = spec.preset.is_some_and(preset::Preset::ends_by_itself);
        let delivery = i32::try_from(spec.delivery_timeout.0 / 1_000_000_000).unwrap_or(60);
        let undo = Undo {
            place: account.place.clone(),
            mark,
            since: since(),
            instances: found.iter().map(|host| host.id.clone()).collect(),
            after,
            bites: spec.bites.unwrap_or(if lasting { Bites::Runs } else { Bites::Ended }),
            in_turns: spec.max_concurrency.is_some(),
            delivery,
            output: spec.output.clone(),
            timer: spec.has_timer(),
            order: undoes,
            left: order::left(spec),
        };
        let timer = if undo.timer { format!(", undone on each host by itself after {}", after.human()) } else { String::new() };
        let Place { account: number, region, .. } = &account.place;
        Ok(Prepared {
            summary: format!("{} by Systems Manager in {number}, {region}{timer}, as {}", breaks.document, account.caller),
            targets: found.iter().map(hosts::Host::words).collect(),
            population: None,
            claims: found.iter().map(|host| host.claim(&account.place)).collect(),
            undo,
        })
    }

    async fn inject(&self, spec: &Spec, undo: &Undo, _: Permit<'_>, cx: &Cx) -> Result<(), FaultError> {
        let sending = async {
            let account = aws::open(&undo.place).await?;
            let order = order::breaks(spec, &undo.mark, undo.after);
            let (concurrency, errors) =
                (spec.max_concurrency.as_ref().map(ToString::to_string), spec.max_errors.as_ref().map(ToString::to_string));
            let comment = undo.breaks();
            let how = How { concurrency: concurrency.as_deref(), errors: errors.as_deref(), ..undo.how(&comment) };
            let id = sent::send(&account, &order, &undo.instances, how, &[]).await?;
            remember(undo.breaks(), id);
            Ok(())
        };
        // Whether a call that is given up was made is found out by its comment.
        tokio::select! {
            biased;
            () = cx.cancel.cancelled() => Err(FaultError::Other("go on: the drill was aborted".into())),
            done = sending => done,
        }
    }

    async fn observe(&self, undo: &Undo, _: &Cx) -> Result<Seen, FaultError> {
        let account = aws::open(&undo.place).await?;
        let Some(main) = main_of(&account, undo).await? else {
            return Ok(Seen::NotBiting("AWS lists no command with this fault's mark".into()));
        };
        let hosts = sent::on_hosts(&account, &main.id).await?;
        let ended: Vec<OnHost> = hosts.iter().filter(|host| !host.open()).cloned().collect();
        // Who runs has said nothing yet; results are asked for once, when all is decided.
        let said = if ended.len() == hosts.len() { told::ask(&account, &main.id, &hosts).await } else { Vec::new() };
        let words = told::words(&main.id, &hosts, &said);
        let failed = !main.open && main.status != "Success";
        Ok(told::seen(words, &hosts, undo.instances.len(), undo.bites, undo.in_turns, failed))
    }

    async fn undo(&self, undo: &Undo, _: &Cx) -> Result<(), FaultError> {
        undoing::undo(undo).await
    }

    async fn verify(&self, undo: &Undo, _: &Cx) -> Result<bool, FaultError> {
        let account = aws::open(&undo.place).await?;
        if main_of(&account, undo).await?.is_none() {
            // Never sent, or sent so lately that the lists do not show it yet: only a later look tells.
            clock::sleep(LISTED_WITHIN).await;
        }
        undoing::is_over(&account, undo).await
    }

    async fn cut_short(&self, undo: &Undo, _: &Cx) -> Option<String> {
        let account = aws::open(&undo.place).await.ok()?;
        undoing::cut_short(&account, undo).await
    }

    async fn ended(&self, undo: &Undo, _: &Cx) -> Option<String> {
        let account = aws::open(&undo.place).await.ok()?;
        let known = all(&account, undo).await.ok()?;
        if known.is_empty() {
            return Some("no command was sent".into());
        }
        let mut parts = Vec::new();
        for one in known.iter().rev().take(4) {
            let hosts = sent::on_hosts(&account, &one.id).await.ok()?;
            let said = told::ask(&account, &one.id, &hosts).await;
            let what = if one.comment == undo.breaks() { "" } else { "undo by " };
            parts.push(format!("{what}{}", told::words(&one.id, &hosts, &said)));
        }
        parts.extend(undo.left.clone());
        Some(parts.join("; "))
    }
}

/// A moment that is surely before everything that is sent from now on, by AWS's clock.
fn since() -> String {
    let now = clock::now();
    let before = jiff::Timestamp::from_second(now.as_second() - CLOCKS).unwrap_or(now);
    before.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Outside of a laptop and a test, a host must become whole without anybody, or somebody says why not.
fn safe(spec: &Spec, scene: &Scene<'_>) -> Result<(), FaultError> {
    let strict = !matches!(scene.plan.environment, Environment::Laptop | Environment::Test);
    let ends = spec.preset.is_some_and(preset::Preset::ends_by_itself);
    if strict && !ends && !spec.has_timer() && spec.without_timer.is_none() {
        return Err(FaultError::Missing {
            what: "set a timer on the hosts: only lines for the shell that lines for the shell undo have one, and without it nothing would undo this if firedrill were cut off".into(),
            help: "write both as `commands:`, or say why not under `without_timer`".into(),
        });
    }
    Ok(())
}

/// One line that cancels the command and sends its undo to every host that it was sent to, with the AWS command line.
fn by_hand(undo: &Undo) -> String {
    hand::line(&undo.place, |aws| {
        let since = format!("--filters key=InvokedAfter,value={}", undo.since);
        let ids = format!("ids=$({aws} ssm list-commands {since} --query 'Commands[?Comment==`{}`].CommandId')", in_quotes(&undo.breaks()));
        let cancel = format!("for id in $ids; do {aws} ssm cancel-command --command-id \"$id\" || exit 1; done");
        let Some(order) = &undo.order else { return format!("{ids}; {cancel}") };
        // What never came to a host is not undone there.
        let never = "StatusDetails!=`Undeliverable`&&StatusDetails!=`Terminated`&&StatusDetails!=`DeliveryTimedOut`&&StatusDetails!=`Delivery Timed Out`";
        let reached = format!(
            "to=$(for id in $ids; do {aws} ssm list-command-invocations --command-id \"$id\" --query 'CommandInvocations[?{never}].InstanceId'; done)"
        );
        let parameters = serde_json::to_string(&order.parameters).unwrap_or_default();
        let version = order.version.as_ref().map(|version| format!(" --document-version {}", shell::quote(version))).unwrap_or_default();
        let send = format!(
            "id=$({aws} ssm send-command --document-name {}{version} --instance-ids $to --timeout-seconds {} --comment {} --parameters {} --query Command.CommandId) || exit 1",
            shell::quote(&order.document),
            undo.delivery,
            shell::quote(&undo.undoes()),
            shell::quote(&parameters),
        );
        let wait = format!("for i in $to; do {aws} ssm wait command-executed --command-id \"$id\" --instance-id \"$i\" || exit 1; done");
        format!("{ids}; {cancel}; {reached}; [ -z \"$to\" ] || {{ {send}; {wait}; }}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn undo(order: Option<Order>) -> Undo {
        Undo {
            place: Place { account: "111122223333".into(), region: "eu-west-1".into(), ..Place::default() },
            mark: "01RUN-7".into(),
            since: "2026-11-27T01:00:00Z".into(),
            instances: vec!["i-1".into()],
            after: Span::secs(300),
            bites: Bites::Ended,
            in_turns: false,
            delivery: 60,
            output: None,
            timer: true,
            order,
            left: None,
        }
    }

    #[test]
    fn the_line_by_hand_finds_by_the_mark_cancels_and_undoes() {
        let parameters = BTreeMap::from([("commands".to_owned(), vec!["echo 'it''s'\nx".to_owned()])]);
        let line = by_hand(&undo(Some(Order { document: "AWS-RunShellScript".into(), version: None, parameters })));
        for part in [
            "Comment==`firedrill 01RUN-7`",
            "cancel-command",
            "--document-name AWS-RunShellScript",
            "'firedrill 01RUN-7 undo'",
            "wait command-executed",
        ] {
            assert!(line.contains(part), "{part} in {line}");
        }
        assert!(!line.contains('\n'));
        let line = by_hand(&undo(None));
        assert!(line.contains("cancel-command") && !line.contains("send-command"), "{line}");
    }

    #[test]
    fn what_iam_must_allow_is_sorted_and_of_one_service() {
        assert!(ACTIONS.is_sorted() && ACTIONS.iter().all(|action| action.starts_with("ssm:")));
    }
}
