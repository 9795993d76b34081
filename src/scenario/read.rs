//! The front end as a whole: bytes to a typed scenario with its documents, or every problem that could be found.

use std::collections::HashSet;
use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::Value;

use super::decode::decode;
use super::diagnostic::{Diagnostic, Source, Spot};
use super::finding::{Finding, Severity, did_you_mean};
use super::known::Known;
use super::model::Scenario;
use super::node::{Node, Raw};
use super::parse::{Slip, parse, text_of};
use super::rebase::rebase;
use super::schema::{FileKind, FileSchema, schema_of};
use super::shape::shape;
use super::vars::Vars;
use super::version::wrong_file;
use super::workload::{Clash, merge};

/// Sections for people and for comparison: nothing in them is filled at the moment of use.
const TOLD: [&str; 9] = ["title", "why", "owner", "workload", "steady_state", "claims", "team", "score", "components"];

/// Gives the text of a file that a scenario names, by its path as it is written there; or why it cannot.
pub type Loader<'a> = dyn Fn(&str) -> Result<String, String> + 'a;

/// Says why a document is not the file that was asked for, and whether it is worth looking at all the same.
pub type Recognise<'a> = dyn Fn(&Node) -> (Option<Finding>, bool) + 'a;

/// A scenario that has the right shape.
#[derive(Debug)]
pub struct Read {
    /// What was written, with its workload merged in.
    pub scenario: Scenario,
    /// Where it was written.
    pub documents: Documents,
    /// What is odd but not wrong.
    pub warnings: Vec<Diagnostic>,
}

/// The files that a scenario was read from; turns findings into diagnostics.
#[derive(Debug, Clone)]
pub struct Documents {
    sources: Arc<Vec<Source>>,
    roots: Vec<Node>,
}

impl Documents {
    /// The files in order: the scenario, then its workload.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// Where a pointer stands in the first file, as people write it: `policy.yaml:12`.
    pub fn line_of(&self, pointer: &str) -> String {
        let Some(source) = self.sources.first() else { return String::new() };
        let start = self.spot(0, pointer, true).place.map_or(0, |place| place.start);
        let before = source.text.get(..start).unwrap_or_default();
        format!("{}:{}", source.label, before.matches('\n').count() + 1)
    }

    /// Findings by place in the document, as diagnostics by line. What stands only in the workload is shown there.
    pub fn diagnose(&self, findings: Vec<Finding>) -> Vec<Diagnostic> {
        let mut out: Vec<Diagnostic> = findings.into_iter().map(|finding| self.one(finding, None)).collect();
        Diagnostic::sort(&mut out);
        out
    }

    /// The file in which most of a pointer exists.
    fn home(&self, pointer: &str) -> usize {
        let parts = |file: usize| self.roots.get(file).map_or(0, |root| root.find(pointer).parts);
        (1..self.roots.len()).fold(0, |best, file| if parts(file) > parts(best) { file } else { best })
    }

    fn spot(&self, file: usize, pointer: &str, on_key: bool) -> Spot {
        let place = match (self.roots.get(file), self.sources.get(file)) {
            (Some(root), Some(source)) => Some(root.find(pointer).underline(&source.text, on_key)),
            _ => None,
        };
        Spot { file, place }
    }

    /// The part of a place that says `what`, when it does.
    fn part(&self, spot: Spot, what: Option<&str>) -> Spot {
        let text = || self.sources.get(spot.file)?.text.get(spot.place.clone()?);
        match (what.and_then(|what| Some((text()?.find(what)?, what.len()))), &spot.place) {
            (Some((at, length)), Some(place)) => Spot { place: Some(place.start + at..place.start + at + length), ..spot },
            _ => spot,
        }
    }

    fn one(&self, finding: Finding, file: Option<usize>) -> Diagnostic {
        let file = file.unwrap_or_else(|| self.home(&finding.at));
        let mut also: Vec<(Spot, String)> =
            finding.also.into_iter().map(|(at, label)| (self.spot(self.home(&at), &at, true), label)).collect();
        if let Some(root) = self.roots.get(file) {
            let found = root.find(&finding.at);
            if let Some(alias) = found.alias.filter(|alias| **alias != found.node.place) {
                also.push((Spot { file, place: Some(alias.clone()) }, "used here".to_owned()));
            } else if let Some(defined) = &found.node.defined {
                let place = super::node::first_line(&self.sources[file].text, defined);
                also.push((Spot { file, place: Some(place) }, "defined here".to_owned()));
            }
        }
        Diagnostic {
            sources: Arc::clone(&self.sources),
            severity: finding.severity,
            title: finding.title,
            spot: self.part(self.spot(file, &finding.at, finding.on_key), finding.part.as_deref()),
            label: finding.label,
            also,
            help: finding.help,
        }
    }

    fn clash(&self, clash: Clash) -> Diagnostic {
        let on_key = clash.finding.on_key;
        let mut diagnostic = self.one(clash.finding, Some(0));
        let (at, label) = clash.there;
        diagnostic.also.push((self.spot(1, &at, on_key), label));
        diagnostic
    }
}

/// Reads a scenario. Every problem that can be found is given back, sorted by file and place; with one error there is no scenario.
pub fn read(bytes: &[u8], label: &str, known: &Known, vars: &IndexMap<String, String>, load: &Loader<'_>) -> Result<Read, Vec<Diagnostic>> {
    let mut reader = Reader { sources: Vec::new(), roots: Vec::new(), slips: Vec::new(), findings: Vec::new() };
    let result = reader.run(bytes, label, known, vars, load);
    let Reader { sources, roots, slips, findings } = reader;
    let documents = Documents { sources: Arc::new(sources), roots };
    let mut found: Vec<Diagnostic> =
        slips.into_iter().map(|(file, severity, slip)| located(&documents.sources, file, severity, slip)).collect();
    // What stands behind several aliases is said once.
    let mut said: HashSet<(Spot, String)> = found.iter().map(|slip| (slip.spot.clone(), slip.title.clone())).collect();
    for (file, finding) in findings {
        let diagnostic = documents.one(finding, Some(file));
        if said.insert((diagnostic.spot.clone(), diagnostic.title.clone())) {
            found.push(diagnostic);
        }
    }
    let clean = !found.iter().any(Diagnostic::is_error);
    match result.filter(|_| clean) {
        Some((scenario, clashes)) if clashes.is_empty() => {
            Diagnostic::sort(&mut found);
            Ok(Read { scenario, documents, warnings: found })
        }
        other => {
            found.extend(other.into_iter().flat_map(|(_, clashes)| clashes).map(|clash| documents.clash(clash)));
            Diagnostic::sort(&mut found);
            Err(found)
        }
    }
}

/// Reads a file of another sort that stands alone, without vars and workload: its value and where it was written. `begin` is its first line.
///
/// # Errors
/// Every problem of its syntax and of its shape.
pub fn read_alone(
    bytes: &[u8],
    label: &str,
    begin: &str,
    recognise: &Recognise<'_>,
    schema: &FileSchema,
) -> Result<(Value, Documents), Vec<Diagnostic>> {
    let mut reader = Reader { sources: Vec::new(), roots: Vec::new(), slips: Vec::new(), findings: Vec::new() };
    if reader.open(bytes, label, begin, recognise).is_some() {
        let found = shape(&reader.roots[0], schema, &Known::default());
        reader.findings.extend(found.into_iter().map(|finding| (0, finding)));
    }
    let Reader { sources, roots, slips, findings } = reader;
    let documents = Documents { sources: Arc::new(sources), roots };
    let mut found: Vec<Diagnostic> = Vec::new();
    for (file, severity, mut slip) in slips {
        if slip.place.is_none() && slip.help.as_ref().is_some_and(|help| help.contains("`firedrill: 1`")) {
            slip.help = Some(format!("begin with `{begin}`"));
        }
        found.push(located(&documents.sources, file, severity, slip));
    }
    found.extend(findings.into_iter().map(|(file, finding)| documents.one(finding, Some(file))));
    Diagnostic::sort(&mut found);
    found.dedup();
    match documents.roots.first() {
        Some(root) if found.is_empty() => Ok((root.to_value(), documents)),
        _ => Err(found),
    }
}

fn located(sources: &Arc<Vec<Source>>, file: usize, severity: Severity, slip: Slip) -> Diagnostic {
    Diagnostic {
        sources: Arc::clone(sources),
        severity,
        title: slip.title,
        spot: Spot { file, place: slip.place },
        label: slip.label,
        also: slip.also.into_iter().map(|(place, label)| (Spot { file, place: Some(place) }, label)).collect(),
        help: slip.help,
    }
}

struct Reader {
    sources: Vec<Source>,
    roots: Vec<Node>,
    slips: Vec<(usize, Severity, Slip)>,
    findings: Vec<(usize, Finding)>,
}

impl Reader {
    fn slip(&mut self, file: usize, slip: Slip) {
        self.slips.push((file, Severity::Error, slip));
    }

    fn run(
        &mut self,
        bytes: &[u8],
        label: &str,
        known: &Known,
        given: &IndexMap<String, String>,
        load: &Loader<'_>,
    ) -> Option<(Scenario, Vec<Clash>)> {
        self.open(bytes, label, "firedrill: 1", &|root| wrong_file(root, FileKind::Scenario))?;
        let workload = self.roots[0].get("workload").and_then(Node::text).filter(|path| !path.is_empty()).map(str::to_owned);
        let workload = workload.map(|path| self.path_of(&path, given));
        let workload_is_good = workload.as_ref().is_none_or(|path| self.open_workload(path, label, load));
        let vars = self.vars(given);
        self.shapes(known, workload_is_good);
        if !workload_is_good || !self.slips.is_empty() || !self.findings.is_empty() {
            return None;
        }
        self.unused(&vars);
        self.decode(vars.into_values(), known, workload.as_deref())
    }

    /// Parses a file and sees what it is. Nothing when there is no more to say of it.
    fn open(&mut self, bytes: &[u8], label: &str, begin: &str, wrong: &Recognise<'_>) -> Option<()> {
        let file = self.sources.len();
        let (text, broken) = match text_of(bytes) {
            Ok(text) => (text, None),
            Err(broken) => (broken.0, Some(broken.1)),
        };
        self.sources.push(Source { label: label.to_owned(), text: text.clone() });
        if let Some(slip) = broken {
            self.slip(file, slip);
            return None;
        }
        let (root, slips) = parse(&text);
        slips.into_iter().for_each(|slip| self.slip(file, slip));
        let root = root?;
        if !matches!(root.raw, Raw::Map(_)) {
            let place = super::node::first_line(&text, &root.place);
            let label = if matches!(root.raw, Raw::List(_)) { "is a list" } else { "is no mapping" };
            let slip = Slip::at(place, "the file must be a mapping of keys to values", label);
            self.slip(file, slip.help(format!("begin with `{begin}`")));
            return None;
        }
        let (wrong, go_on) = wrong(&root);
        self.findings.extend(wrong.map(|finding| (file, finding)));
        self.roots.push(root);
        go_on.then_some(())
    }

    /// The workload's path, with the scenario's own vars.
    fn path_of(&mut self, path: &str, given: &IndexMap<String, String>) -> String {
        let mut vars = Vars::default();
        if let Some(block) = self.roots[0].get("vars") {
            vars.declare(block, &self.sources[0].text, given);
        }
        let mut node = Node::new(Raw::Text(path.to_owned()), 0..0);
        // What is unknown in it is reported when the whole document is filled.
        vars.fill(&mut node, "", false, &mut Vec::new());
        node.text().unwrap_or_default().to_owned()
    }

    /// Whether the workload can be looked at.
    fn open_workload(&mut self, path: &str, label: &str, load: &Loader<'_>) -> bool {
        match load(path) {
            Ok(text) => {
                let wrong = |root: &Node| wrong_file(root, FileKind::Workload);
                self.open(text.as_bytes(), &beside(label, path), "workload: 1", &wrong).is_some()
            }
            Err(why) => {
                let finding = Finding::error("/workload", format!("the workload cannot be read: {why}"), "names this file");
                let help = match label.rfind('/') {
                    Some(at) => format!("a relative path resolves against the scenario's own folder, {}", &label[..at]),
                    None => "a relative path resolves against the scenario's own folder".to_owned(),
                };
                self.findings.push((0, finding.help(help)));
                false
            }
        }
    }

    /// Declares the vars of all files and fills them in.
    fn vars(&mut self, given: &IndexMap<String, String>) -> Vars {
        let mut vars = Vars::default();
        for file in (0..self.roots.len()).rev() {
            let Some(block) = self.roots[file].get("vars").cloned() else { continue };
            let slips = vars.declare(&block, &self.sources[file].text, given);
            slips.into_iter().for_each(|slip| self.slip(file, slip));
        }
        for name in given.keys().filter(|name| !vars.has(name)) {
            let finding = Finding::error("/vars", format!("`--var {name}=…`: the scenario has no such var"), "vars are declared here");
            let finding = finding.on_key();
            self.findings.push((
                0,
                match did_you_mean(name, vars.names()) {
                    Some(near) => finding.help(format!("did you mean `--var {near}=…`?")),
                    None => finding.help(format!("declare it with a default: `vars: {{ {name}: … }}`")),
                },
            ));
        }
        for file in 0..self.roots.len() {
            let mut slips = Vec::new();
            if let Raw::Map(entries) = &mut self.roots[file].raw {
                for entry in entries.iter_mut().filter(|entry| entry.key != "vars") {
                    let again = !TOLD.contains(&entry.key.as_str());
                    vars.fill(&mut entry.value, &self.sources[file].text, again, &mut slips);
                }
            }
            slips.into_iter().for_each(|slip| self.slip(file, slip));
        }
        vars
    }

    fn unused(&mut self, vars: &Vars) {
        for file in 0..self.roots.len() {
            let Some(block) = self.roots[file].get("vars") else { continue };
            let unused: Vec<Slip> = block
                .entries()
                .iter()
                .filter(|entry| vars.has(&entry.key) && !vars.is_used(&entry.key))
                .map(|entry| Slip::at(entry.place.clone(), format!("the var `{}` is never used", entry.key), "never used"))
                .collect();
            self.slips.extend(unused.into_iter().map(|slip| (file, Severity::Warning, slip)));
        }
    }

    fn shapes(&mut self, known: &Known, workload_too: bool) {
        for (file, kind) in [(0, FileKind::Scenario), (1, FileKind::Workload)] {
            if (file == 0 || workload_too)
                && let Some(root) = self.roots.get(file)
            {
                let found = shape(root, schema_of(known, kind), known);
                self.findings.extend(found.into_iter().map(|finding| (file, finding)));
            }
        }
    }

    fn decode(&mut self, vars: IndexMap<String, String>, known: &Known, workload: Option<&str>) -> Option<(Scenario, Vec<Clash>)> {
        let mut parts = Vec::new();
        for (file, root) in self.roots.iter().enumerate() {
            match decode(root.to_value(), vars.clone(), known) {
                Ok(part) => parts.push(part),
                Err(findings) => self.findings.extend(findings.into_iter().map(|finding| (file, finding))),
            }
        }
        let mut parts = parts.into_iter();
        match (parts.next(), parts.next()) {
            (Some(scenario), Some(mut shared)) => {
                rebase(&mut shared, workload.unwrap_or_default(), known);
                Some(merge(scenario, shared))
            }
            (Some(scenario), None) => Some((scenario, Vec::new())),
            _ => None,
        }
    }
}

/// A path as seen from where the file of that label is.
fn beside(label: &str, path: &str) -> String {
    match label.rfind('/') {
        Some(at) if !path.starts_with('/') => format!("{}/{path}", &label[..at]),
        _ => path.to_owned(),
    }
}
