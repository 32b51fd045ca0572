//! Our count against CloudWatch's.
//!
//! `MetadataNoToken` counts accesses without a token that succeeded,
//! `MetadataNoTokenRejected` those that were refused because v1 is off ("CloudWatch
//! metrics that are available for your instances", Amazon EC2 User Guide). Both count
//! what reaches IMDS, whoever sent it: what they count and the log does not have escaped
//! the analyzer.

use super::{
    group::Counts,
    model::Reconciled,
    text::{number, plural},
};

/// Compares the sums that were given.
pub fn reconcile(
    totals: &Counts,
    no_token: Option<u64>,
    no_token_rejected: Option<u64>,
) -> Vec<Reconciled> {
    let mut compared = Vec::new();
    if let Some(expected) = no_token {
        // An answer of 404 was served as well, and one that is not known may have been.
        let at_most = totals.v1_calls();
        compared.push(compare(
            "MetadataNoToken",
            expected,
            totals.v1_succeeded,
            at_most,
        ));
    }
    if let Some(expected) = no_token_rejected {
        let unanswered = totals.v1 - totals.v1_rejected - totals.v1_succeeded;
        let at_most = totals.v1_rejected + unanswered;
        compared.push(compare(
            "MetadataNoTokenRejected",
            expected,
            totals.v1_rejected,
            at_most,
        ));
    }
    compared
}

fn compare(metric: &'static str, expected: u64, counted: u64, at_most: u64) -> Reconciled {
    let log = if counted == at_most {
        format!("the log has {}", number(counted))
    } else {
        format!(
            "the log has {} to {} (of some the answer is not certain)",
            number(counted),
            number(at_most)
        )
    };
    let text = if expected > at_most {
        format!(
            "{metric}: CloudWatch counted {}, {log}: {} escaped the analyzer, or the period is another",
            number(expected),
            plural(expected - at_most, "call")
        )
    } else if expected < counted {
        format!(
            "{metric}: CloudWatch counted {}, {log}: nothing escaped, but the periods differ",
            number(expected)
        )
    } else {
        format!(
            "{metric}: CloudWatch counted {}, {log}: nothing escaped",
            number(expected)
        )
    };
    Reconciled {
        metric,
        expected,
        counted,
        counted_at_most: at_most,
        accounted_for: expected <= at_most,
        text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals() -> Counts {
        Counts {
            v1: 20,
            v1_succeeded: 12,
            v1_rejected: 3,
            ..Counts::default()
        }
    }

    fn is_accounted_for(no_token: Option<u64>, rejected: Option<u64>) -> bool {
        reconcile(&totals(), no_token, rejected)[0].accounted_for
    }

    #[test]
    fn more_than_the_log_can_hold_has_escaped() {
        assert!(is_accounted_for(Some(12), None));
        assert!(is_accounted_for(Some(17), None));
        assert!(!is_accounted_for(Some(18), None));
        assert!(is_accounted_for(None, Some(3)));
        assert!(!is_accounted_for(None, Some(9)));
        let escaped = &reconcile(&totals(), Some(20), None)[0];
        assert!(escaped.text.contains("3 calls escaped"), "{}", escaped.text);
    }

    #[test]
    fn less_than_the_log_has_is_another_period() {
        let compared = &reconcile(&totals(), Some(2), None)[0];
        assert!(compared.accounted_for && compared.text.contains("periods differ"));
        assert!(reconcile(&totals(), None, None).is_empty());
    }
}
