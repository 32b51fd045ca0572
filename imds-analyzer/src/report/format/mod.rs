//! The report as text: for a terminal, a ticket, a program or a browser.

mod html;
mod json;
mod markdown;
mod table;

use std::io::{self, IsTerminal as _};

use clap::ValueEnum;

use super::model::Report;

/// How the report is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people at a terminal.
    #[default]
    Table,
    /// One JSON document, docs/report.md.
    Json,
    /// For tickets and pull requests.
    Markdown,
    /// One page with a timeline, complete in itself.
    Html,
}

/// Narrowest and widest table, columns; without a terminal, and without COLUMNS, the
/// middle one.
const WIDTHS: (u16, u16, u16) = (60, 100, 160);

/// The report, with a line feed at its end.
///
/// # Errors
/// If it can't be turned into JSON, which would be a defect.
pub fn render(report: &Report, format: Format) -> Result<String, serde_json::Error> {
    Ok(match format {
        Format::Table => {
            let is_terminal = io::stdout().is_terminal();
            let colour = crate::diagnostics::colour(is_terminal);
            table::render(report, width(is_terminal), colour)
        }
        Format::Json => json::render(report)?,
        Format::Markdown => markdown::render(report),
        Format::Html => html::render(report),
    })
}

fn width(is_terminal: bool) -> u16 {
    let (narrowest, usual, widest) = WIDTHS;
    let of_terminal = || {
        let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
        (size.ws_col > 0).then_some(size.ws_col)
    };
    let named = std::env::var("COLUMNS")
        .ok()
        .and_then(|text| text.parse().ok());
    let width = if is_terminal {
        of_terminal().or(named)
    } else {
        named
    };
    width.unwrap_or(usual).clamp(narrowest, widest)
}
