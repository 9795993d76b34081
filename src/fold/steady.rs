//! The only definition of steady and recovered.
