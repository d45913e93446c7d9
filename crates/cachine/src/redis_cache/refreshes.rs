//! Which keys of a server are being computed anew behind the backs of their readers.
//!
//! A stale value lives in the server, so the engine does not know of it; that at most one refresh
//! of a key runs in this process, and that one that failed is not tried again at once, is kept here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cachine_core::clock::{Clock, Instant};

use crate::redis_cache::server::Server;

/// The first pause after a failed refresh, and the longest, in nanoseconds.
const PAUSE: (u64, u64) = (500_000_000, 30_000_000_000);
/// How long a refresh that runs elsewhere is left alone, in nanoseconds.
const ELSEWHERE: u64 = 100_000_000;
/// Above so many keys those whose pause is long over are forgotten.
const MANY: usize = 1_024;

/// The refreshes of a server.
pub(super) struct Refreshes {
    keys: Mutex<HashMap<Box<[u8]>, State>>,
    clock: Clock,
}

#[derive(Clone, Copy)]
struct State {
    is_running: bool,
    /// Not again before this time.
    until: Instant,
    /// The pause after the next failure.
    pause: u64,
}

/// The duty to refresh a key. Dropped without a word it has failed.
pub(super) struct Ticket {
    server: Arc<Server>,
    key: Option<Box<[u8]>>,
}

impl Ticket {
    /// For the one who is to refresh a key of this server.
    pub(super) fn of(server: &Arc<Server>, key: &[u8]) -> Option<Self> {
        let is_mine = server.refreshes.begin(key);
        is_mine.then(|| Self { server: Arc::clone(server), key: Some(key.into()) })
    }

    /// There is a fresh value.
    pub(super) fn succeed(mut self) {
        if let Some(key) = self.key.take() {
            self.server.refreshes.succeed(&key);
        }
    }

    /// Somebody else refreshes it.
    pub(super) fn defer(mut self) {
        if let Some(key) = self.key.take() {
            self.server.refreshes.defer(&key);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.server.refreshes.fail(&key);
        }
    }
}

impl Refreshes {
    pub(super) fn new(clock: Clock) -> Self {
        Self { keys: Mutex::default(), clock }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<[u8]>, State>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the caller is the one to refresh this key; then it has to say how that ended.
    fn begin(&self, key: &[u8]) -> bool {
        let mut keys = self.lock();
        if let Some(state) = keys.get_mut(key) {
            let is_mine = !state.is_running && self.clock.now() >= state.until;
            state.is_running |= is_mine;
            return is_mine;
        }
        if keys.len() >= MANY {
            let now = self.clock.now();
            keys.retain(|_, state| state.is_running || now < state.until.saturating_add(PAUSE.1));
        }
        keys.insert(key.into(), State { is_running: true, until: 0, pause: PAUSE.0 });
        true
    }

    fn succeed(&self, key: &[u8]) {
        self.lock().remove(key);
    }

    /// A refresh runs in another process: it is looked after again in a while.
    fn defer(&self, key: &[u8]) {
        let until = self.clock.now().saturating_add(ELSEWHERE);
        if let Some(state) = self.lock().get_mut(key) {
            *state = State { is_running: false, until, ..*state };
        }
    }

    /// A refresh came to nothing: the next one has to wait, twice as long each time.
    fn fail(&self, key: &[u8]) {
        let now = self.clock.now();
        if let Some(state) = self.lock().get_mut(key) {
            let State { pause, .. } = *state;
            let (until, next) = (now.saturating_add(pause), (2 * pause).min(PAUSE.1));
            *state = State { is_running: false, until, pause: next };
        }
    }

    /// The key was written: what failed before says nothing about what comes.
    pub(super) fn forgive(&self, key: &[u8]) {
        let mut keys = self.lock();
        if keys.get(key).is_some_and(|state| !state.is_running) {
            keys.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use cachine_core::clock::FakeClock;

    use super::*;

    fn refreshes() -> (Refreshes, FakeClock) {
        let fake = FakeClock::new();
        (Refreshes::new(Clock::Fake(fake.clone())), fake)
    }

    #[test]
    fn one_at_a_time_refreshes_a_key() {
        let (refreshes, _) = refreshes();
        assert!(refreshes.begin(b"k") && !refreshes.begin(b"k") && refreshes.begin(b"other"));
        refreshes.succeed(b"k");
        assert!(refreshes.begin(b"k"));
    }

    #[test]
    fn one_that_runs_elsewhere_is_looked_after_again_without_growing_pauses() {
        let (refreshes, fake) = refreshes();
        for _ in 0..9 {
            assert!(refreshes.begin(b"k"));
            refreshes.defer(b"k");
            assert!(!refreshes.begin(b"k"));
            fake.advance(Duration::from_nanos(ELSEWHERE));
        }
    }

    #[test]
    fn one_that_failed_waits_twice_as_long_each_time_up_to_thirty_seconds() {
        let (refreshes, fake) = refreshes();
        for pause in [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000] {
            assert!(refreshes.begin(b"k"));
            refreshes.fail(b"k");
            fake.advance(Duration::from_millis(pause - 1));
            assert!(!refreshes.begin(b"k"), "{pause}");
            fake.advance(Duration::from_millis(1));
        }
        assert!(refreshes.begin(b"k"));
        refreshes.succeed(b"k");
        assert!(refreshes.begin(b"k"));
        refreshes.fail(b"k");
        refreshes.forgive(b"k");
        assert!(refreshes.begin(b"k"), "a write ends the pause");
        refreshes.forgive(b"k");
        assert!(!refreshes.begin(b"k"), "but no refresh");
    }

    #[test]
    fn keys_that_nobody_reads_any_more_are_forgotten() {
        let (refreshes, fake) = refreshes();
        for number in 0..2 * MANY {
            let key = number.to_string();
            assert!(refreshes.begin(key.as_bytes()));
            refreshes.fail(key.as_bytes());
            fake.advance(Duration::from_secs(1));
        }
        assert!(refreshes.lock().len() <= MANY);
    }
}
