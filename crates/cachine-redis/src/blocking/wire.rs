//! A socket that keeps a deadline, however little of its time a peer takes at once.
//!
//! A timeout of a socket is for one system call, so a peer that sends a byte now and then outlives
//! it. This one looks at the clock before each call that may wait, and waits in slices, so that a
//! caller can be asked whether to go on. Setting a timeout is a system call of its own: it is only
//! done where the one that is set would overrun the deadline, or has turned out to be too short.
//!
//! Cost of a usual exchange: one reading of the clock, no setting of a timeout.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use cachine_core::clock::Instant;

use super::socket::{Socket, Transport};
use super::waiting::{SLICE, Trouble, Waiting};
use crate::link::Cause;

/// How far a timeout may overrun the deadline before it is set anew.
const GRACE: Duration = Duration::from_millis(1);

/// The most that is written at once. Some systems apply the timeout to each buffer that they fill,
/// and not to the whole call.
const PIECE: usize = 64 * 1024;

/// A socket with a deadline.
pub(super) struct Wire<S = Socket> {
    socket: S,
    waiting: Arc<Waiting>,
    until: Instant,
    /// The time, if it was read a moment ago.
    fresh: Option<Instant>,
    /// The last reading of the clock.
    seen: Instant,
    read: Armed,
    write: Armed,
    has_sent: bool,
    trouble: Option<Trouble>,
}

/// The timeout of one direction.
#[derive(Debug)]
struct Armed {
    timeout: Duration,
    /// It has passed, so it may have been too short.
    has_passed: bool,
}

impl<S: Transport> Wire<S> {
    /// A socket that was just connected.
    pub(super) fn new(socket: S, waiting: Arc<Waiting>, until: Instant) -> Result<Self, Trouble> {
        let armed = || Armed { timeout: SLICE, has_passed: false };
        let set = socket.set_read_timeout(SLICE).and_then(|()| socket.set_write_timeout(SLICE));
        set.map_err(Trouble::connection)?;
        let (read, write) = (armed(), armed());
        let (seen, fresh, has_sent, trouble) = (0, None, false, None);
        Ok(Self { socket, waiting, until, fresh, seen, read, write, has_sent, trouble })
    }

    /// Begins an exchange that ends at `until`; with the time, if the caller has just read it.
    pub(super) fn begin(&mut self, until: Instant, now: Option<Instant>) {
        self.until = until;
        self.fresh = now;
        self.has_sent = false;
    }

    /// Whether anything was sent since the exchange began.
    pub(super) fn has_sent(&self) -> bool {
        self.has_sent
    }

    /// When the clock was last read, which was before the last wait.
    pub(super) fn seen(&self) -> Instant {
        self.seen
    }

    pub(super) fn socket(&self) -> &S {
        &self.socket
    }

    /// What went wrong, if anything did: an error of the standard library can't carry it.
    pub(super) fn take_trouble(&mut self) -> Option<Trouble> {
        self.trouble.take()
    }

    /// Remembers what went wrong.
    pub(super) fn fail(&mut self, trouble: Trouble) -> io::Error {
        self.trouble = Some(trouble);
        ErrorKind::Other.into()
    }

    /// Sees to it that the next system call does not outlive the deadline by much.
    fn arm(&mut self, is_read: bool) -> io::Result<()> {
        let now = self.fresh.take().unwrap_or_else(|| self.waiting.clock.now());
        self.seen = now;
        let left = Duration::from_nanos(self.until.saturating_sub(now));
        if left.is_zero() {
            return Err(self.fail(Trouble::deadline()));
        }
        let armed = if is_read { &mut self.read } else { &mut self.write };
        let wanted = SLICE.min(left);
        let is_too_short = armed.has_passed && armed.timeout < wanted;
        armed.has_passed = false;
        if armed.timeout <= wanted + GRACE && !is_too_short {
            return Ok(());
        }
        armed.timeout = wanted;
        let set = if is_read {
            self.socket.set_read_timeout(wanted)
        } else {
            self.socket.set_write_timeout(wanted)
        };
        set.map_err(|error| self.fail(Trouble::connection(error)))
    }

    /// After a system call that failed: whether it is to be made again.
    fn pause(&mut self, error: &io::Error, is_read: bool) -> io::Result<()> {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                let armed = if is_read { &mut self.read } else { &mut self.write };
                armed.has_passed = true;
                // At the end it is the deadline that counts, not a question on the way.
                if self.waiting.slice(self.until).is_err() {
                    return Err(self.fail(Trouble::deadline()));
                }
            }
            ErrorKind::Interrupted => {}
            _ => return Err(self.fail(Trouble::connection(error))),
        }
        let waiting = Arc::clone(&self.waiting);
        waiting.ask().map_err(|trouble| self.fail(trouble))
    }
}

impl<S: Transport> Read for Wire<S> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            self.arm(true)?;
            match self.socket.read(bytes) {
                Ok(0) => {
                    let what = "the server closed the connection";
                    self.trouble = Some(Trouble::new(Cause::Connection, what));
                    return Ok(0);
                }
                Ok(count) => return Ok(count),
                Err(error) => self.pause(&error, true)?,
            }
        }
    }
}

impl<S: Transport> Write for Wire<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            self.arm(false)?;
            match self.socket.write(&bytes[..bytes.len().min(PIECE)]) {
                Ok(count) => {
                    self.has_sent |= count > 0;
                    return Ok(count);
                }
                Err(error) => self.pause(&error, false)?,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::VecDeque;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use cachine_core::clock::{Clock, FakeClock, nanoseconds};

    use super::*;
    use crate::blocking::generation;

    /// What one system call of a scripted socket does.
    enum Step {
        Bytes(usize),
        Fails(ErrorKind),
        /// It waits until the timeout that is set, or for the time, if that is shorter.
        Waits(Duration),
    }

    struct Scripted {
        clock: FakeClock,
        steps: VecDeque<Step>,
        timeout: RefCell<Vec<Duration>>,
    }

    impl Scripted {
        fn step(&mut self) -> io::Result<usize> {
            match self.steps.pop_front() {
                Some(Step::Bytes(count)) => Ok(count),
                Some(Step::Fails(kind)) => Err(kind.into()),
                Some(Step::Waits(time)) => {
                    self.clock.advance(time.min(*self.timeout.borrow().last().unwrap()));
                    Err(ErrorKind::WouldBlock.into())
                }
                None => panic!("more system calls than the script has"),
            }
        }
    }

    impl Read for Scripted {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            self.step()
        }
    }

    impl Write for Scripted {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            self.step()
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Transport for Scripted {
        fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
            self.timeout.borrow_mut().push(timeout);
            Ok(())
        }

        fn set_write_timeout(&self, timeout: Duration) -> io::Result<()> {
            self.set_read_timeout(timeout)
        }
    }

    struct Stage {
        wire: Wire<Scripted>,
        clock: FakeClock,
        asked: Arc<AtomicUsize>,
    }

    impl Stage {
        /// A wire over a script whose caller stops when it is asked for this time.
        fn new(stops_at: usize, steps: impl IntoIterator<Item = Step>) -> Self {
            let (clock, asked) = (FakeClock::new(), Arc::new(AtomicUsize::new(0)));
            let count = Arc::clone(&asked);
            let waiting = Arc::new(Waiting {
                clock: Clock::Fake(clock.clone()),
                hook: Some(Arc::new(move || count.fetch_add(1, Ordering::Relaxed) + 1 == stops_at)),
                generation: generation::current(),
            });
            let socket = Scripted {
                clock: clock.clone(),
                steps: steps.into_iter().collect(),
                timeout: RefCell::default(),
            };
            let Ok(wire) = Wire::new(socket, waiting, 0) else { panic!("timeouts can be set") };
            Self { wire, clock, asked }
        }

        fn begin(&mut self, deadline: Duration) {
            let now = Clock::Fake(self.clock.clone()).now();
            self.wire.begin(now + nanoseconds(deadline), Some(now));
        }

        /// The cause of a read that fails.
        fn fails(&mut self) -> Cause {
            assert!(self.wire.read(&mut [0]).is_err());
            self.wire.take_trouble().expect("a failure is explained").cause
        }

        /// Which timeouts were set after the first two.
        fn timeouts(&self) -> Vec<u128> {
            self.wire.socket.timeout.borrow()[2..].iter().map(Duration::as_millis).collect()
        }
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn usual_exchanges_set_no_timeout_and_ask_nobody() {
        let mut stage = Stage::new(1, (0..200).map(|_| Step::Bytes(1)));
        for _ in 0..100 {
            stage.begin(SECOND);
            assert_eq!(stage.wire.write(&[0]).unwrap(), 1);
            assert_eq!(stage.wire.read(&mut [0]).unwrap(), 1);
        }
        assert!(stage.timeouts().is_empty());
        assert_eq!(stage.asked.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn equal_short_deadlines_set_a_timeout_once() {
        let mut stage = Stage::new(1, (0..200).map(|_| Step::Bytes(1)));
        for _ in 0..100 {
            stage.begin(Duration::from_millis(50));
            stage.clock.advance(Duration::from_micros(300));
            assert_eq!(stage.wire.write(&[0]).unwrap(), 1);
            assert_eq!(stage.wire.read(&mut [0]).unwrap(), 1);
        }
        assert_eq!(stage.timeouts().len(), 2, "one a direction");
    }

    #[test]
    fn a_wait_is_cut_into_slices_and_the_last_ends_at_the_deadline() {
        let mut stage = Stage::new(99, (0..5).map(|_| Step::Waits(SECOND)));
        stage.begin(Duration::from_millis(850));
        let begin = stage.wire.waiting.clock.now();
        assert_eq!(stage.fails(), Cause::Deadline);
        assert_eq!(stage.wire.waiting.clock.now() - begin, 850_000_000);
        assert_eq!(stage.timeouts(), [50]);
        assert_eq!(stage.asked.load(Ordering::Relaxed), 4);
    }

    #[test]
    fn a_timeout_that_was_too_short_for_this_call_is_made_longer_once() {
        let slow = [Step::Bytes(1), Step::Waits(SECOND), Step::Waits(SECOND), Step::Bytes(1)];
        let mut stage = Stage::new(99, slow);
        stage.begin(Duration::from_millis(20));
        assert_eq!(stage.wire.read(&mut [0]).unwrap(), 1);
        stage.begin(SECOND);
        assert_eq!(stage.wire.read(&mut [0]).unwrap(), 1);
        assert_eq!(stage.timeouts(), [20, 200]);
    }

    #[test]
    fn a_signal_asks_at_once() {
        let mut stage = Stage::new(1, [Step::Fails(ErrorKind::Interrupted)]);
        stage.begin(SECOND);
        assert_eq!(stage.fails(), Cause::Interrupted);
        let goes_on = [Step::Fails(ErrorKind::Interrupted), Step::Bytes(1)];
        let mut stage = Stage::new(99, goes_on);
        stage.begin(SECOND);
        assert_eq!(stage.wire.read(&mut [0]).unwrap(), 1);
    }

    #[test]
    fn a_peer_that_drips_meets_the_deadline_between_two_bytes() {
        let mut stage = Stage::new(99, (0..20).map(|_| Step::Bytes(1)));
        stage.begin(SECOND);
        for _ in 0..10 {
            assert_eq!(stage.wire.read(&mut [0]).unwrap(), 1);
            stage.clock.advance(Duration::from_millis(100));
        }
        assert_eq!(stage.fails(), Cause::Deadline);
    }

    #[test]
    fn only_bytes_that_have_left_are_sent() {
        let mut stage = Stage::new(1, [Step::Fails(ErrorKind::BrokenPipe), Step::Bytes(1)]);
        stage.begin(SECOND);
        assert!(stage.wire.write(&[0]).is_err());
        assert!(!stage.wire.has_sent());
        assert_eq!(stage.wire.take_trouble().unwrap().cause, Cause::Connection);
        assert_eq!(stage.wire.write(&[0]).unwrap(), 1);
        assert!(stage.wire.has_sent());
        stage.begin(SECOND);
        assert!(!stage.wire.has_sent());
    }
}
