//! What will happen, for people and programs, before anything does: every default printed, nothing looked up.

use serde_json::{Value, json};

pub use super::words::{claim_line, worst_case};
use super::{FaultPlan, GuardPlan, Mode, Plan, ServedBy, SteadyBounds, SystemPlan};
use super::{block, words};
use crate::base::{Id, Span};
use crate::scenario::defaults;

/// The plan as text. `extra` carries lines about a fault that only its kind can say: targets, privileges, how to undo it by hand.
pub fn text(plan: &Plan, extra: &[(String, Vec<String>)]) -> String {
    let mut out = head(plan);
    section(&mut out, "phases", &phases(plan));
    section(&mut out, "probes", &probes(plan));
    section(&mut out, "steady state", &steady(plan));
    section(&mut out, "guards", &guards(plan));
    section(&mut out, "system", &system(plan));
    let faults: Vec<String> = plan.faults.iter().flat_map(|(id, fault)| fault_lines(plan, id, fault, extra)).collect();
    section(&mut out, "faults", &faults);
    section(&mut out, "restore", &restore(plan));
    section(&mut out, "claims", &claims(plan));
    section(&mut out, "subject", &subject(plan));
    section(&mut out, "people", &super::team::preview(plan.team.as_ref()));
    let carried: Vec<String> = plan.not_judged.iter().map(|what| format!("  {what}")).collect();
    section(&mut out, "checked, but not judged by this version", &carried);
    // A title may hold anything: nothing in it may steer a terminal.
    out.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

/// The plan for programs, schema `firedrill.plan/1`: what text shows, and the plan itself. `foreseen` holds of each fault what only its kind can say.
pub fn json(plan: &Plan, foreseen: &serde_json::Map<String, Value>) -> Value {
    let guard = |(id, guard): (&Id, &GuardPlan)| {
        (
            id.to_string(),
            json!({
                "after_first_bad": guard.usually_reacts_within(), "reacts_within": guard.reacts_within(), "without_data_within": guard.misses_within(),
            }),
        )
    };
    let latest = words::latest(plan);
    let fault = |id: &Id| {
        let mut told = foreseen.get(id.as_str()).cloned().unwrap_or_else(|| json!({}));
        if let Some(times) = latest.get(id) {
            told["latest"] = json!({
                "injected": times.start, "effective": times.effective, "recovered": times.recovered, "undone": times.undone,
            });
        }
        (id.to_string(), told)
    };
    json!({
        "schema": "firedrill.plan/1",
        "title": plan.title,
        "environment": plan.environment,
        "demonstration": plan.is_demonstration(),
        "claim": claim_line(plan),
        "worst_case": worst_case(plan),
        "guards": plan.guards.iter().map(guard).collect::<serde_json::Map<String, Value>>(),
        "faults": plan.faults.keys().map(fault).collect::<serde_json::Map<String, Value>>(),
        "plan": plan,
    })
}

fn section(out: &mut String, title: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    out.push_str(&format!("\n{title}\n"));
    for line in lines {
        out.push_str(line.trim_end());
        out.push('\n');
    }
}

/// A word as it stands in the file, for an enumeration of the language.
fn word(value: impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn head(plan: &Plan) -> String {
    let mut out = format!("{}\n", plan.title.replace('\n', " "));
    let mut line = |name: &str, text: &str| out.push_str(&format!("  {name:<11}{}\n", text.trim_end().replace('\n', " ")));
    line("where", &format!("{}, {} test", word(plan.environment), word(plan.test)));
    if let Some(aws) = &plan.aws {
        line("account", &aws.words());
    }
    for (name, text) in [("why", &plan.why), ("owner", &plan.owner)] {
        if let Some(text) = text {
            line(name, text);
        }
    }
    match plan.mode {
        Mode::Normal => {}
        Mode::Tabletop => line("mode", "tabletop: no fault is touched"),
        Mode::Baseline => line("mode", "stops after baseline: nothing is injected"),
    }
    if plan.is_demonstration() {
        line("worth", "a demonstration, not evidence");
    }
    line("claim", &claim_line(plan));
    line("takes", &format!("at most {} from the start of baseline", worst_case(plan).human()));
    out
}

/// Rows in columns as wide as their widest cell.
fn columns(rows: &[Vec<String>]) -> Vec<String> {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> =
        (0..count).map(|n| rows.iter().filter_map(|row| row.get(n)).map(|cell| cell.chars().count()).max().unwrap_or(0)).collect();
    let pad = |cell: &String, width: usize| format!("{cell}{}", " ".repeat(width.saturating_sub(cell.chars().count())));
    let line = |row: &Vec<String>| row.iter().zip(&widths).map(|(cell, width)| pad(cell, *width)).collect::<Vec<_>>().join("   ");
    rows.iter().map(|row| format!("  {}", line(row)).trim_end().to_owned()).collect()
}

/// Each phase with the latest time that it may end.
fn phases(plan: &Plan) -> Vec<String> {
    let latest = words::latest(plan);
    let by = |span: Span| format!("by {}", span.human());
    let mut rows = vec![
        vec!["prepare".into(), String::new(), "reads only; then system processes and proxies start, owed like faults".into()],
        vec![
            "baseline".into(),
            by(plan.baseline_within),
            format!("until steady for {}; otherwise nothing is injected (exit 20)", plan.steady.over.human()),
        ],
    ];
    if plan.mode == Mode::Baseline {
        return columns(&rows);
    }
    for (id, fault) in &plan.faults {
        let Some(times) = latest.get(id) else { continue };
        rows.push(vec![format!("inject {id}"), by(times.start), words::moment(plan, &fault.at)]);
        rows.push(vec!["  effective".into(), by(times.effective), "otherwise the run is invalid (exit 33)".into()]);
        rows.push(vec![
            "  recovered".into(),
            by(times.recovered),
            "otherwise not recovered: faults that wait for it are not injected".into(),
        ]);
        rows.push(vec!["  undone".into(), by(times.undone), words::hold(fault)]);
    }
    for (id, step) in &plan.restore {
        rows.push(vec![format!("restore {id}"), String::new(), format!("as soon as {}", words::point(plan, &step.after))]);
    }
    let window = plan.claims.values().filter_map(|claim| claim.availability.map(|given| given.over)).max();
    let counted = window.map(|over| format!(", and until {} after effect have been counted", over.human())).unwrap_or_default();
    rows.push(vec![
        "settle".into(),
        by(worst_case(plan)),
        format!("until steady for {} after the last undo, within {}{counted}", plan.steady.over.human(), plan.settle_within.human()),
    ]);
    rows.push(vec!["judge".into(), String::new(), "from plan and journal alone".into()]);
    columns(&rows)
}

fn probes(plan: &Plan) -> Vec<String> {
    let (mut rows, mut below) = (Vec::new(), Vec::new());
    for (id, probe) in &plan.probes {
        let mut notes = vec![format!("good: {}", words::expect(&probe.expect))];
        match &probe.served_by {
            Some(ServedBy::Header(name)) => notes.push(format!("served by header {name}")),
            Some(ServedBy::Json(path)) => notes.push(format!("served by {path}")),
            None => {}
        }
        if probe.control {
            notes.push("control: bad here means it was us".into());
        }
        if let Some(together) = probe.together {
            notes.push(format!("those due within {} leave together", together.human()));
        }
        if probe.ledger {
            let then = if probe.clean_up { "then removed, owed like a fault" } else { "and what it wrote stays" };
            notes.push(format!("ledger: read back after recovery, {then}"));
        }
        let (kind, spec) = block::kind(&probe.kind, &probe.spec, 8);
        rows.push(vec![
            id.to_string(),
            probe.rate.to_string(),
            format!("time-out {}", probe.timeout.human()),
            format!("{} in flight", probe.in_flight),
            kind,
        ]);
        // What is wide would stretch the columns: it is set below its probe instead.
        let notes = format!("      {}", notes.join("; "));
        below.push(std::iter::once(notes).chain(spec).collect::<Vec<_>>());
    }
    columns(&rows).into_iter().zip(below).flat_map(|(top, below)| std::iter::once(top).chain(below)).collect()
}

fn bounds(bounds: &SteadyBounds) -> String {
    let success = bounds.success.map(|success| format!("success at least {}", words::share(success.min)));
    let quantiles = [("p50", bounds.p50), ("p90", bounds.p90), ("p95", bounds.p95), ("p99", bounds.p99)];
    let quantiles = quantiles.iter().filter_map(|(name, bound)| bound.map(|bound| format!("{name} at most {}", bound.max.human())));
    success.into_iter().chain(quantiles).collect::<Vec<_>>().join(", ")
}

fn steady(plan: &Plan) -> Vec<String> {
    let rows: Vec<Vec<String>> = plan.steady.probes.iter().map(|(id, given)| vec![id.to_string(), bounds(given)]).collect();
    let mut lines = columns(&rows);
    lines.push(format!("  over a window of {}", plan.steady.over.human()));
    lines
}

impl GuardPlan {
    /// The longest that a breach may go on before the drill aborts; see [`defaults::guard_reacts_within`].
    pub fn reacts_within(&self) -> Span {
        defaults::guard_reacts_within(self.look.every, self.look.timeout, self.breaches)
    }

    /// From its first bad look to the one that ends the drill; see [`defaults::guard_usually_reacts_within`].
    pub fn usually_reacts_within(&self) -> Span {
        defaults::guard_usually_reacts_within(self.look.every, self.breaches)
    }

    /// The longest that it may get no answer before the drill aborts; see [`defaults::guard_misses_within`].
    pub fn misses_within(&self) -> Span {
        defaults::guard_misses_within(self.look.every, self.look.timeout, self.grace)
    }
}

fn guards(plan: &Plan) -> Vec<String> {
    let rows: Vec<Vec<String>> = plan
        .guards
        .iter()
        .map(|(id, guard)| {
            vec![
                id.to_string(),
                format!("every {}", guard.look.every.human()),
                format!(
                    "{} bad in a row abort, {} after the first, at most {} after harm",
                    guard.breaches,
                    guard.usually_reacts_within().human(),
                    guard.reacts_within().human()
                ),
                format!("so do {} without data, within {}", guard.grace.human(), guard.misses_within().human()),
                format!("{} sees {}", words::kind(&guard.look.kind, &guard.look.spec), words::expect(&guard.look.expect)),
            ]
        })
        .collect();
    columns(&rows)
}

fn system_row(id: &Id, system: &SystemPlan) -> Vec<String> {
    let how = &system.how;
    let mut lines = vec![format!("  {id}   {}", words::command(&how.run))];
    for step in &how.setup {
        lines.push(format!("      setup     {}", words::command(step)));
    }
    if let Some(ready) = &system.ready {
        lines.push(format!("      ready     {}", words::condition(ready)));
    }
    if let Some(user) = &how.user {
        lines.push(format!("      user      {user}"));
    }
    let held = if how.supervised { "also while a fault owns it" } else { "held back while a fault owns it" };
    lines.push(format!("      stop      SIG{}, killed after {}", how.stop.signal.name(), how.stop.within.human()));
    lines.push(format!("      restart   {}, {held}", word(how.restart)));
    lines
}

fn system(plan: &Plan) -> Vec<String> {
    let mut lines: Vec<String> = plan.system.iter().flat_map(|(id, system)| system_row(id, system)).collect();
    for (id, proxy) in &plan.proxies {
        lines.push(format!("  {id}   proxy from {} to {}", proxy.listen, proxy.upstream));
    }
    for (id, target) in &plan.targets {
        let among = target.among.iter().map(Id::as_str).collect::<Vec<_>>().join(", ");
        lines.push(format!("  {id}   {} of {among}, named by {}", target.exactly, words::condition(&target.look)));
    }
    lines
}

fn fault_lines(plan: &Plan, id: &Id, fault: &FaultPlan, extra: &[(String, Vec<String>)]) -> Vec<String> {
    let (kind, spec) = block::kind(&fault.kind, &fault.spec, 8);
    let mut lines = vec![format!("  {id}   {kind}")];
    lines.extend(spec);
    let mut line = |name: &str, text: String| lines.push(format!("      {name:<11}{text}"));
    line("at", words::moment(plan, &fault.at));
    line("for", words::hold(fault));
    match &fault.confirm {
        Some(confirm) => line("confirm", words::condition(confirm)),
        None => line("confirm", format!("its kind looks; every {}, within {}", fault.confirm_every.human(), fault.confirm_within.human())),
    }
    let by: Vec<&str> = fault.recovered_by.iter().map(Id::as_str).collect();
    line(
        "recovery",
        format!("{} steady for {}, within {} of effect", by.join(", "), fault.stable_for.human(), fault.recovery_within.human()),
    );
    for (n, text) in words::undo(fault.undo.as_ref()).into_iter().enumerate() {
        line(if n == 0 { "undo" } else { "" }, text);
    }
    for text in extra.iter().filter(|(of, _)| of == id.as_str()).flat_map(|(_, texts)| texts) {
        lines.push(format!("      {text}"));
    }
    lines
}

fn restore(plan: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    for (id, step) in &plan.restore {
        lines.push(format!("  {id}   {}", words::command(&step.run)));
        lines.push(format!("      after     {}, within {}", words::point(plan, &step.after), step.within.human()));
        if let Some(only) = &step.only_if {
            lines.push(format!("      only if   {}", words::condition(only)));
        }
    }
    lines
}

fn claims(plan: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    for (id, claim) in &plan.claims {
        let about = claim.disruption.as_ref().map(|what| format!(" ({what})")).unwrap_or_default();
        lines.push(format!("  {id}   about {}{about}", claim.fault));
        lines.extend(words::claim(plan, claim).into_iter().map(|part| format!("      {part}")));
        let by: Vec<&str> = claim.measured_by.iter().map(Id::as_str).collect();
        lines.push(format!("      measured by {}", by.join(", ")));
        if let Some(source) = &claim.source {
            let by = source.approved_by.as_ref().map(|who| format!(", approved by {who}")).unwrap_or_default();
            lines.push(format!("      from {}{by}", source.document));
        }
    }
    lines
}

fn subject(plan: &Plan) -> Vec<String> {
    let rows: Vec<Vec<String>> = plan
        .subject
        .iter()
        .map(|(id, subject)| {
            let pick = subject.pick.as_ref().map(|pick| format!(", {pick} of it")).unwrap_or_default();
            vec![id.to_string(), format!("{}{pick}", words::kind(&subject.look.kind, &subject.look.spec))]
        })
        .collect();
    columns(&rows)
}

#[cfg(test)]
mod tests {
    use super::super::build::tests::of;
    use super::*;
    use crate::scenario::check::sample;
    use crate::scenario::model::UndoDecl;

    #[test]
    fn the_preview_says_what_will_happen() {
        let mut s = sample::scenario();
        s.faults[0].undo = Some(UndoDecl {
            run: Some(vec!["pg_ctl".into(), "start".into()]),
            left_to: None,
            done_when: Some(sample::condition("tcp", json!({ "address": "h:1" }), "outcome", crate::plan::Matcher::equals("ok"))),
        });
        let extra = [("lose-primary".to_owned(), vec!["by hand   pg_ctl start".to_owned()])];
        insta::assert_snapshot!(text(&of(&s), &extra));
    }

    #[test]
    fn two_faults_are_told_apart() {
        let mut s = sample::scenario();
        sample::second_fault(&mut s);
        s.team = Some(json!({ "expect": { "detected": { "ack": {}, "within": "30s" } } }));
        s.cadence = Some(Span::secs(90 * 86_400));
        let shown = text(&of(&s), &[]);
        for part in [
            "15 min after lose-primary recovered",
            "for 30 s",
            "proxy from 127.0.0.1:6432 to 127.0.0.1:6001",
            "people\n  detected  page acknowledged within 30 s of the effect of lose-primary\n",
            "checked, but not judged by this version\n  cadence: ",
            "about slow-link",
        ] {
            assert!(shown.contains(part), "{part} is missing in\n{shown}");
        }
        assert!(shown.lines().all(|line| line == line.trim_end()));
    }

    #[test]
    fn a_title_cannot_steer_the_terminal() {
        let plan = Plan { title: "a\nb\u{1b}[2J".into(), ..of(&sample::scenario()) };
        assert!(text(&plan, &[]).starts_with("a b\u{fffd}[2J\n"));
    }

    #[test]
    fn modes_are_told() {
        let plan = of(&sample::scenario());
        let baseline = text(&Plan { mode: Mode::Baseline, ..plan.clone() }, &[]);
        assert!(baseline.contains("nothing is injected") && !baseline.contains("settle"), "{baseline}");
        let tabletop = text(&Plan { mode: Mode::Tabletop, ..plan }, &[]);
        assert!(tabletop.contains("tabletop: no fault is touched"));
    }

    #[test]
    fn guards_show_their_worst_reaction() {
        let mut s = sample::scenario();
        s.guards[0].how.every = Some(Span::millis(500));
        s.guards[0].how.breaches = Some(3);
        let plan = of(&s);
        // The look takes up to a second, so that three of them, and the one under way, take four.
        assert!(
            text(&plan, &[])
                .contains("3 bad in a row abort, 1 s after the first, at most 4 s after harm   so do 1.5 s without data, within 3.5 s"),
            "{}",
            text(&plan, &[])
        );
        let foreseen = [("lose-primary".to_owned(), json!({ "kind": "x" }))].into_iter().collect();
        let value = json(&plan, &foreseen);
        assert_eq!(
            value["guards"]["neighbours"],
            json!({ "after_first_bad": "1s", "reacts_within": "4s", "without_data_within": "3s500ms" })
        );
        assert_eq!(value["faults"]["lose-primary"]["kind"], "x");
        assert_eq!(value["faults"]["lose-primary"]["latest"]["undone"], "2m25s");
        assert_eq!(value["plan"]["faults"]["lose-primary"]["kind"], "process.kill");
        assert_eq!(value["worst_case"], worst_case(&plan).to_string());
    }
}
