//! stub
use super::{args::Init, exit::Exit, out::Voice};
/// stub
pub fn init(_: &Init, _: Voice) -> Exit {
    Exit::Bug
}
