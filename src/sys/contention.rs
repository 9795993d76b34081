//! How long somebody waited for a processor, as the kernel counts it.

use crate::base::Span;

/// How long a thread of this process has been ready to run and did not, since it began (the second number of `schedstat`). None where the kernel
/// does not tell, or the thread has gone.
pub fn waited(tid: i32) -> Option<Span> {
    let text = std::fs::read_to_string(format!("/proc/self/task/{tid}/schedstat")).ok()?;
    text.split_ascii_whitespace().nth(1)?.parse().ok().map(Span)
}

/// How long some task on this machine has waited for a processor since it started (`some … total=` of pressure stall information, which
/// counts in microseconds). None where the kernel does not tell.
pub fn pressed() -> Option<Span> {
    pressed_in(&std::fs::read_to_string("/proc/pressure/cpu").ok()?)
}

fn pressed_in(text: &str) -> Option<Span> {
    let line = text.lines().find(|line| line.starts_with("some "))?;
    let total = line.split_ascii_whitespace().find_map(|word| word.strip_prefix("total="))?;
    total.parse::<u64>().ok().map(|us| Span(us.saturating_mul(1_000)))
}

/// The kernel's number of the calling thread.
pub fn this_thread() -> i32 {
    rustix::thread::gettid().as_raw_nonzero().get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says_is_read() {
        let text = "some avg10=0.00 avg60=1.20 avg300=0.90 total=1234567\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";
        assert_eq!(pressed_in(text), Some(Span(1_234_567_000)));
        for text in ["", "full avg10=0 total=1", "some total=x", "some avg10=0.00"] {
            assert_eq!(pressed_in(text), None, "{text}");
        }
        assert_eq!(waited(i32::MAX), None, "there is no such thread");
        if std::fs::exists("/proc/self/task").unwrap_or(false) && std::fs::read_to_string("/proc/self/schedstat").is_ok() {
            assert!(waited(this_thread()).is_some());
        }
    }
}
