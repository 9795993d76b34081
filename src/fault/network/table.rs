//! One table of the packet filter: made, looked at and removed with `nft`, in the network namespace that it belongs to.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::refuse;
use super::rule::Rule;
use crate::base::Span;
use crate::fault::privilege::may;
use crate::fault::{FaultError, Prepared, Resource, Scene, Seen, shell};
use crate::sys::exec::{self, Exec, Output};
use crate::sys::{Cx, clock, env, process};

/// How long `nft` may take.
const LIMIT: Span = Span::secs(10);
/// Where `ip netns` keeps its namespaces.
const NAMESPACES: &str = "/run/netns";
/// The network namespace of this very process.
const OURS: &str = "/proc/self/ns/net";
/// The bits of the capabilities that are needed: CAP_NET_ADMIN, and CAP_SYS_ADMIN to enter a namespace.
const NET_ADMIN: u32 = 12;
const SYS_ADMIN: u32 = 21;

/// Enough to find and remove the table in a fresh process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableUndo {
    /// The table, of the family `inet`; its name is never used twice.
    pub table: String,
    /// The mark that `nft` carries while it runs.
    pub owner: String,
    /// The name of the network namespace, when it is not the runner's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub netns: Option<String>,
    /// Which namespace that is, whatever it is called.
    pub namespace: u64,
    /// How many rules the table has.
    pub rules: usize,
}

/// How a namespace is reached.
enum Door {
    /// It is our own.
    Here,
    /// Through this file.
    Through(PathBuf),
    /// It is gone, and everything that was in it.
    Gone,
}

/// The number of a network namespace; `None` for a file that is none.
fn number_of(namespace: &Path) -> Option<u64> {
    let (ours, there) = (std::fs::metadata(OURS).ok()?, std::fs::metadata(namespace).ok()?);
    // All namespaces are files of one file system, and of no other.
    (ours.dev() == there.dev()).then(|| there.ino())
}

fn missing(what: impl Into<String>, help: impl Into<String>) -> FaultError {
    FaultError::Missing { what: what.into(), help: help.into() }
}

/// Without these, what is there could neither be changed nor told from what is gone.
fn need_rights(netns: bool) -> Result<(), FaultError> {
    let help = "run firedrill as root";
    if !may(NET_ADMIN) {
        return Err(missing("get the right to change the packet filter (CAP_NET_ADMIN)", help));
    }
    if netns && !may(SYS_ADMIN) {
        return Err(missing("get the right to enter a network namespace (CAP_SYS_ADMIN)", help));
    }
    Ok(())
}

fn need_program(name: &str, package: &str) -> Result<(), FaultError> {
    let path = env::var("PATH").unwrap_or_default();
    match exec::locate(name, Path::new("/"), &path) {
        Ok(_) => Ok(()),
        Err(error) => {
            Err(missing(error.to_string(), format!("install it (on Debian: apt-get install {package}), or put its directory on PATH")))
        }
    }
}

/// The namespace of that name, else our own.
fn namespace(netns: Option<&str>) -> Result<u64, FaultError> {
    let ours = number_of(Path::new(OURS)).ok_or_else(|| missing("find out in which network namespace this is", "is /proc mounted?"))?;
    let Some(name) = netns else { return Ok(ours) };
    let there = number_of(&Path::new(NAMESPACES).join(name));
    let there =
        there.ok_or_else(|| missing(format!("find the network namespace `{name}`"), "`ip netns list` shows those that there are"))?;
    if there == ours {
        return Err(FaultError::Target(format!("`{name}` is the network namespace in which firedrill itself runs: leave `netns` out")));
    }
    Ok(there)
}

/// What would be hit; only reads.
pub async fn prepare(verb: &str, rule: &Rule, netns: Option<&str>, scene: &Scene<'_>) -> Result<Prepared<TableUndo>, FaultError> {
    let cx = scene.cx;
    need_program("nft", "nftables")?;
    if netns.is_some() {
        need_program("nsenter", "util-linux")?;
    }
    need_rights(netns.is_some())?;
    let namespace = namespace(netns)?;
    if netns.is_none() {
        refuse::ourselves(rule, scene)?;
    }
    let run: String = cx.run.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let table = format!("firedrill_{run}_{verb}_{}", clock::mono_ns());
    let undo =
        TableUndo { owner: format!("{}/fault/{table}", cx.run), table, netns: netns.map(str::to_owned), namespace, rules: rule.count() };
    // A kernel without nftables says so here, before anything is armed.
    undo.is_there(cx).await?;
    let place = netns.map_or_else(|| "this host".to_owned(), |name| format!("network namespace {name}"));
    let packets = rule.packets();
    Ok(Prepared {
        targets: vec![format!("{packets}, of {place}")],
        summary: format!("{} {packets}, of {place}", rule.fate()),
        population: Some(1),
        claims: vec![Resource::Packets(format!("{packets}, of {place}"))],
        undo,
    })
}

impl TableUndo {
    fn door(&self) -> Result<Door, FaultError> {
        need_rights(false)?;
        let is_it = |path: &Path| number_of(path) == Some(self.namespace);
        if is_it(Path::new(OURS)) {
            return Ok(Door::Here);
        }
        need_rights(true)?;
        let named = std::fs::read_dir(NAMESPACES).into_iter().flatten().flatten().map(|entry| entry.path());
        // A namespace whose name was removed lives on as long as somebody is in it.
        let lived_in = process::all().into_keys().map(|pid| PathBuf::from(format!("/proc/{pid}/ns/net")));
        Ok(named.chain(lived_in).find(|path| is_it(path)).map_or(Door::Gone, Door::Through))
    }

    /// Runs `nft` where the table is; `None` when that place is gone.
    async fn nft(&self, words: &[&str], cx: &Cx) -> Result<Option<Output>, FaultError> {
        let mut argv: Vec<String> = match self.door()? {
            Door::Here => Vec::new(),
            Door::Through(path) => vec!["nsenter".to_owned(), format!("--net={}", path.display())],
            Door::Gone => return Ok(None),
        };
        argv.push("nft".to_owned());
        argv.extend(words.iter().map(|word| (*word).to_owned()));
        // The scenario's directory may be gone when a fresh process undoes this.
        let exec = Exec { argv, cwd: Some(PathBuf::from("/")), limit: LIMIT, owner: Some(self.owner.clone()), ..Exec::default() };
        Ok(Some(exec::run(exec, cx).await?))
    }

    fn failed(&self, doing: &str, output: &Output) -> FaultError {
        // `nft` tells what is wrong in the first line, and shows the place below.
        let how = output
            .stderr
            .lines()
            .find(|line| !line.trim().is_empty())
            .map_or_else(|| output.exit.to_string(), |line| line.trim().to_owned());
        FaultError::Command { command: format!("nft to {doing} table inet {}", self.table), how }
    }

    /// Whether the table is there.
    async fn is_there(&self, cx: &Cx) -> Result<bool, FaultError> {
        let Some(output) = self.nft(&["-j", "list", "tables"], cx).await? else { return Ok(false) };
        if !output.ok() {
            return Err(self.failed("look for", &output));
        }
        let Some(listed) = objects(&output.stdout) else { return Err(self.failed("understand what it says of", &output)) };
        Ok(listed.iter().any(|object| object["table"]["family"] == "inet" && object["table"]["name"] == self.table.as_str()))
    }

    /// Makes the table with everything in it, or nothing.
    pub async fn inject(&self, rule: &Rule, cx: &Cx) -> Result<(), FaultError> {
        let commands = rule.commands(&self.table, &format!("firedrill run {}", cx.run)).to_string();
        match self.nft(&["-j", &commands], cx).await? {
            Some(output) if output.ok() => Ok(()),
            Some(output) => Err(self.failed("make", &output)),
            None => Err(FaultError::Target("the network namespace is gone".to_owned())),
        }
    }

    /// Whether the table has all its rules, and what they have met.
    pub async fn observe(&self, cx: &Cx) -> Result<Seen, FaultError> {
        if !self.is_there(cx).await? {
            return Ok(Seen::NotBiting(format!("there is no table inet {}", self.table)));
        }
        let listed = match self.nft(&["-j", "list", "table", "inet", &self.table], cx).await? {
            Some(output) if output.ok() => objects(&output.stdout).unwrap_or_default(),
            _ => return Ok(Seen::NotBiting(format!("table inet {} is gone", self.table))),
        };
        let rules: Vec<&Value> = listed.iter().map(|object| &object["rule"]).filter(|rule| rule.is_object()).collect();
        let counters =
            rules.iter().filter_map(|rule| rule["expr"].as_array()).flatten().filter_map(|part| part["counter"]["packets"].as_u64());
        let seen =
            format!("table inet {}, {} of {} rules, packets met so far: {}", self.table, rules.len(), self.rules, counters.sum::<u64>());
        Ok(if rules.len() == self.rules { Seen::Biting(seen) } else { Seen::NotBiting(seen) })
    }

    /// Removes the table.
    pub async fn undo(&self, cx: &Cx) -> Result<(), FaultError> {
        if !self.is_there(cx).await? {
            return Ok(());
        }
        match self.nft(&["delete", "table", "inet", &self.table], cx).await? {
            // Somebody else may have removed it meanwhile.
            Some(output) if !output.ok() && self.is_there(cx).await? => Err(self.failed("remove", &output)),
            _ => Ok(()),
        }
    }

    /// Whether the table is gone.
    pub async fn verify(&self, cx: &Cx) -> Result<bool, FaultError> {
        Ok(!self.is_there(cx).await?)
    }

    /// The line that makes the table with everything in it.
    pub fn command(&self, rule: &Rule) -> String {
        let run = self.owner.split('/').next().unwrap_or_default();
        let make = shell::words(["nft", "-j", &rule.commands(&self.table, &format!("firedrill run {run}")).to_string()]);
        match &self.netns {
            None => make,
            Some(name) => format!("nsenter --net={} {make}", shell::path(&Path::new(NAMESPACES).join(name))),
        }
    }

    /// One line that removes the table. A table can only be removed when it is there, so it is made first: in one transaction.
    pub fn by_hand(&self) -> String {
        let remove = format!("nft 'add table inet {0}; delete table inet {0}'", self.table);
        match &self.netns {
            None => remove,
            Some(name) => {
                let file = shell::path(&Path::new(NAMESPACES).join(name));
                format!("[ ! -e {file} ] || nsenter --net={file} {remove}")
            }
        }
    }
}

/// The objects of `nft`'s JSON.
fn objects(text: &str) -> Option<Vec<Value>> {
    match serde_json::from_str::<Value>(text).ok()?.get_mut("nftables")?.take() {
        Value::Array(objects) => Some(objects),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn undo(netns: Option<&str>) -> TableUndo {
        TableUndo { table: "firedrill_1_loss_2".into(), owner: "1/fault/x".into(), netns: netns.map(str::to_owned), namespace: 0, rules: 1 }
    }

    #[test]
    fn the_line_by_hand_enters_the_namespace_when_there_is_one() {
        assert_eq!(undo(None).by_hand(), "nft 'add table inet firedrill_1_loss_2; delete table inet firedrill_1_loss_2'");
        assert!(undo(Some("shop")).by_hand().starts_with("[ ! -e /run/netns/shop ] || nsenter --net=/run/netns/shop nft 'add "));
    }

    #[test]
    fn a_namespace_that_nobody_has_is_missing() {
        let error = namespace(Some("firedrill-no-such-namespace")).unwrap_err().to_string();
        assert_eq!(error, "find the network namespace `firedrill-no-such-namespace` (help: `ip netns list` shows those that there are)");
        assert_eq!(namespace(None).ok(), number_of(Path::new(OURS)));
    }

    #[test]
    fn what_nft_says_is_read_or_refused() {
        assert_eq!(objects(r#"{"nftables":[{"metainfo":{}}]}"#).map(|objects| objects.len()), Some(1));
        assert!(objects("").is_none() && objects("{}").is_none() && objects(r#"{"nftables":1}"#).is_none());
    }
}
