//! The end of the pipeline: events become lines, lines reach the output.
//!
//! * [`Renderer`] turns a [`Record`] into one line of JSON, text or the AWS
//!   tool's format. Strings in a record were redacted and escaped before; no
//!   format lets a control character through all the same.
//! * [`LineOutput`] appends whole lines to a log file, which it rotates, to a pipe or a
//!   terminal, or sends entries to systemd's journal.
//! * [`Writer`] stands between: it numbers the records, holds them while the
//!   output is blocked and says how many it had to drop.

mod append;
mod aws;
mod escape;
mod journal;
mod json;
mod log_file;
mod output;
mod queue;
mod text;
mod writer;

use jiff::tz::TimeZone;

use crate::config;
use crate::diagnostics::colour;
use crate::record::Record;

pub(crate) use escape::push_plain;
pub use output::{LineOutput, OpenError};
pub use writer::{SinkError, Writer, WriterHandle};

/// Makes lines of records.
#[derive(Clone, Debug)]
pub struct Renderer {
    format: Format,
}

/// A format with what it needs to know.
#[derive(Clone, Debug)]
enum Format {
    Json,
    Text { colour: bool },
    Aws { zone: TimeZone },
    Journal,
}

impl Renderer {
    /// The format that was asked for; `auto` is text on a terminal and JSON
    /// elsewhere. Colour needs a terminal and no `NO_COLOR`. The AWS tool's
    /// lines are in local time, by the time zone of the moment of this call. The
    /// journal has its own format.
    pub fn new(asked: config::Format, output: &LineOutput) -> Self {
        let text = || Format::Text {
            colour: colour(output.is_terminal()),
        };
        let format = match asked {
            _ if output.is_journal() => {
                if !matches!(asked, config::Format::Auto | config::Format::Text) {
                    tracing::warn!("the journal gets fields and readable text; format is not used");
                }
                return Self {
                    format: Format::Journal,
                };
            }
            config::Format::Auto if output.is_terminal() => text(),
            config::Format::Auto | config::Format::Json => Format::Json,
            config::Format::Text => text(),
            config::Format::Aws => Format::Aws {
                zone: TimeZone::system(),
            },
        };
        Self { format }
    }

    /// One line, its newline included; of the journal all lines of an entry.
    pub fn line(&self, record: &Record<'_>) -> String {
        let mut line = match &self.format {
            Format::Json => json::line(record),
            Format::Text { colour } => text::line(record, *colour),
            Format::Aws { zone } => aws::line(record, zone),
            Format::Journal => return journal::entry(record),
        };
        line.push('\n');
        line
    }
}

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
