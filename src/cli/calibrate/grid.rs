//! Which true outages are tried. Pure.

use crate::base::Span;
use crate::truth::State;

/// How long the service is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// For this time.
    For(Span),
    /// Until the drill undoes it.
    Never,
    /// Not at all.
    None,
    /// So many times, each down and then up for these times.
    Flap(u32, Span, Span),
}

/// How the probe looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Time between two samples.
    pub every: Span,
    /// Longest wait for an answer.
    pub timeout: Span,
}

/// One trial before it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case {
    /// Its number, from zero.
    pub number: usize,
    /// In which way the service is down.
    pub state: State,
    /// For how long.
    pub length: Length,
    /// How the probe looks.
    pub look: Look,
    /// By how much the outage is shifted against the samples.
    pub phase: Span,
}

/// What is tried when nothing is asked for: what fails fast and what hangs, below and above a second.
const STATES: [&str; 4] = ["refuse", "reset", "hang", "status:503"];
const OUTAGES: [&str; 2] = ["137.3ms", "703.7ms"];
const PROBES: [&str; 1] = ["10ms,250ms"];
/// Longest and shortest that make sense: a drill must end.
const LONGEST: Span = Span::secs(60);

fn span(text: &str) -> Result<Span, String> {
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len()));
    let scale = match unit {
        "us" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        _ => return Err(format!("`{text}` is no duration: write for example `703.7ms`")),
    };
    match number.parse::<f64>() {
        Ok(number) if number > 0.0 && number * scale <= LONGEST.0 as f64 => Ok(Span((number * scale) as u64)),
        _ => Err(format!("`{text}` is not between nothing and {}", LONGEST.human())),
    }
}

fn length(text: &str) -> Result<Length, String> {
    match text {
        "never" => return Ok(Length::Never),
        "none" => return Ok(Length::None),
        _ => {}
    }
    let Some((times, spans)) = text.split_once('x') else { return span(text).map(Length::For) };
    let bad = || format!("`{text}` is no flapping: write for example `5x137.3ms/61.9ms`");
    let (down, up) = spans.split_once('/').ok_or_else(bad)?;
    let times: u32 = times.parse().map_err(|_| bad())?;
    if !(1..=50).contains(&times) {
        return Err(bad());
    }
    Ok(Length::Flap(times, span(down)?, span(up)?))
}

fn look(text: &str) -> Result<Look, String> {
    let (every, timeout) = text.split_once(',').ok_or_else(|| format!("`{text}` is no probe: write for example `10ms,250ms`"))?;
    Ok(Look { every: span(every)?, timeout: span(timeout)? })
}

/// The trials: every state with every outage and every probe, in turn until there are enough, each shifted differently.
///
/// # Errors
/// A word that is none of these.
pub fn cases(states: &[String], outages: &[String], probes: &[String], trials: usize) -> Result<Vec<Case>, String> {
    let or = |given: &[String], usual: &[&str]| match given {
        [] => usual.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>(),
        given => given.to_vec(),
    };
    let states: Vec<State> = or(states, &STATES)
        .iter()
        .map(|word| word.parse().map_err(|bad: crate::truth::BadState| bad.to_string()))
        .collect::<Result<_, _>>()?;
    if let Some(state) = states.iter().find(|state| !state.is_down()) {
        return Err(format!("in the state `{state}` a service is not down: there is no truth to find"));
    }
    let lengths: Vec<Length> = or(outages, &OUTAGES).iter().map(|word| length(word)).collect::<Result<_, _>>()?;
    let looks: Vec<Look> = or(probes, &PROBES).iter().map(|word| look(word)).collect::<Result<_, _>>()?;
    for (state, look) in states.iter().flat_map(|state| looks.iter().map(move |look| (state, look))) {
        if matches!(state, State::Slow(span) if *span <= look.timeout) {
            return Err(format!("in the state `{state}` every answer comes before the time-out of {}", look.timeout.human()));
        }
    }
    let all = states.iter().flat_map(|state| {
        let looks = &looks;
        lengths.iter().flat_map(move |length| looks.iter().map(move |look| (*state, *length, *look)))
    });
    let all: Vec<(State, Length, Look)> = all.collect();
    Ok((0..trials)
        .map(|number| {
            let (state, length, look) = all[number % all.len()];
            // Steps of the golden ratio: spread over an interval whatever the number of trials is.
            let turn = ((number as f64 + 1.0) * 0.618_033_988_749_895).fract();
            Case { number, state, length, look, phase: Span((look.every.0.max(1_000_000) as f64 * turn) as u64) }
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn every_combination_comes_in_turn() {
        let found = cases(&[], &[], &[], 40).unwrap();
        assert_eq!(found.len(), 40);
        assert_eq!(found[0].state, State::Refuse);
        assert_eq!(found[8].length, found[0].length);
        assert!(found.iter().all(|case| case.phase < case.look.every));
        let of = cases(&words(&["hang"]), &words(&["never", "none", "5x137.3ms/61.9ms", "3.7ms"]), &words(&["1ms,50ms"]), 4).unwrap();
        assert_eq!(of[2].length, Length::Flap(5, Span::micros(137_300), Span::micros(61_900)));
        assert_eq!(of[3].length, Length::For(Span::micros(3_700)));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (states, outages, probes) in
            [("down", "1s", "1ms,1s"), ("up", "1s", "1ms,1s"), ("hang", "1", "1ms,1s"), ("hang", "0ms", "1ms,1s"), ("hang", "1s", "1ms")]
        {
            assert!(cases(&words(&[states]), &words(&[outages]), &words(&[probes]), 1).is_err(), "{states} {outages} {probes}");
        }
        assert!(cases(&words(&["slow:250"]), &words(&["1s"]), &words(&["10ms,250ms"]), 1).is_err());
        assert!(cases(&words(&["hang"]), &words(&["99x1ms/1ms"]), &words(&["1ms,1s"]), 1).is_err());
    }
}
