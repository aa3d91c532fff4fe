//! Files import one another in one direction only, so that each can be read with what it stands on and nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use regex_lite::Regex;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

type Imports = BTreeMap<String, BTreeSet<String>>;

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { sources(&path, found) } else { found.push(path) }
    }
}

/// `file/policy.rs` as `file::policy`, `file/mod.rs` as `file`, `lib.rs` as nothing.
fn module(path: &Path) -> String {
    let name = path.with_extension("").to_str().unwrap().replace('/', "::");
    name.trim_end_matches("lib").trim_end_matches("mod").trim_end_matches("::").to_owned()
}

/// The file that defines what stands at `path`: the longest beginning of it that is a file.
fn owner(path: &str, files: &BTreeSet<String>) -> String {
    let words: Vec<_> = path.split("::").collect();
    (1..=words.len())
        .rev()
        .map(|length| words[..length].join("::"))
        .find(|name| files.contains(name))
        .unwrap_or_default()
}

/// What each file names with `crate::`, groups taken apart.
fn imports() -> Imports {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    sources(&root, &mut paths);
    let files: BTreeSet<_> = paths.iter().map(|path| module(path.strip_prefix(&root).unwrap())).collect();
    let named = Regex::new(r"\bcrate::((?:\w+::)*)(?:\{([^}]*)\}|(\w+))").unwrap();
    let mut imports = Imports::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        let file = module(path.strip_prefix(&root).unwrap());
        let of = imports.entry(file.clone()).or_default();
        for found in named.captures_iter(&text) {
            let group = found.get(2).or(found.get(3)).unwrap().as_str();
            let items = group.split(',').map(|item| format!("{}{}", &found[1], item.trim()));
            of.extend(items.map(|item| owner(&item, &files)).filter(|other| *other != file));
        }
    }
    imports
}

/// Whether `to` is reached from `from`, and by which way.
fn way(imports: &Imports, from: &str, to: &str, seen: &mut BTreeSet<String>) -> Option<Vec<String>> {
    for next in imports.get(from)? {
        if next == to {
            return Some(vec![next.clone()]);
        }
        if seen.insert(next.clone())
            && let Some(rest) = way(imports, next, to, seen)
        {
            return Some([vec![next.clone()], rest].concat());
        }
    }
    None
}

#[test]
fn no_file_imports_itself_by_way_of_others() {
    let imports = imports();
    assert!(imports["section"].contains("form") && imports["file::tier"].contains("file::policy"), "{imports:#?}");
    let circles: Vec<_> = imports
        .keys()
        .filter_map(|file| {
            way(&imports, file, file, &mut BTreeSet::new()).map(|way| format!("{file} -> {}", way.join(" -> ")))
        })
        .collect();
    assert!(circles.is_empty(), "{circles:#?}");
}
