//! What a reload would change, in the words of the file.

use crate::model::Fleet;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt;

/// One key that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The key, for example `tiers.gold.replicas.maximum`.
    pub path: String,
    /// Its value before, defaults included; `None` where it did not stand.
    pub before: Option<String>,
    /// Its value now; `None` where it stands no longer.
    pub after: Option<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "(not written)".to_owned());
        write!(f, "{}: {} -> {}", self.path, shown(&self.before), shown(&self.after))
    }
}

/// Every key whose value differs, by path. The same value in another spelling (`60s`, `1m`) is no change.
pub fn diff(old: &Fleet, new: &Fleet) -> Vec<Change> {
    let paths: BTreeSet<&String> = old.settings.keys().chain(new.settings.keys()).collect();
    paths
        .into_iter()
        .map(|path| Change {
            path: path.clone(),
            before: old.settings.get(path).cloned(),
            after: new.settings.get(path).cloned(),
        })
        .filter(|change| change.before != change.after)
        .collect()
}
