//! The fleet file: one collecting reader, places, schema, schedules.
//!
//! `read` turns a text into a [`Fleet`] or into every mistake at once, each with its place, its cause and
//! its fix. `schema` describes the same file as JSON schema. Both come from one declaration: the pages in `file` ask for
//! their keys, and asking over a file reads, asking over nothing describes.

mod check;
mod diff;
mod file;
mod form;
mod later;
pub mod model;
mod place;
mod problem;
mod reference;
mod render;
mod report;
mod restart;
mod scalar;
pub mod schedule;
mod schema;
mod secret;
mod section;
mod suggest;
#[cfg(unix)]
mod surroundings;
mod unit;
mod yaml;

pub use diff::{Change, diff};
pub use problem::{Problem, Problems};
pub use reference::reference;
pub use restart::needs_restart;
pub use schema::schema;
#[cfg(unix)]
pub use surroundings::surroundings;
pub use yaml::LARGEST_FILE_BYTES;

use form::Form;
use model::Fleet;
use place::Place;
use report::Report;

/// Reads a fleet file. `name` is what messages call it, its path as a rule.
///
/// # Errors
/// Every mistake in the file at once; only a file that is not YAML at all gives just the first.
pub fn read(text: &str, name: &str) -> Result<Fleet, Problems> {
    let mut root = yaml::parse(text).map_err(|problem| Problems::new(name, text, vec![problem]))?;
    if root.kind == yaml::Kind::Empty {
        let help = "write `fleet:`, its name, and `tiers:`, its tiers; `examples/game.yaml` is a whole fleet file";
        let problem = Problem::new(Place::START, "", "nothing stands in this file", help);
        return Err(Problems::new(name, text, vec![problem]));
    }
    let mut report = Report::default();
    later::refuse_fake_metric(&mut root, "", &mut report);
    let draft = file::FILE.read(&root, "", &mut report);
    if let Some(draft) = &draft {
        check::check(draft, &mut report);
    }
    let fleet = draft.and_then(file::Draft::build);
    let shown = report.without_hidden(text);
    let (mut problems, warnings, settings) = report.into_parts();
    match fleet {
        Some(fleet) if problems.is_empty() => Ok(Fleet { warnings, settings, ..fleet }),
        _ => {
            if problems.is_empty() {
                let help = "this is a mistake in Evenkeel; please report it with the file";
                problems.push(Problem::new(Place::START, "", "the file could not be understood", help));
            }
            Err(Problems::new(name, &shown, problems))
        }
    }
}
