//! The records' JSON Schema, which every line of every case is held against.

use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::Value;

static SCHEMA: LazyLock<Validator> = LazyLock::new(|| {
    let schema: Value =
        serde_json::from_str(include_str!("../../../docs/record.schema.json")).expect("is JSON");
    jsonschema::options()
        .should_validate_formats(true)
        .build(&schema)
        .expect("is a JSON Schema")
});

/// What of the schema a record violates, and where.
pub(crate) fn violations(record: &Value) -> Vec<String> {
    SCHEMA
        .iter_errors(record)
        .map(|error| format!("{} at `{}`", error, error.instance_path()))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_no_record_violates_the_schema() {
        assert!(!violations(&json!({"event": "imds_request"})).is_empty());
        assert!(!violations(&json!({"event": "no such event"})).is_empty());
    }
}
