//! Who waits for whom, over all stores of the process, so that nobody waits in a circle.
//!
//! A computation that asks for another key waits for that key's computation. Two that ask for
//! each other would wait for ever. Before a wait begins, its edge is tried here; an edge that
//! would close a circle is refused, and the caller computes for itself.

use std::collections::HashMap;

use crate::sync::Mutex;
#[cfg(not(shuttle))]
use crate::sync::lock;

/// The number of a computation under way, unique in the process.
pub type FlightId = u64;

/// From a waiting computation to those it waits for.
type Edges = HashMap<FlightId, Vec<FlightId>>;

#[cfg(not(shuttle))]
fn with<R>(act: impl FnOnce(&mut Edges) -> R) -> R {
    static EDGES: std::sync::LazyLock<Mutex<Edges>> = std::sync::LazyLock::new(Mutex::default);
    act(&mut lock(&EDGES))
}

// The model checker runs each schedule afresh, so its graph belongs to the schedule.
#[cfg(shuttle)]
fn with<R>(act: impl FnOnce(&mut Edges) -> R) -> R {
    shuttle::lazy_static! {
        static ref EDGES: Mutex<Edges> = Mutex::new(HashMap::new());
    }
    act(&mut crate::sync::lock(&EDGES))
}

/// Adds an edge from each of `held` to `target`; false, and no edge, where one closes a circle.
pub(crate) fn try_wait(held: &[FlightId], target: FlightId) -> bool {
    if held.is_empty() {
        return true; // Nobody waits for this caller.
    }
    with(|edges| {
        if reaches(edges, target, held) {
            return false;
        }
        for &from in held {
            edges.entry(from).or_default().push(target);
        }
        true
    })
}

/// Takes the edges of one wait out again.
pub(crate) fn stop_waiting(held: &[FlightId], target: FlightId) {
    if held.is_empty() {
        return;
    }
    with(|edges| {
        for from in held {
            let Some(targets) = edges.get_mut(from) else { continue };
            if let Some(at) = targets.iter().position(|&known| known == target) {
                targets.swap_remove(at);
            }
            if targets.is_empty() {
                edges.remove(from);
            }
        }
    });
}

/// Forgets all edges: after a fork, none of the waiting threads exists any more.
pub(crate) fn forget() {
    with(Edges::clear);
}

fn reaches(edges: &Edges, from: FlightId, goals: &[FlightId]) -> bool {
    let (mut seen, mut open) = (Vec::new(), vec![from]);
    while let Some(at) = open.pop() {
        if goals.contains(&at) {
            return true;
        }
        if !seen.contains(&at) {
            seen.push(at);
            open.extend(edges.get(&at).into_iter().flatten());
        }
    }
    false
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn an_edge_that_closes_a_circle_is_refused_until_another_is_gone() {
        let id = |n: u64| u64::MAX - 1_000 + n; // Apart from what other tests count.
        assert!(try_wait(&[id(1)], id(2)));
        assert!(try_wait(&[id(2)], id(3)));
        assert!(!try_wait(&[id(3)], id(1)));
        assert!(!try_wait(&[id(9), id(3)], id(3)), "a caller never waits for itself");
        stop_waiting(&[id(2)], id(3));
        assert!(try_wait(&[id(3)], id(1)));
        stop_waiting(&[id(3)], id(1));
        stop_waiting(&[id(1)], id(2));
        assert!(try_wait(&[], id(1)));
    }
}
