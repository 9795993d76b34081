//! What a run means: pure functions from plan and journal to [`facts::Facts`]. It must never know scoring or rendering.

pub mod facts;
