//! What has arrived of a stream ahead of its turn.

use std::collections::BTreeMap;

use super::captured::Origin;

/// What a kept segment costs beside its bytes, for the bounds: its place in the
/// map, its origin and their allocations.
pub(super) const SEGMENT_COST: usize = 256;

/// Contiguous bytes that one task sent.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) bytes: Vec<u8>,
    pub(super) origin: Origin,
    /// The first byte is the first byte of a chunk.
    pub(super) starts_chunk: bool,
}

/// The bytes and the gaps beyond the position that a stream was read to.
/// Positions are counted from the stream's first byte, without wrapping.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// By position; they do not overlap.
    segments: BTreeMap<u64, Segment>,
    bytes: usize,
    /// End of what is known to have been sent.
    sent_end: u64,
    /// Positions below this one are not certain.
    uncertain_end: u64,
    /// Who sent what was not captured, and where that ended.
    gap_sender: Option<(u64, Origin)>,
    /// The gap that the stream waits at: its position, and since when.
    waiting: Option<(u64, u64)>,
}

impl Ahead {
    pub(super) fn segments(&self) -> usize {
        self.segments.len()
    }

    pub(super) fn cost(&self) -> usize {
        self.bytes + self.segments.len() * SEGMENT_COST
    }

    /// Keeps bytes; where some are kept already, the first to arrive stay.
    pub(super) fn insert(&mut self, start: u64, segment: Segment) {
        let end = start + segment.bytes.len() as u64;
        self.sent_end = self.sent_end.max(end);
        let mut at = start;
        while at < end {
            if let Some(covered) = self.end_of_segment_over(at) {
                at = covered;
                continue;
            }
            let stop = self.next_start(at).map_or(end, |next| next.min(end));
            let piece = Segment {
                bytes: segment.bytes[(at - start) as usize..(stop - start) as usize].to_vec(),
                origin: segment.origin.clone(),
                starts_chunk: segment.starts_chunk && at == start,
            };
            self.bytes += piece.bytes.len();
            self.segments.insert(at, piece);
            at = stop;
        }
    }

    /// Notes that bytes from `start` to `end` were sent which were not captured,
    /// or, if `uncertain`, whose position is not certain.
    pub(super) fn note_gap(&mut self, start: u64, end: u64, uncertain: bool, origin: Origin) {
        self.sent_end = self.sent_end.max(end);
        if uncertain {
            self.uncertain_end = self.uncertain_end.max(end);
        }
        match &mut self.gap_sender {
            // It begins within the earlier one: together they are one gap.
            Some((earlier, _)) if *earlier > start => *earlier = (*earlier).max(end),
            sender => *sender = Some((end, origin)),
        }
    }

    /// Whether all of a range is kept.
    pub(super) fn covers(&self, start: u64, end: u64) -> bool {
        let mut at = start;
        while at < end {
            match self.end_of_segment_over(at) {
                Some(covered) => at = covered,
                None => return false,
            }
        }
        true
    }

    /// Takes the bytes at `position`, without what lies before it, and drops
    /// everything earlier.
    pub(super) fn take(&mut self, position: u64) -> Option<Segment> {
        while let Some(entry) = self.segments.first_entry() {
            let start = *entry.key();
            if start > position {
                return None;
            }
            let mut segment = entry.remove();
            self.bytes -= segment.bytes.len();
            if start == position {
                return Some(segment);
            }
            let before = position - start;
            if before < segment.bytes.len() as u64 {
                segment.bytes.drain(..before as usize);
                segment.starts_chunk = false;
                return Some(segment);
            }
        }
        None
    }

    /// End of the gap at `position`, which no segment covers; `None` if nothing
    /// is known to have been sent from there on.
    pub(super) fn gap_end(&self, position: u64) -> Option<u64> {
        let end = self.next_start(position).unwrap_or(self.sent_end);
        (end > position).then_some(end)
    }

    /// Whether it is uncertain which bytes are at `position`.
    pub(super) fn uncertain_at(&self, position: u64) -> bool {
        position < self.uncertain_end
    }

    /// Who is to be named for what is missing at `position`.
    pub(super) fn gap_origin(&self, position: u64) -> Option<Origin> {
        let next = self
            .segments
            .first_key_value()
            .map(|(_, segment)| &segment.origin);
        let sender = self.gap_sender.as_ref().filter(|(end, _)| *end > position);
        sender.map(|(_, origin)| origin).or(next).cloned()
    }

    /// End of what is known to have been sent.
    pub(super) fn sent_end(&self) -> u64 {
        self.sent_end
    }

    /// Since when the stream has waited at `position`; it has from `now_ns` on
    /// if it waited elsewhere before.
    pub(super) fn waiting_since(&mut self, position: u64, now_ns: u64) -> u64 {
        match self.waiting {
            Some((at, since)) if at == position => since,
            _ => {
                self.waiting = Some((position, now_ns));
                now_ns
            }
        }
    }

    fn end_of_segment_over(&self, position: u64) -> Option<u64> {
        let (start, segment) = self.segments.range(..=position).next_back()?;
        let end = start + segment.bytes.len() as u64;
        (end > position).then_some(end)
    }

    fn next_start(&self, position: u64) -> Option<u64> {
        self.segments
            .range(position..)
            .next()
            .map(|(&start, _)| start)
    }
}
