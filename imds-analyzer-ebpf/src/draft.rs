//! Headers of records in the making.
//!
//! They lie in a map: two programs need the stack for more important things than
//! 136 bytes, and of what lies in a map the verifier does not follow every value.

use aya_ebpf::{
    bindings::BPF_ANY,
    macros::map,
    maps::{Array, HashMap},
};
use imds_analyzer_common::{loss::LossCause, record::RecordHeader};

use crate::loss;

/// Headers by the address of what they tell of: a packet, a socket, a task. Each is
/// written by one program at a time.
#[map]
static DRAFTS: HashMap<u64, RecordHeader> = HashMap::with_max_entries(1024, 0);

/// A new entry of [`DRAFTS`].
#[map]
static BLANK_DRAFT: Array<RecordHeader> = Array::with_max_entries(1, 0);

/// A header for a record about the object at `address`, to be given back with [`end`].
/// That there is no room for one is counted.
#[inline(always)]
pub fn begin(address: u64) -> Option<&'static mut RecordHeader> {
    // SAFETY: nobody writes the blank one.
    let blank = unsafe { &*BLANK_DRAFT.get_ptr(0)? };
    if DRAFTS.insert(address, blank, u64::from(BPF_ANY)).is_err() {
        loss::count(LossCause::SendTableFull);
        return None;
    }
    let draft = DRAFTS.get_ptr_mut(address)?;
    // SAFETY: only the program that began it knows it, until it ends it.
    Some(unsafe { &mut *draft })
}

/// Gives a header back.
#[inline(always)]
pub fn end(address: u64) {
    // It was there a moment ago, and only its program removes it.
    let _ = DRAFTS.remove(address);
}
