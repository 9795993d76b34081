//! Any bytes as the journal of a run: everything that reads a run comes to an end, and no debt that can still be read is forgotten.
#![no_main]

#[path = "../../tests/survive/mod.rs"]
mod survive;

use std::sync::LazyLock;

use firedrill::plan::Plan;

const PLAN: &[u8] = include_bytes!("../../tests/journals/passed/plan.json");

static PARSED: LazyLock<Plan> = LazyLock::new(|| serde_json::from_slice(PLAN).expect("a golden plan"));

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| survive::run_directory(bytes, PLAN, &PARSED));
