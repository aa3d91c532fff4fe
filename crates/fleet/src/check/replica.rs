//! Our own emulated replica as a command: its tier must be the one that it is started for.

use crate::file::Draft;
use crate::file::tier::TierDraft;
use crate::report::Report;
use crate::suggest;

pub(super) fn check(tier: &TierDraft, draft: &Draft, report: &mut Report) {
    let Some(backend) = &tier.backend else { return };
    let words: Vec<_> = backend.command.iter().map(|(_, word)| word.as_str()).collect();
    if !matches!(words[..], ["evenkeel", "replica", ..]) {
        return;
    }
    let Some((at, name)) = named_tier(&words) else {
        let message = "`evenkeel replica` must be told its tier";
        return report.problem(&format!("{}.command", backend.path), message, format!("add `--tier, {}`", tier.name));
    };
    let path = &backend.command[at].0;
    // Names of another file's tiers are not known here.
    let of_this_file = words.iter().any(|word| word.contains("{file}"));
    if name != tier.name && draft.tiers.iter().any(|other| other.name == name) {
        let message = format!("a replica of `{}` would have the speed and the model of `{name}`", tier.name);
        report.warning(path, message, format!("write `{}` unless that is meant", tier.name));
    } else if name != tier.name && of_this_file && report.is_clean(&format!("tiers.{name}")) {
        let known: Vec<_> = draft.tiers.iter().map(|tier| tier.name.as_str()).collect();
        let message = format!("there is no tier `{name}`, so no replica would ever start");
        report.problem(path, message, suggest::instead(name, &known));
    }
}

/// What `--tier gold` or `--tier=gold` names, and at which word.
fn named_tier<'a>(words: &[&'a str]) -> Option<(usize, &'a str)> {
    words.iter().enumerate().find_map(|(at, word)| match word.strip_prefix("--tier=") {
        Some(name) => Some((at, name)),
        None if *word == "--tier" => words.get(at + 1).map(|name| (at + 1, *name)),
        None => None,
    })
}
