//! Values that keep account of themselves: how many live, and whether one died under a lock.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::{Arc, Weak};

use cachine_core::store::{Host, Mutex, Store};

/// A door whose values, outcomes and wakers are all [`Token`]s.
pub(crate) struct Test;

/// What a token stands for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Value,
    Outcome,
    Waker,
}

/// The books of one store.
#[derive(Default)]
pub(crate) struct Ledger {
    store: RefCell<Weak<Store<Test>>>,
    live: [Cell<usize>; 3],
    last: Cell<u64>,
    woken: RefCell<Vec<u64>>,
    died_under_lock: Cell<bool>,
}

/// Something that notes its own end.
pub(crate) struct Token {
    pub(crate) id: u64,
    kind: Kind,
    ledger: Rc<Ledger>,
}

impl Host for Test {
    type Value = Token;
    type Outcome = Token;
    type Waker = Token;
    type Lock<T> = Mutex<T>;

    fn wake(waker: Token) {
        waker.ledger.woken.borrow_mut().push(waker.id);
        waker.ledger.call_back();
    }
}

impl Ledger {
    /// The books of `store`, which every dying token calls back into.
    pub(crate) fn open(store: &Arc<Store<Test>>) -> Rc<Self> {
        let ledger = Self::default();
        *ledger.store.borrow_mut() = Arc::downgrade(store);
        Rc::new(ledger)
    }

    pub(crate) fn token(self: &Rc<Self>, kind: Kind) -> Token {
        self.last.set(self.last.get() + 1);
        let live = &self.live[kind as usize];
        live.set(live.get() + 1);
        Token { id: self.last.get(), kind, ledger: Rc::clone(self) }
    }

    /// How many tokens of this kind there are.
    pub(crate) fn live(&self, kind: Kind) -> usize {
        self.live[kind as usize].get()
    }

    /// Who was woken since the last time, sorted.
    pub(crate) fn take_woken(&self) -> Vec<u64> {
        let mut woken = self.woken.take();
        woken.sort_unstable();
        woken
    }

    /// Whether nothing died or was woken under the lock of the store.
    pub(crate) fn is_clean(&self) -> bool {
        !self.died_under_lock.get()
    }

    /// What a finalizer may do: use the store again. Where that would block for ever it is noted.
    fn call_back(&self) {
        let Some(store) = self.store.borrow().upgrade() else { return };
        if store.try_each(|_| ()) {
            store.len(None);
        } else {
            self.died_under_lock.set(true);
        }
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        let live = &self.ledger.live[self.kind as usize];
        live.set(live.get() - 1);
        self.ledger.call_back();
    }
}
