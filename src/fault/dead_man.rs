//! A dead man's timer on a host that a shell breaks: what is sent first puts a copy of the undo there, which acts by itself when its time is over and
//! nobody has undone it before. Pure text for `sh`; whoever can run a command on a host can use it.
//!
//! On the host there is one directory for each mark, `/var/tmp/firedrill-MARK` (or under `$TMPDIR`), with: `undo`, what undoes; `fire`, what undoes
//! once; `armed`, how the timer was set; `main`, the shell that breaks; `undone`, nobody may break any more; `done`, the undo ended well. It stays
//! there, so that what arrives late breaks nothing; `systemd-tmpfiles` clears it away with everything else that is old.

use super::shell::quote;
use crate::base::Span;

/// The exit status of a host that refused to be broken: its timer could not be set.
pub const NOT_ARMED: i32 = 90;
/// The exit status of a host that refused to be broken because that was undone already.
pub const TOO_LATE: i32 = 91;

/// The timer of one fault.
#[derive(Debug, Clone, Copy)]
pub struct DeadMan<'a> {
    /// What the fault is known by, never used twice: letters, digits and `-`.
    pub mark: &'a str,
    /// What undoes it, as lines for `sh`; safe to repeat, and it ends with 0 when all is well.
    pub undo: &'a [String],
    /// When it acts by itself, from the moment it is armed.
    pub after: Span,
}

impl DeadMan<'_> {
    /// What stands before the lines that break: refuses when it was undone already or cannot be armed, and is harmless when it is armed already.
    pub fn arm(&self) -> String {
        let DeadMan { mark, undo, after } = self;
        let seconds = after.0.div_ceil(1_000_000_000).max(1);
        let undo: Vec<String> = undo.iter().map(|line| quote(line)).collect();
        let here = self.here(NOT_ARMED);
        format!(
            r#"{here}
if [ -e "$d/undone" ]; then echo "firedrill: this was undone already, so nothing is broken here" >&2; exit {TOO_LATE}; fi
printf '%s\n' {undo} >"$d/undo.$$" && mv -f "$d/undo.$$" "$d/undo" &&
printf '%s\n' {fire} >"$d/fire.$$" && mv -f "$d/fire.$$" "$d/fire" &&
printf '%s\n' {wait} >"$d/wait.$$" && mv -f "$d/wait.$$" "$d/wait" || {{ echo "firedrill: $d cannot be written, so nothing is broken here" >&2; exit {NOT_ARMED}; }}
if [ ! -e "$d/armed" ]; then
if systemd-run --quiet --collect --unit=firedrill-{mark} --on-active={seconds}s /bin/sh "$d/fire" </dev/null >/dev/null 2>&1; then echo systemd >"$d/armed"; else
setsid sh "$d/wait" </dev/null >/dev/null 2>&1 &
n=0; while [ ! -s "$d/waiter" ] && [ $n -lt 50 ]; do sleep 0.1; n=$((n+1)); done
[ -s "$d/waiter" ] || {{ echo "firedrill: no timer can be set, so nothing is broken here" >&2; exit {NOT_ARMED}; }}
echo setsid >"$d/armed"; fi; fi
echo "$$ $(sed 's/.*) //' /proc/$$/stat | cut -d' ' -f20)" >"$d/main" || exit {NOT_ARMED}
if [ -e "$d/undone" ]; then exit {TOO_LATE}; fi"#,
            undo = undo.join(" "),
            fire = quote(&fire(mark)),
            wait = quote(&wait(seconds)),
        )
    }

    /// What undoes it now and takes the timer away; where it was never armed, nothing was broken, and never will be.
    pub fn undo_now(&self) -> String {
        let here = self.here(NOT_ARMED);
        format!(
            r#"{here}
: >"$d/undone" || exit {NOT_ARMED}
if [ ! -e "$d/armed" ] && [ ! -e "$d/waiter" ]; then echo "firedrill: nothing was broken here"; exit 0; fi
exec sh "$d/fire" now"#
        )
    }

    /// The directory, which must be ours alone.
    fn here(&self, otherwise: i32) -> String {
        format!(
            r#"d="${{TMPDIR:-/var/tmp}}/firedrill-{}"
mkdir -m 700 "$d" 2>/dev/null || {{ [ -d "$d" ] && [ -O "$d" ] && [ ! -L "$d" ]; }} || {{ echo "firedrill: $d is not ours" >&2; exit {otherwise}; }}"#,
            self.mark
        )
    }
}

/// Undoes once, whoever asks: the timer, or `now` somebody who is sent. The timer tries ten times; who is sent can come again.
fn fire(mark: &str) -> String {
    format!(
        r#"d=${{0%/*}}
born() {{ sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }}
# A process and what it leads, where it is the one that was written down.
end() {{
  p=; b=; read -r p b 2>/dev/null <"$1" || :
  [ -n "$b" ] && [ "$(born "$p")" = "$b" ] && [ "$p" != $$ ] || return 0
  g=$p; [ "$(sed 's/.*) //' "/proc/$p/stat" 2>/dev/null | cut -d' ' -f3)" = "$p" ] && g=-$p
  kill -s TERM -- "$g" 2>/dev/null; n=0
  while [ "$(born "$p")" = "$b" ] && [ $n -lt 20 ]; do sleep 0.1; n=$((n+1)); done
  kill -s KILL -- "$g" 2>/dev/null || :
}}
: >"$d/undone"
# One at a time; who died in the middle is no hindrance.
n=0
until mkdir "$d/lock" 2>/dev/null; do
  p=; b=; read -r p b 2>/dev/null <"$d/lock/who" || :
  if [ -n "$b" ]; then [ "$(born "$p")" = "$b" ] || rm -rf "$d/lock"; else [ $n -lt 20 ] || rm -rf "$d/lock"; fi
  n=$((n+1)); [ $n -lt 6000 ] || exit {NOT_ARMED}; sleep 0.1
done
echo "$$ $(born $$)" >"$d/lock/who"
if [ ! -e "$d/done" ]; then
  end "$d/main"
  tries=0
  until sh "$d/undo"; do
    code=$?; tries=$((tries+1))
    if [ "$1" = now ] || [ $tries -ge 10 ]; then rm -rf "$d/lock"; exit $code; fi
    sleep 5
  done
  : >"$d/done"
fi
rm -rf "$d/lock"
if [ "$1" = now ]; then
  systemctl stop firedrill-{mark}.timer >/dev/null 2>&1
  end "$d/waiter"
fi
exit 0"#
    )
}

/// The timer where there is no systemd.
fn wait(seconds: u64) -> String {
    format!(
        r#"d=${{0%/*}}
echo "$$ $(sed 's/.*) //' /proc/$$/stat | cut -d' ' -f20)" >"$d/waiter"
sleep {seconds}
exec sh "$d/fire" timer"#
    )
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "runs the scripts under the real shell")]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    use std::path::{Path, PathBuf};
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    use super::*;

    struct Host {
        dir: tempfile::TempDir,
        systemd: bool,
    }

    impl Host {
        fn new(systemd: bool) -> Host {
            let dir = tempfile::tempdir().unwrap();
            let bin = dir.path().join("bin");
            std::fs::create_dir(&bin).unwrap();
            // What stands for systemd keeps the timer outside of the caller's session, and lets it be stopped by its name.
            let run = r#"#!/bin/sh
for a; do case $a in --on-active=*) s=${a#--on-active=}; s=${s%s};; --unit=*) u=${a#--unit=};; esac; last=$a; done
setsid sh -c "echo \$\$ >$0.$u; sleep $s; sh $last timer" </dev/null >/dev/null 2>&1 &
echo "$u" >>"$0.log"
"#;
            let stop = "#!/bin/sh\nu=${2%.timer}\nkill -s TERM -- -$(cat ${0%/*}/systemd-run.$u)\necho \"$@\" >>$0.log\n";
            let none = "#!/bin/sh\nexit 1\n";
            for (name, text) in [("systemd-run", if systemd { run } else { none }), ("systemctl", if systemd { stop } else { none })] {
                std::fs::write(bin.join(name), text).unwrap();
                std::fs::set_permissions(bin.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
            }
            Host { dir, systemd }
        }

        fn at(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }

        fn command(&self, script: &str) -> Command {
            let file = self.at(&format!("script-{:x}", script.len()));
            std::fs::write(&file, script).unwrap();
            let mut command = Command::new("sh");
            let path = format!("{}:{}", self.at("bin").display(), std::env::var("PATH").unwrap());
            command.arg(file).env("TMPDIR", self.dir.path()).env("PATH", path).current_dir(self.dir.path());
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
            command
        }

        fn run(&self, script: &str) -> (i32, String) {
            let done = self.command(script).output().unwrap();
            let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
            (done.status.code().unwrap_or(-1), said)
        }

        fn count(&self, name: &str) -> usize {
            std::fs::read_to_string(self.at(name)).unwrap_or_default().lines().count()
        }

        fn comes(&self, what: &str, holds: impl Fn() -> bool) {
            let end = Instant::now() + Duration::from_secs(30);
            while !holds() {
                assert!(Instant::now() < end, "never came: {what} (systemd: {})", self.systemd);
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }

    fn undo(dir: &Path) -> Vec<String> {
        vec![format!("rm -f '{}'", dir.join("broken").display()), format!("echo \"it's undone\" >>'{}'", dir.join("undos").display())]
    }

    fn scripts(host: &Host, after: u64) -> (String, String) {
        let lines = undo(host.dir.path());
        let timer = DeadMan { mark: "01RUN-7", undo: &lines, after: Span::secs(after) };
        (timer.arm() + "\ntouch broken\necho x >>breaks", timer.undo_now())
    }

    #[test]
    fn it_fires_by_itself_and_once() {
        for host in [Host::new(false), Host::new(true)] {
            let (breaks, undoes) = scripts(&host, 1);
            assert_eq!(host.run(&breaks), (0, String::new()));
            host.comes("the timer", || host.count("undos") == 1 && !host.at("broken").exists());
            assert_eq!(host.at("bin/systemd-run.log").exists(), host.systemd);
            host.comes("its end", || host.at("firedrill-01RUN-7/done").exists());
            assert_eq!(host.run(&undoes).0, 0);
            assert_eq!(host.count("undos"), 1);
        }
    }

    #[test]
    fn an_undo_disarms_it_and_what_comes_late_breaks_nothing() {
        for host in [Host::new(false), Host::new(true)] {
            let (breaks, undoes) = scripts(&host, 3600);
            assert_eq!(host.run(&breaks).0, 0);
            assert!(host.at("broken").exists());
            assert_eq!(host.run(&undoes).0, 0);
            assert_eq!(host.run(&undoes).0, 0);
            assert!(!host.at("broken").exists() && host.count("undos") == 1);
            if host.systemd {
                assert!(std::fs::read_to_string(host.at("bin/systemctl.log")).unwrap().contains("stop firedrill-01RUN-7.timer"));
            } else {
                let waiter = std::fs::read_to_string(host.at("firedrill-01RUN-7/waiter")).unwrap();
                let pid = waiter.split(' ').next().unwrap().to_owned();
                host.comes("the end of the waiter", || !alive(&pid));
            }
            let (code, said) = host.run(&breaks);
            assert_eq!(code, TOO_LATE, "{said}");
            assert!(!host.at("broken").exists() && host.count("breaks") == 1);
        }
    }

    fn alive(pid: &str) -> bool {
        std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
    }

    #[test]
    fn where_nothing_was_broken_nothing_is_undone_and_nothing_breaks_later() {
        let host = Host::new(false);
        let (breaks, undoes) = scripts(&host, 3600);
        let (code, said) = host.run(&undoes);
        assert!(code == 0 && said.contains("nothing was broken here"), "{code} {said}");
        assert_eq!(host.run(&breaks).0, TOO_LATE);
        assert!(!host.at("broken").exists() && host.count("undos") == 0);
    }

    #[test]
    fn arming_twice_sets_one_timer_and_a_directory_of_others_is_refused() {
        let host = Host::new(false);
        let (breaks, _) = scripts(&host, 1);
        assert_eq!((host.run(&breaks).0, host.run(&breaks).0), (0, 0));
        host.comes("the timer", || host.count("undos") == 1);
        let host = Host::new(false);
        std::os::unix::fs::symlink("/", host.at("firedrill-01RUN-7")).unwrap();
        assert_eq!(host.run(&breaks.replace("touch broken", "touch never")).0, NOT_ARMED);
        assert!(!host.at("never").exists());
    }

    /// Killed at any moment, the breaking shell leaves a host that is whole or that becomes whole by itself.
    #[test]
    fn killed_in_the_middle_it_still_fires_or_nothing_was_broken() {
        for delay in [0, 3, 10, 25, 60, 150] {
            let host = Host::new(delay % 2 == 0);
            let (breaks, undoes) = scripts(&host, 1);
            let mut child = host.command(&(breaks + "\nsleep 100")).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(delay));
            let _ = Command::new("kill").args(["-s", "KILL", "--", &format!("-{}", child.id())]).status();
            child.wait().unwrap();
            if host.at("broken").exists() {
                host.comes("the timer", || !host.at("broken").exists() && host.count("undos") == 1);
            }
            assert_eq!(host.run(&undoes).0, 0, "after {delay} ms");
            assert!(!host.at("broken").exists());
        }
    }

    #[test]
    fn an_undo_that_was_killed_is_taken_over_and_one_that_fails_is_told_and_repeated() {
        let host = Host::new(false);
        let lines = vec![format!("[ -e '{0}/allowed' ] || exit 7; rm -f '{0}/broken'; echo x >>'{0}/undos'", host.dir.path().display())];
        let timer = DeadMan { mark: "m", undo: &lines, after: Span::secs(3600) };
        assert_eq!(host.run(&(timer.arm() + "\ntouch broken")).0, 0);
        assert_eq!(host.run(&timer.undo_now()).0, 7);
        // One who died while he held the lock.
        std::fs::create_dir(host.at("firedrill-m/lock")).unwrap();
        std::fs::write(host.at("firedrill-m/lock/who"), "1 1\n").unwrap();
        std::fs::write(host.at("allowed"), "").unwrap();
        assert_eq!(host.run(&timer.undo_now()).0, 0);
        assert!(!host.at("broken").exists() && host.count("undos") == 1);
    }

    #[test]
    fn what_still_breaks_is_ended_before_it_is_undone() {
        let host = Host::new(false);
        let (breaks, undoes) = scripts(&host, 3600);
        let mut child = host.command(&(breaks + "\nwhile :; do touch broken; sleep 0.05; done")).spawn().unwrap();
        host.comes("the break", || host.at("broken").exists());
        let undone = std::thread::scope(|scope| {
            // Somebody must take the dead child's status, as an agent does.
            scope.spawn(|| child.wait().unwrap());
            host.run(&undoes)
        });
        assert_eq!(undone.0, 0, "{}", undone.1);
        std::thread::sleep(Duration::from_millis(200));
        assert!(!host.at("broken").exists());
    }
}
