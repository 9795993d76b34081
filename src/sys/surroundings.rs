//! Where a watchdog cannot outlive its runner: a container that ends with its first process, a service whose manager kills the whole control group,
//! a CI job whose processes are hunted down, a control group that runs out of memory as one. Read here, judged by a pure function.

use super::env;

/// What is known of where this process runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Our process id.
    pub pid: u32,
    /// Our parent's.
    pub parent: u32,
    /// The name of process 1.
    pub first: String,
    /// The control group that this process is in, as `/proc/self/cgroup` has it (version 2, else systemd's).
    pub cgroup: String,
    /// `memory.oom.group` of that group is set.
    pub oom_group: bool,
    /// The CI system that started us, by the variable that names it.
    pub ci: Option<&'static str>,
}

/// A reason for which the watchdog may die with its runner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// What may happen.
    pub what: String,
    /// What to do about it.
    pub help: String,
}

/// Variables that CI systems set, and what each of them is called.
const CI: [(&str, &str); 7] = [
    ("GITHUB_ACTIONS", "GitHub Actions"),
    ("GITLAB_CI", "GitLab CI"),
    ("JENKINS_URL", "Jenkins"),
    ("BUILDKITE", "Buildkite"),
    ("CIRCLECI", "CircleCI"),
    ("TEAMCITY_VERSION", "TeamCity"),
    ("TF_BUILD", "Azure Pipelines"),
];

/// First processes that stay as long as the machine does.
const INITS: [&str; 6] = ["systemd", "init", "runit", "s6-svscan", "openrc-init", "dinit"];

impl Surroundings {
    /// Of this process, now. What cannot be read is left empty: it gives no reason to warn.
    pub fn here() -> Surroundings {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let cgroup = cgroup_of(&read("/proc/self/cgroup"));
        let oom_group = read(&format!("/sys/fs/cgroup{cgroup}/memory.oom.group")).trim() == "1";
        Surroundings {
            pid: std::process::id(),
            parent: rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get().unsigned_abs()),
            first: read("/proc/1/comm").trim().to_owned(),
            oom_group,
            cgroup,
            ci: CI.iter().find(|(variable, _)| env::var(variable).is_some()).map(|(_, name)| *name),
        }
    }

    /// Why the watchdog may not outlive the runner; empty where nothing speaks against it.
    pub fn doubts(&self) -> Vec<Doubt> {
        let mut doubts = Vec::new();
        let doubt = |what: String, help: &str| Doubt { what, help: help.to_owned() };
        if self.pid == 1 || (self.parent == 1 && !INITS.contains(&self.first.as_str())) {
            let first = if self.pid == 1 { "firedrill".to_owned() } else { self.first.clone() };
            doubts.push(doubt(
                format!("process 1 of this container is {first}: when it ends, the kernel kills the watchdog too"),
                "start the container with an init that stays (docker run --init), and keep the run directory on a volume: `firedrill undo` finishes it",
            ));
        }
        if let Some(unit) = self.cgroup.rsplit('/').next().filter(|unit| unit.ends_with(".service")) {
            doubts.push(doubt(
                format!(
                    "{unit} is a systemd service: when it is stopped or fails, systemd kills the watchdog too (KillMode=control-group)"
                ),
                "start the drill in a scope of its own: systemd-run --scope firedrill run …",
            ));
        }
        if let Some(name) = self.ci {
            doubts.push(doubt(
                format!("{name} kills every process of a job that is cancelled or times out, the watchdog too"),
                "add a step that always runs: firedrill undo --all",
            ));
        }
        if self.oom_group {
            doubts.push(doubt(
                "the control group has memory.oom.group set: when memory runs out, the watchdog is killed together with the runner"
                    .to_owned(),
                "start the drill in a scope of its own: systemd-run --scope firedrill run …",
            ));
        }
        doubts
    }
}

/// The path of the control group: that of version 2 where it is used, else systemd's own tree.
fn cgroup_of(text: &str) -> String {
    let of = |controllers: &str| text.lines().find_map(|line| line.split_once(':')?.1.strip_prefix(controllers)?.strip_prefix(':'));
    let unified = of("").filter(|path| *path != "/");
    unified.or_else(|| of("name=systemd")).unwrap_or_default().trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain() -> Surroundings {
        Surroundings { pid: 700, parent: 600, first: "systemd".into(), ..Surroundings::default() }
    }

    #[test]
    fn a_shell_on_a_plain_machine_gives_no_reason() {
        let session = Surroundings { cgroup: "/user.slice/user-1000.slice/session-3.scope".into(), ..plain() };
        assert_eq!(session.doubts(), []);
        // A daemon whose parent went away belongs to init, which stays.
        assert_eq!(Surroundings { parent: 1, ..plain() }.doubts(), []);
    }

    #[test]
    fn each_reason_is_told_with_a_way_out() {
        let told = |here: Surroundings| {
            let doubts = here.doubts();
            assert_eq!(doubts.len(), 1, "{doubts:?}");
            (doubts[0].what.clone(), doubts[0].help.clone())
        };
        let (what, help) = told(Surroundings { pid: 1, parent: 0, first: "firedrill".into(), ..plain() });
        assert!(what.contains("process 1 of this container is firedrill") && help.contains("--init"), "{what}");
        let (what, _) = told(Surroundings { parent: 1, first: "sh".into(), ..plain() });
        assert!(what.contains("is sh"), "{what}");
        let (what, help) = told(Surroundings { cgroup: "/system.slice/gameday.service".into(), ..plain() });
        assert!(what.starts_with("gameday.service is a systemd service") && help.contains("systemd-run --scope"), "{what}");
        let (what, help) = told(Surroundings { ci: Some("GitHub Actions"), ..plain() });
        assert!(what.starts_with("GitHub Actions kills every process") && help.contains("undo --all"), "{what}");
        let (what, _) = told(Surroundings { oom_group: true, ..plain() });
        assert!(what.contains("memory.oom.group"), "{what}");
    }

    #[test]
    fn the_control_group_is_found_in_both_versions() {
        assert_eq!(cgroup_of("0::/system.slice/a.service\n"), "/system.slice/a.service");
        assert_eq!(cgroup_of("4:memory:/m\n1:name=systemd:/system.slice/b.service\n0::/\n"), "/system.slice/b.service");
        assert_eq!(cgroup_of("9:name=systemd:/\n0::/\n"), "");
        assert_eq!(cgroup_of(""), "");
    }
}
