//! The decision: a pure function of policies, plan, time and approvals. Every policy and every rule must agree; what cannot be decided is
//! not allowed.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::account;
use super::approval::{Approval, Bound, Presented, Standing, different};
use super::demand::{applies, asked_of, first_refusal, has, hits, named, radius, refuse_unless, shown, text_of, words};
use super::model::{Freeze, Rule};
use super::reach::Reach;
use super::read::Ruled;
use super::when::{Interval, fits, meets, next};
use crate::base::{Id, Span};
use crate::plan::{Mode, Plan, preview::worst_case};
use crate::scenario::Finding;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Whether the file could ever be run: no time, no approvals, no targets are looked at.
    Check,
    /// Whether it may be run now.
    Now,
}

/// Everything a decision depends on.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// What is asked.
    pub stage: Stage,
    /// What would happen.
    pub plan: &'a Plan,
    /// What each fault would hit.
    pub reach: &'a [Reach],
    /// Now.
    pub now: Timestamp,
    /// What an approval must be bound to.
    pub bound: &'a Bound,
    /// The approvals that were found.
    pub presented: &'a [Presented],
}

/// How one demand of one rule came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    Passed,
    /// It does not hold, and waiting does not help: why.
    Refused(String),
    /// It does not hold now: why, and what to do.
    NotNow(String, String),
    /// It is decided when the drill is planned or run.
    Later,
}

/// One demand of one rule, and how it came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling {
    /// Which policy.
    pub policy: usize,
    /// Where it is written: a JSON pointer.
    pub at: String,
    /// What it is called: `production.max_hold`.
    pub rule: String,
    /// What it asks, in words.
    pub asks: String,
    /// Why, in the rule's own words.
    pub why: Option<String>,
    /// How it came out.
    pub verdict: Verdict,
}

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decision {
    /// Every demand, in file order.
    pub rulings: Vec<Ruling>,
    /// Approvals that count.
    pub approved: Vec<Approval>,
    /// Approvals that do not: file and why.
    pub void: Vec<(String, String)>,
    /// How many different people are asked for at most.
    pub people: u32,
    /// When it may run next, where time is all that stands against it now.
    pub opens: Option<Timestamp>,
}

impl Ruling {
    /// As a problem of the policy's own text. Nothing where it holds.
    pub fn finding(&self) -> Option<Finding> {
        let (why, help) = match &self.verdict {
            Verdict::Passed | Verdict::Later => return None,
            Verdict::Refused(why) => (why, None),
            Verdict::NotNow(why, help) => (why, Some(help.clone())),
        };
        let finding = Finding::error(self.at.clone(), format!("the policy refuses this drill: {why}"), self.asks.clone()).on_key();
        let help = match (&self.why, help) {
            (Some(reason), Some(help)) => Some(format!("{help} (the rule says: {})", one_line(reason))),
            (Some(reason), None) => Some(format!("the rule says: {}", one_line(reason))),
            (None, help) => help,
        };
        Some(match help {
            Some(help) => finding.help(help),
            None => finding,
        })
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Decides. The same arguments, the same answer.
pub fn decide(policies: &[Ruled], case: Case<'_>) -> Decision {
    let mut judge = Judge {
        case,
        takes: worst_case(case.plan),
        decision: Decision::default(),
        windows: Vec::new(),
        freezes: Vec::new(),
        zone: TimeZone::UTC,
    };
    for (n, ruled) in policies.iter().enumerate() {
        judge.policy(n, ruled);
    }
    judge.times();
    judge.decision
}

struct Judge<'a> {
    case: Case<'a>,
    takes: Span,
    decision: Decision,
    windows: Vec<Vec<Interval>>,
    freezes: Vec<Interval>,
    /// In whose time the next opening is told: that of the window that is closed.
    zone: TimeZone,
}

impl Judge<'_> {
    fn say(&mut self, policy: usize, at: String, why: Option<&String>, asks: String, verdict: Verdict) {
        let mut rule: String = at.trim_start_matches('/').replace('/', ".");
        if let Some(short) = rule.strip_prefix("rules.") {
            rule = short.to_owned();
        }
        self.decision.rulings.push(Ruling { policy, at, rule, asks, why: why.cloned(), verdict });
    }

    fn policy(&mut self, n: usize, ruled: &Ruled) {
        let here = self.case.plan.environment;
        if let Some(allowed) = &ruled.policy.environments {
            let asks = format!("drills run in {}", words(allowed));
            let verdict = refuse_unless(allowed.contains(&here), || format!("its environment is {}", text_of(&here)));
            self.say(n, "/environments".into(), None, asks, verdict);
        }
        // What injects nothing may be done at any time.
        let injects = self.case.plan.mode == Mode::Normal;
        for (id, freeze) in ruled.policy.freezes.iter().filter(|(_, freeze)| injects && applies(freeze.environments.as_deref(), here)) {
            self.freeze(n, ruled, id, freeze);
        }
        for (id, rule) in ruled.policy.rules.iter().filter(|(_, rule)| applies(rule.environments.as_deref(), here)) {
            self.rule(n, id, rule);
            if injects {
                self.window(n, ruled, id, rule);
                self.approvals(n, id, rule);
            }
        }
    }

    fn freeze(&mut self, n: usize, ruled: &Ruled, id: &Id, freeze: &Freeze) {
        let asks = format!("nothing is injected from {} to {} {}", freeze.from, freeze.to, freeze.zone);
        // A calendar has every freeze of its policy; one that it lacks would hold for ever.
        let interval = ruled.calendar.freeze(id).unwrap_or((Timestamp::MIN, Timestamp::MAX));
        let verdict = match self.case.stage {
            Stage::Check => Verdict::Later,
            Stage::Now if !meets(interval, self.case.now, self.takes) => Verdict::Passed,
            Stage::Now if interval.0 > self.case.now => {
                let why = format!("the freeze `{id}` begins before it is over, at the latest {} from now", self.takes.human());
                Verdict::NotNow(why, String::new())
            }
            Stage::Now => Verdict::NotNow(format!("the freeze `{id}` holds"), String::new()),
        };
        self.freezes.push(interval);
        self.say(n, format!("/freezes/{id}"), freeze.why.as_ref(), asks, verdict);
    }

    fn rule(&mut self, n: usize, id: &Id, rule: &Rule) {
        let plan = self.case.plan;
        let at = |key: &str| format!("/rules/{id}/{key}");
        if let Some(needs) = &rule.require {
            let lacking: Vec<String> = needs.iter().filter(|need| !has(plan, **need)).map(|need| format!("no {}", text_of(need))).collect();
            let asks = format!("a scenario has: {}", words(needs));
            self.say(
                n,
                at("require"),
                rule.why.as_ref(),
                asks,
                refuse_unless(lacking.is_empty(), || format!("it has {}", lacking.join(", "))),
            );
        }
        if let Some(kinds) = &rule.kinds {
            let verdict =
                first_refusal(plan.faults.iter().map(|(fault, how)| named(kinds, &how.kind).map(|why| format!("`{fault}` is a {why}"))));
            self.say(n, at("kinds"), rule.why.as_ref(), shown(kinds, "kinds"), verdict);
        }
        if let Some(targets) = &rule.targets {
            let verdict = first_refusal(self.case.reach.iter().map(|reach| hits(targets, reach)));
            self.say(n, at("targets"), rule.why.as_ref(), shown(targets, "targets"), verdict);
        }
        if let Some(most) = &rule.max_targets {
            let verdict = radius(most, self.case.reach, self.case.stage);
            let parts = [most.count.map(|n| format!("{n} of them")), most.percent.map(|share| format!("{share} of their population"))];
            let asks = format!("targets are at most {}", parts.into_iter().flatten().collect::<Vec<_>>().join(" and "));
            self.say(n, at("max_targets"), rule.why.as_ref(), asks, verdict);
        }
        if let Some(aws) = &rule.aws {
            self.say(n, at("aws"), rule.why.as_ref(), account::asks(aws), account::judge(aws, plan));
        }
        self.hosts(n, id, rule);
        self.listening(n, id, rule);
        if let Some(most) = rule.max_faults {
            let count = plan.faults.len();
            let verdict = refuse_unless(count <= most as usize, || format!("it has {count} faults"));
            self.say(n, at("max_faults"), rule.why.as_ref(), format!("a drill has at most {most} faults"), verdict);
        }
        if let Some(most) = rule.max_hold {
            let verdict = first_refusal(plan.faults.iter().map(|(fault, how)| {
                let long = how.longest_hold();
                (long > most).then(|| format!("`{fault}` may last {}", long.human()))
            }));
            self.say(n, at("max_hold"), rule.why.as_ref(), format!("a fault lasts at most {}", most.human()), verdict);
        }
        if let Some(most) = rule.max_duration {
            let verdict = refuse_unless(self.takes <= most, || format!("it may take {}", self.takes.human()));
            self.say(n, at("max_duration"), rule.why.as_ref(), format!("a drill takes at most {}", most.human()), verdict);
        }
    }

    fn hosts(&mut self, n: usize, id: &Id, rule: &Rule) {
        let Some(hosts) = &rule.hosts else { return };
        let verdict = first_refusal(self.case.plan.faults.iter().map(|(fault, how)| {
            let place = how.on.as_ref()?.how.place().rsplit('@').next().unwrap_or_default();
            named(hosts, place).map(|why| format!("`{fault}` acts on {why}"))
        }));
        self.say(n, format!("/rules/{id}/hosts"), rule.why.as_ref(), shown(hosts, "hosts"), verdict);
    }

    fn listening(&mut self, n: usize, id: &Id, rule: &Rule) {
        if rule.loopback_only != Some(true) {
            return;
        }
        let open = self.case.plan.team.iter().filter_map(|team| team.listen.as_ref()).find(|listen| !listen.is_loopback());
        let verdict = open.map_or(Verdict::Passed, |listen| Verdict::Refused(format!("`team.listen` is {}", listen.address)));
        self.say(n, format!("/rules/{id}/loopback_only"), rule.why.as_ref(), "a drill listens at 127.0.0.1 alone".into(), verdict);
    }

    fn window(&mut self, n: usize, ruled: &Ruled, id: &Id, rule: &Rule) {
        let Some(names) = &rule.windows else { return };
        let openings = ruled.calendar.openings(names, self.case.now);
        let asks = format!("a drill fits into {}", names.join(" or "));
        let zone = ruled.calendar.zone_of(names);
        let local = |at: Timestamp| at.to_zoned(zone.clone()).strftime("%a %Y-%m-%d %H:%M %Q").to_string();
        let verdict = match self.case.stage {
            Stage::Check => Verdict::Later,
            Stage::Now if fits(&openings, self.case.now, self.takes) => Verdict::Passed,
            Stage::Now if fits(&openings, self.case.now, Span::ZERO) => {
                let close = openings.iter().find(|(_, close)| *close > self.case.now).map(|(_, close)| local(*close)).unwrap_or_default();
                Verdict::NotNow(format!("the window closes at {close}, and it may take {}", self.takes.human()), String::new())
            }
            Stage::Now => Verdict::NotNow(format!("no window is open: it is {}", local(self.case.now)), String::new()),
        };
        if matches!(verdict, Verdict::NotNow(..)) {
            self.zone = zone;
        }
        self.windows.push(openings);
        self.say(n, format!("/rules/{id}/windows"), rule.why.as_ref(), asks, verdict);
    }

    fn approvals(&mut self, n: usize, id: &Id, rule: &Rule) {
        let Some(asked) = &rule.approvals else { return };
        let name = &self.case.plan.name;
        let mut good = Vec::new();
        for presented in self.case.presented {
            match (presented.standing(name, self.case.bound, asked, self.case.now), &presented.said) {
                (Standing::Good, Ok(approval)) => good.push(approval),
                (Standing::Refused(why) | Standing::Void(why), _) => {
                    let said = (presented.file.clone(), why);
                    if !self.decision.void.contains(&said) {
                        self.decision.void.push(said);
                    }
                }
                (Standing::Good | Standing::Elsewhere, _) => {}
            }
        }
        let counted = different(&good, asked.own_accounts);
        let verdict = match self.case.stage {
            Stage::Check => Verdict::Later,
            Stage::Now if counted.len() >= asked.people as usize => Verdict::Passed,
            Stage::Now => Verdict::NotNow(
                format!("{} of {} approvals", counted.len(), asked.people),
                format!("another person approves it with `firedrill approve {name}.yaml --as NAME`, and the same --var and --policy"),
            ),
        };
        for approval in counted {
            if !self.decision.approved.contains(approval) {
                self.decision.approved.push(approval.clone());
            }
        }
        self.decision.people = self.decision.people.max(asked.people);
        self.say(n, format!("/rules/{id}/approvals"), rule.why.as_ref(), asked_of(asked), verdict);
    }

    /// Where only the time is wrong: when it will be right.
    fn times(&mut self) {
        let is_time = |ruling: &Ruling| ruling.at.starts_with("/freezes/") || ruling.at.ends_with("/windows");
        let closed = |ruling: &Ruling| is_time(ruling) && matches!(ruling.verdict, Verdict::NotNow(..));
        if !self.decision.rulings.iter().any(closed) {
            return;
        }
        self.decision.opens = next(&self.windows, &self.freezes, self.case.now, self.takes);
        let told = match self.decision.opens {
            Some(at) => format!("it may run next at {}", at.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M %Q")),
            None => format!("it may take {}, and no opening of the next year is long enough", self.takes.human()),
        };
        for ruling in self.decision.rulings.iter_mut().filter(|ruling| is_time(ruling)) {
            if let Verdict::NotNow(_, help) = &mut ruling.verdict {
                help.clone_from(&told);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::digest_of;
    use crate::plan::{Origin, build};
    use crate::policy::{reach_of, read};
    use crate::scenario::check::sample;
    use crate::scenario::render_all;

    fn plan() -> Plan {
        let origin = Origin {
            name: "s".into(),
            base_dir: "/srv".into(),
            scenario_digest: digest_of(b"x"),
            workload_digest: None,
            mode: Mode::Normal,
        };
        build(&sample::scenario(), &sample::known(), origin)
    }

    fn policy(text: &str) -> Ruled {
        let zones = |name: &str| jiff::tz::TimeZone::get(name).ok();
        let found = read(format!("policy: 1\n{text}").as_bytes(), "p.yaml", &sample::known(), &zones);
        found.unwrap_or_else(|found| panic!("{}", render_all(&found, false)))
    }

    fn decided(text: &str, plan: &Plan, reach: &[Reach], stage: Stage, now: &str) -> Vec<(String, Verdict)> {
        let digest = digest_of(b"");
        let [scenario, workload, vars, policy_of, targets, of_plan] = std::array::from_fn(|_| digest.clone());
        let bound = Bound { scenario, workload, vars, policy: policy_of, targets, plan: of_plan };
        let case = Case { stage, plan, reach, now: now.parse().unwrap(), bound: &bound, presented: &[] };
        decide(&[policy(text)], case).rulings.into_iter().map(|ruling| (ruling.rule, ruling.verdict)).collect()
    }

    fn one(text: &str, reach: &[Reach], stage: Stage) -> Verdict {
        let found = decided(text, &plan(), reach, stage, "2026-06-01T00:00:00Z");
        assert_eq!(found.len(), 1, "{found:?}");
        found.into_iter().next().unwrap().1
    }

    fn is_refused(verdict: &Verdict, part: &str) -> bool {
        matches!(verdict, Verdict::Refused(why) if why.contains(part))
    }

    #[test]
    fn a_machine_may_be_out_of_bounds() {
        let mut plan = plan();
        let judged = |plan: &Plan| {
            let text = "rules: { r: { hosts: { allow: [\"*.test\"], forbid: [\"db1.*\"] } } }\n";
            decided(text, plan, &reach_of(plan), Stage::Check, "2026-06-01T00:00:00Z").remove(0).1
        };
        let on = |ssh: &str| crate::plan::HostPlan {
            host: "db".parse().unwrap(),
            how: serde_json::from_value(serde_json::json!({ "ssh": ssh })).unwrap(),
        };
        assert_eq!(judged(&plan), Verdict::Passed);
        plan.faults[0].on = Some(on("ops@db2.test"));
        assert_eq!(judged(&plan), Verdict::Passed);
        for ssh in ["ops@db1.test", "db2.live"] {
            plan.faults[0].on = Some(on(ssh));
            assert!(is_refused(&judged(&plan), "acts on"), "{ssh}");
        }
    }

    #[test]
    fn a_drill_that_others_can_call_may_be_refused() {
        let asked = |listen: Option<&str>| {
            let mut scenario = sample::scenario();
            scenario.team = listen.map(|address| serde_json::json!({ "listen": { "address": address } }));
            let origin = Origin {
                name: "s".into(),
                base_dir: "/srv".into(),
                scenario_digest: digest_of(b"x"),
                workload_digest: None,
                mode: Mode::Normal,
            };
            let plan = build(&scenario, &sample::known(), origin);
            decided("rules: { r: { loopback_only: true } }\n", &plan, &reach_of(&plan), Stage::Check, "2026-06-01T00:00:00Z").remove(0).1
        };
        assert_eq!(
            (asked(None), asked(Some("127.0.0.1:8123")), asked(Some("[::1]:8123"))),
            (Verdict::Passed, Verdict::Passed, Verdict::Passed)
        );
        assert!(is_refused(&asked(Some("0.0.0.0:8123")), "`team.listen` is 0.0.0.0:8123"));
    }

    #[test]
    fn what_is_not_known_is_not_allowed() {
        let mut reach = reach_of(&plan());
        assert_eq!((reach[0].count, reach[0].population), (Some(1), Some(2)), "one of two system processes");
        let of = |most: &str| format!("rules: {{ r: {{ max_targets: {most} }} }}\n");
        assert_eq!(one(&of("{ count: 1, percent: 50% }"), &reach, Stage::Now), Verdict::Passed);
        assert!(is_refused(&one(&of("{ percent: 49% }"), &reach, Stage::Now), "hits 1 of 2, 50 %"));
        assert!(is_refused(&one(&of("{ count: 0 }"), &reach, Stage::Now), "1 targets, more than 0"));
        reach[0].population = None;
        assert!(is_refused(&one(&of("{ percent: 100% }"), &reach, Stage::Now), "is not known"));
        assert_eq!(one(&of("{ count: 1 }"), &reach, Stage::Now), Verdict::Passed);
        reach[0].count = None;
        assert!(is_refused(&one(&of("{ count: 9 }"), &reach, Stage::Now), "is not known"));
        assert_eq!(one(&of("{ count: 9 }"), &reach, Stage::Check), Verdict::Later, "until somebody has looked");
    }

    #[test]
    fn targets_are_told_by_the_keys_of_the_spec() {
        let mut reach = reach_of(&plan());
        let of = |globs: &str| format!("rules: {{ r: {{ targets: {globs} }} }}\n");
        assert_eq!(one(&of("{ allow: [\"system:*\"] }"), &reach, Stage::Now), Verdict::Passed);
        assert!(is_refused(&one(&of("{ forbid: [\"*:prim*\"] }"), &reach, Stage::Now), "hits system:primary"));
        assert!(is_refused(&one(&of("{ allow: [\"system:standby\"] }"), &reach, Stage::Now), "which is not allowed"));
        // Every candidate must be allowed: any of them may be the one.
        reach[0].names = vec![("system".into(), vec!["standby".into(), "primary".into()])];
        assert!(is_refused(&one(&of("{ allow: [\"system:standby\"] }"), &reach, Stage::Now), "which is not allowed"));
        assert_eq!(one(&of("{ allow: [\"system:standby\", \"system:primary\"] }"), &reach, Stage::Now), Verdict::Passed);
    }

    #[test]
    fn a_rule_applies_where_it_says_and_the_strictest_wins() {
        let plan = plan();
        let reach = reach_of(&plan);
        let text = "rules:\n  there: { environments: [production], max_hold: 1ms }\n  here: { environments: [laptop], max_hold: 1m }\n  all: { max_hold: 1s }\n";
        let found = decided(text, &plan, &reach, Stage::Now, "2026-06-01T00:00:00Z");
        assert_eq!(found[0], ("here.max_hold".to_owned(), Verdict::Passed));
        assert!(found.len() == 2 && is_refused(&found[1].1, "may last 60 s"), "{found:?}");
    }

    #[test]
    fn a_drill_that_reaches_into_a_freeze_or_out_of_a_window_is_refused() {
        let plan = plan();
        let reach = reach_of(&plan);
        let takes = worst_case(&plan);
        assert!(takes > Span::secs(900) && takes < Span::secs(1200), "{takes}");
        let text = "windows: { w: { from: \"09:00\", to: \"10:00\", zone: UTC } }\nfreezes: { f: { from: \"2026-06-02 09:30\", to: \"2026-06-03\", zone: UTC } }\nrules: { r: { windows: [w] } }\n";
        let at = |now: &str| decided(text, &plan, &reach, Stage::Now, now).into_iter().map(|(_, verdict)| verdict).collect::<Vec<_>>();
        assert_eq!(at("2026-06-01T09:00:00Z"), [Verdict::Passed, Verdict::Passed]);
        let late = at("2026-06-01T09:50:00Z");
        assert!(
            matches!(&late[1], Verdict::NotNow(why, help) if why.contains("closes at Mon 2026-06-01 10:00 UTC") && help.ends_with("2026-06-02 09:00 UTC")),
            "{late:?}"
        );
        let early = at("2026-06-02T09:20:00Z");
        assert!(
            matches!(&early[0], Verdict::NotNow(why, help) if why.contains("begins before it is over") && help.ends_with("2026-06-04 09:00 UTC")),
            "{early:?}"
        );
        let text = "windows: { w: { from: \"09:00\", to: \"09:05\", zone: UTC } }\nrules: { r: { windows: [w] } }\n";
        let short = decided(text, &plan, &reach, Stage::Now, "2026-06-01T09:00:00Z");
        assert!(
            matches!(&short[0].1, Verdict::NotNow(_, help) if help.contains("no opening of the next year is long enough")),
            "{short:?}"
        );
    }
}
