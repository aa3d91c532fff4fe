//! Changes to an input that readers trip over. The same seed gives the same changes.

use rand_pcg::Pcg32;
use rand_pcg::rand_core::Rng;

/// No input grows beyond this: readers' own limits lie below, and time is better spent on more inputs.
const LONGEST: usize = 96 * 1024;
/// Changes made to one input at most.
const MOST_CHANGES: usize = 12;

/// Numbers at the edges of what integers and floats hold.
const NUMBERS: &[&str] = &[
    "0",
    "-1",
    "1",
    "255",
    "65536",
    "2147483648",
    "4294967295",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "99999999999999999999",
    "1e308",
    "1e-320",
    "0.1",
];

/// Bytes at the edges.
const BYTES: &[u8] = &[0x00, 0x01, 0x7f, 0x80, 0xff, b'\n', b'\r', b' ', b'"', b'{', b'}', b'[', b']', b':', b','];

/// Makes inputs from a corpus.
#[derive(Debug)]
pub struct Mutator<'a> {
    random: Pcg32,
    corpus: &'a [Vec<u8>],
    words: &'a [&'a str],
}

impl<'a> Mutator<'a> {
    /// Mutates `corpus` with `words` that the reader knows, by `seed`.
    pub fn new(seed: u64, corpus: &'a [Vec<u8>], words: &'a [&'a str]) -> Self {
        // An own stream, so that no other use of the same seed draws the same numbers.
        Self { random: Pcg32::new(seed, 0x00f0_22ed), corpus, words }
    }

    /// The next input.
    pub fn next_input(&mut self) -> Vec<u8> {
        let mut input = self.one_of_corpus().to_vec();
        // One change as often as many: the first finds what is near, the others what is far.
        let most = 1 + self.below(MOST_CHANGES);
        let changes = 1 + self.below(most);
        for _ in 0..changes {
            self.change(&mut input);
        }
        input.truncate(LONGEST);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        match self.below(11) {
            0 => self.flip_bit(input),
            1 => self.set_byte(input),
            2 => self.insert_bytes(input),
            3 => self.remove(input),
            4 => self.copy_within(input),
            5 => self.repeat(input),
            6 | 7 => self.put_word(input),
            8 | 9 => self.replace_number(input),
            _ => self.splice(input),
        }
    }

    fn flip_bit(&mut self, input: &mut [u8]) {
        let (at, bit) = (self.below(input.len()), self.below(8));
        if let Some(byte) = input.get_mut(at) {
            *byte ^= 1 << bit;
        }
    }

    fn set_byte(&mut self, input: &mut [u8]) {
        let (at, byte) = (self.below(input.len()), self.edge_or_any());
        if let Some(place) = input.get_mut(at) {
            *place = byte;
        }
    }

    fn insert_bytes(&mut self, input: &mut Vec<u8>) {
        let (at, count) = (self.below(input.len() + 1), 1 + self.below(8));
        let bytes: Vec<u8> = (0..count).map(|_| self.edge_or_any()).collect();
        input.splice(at..at, bytes);
    }

    fn remove(&mut self, input: &mut Vec<u8>) {
        let (start, end) = self.range(input.len());
        input.drain(start..end);
    }

    /// A piece over another piece of the same input.
    fn copy_within(&mut self, input: &mut [u8]) {
        let (start, end) = self.range(input.len());
        let to = self.below(input.len() + 1 - (end - start));
        input.copy_within(start..end, to);
    }

    /// A piece many times over: what is bounded must stay bounded.
    fn repeat(&mut self, input: &mut Vec<u8>) {
        let (start, end) = self.range(input.len());
        let piece = input.get(start..end).unwrap_or_default().to_vec();
        let room = LONGEST.saturating_sub(input.len()) / piece.len().max(1);
        // Mostly a few times; now and then as often as there is room.
        let most = if self.below(8) == 0 { room } else { room.min(8) };
        let times = self.below(most + 1);
        input.splice(end..end, piece.repeat(times));
    }

    /// A word that the reader knows, put in or put over what is there.
    fn put_word(&mut self, input: &mut Vec<u8>) {
        let (words, index) = (self.words, self.below(self.words.len()));
        let Some(word) = words.get(index) else { return };
        let at = self.below(input.len() + 1);
        let over = if self.below(2) == 0 { 0 } else { word.len().min(input.len() - at) };
        input.splice(at..at + over, word.bytes());
    }

    /// Another number in the place of one that is there.
    fn replace_number(&mut self, input: &mut Vec<u8>) {
        let from = self.below(input.len());
        let is_digit = |byte: &u8| byte.is_ascii_digit();
        let Some(start) = input.iter().skip(from).position(is_digit).map(|distance| from + distance) else { return };
        let length = input.iter().skip(start).take_while(|byte| is_digit(byte)).count();
        let index = self.below(NUMBERS.len());
        input.splice(start..start + length, NUMBERS.get(index).copied().unwrap_or("0").bytes());
    }

    /// The start of this input with the end of another one.
    fn splice(&mut self, input: &mut Vec<u8>) {
        let other = self.one_of_corpus();
        let (keep, from) = (self.below(input.len() + 1), self.below(other.len() + 1));
        input.truncate(keep);
        input.extend_from_slice(other.get(from..).unwrap_or_default());
    }

    fn one_of_corpus(&mut self) -> &'a [u8] {
        let index = self.below(self.corpus.len());
        self.corpus.get(index).map_or(&[], Vec::as_slice)
    }

    /// A range of at most 64 bytes as a rule, now and then of any length.
    fn range(&mut self, length: usize) -> (usize, usize) {
        let start = self.below(length + 1);
        let longest = if self.below(4) == 0 { length } else { 64 };
        (start, start + self.below((length - start).min(longest) + 1))
    }

    fn edge_or_any(&mut self) -> u8 {
        let index = self.below(BYTES.len() * 2);
        BYTES.get(index).copied().unwrap_or_else(|| self.random.next_u32() as u8)
    }

    /// A number below `end`; 0 where there is none.
    fn below(&mut self, end: usize) -> usize {
        // The remainder prefers small numbers by less than a millionth.
        (self.random.next_u64() % (end.max(1) as u64)) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(seed: u64) -> Vec<Vec<u8>> {
        let corpus = [b"{\"a\": 17}".to_vec(), b"b 4.5\nc 6\n".to_vec()];
        let mut mutator = Mutator::new(seed, &corpus, &["NaN", "{}"]);
        (0..2_000).map(|_| mutator.next_input()).collect()
    }

    #[test]
    fn a_seed_gives_the_same_inputs_and_another_seed_others() {
        assert_eq!(inputs(1), inputs(1));
        assert_ne!(inputs(1), inputs(2));
    }

    #[test]
    fn inputs_are_many_bounded_and_know_the_words_and_edges() {
        let all = inputs(1);
        let different: std::collections::BTreeSet<_> = all.iter().collect();
        assert!(different.len() > 1_500, "{}", different.len());
        assert!(all.iter().all(|input| input.len() <= LONGEST));
        assert!(all.iter().any(|input| input.len() > LONGEST / 2));
        let holds = |needle: &[u8]| all.iter().any(|input| input.windows(needle.len()).any(|it| it == needle));
        assert!(holds(b"NaN") && holds(b"18446744073709551615"));
    }

    #[test]
    fn an_empty_corpus_gives_inputs_too() {
        let mut mutator = Mutator::new(1, &[], &[]);
        assert!((0..100).map(|_| mutator.next_input()).any(|input| !input.is_empty()));
    }
}
