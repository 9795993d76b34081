//! The drills that are shipped, what belongs to each beside its scenario, and what a seed makes of them. Pure.

use crate::base::Span;
use crate::response::runbook::{Runbook, parse};

/// A hint, and what it costs.
#[derive(Debug)]
pub struct Hint {
    /// What is said.
    pub say: &'static str,
    /// What it adds to the team's clock.
    pub costs: Span,
}

/// A drill.
#[derive(Debug)]
pub struct Drill {
    /// Its file, without `.yaml`: hidden until the end.
    pub name: &'static str,
    /// Its scenario.
    pub scenario: &'static str,
    /// In the order in which they are given.
    pub hints: [Hint; 3],
    /// Whether it hits one instance only.
    pub one: bool,
    /// It is seen to bite by asking that instance.
    pub asks: bool,
    /// What would have been best, for the debrief.
    pub best: &'static str,
    /// To think about afterwards.
    pub think: [&'static str; 2],
}

const fn hint(say: &'static str, seconds: u64) -> Hint {
    Hint { say, costs: Span::secs(seconds) }
}

macro_rules! scenario {
    ($name:literal) => {
        include_str!(concat!("../../../scenarios/practice/", $name, ".yaml"))
    };
}

const WHOM: Hint = hint("Does it hit all orders, or some? Compare the `/status` of both instances.", 15);

/// All of them.
pub const DRILLS: [Drill; 5] = [
    Drill {
        name: "payments-slow",
        scenario: scenario!("payments-slow"),
        hints: [
            WHOM,
            hint("Both are hit alike. What do they share, and how long does it take?", 30),
            hint("Payments answer late. Orders could be taken now and paid later.", 60),
        ],
        one: false,
        asks: false,
        best: "Let both instances take orders now and have them paid later (`payments-failing#pay-later`), until payments are fast again.",
        think: [
            "How long may an order wait for payments before it should go on without them?",
            "Which alert would have told you that payments are slow, and not only that checkout is?",
        ],
    },
    Drill {
        name: "instance-lost",
        scenario: scenario!("instance-lost"),
        hints: [
            WHOM,
            hint("One of the two does not answer. Does the balancer know?", 30),
            hint("That instance is gone, and the balancer still sends it half of all orders. It can be taken out.", 60),
        ],
        one: true,
        asks: false,
        best: "Take the lost instance out of the balancer (`checkout-unhappy#take-out`): that needs ten seconds, and no idea of why it is gone.",
        think: [
            "Why did the balancer not notice by itself, and how often should it look?",
            "Was one instance enough for everybody? Would it be at noon?",
        ],
    },
    Drill {
        name: "volume-full",
        scenario: scenario!("volume-full"),
        hints: [
            WHOM,
            hint("One instance fails at once, not slowly. What does its `/log` say?", 30),
            hint("Its volume is full: a nightly export takes all of it, and can be removed.", 60),
        ],
        one: true,
        asks: true,
        best: "Take the instance out of the balancer first, then remove the export (`instance#remove-export`) and take it back in.",
        think: [
            "No alert told of the volume. Which should have, and how long before it was full?",
            "`/health` said that all was well. What should it have looked at?",
        ],
    },
    Drill {
        name: "payments-silent",
        scenario: scenario!("payments-silent"),
        hints: [
            WHOM,
            hint("Payments say that they are well. Who does not hear from them?", 30),
            hint("One instance cannot reach payments any more: its orders time out. The other can.", 60),
        ],
        one: true,
        asks: false,
        best: "Take the instance that hears nothing out of the balancer (`checkout-unhappy#take-out`): payments themselves are well.",
        think: [
            "Payments looked well from where they stand. From where should they be watched?",
            "The time-out was one second. What would have happened without one?",
        ],
    },
    Drill {
        name: "instance-busy",
        scenario: scenario!("instance-busy"),
        hints: [
            WHOM,
            hint("One instance is slow, and fails little. What is it busy with?", 30),
            hint("A report runs on it. It can be cancelled.", 60),
        ],
        one: true,
        asks: true,
        best: "Cancel the report (`instance#cancel-report`), or take the instance out of the balancer while it runs.",
        think: [
            "Should work for nobody in particular run where customers are served?",
            "It was slow and not broken. Would your alerts have seen that?",
        ],
    },
];

/// Every runbook of the folder, by name: all are offered, never just the right one.
pub const RUNBOOKS: [(&str, &str); 4] = [
    ("checkout-unhappy", include_str!("../../../runbooks/practice/checkout-unhappy.md")),
    ("instance", include_str!("../../../runbooks/practice/instance.md")),
    ("instance-unreachable", include_str!("../../../runbooks/practice/instance-unreachable.md")),
    ("payments-failing", include_str!("../../../runbooks/practice/payments-failing.md")),
];

/// Ports of a shop: balancer, both instances, payments, monitor, and the ways of both instances to payments.
pub type Ports = [u16; 7];

/// The ports that scenarios and runbooks name, and the vars that set them.
const NAMED: [(u16, &str); 7] = [
    (18180, "balancer_port"),
    (18181, "a_port"),
    (18182, "b_port"),
    (18183, "payments_port"),
    (18184, "monitor_port"),
    (18185, "a_pays_port"),
    (18186, "b_pays_port"),
];

/// A runbook whose commands reach this shop.
pub fn at(text: &str, ports: &Ports) -> String {
    NAMED.iter().zip(ports).fold(text.to_owned(), |text, ((named, _), port)| text.replace(&format!(":{named}"), &format!(":{port}")))
}

/// A practice: a drill, and where and when it hits.
#[derive(Debug, Clone, Copy)]
pub struct Pick {
    /// The drill's number, from 1.
    pub number: usize,
    /// The drill.
    pub drill: &'static Drill,
    /// Which instance.
    victim: char,
    /// How long all is well.
    after: Span,
    /// What it follows from.
    pub seed: u64,
}

impl Pick {
    /// What follows from a seed; of a drill that is named, only where and when.
    pub fn of(seed: u64, drill: Option<usize>) -> Option<Pick> {
        let mut state = seed;
        let mut next = |below: u64| {
            // SplitMix64 (Steele, Lea, Flood 2014): any seed is as good as any other.
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (z ^ (z >> 31)) % below.max(1)
        };
        let any = usize::try_from(next(DRILLS.len() as u64)).unwrap_or_default() + 1;
        let victim = if next(2) == 0 { 'a' } else { 'b' };
        let after = Span::millis(2_000 + next(8_000));
        let number = drill.unwrap_or(any);
        Some(Pick { number, drill: DRILLS.get(number.checked_sub(1)?)?, victim, after, seed })
    }

    /// Values for the scenario.
    pub fn vars(&self, ports: &Ports) -> Vec<(String, String)> {
        let mut vars: Vec<(String, String)> =
            NAMED.iter().zip(ports).map(|((_, name), port)| ((*name).to_owned(), port.to_string())).collect();
        vars.push(("after".to_owned(), self.after.to_string()));
        if self.drill.one {
            vars.push(("victim".to_owned(), self.victim.to_string()));
        }
        if self.drill.asks {
            vars.push(("victim_port".to_owned(), ports[if self.victim == 'a' { 1 } else { 2 }].to_string()));
        }
        vars
    }
}

/// The runbooks for this shop: name, text, and what is in it.
pub fn shelf(ports: &Ports) -> Vec<(&'static str, String, Runbook)> {
    let one = |(name, text): &(&'static str, &str)| {
        let text = at(text, ports);
        let book = parse(&text);
        (*name, text, book)
    };
    RUNBOOKS.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const PORTS: Ports = [18180, 18181, 18182, 18183, 18184, 18185, 18186];

    #[test]
    fn seeds_reach_every_drill_both_instances_and_many_times_and_repeat() {
        let picks: Vec<Pick> = (0..500).filter_map(|seed| Pick::of(seed, None)).collect();
        assert_eq!(picks.len(), 500);
        assert_eq!(picks.iter().map(|pick| pick.number).collect::<BTreeSet<_>>().len(), DRILLS.len());
        assert_eq!(picks.iter().map(|pick| pick.victim).collect::<BTreeSet<_>>().len(), 2);
        assert!(picks.iter().map(|pick| pick.after).collect::<BTreeSet<_>>().len() > 300);
        assert!(picks.iter().all(|pick| pick.after >= Span::secs(2) && pick.after < Span::secs(10)));
        for (seed, pick) in picks.iter().enumerate() {
            let again = Pick::of(seed as u64, None).unwrap();
            assert_eq!(again.vars(&PORTS), pick.vars(&PORTS));
        }
        assert!(Pick::of(1, Some(0)).is_none() && Pick::of(1, Some(DRILLS.len() + 1)).is_none());
    }

    #[test]
    fn every_var_is_declared_and_the_ports_are_those_of_the_scenarios() {
        for (number, drill) in DRILLS.iter().enumerate() {
            let vars = Pick::of(7, Some(number + 1)).unwrap().vars(&PORTS);
            for (name, _) in &vars {
                assert!(drill.scenario.contains(&format!("\n  {name}: ")), "{}: {name}", drill.name);
            }
            for (port, name) in NAMED {
                assert!(drill.scenario.contains(&format!("{name}: \"{port}\"")), "{}: {name}", drill.name);
            }
            assert!(drill.hints.windows(2).all(|two| two[0].costs < two[1].costs), "{}: later hints cost more", drill.name);
        }
    }

    #[test]
    fn what_a_participant_is_shown_tells_no_drill_from_another() {
        let line = |text: &str, key: &str| text.lines().find(|line| line.trim_start().starts_with(key)).map(str::to_owned);
        for key in ["shown_as:", "runbooks:"] {
            let all: BTreeSet<_> = DRILLS.iter().map(|drill| line(drill.scenario, key)).collect();
            assert_eq!(all.len(), 1, "{key}: {all:?}");
        }
    }

    #[test]
    fn runbooks_are_whole_and_lead_to_this_shop() {
        let ports = [1, 2, 3, 4, 5, 6, 7].map(|n| 20_000 + n);
        for (name, text, book) in shelf(&ports) {
            assert_eq!(book.problems, [], "{name}");
            assert!(book.owner.is_some() && !book.steps.is_empty(), "{name}");
            assert!(!text.contains("1818") && text.contains("127.0.0.1:2000"), "{name}");
        }
    }
}
