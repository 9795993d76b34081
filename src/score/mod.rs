//! How a run measures up: verdicts, findings. It must never know HTML or probes.
