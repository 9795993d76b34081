//! `firedrill plan --resolve`: AWS itself is asked what its experiments would hit.

use super::exit::Exit;
use super::foresee::Foreseen;
use super::out::Voice;
use crate::base::Id;
use crate::plan::Plan;

/// Fills in what AWS says of every experiment for which nothing is in the way.
///
/// # Errors
/// A usage error where there is no experiment, or this build cannot ask.
#[cfg(feature = "aws")]
pub fn resolve(plan: &Plan, foreseen: &mut [(Id, Foreseen)], voice: Voice) -> Result<(), Exit> {
    use crate::engine::finish::cx_for;
    use crate::fault::Fault;
    use crate::fault::aws::{FisExperiment, preview};
    use crate::sys::Clock;

    let cx = cx_for(plan, "preview", &std::env::temp_dir(), super::run::own_exe(), Clock::start());
    let mut asked = false;
    for (id, told) in foreseen.iter_mut().filter(|(_, told)| told.kind == FisExperiment::KIND) {
        asked = true;
        let Some(fault) = plan.faults.get(id).filter(|_| told.trouble.is_none()) else { continue };
        let spec = cx.fill_value(&fault.spec);
        match super::runtime().map(|runtime| runtime.block_on(preview::resolve(id, &spec, plan, &cx))) {
            Ok(Ok(hits)) => {
                told.resolved = Some(hits.into_iter().map(|hit| format!("{} ({})", hit.resource, hit.target)).collect());
            }
            Ok(Err(error)) => told.trouble = Some(format!("failed to {error}")),
            Err(error) => told.trouble = Some(format!("failed to ask AWS: {error}")),
        }
    }
    if asked {
        return Ok(());
    }
    voice.error("no fault of this scenario is an experiment of AWS FIS", Some("`--resolve` asks AWS what those would hit; leave it out"));
    Err(Exit::Usage)
}

/// Nobody here can ask.
///
/// # Errors
/// Always a usage error.
#[cfg(not(feature = "aws"))]
pub fn resolve(_: &Plan, _: &mut [(Id, Foreseen)], voice: Voice) -> Result<(), Exit> {
    voice
        .error("this build of firedrill knows nothing of AWS", Some("use one that was built with the feature `aws`, which is the default"));
    Err(Exit::Usage)
}
