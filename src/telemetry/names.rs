//! Every metric there is: its name, its kind and what it means. Dashboards and rules may name these and no others; a test holds them to it. Names follow
//! Prometheus: the unit at the end and always a base unit (seconds, ratios from 0 to 1), `_total` for what only rises.

/// What sort of metric it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only rises within a run.
    Counter,
    /// Goes up and down.
    Gauge,
    /// One of a fixed set of states is 1 at a time; the state is a label.
    States,
    /// Cumulative buckets, sum and count.
    Histogram,
}

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it means, for people.
    pub help: &'static str,
    /// What sort it is.
    pub kind: Kind,
}

macro_rules! metrics {
    ($($(#[$doc:meta])* $constant:ident = $kind:ident $name:literal, $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $constant: Metric = Metric { name: $name, help: $help, kind: Kind::$kind };
        )*
        /// All of them, in the order in which they are told.
        pub const ALL: &[Metric] = &[$($constant),*];
    };
}

// One list is both the constants and `ALL`: a metric that is in one only could be told by nobody or held to nothing.
metrics! {
    BUILD_INFO = Gauge "firedrill_build_info", "Always 1; the version of firedrill that tells these metrics.";
    RUN_INFO = Gauge "firedrill_run_info", "Always 1; the run, and how it is meant. Join by scenario to see other metrics by run.";
    RUN_START = Gauge "firedrill_run_start_timestamp_seconds", "When the run began, by the wall clock of its machine (Unix time).";
    RUN_ELAPSED = Gauge "firedrill_run_elapsed_seconds", "Time since the run began, on its own monotonic clock, at the last entry of its journal.";
    RUN_PHASE = States "firedrill_run_phase", "Where the run is: 1 for the phase it is in.";
    RUN_ABORTED = Gauge "firedrill_run_aborted", "1 once somebody or something asked the drill to end early.";
    RUN_OUTCOME = States "firedrill_run_outcome", "How the run ended: 1 for its outcome; absent while it goes on.";
    RUN_EXIT_CODE = Gauge "firedrill_run_exit_code", "The exit code that the run was judged with; absent until it was judged.";
    RUN_VALID = Gauge "firedrill_run_valid", "Whether the numbers of the run may be trusted at all (1) or are no evidence (0); absent until it was judged.";
    CADENCE = Gauge "firedrill_drill_cadence_seconds", "How often this drill should be run, where scenario or workload say so.";
    STEADY = Gauge "firedrill_steady_state_held", "Whether steady state was shown (1) or missed (0), before the fault and after the last undo; absent while open.";
    ITEM_PHASE = States "firedrill_item_phase", "Where each fault, process, proxy and ledger of the drill is in its life: 1 for its phase. For `other`: how many.";
    UNDO_OWED = Gauge "firedrill_undo_owed", "1 while the item owes an undo: it was armed and nobody has seen it undone. For `other`: how many.";
    UNDO_ATTEMPTS = Counter "firedrill_undo_attempts_total", "Attempts to undo an item.";
    UNDO_FAILURES = Counter "firedrill_undo_failures_total", "Attempts to undo an item that failed.";
    FAULT_ACTIVE = Gauge "firedrill_fault_active", "1 from when a fault was seen to bite until it was seen to be undone.";
    FAULT_RECOVERED = Gauge "firedrill_fault_recovered", "1 once the system has recovered from the fault and stayed so; 0 while it has not.";
    PROBE_SAMPLES = Counter "firedrill_probe_samples_total", "Samples of a probe by outcome (ok; bad: the target failed; local: we failed; capped: not sent) and class.";
    PROBE_UP = Gauge "firedrill_probe_up", "Whether the target is up (1) or down (0) as the probe sees it; absent before its first sample.";
    PROBE_OUTAGES = Counter "firedrill_probe_outages_total", "Times that the probe saw its target turn from up to down.";
    PROBE_LAST_OUTAGE = Gauge "firedrill_probe_last_outage_seconds", "Length of the last outage that is over, with its bounds: it was surely not shorter than lower and not longer than upper.";
    PROBE_INTERVAL = Gauge "firedrill_probe_interval_seconds", "Time between two planned samples: an outage shorter than this can go unseen.";
    PROBE_RESPONSE = Histogram "firedrill_probe_response_seconds", "Time from when a sample was due until its answer was judged, good and bad ones; time-outs count at their limit.";
    PROBE_SERVICE = Histogram "firedrill_probe_service_seconds", "Time from sending until the answer was judged, good ones only.";
    PROBE_WAIT = Histogram "firedrill_probe_wait_seconds", "Time from when the prober woke for a sample until it was handed to the kernel.";
    PROBE_LAG = Histogram "firedrill_probe_lag_seconds", "Time by which the prober woke late for a sample: its own fault, never the target's.";
    GUARD_STATE = States "firedrill_guard_state", "What the guard said last (ok, bad, no_data): 1 for its state; absent before its first answer.";
    GUARD_BREACHES = Counter "firedrill_guard_breaches_total", "Times that a guard failed as often as it may, which aborts the drill.";
    SYSTEM_VERDICT = States "firedrill_system_verdict", "What the run says of the system: 1 for its verdict; absent until it was judged.";
    TEAM_VERDICT = States "firedrill_team_verdict", "What the run says of the team: 1 for its verdict; absent until it was judged.";
    FINDINGS = Gauge "firedrill_findings", "Findings of the run by risk (hri, mri); absent until it was judged.";
    CLAIM_VERDICT = States "firedrill_claim_verdict", "What the run says of each claim: 1 for its verdict; absent until it was judged.";
    CLAIM_RECOVERY = Gauge "firedrill_claim_recovery_seconds", "Recovery time that was measured for the claim, with its bounds; upper is absent where it did not come back.";
    CLAIM_RECOVERY_OBJECTIVE = Gauge "firedrill_claim_recovery_objective_seconds", "Recovery time objective of the claim.";
    CLAIM_LOSS = Gauge "firedrill_claim_loss_window_seconds", "Time over which acknowledged writes were lost; absent until it was judged.";
    CLAIM_LOSS_OBJECTIVE = Gauge "firedrill_claim_loss_objective_seconds", "Recovery point objective of the claim.";
    CLAIM_AVAILABILITY = Gauge "firedrill_claim_availability_ratio", "Share of time that the claim's probes were up, with its bounds; absent until it was judged.";
    CLAIM_AVAILABILITY_OBJECTIVE = Gauge "firedrill_claim_availability_objective_ratio", "Availability objective of the claim.";
    LEDGER_WRITES = Gauge "firedrill_ledger_writes", "Numbered writes by what became of them once they were read back; absent until it was judged.";
    EXPECTATION_STATE = States "firedrill_expectation_state", "What became of each thing expected of people: 1 for its state; waiting: counting has not begun; due: it is counting.";
    EXPECTATION_LIMIT = Gauge "firedrill_expectation_limit_seconds", "How long the expectation may take.";
    EXPECTATION_LEFT = Gauge "firedrill_expectation_remaining_seconds", "Time left until the expectation is overdue (negative when it is); only while it is counting.";
    EXPECTATION_TOOK = Gauge "firedrill_expectation_took_seconds", "How long the expectation took, with its bounds; only once it was observed.";
    ALERTS_SEEN = Counter "firedrill_alerts_seen_total", "Alerts that a source was seen to fire during the run.";
    ALERTS_FIRING = Gauge "firedrill_alerts_firing", "Alerts of a source that fire now, as last seen.";
    SOURCE_UP = Gauge "firedrill_alert_source_up", "Whether the source of alerts answered last (1) or not (0).";
    HINTS = Counter "firedrill_hints_given_total", "Hints that were given to those who respond.";
    DEEDS = Counter "firedrill_responder_deeds_total", "What people told the drill, by what it was.";
    STALLS = Counter "firedrill_prober_stalls_total", "Times that the prober itself stood still.";
    STALL_SECONDS = Counter "firedrill_prober_stall_seconds_total", "Time for which the prober itself stood still: no outage is read from it.";
    CPU_WAIT_SECONDS = Counter "firedrill_prober_cpu_wait_seconds_total", "Time for which the prober's threads were ready and waited for a processor.";
    TAINTED_SECONDS = Gauge "firedrill_prober_tainted_seconds", "Seconds of the run in which the prober was in doubt; absent until it was judged.";
    CLOCK_STEPS = Counter "firedrill_clock_steps_total", "Times that wall time jumped against the monotonic clock.";
    SUSPENDED_SECONDS = Counter "firedrill_suspended_seconds_total", "Time for which the machine slept during the run.";
    WATCHDOG_UP = Gauge "firedrill_watchdog_up", "Whether the process that undoes when the runner dies is there (1) or lost (0); absent before it first answered.";
    JOURNAL_ENTRIES = Counter "firedrill_journal_entries_total", "Entries of the journal, as far as its numbers say.";
    JOURNAL_QUEUE = Gauge "firedrill_journal_queue_entries", "Entries that wait for the disk; only while the run goes on.";
    JOURNAL_POISONED = Gauge "firedrill_journal_poisoned", "1 once the disk refused the journal: nothing more is injected.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_conventions() {
        let mut seen = std::collections::BTreeSet::new();
        for metric in ALL {
            let name = metric.name;
            assert!(seen.insert(name), "{name} twice");
            assert!(name.starts_with("firedrill_") && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
            assert_eq!(name.ends_with("_total"), metric.kind == Kind::Counter, "{name}");
            assert!(metric.kind != Kind::Histogram || name.ends_with("_seconds"), "{name}");
            for unit in ["_ms", "_millis", "_us", "_percent", "_minutes", "_hours", "_days"] {
                assert!(!name.contains(unit), "{name}: {unit} is no base unit");
            }
            assert!(metric.help.ends_with('.') && metric.help.len() < 200, "{name}");
        }
    }
}
