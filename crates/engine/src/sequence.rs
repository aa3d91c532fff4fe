//! Things that are numbered one after another and leave in about that order.

use alloc::collections::VecDeque;

/// What was pushed and not taken, by number. Memory follows the distance from the oldest that is left to the newest.
#[derive(Clone, Debug)]
pub struct Sequence<T> {
    /// Number of the front.
    first: u64,
    things: VecDeque<Option<T>>,
    len: usize,
}

impl<T> Default for Sequence<T> {
    fn default() -> Self {
        Self { first: 0, things: VecDeque::new(), len: 0 }
    }
}

impl<T> Sequence<T> {
    /// Adds the next one; its number is one more than the last one's, and 0 at first.
    pub fn push(&mut self, thing: T) {
        self.things.push_back(Some(thing));
        self.len += 1;
    }

    /// The thing with this number, unless it was taken.
    pub fn get(&self, number: u64) -> Option<&T> {
        self.things.get(self.index(number)?)?.as_ref()
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        let index = self.index(number)?;
        self.things.get_mut(index)?.as_mut()
    }

    /// Takes the thing with this number out.
    pub fn take(&mut self, number: u64) -> Option<T> {
        let index = self.index(number)?;
        let taken = self.things.get_mut(index)?.take()?;
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
        self.things.iter().flatten()
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
}
