//! What the ledgers of databases have in common: servers that are written to and read back, in the form in which a scenario names them.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::kind::{CleanUp, Remove, Source};
use super::ledger::{check_authorities, check_writer};
use crate::base::Problem;

/// A server as a scenario names it.
pub(super) trait Named {
    /// What is wrong with it; `at` is where it stands.
    fn check(&self, at: &str) -> Vec<Problem>;
}

/// Where entries are read back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Reader<S> {
    /// The server.
    pub(super) server: S,
    /// Whether loss is judged here. A single reader always is the authority.
    #[serde(default)]
    pub(super) authority: bool,
}

/// What is wrong with where a ledger is written and read, and with its writer's name.
pub(super) fn check<S: Named>(write: &S, readers: &[Reader<S>], writer: &str) -> Vec<Problem> {
    let mut problems = write.check("/write");
    problems.extend(check_writer(writer));
    let authorities: Vec<bool> = readers.iter().map(|reader| reader.authority).collect();
    problems.extend(check_authorities(&authorities));
    let each = readers.iter().enumerate().flat_map(|(index, reader)| reader.server.check(&format!("/readers/{index}/server")));
    problems.extend(each);
    problems
}

/// How what was written is removed: at every server that is written to or read, each once, and none of them may list any of it afterwards. `at` makes of a
/// server its name, who removes there and who looks there.
pub(super) fn clean_up<S: PartialEq>(
    write: S,
    readers: Vec<Reader<S>>,
    writer: String,
    at: impl Fn(S) -> (String, Arc<dyn Remove>, Arc<dyn Source>),
) -> CleanUp {
    let mut servers = vec![write];
    for reader in readers {
        if !servers.contains(&reader.server) {
            servers.push(reader.server);
        }
    }
    let mut how = CleanUp { writer, removers: Vec::new(), sources: Vec::new() };
    for (name, remove, look) in servers.into_iter().map(at) {
        how.removers.push((name.clone(), remove));
        how.sources.push((name, look));
    }
    how
}
