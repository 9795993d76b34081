//! The small language of the catalogue's rules: `recovered and (blocked or calls == 0)`, `ttd_s <= 2 * target.detect_s`, `ttd_s is absent`, `otherwise`.
//! Parsed once into a tree, evaluated with three values: an interval that lies on both sides of a limit, or a signal that nobody
//! measured, leaves a comparison open, and what is open decides nothing. It must never know which signals there are.

use super::signal::{Readings, State, Value};

/// How two numbers are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// `==`
    Is,
    /// `!=`
    IsNot,
    /// `<`
    Below,
    /// `<=`
    AtMost,
    /// `>`
    Above,
    /// `>=`
    AtLeast,
}

impl Op {
    /// As the language writes it.
    pub fn text(self) -> &'static str {
        match self {
            Op::Is => "==",
            Op::IsNot => "!=",
            Op::Below => "<",
            Op::AtMost => "<=",
            Op::Above => ">",
            Op::AtLeast => ">=",
        }
    }
}

/// What a signal is compared with: `3`, `target.detect_s`, `2 * target.detect_s`.
#[derive(Debug, Clone, PartialEq)]
pub struct Limit {
    /// The number, or what the target is multiplied by.
    pub factor: f64,
    /// The target.
    pub target: Option<String>,
}

impl Limit {
    /// Its value; absent where the target is not declared.
    pub fn value(&self, readings: &Readings) -> Option<f64> {
        match &self.target {
            Some(name) => readings.targets.get(name).map(|target| target.value * self.factor),
            None => Some(self.factor),
        }
    }
}

/// A condition.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// Every part holds.
    And(Vec<Expr>),
    /// At least one part holds.
    Or(Vec<Expr>),
    /// The inner one does not hold.
    Not(Box<Expr>),
    /// A signal that is yes or no is yes.
    Yes(String),
    /// `S is present` (true) or `S is absent` (false).
    Present(String, bool),
    /// A signal against a limit.
    Compare(String, Op, Limit),
}

/// What is known of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    /// It holds, whatever is still unknown.
    Holds,
    /// It does not, whatever is still unknown.
    Fails,
    /// That depends on what is unknown.
    Open,
}

impl Truth {
    fn of(holds: bool) -> Truth {
        if holds { Truth::Holds } else { Truth::Fails }
    }

    fn not(self) -> Truth {
        match self {
            Truth::Holds => Truth::Fails,
            Truth::Fails => Truth::Holds,
            Truth::Open => Truth::Open,
        }
    }
}

impl Expr {
    /// What is known of it.
    pub fn truth(&self, readings: &Readings) -> Truth {
        let each = |parts: &[Expr], decides: Truth| {
            let found: Vec<Truth> = parts.iter().map(|part| part.truth(readings)).collect();
            if found.contains(&decides) {
                decides
            } else if found.contains(&Truth::Open) {
                Truth::Open
            } else {
                decides.not()
            }
        };
        match self {
            Expr::And(parts) => each(parts, Truth::Fails),
            Expr::Or(parts) => each(parts, Truth::Holds),
            Expr::Not(inner) => inner.truth(readings).not(),
            Expr::Yes(signal) => match readings.state(signal) {
                State::Value(Value::Bool(yes)) => Truth::of(*yes),
                State::Absent => Truth::Fails,
                State::Value(Value::Number { .. }) | State::NotInstrumented(_) | State::Undecided(_) => Truth::Open,
            },
            Expr::Present(signal, present) => match readings.state(signal) {
                State::Absent => Truth::of(!present),
                State::Value(_) => Truth::of(*present),
                State::NotInstrumented(_) | State::Undecided(_) => Truth::Open,
            },
            Expr::Compare(signal, op, limit) => match (readings.state(signal), limit.value(readings)) {
                (State::Absent, _) => Truth::Fails,
                (State::Value(Value::Number { lo, hi }), Some(limit)) => compare(*lo, *hi, *op, limit),
                (State::Value(_) | State::NotInstrumented(_) | State::Undecided(_), _) => Truth::Open,
            },
        }
    }

    /// Every signal and every target that it names.
    pub fn names<'a>(&'a self, signals: &mut Vec<&'a str>, targets: &mut Vec<&'a str>) {
        let once = |list: &mut Vec<&'a str>, name: &'a str| {
            if !list.contains(&name) {
                list.push(name);
            }
        };
        match self {
            Expr::And(parts) | Expr::Or(parts) => parts.iter().for_each(|part| part.names(signals, targets)),
            Expr::Not(inner) => inner.names(signals, targets),
            Expr::Yes(signal) | Expr::Present(signal, _) => once(signals, signal),
            Expr::Compare(signal, _, limit) => {
                once(signals, signal);
                limit.target.iter().for_each(|target| once(targets, target));
            }
        }
    }

    /// The parts that keep it from being `wanted`: the smallest conditions that are not as they should be.
    pub fn in_the_way(&self, readings: &Readings, wanted: bool) -> Vec<(Expr, bool)> {
        if self.truth(readings) == Truth::of(wanted) {
            return Vec::new();
        }
        match self {
            Expr::And(parts) | Expr::Or(parts) => parts.iter().flat_map(|part| part.in_the_way(readings, wanted)).collect(),
            Expr::Not(inner) => inner.in_the_way(readings, !wanted),
            Expr::Yes(_) | Expr::Present(..) | Expr::Compare(..) => vec![(self.clone(), wanted)],
        }
    }
}

fn compare(lo: f64, hi: Option<f64>, op: Op, limit: f64) -> Truth {
    let hi = hi.unwrap_or(f64::INFINITY);
    let decide = |holds: bool, fails: bool| match (holds, fails) {
        (true, _) => Truth::Holds,
        (_, true) => Truth::Fails,
        _ => Truth::Open,
    };
    match op {
        Op::AtMost => decide(hi <= limit, lo > limit),
        Op::Below => decide(hi < limit, lo >= limit),
        Op::AtLeast => decide(lo >= limit, hi < limit),
        Op::Above => decide(lo > limit, hi <= limit),
        Op::Is => decide(lo >= limit && hi <= limit, lo > limit || hi < limit),
        Op::IsNot => compare(lo, Some(hi), Op::Is, limit).not(),
    }
}

/// One way in which a rule can end.
#[derive(Debug, Clone, PartialEq)]
pub enum Branch {
    /// It cannot.
    Never,
    /// When none before did, and everything that they name was measured.
    Otherwise,
    /// When this holds.
    When(Expr),
}

/// A rule: the first branch that holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// The practice is met, at risk, at high risk.
    pub branches: [Branch; 3],
}

/// How a rule ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The practice was shown.
    Met,
    /// It was refuted: medium risk.
    Medium,
    /// It was refuted: high risk.
    High,
    /// Everything was measured and no branch holds: what the rule speaks of did not happen.
    Nothing,
    /// Something that matters is not known.
    Open,
}

const ENDS: [Outcome; 3] = [Outcome::Met, Outcome::Medium, Outcome::High];

impl Rule {
    /// Signals and targets, each once.
    pub fn names(&self) -> (Vec<&str>, Vec<&str>) {
        let (mut signals, mut targets) = (Vec::new(), Vec::new());
        for branch in &self.branches {
            if let Branch::When(expr) = branch {
                expr.names(&mut signals, &mut targets);
            }
        }
        (signals, targets)
    }

    /// How it ends with these readings.
    pub fn outcome(&self, readings: &Readings) -> Outcome {
        for (branch, end) in self.branches.iter().zip(ENDS) {
            let truth = match branch {
                Branch::Never => Truth::Fails,
                Branch::When(expr) => expr.truth(readings),
                Branch::Otherwise => self.all_known(readings),
            };
            match truth {
                Truth::Holds => return end,
                Truth::Open => return Outcome::Open,
                Truth::Fails => {}
            }
        }
        Outcome::Nothing
    }

    fn all_known(&self, readings: &Readings) -> Truth {
        let (signals, targets) = self.names();
        let known = signals.iter().all(|signal| !matches!(readings.state(signal), State::NotInstrumented(_)))
            && targets.iter().all(|target| readings.targets.contains_key(*target));
        if known { Truth::Holds } else { Truth::Open }
    }
}

/// Why a rule cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rule `{rule}`: {why}")]
pub struct RuleError {
    /// As written.
    pub rule: String,
    /// What is wrong.
    pub why: String,
}

/// Reads one branch; absent is [`Branch::Never`].
///
/// # Errors
/// The text is not of the language.
pub fn branch(text: Option<&str>) -> Result<Branch, RuleError> {
    let Some(text) = text else { return Ok(Branch::Never) };
    if text.trim() == "otherwise" {
        return Ok(Branch::Otherwise);
    }
    let bad = |why: String| RuleError { rule: text.to_owned(), why };
    let words = words(text).map_err(bad)?;
    let mut parser = Parser { words: &words, depth: 0 };
    let expr = parser.or().map_err(bad)?;
    match parser.words.first() {
        None => Ok(Branch::When(expr)),
        Some(word) => Err(bad(format!("`{word}` is too much"))),
    }
}

fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let end = if first.is_ascii_alphanumeric() || first == '_' {
            rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.').unwrap_or(rest.len())
        } else if ["==", "!=", "<=", ">="].iter().any(|op| rest.starts_with(op)) {
            2
        } else if "()*<>".contains(first) {
            1
        } else {
            return Err(format!("`{first}` has no meaning here"));
        };
        words.push(rest[..end].to_owned());
        rest = rest[end..].trim_start();
    }
    Ok(words)
}

/// How deep brackets and negations may be.
const DEEPEST: usize = 32;

struct Parser<'a> {
    words: &'a [String],
    depth: usize,
}

impl Parser<'_> {
    fn next(&mut self) -> Result<&str, String> {
        let (first, rest) = self.words.split_first().ok_or("it ends too early")?;
        self.words = rest;
        Ok(first)
    }

    fn take(&mut self, word: &str) -> bool {
        let there = self.words.first().is_some_and(|first| first == word);
        if there {
            self.words = &self.words[1..];
        }
        there
    }

    fn or(&mut self) -> Result<Expr, String> {
        let mut parts = vec![self.and()?];
        while self.take("or") {
            parts.push(self.and()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expr::Or(parts) })
    }

    fn and(&mut self) -> Result<Expr, String> {
        let mut parts = vec![self.not()?];
        while self.take("and") {
            parts.push(self.not()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expr::And(parts) })
    }

    fn not(&mut self) -> Result<Expr, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("it is nested too deeply".to_owned());
        }
        let found = if self.take("not") {
            Expr::Not(Box::new(self.not()?))
        } else if self.take("(") {
            let inner = self.or()?;
            if !self.take(")") {
                return Err("a `)` is missing".to_owned());
            }
            inner
        } else {
            self.atom()?
        };
        self.depth -= 1;
        Ok(found)
    }

    fn atom(&mut self) -> Result<Expr, String> {
        let signal = self.next()?.to_owned();
        let named = signal.starts_with(|c: char| c.is_ascii_alphabetic()) && !signal.contains('.');
        if !named || ["and", "or", "is", "otherwise"].contains(&signal.as_str()) {
            return Err(format!("`{signal}` stands where a signal should"));
        }
        if self.take("is") {
            return match self.next()? {
                "absent" => Ok(Expr::Present(signal, false)),
                "present" => Ok(Expr::Present(signal, true)),
                word => Err(format!("`is {word}`: only `is absent` and `is present` are known")),
            };
        }
        let ops = [Op::Is, Op::IsNot, Op::AtMost, Op::AtLeast, Op::Below, Op::Above];
        let Some(op) = ops.into_iter().find(|op| self.take(op.text())) else { return Ok(Expr::Yes(signal)) };
        let limit = self.limit()?;
        Ok(Expr::Compare(signal, op, limit))
    }

    fn limit(&mut self) -> Result<Limit, String> {
        let word = self.next()?.to_owned();
        if let Some(target) = word.strip_prefix("target.") {
            return Ok(Limit { factor: 1.0, target: Some(target.to_owned()) });
        }
        let factor: f64 = word.parse().map_err(|_| format!("`{word}` is neither a number nor a `target.NAME`"))?;
        if !self.take("*") {
            return Ok(Limit { factor, target: None });
        }
        let word = self.next()?;
        let target = word.strip_prefix("target.").ok_or_else(|| format!("`{word}` is no `target.NAME`"))?;
        Ok(Limit { factor, target: Some(target.to_owned()) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::signal::{Signal, Target};
    use super::*;

    fn when(text: &str) -> Expr {
        match branch(Some(text)).unwrap() {
            Branch::When(expr) => expr,
            other => panic!("{other:?}"),
        }
    }

    fn readings(signals: &[(&str, State)]) -> Readings {
        let mut readings = Readings::default();
        for (name, state) in signals {
            readings.signals.insert((*name).to_owned(), Signal { state: state.clone(), entries: vec![] });
        }
        readings.targets.insert("x_s".into(), Target { value: 10.0, from: "default".into() });
        readings
    }

    fn number(lo: f64, hi: f64) -> State {
        State::Value(Value::Number { lo, hi: Some(hi) })
    }

    #[test]
    fn what_it_reads() {
        assert_eq!(
            when("recovered and (blocked or calls == 0)"),
            Expr::And(vec![
                Expr::Yes("recovered".into()),
                Expr::Or(vec![Expr::Yes("blocked".into()), Expr::Compare("calls".into(), Op::Is, Limit { factor: 0.0, target: None })]),
            ])
        );
        assert_eq!(
            when("not a or b_s > 2 * target.x_s"),
            Expr::Or(vec![
                Expr::Not(Box::new(Expr::Yes("a".into()))),
                Expr::Compare("b_s".into(), Op::Above, Limit { factor: 2.0, target: Some("x_s".into()) }),
            ])
        );
        assert_eq!(branch(None), Ok(Branch::Never));
        assert_eq!(branch(Some("otherwise")), Ok(Branch::Otherwise));
    }

    #[test]
    fn what_it_refuses_and_how() {
        for (text, why) in [
            ("a and", "it ends too early"),
            ("a b", "`b` is too much"),
            ("(a", "a `)` is missing"),
            ("a <= b", "`b` is neither a number nor a `target.NAME`"),
            ("a <= 2 * b", "`b` is no `target.NAME`"),
            ("a is late", "only `is absent` and `is present`"),
            ("3 <= a", "`3` stands where a signal should"),
            ("a & b", "`&` has no meaning here"),
            ("otherwise and a", "stands where a signal should"),
        ] {
            let error = branch(Some(text)).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
        let deep = format!("{}a", "not ".repeat(100));
        assert!(branch(Some(&deep)).unwrap_err().why.contains("deeply"));
    }

    #[test]
    fn an_interval_across_the_limit_decides_nothing() {
        let rule = when("s <= target.x_s");
        assert_eq!(rule.truth(&readings(&[("s", number(8.0, 10.0))])), Truth::Holds);
        assert_eq!(rule.truth(&readings(&[("s", number(9.0, 10.5))])), Truth::Open);
        assert_eq!(rule.truth(&readings(&[("s", number(10.5, 11.0))])), Truth::Fails);
        assert_eq!(rule.truth(&readings(&[("s", State::Value(Value::Number { lo: 11.0, hi: None }))])), Truth::Fails);
        assert_eq!(rule.truth(&readings(&[("s", State::Value(Value::Number { lo: 9.0, hi: None }))])), Truth::Open);
    }

    #[test]
    fn the_three_states_are_kept_apart() {
        let unknown = readings(&[]);
        let absent = readings(&[("s", State::Absent)]);
        for (text, of_unknown, of_absent) in [
            ("s <= 1", Truth::Open, Truth::Fails),
            ("s > 1", Truth::Open, Truth::Fails),
            ("s is absent", Truth::Open, Truth::Holds),
            ("s is present", Truth::Open, Truth::Fails),
            ("s", Truth::Open, Truth::Fails),
            ("not s", Truth::Open, Truth::Holds),
            ("s <= target.nowhere", Truth::Open, Truth::Fails),
        ] {
            assert_eq!(when(text).truth(&unknown), of_unknown, "{text}");
            assert_eq!(when(text).truth(&absent), of_absent, "{text}");
        }
    }

    #[test]
    fn what_is_decided_does_not_wait_for_the_rest() {
        let known = readings(&[("a", State::Value(Value::Bool(false))), ("b", State::Value(Value::Bool(true)))]);
        assert_eq!(when("a and nobody_asked").truth(&known), Truth::Fails);
        assert_eq!(when("b or nobody_asked").truth(&known), Truth::Holds);
        assert_eq!(when("b and nobody_asked").truth(&known), Truth::Open);
        let rule = |branches: [Option<&str>; 3]| Rule { branches: branches.map(|b| branch(b).unwrap()) };
        assert_eq!(rule([Some("a and nobody_asked"), Some("b"), None]).outcome(&known), Outcome::Medium);
        assert_eq!(rule([Some("a and nobody_asked"), Some("otherwise"), None]).outcome(&known), Outcome::Open, "otherwise asks for all");
        assert_eq!(rule([Some("a"), Some("otherwise"), None]).outcome(&known), Outcome::Medium);
        assert_eq!(rule([Some("a"), None, None]).outcome(&known), Outcome::Nothing);
    }

    #[test]
    fn what_stands_in_the_way_is_named() {
        let known = readings(&[("a", State::Value(Value::Bool(true))), ("s", number(12.0, 13.0))]);
        let found = when("a and s <= target.x_s and not a").in_the_way(&known, true);
        let names: Vec<String> = found
            .iter()
            .map(|(expr, wanted)| match expr {
                Expr::Compare(name, ..) | Expr::Yes(name) => format!("{name} {wanted}"),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(names, ["s true", "a false"]);
    }

    fn any_state() -> impl Strategy<Value = State> {
        prop_oneof![
            Just(State::Absent),
            any::<bool>().prop_map(|b| State::Value(Value::Bool(b))),
            (0u32..20, 0u32..4).prop_map(|(lo, width)| number(f64::from(lo), f64::from(lo + width))),
        ]
    }

    proptest! {
        /// Knowing less never turns one answer into another: it stays, or is open.
        #[test]
        fn knowing_less_only_opens(states in prop::collection::vec(any_state(), 3), hidden in 0usize..3) {
            let names = ["a", "b", "c"];
            let all: Vec<(&str, State)> = names.into_iter().zip(states).collect();
            let mut less = all.clone();
            less[hidden].1 = State::NotInstrumented("gone".into());
            for text in ["a and (b or not c)", "a <= 10 or b > 3 and c is absent", "not (a == 4 or b)", "a and b and c", "c != 2 or a < 5"] {
                let (whole, part) = (when(text).truth(&readings(&all)), when(text).truth(&readings(&less)));
                prop_assert!(part == whole || part == Truth::Open, "{text}: {whole:?} became {part:?}");
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[a-c().<>=!*0-9 ]{0,40}|(a|b|not|and|or|is|absent|<=|2|target.x| ){0,20}") {
            let _ = branch(Some(&text));
        }
    }
}
