//! io_uring: whoever owns the ring has sent, whichever thread did the work.

use anyhow::Result;

use super::{Entry, cases, session::Case};

pub(super) fn cases() -> impl IntoIterator<Item = Entry> {
    cases![Shared:
        io_uring_operations_are_captured,
        io_uring_worker_thread_sends_for_its_process,
        io_uring_linked_pieces_are_one_request,
        io_uring_polling_thread_sends_for_the_rings_owner,
        io_uring_registered_buffers_are_captured,
        io_uring_zero_copy_sends_are_captured,
    ]
}

fn io_uring_operations_are_captured(case: &mut Case<'_>) -> Result<()> {
    case.sends("ring_operations", 8)
}

fn io_uring_worker_thread_sends_for_its_process(case: &mut Case<'_>) -> Result<()> {
    case.sends("ring_worker", 8)
}

fn io_uring_linked_pieces_are_one_request(case: &mut Case<'_>) -> Result<()> {
    case.sends("ring_linked", 2)
}

fn io_uring_polling_thread_sends_for_the_rings_owner(case: &mut Case<'_>) -> Result<()> {
    case.sends("ring_polled", 10)
}

fn io_uring_registered_buffers_are_captured(case: &mut Case<'_>) -> Result<()> {
    case.sends("ring_fixed_buffer", 2)
}

fn io_uring_zero_copy_sends_are_captured(case: &mut Case<'_>) -> Result<()> {
    case.sends("ring_zero_copy", 2)
}
