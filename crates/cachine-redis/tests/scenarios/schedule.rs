//! Who is next: by chance, from a seed; or every order there is, one after the other.

use std::collections::HashMap;

/// What can happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Move {
    /// A client goes on: sends its next commands, computes, or is told something.
    Step(usize),
    /// A client that waits looks again, although nothing has changed.
    Poll(usize),
    /// A client stops waiting.
    GiveUp(usize),
    /// A client stops for ever.
    Crash(usize),
    /// The server loses a key.
    Drop,
    /// An entry gets into its stale window.
    Age(usize),
    /// Lives end.
    Time,
    /// A lease ends that nobody renews.
    Lease(usize),
    /// The server forgets a script that a client is about to call.
    Forget(usize),
}

/// Decides.
pub(crate) trait Choose {
    /// One of what goes on as it should, or of the troubles. There is at least one step; some are the
    /// ends of computations.
    fn choose(&mut self, steps: &[Move], ends: &[Move], troubles: &[Move]) -> Move;
    /// A number below this.
    fn below(&mut self, bound: usize) -> usize;
}

/// By chance, the same for the same seed (SplitMix64).
///
/// Chance alone rarely lets one client be far ahead of another, and that is what most races need. So
/// two of three schedules have an order of the clients, in which the first that can go on does, and
/// some of them are held at one place until the others can't go on.
pub(crate) struct Dice {
    state: u64,
    /// How many times of 24 something is in the way, if it can be.
    trouble: usize,
    /// How many times of 16 it is not chance who is next.
    patience: usize,
    last: Option<Move>,
    /// Who goes before whom; empty if whoever went last goes on.
    order: Vec<Move>,
    holds: Vec<(Move, Hold)>,
    /// How many steps each client has made.
    made: HashMap<Move, usize>,
}

/// Where a client is held.
#[derive(Clone, Copy, Debug)]
enum Hold {
    /// After so many steps.
    After(usize),
    /// When it computes.
    Computing,
}

/// Every order of the steps and of what troubles there may be: depth first.
#[derive(Default)]
pub(crate) struct Every {
    /// Which choice was made at each point, and of how many.
    path: Vec<(usize, usize)>,
    at: usize,
}

impl Dice {
    /// For a scenario of so many clients.
    pub(crate) fn new(seed: u64, clients: usize) -> Self {
        let state = seed.wrapping_mul(0x2545_F491_4F6C_DD1D);
        let (order, holds, made) = (Vec::new(), Vec::new(), HashMap::new());
        let mut dice = Self { state, trouble: 0, patience: 0, last: None, order, holds, made };
        dice.trouble = [0, 2, 4][dice.below(3)];
        if dice.below(3) == 0 {
            dice.patience = [0, 6, 11, 14][dice.below(4)];
            return dice;
        }
        dice.patience = 15;
        for client in 0..clients {
            let place = dice.below(dice.order.len() + 1);
            dice.order.insert(place, Move::Step(client));
        }
        for client in 0..clients {
            if dice.below(4) == 0 {
                continue;
            }
            let longest = [4, 8, 16][dice.below(3)];
            let after = dice.below(longest);
            let hold = if dice.below(2) == 0 { Hold::Computing } else { Hold::After(after) };
            let place = dice.below(dice.holds.len() + 1);
            dice.holds.insert(place, (Move::Step(client), hold));
        }
        dice
    }

    /// Those that nothing holds. If that is nobody, a hold ends.
    fn free(&mut self, steps: &[Move], ends: &[Move]) -> Vec<Move> {
        loop {
            let is_held = |step: &Move| {
                self.holds.iter().any(|(client, hold)| {
                    client == step
                        && match hold {
                            Hold::After(count) => self.made.get(step).unwrap_or(&0) == count,
                            Hold::Computing => ends.contains(step),
                        }
                })
            };
            let free: Vec<Move> = steps.iter().copied().filter(|step| !is_held(step)).collect();
            if !free.is_empty() {
                return free;
            }
            let is_here = |(client, _): &(Move, Hold)| steps.contains(client);
            let first = self.holds.iter().position(is_here).expect("somebody is held");
            self.holds.remove(first);
        }
    }
}

impl Choose for Dice {
    fn choose(&mut self, steps: &[Move], ends: &[Move], troubles: &[Move]) -> Move {
        if !troubles.is_empty() && self.below(24) < self.trouble {
            return troubles[self.below(troubles.len())];
        }
        let steps = self.free(steps, ends);
        let is_next = |step: &&Move| steps.contains(step);
        let next = self.order.iter().find(is_next).or(self.last.as_ref().filter(is_next)).copied();
        let next = match next {
            Some(next) if self.below(16) < self.patience => next,
            _ => steps[self.below(steps.len())],
        };
        self.last = Some(next);
        *self.made.entry(next).or_default() += 1;
        next
    }

    fn below(&mut self, bound: usize) -> usize {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) >> 33).unwrap() % bound
    }
}

impl Every {
    /// Goes to the next order; whether there is one.
    pub(crate) fn next(&mut self) -> bool {
        self.at = 0;
        while let Some((choice, count)) = self.path.pop() {
            if choice + 1 < count {
                self.path.push((choice + 1, count));
                return true;
            }
        }
        false
    }
}

impl Choose for Every {
    fn choose(&mut self, steps: &[Move], _ends: &[Move], troubles: &[Move]) -> Move {
        let choices = [steps, troubles].concat();
        choices[self.below(choices.len())]
    }

    fn below(&mut self, bound: usize) -> usize {
        if self.at == self.path.len() {
            self.path.push((0, bound));
        }
        if self.path[self.at].1 != bound {
            // The same choices led elsewhere: members that came to an index within a millisecond stand there
            // in the order of their stamps, which are random.
            self.path.truncate(self.at + 1);
            self.path[self.at] = (self.path[self.at].0.min(bound - 1), bound);
        }
        self.at += 1;
        self.path[self.at - 1].0
    }
}
