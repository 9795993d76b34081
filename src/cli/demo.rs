//! `firedrill demo`: the shipped scenario on the embedded order service.

use std::net::TcpListener;
use std::path::Path;

use super::args::Demo;
use super::exit::Exit;
use super::known::known;
use super::load::load_bytes;
use super::out::Voice;
use super::policy::allow;
use super::run::drill;
use crate::plan::Mode;

/// Runs the demo.
pub fn demo(args: &Demo, voice: Voice) -> Exit {
    let ports = match free_ports() {
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
        Ok(loaded) => drill(loaded, &args.runs.dir, args.output, voice),
        Err(exit) => exit,
    }
}

/// Three ports that were free a moment ago, all held at once so that they differ.
fn free_ports() -> std::io::Result<[u16; 3]> {
    let held: Vec<TcpListener> = (0..3).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    let mut ports = [0; 3];
    for (port, listener) in ports.iter_mut().zip(&held) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}
