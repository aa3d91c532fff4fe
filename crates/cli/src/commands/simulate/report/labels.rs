//! Numbers beside points, so that none covers another or a point.

/// A place in a picture.
pub(super) type Place = (f64, f64);

/// Room of a number of two digits, half of it each way.
const HALF: Place = (9.0, 8.0);
/// Half of a point's room.
const POINT: Place = (5.5, 5.5);
/// How far from its point a number may stand.
const DISTANCES: [f64; 4] = [15.0, 26.0, 38.0, 50.0];
/// Eight ways, in the order in which they are tried: beside before above.
const WAYS: [Place; 8] =
    [(1.0, 0.0), (-1.0, 0.0), (0.0, -1.0), (0.0, 1.0), (0.7, -0.7), (-0.7, -0.7), (0.7, 0.7), (-0.7, 0.7)];

/// For each of `points` the middle of its number: as near as may be, inside `room` (its left upper and right lower
/// corner). Where all places are taken it stands at the first.
pub(super) fn places(points: &[Place], room: (Place, Place)) -> Vec<Place> {
    let mut placed: Vec<Place> = Vec::new();
    for &(x, y) in points {
        let all = DISTANCES.iter().flat_map(|far| WAYS.iter().map(move |way| (x + far * way.0, y + far * way.1)));
        let is_free = |place: &Place| {
            is_inside(*place, room)
                && placed.iter().all(|other| !cover(*place, *other, HALF))
                && points.iter().all(|point| !cover(*place, *point, POINT))
        };
        let mut candidates = all.clone();
        placed.push(candidates.find(is_free).unwrap_or((x + DISTANCES[0], y)));
    }
    placed
}

fn is_inside((x, y): Place, ((left, top), (right, bottom)): (Place, Place)) -> bool {
    x - HALF.0 >= left && x + HALF.0 <= right && y - HALF.1 >= top && y + HALF.1 <= bottom
}

/// Whether a number at one place covers a thing, of so much room each way, at the other.
fn cover(one: Place, other: Place, room: Place) -> bool {
    (one.0 - other.0).abs() < HALF.0 + room.0 && (one.1 - other.1).abs() < HALF.1 + room.1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ROOM: (Place, Place) = ((0.0, 0.0), (1_000.0, 300.0));

    #[test]
    fn a_number_stands_beside_its_point_and_gives_way_to_points_and_numbers() {
        assert_eq!(places(&[(100.0, 100.0)], ROOM), [(115.0, 100.0)]);
        assert_eq!(places(&[(100.0, 100.0), (120.0, 100.0)], ROOM), [(85.0, 100.0), (135.0, 100.0)]);
        assert_eq!(places(&[(995.0, 100.0)], ROOM), [(980.0, 100.0)], "not over the edge");
    }

    proptest! {
        #[test]
        fn no_number_covers_another_or_a_point_unless_they_crowd(
            points in prop::collection::vec((100.0f64..900.0, 60.0f64..240.0), 1..8),
        ) {
            let placed = places(&points, ROOM);
            for (index, place) in placed.iter().enumerate() {
                prop_assert!(points.iter().all(|point| !cover(*place, *point, POINT)));
                prop_assert!(placed[..index].iter().all(|other| !cover(*place, *other, HALF)));
            }
        }
    }
}
