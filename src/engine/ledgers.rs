//! What a ledger writes into somebody's store, as an item that is owed like a fault: armed before the first write, undone after it was read back and while the
//! system still runs, by a fresh process as well. How each store is asked stands with the probes, of which the faults' room knows nothing: so this is the one
//! kind that lives here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::base::{Id, Problem};
use crate::fault::{self, ErasedFault, Fault, FaultError, Permit, Prepared, Resource, Scene, Seen, shell};
use crate::probe::{self, Removal, Typed};
use crate::sys::{Cx, Secret};

/// The kind's name in the journal.
pub(super) const KIND: &str = WhatALedgerWrites::KIND;

/// The kind of that name, among those that the engine arms and undoes.
pub(super) fn by_kind(kind: &str) -> Option<&'static dyn ErasedFault> {
    if kind == KIND { Some(&WhatALedgerWrites) } else { fault::by_kind(kind) }
}

struct WhatALedgerWrites;

/// Which ledger.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Ledger {
    /// Its id under `probes:`.
    id: Id,
}

/// Enough to remove it in a fresh process; secrets are named, never held.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    /// The probe kind that knows how.
    kind: String,
    /// The ledger's own spec.
    spec: Value,
    /// What its keys begin with, for people.
    keys: String,
    by_hand: String,
}

fn removal(written: &Written, cx: &Cx) -> Result<Removal, FaultError> {
    let removal = probe::removal(&written.kind, &written.spec, cx).map_err(FaultError::Other)?;
    removal.ok_or_else(|| FaultError::Other(format!("find out how what {} wrote is removed", written.kind)))
}

impl Fault for WhatALedgerWrites {
    const KIND: &'static str = "system.ledger";
    const ABOUT: &'static str = "lets a ledger write numbered keys into a store";
    const EXAMPLE: &'static str = "system.ledger: { id: orders }\nfor: 10s\n";
    const UNDO: &'static str = "every key that the ledger wrote in this run is removed";
    const READS_BACK: bool = true;
    type Spec = Ledger;
    type Undo = Written;

    fn check(&self, _: &Ledger) -> Vec<Problem> {
        Vec::new()
    }

    fn claims(&self, _: &Ledger) -> Vec<Resource> {
        vec![Resource::Nothing]
    }

    fn by_hand(&self, undo: &Written) -> String {
        undo.by_hand.clone()
    }

    async fn prepare(&self, spec: &Ledger, scene: &Scene<'_>) -> Result<Prepared<Written>, FaultError> {
        let id = &spec.id;
        let probe = scene.plan.probes.get(id).ok_or_else(|| FaultError::Target(format!("the scenario has no ledger `{id}`")))?;
        let mut written =
            Written { kind: probe.kind.clone(), spec: scene.cx.fill_value(&probe.spec), keys: String::new(), by_hand: String::new() };
        let removal = removal(&written, scene.cx)?;
        let lines: Vec<String> = removal.by_hand(scene.cx).iter().map(|typed| line(typed, scene.cx)).collect();
        written.keys = removal.keys().to_owned();
        written.by_hand = lines.join("; ");
        Ok(Prepared {
            targets: vec![format!("the keys {}… at {}", written.keys, removal.places().join(", "))],
            summary: format!("let {id} write keys that begin with {}", written.keys),
            population: None,
            claims: Fault::claims(self, spec),
            undo: written,
        })
    }

    /// From here on it may be written: the probes do it.
    async fn inject(&self, _: &Ledger, _: &Written, _: Permit<'_>, _: &Cx) -> Result<(), FaultError> {
        Ok(())
    }

    async fn observe(&self, undo: &Written, _: &Cx) -> Result<Seen, FaultError> {
        Ok(Seen::Biting(format!("keys that begin with {} may be written", undo.keys)))
    }

    async fn undo(&self, undo: &Written, cx: &Cx) -> Result<(), FaultError> {
        removal(undo, cx)?.remove(cx).await.map_err(FaultError::Other)
    }

    async fn verify(&self, undo: &Written, cx: &Cx) -> Result<bool, FaultError> {
        removal(undo, cx)?.is_done(cx).await.map_err(FaultError::Other)
    }
}

/// A command as one line for `sh`.
fn line(typed: &Typed, cx: &Cx) -> String {
    let env = typed.env.iter().map(|(name, value)| format!("{name}={}", word(value, cx)));
    env.chain(typed.argv.iter().map(|text| word(text, cx))).collect::<Vec<_>>().join(" ")
}

/// A word for `sh` in which secrets are named by where they come from.
fn word(text: &str, cx: &Cx) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${secret:") {
        let Some((id, tail)) = after.split_once('}') else { break };
        if !before.is_empty() {
            out.push_str(&shell::quote(before));
        }
        out.push_str(&match cx.secrets.get(id) {
            Some(Secret::Env(name)) => format!("\"${{{name}}}\""),
            Some(Secret::File(path)) => format!("\"$(cat {})\"", shell::path(path)),
            Some(Secret::Other(_)) | None => format!("'the secret {id}'"),
        });
        rest = tail;
    }
    if !rest.is_empty() || out.is_empty() {
        out.push_str(&shell::quote(rest));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::Clock;
    use std::sync::Arc;

    fn cx() -> Cx {
        let secrets = [
            ("env".to_owned(), Secret::Env("A_TOKEN".into())),
            ("file".to_owned(), Secret::File("/etc/my secrets/token".into())),
            ("far".to_owned(), Secret::Other("the SSM parameter x".into())),
        ];
        Cx {
            clock: Clock::start(),
            run: "01JD".into(),
            run_dir: Arc::new("/runs/01jd".into()),
            base_dir: Arc::new("/srv".into()),
            exe: Arc::new("/bin/false".into()),
            secrets: Arc::new(secrets.into()),
            account: None,
            cancel: Default::default(),
        }
    }

    #[test]
    fn a_line_by_hand_names_secrets_and_quotes_the_rest() {
        for (text, is) in [
            ("plain", "plain"),
            ("", "''"),
            ("it's", r"'it'\''s'"),
            ("${secret:env}", "\"${A_TOKEN}\""),
            ("Bearer ${secret:file}", "'Bearer '\"$(cat '/etc/my secrets/token')\""),
            ("${secret:far}$HOME", "'the secret far''$HOME'"),
            ("${secret:", "'${secret:'"),
        ] {
            assert_eq!(word(text, &cx()), is, "{text}");
        }
        let typed = Typed { env: vec![("K".into(), "${secret:env}".into())], argv: vec!["psql".into(), "-c".into(), "a b".into()] };
        assert_eq!(line(&typed, &cx()), "K=\"${A_TOKEN}\" psql -c 'a b'");
    }

    #[test]
    fn the_kind_is_found_beside_those_of_faults() {
        assert!(by_kind(KIND).is_some_and(|kind| kind.kind() == KIND && kind.reads_back()));
        assert!(by_kind("process.kill").is_some() && fault::by_kind(KIND).is_none());
    }
}
