//! What is looked at, and what it must look like: conditions, and the `expect` of probes.

use super::super::finding::{Finding, did_you_mean};
use super::super::known::Known;
use super::super::model::{Expect, Scenario};
use super::places::{Look, Seen, looks, texts};
use super::{PROBE, at, list, matchers, names, unknown};
use crate::base::Span;

pub(super) fn check(s: &Scenario, known: &Known) -> Vec<Finding> {
    let mut out = Vec::new();
    for (id, probe) in &s.probes {
        let place = at(&["probes", id.as_str(), "expect"]);
        out.extend(expect(&place, &probe.what.kind, &probe.how.expect, known));
    }
    for look in looks(s) {
        out.extend(one(s, known, &look));
    }
    for (id, target) in &s.targets {
        let place = at(&["targets", id.as_str(), "pick"]);
        out.extend(target.how.pick.as_ref().and_then(|pick| matchers::json_path(&place, pick)));
    }
    for (id, subject) in &s.subject {
        let place = at(&["subject", id.as_str(), "pick"]);
        out.extend(subject.pick.as_ref().and_then(|pick| matchers::json_path(&place, pick)));
    }
    out.extend(keys(s, known));
    out.extend(prefixes(s, known));
    out
}

fn one(s: &Scenario, known: &Known, look: &Look<'_>) -> Vec<Finding> {
    let mut out = Vec::new();
    let kind = match look.seen {
        Seen::Kind(kinded) => {
            let place = format!("{}{}", look.at, at(&[&kinded.kind]));
            if known.probe(&kinded.kind).is_some_and(|kind| kind.ledger) {
                out.push(
                    Finding::error(place, format!("`{}` cannot be asked once", kinded.kind), "a ledger is a probe")
                        .on_key()
                        .help("declare it under `probes:`, and ask something else here"),
                );
            }
            Some(kinded.kind.as_str())
        }
        Seen::Probe(id) => {
            let place = format!("{}/probe", look.at);
            match s.probes.get(id) {
                None => out.push(unknown(place, &PROBE, id.as_str(), &names(&s.probes))),
                Some(probe) if known.probe(&probe.what.kind).is_some_and(|kind| kind.ledger) => out.push(
                    Finding::error(place, format!("the ledger `{id}` cannot be asked once"), "a ledger")
                        .also(at(&["probes", id.as_str()]), "is declared here")
                        .help("it is read back only after recovery; ask something that answers at once"),
                ),
                Some(_) => {}
            }
            s.probes.get(id).map(|probe| probe.what.kind.as_str())
        }
    };
    if let (Some(kind), Some(given)) = (kind, look.expect) {
        out.extend(expect(&format!("{}/expect", look.at), kind, given, known));
    }
    out.extend(times(look));
    out
}

fn times(look: &Look<'_>) -> Vec<Finding> {
    let mut out = Vec::new();
    for (key, given) in [("every", look.every), ("within", look.within)] {
        if given == Some(Span::ZERO) {
            out.push(Finding::error(format!("{}/{key}", look.at), format!("`{key}` must be above zero"), "no time at all"));
        }
    }
    if let (Some(every), Some(within)) = (look.every, look.within)
        && every > within
        && within > Span::ZERO
    {
        out.push(
            Finding::warning(format!("{}/every", look.at), "the condition is asked only once", format!("longer than `within: {within}`"))
                .help("ask several times within the limit, or the first look decides"),
        );
    }
    out
}

/// Fields that the kind does not offer, and matchers that make no sense.
fn expect(place: &str, kind: &str, given: &Expect, known: &Known) -> Vec<Finding> {
    let mut out = Vec::new();
    let Some(kind) = known.probe(kind) else { return out };
    for (field, matcher) in given {
        let here = format!("{place}{}", at(&[field]));
        if kind.fields.contains(field) {
            out.extend(matchers::check(&here, field, matcher));
            continue;
        }
        let fields: Vec<&str> = kind.fields.iter().map(String::as_str).collect();
        let help = match (did_you_mean(field, fields.iter().copied()), fields.is_empty()) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, false) => format!("`{}` offers {}", kind.name, list(&fields)),
            (None, true) => format!("`{}` offers nothing to `expect`: what is good is said in its own spec", kind.name),
        };
        out.push(Finding::error(here, format!("`{}` has no field `{field}`", kind.name), "unknown field").on_key().help(help));
    }
    let offers = |field: &str| kind.fields.iter().any(|offered| offered == field);
    if out.is_empty() && !given.is_empty() && offers("status") && !given.contains_key("status") && !given.contains_key("outcome") {
        out.push(
            Finding::warning(place, "an answer with status 503 would be good as well", "says nothing of `status`")
                .on_key()
                .help("what is expected replaces the default, any status from 200 to 299; add for example `status: { equals: 200 }`"),
        );
    }
    out
}

/// `${key}` is the number of a ledger's write; nowhere else does it have a value.
fn keys(s: &Scenario, known: &Known) -> Vec<Finding> {
    let writes: Vec<String> = s
        .probes
        .iter()
        .filter(|(_, probe)| known.probe(&probe.what.kind).is_some_and(|kind| kind.ledger))
        .map(|(id, probe)| at(&["probes", id.as_str(), &probe.what.kind, "write"]))
        .collect();
    texts(s)
        .into_iter()
        .filter(|text| text.text.contains("${key}") && !writes.iter().any(|write| text.at.starts_with(write.as_str())))
        .map(|text| {
            Finding::error(text.at, "`${key}` has a value only in a ledger's `write`", "has no value here")
                .part("${key}")
                .help("the key names one write of a ledger; to write it as it stands, use `$${key}`")
        })
        .collect()
}

/// `${key.prefix}` is what all keys of a ledger begin with; only what removes them needs it.
fn prefixes(s: &Scenario, known: &Known) -> Vec<Finding> {
    let ledgers = s.probes.iter().filter(|(_, probe)| known.probe(&probe.what.kind).is_some_and(|kind| kind.ledger));
    let removals: Vec<String> = ledgers.map(|(id, probe)| at(&["probes", id.as_str(), &probe.what.kind, "clean_up"])).collect();
    texts(s)
        .into_iter()
        .filter(|text| text.text.contains("${key.prefix}") && !removals.iter().any(|place| text.at.starts_with(place.as_str())))
        .map(|text| {
            Finding::error(text.at, "`${key.prefix}` has a value only in a ledger's `clean_up`", "has no value here")
                .part("${key.prefix}")
                .help("it is what all keys of a ledger begin with; to write it as it stands, use `$${key.prefix}`")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::sample::{condition, found, id, refuses, scenario, warns};
    use crate::base::Span;
    use crate::scenario::matcher::Matcher;
    use crate::scenario::model::{Observed, SubjectDecl};
    use serde_json::json;

    #[test]
    fn a_kind_offers_certain_fields() {
        let mut s = scenario();
        s.probes[0].how.expect.insert("statuss".into(), Matcher::equals(200));
        let finding = refuses(&s, "/probes/checkout/expect/statuss", "`http` has no field `statuss`");
        assert!(finding.on_key);
        assert_eq!(finding.help.as_deref(), Some("did you mean `status`?"));
        let mut s = scenario();
        s.probes[1].how.expect.insert("status".into(), Matcher::equals(200));
        assert!(refuses(&s, "/probes/orders/expect/status", "has no field").help.unwrap().contains("offers nothing"));
        let mut s = scenario();
        s.guards[0].how.expect.insert("value".into(), Matcher::equals(1));
        assert!(refuses(&s, "/guards/neighbours/expect/value", "no field").help.unwrap().contains("`status`"));
    }

    #[test]
    fn an_answer_is_good_by_its_status() {
        let mut s = scenario();
        s.probes[0].how.expect.insert("json".into(), Matcher::equals("up"));
        warns(&s, "/probes/checkout/expect", "503");
        s.guards[0].what = Observed::Probe(id("checkout"));
        s.guards[0].how.expect.clear();
        assert_eq!(found(&s).len(), 1, "a guard that adds nothing is not told again");
        s.probes[0].how.expect.insert("status".into(), Matcher::equals(200));
        assert_eq!(found(&s), vec![]);
        s.probes[0].how.expect.shift_remove("status");
        s.probes[0].how.expect.insert("outcome".into(), Matcher::equals("ok"));
        assert_eq!(found(&s), vec![]);
        s.faults[0].confirm = Some(condition("tcp", json!({}), "duration", Matcher { max: Some(json!(1)), ..Matcher::default() }));
        assert_eq!(found(&s), vec![], "a kind without a status");
    }

    #[test]
    fn conditions_ask_probes_that_are_there() {
        let mut s = scenario();
        s.guards[0].what = Observed::Probe(id("chekout"));
        assert_eq!(refuses(&s, "/guards/neighbours/probe", "no probe").help.as_deref(), Some("did you mean `checkout`?"));
        s.guards[0].what = Observed::Probe(id("orders"));
        s.guards[0].how.expect.clear();
        refuses(&s, "/guards/neighbours/probe", "cannot be asked once");
        s.guards[0].what = Observed::Probe(id("checkout"));
        assert_eq!(found(&s), vec![]);
    }

    #[test]
    fn matchers_are_checked_where_they_stand() {
        let mut s = scenario();
        s.faults[0].confirm = Some(condition("tcp", json!({}), "outcome", Matcher::equals("refuse")));
        refuses(&s, "/faults/lose-primary/confirm/expect/outcome/equals", "not an outcome");
        let mut s = scenario();
        s.subject.insert(
            id("build"),
            SubjectDecl { what: crate::scenario::model::Kinded { kind: "http".into(), spec: json!({}) }, pick: Some("sha".into()) },
        );
        refuses(&s, "/subject/build/pick", "not a JSON path");
    }

    #[test]
    fn looking_takes_time() {
        let mut s = scenario();
        let mut confirm = condition("tcp", json!({}), "outcome", Matcher::equals("refused"));
        confirm.how.every = Some(Span::ZERO);
        s.faults[0].confirm = Some(confirm.clone());
        refuses(&s, "/faults/lose-primary/confirm/every", "above zero");
        confirm.how.every = Some(Span::secs(5));
        confirm.how.within = Some(Span::secs(2));
        s.faults[0].confirm = Some(confirm);
        warns(&s, "/faults/lose-primary/confirm/every", "asked only once");
    }

    #[test]
    fn only_what_removes_keys_knows_what_they_begin_with() {
        let mut s = scenario();
        s.probes[1].what.spec["clean_up"] = json!({ "method": "DELETE", "url": "http://h/l/${key.prefix}" });
        assert!(found(&s).is_empty());
        s.probes[1].what.spec["clean_up"] = json!({ "method": "DELETE", "url": "http://h/l/${key}" });
        refuses(&s, "/probes/orders/ledger.http/clean_up/url", "only in a ledger's `write`");
        s.probes[1].what.spec["clean_up"] = json!(null);
        s.probes[0].what.spec["url"] = json!("http://h/${key.prefix}");
        refuses(&s, "/probes/checkout/http/url", "only in a ledger's `clean_up`");
    }

    #[test]
    fn only_a_ledgers_write_has_a_key() {
        let mut s = scenario();
        s.probes[0].what.spec = json!({ "url": "http://h/${key}" });
        refuses(&s, "/probes/checkout/http/url", "only in a ledger's `write`");
    }
}
