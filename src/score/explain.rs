//! Rules, values and verdicts in words.

use crate::base::Span;

use super::catalogue::{Catalogue, Layer, Practice};
use super::judge::met;
use super::rule::{Branch, Expr, Limit, Op, Outcome, Truth};
use super::signal::{Readings, State, Value};
use super::words::{bounds, count, percent, percent_bounds};

/// A signal's name without its unit, as words: `failover_s` is `failover`.
pub fn name(signal: &str) -> String {
    let short = [
        ("ttd_s", "time to detect"),
        ("ttn_s", "time to notify"),
        ("tta_s", "time to acknowledge"),
        ("ttr_s", "time to recover"),
        ("tt_comms_s", "time to the first update"),
        ("tt_escalate_s", "time to escalate"),
        ("comms_update_gap_s", "longest time between updates"),
        ("diagnosis_s", "time to name what is broken"),
        ("response_steps_on_time_ratio", "steps of the response in time"),
        ("rto_measured_s", "recovery time"),
        ("rpo_measured_s", "loss window"),
        ("days_since_last_run", "last run"),
        ("dr_drill_days_since", "last drill of a recovery from a disaster"),
        ("days_since_last_restore", "last restore that was drilled"),
        ("review_held_days", "talked over after"),
        ("actions_with_owner_due_ratio", "actions with an owner and a day"),
        ("response_metrics_complete_ratio", "expected answers that were observed"),
        ("scenario_as_code", "scenario under version control"),
        ("gate_decision_recorded", "go or no-go was recorded"),
        ("orr_linked", "linked from a readiness review"),
    ];
    if let Some((_, words)) = short.iter().find(|(name, _)| *name == signal) {
        return (*words).to_owned();
    }
    let bare = ["_s", "_ms", "_ratio", "_n", "_days"].iter().find_map(|unit| signal.strip_suffix(unit)).unwrap_or(signal);
    bare.replace('_', " ")
}

fn unit<'a>(all: &'a Catalogue, signal: &str) -> &'a str {
    all.signals.get(signal).map_or("", |kind| kind.unit.as_str())
}

fn span(seconds: f64) -> Span {
    Span((seconds.max(0.0) * 1e9).round().min(9e18) as u64)
}

/// A number in its unit.
fn number(unit: &str, n: f64) -> String {
    match unit {
        "s" => span(n).human(),
        "ms" => span(n / 1e3).human(),
        "ratio" if (0.0..=1.0).contains(&n) => percent(n),
        "days" => format!("{n:.0} day{}", if n.round() == 1.0 { "" } else { "s" }),
        _ if n.fract() == 0.0 && n >= 0.0 => count(n as u64),
        _ => format!("{n:.2}"),
    }
}

/// What is known of a signal, in words.
pub fn state(all: &Catalogue, signal: &str, state: &State) -> String {
    let unit = unit(all, signal);
    match state {
        State::Absent if unit == "days" => "never".to_owned(),
        State::Absent => "did not come".to_owned(),
        State::NotInstrumented(why) if why.is_empty() => "not instrumented".to_owned(),
        State::NotInstrumented(why) => format!("not instrumented: {why}"),
        State::Undecided(why) => format!("cannot be told: {why}"),
        State::Value(Value::Bool(yes)) => if *yes { "yes" } else { "no" }.to_owned(),
        State::Value(Value::Number { lo, hi }) => match (unit, hi) {
            ("s", hi) => bounds(span(*lo), hi.map(span)),
            ("ms", hi) => bounds(span(lo / 1e3), hi.map(|hi| span(hi / 1e3))),
            ("ratio", Some(hi)) if *lo >= 0.0 && *hi <= 1.0 => {
                if lo == hi {
                    percent(*lo)
                } else {
                    percent_bounds(*lo, *hi)
                }
            }
            (_, Some(hi)) if lo == hi => number(unit, *lo),
            (_, Some(hi)) => format!("{} – {}", number(unit, *lo), number(unit, *hi)),
            (_, None) => format!("more than {}", number(unit, *lo)),
        },
    }
}

fn limit(all: &Catalogue, signal: &str, limit: &Limit, readings: &Readings) -> String {
    match (limit.value(readings), &limit.target) {
        (Some(value), _) => number(unit(all, signal), value),
        (None, Some(target)) => format!("{target}, which nobody declares"),
        (None, None) => String::new(),
    }
}

/// What is asked by one condition: `at most 10 s`.
fn asked(all: &Catalogue, expr: &Expr, wanted: bool, readings: &Readings) -> String {
    let flip = |op: Op| match op {
        Op::Is => Op::IsNot,
        Op::IsNot => Op::Is,
        Op::Below => Op::AtLeast,
        Op::AtMost => Op::Above,
        Op::Above => Op::AtMost,
        Op::AtLeast => Op::Below,
    };
    match expr {
        Expr::Compare(signal, op, with) => {
            let word = match if wanted { *op } else { flip(*op) } {
                Op::Is => "exactly",
                Op::IsNot => "other than",
                Op::Below => "below",
                Op::AtMost => "at most",
                Op::Above => "above",
                Op::AtLeast => "at least",
            };
            format!("{word} {}", limit(all, signal, with, readings))
        }
        Expr::Present(_, present) => if *present == wanted { "present" } else { "absent" }.to_owned(),
        Expr::Yes(_) | Expr::Not(_) | Expr::And(_) | Expr::Or(_) => if wanted { "yes" } else { "no" }.to_owned(),
    }
}

fn signal(expr: &Expr) -> &str {
    match expr {
        Expr::Compare(signal, ..) | Expr::Yes(signal) | Expr::Present(signal, _) => signal,
        Expr::Not(_) | Expr::And(_) | Expr::Or(_) => "",
    }
}

/// A condition with what was found: `failover 14.2 – 14.4 s (asked: at most 10 s)`.
fn found(all: &Catalogue, expr: &Expr, wanted: bool, readings: &Readings) -> String {
    let of = signal(expr);
    let sep = if matches!(expr, Expr::Yes(_)) { ": " } else { " " };
    format!("{}{sep}{} (asked: {})", name(of), state(all, of, readings.state(of)), asked(all, expr, wanted, readings))
}

/// Every smallest condition of an expression with what is wanted of it.
fn parts<'a>(expr: &'a Expr, wanted: bool, into: &mut Vec<(&'a Expr, bool)>) {
    match expr {
        Expr::And(inner) | Expr::Or(inner) => inner.iter().for_each(|part| parts(part, wanted, into)),
        Expr::Not(inner) => parts(inner, !wanted, into),
        Expr::Yes(_) | Expr::Present(..) | Expr::Compare(..) => into.push((expr, wanted)),
    }
}

/// What showed a practice.
pub fn shown(all: &Catalogue, practice: &Practice, readings: &Readings) -> String {
    let mut of = Vec::new();
    met(practice).iter().for_each(|expr| parts(expr, true, &mut of));
    let known = of.iter().filter(|(expr, wanted)| (expr.truth(readings) == Truth::Holds) == *wanted);
    known.map(|(expr, wanted)| found(all, expr, *wanted, readings)).collect::<Vec<_>>().join("; ")
}

/// What refuted a practice.
pub fn missed(all: &Catalogue, practice: &Practice, readings: &Readings) -> String {
    let what = better(all, practice, readings);
    if what.is_empty() {
        // Nothing can meet this practice; say what went wrong.
        let branches = practice.rule.iter().flat_map(|rule| &rule.branches[1..]);
        let holding = branches.filter_map(|b| if let Branch::When(expr) = b { Some(expr) } else { None });
        let mut of = Vec::new();
        holding.filter(|expr| expr.truth(readings) == Truth::Holds).for_each(|expr| parts(expr, false, &mut of));
        return of.iter().map(|(expr, wanted)| found(all, expr, *wanted, readings)).collect::<Vec<_>>().join("; ");
    }
    what.join("; ")
}

/// What would have to be otherwise for the practice to be met, each with what was found.
pub fn better(all: &Catalogue, practice: &Practice, readings: &Readings) -> Vec<String> {
    let way = met(practice).map(|expr| expr.in_the_way(readings, true)).unwrap_or_default();
    way.iter().map(|(expr, wanted)| found(all, expr, *wanted, readings)).collect()
}

/// What a practice asks for, in words: `failover at most 10 s; availability during fault at least 99 %`.
pub fn expectation(all: &Catalogue, practice: &Practice, readings: &Readings) -> String {
    let mut of = Vec::new();
    met(practice).iter().for_each(|expr| parts(expr, true, &mut of));
    let sep = |expr: &Expr| if matches!(expr, Expr::Yes(_)) { ": " } else { " " };
    let said = of.iter().map(|(expr, wanted)| format!("{}{}{}", name(signal(expr)), sep(expr), asked(all, expr, *wanted, readings)));
    said.collect::<Vec<_>>().join("; ")
}

/// Why a rule decides nothing.
pub fn open(all: &Catalogue, practice: &Practice, readings: &Readings) -> String {
    let Some(rule) = &practice.rule else { return String::new() };
    let (signals, targets) = rule.names();
    let unseen: Vec<String> = signals.iter().filter(|s| matches!(readings.state(s), State::NotInstrumented(_))).map(|s| name(s)).collect();
    let undeclared: Vec<String> = targets.iter().filter(|t| !readings.targets.contains_key(**t)).map(|t| name(t)).collect();
    let mut said = Vec::new();
    if !unseen.is_empty() {
        said.push(format!("not instrumented: {}", unseen.join(", ")));
    }
    if !undeclared.is_empty() {
        said.push(format!("no target declared: {}", undeclared.join(", ")));
    }
    if said.is_empty() {
        said.extend(better(all, practice, readings));
    }
    said.join("; ")
}

/// What would exercise a practice.
pub(super) fn would(all: &Catalogue, practice: &Practice) -> String {
    if practice.layer == Layer::Programme {
        return "drills over time, and what follows from them".to_owned();
    }
    let means: Vec<&str> = practice.drills.iter().filter_map(|d| all.drills.get(d)).map(|d| d.means.as_str()).collect();
    if means.is_empty() { "no drill: a review or a person's word".to_owned() } else { means.join(", or ") }
}

/// Rule, values, entries and what would have made it better, for one practice: text for a terminal, one line each.
pub fn page(all: &Catalogue, told: &super::judge::PracticeVerdict, judgement: &super::judge::Judgement) -> Vec<String> {
    let p = told.practice;
    let mut out = vec![format!("{}  {}", p.label, p.title), format!("{} · {} {}", p.choice, p.question_label, p.question_title)];
    let cap = match p.cap {
        super::Risk::Hri => "AWS's own risk: high",
        super::Risk::Mri => "AWS's own risk: not high, so it is at most a medium one",
    };
    out.push(format!("publication of {} · {cap}", all.publication));
    out.push(String::new());
    let risk = if let super::judge::Verdict::Contradicted(risk) = told.verdict { format!(" ({})", risk.name()) } else { String::new() };
    out.push(format!("{}{risk}: {}", told.verdict.word().replace('_', " "), told.why));
    if judgement.demonstration && told.verdict.drilled() {
        out.push("demonstration, not evidence".to_owned());
    }
    if !told.refuted_by.is_empty() {
        out.push(format!("refuted by: {}", told.refuted_by.join(", ")));
    }
    if !told.entries.is_empty() {
        out.push(format!("entries: {}", numbers(&told.entries)));
    }
    if let Some(would) = told.would.as_ref().filter(|_| p.rule.is_some()) {
        out.push(format!("what would exercise it: {would}"));
    }
    if let Some(other) = all.formerly(&p.label) {
        out.push(format!("before the publication of {}, {} was {}", all.publication, p.label, other.choice));
    }
    if let Some(note) = &p.note {
        out.push(format!("note: {note}"));
    }
    rule(p, &mut out);
    for scope in judgement.scopes.iter().filter(|s| p.rule.is_some() && super::judge::exercises(s, p)) {
        values(all, p, scope, judgement.scopes.len(), &mut out);
    }
    out
}

fn rule(p: &Practice, out: &mut Vec<String>) {
    if p.rule.is_none() {
        return;
    }
    out.push(String::new());
    out.push("rule, the first that holds".to_owned());
    for (word, text) in ["supported", "medium risk", "high risk"].iter().zip(&p.texts) {
        out.push(format!("  {word:<12} {}", text.as_deref().unwrap_or("cannot be reached")));
    }
}

fn values(all: &Catalogue, p: &Practice, scope: &super::extract::Scope, scopes: usize, out: &mut Vec<String>) {
    let Some(rule) = &p.rule else { return };
    let (signals, targets) = rule.names();
    out.push(String::new());
    let end = match rule.outcome(&scope.readings) {
        Outcome::Met => "supported",
        Outcome::Medium => "medium risk",
        Outcome::High => "high risk",
        Outcome::Nothing => "no branch holds",
        Outcome::Open => "open",
    };
    let whose =
        if scope.name == scope.fault { format!("fault {}", scope.fault) } else { format!("claim {}, fault {}", scope.name, scope.fault) };
    out.push(if scopes > 1 { format!("{whose}: {end}") } else { whose });
    for signal in signals {
        let entries = scope.readings.signals.get(signal).map(|s| s.entries.as_slice()).filter(|e| !e.is_empty());
        let entries = entries.map_or_else(String::new, |e| format!("  [entries {}]", numbers(e)));
        out.push(format!("  {signal:<28} {}{entries}", state(all, signal, scope.readings.state(signal))));
    }
    for target in targets {
        let text = scope
            .readings
            .targets
            .get(target)
            .map_or_else(|| "not declared".to_owned(), |t| format!("{}  [{}]", number(target_unit(target), t.value), t.from));
        out.push(format!("  {:<28} {text}", format!("target.{target}")));
    }
    let better = better(all, p, &scope.readings);
    if !better.is_empty() {
        out.push("better with".to_owned());
        out.extend(better.into_iter().map(|line| format!("  {line}")));
    }
}

fn target_unit(target: &str) -> &'static str {
    match target {
        t if t.ends_with("_s") => "s",
        t if t.ends_with("_ms") => "ms",
        t if t.ends_with("_days") => "days",
        "slo_availability" | "error_rate" | "degraded_error_rate" | "blast_radius" => "ratio",
        _ => "",
    }
}

/// Entry numbers as people read them.
pub fn numbers(entries: &[u64]) -> String {
    let shown: Vec<String> = entries.iter().take(16).map(u64::to_string).collect();
    if entries.len() > 16 { format!("{} and {} more", shown.join(", "), entries.len() - 16) } else { shown.join(", ") }
}

/// What a finding rests on. What did not come has no entry.
pub fn shown_by(entries: &[u64]) -> String {
    if entries.is_empty() { "no entry of the journal: it did not come".to_owned() } else { format!("entries {}", numbers(entries)) }
}

/// The values behind one practice, for programs: per claim each signal with its state and entries, and each target with its source.
pub fn values_for(all: &Catalogue, practice: &Practice, judgement: &super::judge::Judgement) -> serde_json::Value {
    let Some(rule) = &practice.rule else { return serde_json::Value::Array(Vec::new()) };
    let (signals, targets) = rule.names();
    let one = |scope: &super::extract::Scope| {
        let readings = &scope.readings;
        let of_signal = |name: &&str| {
            let found = readings.signals.get(*name);
            let (lo, hi, yes) = match found.map(|signal| &signal.state) {
                Some(State::Value(Value::Number { lo, hi })) => (Some(*lo), *hi, None),
                Some(State::Value(Value::Bool(yes))) => (None, None, Some(*yes)),
                _ => (None, None, None),
            };
            let word = match found.map(|signal| &signal.state) {
                Some(State::Value(_)) => "measured",
                Some(State::Absent) => "measured_absent",
                Some(State::Undecided(_)) => "undecided",
                Some(State::NotInstrumented(_)) | None => "not_instrumented",
            };
            let value = serde_json::json!({
                "state": word, "unit": unit(all, name), "lo": lo, "hi": hi, "is": yes, "text": state(all, name, readings.state(name)),
                "entries": found.map(|signal| &signal.entries),
            });
            ((*name).to_owned(), value)
        };
        let of_target = |name: &&str| {
            let found = readings.targets.get(*name)?;
            Some(((*name).to_owned(), serde_json::json!({ "value": found.value, "from": found.from })))
        };
        serde_json::json!({
            "scope": scope.name, "fault": scope.fault,
            "signals": signals.iter().map(of_signal).collect::<serde_json::Map<_, _>>(),
            "targets": targets.iter().filter_map(of_target).collect::<serde_json::Map<_, _>>(),
            "better_with": better(all, practice, readings),
        })
    };
    judgement.scopes.iter().filter(|scope| super::judge::exercises(scope, practice)).map(one).collect()
}
