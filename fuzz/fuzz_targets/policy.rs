//! Any bytes as a policy: read, or at least one error, shown without driving the terminal, in bounded time.
#![no_main]

#[path = "../../tests/survive/mod.rs"]
mod survive;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| survive::policy(bytes));
