//! What `evidence` can be told.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{RunsDir, TrialsFormat};

/// What to do with evidence.
#[derive(Debug, Subcommand)]
pub enum Evidence {
    /// Pack runs: scenario, plan, journal, latencies, reports, and the register of starts that shows what was left out
    ///
    /// The same runs and register always give the same bytes. The bundle is verified before it is written: what does not hold is not packed, and
    /// the exit code is 33.
    Pack(EvidencePack),
    /// Examine a bundle: its shape, every digest, the signature, the chains of journal and register, and everything judged again
    ///
    /// Exits with 0 when all of it holds, with 33 when anything contradicts, and with 31 when nothing does and something is left open: a run between
    /// these that is not in the bundle, or reports of another version.
    Verify(EvidenceVerify),
    /// In what two bundles differ; exits with 33 when they do
    Diff(EvidenceDiff),
    /// Make a key to sign bundles with: FILE and FILE.pub, as OpenSSL reads them
    Keygen(EvidenceKeygen),
}

/// What `evidence pack` can be told.
#[derive(Debug, Args)]
pub struct EvidencePack {
    /// Runs: ids, beginnings of ids, `last`, or directories
    #[arg(value_name = "RUN", required = true)]
    pub run: Vec<String>,
    /// The bundle to write
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Sign it with this private key (PEM; `firedrill evidence keygen` makes one)
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Where runs live
    #[command(flatten)]
    pub runs: RunsDir,
}

/// What `evidence verify` can be told.
#[derive(Debug, Args)]
pub struct EvidenceVerify {
    /// The bundle
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// A public key that is trusted: a PEM file, or `ed25519:…`; may be repeated. Without one, the answer says which key it was
    #[arg(long, value_name = "PUBKEY")]
    pub trust: Vec<String>,
    /// The checksum of the register as it was noted elsewhere, when it was seen before; may be repeated
    #[arg(long, value_name = "SUM")]
    pub head: Vec<String>,
    /// What to print on stdout
    #[arg(long, value_enum, default_value_t = TrialsFormat::Text, value_name = "FORMAT")]
    pub output: TrialsFormat,
}

/// What `evidence diff` can be told.
#[derive(Debug, Args)]
pub struct EvidenceDiff {
    /// A bundle
    #[arg(value_name = "A")]
    pub first: PathBuf,
    /// Another one
    #[arg(value_name = "B")]
    pub second: PathBuf,
}

/// What `evidence keygen` can be told.
#[derive(Debug, Args)]
pub struct EvidenceKeygen {
    /// The private key's file; the public one is FILE.pub
    #[arg(value_name = "FILE", default_value = "firedrill.key")]
    pub file: PathBuf,
}
