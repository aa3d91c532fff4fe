//! Whose moment is next: a tournament among numbered players.
//!
//! A tree of winners: changing one player's moment replays its games on the way up, so both the change and the question
//! are O(log n) and nothing is allocated. Equal moments go by the number, which makes the order total.

use evenkeel_core::units::Time;

/// A moment that never comes.
const NEVER: Time = Time::from_micros(i64::MAX);

/// Each player's next moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Timetable {
    at: Vec<Time>,
    /// Winners of the games; 1 is the final, the games of `n` come from `2n` and `2n + 1`. As many as players, a power of two.
    winners: Vec<u32>,
}

impl Timetable {
    /// Sets a player's next moment; `None` for none.
    pub(super) fn set(&mut self, player: u32, at: Option<Time>) {
        if player as usize >= self.at.len() {
            self.grow(player as usize + 1);
        }
        self.at[player as usize] = at.unwrap_or(NEVER);
        let mut game = (self.at.len() + player as usize) / 2;
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

    /// The earliest moment and whose it is.
    pub(super) fn first(&self) -> Option<(Time, u32)> {
        let winner = *self.winners.get(1)?;
        let at = self.at[winner as usize];
        (at < NEVER).then_some((at, winner))
    }

    fn winner_of(&self, game: usize) -> u32 {
        let (left, right) = (self.player_in(2 * game), self.player_in(2 * game + 1));
        if self.at[right as usize] < self.at[left as usize] { right } else { left }
    }

    fn player_in(&self, seat: usize) -> u32 {
        if seat < self.at.len() { self.winners[seat] } else { (seat - self.at.len()) as u32 }
    }

    fn grow(&mut self, players: usize) {
        // With a single player there is no game.
        let players = players.next_power_of_two().max(2);
        self.at.resize(players, NEVER);
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
    fn nobody_is_first_where_nobody_has_a_moment() {
        let mut timetable = Timetable::default();
        assert_eq!(timetable.first(), None);
        timetable.set(0, Some(Time::from_micros(5)));
        assert_eq!(timetable.first(), Some((Time::from_micros(5), 0)));
        timetable.set(0, None);
        assert_eq!(timetable.first(), None);
    }

    proptest! {
        #[test]
        fn the_first_is_the_earliest_and_among_equals_the_lowest_number(
            changes in prop::collection::vec((0u32..20, prop::option::of(0i64..8)), 1..60),
        ) {
            let (mut timetable, mut plain) = (Timetable::default(), [None; 20]);
            for (player, at) in changes {
                let at = at.map(Time::from_micros);
                timetable.set(player, at);
                plain[player as usize] = at;
                let expected = plain.iter().enumerate().filter_map(|(index, at)| Some(((*at)?, index as u32))).min();
                prop_assert_eq!(timetable.first(), expected);
            }
        }
    }
}
