//! Watching from outside: open-loop probes, conditions, ledgers. It must never know the engine, the journal or faults.
