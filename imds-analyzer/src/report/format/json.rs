//! One JSON document.

use crate::report::model::Report;

pub(super) fn render(report: &Report) -> Result<String, serde_json::Error> {
    let mut json = serde_json::to_string_pretty(report)?;
    json.push('\n');
    Ok(json)
}
