//! Schedule: the floor of the entry that is active now.

use super::{Advice, View};
use crate::decision::Why;

pub(super) fn advise(view: &View<'_>) -> Advice {
    let entry = view.schedule.map(|it| it.entry.clone());
    Advice::count(view.schedule.map_or(0, |it| it.at_least), Why::Scheduled { entry })
}
