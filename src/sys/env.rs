//! The environment, read in one place.

/// The value of an environment variable that is set and is text.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub fn var(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
