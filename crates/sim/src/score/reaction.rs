//! How long demand that rose above the ready replicas waited for more.

/// Median over the rises of whole demand above the `ready` replicas, in slots: from the first that is short until enough
/// are ready again. One that is short to the end counts up to there. `None` where demand never rose above them; being short
/// because replicas went is no rise, and what went before the first slot is not known.
pub(super) fn median_slots(demand: &[f64], ready: &[u32]) -> Option<f64> {
    let needed = |slot: usize| libm::ceil(demand[slot]) as u32;
    let is_short = |slot: usize| needed(slot) > ready[slot];
    let rises =
        (1..demand.len()).filter(|&slot| is_short(slot) && !is_short(slot - 1) && needed(slot) > needed(slot - 1));
    let mut waits: Vec<usize> =
        rises.map(|from| (from..demand.len()).find(|&slot| !is_short(slot)).unwrap_or(demand.len()) - from).collect();
    waits.sort_unstable();
    let upper = *waits.get(waits.len() / 2)?;
    let lower = waits[(waits.len() - 1) / 2];
    Some((lower + upper) as f64 / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rise_waits_until_enough_are_ready_even_if_it_rises_on() {
        let (demand, ready) = ([1.0, 1.5, 2.5, 2.5, 2.5], [1, 1, 1, 2, 3]);
        assert_eq!(median_slots(&demand, &ready), Some(3.0));
    }

    #[test]
    fn the_median_of_two_is_the_mean_and_what_never_ends_counts_to_the_end() {
        let (demand, ready) = ([1.0, 2.0, 2.0, 3.0, 3.0, 3.0], [1, 1, 2, 2, 2, 2]);
        assert_eq!(median_slots(&demand, &ready), Some((1.0 + 3.0) / 2.0));
    }

    #[test]
    fn replicas_that_went_and_room_that_was_there_are_no_rise() {
        assert_eq!(median_slots(&[2.0, 2.0, 2.0], &[2, 1, 2]), None);
        assert_eq!(median_slots(&[1.0, 2.0, 3.0], &[3, 3, 3]), None);
        assert_eq!(median_slots(&[2.0, 2.0], &[1, 2]), None);
        assert_eq!(median_slots(&[], &[]), None);
    }
}
