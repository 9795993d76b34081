//! Does a scenario make sense? Cross-references and meaning, over the typed scenario: every problem of a file in one go, each at the most
//! precise place. What has the wrong shape was reported before; this room must never know YAML, spans or what a kind does.

mod aws;
mod claims;
mod conditions;
mod cues;
mod decidable;
mod faults;
mod guards;
mod hosts;
mod listen;
mod matchers;
mod moments;
mod overlap;
mod places;
mod probes;
mod references;
#[cfg(test)]
pub(crate) mod sample;
mod system;
mod team;

use super::finding::{Finding, did_you_mean, pointer_part};
use super::known::Known;
use super::model::{Environment, Map, Scenario};

/// Every problem of a scenario that has the right shape.
pub fn check(scenario: &Scenario, known: &Known) -> Vec<Finding> {
    let rooms: [fn(&Scenario, &Known) -> Vec<Finding>; 16] = [
        whole,
        aws::check,
        references::check,
        conditions::check,
        system::check,
        probes::check,
        guards::check,
        faults::check,
        hosts::check,
        moments::check,
        claims::check,
        decidable::check,
        overlap::check,
        team::check,
        listen::check,
        references::unused,
    ];
    rooms.iter().flat_map(|room| room(scenario, known)).collect()
}

/// A JSON pointer from its parts.
fn at(parts: &[&str]) -> String {
    parts.iter().map(|part| format!("/{}", pointer_part(part))).collect()
}

/// A sort of thing that others refer to.
struct Sort {
    one: &'static str,
    many: &'static str,
    section: &'static str,
}

const PROBE: Sort = Sort { one: "probe", many: "probes", section: "probes" };
const LEDGER: Sort = Sort { one: "ledger", many: "ledgers", section: "probes" };
const FAULT: Sort = Sort { one: "fault", many: "faults", section: "faults" };
const SYSTEM: Sort = Sort { one: "system process", many: "system processes", section: "system" };
const PROXY: Sort = Sort { one: "proxy", many: "proxies", section: "proxies" };
const TARGET: Sort = Sort { one: "target", many: "targets", section: "targets" };
const GUARD: Sort = Sort { one: "guard", many: "guards", section: "guards" };
const SECRET: Sort = Sort { one: "secret", many: "secrets", section: "secrets" };

/// A reference to something that is not there.
fn unknown(place: impl Into<String>, sort: &Sort, text: &str, names: &[&str]) -> Finding {
    let finding = Finding::error(place, format!("no {} is called `{text}`", sort.one), format!("unknown {}", sort.one));
    match (did_you_mean(text, names.iter().copied()), names.first()) {
        (Some(near), _) => {
            finding.also(at(&[sort.section, near]), format!("{} are declared here", sort.many)).help(format!("did you mean `{near}`?"))
        }
        (None, Some(first)) => finding.also(at(&[sort.section, first]), format!("{} are declared here", sort.many)).help(format!(
            "there {} {}",
            if names.len() == 1 { "is" } else { "are" },
            list(names)
        )),
        (None, None) => finding.help(format!("declare it under `{}:`", sort.section)),
    }
}

/// Names as people list them: `a`, `b` and `c`.
fn list(names: &[&str]) -> String {
    joined(names, "and")
}

/// Names to choose from: `a`, `b` or `c`.
fn choice(names: &[&str]) -> String {
    joined(names, "or")
}

fn joined(names: &[&str], word: &str) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        None => "nothing".into(),
        Some((last, [])) => last.clone(),
        Some((last, before)) => format!("{} {word} {last}", before.join(", ")),
    }
}

fn names<T>(map: &Map<T>) -> Vec<&str> {
    map.keys().map(super::super::base::Id::as_str).collect()
}

/// What concerns the file as a whole.
fn whole(scenario: &Scenario, _: &Known) -> Vec<Finding> {
    let mut out = unique(scenario);
    if scenario.faults.is_empty() && !scenario.tabletop {
        out.push(
            Finding::error("/faults", "nothing is broken: there is no fault", "needs at least one fault")
                .help("add a fault, or write `tabletop: true` for a drill that touches nothing"),
        );
    }
    if scenario.probes.is_empty() {
        out.push(
            Finding::error("/probes", "nothing is watched: there is no probe", "needs at least one probe")
                .help("add a probe that sees what a user would see"),
        );
    }
    if scenario.environment == Environment::Production && scenario.owner.is_none() {
        out.push(
            Finding::warning("/environment", "a drill in production has no owner", "production")
                .help("add `owner:` with the team that answers for this drill"),
        );
    }
    out
}

/// One name, one thing: moments, journal and report say ids without saying of what sort.
fn unique(scenario: &Scenario) -> Vec<Finding> {
    let sections: [(&str, &str, Vec<&str>); 8] = [
        ("system", "a system process", names(&scenario.system)),
        ("proxies", "a proxy", names(&scenario.proxies)),
        ("targets", "a target", names(&scenario.targets)),
        ("probes", "a probe", names(&scenario.probes)),
        ("guards", "a guard", names(&scenario.guards)),
        ("faults", "a fault", names(&scenario.faults)),
        ("restore", "a restore step", names(&scenario.restore)),
        ("claims", "a claim", names(&scenario.claims)),
    ];
    let mut seen: Vec<(&str, &str, &str)> = Vec::new();
    let mut out = Vec::new();
    for (section, what, ids) in &sections {
        for id in ids {
            match seen.iter().find(|(_, _, other)| other == id) {
                Some((first, first_what, _)) => out.push(
                    Finding::error(at(&[section, id]), format!("the id `{id}` is used twice"), format!("{what} of the same name"))
                        .on_key()
                        .also(at(&[first, id]), format!("{first_what} has it first"))
                        .help("ids are unique in the file; give one of them another name"),
                ),
                None => seen.push((section, what, id)),
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::sample::{found, id, probe, refuses, scenario, warns};
    use super::*;
    use serde_json::json;

    #[test]
    fn a_good_scenario_has_no_findings() {
        assert_eq!(found(&scenario()), vec![]);
        let mut two = scenario();
        sample::second_fault(&mut two);
        assert_eq!(found(&two), vec![]);
    }

    #[test]
    fn an_id_belongs_to_one_thing() {
        let mut s = scenario();
        s.probes.insert(id("primary"), probe("tcp", json!({})));
        let finding = refuses(&s, "/probes/primary", "the id `primary` is used twice");
        assert!(finding.on_key);
        assert_eq!(finding.also[0].0, "/system/primary");
    }

    #[test]
    fn a_drill_breaks_something_unless_it_is_a_tabletop() {
        let mut s = scenario();
        s.faults.clear();
        s.claims.clear();
        refuses(&s, "/faults", "there is no fault");
        s.tabletop = true;
        assert_eq!(found(&s), vec![]);
    }

    #[test]
    fn production_needs_an_owner() {
        let mut s = scenario();
        s.environment = Environment::Production;
        s.probes[1].what.spec["keep"] = serde_json::json!(true);
        assert_eq!(found(&s), vec![]);
        s.owner = None;
        warns(&s, "/environment", "no owner");
    }

    #[test]
    fn names_are_listed_as_people_do() {
        assert_eq!(list(&["a", "b", "c"]), "`a`, `b` and `c`");
        assert_eq!(list(&["a"]), "`a`");
        assert_eq!(choice(&["a", "b"]), "`a` or `b`");
    }
}
