//! Why a record says that a request came without a token, against what the mock answered
//! to the same process before.

use std::fmt;

use super::{Expected, Known, Outcome, Version, is_token_request};
use crate::record::Request;

/// What a record must say of the cause.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Cause {
    /// One, whichever: its process has not asked for a token, but another of its kind may
    /// have.
    #[default]
    Some,
    /// None: it is not known, or has none.
    None,
    /// This one, with this status.
    Is(&'static str, Option<u16>),
}

/// Finds the causes of requests whose outcomes are settled.
pub(super) fn settle(expected: &mut [Expected]) {
    for index in 0..expected.len() {
        let one = &expected[index];
        let asked = expected
            .iter()
            .filter(|it| it.sender.pid == one.sender.pid && it.seq < one.seq && it.is_for_token())
            .max_by_key(|it| it.seq);
        let found = match asked.map(|it| &it.outcome) {
            _ if !one.version.can_be_v1() => Cause::None,
            None => continue,
            Some(Outcome::Status(200, _)) => Cause::Is("token_not_used", None),
            Some(Outcome::Status(status, _)) => Cause::Is("token_refused", Some(*status)),
            Some(Outcome::Silent(_)) => Cause::Is("token_unanswered", None),
            Some(_) => Cause::None,
        };
        expected[index].cause = found;
    }
}

impl Version {
    fn can_be_v1(&self) -> bool {
        matches!(self, Self::V1 | Self::RightOrUnknown(Known::V1))
    }
}

impl Expected {
    fn is_for_token(&self) -> bool {
        match (&self.method, &self.target) {
            (Some(method), Some(target)) => is_token_request(method, target),
            _ => false,
        }
    }
}

/// Holds what a record says of the cause against what is wanted.
pub(super) fn check(
    wanted: &Cause,
    record: &Request,
    wrong: &mut dyn FnMut(&'static str, &dyn fmt::Debug, &dyn fmt::Debug),
) {
    let found = (record.cause.as_deref(), record.cause_status);
    let is_right = match wanted {
        // What could not be read, and went to another service, has none.
        _ if record.version != "v1" => found == (None, None),
        Cause::Some => found.0.is_some(),
        Cause::None => found == (None, None),
        Cause::Is(cause, status) => found == (Some(*cause), *status),
    };
    if !is_right {
        wrong("cause", wanted, &found);
    }
}
