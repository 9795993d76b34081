//! Firedrill: a game-day chaos and failure-simulation runner.

pub mod actions;
pub mod base;
pub mod cli;
pub mod demo;
pub mod engine;
pub mod event;
pub mod evidence;
pub mod fault;
pub mod fold;
pub mod gameday;
pub mod history;
pub mod journal;
pub mod measure;
pub mod notice;
pub mod plan;
pub mod policy;
pub mod probe;
pub mod report;
pub mod response;
pub mod scenario;
pub mod score;
pub mod signal;
pub mod state;
pub mod sys;
pub mod truth;
