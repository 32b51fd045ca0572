//! What the program may say: a JSON object, within bounds, free of secrets.

use serde_json::{Map, Value};

use crate::redact;

/// Most bytes that it may say.
pub(super) const MAX_BYTES: usize = 16 * 1024;

/// Most values, at all levels together.
const MAX_VALUES: usize = 64;

/// Most levels of objects and arrays, the object itself being the first.
const MAX_DEPTH: usize = 4;

/// Longest key, bytes.
const MAX_KEY: usize = 64;

/// Reads what the program said. `None` if it is no object, or out of bounds.
pub(super) fn read(said: &[u8]) -> Option<Map<String, Value>> {
    if said.len() > MAX_BYTES {
        return None;
    }
    // Its reader goes no more than 128 levels deep.
    let fields: Map<String, Value> = serde_json::from_slice(said).ok()?;
    let mut left = MAX_VALUES;
    object(fields, 1, &mut left)
}

fn object(
    fields: Map<String, Value>,
    depth: usize,
    left: &mut usize,
) -> Option<Map<String, Value>> {
    let mut taken = Map::new();
    for (key, field) in fields {
        if !is_key(&key) {
            return None;
        }
        // Records have no null: what is unknown is absent.
        if !field.is_null() {
            // A name can make a value a secret.
            let is_secret = matches!(&field, Value::String(text) if !text.is_empty())
                && redact::text(format!("{key}=x").as_bytes()).ends_with(redact::REDACTED);
            let field = value(field, depth, left)?;
            taken.insert(
                key,
                if is_secret {
                    redact::REDACTED.into()
                } else {
                    field
                },
            );
        }
    }
    Some(taken)
}

fn value(field: Value, depth: usize, left: &mut usize) -> Option<Value> {
    *left = left.checked_sub(1)?;
    if depth == MAX_DEPTH && (field.is_object() || field.is_array()) {
        return None;
    }
    Some(match field {
        Value::String(text) => Value::String(redact::text(text.as_bytes())),
        Value::Array(items) => Value::Array(
            items
                .into_iter()
                .filter(|item| !item.is_null())
                .map(|item| value(item, depth + 1, left))
                .collect::<Option<_>>()?,
        ),
        Value::Object(fields) => Value::Object(object(fields, depth + 1, left)?),
        other => other,
    })
}

fn is_key(key: &str) -> bool {
    !key.is_empty()
        && key.len() <= MAX_KEY
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

/// Memory that an answer owns, bytes; an estimate.
pub(super) fn heap_bytes(fields: &Map<String, Value>) -> usize {
    let of_value = |value: &Value| match value {
        Value::String(text) => text.capacity(),
        Value::Array(items) => items.iter().map(|it| 64 + it.to_string().len()).sum(),
        Value::Object(fields) => heap_bytes(fields),
        _ => 0,
    };
    fields
        .iter()
        .map(|(key, value)| 128 + key.capacity() + of_value(value))
        .sum()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(text: &str) -> Option<Value> {
        read(text.as_bytes()).map(Value::Object)
    }

    #[test]
    fn object_is_taken_as_it_is() {
        let text = r#"{"team":"web","n":1,"x":-1.5,"ok":true,"tags":["a",2],"owner":{"mail":"a@b.c","chat.id":7}}"#;
        assert_eq!(said(text), Some(serde_json::from_str(text).unwrap()));
        assert_eq!(said("{}\n"), Some(json!({})));
    }

    #[test]
    fn null_is_left_out() {
        assert_eq!(
            said(r#"{"a":null,"b":[null,1],"c":{"d":null}}"#),
            Some(json!({"b":[1],"c":{}}))
        );
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for text in [
            "",
            "1",
            "[]",
            "\"x\"",
            "null",
            "{",
            "{} {}",
            "{\"a\":1,}",
            "\u{feff}{}",
        ] {
            assert_eq!(said(text), None, "{text}");
        }
        assert_eq!(read(b"{\"a\":\"\xff\"}"), None);
    }

    #[test]
    fn bounds_are_kept() {
        let deep = |levels| format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels));
        assert!(said(&deep(MAX_DEPTH)).is_some());
        assert_eq!(said(&deep(MAX_DEPTH + 1)), None);
        assert_eq!(said(&deep(2_000)), None);
        let wide = |values| format!("{{\"a\":[{}1]}}", "1,".repeat(values - 2));
        assert!(said(&wide(MAX_VALUES)).is_some());
        assert_eq!(said(&wide(MAX_VALUES + 1)), None);
        assert_eq!(
            said(&format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_BYTES))),
            None
        );
        for key in ["", "a b", "a\\n", "é", &"k".repeat(MAX_KEY + 1)] {
            assert_eq!(said(&format!("{{\"{key}\":1}}")), None, "{key}");
        }
    }

    #[test]
    fn text_is_escaped_and_free_of_secrets() {
        let text = said(r#"{"note":"a\u001b[2J\n","key":"AKIAIOSFODNN7EXAMPLE","password":"c4n4ry","a":["password=c4n4ry"]}"#)
            .unwrap()
            .to_string();
        assert!(!text.contains("c4n4ry") && !text.contains("AKIA"), "{text}");
        assert!(text.contains(r"a\\x1b[2J\\n"), "{text}");
    }
}
