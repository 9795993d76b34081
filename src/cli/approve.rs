//! `firedrill approve`: somebody agrees to exactly this drill.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::args::Approve;
use super::exit::Exit;
use super::known::known;
use super::load::{Loaded, load};
use super::out::{Voice, print};
use super::policy::{APPROVALS, Judged, judge};
use crate::plan::{Mode, preview};
use crate::policy::Stage;
use crate::policy::approval::{Approval, is_name};
use crate::sys::{account, clock};

/// `firedrill approve FILE --as NAME`.
pub fn approve(args: &Approve, voice: Voice) -> Exit {
    if !is_name(&args.who) {
        let help = "names are letters, digits and `. _ @ + -`, at most 64 of them";
        voice.error(&format!("`{}` cannot be the name of a person", args.who), Some(help));
        return Exit::Usage;
    }
    let loaded = load(&args.file, &args.vars.vars, Mode::Normal, known(), &voice);
    let judged = loaded.and_then(|loaded| Ok((judge(&loaded, args.policy.named.as_deref(), Stage::Check, &voice)?, loaded)));
    let (judged, loaded) = match judged {
        Ok(judged) => judged,
        Err(exit) => return exit,
    };
    if judged.is_refused() {
        return judged.refuse(&voice);
    }
    if judged.decision.people == 0 {
        voice.error(
            "no policy asks for an approval of this scenario",
            Some("a rule with `approvals:` does; `firedrill plan` shows what applies"),
        );
        return Exit::Usage;
    }
    if !may_approve(&judged, &args.who) {
        voice.error(
            &format!("{} is not among those who may approve this", args.who),
            Some("the rule's `approvals: { by: […] }` names them"),
        );
        return Exit::Refused;
    }
    let (name, uid) = account::ours();
    let approval = Approval {
        firedrill_approval: 1,
        scenario: loaded.plan.name.clone(),
        who: args.who.clone(),
        account: name,
        uid,
        at: clock::now(),
        digest: judged.bound.digest(),
        of: judged.bound.clone(),
    };
    match write(&loaded.dir, &approval) {
        Ok(path) => {
            tell(&args.file, &loaded, &judged, &approval, &path, args, voice);
            Exit::Ok
        }
        Err(error) => {
            let help = "everybody who approves must be able to write there";
            voice.error(&format!("failed to write into {}: {error}", loaded.dir.join(APPROVALS).display()), Some(help));
            Exit::CouldNotStart
        }
    }
}

/// Whether some rule that applies would count this person.
fn may_approve(judged: &Judged, who: &str) -> bool {
    let asked = judged.decision.rulings.iter().filter(|ruling| ruling.at.ends_with("/approvals")).filter_map(|ruling| {
        let id = ruling.at.split('/').nth(2)?;
        judged.policies.get(ruling.policy)?.policy.rules.get(id)?.approvals.as_ref()
    });
    let mut asked = asked.peekable();
    asked.peek().is_some()
        && asked.any(|asked| asked.by.as_ref().is_none_or(|by| by.iter().any(|name| name.trim().eq_ignore_ascii_case(who))))
}

/// Writes it whole or not at all, as a file of the account that we act as.
fn write(dir: &Path, approval: &Approval) -> std::io::Result<PathBuf> {
    let folder = dir.join(APPROVALS);
    std::fs::create_dir_all(&folder)?;
    let digest = approval.digest.to_string();
    let short: String = digest.trim_start_matches("sha256:").chars().take(12).collect();
    let name = format!("{}.{}.{}.{short}.json", approval.scenario, approval.who, approval.uid);
    let path = folder.join(&name);
    let half = folder.join(format!(".{name}.{}", std::process::id()));
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(&half)?;
    let written = serde_json::to_string_pretty(approval).map_err(std::io::Error::other);
    let written =
        written.and_then(|text| writeln!(file, "{text}")).and_then(|()| file.sync_all()).and_then(|()| std::fs::rename(&half, &path));
    if written.is_err() {
        let _ = std::fs::remove_file(&half);
    }
    written.map(|()| path)
}

fn tell(file: &Path, loaded: &Loaded, judged: &Judged, approval: &Approval, path: &Path, args: &Approve, voice: Voice) {
    let plan = &loaded.plan;
    let clean = |text: &str| text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
    print(&format!("approved {} by {} (account {})", file.display(), approval.who, approval.account));
    print(&format!("  what     {}", clean(&plan.title)));
    for (id, fault) in &plan.faults {
        print(&format!("  fault    {id}: {}", clean(&format!("{} {}", fault.kind, fault.spec))));
    }
    print(&format!("  claim    {}", clean(&preview::claim_line(plan))));
    print(&format!("  digest   {}", approval.digest));
    print(&format!("  file     {}", path.display()));
    let counted = judge(loaded, args.policy.named.as_deref(), Stage::Check, &voice).map_or(0, |again| again.decision.approved.len());
    print(&format!("  so far   {counted} of {} approvals", judged.decision.people));
}
