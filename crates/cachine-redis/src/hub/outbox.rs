//! Batches that wait to be written, in segments that are written one at a time.

use std::collections::VecDeque;

/// A segment takes another batch while it is shorter than this, in bytes. It is what a transport of
/// asyncio buffers before it asks for a pause, so a stalled server never holds much more than that
/// there; the rest stays here, where a batch whose caller is gone can still be taken back.
const FULL: usize = 64 << 10;

/// The batches of one connection that were not written yet.
#[derive(Default)]
pub(super) struct Outbox {
    segments: VecDeque<Segment>,
    /// The number of the first segment; they are counted up for ever.
    first: u64,
    /// An emptied segment, to be filled again without allocating.
    spare: Option<Segment>,
}

/// Some batches, end to end.
#[derive(Default)]
pub(super) struct Segment {
    pub(super) bytes: Vec<u8>,
    /// The place of each batch, and its length in bytes.
    pub(super) batches: Vec<(u32, usize)>,
}

impl Outbox {
    pub(super) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Adds a batch; the number of the segment that it is in.
    pub(super) fn push(&mut self, place: u32, bytes: &[u8]) -> u64 {
        if self.segments.back().is_none_or(|last| last.bytes.len() >= FULL) {
            self.segments.push_back(self.spare.take().unwrap_or_default());
        }
        if let Some(last) = self.segments.back_mut() {
            last.bytes.extend_from_slice(bytes);
            last.batches.push((place, bytes.len()));
        }
        self.first + self.segments.len() as u64 - 1
    }

    /// Takes the first segment out.
    pub(super) fn pop(&mut self) -> Option<Segment> {
        let segment = self.segments.pop_front()?;
        self.first += 1;
        self.trim();
        Some(segment)
    }

    /// Gives back a segment that was written.
    pub(super) fn recycle(&mut self, mut segment: Segment) {
        if segment.bytes.capacity() <= FULL && segment.batches.capacity() <= 1024 {
            segment.bytes.clear();
            segment.batches.clear();
            self.spare = Some(segment);
        }
    }

    /// Takes a batch back.
    pub(super) fn remove(&mut self, place: u32, segment: u64) {
        let Some(index) = segment.checked_sub(self.first).and_then(|n| usize::try_from(n).ok())
        else {
            return;
        };
        let Some(found) = self.segments.get_mut(index) else { return };
        let mut start = 0;
        for at in 0..found.batches.len() {
            let (other, length) = found.batches[at];
            if other == place {
                found.batches.remove(at);
                found.bytes.drain(start..start + length);
                break;
            }
            start += length;
        }
        self.trim();
    }

    /// Drops segments at both ends from which every batch was taken back.
    fn trim(&mut self) {
        let is_void = |segment: &Segment| segment.batches.is_empty();
        while self.segments.front().is_some_and(is_void) {
            self.segments.pop_front();
            self.first += 1;
        }
        while self.segments.back().is_some_and(is_void) {
            self.segments.pop_back();
        }
    }

    /// Takes everything out: the places of the batches.
    pub(super) fn drain(&mut self) -> Vec<u32> {
        self.first += self.segments.len() as u64;
        let segments = std::mem::take(&mut self.segments);
        segments.iter().flat_map(|segment| &segment.batches).map(|&(place, _)| place).collect()
    }

    /// Lets go of what a burst left behind.
    pub(super) fn shrink(&mut self) {
        if self.segments.is_empty() {
            self.segments.shrink_to(8);
        }
    }
}
