//! Lines for `sh` that a person can paste: quoting, and the few forms that several kinds share.

use std::path::Path;

use crate::sys::fill::plain;
use crate::sys::process::OWNER;

/// One word for `sh`, quoted where it must be, as a program would get it: what the scenario escaped is plain text.
pub fn quote(word: &str) -> String {
    let word = &plain(word);
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

/// Words for `sh`.
pub fn words<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().map(quote).collect::<Vec<_>>().join(" ")
}

/// A path as a word for `sh`.
pub fn path(path: &Path) -> String {
    quote(&path.display().to_string())
}

/// `NAME=VALUE` as a word for `sh` that stays an assignment when it stands before a command.
pub fn assignment(name: &str, value: &str) -> String {
    format!("{name}={}", quote(value))
}

/// A command that lists the pids which carry a mark.
pub fn marked(owner: &str) -> String {
    format!("grep -lzxF {} /proc/[0-9]*/environ 2>/dev/null | cut -d/ -f3", quote(&format!("{OWNER}={owner}")))
}

/// One line that asks everything of an owner to stop, waits and kills the rest. `record` names the leader, whose session counts as well
/// (not after a reboot: the number may be another's by then).
pub fn stop(owner: &str, record: &Path, signal: &str, seconds: u64) -> String {
    let leader = format!(r#"grep -F "$(cat /proc/sys/kernel/random/boot_id)" {} | sed 's/.*"pid":\([0-9]*\).*/\1/'"#, path(record));
    let session = format!(r#"ps -eo pid=,sid= | awk -v s="$({leader})" 'length(s) && $2 == s {{ print $1 }}'"#);
    format!(
        "f() {{ {{ {}; {session}; }} 2>/dev/null; }}; kill -s {signal} $(f) 2>/dev/null; kill -s CONT $(f) 2>/dev/null; \
         n=0; while [ -n \"$(f)\" ] && [ $n -lt {} ]; do sleep 0.1; n=$((n+1)); done; kill -s KILL $(f) 2>/dev/null; [ -z \"$(f)\" ] || sleep 0.2",
        marked(owner),
        seconds.max(1) * 10,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "asks the real shell")]
    fn the_shell_reads_back_what_was_quoted() {
        for word in ["plain", "", "it's", "a b", "$HOME `id` \\ \"x\"", "new\nline", "*", "~", "#c", "-n"] {
            let script = format!("printf %s {}", quote(word));
            let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), word);
        }
        assert_eq!(words(["a", "b c"]), "a 'b c'");
        assert_eq!(words(["echo", "${$}{run.dir}"]), "echo '${run.dir}'");
    }
}
