//! What everybody on the machine sees of this process: its arguments. Environments are seen by their owner and root alone, so helpers are told there
//! what they are to do; the process that somebody typed writes its arguments over.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The environment variable that holds the arguments of the helper `__exec`; of what it starts it is taken away.
pub const EXEC: &str = "FIREDRILL_EXEC";
/// The same of the other helpers.
pub const HELPER: &str = "FIREDRILL_ARGUMENTS";
/// One variable may hold 128 KiB.
const LARGEST: usize = 100 * 1024;

/// These arguments as the value of a variable; nothing where they do not fit into one, and have to be given as arguments.
pub fn packed(arguments: &[String]) -> Option<String> {
    serde_json::to_string(arguments).ok().filter(|text| text.len() <= LARGEST)
}

/// The arguments of `__exec` for a command, as the value of its variable; nothing where they do not fit into one.
pub fn exec(program: &Path, user: Option<&str>, record: Option<&Path>, argv: &[String]) -> Option<String> {
    let mut words = vec!["--program".to_owned(), program.to_str()?.to_owned()];
    words.extend(user.into_iter().flat_map(|user| ["--user".to_owned(), user.to_owned()]));
    if let Some(record) = record {
        words.extend(["--detach".to_owned(), record.to_str()?.to_owned()]);
    }
    words.push("--".to_owned());
    words.extend_from_slice(argv);
    packed(&words)
}

/// The arguments of a helper: those it was given, or else those that its environment holds.
pub fn arguments(verb: &str, given: Vec<OsString>) -> Vec<OsString> {
    if !given.is_empty() {
        return given;
    }
    let held = super::env::var(if verb == "__exec" { EXEC } else { HELPER });
    let words: Option<Vec<String>> = held.and_then(|text| serde_json::from_str(&text).ok());
    words.map(|words| words.into_iter().map(OsString::from).collect()).unwrap_or(given)
}

/// Writes these words over the arguments of this process, as `ps` and everybody else shows them.
///
/// # Errors
/// The kernel does not let us, or shows something else afterwards: reads after "failed to".
pub fn hide(words: &[&str]) -> io::Result<()> {
    let (start, end) = place()?;
    let size = usize::try_from(end.saturating_sub(start)).unwrap_or(0);
    let mut bytes = words.join("\0").into_bytes();
    // The last byte stays zero: else the kernel goes on reading where the environment begins.
    bytes.truncate(size.saturating_sub(1));
    bytes.resize(size, 0);
    fs::OpenOptions::new().write(true).open("/proc/self/mem")?.write_all_at(&bytes, start)?;
    let seen = fs::read("/proc/self/cmdline")?;
    if seen == bytes { Ok(()) } else { Err(io::Error::other("the kernel still shows what was there")) }
}

/// Where the arguments lie: `arg_start` and `arg_end` of proc(5), fields 48 and 49 of `stat`.
fn place() -> io::Result<(u64, u64)> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The name in parentheses may hold anything; what follows begins with field 3.
    let rest: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace().collect();
    let field = |n: usize| rest.get(n - 3).and_then(|text| text.parse::<u64>().ok()).filter(|at| *at != 0);
    field(48).zip(field(49)).filter(|(start, end)| start < end).ok_or_else(|| io::Error::other("the kernel does not say where they are"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_that_are_given_come_first() {
        let given = vec![OsString::from("cpu")];
        assert_eq!(arguments("__load", given.clone()), given);
        assert_eq!(arguments("__load", Vec::new()), Vec::<OsString>::new());
        assert_eq!(packed(&["a b".into(), "\"".into()]).as_deref(), Some(r#"["a b","\""]"#));
        assert_eq!(packed(&["x".repeat(200_000)]), None);
    }

    #[test]
    fn where_arguments_lie_is_known() {
        let (start, end) = place().unwrap();
        let shown = fs::read("/proc/self/cmdline").unwrap();
        assert_eq!(end - start, shown.len() as u64);
    }
}
