//! Every record that can be made is held against `docs/record.schema.json`.

use jsonschema::Validator;
use serde_json::Value;

use super::*;
use crate::sink::fixture;

fn schema() -> Value {
    serde_json::from_str(include_str!("../../../docs/record.schema.json")).unwrap()
}

fn validator() -> Validator {
    jsonschema::options()
        .should_validate_formats(true)
        .build(&schema())
        .unwrap()
}

fn line(origin: &Origin, event: &Event) -> Value {
    serde_json::to_value(fixture::record(origin, event)).unwrap()
}

/// Every event with everything and with nothing that may be absent.
fn lines() -> Vec<Value> {
    let mut full = fixture::full();
    let other = Box::new(fixture::other_service_request());
    full.push(Event::ImdsRequest(other));
    let bare = fixture::bare();
    let origin = fixture::origin();
    let with = full.iter().map(|event| line(&origin, event));
    with.chain(bare.iter().map(|event| line(&Origin::default(), event)))
        .collect()
}

#[test]
fn every_event_is_what_the_schema_says() {
    let validator = validator();
    for line in lines() {
        let errors: Vec<String> = validator
            .iter_errors(&line)
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{errors:#?} in {line:#}");
    }
}

/// Calls `change` with every object in a record and says whether the schema
/// still accepts the record after it.
fn accepted_after(change: impl Fn(&mut serde_json::Map<String, Value>) -> bool) -> Vec<String> {
    fn objects(value: &Value, at: &str, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                found.push(at.to_owned());
                map.iter()
                    .for_each(|(key, value)| objects(value, &format!("{at}/{key}"), found));
            }
            Value::Array(items) => {
                let items = items.iter().enumerate();
                items.for_each(|(i, value)| objects(value, &format!("{at}/{i}"), found));
            }
            _ => {}
        }
    }
    let validator = validator();
    let mut accepted = Vec::new();
    for line in lines() {
        let mut pointers = Vec::new();
        objects(&line, "", &mut pointers);
        for pointer in pointers {
            let mut changed = line.clone();
            let object = changed
                .pointer_mut(&pointer)
                .and_then(Value::as_object_mut)
                .unwrap();
            if change(object) && validator.is_valid(&changed) {
                accepted.push(format!("{} {pointer}", line["event"]));
            }
        }
    }
    accepted
}

#[test]
fn schema_refuses_a_field_it_does_not_describe() {
    let mut accepted =
        accepted_after(|object| object.insert("surprise".to_owned(), "x".into()).is_none());
    // What is in there is the owner's own business.
    accepted.retain(|at| !at.ends_with("/enrichment"));
    // A cause of loss is a name that the schema cannot know, but its count is a number.
    assert_eq!(accepted, Vec::<String>::new());
}

#[test]
fn schema_refuses_a_record_without_its_envelope() {
    for key in ["timestamp", "schema_version", "event", "seq", "boottime_us"] {
        let accepted = accepted_after(|object| object.remove(key).is_some());
        assert_eq!(accepted, Vec::<String>::new(), "{key}");
    }
}

#[test]
fn schema_refuses_a_version_of_a_service_that_has_none() {
    let validator = validator();
    let validity = |service: &str, version: &str, operation: Option<&str>| {
        let mut request = fixture::other_service_request();
        request.imds.service = service.to_owned();
        let mut line = line(&Origin::default(), &Event::ImdsRequest(Box::new(request)));
        line["imds"]["version"] = version.into();
        if let Some(operation) = operation {
            line["imds"]["operation"] = operation.into();
        }
        validator.is_valid(&line)
    };
    for version in ["v1", "v2", "unknown"] {
        assert!(validity("imds", version, Some("metadata")), "{version}");
        assert!(!validity("ecs", version, None), "{version}");
    }
    assert!(validity("ecs", "not_applicable", None));
    assert!(!validity("ecs", "not_applicable", Some("metadata")));
    assert!(!validity("imds", "not_applicable", None));
    assert!(!validity("No Name", "not_applicable", None));
}

/// A log from before there was `imds.service` is of IMDS alone.
#[test]
fn schema_accepts_a_record_without_the_service() {
    let origin = Origin::default();
    let mut line = line(&origin, &Event::ImdsRequest(Box::new(fixture::request())));
    line["imds"].as_object_mut().unwrap().remove("service");
    assert!(validator().is_valid(&line));
}

#[test]
fn schema_refuses_null() {
    let accepted = accepted_after(|object| match object.values_mut().next() {
        Some(value) => {
            *value = Value::Null;
            true
        }
        None => false,
    });
    assert_eq!(accepted, Vec::<String>::new());
}

#[test]
fn schema_describes_every_field() {
    fn undescribed(value: &Value, at: &str, found: &mut Vec<String>) {
        let Some(map) = value.as_object() else { return };
        for (key, value) in map {
            let at = format!("{at}/{key}");
            if key == "properties" {
                for (name, field) in value.as_object().into_iter().flatten() {
                    let described = field.get("description").or_else(|| field.get("$ref"));
                    if described.is_none() {
                        found.push(format!("{at}/{name}"));
                    }
                }
            }
            undescribed(value, &at, found);
        }
    }
    let mut found = Vec::new();
    undescribed(&schema(), "", &mut found);
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn document_names_every_field_of_the_schema() {
    let document = include_str!("../../../docs/record-schema.md");
    fn names(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                if let Some(fields) = map.get("properties").and_then(Value::as_object) {
                    found.extend(fields.keys().cloned());
                }
                map.values().for_each(|value| names(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| names(value, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    names(&schema(), &mut found);
    assert!(found.len() > 60, "{found:?}");
    found.retain(|name| {
        !document.contains(&format!("`{name}`")) && !document.contains(&format!(".{name}`"))
    });
    assert_eq!(found, Vec::<String>::new());
}
