//! What a record says of the response, against what the mock answered.

use std::fmt;

use super::Expected;
use crate::{mock::access_log::AccessLog, record::Request};

/// The `Server` of every answer of the mock.
const SERVER: &str = "EC2ws";

/// How the analyzer sees responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// As they arrive.
    Arriving,
    /// As their callers take them.
    Taken,
}

/// What a record must say of the response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Outcome {
    /// The status that the mock answered; none if it did not. To be [settled](settle)
    /// before it is compared.
    #[default]
    AsAnswered,
    /// As that, or one of these in place of the status.
    AsAnsweredOr(&'static [Silence]),
    /// This status, or one of these in place of it.
    Status(u16, &'static [Silence]),
    /// One of these in place of a status.
    Silent(&'static [Silence]),
}

/// What a record says in place of a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// The connection was closed before.
    Closed,
    /// The deadline passed.
    Deadline,
    /// It is not known.
    Unknown,
}

/// Every reason for no status.
const ANY: &[Silence] = &[Silence::Closed, Silence::Deadline, Silence::Unknown];

/// Looks up what the mock has answered, now that the records are there.
pub fn settle(expected: &mut [Expected], log: &AccessLog, sight: Sight) {
    for one in &mut *expected {
        let status = one.seq.and_then(|seq| log.status(seq));
        if let (Outcome::AsAnsweredOr(these), Sight::Taken) = (&mut one.outcome, sight) {
            *these = unread(these, status.is_some());
        }
        one.outcome = match (&one.outcome, status) {
            (Outcome::AsAnswered, Some(status)) => Outcome::Status(status, &[]),
            (Outcome::AsAnsweredOr(these), Some(status)) => Outcome::Status(status, these),
            (Outcome::AsAnswered, None) => Outcome::Silent(ANY),
            (Outcome::AsAnsweredOr(these), None) => Outcome::Silent(these),
            (settled, _) => settled.clone(),
        };
    }
    super::cause::settle(expected);
}

/// What these are where it may also be that a response was only not read.
fn unread(these: &'static [Silence], answered: bool) -> &'static [Silence] {
    match these {
        [Silence::Deadline] => &[Silence::Unknown],
        [Silence::Closed] if answered => &[Silence::Closed, Silence::Unknown],
        [Silence::Closed, Silence::Deadline] if answered => ANY,
        other => other,
    }
}

impl Outcome {
    fn allows(&self, status: Option<u16>, silence: Option<Silence>) -> bool {
        match (self, status, silence) {
            (Self::Status(wanted, _), Some(found), None) => found == *wanted,
            (Self::Status(_, these) | Self::Silent(these), None, Some(found)) => {
                these.contains(&found)
            }
            _ => false,
        }
    }
}

/// Holds what a record says of the response against what is wanted.
pub(super) fn check(
    wanted: &Outcome,
    record: &Request,
    wrong: &mut dyn FnMut(&'static str, &dyn fmt::Debug, &dyn fmt::Debug),
) {
    let silence = match (record.status, record.no_response.as_deref()) {
        (Some(_), None) => None,
        (None, None) => Some(Silence::Unknown),
        (None, Some("connection_closed")) => Some(Silence::Closed),
        (None, Some("deadline")) => Some(Silence::Deadline),
        other => return wrong("no_response", &"one or the other", &other),
    };
    // Of what was not understood, nothing is told; what is told must be right.
    let is_excused = record.version == "unknown" && silence == Some(Silence::Unknown);
    if !is_excused && !wanted.allows(record.status, silence) {
        wrong("outcome", wanted, &(record.status, silence));
    }
    if record.status.is_none() && (record.server.is_some() || record.latency_us.is_some()) {
        wrong(
            "server and latency",
            &"none",
            &(&record.server, record.latency_us),
        );
    }
    if record
        .server
        .as_deref()
        .is_some_and(|server| server != SERVER)
    {
        wrong("server", &SERVER, &record.server);
    }
    let rejected = record.version == "v1" && record.status == Some(401);
    if record.rejected != rejected {
        wrong("rejected", &rejected, &record.rejected);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_is_that_of_the_mock_and_no_other() {
        let wanted = Outcome::Status(404, &[]);
        assert!(wanted.allows(Some(404), None));
        assert!(!wanted.allows(Some(200), None));
        for silence in ANY {
            assert!(!wanted.allows(None, Some(*silence)), "{silence:?}");
        }
        assert!(!Outcome::Silent(ANY).allows(Some(200), None));
    }

    #[test]
    fn silence_is_one_of_those_that_a_case_allows() {
        let wanted = Outcome::Status(200, &[Silence::Closed]);
        assert!(wanted.allows(Some(200), None) && wanted.allows(None, Some(Silence::Closed)));
        assert!(!wanted.allows(None, Some(Silence::Deadline)));
        assert!(!Outcome::Silent(&[Silence::Closed]).allows(Some(200), None));
    }

    #[test]
    fn what_is_not_read_is_not_known() {
        assert_eq!(unread(&[Silence::Deadline], false), [Silence::Unknown]);
        assert_eq!(unread(&[Silence::Closed], false), [Silence::Closed]);
        let either = [Silence::Closed, Silence::Unknown];
        assert_eq!(unread(&[Silence::Closed], true), either);
        assert_eq!(unread(&[Silence::Closed, Silence::Deadline], true), ANY);
        assert_eq!(unread(ANY, true), ANY);
    }

    #[test]
    fn what_was_not_settled_allows_nothing() {
        assert!(!Outcome::AsAnswered.allows(Some(200), None));
        assert!(!Outcome::AsAnswered.allows(None, Some(Silence::Unknown)));
    }
}
