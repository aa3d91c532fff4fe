//! Things that are numbered one after another and leave in about that order.

use alloc::collections::{BTreeMap, VecDeque};

/// Places that are empty, for each thing that is left, before the oldest are set apart.
const SPARSE: usize = 4;
/// Lists that short are never cleaned up.
const SHORT: usize = 1_024;

/// What was pushed and not taken, by number. Most leave soon, so a list is best; one that stays for long is set apart, so that
/// memory follows how many are left and not how long the oldest stays.
#[derive(Clone, Debug)]
pub struct Sequence<T> {
    /// Number of the front.
    first: u64,
    things: VecDeque<Option<T>>,
    /// Those from before the front.
    stragglers: BTreeMap<u64, T>,
    len: usize,
}

impl<T> Default for Sequence<T> {
    fn default() -> Self {
        Self { first: 0, things: VecDeque::new(), stragglers: BTreeMap::new(), len: 0 }
    }
}

impl<T> Sequence<T> {
    /// Adds the next one; its number is one more than the last one's, and 0 at first.
    pub fn push(&mut self, thing: T) {
        self.things.push_back(Some(thing));
        self.len += 1;
        if self.things.len() > SHORT + 2 * SPARSE * self.len {
            self.set_stragglers_apart();
        }
    }

    /// The thing with this number, unless it was taken.
    pub fn get(&self, number: u64) -> Option<&T> {
        match self.index(number) {
            Some(index) => self.things.get(index)?.as_ref(),
            None => self.stragglers.get(&number),
        }
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        match self.index(number) {
            Some(index) => self.things.get_mut(index)?.as_mut(),
            None => self.stragglers.get_mut(&number),
        }
    }

    /// Takes the thing with this number out.
    pub fn take(&mut self, number: u64) -> Option<T> {
        let taken = match self.index(number) {
            Some(index) => self.things.get_mut(index)?.take(),
            None => self.stragglers.remove(&number),
        }?;
        self.len -= 1;
        while self.things.pop_front_if(|front| front.is_none()).is_some() {
            self.first += 1;
        }
        Some(taken)
    }

    /// How many are left.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether none is left.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Everything that is left, in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.stragglers.values().chain(self.things.iter().flatten())
    }

    /// Moves the oldest out of the list until it is dense again.
    fn set_stragglers_apart(&mut self) {
        while self.things.len() > SPARSE * self.len {
            let Some(front) = self.things.pop_front() else { break };
            if let Some(thing) = front {
                self.stragglers.insert(self.first, thing);
            }
            self.first += 1;
        }
    }

    fn index(&self, number: u64) -> Option<usize> {
        usize::try_from(number.checked_sub(self.first)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    #[test]
    fn things_are_found_by_number_until_they_are_taken() {
        let mut letters = Sequence::default();
        "abcd".chars().for_each(|letter| letters.push(letter));
        assert_eq!((letters.take(1), letters.get(1), letters.get(2)), (Some('b'), None, Some(&'c')));
        assert_eq!(letters.take(0), Some('a'));
        assert_eq!((letters.things.len(), letters.take(0), letters.take(9)), (2, None, None), "the front is given up");
        letters.push('e');
        *letters.get_mut(4).expect("just pushed") = 'f';
        assert_eq!((letters.iter().collect::<String>().as_str(), letters.len()), ("cdf", 3));
    }

    #[test]
    fn one_that_stays_for_ever_keeps_no_room_for_those_that_left() {
        let mut numbers = Sequence::default();
        numbers.push(0_u64);
        for number in 1..100_000 {
            numbers.push(number);
            assert_eq!(numbers.take(number), Some(number));
            assert!(numbers.things.len() <= SHORT + 4 * SPARSE, "{}", numbers.things.len());
        }
        assert_eq!((numbers.get(0), numbers.len(), numbers.iter().count()), (Some(&0), 1, 1));
        *numbers.get_mut(0).expect("it never left") = 7;
        assert_eq!((numbers.take(0), numbers.take(0), numbers.is_empty()), (Some(7), None, true));
    }
}
