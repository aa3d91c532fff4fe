//! Names by which requests find their tier.

use crate::file::{Draft, words};
use crate::report::Report;
use std::collections::BTreeMap;

pub(super) fn check(draft: &Draft, report: &mut Report) {
    let mut taken: BTreeMap<&str, String> = BTreeMap::new();
    for tier in &draft.tiers {
        if let Err(wrong) = words::name(&tier.name) {
            report.problem_at_key(&tier.path, wrong.message, wrong.help);
        }
        taken.insert(&tier.name, format!("the tier `{}` itself", tier.name));
    }
    for tier in &draft.tiers {
        let Some(model) = tier.model.as_deref() else { continue };
        if model == tier.name {
            continue;
        }
        match taken.get(model) {
            Some(other) => {
                let message = format!("a request for the model `{model}` could also mean {other}");
                let help = "give each tier a `model` name of its own, and the engine's name as `served_model`";
                report.problem(&tier.at("model"), message, help);
            }
            None => {
                taken.insert(model, format!("the tier `{}`", tier.name));
            }
        }
    }
}
