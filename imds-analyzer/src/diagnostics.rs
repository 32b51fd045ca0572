//! What the analyzer says about itself, on standard error.
//!
//! Records go to the output, never here. Nothing that a watched process sent
//! may be logged, at any level: a debug line is as good a leak as a record.

use std::io::{self, IsTerminal};

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// Environment variable with a level, or with directives as
/// [`EnvFilter`] takes them: `info,imds_analyzer::capture=trace`.
pub const LOG_VARIABLE: &str = "IMDS_ANALYZER_LOG";

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// What makes the analyzer end or lose data.
    Error,
    /// What somebody should look at.
    Warn,
    /// Starting, stopping, what was chosen and why.
    Info,
    /// What each stage decides.
    Debug,
    /// Everything.
    Trace,
}

impl From<LogLevel> for LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Trace => Self::TRACE,
        }
    }
}

/// A log filter that is not understood.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// It has not the form of one.
    #[error("{LOG_VARIABLE}={value:?} is no log level or filter: {source}")]
    Malformed {
        /// What the variable holds.
        value: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// It would be the name of a module that does not exist, and silence everything.
    #[error(
        "{LOG_VARIABLE}={value:?}: {word:?} is no log level: error, warn, info, debug, trace, off, or MODULE=LEVEL"
    )]
    NoLevel {
        /// What the variable holds.
        value: String,
        /// The part of it that is meant.
        word: String,
    },
}

/// Starts the subscriber: the flag wins over [`LOG_VARIABLE`], the default is
/// `info`. Colour only on a terminal and without `NO_COLOR`. Under journald
/// (`JOURNAL_STREAM`) lines have no time of their own.
///
/// Does nothing if a subscriber is installed already, as it is in tests.
///
/// # Errors
/// The environment variable is not understood.
pub fn start(flag: Option<LogLevel>) -> Result<(), FilterError> {
    let filter = filter(flag, std::env::var(LOG_VARIABLE).ok())?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_target(false)
        .with_ansi(colour(io::stderr().is_terminal()));
    // Another subscriber is no reason not to work.
    let _ = if std::env::var_os("JOURNAL_STREAM").is_some() {
        builder.without_time().try_init()
    } else {
        builder.try_init()
    };
    Ok(())
}

/// Whether to write colour: only to a terminal that wants it
/// (<https://no-color.org>).
pub fn colour(is_terminal: bool) -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    is_terminal && !set("NO_COLOR") && !dumb
}

fn filter(flag: Option<LogLevel>, variable: Option<String>) -> Result<EnvFilter, FilterError> {
    match (flag, variable) {
        (Some(level), _) => Ok(EnvFilter::default().add_directive(LevelFilter::from(level).into())),
        (None, Some(value)) if !value.trim().is_empty() => {
            if let Some(word) = value.split(',').find(|word| is_misspelt_level(word.trim())) {
                let word = word.trim().to_owned();
                return Err(FilterError::NoLevel { value, word });
            }
            EnvFilter::builder()
                .parse(&value)
                .map_err(|source| FilterError::Malformed { value, source })
        }
        _ => Ok(EnvFilter::default().add_directive(LevelFilter::INFO.into())),
    }
}

/// Whether this part of a filter is a word that is neither a level nor this program:
/// [`EnvFilter`] takes any word for the name of a module.
fn is_misspelt_level(word: &str) -> bool {
    let is_word = !word.is_empty() && !word.contains(['=', '[', ':']);
    is_word && word.parse::<LevelFilter>().is_err() && word != env!("CARGO_CRATE_NAME")
}

/// An error with its causes, each said once: some messages include their cause,
/// aya's leave it out.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let next_text = next.to_string();
        if !text.contains(&next_text) {
            text.push_str(": ");
            text.push_str(&next_text);
        }
        cause = next.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cause_is_said_once() {
        let inner = anyhow::anyhow!("no such file");
        let silent = inner.context("cannot start");
        assert_eq!(chain(silent.as_ref()), "cannot start: no such file");
        let told = silent.context("gave up: cannot start: no such file");
        assert_eq!(chain(told.as_ref()), "gave up: cannot start: no such file");
    }

    fn max_level(flag: Option<LogLevel>, variable: Option<&str>) -> Option<LevelFilter> {
        filter(flag, variable.map(str::to_owned))
            .unwrap()
            .max_level_hint()
    }

    #[test]
    fn flag_wins_over_the_variable_and_that_over_the_default() {
        assert_eq!(
            max_level(Some(LogLevel::Error), Some("trace")),
            Some(LevelFilter::ERROR)
        );
        assert_eq!(max_level(None, Some("debug")), Some(LevelFilter::DEBUG));
        assert_eq!(max_level(None, Some("")), Some(LevelFilter::INFO));
        assert_eq!(max_level(None, None), Some(LevelFilter::INFO));
    }

    #[test]
    fn one_module_can_say_more() {
        let level = max_level(None, Some("warn,imds_analyzer::stream=trace"));
        assert_eq!(level, Some(LevelFilter::TRACE));
    }

    #[test]
    fn variable_that_is_not_understood_is_named() {
        let message = filter(None, Some("a=b=c".to_owned()))
            .unwrap_err()
            .to_string();
        assert!(message.contains("IMDS_ANALYZER_LOG=\"a=b=c\""), "{message}");
    }

    #[test]
    fn word_that_is_no_level_is_refused() {
        for (value, word) in [("typo", "typo"), ("warn, dbug", "dbug")] {
            let error = filter(None, Some(value.to_owned())).unwrap_err();
            let message = error.to_string();
            let told = format!("IMDS_ANALYZER_LOG={value:?}: {word:?} is no log level: error,");
            assert!(message.starts_with(&told), "{message}");
        }
        for value in ["TRACE", "off", "imds_analyzer", "info,aya=debug", "error,"] {
            assert!(filter(None, Some(value.to_owned())).is_ok(), "{value}");
        }
    }

    #[test]
    fn file_gets_no_colour() {
        assert!(!colour(false));
    }
}
