//! Charts of players as SteamDB exports them (`steamdb_chart_730.csv`).
//!
//! The header is `"DateTime","Players","Average Players"`, or `"DateTime","Users",...` for the whole of Steam, quoted
//! or not, with commas or semicolons; more columns may follow. Times are UTC. The farther back, the farther apart the
//! lines: 10 minutes, an hour, a day. A cell is empty where nothing was measured, as before a game's release.

use super::{Row, count};
use crate::calendar;
use crate::lines::shown;
use crate::series::SeriesError;

const TIME: &str = "DateTime";

/// Columns that hold players.
const PLAYERS: [&str; 2] = ["Players", "Users"];

/// How the lines of one export are to be understood.
pub(super) struct SteamDb {
    separator: char,
    players: usize,
    width: usize,
}

impl SteamDb {
    /// Whether this first line is a header of SteamDB's.
    pub(super) fn begins(first: &str) -> bool {
        first.trim_start_matches('"').starts_with(TIME)
    }

    pub(super) fn with_header(line: usize, header: &str) -> Result<Self, SeriesError> {
        let separator = if header.contains(';') { ';' } else { ',' };
        let names: Vec<&str> = header.split(separator).map(cell).collect();
        let players = names.iter().position(|name| PLAYERS.contains(name));
        let players = players.ok_or_else(|| SeriesError::NoPlayersColumn { line, text: shown(header) })?;
        Ok(Self { separator, players, width: names.len() })
    }

    /// `None` where nothing was measured.
    pub(super) fn row(&self, line: usize, text: &str) -> Result<Option<Row>, SeriesError> {
        let nonsense = || SeriesError::SteamDb { line, text: shown(text) };
        let cells: Vec<&str> = text.split(self.separator).map(cell).collect();
        let (Some(time), Some(players)) = (cells.first(), cells.get(self.players)) else { return Err(nonsense()) };
        let at = calendar::since_1970(time).filter(|_| cells.len() == self.width).ok_or_else(nonsense)?;
        if players.is_empty() {
            return Ok(None);
        }
        let players = count(line, "players", players)?;
        Ok(Some(Row { unix_s: at.as_secs_f64(), players, filled: false }))
    }
}

/// What stands in a cell, without the quotes about it.
fn cell(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::series::PlayersSeries;

    fn read(text: &str) -> PlayersSeries {
        PlayersSeries::from_bytes(text.as_bytes()).unwrap()
    }

    #[test]
    fn an_export_is_read_quoted_or_not_with_commas_or_semicolons() {
        let plain = read("unix_s,value\n0,8003\n3600,7277\n4200,7425\n");
        let quoted = "\"DateTime\",\"Players\",\"Average Players\"\n\"2026-09-16 00:00:00\",8003,9430\n\
                      \"2026-09-16 01:00:00\",7277,9650\n\"2026-09-16 01:10:00\",7425,\n";
        assert_eq!(read(quoted), plain);
        assert_eq!(read(&quoted.replace('"', "").replace(',', ";")), plain);
        let steam = "DateTime;Users;In-Game\n2026-09-16 00:00:00;8003;5\n2026-09-16 01:00:00;7277;5\n\
                     2026-09-16 01:10:00;7425;5\n";
        assert_eq!(read(steam), plain);
    }

    #[test]
    fn an_empty_cell_is_a_gap_and_not_zero_players() {
        let read = read(
            "DateTime,Players\n2026-09-16 00:00:00,\n2026-09-16 01:00:00,10\n2026-09-16 02:00:00,\n\
                         2026-09-16 03:00:00,30\n",
        );
        assert_eq!(read.points().len(), 2);
        assert_eq!(read.at(evenkeel_core::units::Span::from_secs(3_600)), 20.0);
    }

    #[test]
    fn every_refusal_names_the_line_and_the_cause() {
        let refused = |text: &str| PlayersSeries::from_bytes(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(
            refused("\"DateTime\",\"Final price\"\n"),
            "line 1: `\"DateTime\",\"Final price\"` has no column `Players` or `Users`; export the chart of players"
        );
        let nonsense =
            "is no line of this export; expected its header's columns, a time such as `2024-05-10 18:00:00` first";
        for line in ["yesterday,5", "2026-09-16 00:00:00", "2026-09-16 00:00:00,5,6"] {
            assert_eq!(refused(&format!("DateTime,Players\n{line}\n")), format!("line 2: `{line}` {nonsense}"));
        }
        let many = refused("DateTime,Players\n2026-09-16 00:00:00,many\n");
        assert_eq!(many, "line 2: `many` is not a number; players must be one");
        assert!(refused("DateTime,Players\n2026-09-16 00:00:00,-1\n").contains("a count cannot be negative"));
        assert!(refused("DateTime,Players\n2026-09-16 00:00:00,\n").contains("holds no points"));
    }
}
