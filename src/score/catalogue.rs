//! The catalogue: questions and practices of the AWS Well-Architected Framework, what a drill can show of each, and how it is judged. Data in
//! `catalogue.yaml`, read once and checked: what is unknown is refused. Practices are keyed by choice id, which is stable; their
//! numbers are labels that AWS renumbers. Another lens would be another file.

use std::collections::HashSet;
use std::sync::LazyLock;

use indexmap::IndexMap;
use serde::Deserialize;

use super::Risk;
use super::rule::{Branch, Expr, Rule, RuleError, branch};

/// The publication of the framework that labels are taken from.
pub const FRAMEWORK_PUBLICATION: &str = "2024-11-06";

const TEXT: &str = include_str!("catalogue.yaml");

/// Everything that is known of the framework.
#[derive(Debug, Default)]
pub struct Catalogue {
    /// Its name.
    pub framework: String,
    /// When it was published.
    pub publication: String,
    /// The alias under which the Well-Architected Tool knows it.
    pub lens: String,
    /// What rules compare with by default; absent where only a scenario can say.
    pub targets: IndexMap<String, Option<f64>>,
    /// By when a finding should be mended.
    pub due_days: DueDays,
    /// What would exercise a practice.
    pub drills: IndexMap<String, Drill>,
    /// What rules may ask.
    pub signals: IndexMap<String, SignalKind>,
    /// Every practice, in the framework's order.
    pub practices: Vec<Practice>,
}

/// Days from a run until its findings should be mended: a proposal, for people to change.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DueDays {
    /// Those of high risk.
    pub high: u16,
    /// Those of medium risk.
    pub medium: u16,
}

/// A sort of drill.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drill {
    /// What happens in it.
    pub means: String,
    /// Fault kinds that are of this sort.
    #[serde(default)]
    pub faults: Vec<String>,
    /// What a claim may call its disruption to be of this sort.
    #[serde(default)]
    pub disruptions: Vec<String>,
}

/// A signal, explained.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignalKind {
    /// `s`, `ms`, `ratio`, `count`, `bool` …
    pub unit: String,
    /// Who can see it.
    pub from: From,
    /// What it is, from where to where.
    pub means: String,
    /// The quantity of the measurement's definitions behind it.
    pub quantity: Option<String>,
}

/// Who can see a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum From {
    /// Probes, ledgers and the journal.
    Measurement,
    /// The plan itself.
    Plan,
    /// A receiver of alerts, or a query of telemetry.
    Alerts,
    /// People's marks and messages.
    Team,
    /// A generator of load, or the counters of the workload.
    Load,
    /// The provider's own record: audit log, pipeline, backup.
    Provider,
    /// The record of earlier runs and of what followed them.
    History,
}

impl From {
    /// Who that is, for people.
    pub fn words(self) -> &'static str {
        match self {
            From::Measurement => "probes and ledgers",
            From::Plan => "the plan",
            From::Alerts => "alerts and telemetry",
            From::Team => "people's marks",
            From::Load => "load and the workload's own counters",
            From::Provider => "the provider's record",
            From::History => "history",
        }
    }
}

/// How a practice is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// By one run: did the system and the team do well?
    Outcome,
    /// Over many: are drills held, do lessons land? Never in one run's report.
    Programme,
    /// By no drill.
    None,
}

/// A best practice of the framework.
#[derive(Debug, Clone, PartialEq)]
pub struct Practice {
    /// Choice id of the Well-Architected Tool: the stable key.
    pub choice: String,
    /// Its number in this publication.
    pub label: String,
    /// Its number before this publication, where that was another.
    pub earlier: Option<String>,
    /// What it asks for, paraphrased.
    pub title: String,
    /// Question id of the Well-Architected Tool.
    pub question: String,
    /// The question's number.
    pub question_label: String,
    /// What the question is about.
    pub question_title: String,
    /// The worst that may be said where it is missing: the framework's own risk level.
    pub cap: Risk,
    /// How it is judged.
    pub layer: Layer,
    /// Sorts of drill that would exercise it: keys of [`Catalogue::drills`].
    pub drills: Vec<String>,
    /// Signals worth showing beside it.
    pub signals: Vec<String>,
    /// How it is judged, where it is.
    pub rule: Option<Rule>,
    /// The branches as they are written: met, medium, high.
    pub texts: [Option<String>; 3],
    /// What limits a drill's word on it.
    pub note: Option<String>,
    /// What it costs the business where it is missing.
    pub impact: Option<String>,
    /// What to do where it is missing.
    pub remedy: Option<String>,
}

impl Practice {
    /// A risk, no worse than the framework's own level allows.
    pub fn capped(&self, risk: Risk) -> Risk {
        risk.max(self.cap)
    }
}

/// Why a catalogue is refused.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// It is not of the schema.
    #[error("the catalogue cannot be read: {0}")]
    Shape(String),
    /// A rule cannot be read.
    #[error("{practice}: {source}")]
    Rule {
        /// Whose rule.
        practice: String,
        /// Why.
        source: RuleError,
    },
    /// It contradicts itself.
    #[error("{practice}: {why}")]
    Wrong {
        /// Whose entry.
        practice: String,
        /// Why.
        why: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileShape {
    framework: String,
    publication: String,
    lens: String,
    targets: IndexMap<String, Option<f64>>,
    due_days: DueDays,
    drills: IndexMap<String, Drill>,
    signals: IndexMap<String, SignalKind>,
    questions: Vec<QuestionShape>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QuestionShape {
    id: String,
    label: String,
    #[serde(rename = "pillar")]
    _pillar: String,
    title: String,
    practices: Vec<PracticeShape>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Level {
    High,
    Medium,
    Low,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PracticeShape {
    choice: String,
    label: String,
    earlier: Option<String>,
    title: String,
    risk: Level,
    layer: Layer,
    #[serde(rename = "strength")]
    _strength: Option<String>,
    #[serde(default)]
    drills: Vec<String>,
    #[serde(default)]
    signals: Vec<String>,
    met: Option<String>,
    medium: Option<String>,
    high: Option<String>,
    note: Option<String>,
    impact: Option<String>,
    remedy: Option<String>,
}

impl Catalogue {
    /// Reads and checks a catalogue.
    ///
    /// # Errors
    /// It is not of the schema, names something unknown, or says something twice.
    pub fn read(text: &str) -> Result<Catalogue, CatalogueError> {
        let file: FileShape = serde_saphyr::from_str(text).map_err(|error| CatalogueError::Shape(error.to_string()))?;
        let mut practices = Vec::new();
        for question in file.questions {
            for shape in question.practices {
                practices.push(practice(shape, (&question.id, &question.label, &question.title))?);
            }
        }
        let FileShape { framework, publication, lens, targets, due_days, drills, signals, .. } = file;
        let read = Catalogue { framework, publication, lens, targets, due_days, drills, signals, practices };
        let mut seen = HashSet::new();
        for practice in &read.practices {
            read.check(practice).map_err(|why| CatalogueError::Wrong { practice: practice.label.clone(), why })?;
            if !seen.insert(&practice.choice) || !seen.insert(&practice.label) {
                return Err(CatalogueError::Wrong { practice: practice.label.clone(), why: "is there twice".to_owned() });
            }
        }
        Ok(read)
    }

    fn check(&self, practice: &Practice) -> Result<(), String> {
        let unknown = |sort: &str, name: &str| Err(format!("the {sort} `{name}` is unknown"));
        if let Some(name) = practice.drills.iter().find(|name| !self.drills.contains_key(*name)) {
            return unknown("drill", name);
        }
        if let Some(name) = practice.signals.iter().find(|name| !self.signals.contains_key(*name)) {
            return unknown("signal", name);
        }
        let Some(rule) = &practice.rule else {
            return if practice.layer == Layer::None { Ok(()) } else { Err("has no rule".to_owned()) };
        };
        if practice.layer == Layer::None || practice.drills.is_empty() {
            return Err("has a rule and nothing that would exercise it".to_owned());
        }
        if practice.cap == Risk::Mri && rule.branches[2] != Branch::Never {
            return Err("cannot be worse than the framework's own risk".to_owned());
        }
        let (_, targets) = rule.names();
        if let Some(name) = targets.iter().find(|name| !self.targets.contains_key(**name)) {
            return unknown("target", name);
        }
        rule.branches.iter().try_for_each(|branch| if let Branch::When(expr) = branch { self.check_expr(expr) } else { Ok(()) })
    }

    fn check_expr(&self, expr: &Expr) -> Result<(), String> {
        let unit = |name: &str| self.signals.get(name).map(|s| s.unit.as_str()).ok_or_else(|| format!("the signal `{name}` is unknown"));
        match expr {
            Expr::And(parts) | Expr::Or(parts) => parts.iter().try_for_each(|part| self.check_expr(part)),
            Expr::Not(inner) => self.check_expr(inner),
            Expr::Present(name, _) => unit(name).map(drop),
            Expr::Yes(name) if unit(name)? == "bool" => Ok(()),
            Expr::Compare(name, ..) if unit(name)? != "bool" => Ok(()),
            Expr::Yes(name) => Err(format!("`{name}` is no yes or no")),
            Expr::Compare(name, ..) => Err(format!("`{name}` is no number")),
        }
    }

    /// The practice of that choice id, label or earlier label, whatever the case of its letters.
    pub fn find(&self, name: &str) -> Option<&Practice> {
        let is = |label: &str| label.eq_ignore_ascii_case(name);
        let now = self.practices.iter().find(|p| is(&p.choice) || is(&p.label));
        now.or_else(|| self.practices.iter().find(|p| p.earlier.as_deref().is_some_and(is)))
    }

    /// The practice that had this label before the publication, where the label means another one now.
    pub fn formerly(&self, name: &str) -> Option<&Practice> {
        self.practices.iter().find(|p| p.earlier.as_deref().is_some_and(|label| label.eq_ignore_ascii_case(name)))
    }

    /// Practices by question, in order.
    pub fn questions(&self) -> Vec<&[Practice]> {
        self.practices.chunk_by(|a, b| a.question == b.question).collect()
    }
}

fn practice(shape: PracticeShape, question: (&String, &String, &String)) -> Result<Practice, CatalogueError> {
    let texts = [shape.met, shape.medium, shape.high];
    let read =
        |text: &Option<String>| branch(text.as_deref()).map_err(|source| CatalogueError::Rule { practice: shape.label.clone(), source });
    let branches = [read(&texts[0])?, read(&texts[1])?, read(&texts[2])?];
    let rule = (texts != [None, None, None]).then_some(Rule { branches });
    Ok(Practice {
        question: question.0.clone(),
        question_label: question.1.clone(),
        question_title: question.2.clone(),
        cap: if matches!(shape.risk, Level::High) { Risk::Hri } else { Risk::Mri },
        choice: shape.choice,
        label: shape.label,
        earlier: shape.earlier,
        title: shape.title,
        layer: shape.layer,
        drills: shape.drills,
        signals: shape.signals,
        rule,
        texts,
        note: shape.note,
        impact: shape.impact,
        remedy: shape.remedy,
    })
}

static BUILT_IN: LazyLock<Catalogue> = LazyLock::new(|| {
    // A test reads it; a catalogue that could not be read would judge nothing, and never anything well.
    Catalogue::read(TEXT).unwrap_or_default()
});

/// The catalogue that comes with firedrill.
pub fn catalogue() -> &'static Catalogue {
    &BUILT_IN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_reads() {
        let read = Catalogue::read(TEXT).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(read.publication, FRAMEWORK_PUBLICATION);
        assert_eq!((read.questions().len(), read.practices.len(), read.signals.len()), (24, 133, 157));
        assert!(catalogue().practices.len() == read.practices.len());
    }

    #[test]
    fn what_it_does_not_know_is_refused() {
        for (from, to, why) in [
            ("lens: wellarchitected", "lens: wellarchitected\nlense: x", "lense"),
            ("risk: high", "risk: huge", "huge"),
            ("met: session_loss_ratio == 0", "met: session_los_ratio == 0", "REL05-BP06: the signal `session_los_ratio` is unknown"),
            ("met: session_loss_ratio == 0", "met: session_loss_ratio", "REL05-BP06: `session_loss_ratio` is no yes or no"),
            ("met: trace_points_to_fault", "met: 'trace_points_to_fault > 1'", "REL06-BP07: `trace_points_to_fault` is no number"),
            ("met: session_loss_ratio == 0", "met: session_loss_ratio ==", "REL05-BP06: rule `session_loss_ratio ==`: it ends too early"),
            ("target.retry_amplification", "target.retries", "the target `retries` is unknown"),
            ("drills: [process_kill, instance_loss]", "drills: [process_kil]", "the drill `process_kil` is unknown"),
            ("label: REL05-BP06", "label: REL05-BP05", "REL05-BP05: is there twice"),
            ("medium: 'session_loss_ratio > 0'", "high: 'session_loss_ratio > 0'", "cannot be worse than the framework's own risk"),
        ] {
            assert!(TEXT.contains(from), "{from}");
            let error = Catalogue::read(&TEXT.replacen(from, to, 1)).map(drop).unwrap_err().to_string();
            assert!(error.contains(why), "{to}: {error}");
        }
    }

    #[test]
    fn a_medium_practice_is_at_most_a_medium_risk() {
        let of = |label: &str| catalogue().find(label).unwrap();
        assert_eq!(of("REL11-BP07").capped(Risk::Hri), Risk::Mri);
        assert_eq!(of("REL11-BP02").capped(Risk::Hri), Risk::Hri);
        assert_eq!(of("REL11-BP02").capped(Risk::Mri), Risk::Mri);
    }

    #[test]
    fn choice_ids_labels_and_earlier_labels_are_found() {
        let label = |name: &str| catalogue().find(name).map(|p| p.label.as_str());
        assert_eq!(label("rel_testing_resiliency_game_days_resiliency"), Some("REL12-BP05"));
        assert_eq!(label("rel12-bp05"), Some("REL12-BP05"), "the number of today comes first");
        assert_eq!(label("REL12-BP06"), Some("REL12-BP05"), "a number that is gone means what it meant");
        assert_eq!(catalogue().formerly("REL12-BP05").map(|p| p.label.as_str()), Some("REL12-BP04"));
        assert_eq!(label("REL99-BP01"), None);
    }

    #[test]
    fn every_choice_id_is_of_its_question() {
        for p in &catalogue().practices {
            let prefix = format!("{}_{}_", &p.label[..3].to_lowercase(), p.question.replace('-', "_"));
            assert!(p.choice.starts_with(&prefix) && p.choice.len() <= 64, "{} {prefix}", p.choice);
        }
    }

    #[test]
    fn what_would_exercise_a_practice_exists() {
        let kinds: Vec<&str> = crate::fault::KINDS.iter().map(|kind| kind.kind()).collect();
        for (name, drill) in &catalogue().drills {
            for fault in &drill.faults {
                assert!(kinds.contains(&fault.as_str()), "{name}: there is no fault kind `{fault}`");
            }
            assert!(catalogue().practices.iter().any(|p| p.drills.contains(name)), "{name} exercises nothing");
        }
    }

    #[test]
    fn every_measured_signal_names_its_quantity_and_every_target_its_use() {
        for (name, kind) in &catalogue().signals {
            assert!(kind.from != From::Measurement || kind.quantity.is_some(), "{name} has no definition");
        }
        let used: HashSet<&str> = catalogue().practices.iter().filter_map(|p| p.rule.as_ref()).flat_map(|rule| rule.names().1).collect();
        let spare: Vec<&String> = catalogue().targets.keys().filter(|name| !used.contains(name.as_str())).collect();
        assert!(spare.is_empty(), "no rule asks for {spare:?}");
    }

    #[test]
    fn the_questions_that_drills_speak_to_best_come_with_advice() {
        let told = catalogue().practices.iter().filter(|p| p.layer == Layer::Outcome && p.remedy.is_some() && p.impact.is_some());
        let of = |question: &str| told.clone().filter(|p| p.question_label == question).count();
        let counts = ["REL 5", "REL 6", "REL 11", "REL 13", "OPS 8", "OPS 10"].map(of);
        assert_eq!(counts, [7, 6, 7, 4, 5, 7]);
        assert!(catalogue().practices.iter().all(|p| p.remedy.is_some() == p.impact.is_some()));
    }
}
