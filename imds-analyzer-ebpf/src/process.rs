//! Telling the daemon who a process is: its arguments, its program and place, its
//! ancestors. A request is small, and its process may be gone before anybody looks
//! into `/proc`.

use core::ptr;

use aya_ebpf::{bindings::BPF_ANY, macros::map, maps::LruHashMap};
use imds_analyzer_common::record::{
    AncestorFacts, FLAG_AT_EXEC, FLAG_MORE_ANCESTORS, KIND_ANCESTORS, KIND_ARGS, KIND_CHUNK,
    KIND_PROGRAM, MAX_ANCESTORS, MAX_ARGS, MISSING_NOTHING, PROGRAM_LEN, RecordHeader,
};

use crate::{
    chunk::{self, Memory, NO_ROOM, Slot, Source},
    draft, globals, kernel,
    program::{self, Program},
    task::{self, Identity},
};

/// How long what was told is not told again, nanoseconds. Ancestors may end, and a
/// process may rewrite its arguments.
const FRESH_NS: u64 = 1_000_000_000;

/// Processes that were told, and when. The daemon remembers more of them than this,
/// so it knows all that are not told again.
#[map]
static TOLD: LruHashMap<Told, u64> = LruHashMap::with_max_entries(512, 0);

/// A program in a process, below one parent.
#[repr(C)]
#[derive(Clone, Copy)]
struct Told {
    identity: Identity,
    /// Main thread of the parent: another one means other ancestors.
    parent: u64,
}

/// The running task's arguments, which nobody else sees.
struct Arguments;

impl Source for Arguments {
    #[inline(always)]
    unsafe fn copy(&self, to: *mut u8, len: u32, from: u64) -> i64 {
        // SAFETY: as for the memory that they are in.
        unsafe { Memory::User.copy(to, len, from) }
    }

    #[inline(always)]
    fn has_witness(&self) -> bool {
        false
    }
}

/// Tells who the running task is, unless that was told just now.
///
/// `header` names the task; it is changed.
#[inline(never)]
pub fn tell(header: &mut RecordHeader) {
    let task = task::sender(task::current());
    let told = Told {
        identity: Identity::of(&header.task),
        parent: task::parent(task),
    };
    let now = header.time_ns;
    if let Some(at) = TOLD.get_ptr(told)
        // SAFETY: the pointer stays readable until the program ends.
        && now.wrapping_sub(unsafe { *at }) < FRESH_NS
    {
        return;
    }
    header.position = 0;
    header.missing = MISSING_NOTHING;
    if tell_args(header) && tell_program(header, task) && tell_ancestors(header, told.parent) {
        // A table that is full means that it is told again.
        let _ = TOLD.insert(told, now, u64::from(BPF_ANY));
    }
    header.kind = KIND_CHUNK;
    header.flags &= !FLAG_MORE_ANCESTORS;
}

/// Tells what the running task runs from now on.
#[inline(always)]
pub fn executed() {
    let task = task::current();
    let netns = globals::WATCHED_NETNS.load();
    if netns != 0 && netns != program::net_ns(task) {
        return;
    }
    let Some(header) = draft::begin(task) else {
        return;
    };
    header.flags = FLAG_AT_EXEC;
    header.time_ns = kernel::boottime_ns();
    task::note(&mut header.task);
    tell_args(header);
    tell_program(header, task);
    draft::end(task);
}

/// Tells the running task's arguments. Those that cannot be read are told as that:
/// `/proc` may still have them, and it is no loss of a request.
#[inline(always)]
fn tell_args(header: &mut RecordHeader) -> bool {
    let (start, len) = task::args();
    if len == 0 {
        return true;
    }
    header.kind = KIND_ARGS;
    // Longer than what is taken of it: the daemon sees the difference.
    header.length = if len > u64::from(u32::MAX) {
        u32::MAX
    } else {
        len as u32
    };
    let taken = if len > MAX_ARGS as u64 {
        MAX_ARGS as u32
    } else {
        len as u32
    };
    header.captured = taken;
    let outcome = if taken <= 512 {
        chunk::emit_class::<512, Arguments>(header, &Arguments, start, taken)
    } else {
        chunk::emit_class::<MAX_ARGS, Arguments>(header, &Arguments, start, taken)
    };
    outcome != NO_ROOM
}

#[inline(always)]
fn tell_program(header: &mut RecordHeader, task: u64) -> bool {
    let Some(mut slot) = chunk::reserve::<Slot<Program>>() else {
        return false;
    };
    let to: *mut Slot<Program> = slot.as_mut_ptr();
    header.kind = KIND_PROGRAM;
    header.length = PROGRAM_LEN as u32;
    header.captured = header.length;
    // SAFETY: `to` is a reservation of the size of that slot.
    unsafe {
        ptr::copy_nonoverlapping(header, &raw mut (*to).header, 1);
        program::note(&raw mut (*to).payload, task);
    }
    slot.submit(0);
    true
}

#[inline(always)]
fn tell_ancestors(header: &mut RecordHeader, nearest: u64) -> bool {
    let Some(mut slot) = chunk::reserve::<Slot<[AncestorFacts; MAX_ANCESTORS]>>() else {
        return false;
    };
    let to: *mut Slot<[AncestorFacts; MAX_ANCESTORS]> = slot.as_mut_ptr();
    let mut leader = nearest;
    let mut count = 0;
    for index in 0..MAX_ANCESTORS {
        // SAFETY: `index` is below MAX_ANCESTORS, so this lies within the slot,
        // and any bytes make the facts of an ancestor.
        let facts = unsafe { &mut (&mut *(&raw mut (*to).payload))[index] };
        if !task::note_ancestor(facts, leader) {
            break;
        }
        count += 1;
        leader = task::parent(leader);
    }
    if count == MAX_ANCESTORS as u32 && task::exists(leader) {
        header.flags |= FLAG_MORE_ANCESTORS;
    }
    header.kind = KIND_ANCESTORS;
    header.length = count * size_of::<AncestorFacts>() as u32;
    header.captured = header.length;
    // SAFETY: the slot begins with a header.
    unsafe { ptr::copy_nonoverlapping(header, &raw mut (*to).header, 1) };
    slot.submit(0);
    true
}
