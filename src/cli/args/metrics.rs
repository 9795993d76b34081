//! Where metrics of runs go.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::RunsDir;
use super::options::span;
use crate::base::Span;

const METRICS: &str = "Metrics";

/// Where the metrics of a run go.
#[derive(Debug, Clone, Default, Args)]
pub struct MetricsTo {
    /// Serve Prometheus metrics at http://ADDRESS:PORT/metrics while the drill runs; port 0 takes a free one and says which
    #[arg(long = "metrics", value_name = "ADDRESS:PORT", help_heading = METRICS)]
    pub at: Option<SocketAddr>,
    /// Let other machines read them as well: without this, ADDRESS must be a loopback address
    #[arg(long = "metrics-public", requires = "at", help_heading = METRICS)]
    pub public: bool,
    /// Keep serving after the end until the judged state was read once, at most so long
    #[arg(long = "metrics-hold", value_name = "DURATION", requires = "at", value_parser = span, help_heading = METRICS)]
    pub hold: Option<Span>,
    /// Write the judged state into DIR/firedrill_SCENARIO.prom after the run, for node_exporter's textfile collector
    #[arg(long = "metrics-textfile", value_name = "DIR", help_heading = METRICS)]
    pub textfile: Option<PathBuf>,
}

/// What `metrics` can be told.
#[derive(Debug, Args)]
pub struct Metrics {
    /// A run: its id, the beginning of its id, `last`, or its directory
    #[arg(value_name = "RUN")]
    pub run: String,
    /// Put numbers in the place of ids, and leave out the scenario's name and kinds of faults
    #[arg(long)]
    pub hide: bool,
    /// Where runs live
    #[command(flatten)]
    pub runs: RunsDir,
}
