//! Who is first among numbered players, by a key that changes often.
//!
//! A tree of winners: changing one player's key replays its games on the way up, so both the change and the question are
//! O(log n) and nothing is allocated. Equal keys go by the number, which makes the order total.

use alloc::vec;
use alloc::vec::Vec;

/// Each player's key; one without a key beats nobody.
#[derive(Clone, Debug)]
pub struct Tournament<K> {
    keys: Vec<Option<K>>,
    /// Winners of the games; 1 is the final, the games of `n` come from `2n` and `2n + 1`. As many as players, a power of two.
    winners: Vec<u32>,
}

impl<K> Default for Tournament<K> {
    fn default() -> Self {
        Self { keys: Vec::new(), winners: Vec::new() }
    }
}

impl<K: Copy + Ord> Tournament<K> {
    /// Sets a player's key; `None` for one that is out.
    pub fn set(&mut self, player: u32, key: Option<K>) {
        if player as usize >= self.keys.len() {
            self.grow(player as usize + 1);
        }
        self.keys[player as usize] = key;
        let mut game = (self.keys.len() + player as usize) / 2;
        while game > 0 {
            let winner = self.winner_of(game);
            // A game that others win as before changes nothing above it.
            if winner == self.winners[game] && winner != player {
                break;
            }
            self.winners[game] = winner;
            game /= 2;
        }
    }

    /// The smallest key and whose it is.
    pub fn first(&self) -> Option<(K, u32)> {
        let winner = *self.winners.get(1)?;
        self.keys[winner as usize].map(|key| (key, winner))
    }

    /// Everyone with a key, in order: for when the first will not do.
    pub fn in_order(&self) -> Vec<u32> {
        let mut players: Vec<(K, u32)> =
            self.keys.iter().zip(0..).filter_map(|(key, player)| key.map(|key| (key, player))).collect();
        players.sort_unstable();
        players.into_iter().map(|(_, player)| player).collect()
    }

    fn winner_of(&self, game: usize) -> u32 {
        let (left, right) = (self.player_in(2 * game), self.player_in(2 * game + 1));
        match (self.keys[left as usize], self.keys[right as usize]) {
            (None, Some(_)) => right,
            (Some(one), Some(other)) if other < one => right,
            _ => left,
        }
    }

    fn player_in(&self, seat: usize) -> u32 {
        if seat < self.keys.len() { self.winners[seat] } else { (seat - self.keys.len()) as u32 }
    }

    fn grow(&mut self, players: usize) {
        // With a single player there is no game.
        let players = players.next_power_of_two().max(2);
        self.keys.resize(players, None);
        self.winners = vec![0; players];
        for game in (1..players).rev() {
            self.winners[game] = self.winner_of(game);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nobody_is_first_where_nobody_has_a_key() {
        let mut tournament = Tournament::default();
        assert_eq!(tournament.first(), None);
        tournament.set(0, Some(5));
        assert_eq!(tournament.first(), Some((5, 0)));
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
                tournament.set(player, key);
                plain[player as usize] = key;
                let mut expected: Vec<(i64, u32)> =
                    plain.iter().zip(0..).filter_map(|(key, player)| Some(((*key)?, player))).collect();
                expected.sort_unstable();
                prop_assert_eq!(tournament.first(), expected.first().copied());
                let players: Vec<u32> = expected.iter().map(|it| it.1).collect();
                prop_assert_eq!(tournament.in_order(), players);
            }
        }
    }
}
