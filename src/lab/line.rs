//! One direction of a link: what goes in comes out later and in order, or never.
//!
//! Pure: the time is what the caller says it is, in nanoseconds. It knows nothing of what the packets are.

use std::collections::VecDeque;
use std::time::Duration;

use rand::Rng as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::lang::links::Link;

/// What one line keeps at most, in bytes: half a second at a gigabit.
const STORE: u64 = 64 << 20;
/// How long the queue in front of a rate may become before its end is dropped.
const PATIENCE: f64 = 0.1e9;
/// At slow rates the queue has room for this many bytes all the same.
const ROOM: u64 = 256 << 10;
/// Delays this close to each other are alike: packets of one burst are not torn apart by the jitter.
const MEMORY: f64 = 10e6;

/// What becomes of a packet that goes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Kept,
    /// As the link's loss has it.
    Lost,
    /// There was no room.
    Full,
}

/// The packets that are on the way in one direction.
#[derive(Debug)]
pub(super) struct Line<P> {
    delay: f64,
    jitter: f64,
    /// From 0 to 1.
    loss: f64,
    /// Nanoseconds a byte takes.
    pace: f64,
    random: StdRng,
    /// How far the delay is from its mean now, in standard deviations, and when that was so.
    swing: f64,
    swung: u64,
    /// When the rate has let everything pass that has come so far.
    free: f64,
    /// When the last packet comes out.
    last: u64,
    waiting: VecDeque<(u64, u64, P)>,
    stored: u64,
}

impl<P> Line<P> {
    pub(super) fn new(link: &Link, seed: u64) -> Line<P> {
        let mut line = Line {
            delay: 0.0,
            jitter: 0.0,
            loss: 0.0,
            pace: 0.0,
            random: StdRng::seed_from_u64(seed),
            swing: 0.0,
            swung: 0,
            free: 0.0,
            last: 0,
            waiting: VecDeque::new(),
            stored: 0,
        };
        line.set(link);
        line
    }

    /// New figures for what comes from now on. What is on the way keeps its time.
    pub(super) fn set(&mut self, link: &Link) {
        let nanos = |time: Duration| time.as_nanos() as f64;
        self.delay = nanos(link.rtt) / 2.0;
        self.jitter = nanos(link.jitter);
        self.loss = link.loss / 100.0;
        self.pace = link.rate.map_or(0.0, |bits| 8e9 / bits as f64);
    }

    /// A packet goes in; `size` is in bytes as the link counts them.
    pub(super) fn push(&mut self, now: u64, size: u64, packet: P) -> Fate {
        if self.loss > 0.0 && self.random.random::<f64>() < self.loss {
            return Fate::Lost;
        }
        let arrives = now as f64;
        let queued = (self.free - arrives).max(0.0);
        let crowded = self.pace > 0.0 && queued > PATIENCE.max(ROOM as f64 * self.pace);
        if crowded || self.stored + size > STORE {
            return Fate::Full;
        }
        let sent = arrives + queued + size as f64 * self.pace;
        self.free = sent;
        let due = sent + (self.delay + self.jitter * self.swing(now)).max(0.0);
        self.last = self.last.max(due as u64);
        self.stored += size;
        self.waiting.push_back((self.last, size, packet));
        Fate::Kept
    }

    /// When the next packet comes out.
    pub(super) fn next(&self) -> Option<u64> {
        self.waiting.front().map(|(due, ..)| *due)
    }

    /// The next packet, if its time has come.
    pub(super) fn pop(&mut self, now: u64) -> Option<P> {
        if self.next()? > now {
            return None;
        }
        let (_, size, packet) = self.waiting.pop_front()?;
        self.stored -= size;
        Some(packet)
    }

    /// A normal deviate that forgets itself slowly (an Ornstein-Uhlenbeck process).
    fn swing(&mut self, now: u64) -> f64 {
        if self.jitter > 0.0 {
            let kept = (-(now.saturating_sub(self.swung) as f64) / MEMORY).exp();
            self.swing = kept * self.swing + (1.0 - kept * kept).sqrt() * self.normal();
            self.swung = now;
        }
        self.swing
    }

    /// By Box and Muller.
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.random.random::<f64>()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.random.random::<f64>()).cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: u64 = 1_000_000;

    fn link(rtt: u64, jitter: u64, loss: f64, rate: Option<u64>) -> Link {
        let between = ["a".to_owned(), "b".to_owned()];
        let (rtt, jitter) = (Duration::from_nanos(rtt), Duration::from_nanos(jitter));
        Link { between, rtt, jitter, loss, rate, source: String::new() }
    }

    /// Each packet is its number and goes in `gap` after the one before. Gives when each came out, and how many were refused.
    fn run(link: &Link, packets: &[(u64, u64)]) -> (Vec<(usize, u64, u64)>, usize) {
        let mut line = Line::new(link, 1);
        let (mut now, mut out, mut refused) = (0, Vec::new(), 0);
        for (number, (gap, size)) in packets.iter().enumerate() {
            now += gap;
            while let Some(due) = line.next().filter(|due| *due <= now) {
                let (number, at, _) = line.pop(due).unwrap();
                out.push((number, at, due));
            }
            refused += usize::from(line.push(now, *size, (number, now, *size)) != Fate::Kept);
            assert!(line.stored <= STORE);
        }
        while let Some(due) = line.next() {
            assert_eq!(line.pop(due - 1), None, "nothing comes out before its time");
            let (number, at, _) = line.pop(due).unwrap();
            out.push((number, at, due));
        }
        assert_eq!(line.stored, 0);
        (out, refused)
    }

    proptest! {
        #[test]
        fn in_order_and_none_is_lost_but_by_the_link(
            rtt in 0..50 * MS,
            jitter in 0..20 * MS,
            rate in proptest::option::of(100_000u64..10_000_000_000),
            packets in proptest::collection::vec((0..5 * MS, 20u64..65_000), 1..200),
        ) {
            let (out, refused) = run(&link(rtt, jitter, 0.0, rate), &packets);
            prop_assert_eq!(out.len() + refused, packets.len());
            for pair in out.windows(2) {
                prop_assert!(pair[0].0 < pair[1].0 && pair[0].2 <= pair[1].2, "overtaken: {:?}", pair);
            }
            for (_, at, due) in out {
                prop_assert!(due >= at);
            }
        }

        #[test]
        fn without_jitter_and_rate_the_delay_is_exact(
            rtt in 0..50 * MS,
            packets in proptest::collection::vec((0..5 * MS, 20u64..65_000), 1..200),
        ) {
            let (out, refused) = run(&link(rtt, 0, 0.0, None), &packets);
            prop_assert_eq!(refused, 0);
            for (_, at, due) in out {
                prop_assert_eq!(due, at + rtt / 2);
            }
        }

        #[test]
        fn a_rate_is_never_exceeded_and_its_queue_is_bounded(
            rate in 1_000_000u64..1_000_000_000,
            packets in proptest::collection::vec((0..MS / 5, 500u64..1500), 1..400),
        ) {
            let (out, _) = run(&link(2 * MS, 0, 0.0, Some(rate)), &packets);
            let nanos = |bytes: u64| bytes as f64 * 8e9 / rate as f64;
            for pair in out.windows(2) {
                let size = packets[pair[1].0].1;
                prop_assert!((pair[1].2 - pair[0].2) as f64 >= nanos(size) - 2.0, "too fast: {:?}", pair);
            }
            for (number, at, due) in out {
                let most = PATIENCE.max(nanos(ROOM)) + nanos(packets[number].1) + (MS + 2) as f64;
                prop_assert!((due - at) as f64 <= most, "waited too long");
            }
        }
    }

    #[test]
    fn a_busy_link_runs_at_its_rate() {
        // Twice what the link can carry, for two seconds.
        let packets = vec![(60_000, 1500); 33_333];
        let (out, refused) = run(&link(10 * MS, 0, 0.0, Some(100_000_000)), &packets);
        let span = (out[out.len() - 1].2 - out[0].2) as f64 / 1e9;
        let rate = (out.len() - 1) as f64 * 1500.0 * 8.0 / span;
        assert!((rate / 1e8 - 1.0).abs() < 0.001, "{rate}");
        assert!(refused > 10_000, "the end of the queue is dropped: {refused}");
    }

    #[test]
    fn loss_is_as_stated() {
        let packets = vec![(MS, 100); 100_000];
        let (out, refused) = run(&link(MS, 0, 2.0, None), &packets);
        assert_eq!(out.len() + refused, packets.len());
        // Five standard deviations of a binomial are 221.
        assert!((1779..=2221).contains(&refused), "{refused}");
        assert_eq!(run(&link(MS, 0, 100.0, None), &packets).1, packets.len());
    }

    #[test]
    fn jitter_has_its_mean_and_deviation() {
        let packets = vec![(100 * MS, 100); 20_000];
        let (out, _) = run(&link(40 * MS, 2 * MS, 0.0, None), &packets);
        let delays: Vec<f64> = out.iter().map(|(_, at, due)| (due - at) as f64 / MS as f64).collect();
        let mean = delays.iter().sum::<f64>() / delays.len() as f64;
        let deviation = (delays.iter().map(|delay| (delay - mean).powi(2)).sum::<f64>() / delays.len() as f64).sqrt();
        assert!((mean - 20.0).abs() < 0.1 && (deviation - 2.0).abs() < 0.1, "{mean} {deviation}");
    }

    #[test]
    fn packets_of_a_burst_are_delayed_alike() {
        let packets = vec![(12_000, 1500); 20_000];
        let (out, _) = run(&link(40 * MS, MS, 0.0, None), &packets);
        let mean = out.iter().map(|(_, at, due)| (due - at) as f64 / MS as f64).sum::<f64>() / out.len() as f64;
        // Independent deviates that keep their order would all be as late as the latest: some 4 deviations.
        assert!((mean - 20.0).abs() < 0.8, "{mean}");
    }

    #[test]
    fn new_figures_hold_for_what_comes_next() {
        let mut line = Line::new(&link(10 * MS, 0, 0.0, None), 1);
        line.push(0, 100, 'a');
        line.set(&link(2 * MS, 0, 0.0, None));
        line.push(MS, 100, 'b');
        assert_eq!(line.next(), Some(5 * MS));
        assert_eq!(
            (line.pop(5 * MS), line.pop(5 * MS)),
            (Some('a'), Some('b')),
            "order counts more than the new delay"
        );
        line.push(6 * MS, 100, 'c');
        assert_eq!(line.next(), Some(7 * MS));
    }

    #[test]
    fn a_full_store_takes_no_more() {
        let mut line = Line::new(&link(10_000 * MS, 0, 0.0, None), 1);
        let kept = (0..2000).filter(|_| line.push(0, 65_000, ()) == Fate::Kept).count() as u64;
        assert_eq!(kept, STORE / 65_000);
    }
}
