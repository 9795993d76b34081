//! A document of the right shape to the model's types. The key that names the kind is split from the language's own keys here, by hand.

use indexmap::IndexMap;
use serde::de::DeserializeOwned;
use serde_json::{Map as Object, Value};

use super::finding::{Finding, pointer_part};
use super::known::{Known, KnownKind};
use super::model::{
    Argv, ClaimDecl, ClaimHow, ConditionDecl, ConditionHow, FaultDecl, FaultHow, GuardDecl, GuardHow, HoldsDecl, Kinded, Map, Observed,
    ProbeDecl, ProbeHow, ResetDecl, RestoreDecl, RestoreHow, Scenario, SubjectDecl, SystemDecl, SystemHow, TargetDecl, TargetHow, UndoDecl,
};
use crate::base::Id;

/// The scenario that a document says. Sections that it does not have stay empty, so that a workload decodes as well. What cannot be read
/// in spite of its shape is a finding at its place.
pub fn decode(document: Value, vars: IndexMap<String, String>, known: &Known) -> Result<Scenario, Vec<Finding>> {
    let Value::Object(mut root) = document else { return Err(vec![Finding::error("", "the document is no mapping", "")]) };
    let mut d = Decoder { known, findings: Vec::new() };
    let scenario = Scenario {
        title: d.or_default(&mut root, "title", ""),
        why: d.optional(&mut root, "why", ""),
        owner: d.optional(&mut root, "owner", ""),
        environment: d.or_default(&mut root, "environment", ""),
        test: d.or_default(&mut root, "test", ""),
        aws: d.optional(&mut root, "aws", ""),
        hosts: d.or_default(&mut root, "hosts", ""),
        workload: root.get("workload").and_then(Value::as_str).map(str::to_owned),
        vars,
        secrets: d.or_default(&mut root, "secrets", ""),
        system: d.each(&mut root, "system", Decoder::system),
        proxies: d.or_default(&mut root, "proxies", ""),
        targets: d.each(&mut root, "targets", Decoder::target),
        probes: d.each(&mut root, "probes", Decoder::probe),
        steady_state: d.or_default(&mut root, "steady_state", ""),
        guards: d.each(&mut root, "guards", Decoder::guard),
        faults: d.each(&mut root, "faults", Decoder::fault),
        restore: d.each(&mut root, "restore", Decoder::restore),
        recovery: d.optional(&mut root, "recovery", ""),
        claims: d.each(&mut root, "claims", Decoder::claim),
        subject: d.each(&mut root, "subject", Decoder::subject),
        tabletop: d.or_default(&mut root, "tabletop", ""),
        reset: root.remove("reset").and_then(|value| d.reset(value)),
        team: root.remove("team"),
        score: root.remove("score"),
        notify: root.remove("notify"),
        components: root.remove("components"),
        cadence: d.optional(&mut root, "cadence", ""),
    };
    if d.findings.is_empty() { Ok(scenario) } else { Err(d.findings) }
}

struct Decoder<'a> {
    known: &'a Known,
    findings: Vec<Finding>,
}

impl Decoder<'_> {
    fn read<T: DeserializeOwned>(&mut self, value: Value, at: &str) -> Option<T> {
        match serde_json::from_value(value) {
            Ok(read) => Some(read),
            Err(error) => {
                self.findings.push(Finding::error(at, error.to_string(), "cannot be read"));
                None
            }
        }
    }

    fn optional<T: DeserializeOwned>(&mut self, from: &mut Object<String, Value>, key: &str, at: &str) -> Option<T> {
        from.remove(key).and_then(|value| self.read(value, &format!("{at}/{key}")))
    }

    fn or_default<T: DeserializeOwned + Default>(&mut self, from: &mut Object<String, Value>, key: &str, at: &str) -> T {
        self.optional(from, key, at).unwrap_or_default()
    }

    /// A map from ids, each value by its own function.
    fn each<T>(
        &mut self,
        from: &mut Object<String, Value>,
        key: &str,
        one: impl Fn(&mut Self, Object<String, Value>, &str) -> Option<T>,
    ) -> Map<T> {
        let mut out = Map::new();
        let Some(Value::Object(entries)) = from.shift_remove(key) else { return out };
        for (name, value) in entries {
            let at = format!("/{key}/{}", pointer_part(&name));
            let Ok(id) = name.parse::<Id>() else {
                self.findings.push(Finding::error(at, format!("`{name}` is not an id"), "not an id").on_key());
                continue;
            };
            let Value::Object(entry) = value else {
                self.findings.push(Finding::error(at, "must be a mapping", "is no mapping"));
                continue;
            };
            if let Some(read) = one(self, entry, &at) {
                out.insert(id, read);
            }
        }
        out
    }

    fn kinded(&mut self, from: &mut Object<String, Value>, kinds: &[KnownKind], at: &str) -> Option<Kinded> {
        let found = kinds.iter().find_map(|kind| from.shift_remove(&kind.name).map(|spec| Kinded { kind: kind.name.clone(), spec }));
        if found.is_none() {
            self.findings.push(Finding::error(at, "names no kind", "has no kind").on_key());
        }
        found
    }

    fn observed(&mut self, from: &mut Object<String, Value>, at: &str) -> Option<Observed> {
        match from.shift_remove("probe") {
            Some(id) => self.read(id, &format!("{at}/probe")).map(Observed::Probe),
            None => {
                let known = self.known;
                self.kinded(from, &known.probes, at).map(Observed::Kind)
            }
        }
    }

    fn condition(&mut self, value: Value, at: &str) -> Option<ConditionDecl> {
        let Value::Object(mut entry) = value else {
            self.findings.push(Finding::error(at, "must be a condition", "is no mapping"));
            return None;
        };
        let what = self.observed(&mut entry, at);
        let how = self.read::<ConditionHow>(Value::Object(entry), at);
        Some(ConditionDecl { what: what?, how: how? })
    }

    fn optional_condition(&mut self, from: &mut Object<String, Value>, key: &str, at: &str) -> Option<ConditionDecl> {
        from.shift_remove(key).and_then(|value| self.condition(value, &format!("{at}/{key}")))
    }

    fn probe(&mut self, mut entry: Object<String, Value>, at: &str) -> Option<ProbeDecl> {
        let known = self.known;
        let what = self.kinded(&mut entry, &known.probes, at);
        let how = self.read::<ProbeHow>(Value::Object(entry), at);
        Some(ProbeDecl { what: what?, how: how? })
    }

    fn target(&mut self, mut entry: Object<String, Value>, at: &str) -> Option<TargetDecl> {
        let known = self.known;
        let what = self.kinded(&mut entry, &known.probes, at);
        let how = self.read::<TargetHow>(Value::Object(entry), at);
        Some(TargetDecl { what: what?, how: how? })
    }

    fn subject(&mut self, mut entry: Object<String, Value>, at: &str) -> Option<SubjectDecl> {
        let known = self.known;
        let what = self.kinded(&mut entry, &known.probes, at);
        let pick = self.optional(&mut entry, "pick", at);
        Some(SubjectDecl { what: what?, pick })
    }

    fn guard(&mut self, mut entry: Object<String, Value>, at: &str) -> Option<GuardDecl> {
        let what = self.observed(&mut entry, at);
        let how = self.read::<GuardHow>(Value::Object(entry), at);
        Some(GuardDecl { what: what?, how: how? })
    }

    fn system(&mut self, mut entry: Object<String, Value>, at: &str) -> Option<SystemDecl> {
        let ready = self.optional_condition(&mut entry, "ready", at);
        let how = self.read::<SystemHow>(Value::Object(entry), at);
        Some(SystemDecl { how: how?, ready })
    }

    fn fault(&mut self, mut entry: Object<String, Value>, at: &str) -> Option<FaultDecl> {
        let known = self.known;
        let confirm = self.optional_condition(&mut entry, "confirm", at);
        let undo = entry.shift_remove("undo").and_then(|value| self.undo(value, &format!("{at}/undo")));
        let what = self.kinded(&mut entry, &known.faults, at);
        let how = self.read::<FaultHow>(Value::Object(entry), at);
        Some(FaultDecl { what: what?, how: how?, confirm, undo })
    }

    fn undo(&mut self, value: Value, at: &str) -> Option<UndoDecl> {
        let Value::Object(mut entry) = value else {
            self.findings.push(Finding::error(at, "must be an undo", "is no mapping"));
            return None;
        };
        let run: Option<Argv> = self.optional(&mut entry, "run", at);
        let left_to = self.optional(&mut entry, "left_to", at);
        let done_when = self.optional_condition(&mut entry, "done_when", at);
        Some(UndoDecl { run, left_to, done_when })
    }

    fn restore(&mut self, mut entry: Object<String, Value>, at: &str) -> Option<RestoreDecl> {
        let only_if = self.optional_condition(&mut entry, "only_if", at);
        let how = self.read::<RestoreHow>(Value::Object(entry), at);
        Some(RestoreDecl { how: how?, only_if })
    }

    fn claim(&mut self, mut entry: Object<String, Value>, at: &str) -> Option<ClaimDecl> {
        let holds: Map<HoldsDecl> = self.or_default(&mut entry, "holds", at);
        let how = self.read::<ClaimHow>(Value::Object(entry), at);
        Some(ClaimDecl { how: how?, holds })
    }

    fn reset(&mut self, value: Value) -> Option<ResetDecl> {
        let Value::Object(mut entry) = value else { return None };
        let run: Option<Argv> = self.optional(&mut entry, "run", "/reset");
        let done_when = self.optional_condition(&mut entry, "done_when", "/reset");
        run.map(|run| ResetDecl { run, done_when })
    }
}
