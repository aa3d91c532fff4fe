//! Differences between two JSON documents of nearly the same shape, as (path, new value) pairs.

use serde_json::Value;

/// One changed place: JSON pointer and what stands there now.
pub(super) type Change = (String, Value);

/// What must be set in `before` to make it `after`. Objects of the same keys and arrays of the same length are compared
/// inside; anything else that differs is replaced whole.
pub(super) fn delta(before: &Value, after: &Value) -> Vec<Change> {
    let mut changes = Vec::new();
    collect(before, after, &mut String::new(), &mut changes);
    changes
}

fn collect(before: &Value, after: &Value, path: &mut String, changes: &mut Vec<Change>) {
    match (before, after) {
        (Value::Object(old), Value::Object(new)) if old.len() == new.len() && old.keys().eq(new.keys()) => {
            for (key, value) in new {
                step(path, &key.replace('~', "~0").replace('/', "~1"), |path| collect(&old[key], value, path, changes));
            }
        }
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                step(path, &index.to_string(), |path| collect(old, new, path, changes));
            }
        }
        _ if before == after => {}
        _ => changes.push((path.clone(), after.clone())),
    }
}

fn step(path: &mut String, segment: &str, inside: impl FnOnce(&mut String)) {
    let length = path.len();
    path.push('/');
    path.push_str(segment);
    inside(path);
    path.truncate(length);
}

/// Sets `changes` in `document`; `None` if a path leads nowhere.
pub(super) fn apply(mut document: Value, changes: Vec<Change>) -> Option<Value> {
    for (path, value) in changes {
        *document.pointer_mut(&path)? = value;
    }
    Some(document)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_changed_number_is_one_path_and_a_changed_shape_is_replaced_whole() {
        let before = json!({"a": {"b/c": 1, "d": [1, 2]}, "e": {"fresh": 3}});
        let after = json!({"a": {"b/c": 2, "d": [1, 2, 3]}, "e": {"missing": "stale"}});
        let changes = delta(&before, &after);
        let paths: Vec<_> = changes.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, ["/a/b~1c", "/a/d", "/e"]);
        assert_eq!(apply(before, changes), Some(after));
    }

    #[test]
    fn a_path_that_leads_nowhere_is_refused() {
        assert_eq!(apply(json!({}), vec![("/a".to_owned(), json!(1))]), None);
    }
}
