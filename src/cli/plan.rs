//! `firedrill plan`: what a run would do, here and now, and `--lock`, which pins it.

use serde_json::{Value, json};

use super::args::{PlanArgs, PlanFormat};
use super::exit::Exit;
use super::foresee::{Foreseen, foresee};
use super::known::known;
use super::load::load;
use super::out::{Voice, can_ask, print, say};
use super::resolve::resolve;
use super::{login, pin, policy};
use crate::base::Id;
use crate::plan::{Mode, Plan, preview};
use crate::policy::Stage;
use crate::sys::session;
use crate::sys::surroundings::Surroundings;

/// `firedrill plan FILE`.
pub fn plan(args: &PlanArgs, voice: Voice) -> Exit {
    let loaded = load(&args.file, &args.vars.vars, Mode::Normal, known(), &voice);
    let judged = loaded.and_then(|loaded| Ok((policy::judge(&loaded, args.policy.named.as_deref(), Stage::Now, &voice)?, loaded)));
    let (judged, mut loaded) = match judged {
        Ok(judged) => judged,
        Err(exit) => return exit,
    };
    loaded.plan = policy::released(loaded.plan, &judged.policies);
    if args.output == PlanFormat::Iam {
        return iam(&loaded.plan, voice);
    }
    let foreseen = match seen(args, &loaded.plan, voice) {
        Ok(foreseen) => foreseen,
        Err(exit) => return exit,
    };
    let session = login::told(&loaded.plan);
    let doubts: Vec<String> =
        Surroundings::here().doubts().into_iter().map(|doubt| format!("{}\n  help: {}", doubt.what, doubt.help)).collect();
    let lock = pin::path_of(&args.file);
    match args.output {
        PlanFormat::Json => {
            let faults: serde_json::Map<String, Value> = foreseen.iter().map(|(id, told)| (id.to_string(), json!(told))).collect();
            let mut told = preview::json(&loaded.plan, &faults);
            told["digest"] = json!(judged.bound.digest());
            told["policy"] = judged.to_json();
            told["session"] = json!(session.as_ref().map(|told| &told.value));
            told["warnings"] = json!(loaded.warnings.iter().chain(&doubts).collect::<Vec<_>>());
            told["locked"] = json!(lock.exists());
            print(&serde_json::to_string_pretty(&told).unwrap_or_default());
        }
        PlanFormat::Iam => {}
        PlanFormat::Text => {
            let extra: Vec<(String, Vec<String>)> = foreseen.iter().map(|(id, told)| (id.to_string(), told.lines())).collect();
            print(&(preview::text(&loaded.plan, &extra) + &judged.section()));
            session.iter().for_each(|told| print(&format!("\nsession    {}", told.words)));
            print(&format!("\ndigest {}", judged.bound.digest()));
        }
    }
    for doubt in &doubts {
        voice.warn(doubt);
    }
    // Outside of a window, or not approved yet, is a plan all the same.
    if judged.is_refused() {
        return judged.refuse(&voice);
    }
    let troubles: Vec<String> = troubles(&foreseen).into_iter().chain(session.and_then(|told| told.trouble)).collect();
    for why in &troubles {
        voice.error(why, Some("as things are, `firedrill run` could not start"));
    }
    if !troubles.is_empty() {
        return Exit::CouldNotStart;
    }
    if args.lock {
        match pin::write(&lock, &loaded, &judged.bound, &foreseen) {
            Ok(()) => say(&format!("pinned   {}: `firedrill run` now refuses whatever differs; remove the file to let go", lock.display())),
            Err(error) => {
                voice.error(&format!("failed to write {}: {error}", lock.display()), Some("the scenario's directory must be writable"));
                return Exit::CouldNotStart;
            }
        }
    } else if let Err(why) = pin::compare(&lock, &loaded, &judged.bound) {
        voice.warn(&format!("{why}\n  help: {}", pin::HELP));
    }
    Exit::Ok
}

/// What can be said of its faults, here and now.
fn seen(args: &PlanArgs, plan: &Plan, voice: Voice) -> Result<Vec<(Id, Foreseen)>, Exit> {
    // Without a code it is a plan all the same, and says of each fault what it lacks.
    if can_ask() || session::code().is_some() {
        login::enter(plan, voice)?;
    }
    let mut foreseen = foresee(plan);
    if args.resolve {
        resolve(plan, &mut foreseen, voice)?;
    }
    Ok(foreseen)
}

/// The policies of a plan; a usage error where it names no account.
#[cfg(feature = "aws")]
fn iam(plan: &Plan, voice: Voice) -> Exit {
    let Some(policies) = crate::fault::aws::iam::policies(plan) else {
        voice.error("the scenario names no account under `aws:`", Some("policies are only told for what acts in one"));
        return Exit::Usage;
    };
    policies.unknown.iter().for_each(|unknown| voice.warn(unknown));
    print(&format!("{:#}", policies.json()));
    Exit::Ok
}

#[cfg(not(feature = "aws"))]
fn iam(_: &Plan, voice: Voice) -> Exit {
    voice
        .error("this build of firedrill knows nothing of AWS", Some("use one that was built with the feature `aws`, which is the default"));
    Exit::Usage
}

/// What keeps a run from starting, as things are.
fn troubles(foreseen: &[(Id, Foreseen)]) -> Vec<String> {
    let missing =
        |told: &Foreseen| told.needs.iter().find(|need| !need.here).map(|need| format!("failed to find what it needs: {}", need.what));
    let one = |(id, told): &(Id, Foreseen)| Some(format!("{id}: {}", told.trouble.clone().or_else(|| missing(told))?));
    foreseen.iter().filter_map(one).collect()
}
