//! Who is first among numbered players, by a key that changes often.
//!
//! A tree of winners: changing one player's key replays its games on the way up, so both the change and the question are
//! O(log n) and nothing is allocated. Equal keys go by the number, which makes the order total.

use alloc::vec;
use alloc::vec::Vec;
use evenkeel_core::units::Time;

/// Players of a game. Four stand beside each other in memory, and the tree is half as high as one of two.
const GAME: usize = 4;

/// What players are ranked by.
pub trait Key: Copy + Ord {
    /// After every other key: that of one who is out.
    const LAST: Self;
}

impl Key for Time {
    const LAST: Self = Self::from_micros(i64::MAX);
}

/// Each player's key; one without a key beats nobody.
#[derive(Clone, Debug)]
pub struct Tournament<K> {
    /// Winners of the games with their keys: 0 is the final, four play each game `n`, those of `4n + 1` to `4n + 4`, and the
    /// last are the players themselves, a power of four.
    seats: Vec<(K, u32)>,
}

impl<K> Default for Tournament<K> {
    fn default() -> Self {
        Self { seats: Vec::new() }
    }
}

impl<K: Key> Tournament<K> {
    /// Sets a player's key; `None` for one that is out.
    pub fn set(&mut self, player: u32, key: Option<K>) {
        if player as usize >= self.players() {
            self.grow(player as usize + 1);
        }
        let mut seat = self.games() + player as usize;
        self.seats[seat].0 = key.unwrap_or(K::LAST);
        while seat > 0 {
            seat = (seat - 1) / GAME;
            let winner = self.winner_of(seat);
            // A game with the winner that it had changes nothing above it.
            if winner == self.seats[seat] {
                break;
            }
            self.seats[seat] = winner;
        }
    }

    /// The smallest key and whose it is.
    pub fn first(&self) -> Option<(K, u32)> {
        self.seats.first().copied().filter(|winner| winner.0 < K::LAST)
    }

    /// Everyone with a key, in order: for when the first will not do.
    pub fn in_order(&self) -> Vec<u32> {
        let players = self.seats[self.games()..].iter().copied();
        let mut players: Vec<(K, u32)> = players.filter(|player| player.0 < K::LAST).collect();
        players.sort_unstable();
        players.into_iter().map(|(_, player)| player).collect()
    }

    /// With p players there are (p - 1) / 3 games.
    const fn games(&self) -> usize {
        self.seats.len() / GAME
    }

    const fn players(&self) -> usize {
        self.seats.len() - self.games()
    }

    fn winner_of(&self, game: usize) -> (K, u32) {
        let first = GAME * game + 1;
        let mut winner = self.seats[first];
        for &other in &self.seats[first + 1..first + GAME] {
            winner = if other.0 < winner.0 { other } else { winner };
        }
        winner
    }

    fn grow(&mut self, players: usize) {
        let mut room = 1;
        while room < players {
            room *= GAME;
        }
        let games = (room - 1) / (GAME - 1);
        let mut seats = vec![(K::LAST, 0); games + room];
        for (player, seat) in (0..).zip(&mut seats[games..]) {
            seat.1 = player;
        }
        seats[games..games + self.players()].copy_from_slice(&self.seats[self.games()..]);
        self.seats = seats;
        for game in (0..games).rev() {
            self.seats[game] = self.winner_of(game);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(micros: i64) -> Time {
        Time::from_micros(micros)
    }

    #[test]
    fn nobody_is_first_where_nobody_has_a_key() {
        let mut tournament = Tournament::default();
        assert_eq!(tournament.first(), None);
        tournament.set(0, Some(at(5)));
        assert_eq!(tournament.first(), Some((at(5), 0)));
        tournament.set(0, None);
        assert_eq!(tournament.first(), None);
    }

    proptest! {
        #[test]
        fn the_first_has_the_smallest_key_and_among_equals_the_lowest_number(
            changes in prop::collection::vec((0u32..20, prop::option::of(0i64..8)), 1..60),
        ) {
            let (mut tournament, mut plain) = (Tournament::default(), [None; 20]);
            for (player, key) in changes {
                let key = key.map(at);
                tournament.set(player, key);
                plain[player as usize] = key;
                let mut expected: Vec<(Time, u32)> =
                    plain.iter().zip(0..).filter_map(|(key, player)| Some(((*key)?, player))).collect();
                expected.sort_unstable();
                prop_assert_eq!(tournament.first(), expected.first().copied());
                let players: Vec<u32> = expected.iter().map(|it| it.1).collect();
                prop_assert_eq!(tournament.in_order(), players);
            }
        }
    }
}
