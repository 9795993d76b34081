//! `firedrill demo`: the shipped scenario on the embedded order service.

use std::path::Path;

use super::args::Demo;
use super::exit::Exit;
use super::known::known;
use super::load::load_bytes;
use super::out::Voice;
use super::policy::allow;
use super::run::drill;
use crate::plan::Mode;
use crate::sys::ports;

/// Runs the demo.
pub fn demo(args: &Demo, voice: Voice) -> Exit {
    let ports = match ports::free() {
        Ok(ports) => ports,
        Err(error) => {
            voice.error(&format!("failed to find three free ports on 127.0.0.1: {error}"), Some("the demo needs the loopback interface"));
            return Exit::CouldNotStart;
        }
    };
    let vars = crate::demo::vars(args.fragile, ports);
    let path = Path::new("scenarios/demo.yaml");
    let loaded = load_bytes(crate::demo::SCENARIO.as_bytes(), path, Path::new("."), &vars, Mode::Normal, known(), &voice);
    match loaded.and_then(|loaded| allow(loaded, args.policy.named.as_deref(), &voice)) {
        Ok(loaded) => drill(loaded, &args.runs.dir, args.output, &args.metrics, voice),
        Err(exit) => exit,
    }
}
