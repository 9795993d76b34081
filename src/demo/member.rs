//! Who leads: the pure half of a node. It is given the time, what the peer said, and decides; it reads no clock and opens no socket.
//!
//! Two nodes have no majority, so safety rests on three rules about time, which is one clock on one machine:
//!
//! 1. A primary whose replica is in sync acknowledges nothing that the replica has not got. It goes on alone only when nobody listens at the
//!    replica's address any more (the process is gone), or after four leases of silence.
//! 2. A replica takes over only if it was in sync and has heard nothing for at least one lease but less than three: so a primary that has gone
//!    on alone, after four, is never replaced by a replica that lacks writes.
//! 3. Whoever finds that it stood still itself for longer than a lease trusts nothing that it knew before: a primary that is not alone gives
//!    up its role, a replica is no longer in sync until the primary says so in answer to the new number of wake-ups.
//!
//! What this cannot survive is a cut between two nodes that both live: each then thinks that the other is gone. That needs a third voice.

use super::store::Standing;
use super::wire::{NoAnswer, Role, Ship, Shipped, Status};
use crate::base::{At, Span};

const TAKE_OVER_BEFORE: u64 = 3;
const ALONE_AFTER: u64 = 4;
const UNSYNCED_WAITS: u64 = 2;
/// How long nobody may listen at the peer's address before a first node starts by itself.
const GRACE: Span = Span::millis(100);

/// What a node is told when it starts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// How long a primary may be silent.
    pub(super) lease: Span,
    /// Leads when nothing else decides.
    pub(super) first: bool,
    /// Acknowledge only what the replica has.
    pub(super) sync: bool,
}

/// A node's view of the pair.
#[derive(Debug, Clone)]
pub(super) struct Member {
    rules: Rules,
    role: Role,
    term: u64,
    alone: bool,
    synced: bool,
    needs_copy: bool,
    wakes: u64,
    last_tick: At,
    last_contact: At,
    unreachable_since: Option<At>,
    /// Primary: what the replica said it has, and its wake-ups.
    peer_has: Option<usize>,
    peer_wakes: u64,
}

/// What the replica does with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reception {
    /// The sender is out of date.
    Stale,
    /// Not without everything from the start.
    WantCopy,
    /// Take the entries, after forgetting the old ones when it is a copy.
    Take,
}

impl Member {
    pub(super) fn new(rules: Rules, standing: Standing, now: At) -> Member {
        Member {
            rules,
            role: Role::Starting,
            term: standing.term,
            alone: standing.alone,
            synced: false,
            needs_copy: true,
            // A number that an earlier life of this process has hardly used, so that its messages are not taken for fresh.
            wakes: now.0,
            last_tick: now,
            last_contact: now,
            unreachable_since: None,
            peer_has: None,
            peer_wakes: 0,
        }
    }

    pub(super) fn role(&self) -> Role {
        self.role
    }

    pub(super) fn term(&self) -> u64 {
        self.term
    }

    pub(super) fn alone(&self) -> bool {
        self.alone
    }

    pub(super) fn standing(&self) -> Standing {
        Standing { term: self.term, alone: self.alone }
    }

    pub(super) fn in_sync(&self) -> bool {
        match self.role {
            Role::Starting => false,
            Role::Replica => self.synced,
            Role::Primary => !self.alone,
        }
    }

    /// May answer clients now. Asked at the moment of use, so that a primary which has just been woken does not answer before it has noticed.
    pub(super) fn serves(&self, now: At) -> bool {
        self.role == Role::Primary && (self.alone || now.since(self.last_tick) <= self.rules.lease)
    }

    /// An entry at this position may be acknowledged.
    pub(super) fn settled(&self, position: usize) -> bool {
        self.alone || !self.rules.sync || self.peer_has.is_some_and(|has| has > position)
    }

    /// Called by everything that moves on: notices that the process stood still (rule 3).
    fn wake(&mut self, now: At) {
        let stood_still = now.since(self.last_tick) > self.rules.lease;
        self.last_tick = now;
        if !stood_still {
            return;
        }
        self.wakes += 1;
        self.synced = false;
        self.unreachable_since = None;
        if self.role == Role::Primary && !self.alone {
            self.role = Role::Starting;
        }
    }

    /// Time has passed. True when the peer must be asked what it is.
    pub(super) fn tick(&mut self, now: At) -> bool {
        self.wake(now);
        let silence = now.since(self.last_contact);
        let lease = self.rules.lease;
        match self.role {
            Role::Starting => true,
            Role::Primary => {
                self.alone |= silence >= lease.times(ALONE_AFTER);
                false
            }
            Role::Replica if self.may_take_over(now) => true,
            Role::Replica => {
                let patience = if self.synced { TAKE_OVER_BEFORE } else { UNSYNCED_WAITS };
                if silence >= lease.times(patience) {
                    self.role = Role::Starting;
                    self.synced = false;
                }
                self.role == Role::Starting
            }
        }
    }

    fn may_take_over(&self, now: At) -> bool {
        let silence = now.since(self.last_contact);
        let lease = self.rules.lease;
        self.role == Role::Replica && self.synced && silence >= lease && silence < lease.times(TAKE_OVER_BEFORE)
    }

    /// The peer was asked what it is.
    pub(super) fn asked(&mut self, now: At, peer: Result<&Status, NoAnswer>, entries: usize) {
        self.wake(now);
        match (self.role, peer) {
            (Role::Replica, Ok(peer)) if peer.role == Role::Primary && peer.term >= self.term => {}
            (Role::Replica, peer) if self.may_take_over(now) => self.lead(peer.map_or(0, |peer| peer.term), now),
            (Role::Starting, Ok(peer)) => {
                self.unreachable_since = None;
                let mine = (self.alone, self.term, entries, self.rules.first);
                match peer.role {
                    Role::Primary if peer.term >= self.term => self.follow(now),
                    Role::Starting if mine > (peer.alone, peer.term, peer.entries, peer.first) => self.lead(peer.term, now),
                    Role::Primary | Role::Starting | Role::Replica => {}
                }
            }
            (Role::Starting, Err(_)) => {
                let since = *self.unreachable_since.get_or_insert(now);
                let unused = self.term == 0 && entries == 0;
                if now.since(since) >= GRACE && (self.alone || (self.rules.first && unused)) {
                    self.lead(0, now);
                }
            }
            (Role::Replica | Role::Primary, _) => {}
        }
    }

    /// Leads from now on, alone until the peer has everything: whoever leads by right cannot be replaced by a peer that is not in sync.
    fn lead(&mut self, peers_term: u64, now: At) {
        self.term = self.term.max(peers_term) + 1;
        self.role = Role::Primary;
        self.alone = true;
        self.synced = false;
        self.needs_copy = false;
        self.peer_has = None;
        self.last_contact = now;
    }

    fn follow(&mut self, now: At) {
        self.role = Role::Replica;
        self.alone = false;
        self.synced = false;
        self.needs_copy = true;
        self.last_contact = now;
    }

    /// A message from the primary.
    pub(super) fn receive(&mut self, now: At, ship: &Ship) -> Reception {
        self.wake(now);
        if ship.term < self.term || (self.role == Role::Primary && ship.term == self.term) {
            return Reception::Stale;
        }
        if self.role != Role::Replica || ship.term > self.term {
            self.follow(now);
            self.term = ship.term;
        }
        self.last_contact = now;
        if ship.reset {
            self.needs_copy = false;
        }
        if self.needs_copy {
            return Reception::WantCopy;
        }
        self.synced = ship.synced && ship.wakes == self.wakes;
        Reception::Take
    }

    /// The answer to a message.
    pub(super) fn answer(&self, entries: usize) -> Shipped {
        Shipped { term: self.term, have: entries, copy: self.needs_copy, wakes: self.wakes }
    }

    /// Where the next message to the replica starts, and whether it must be a full copy; `None` when this node does not lead.
    pub(super) fn to_ship(&self) -> Option<(usize, bool)> {
        (self.role == Role::Primary).then_some(match self.peer_has {
            Some(has) => (has, false),
            None => (0, true),
        })
    }

    /// The replica's wake-ups as last told.
    pub(super) fn peer_wakes(&self) -> u64 {
        self.peer_wakes
    }

    /// The replica has answered a message that was sent in `term`, when there were `sent` entries; there are `entries` now.
    pub(super) fn shipped(&mut self, now: At, term: u64, answer: Shipped, sent: usize, entries: usize) {
        self.wake(now);
        if self.role != Role::Primary || self.term != term {
            return;
        }
        self.last_contact = now;
        self.peer_wakes = answer.wakes;
        if answer.copy {
            // It was started anew, or led something else: it cannot take over until it is told that it is in sync.
            self.peer_has = None;
            self.alone = true;
            return;
        }
        self.peer_has = Some(answer.have.min(entries));
        // Asynchronously the tail is always missing: then it is enough to have had everything once.
        let enough = if self.rules.sync { entries } else { sent };
        if answer.have >= enough {
            self.alone = false;
        }
    }

    /// The replica says that a later term has begun.
    pub(super) fn outdated(&mut self, now: At) {
        self.wake(now);
        if self.role == Role::Primary {
            self.follow(now);
        }
    }

    /// The replica could not be reached. Nobody listening means that its process is gone: when started again it knows that it is not in sync.
    pub(super) fn unreachable(&mut self, now: At, why: NoAnswer) {
        self.wake(now);
        if self.role == Role::Primary && why == NoAnswer::Refused {
            self.alone = true;
            self.peer_has = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Span = Span::millis(300);

    fn ms(ms: u64) -> At {
        At(ms * 1_000_000)
    }

    fn member(first: bool) -> Member {
        Member::new(Rules { lease: LEASE, first, sync: true }, Standing::default(), ms(0))
    }

    fn status(member: &Member, entries: usize) -> Status {
        Status {
            node: "x".into(),
            role: member.role(),
            term: member.term(),
            alone: member.alone(),
            in_sync: member.in_sync(),
            entries,
            first: member.rules.first,
        }
    }

    /// A primary with a replica in sync, both last in touch at the returned moment.
    fn pair() -> (Member, Member, At) {
        let (mut a, mut b) = (member(true), member(false));
        a.asked(ms(0), Err(NoAnswer::Refused), 0);
        a.tick(ms(100));
        a.asked(ms(120), Err(NoAnswer::Refused), 0);
        b.tick(ms(100));
        b.asked(ms(120), Ok(&status(&a, 0)), 0);
        for now in [130, 140, 150] {
            exchange(&mut a, &mut b, ms(now), 0);
        }
        (a, b, ms(150))
    }

    fn ship(a: &Member) -> Ship {
        let (start, reset) = a.to_ship().unwrap();
        Ship { term: a.term(), reset, synced: !a.alone(), wakes: a.peer_wakes(), start, entries: vec![] }
    }

    fn exchange(a: &mut Member, b: &mut Member, now: At, entries: usize) {
        let message = ship(a);
        match b.receive(now, &message) {
            Reception::Stale => a.outdated(now),
            Reception::WantCopy | Reception::Take => a.shipped(now, message.term, b.answer(entries), entries, entries),
        }
    }

    fn run(member: &mut Member, from: u64, to: u64) -> bool {
        let mut ask = false;
        for now in (from..=to).step_by(30) {
            ask = member.tick(ms(now));
        }
        ask
    }

    #[test]
    fn the_first_node_leads_and_the_second_gets_in_sync() {
        let (a, b, now) = pair();
        assert_eq!((a.role(), a.alone(), a.serves(now)), (Role::Primary, false, true));
        assert_eq!((b.role(), b.in_sync(), b.serves(now)), (Role::Replica, true, false));
        assert!(!a.settled(0), "nothing beyond what the replica has");
    }

    #[test]
    fn a_replica_takes_over_after_one_lease_of_silence_with_a_new_term() {
        let (a, mut b, _) = pair();
        assert!(!run(&mut b, 180, 420));
        assert!(b.tick(ms(450)));
        b.asked(ms(451), Err(NoAnswer::Refused), 0);
        assert_eq!((b.role(), b.term(), b.alone()), (Role::Primary, a.term() + 1, true));
    }

    #[test]
    fn a_primary_that_answers_is_not_replaced() {
        let (a, mut b, _) = pair();
        run(&mut b, 180, 480);
        b.asked(ms(481), Ok(&status(&a, 0)), 0);
        assert_eq!(b.role(), Role::Replica);
    }

    #[test]
    fn a_paused_primary_serves_nothing_when_it_wakes_and_steps_down() {
        let (mut a, mut b, _) = pair();
        run(&mut b, 180, 480);
        b.asked(ms(481), Err(NoAnswer::TimedOut), 0);
        assert!(!a.serves(ms(1150)), "before it has noticed anything");
        let late = ship(&a);
        assert_eq!(b.receive(ms(1151), &late), Reception::Stale);
        a.outdated(ms(1152));
        assert_ne!(a.role(), Role::Primary);
        a.tick(ms(1160));
        a.asked(ms(1161), Ok(&status(&b, 5)), 9);
        assert_eq!(a.role(), Role::Replica);
        b.tick(ms(1162));
        let message = ship(&b);
        assert!(message.reset && a.receive(ms(1163), &message) == Reception::Take, "its own tail is forgotten");
    }

    #[test]
    fn a_paused_replica_never_takes_over_from_a_primary_that_went_on_alone() {
        for clock_first in [true, false] {
            let (mut a, mut b, _) = pair();
            let buffered = ship(&a);
            run(&mut a, 180, 1_350);
            assert!(a.alone(), "after four leases of silence");
            // It wakes, reads what the kernel had kept for it, and the primary dies in this moment.
            if clock_first {
                b.tick(ms(1_400));
            }
            b.receive(ms(1_401), &buffered);
            assert!(!b.in_sync(), "the message is older than its waking up");
            run(&mut b, 1_430, 1_760);
            b.asked(ms(1_761), Err(NoAnswer::Refused), 0);
            assert_ne!(b.role(), Role::Primary);
        }
    }

    #[test]
    fn a_late_replica_waits_for_the_primary() {
        let (_, mut b, _) = pair();
        assert!(run(&mut b, 180, 1_080));
        b.asked(ms(1_081), Err(NoAnswer::Refused), 0);
        assert_eq!(b.role(), Role::Starting, "three leases are over: the primary may be alone");
    }

    #[test]
    fn a_dead_replica_is_left_behind_at_once_and_gets_everything_when_it_returns() {
        let (mut a, _, _) = pair();
        a.unreachable(ms(160), NoAnswer::TimedOut);
        assert!(!a.alone(), "silence is not death");
        a.unreachable(ms(170), NoAnswer::Refused);
        assert!(a.settled(7));
        let mut again = Member::new(Rules { lease: LEASE, first: false, sync: true }, Standing { term: 1, alone: false }, ms(200));
        exchange(&mut a, &mut again, ms(210), 8);
        assert!(!again.in_sync());
        assert_eq!(again.role(), Role::Replica);
        for now in [220, 230] {
            exchange(&mut a, &mut again, ms(now), 8);
        }
        assert!(again.in_sync() && !a.alone());
    }

    #[test]
    fn of_two_that_start_the_one_that_was_alone_leads_then_the_one_with_more() {
        let start = |term, alone, first| Member::new(Rules { lease: LEASE, first, sync: true }, Standing { term, alone }, ms(0));
        for (mine, theirs, lead) in [
            ((start(1, true, false), 3), (start(2, false, true), 9), true),
            ((start(2, false, true), 9), (start(1, true, false), 3), false),
            ((start(2, false, false), 4), (start(2, false, true), 3), true),
            ((start(2, false, false), 3), (start(2, false, true), 3), false),
        ] {
            let (mut mine, entries) = mine;
            mine.asked(ms(10), Ok(&status(&theirs.0, theirs.1)), entries);
            assert_eq!(mine.role() == Role::Primary, lead);
        }
    }

    #[test]
    fn a_restarted_node_with_data_does_not_lead_by_itself_unless_it_was_alone() {
        for (alone, leads) in [(false, false), (true, true)] {
            let rules = Rules { lease: LEASE, first: true, sync: true };
            let mut member = Member::new(rules, Standing { term: 4, alone }, ms(0));
            member.asked(ms(0), Err(NoAnswer::Refused), 3);
            member.asked(ms(200), Err(NoAnswer::Refused), 3);
            assert_eq!(member.role() == Role::Primary, leads);
        }
    }
}
