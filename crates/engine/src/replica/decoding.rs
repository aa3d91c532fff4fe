//! The decoding sequences in the order in which they finish.
//!
//! A batch is small, so a sorted list beats a tree: those that finish first stand last, where they leave for free.

use super::event::RequestId;
use alloc::vec::Vec;

/// When a sequence finishes: the iteration at whose end it has all its tokens, its admission, itself.
pub(super) type Finish = (u64, u64, RequestId);

#[derive(Debug, Default)]
pub(super) struct Decoding {
    /// Falling.
    finishes: Vec<Finish>,
}

impl Decoding {
    pub(super) fn insert(&mut self, finish: Finish) {
        let place = self.finishes.partition_point(|other| *other > finish);
        self.finishes.insert(place, finish);
    }

    pub(super) fn remove(&mut self, finish: &Finish) {
        let place = self.finishes.partition_point(|other| other > finish);
        if self.finishes.get(place) == Some(finish) {
            self.finishes.remove(place);
        }
    }

    pub(super) fn first(&self) -> Option<&Finish> {
        self.finishes.last()
    }

    pub(super) fn pop_first(&mut self) {
        self.finishes.pop();
    }

    pub(super) const fn len(&self) -> usize {
        self.finishes.len()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.finishes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_to_finish_leaves_first_and_any_may_leave_before() {
        let mut decoding = Decoding::default();
        let [early, middle, late] = [(3, 1, RequestId(1)), (3, 2, RequestId(2)), (9, 0, RequestId(0))];
        [middle, late, early].into_iter().for_each(|finish| decoding.insert(finish));
        assert_eq!(decoding.first(), Some(&early));
        decoding.pop_first();
        decoding.remove(&late);
        decoding.remove(&late);
        assert_eq!((decoding.first(), decoding.len()), (Some(&middle), 1));
    }
}
