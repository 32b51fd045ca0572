//! Which time was watched: boots, runs of the analyzer in them, and the holes.
//!
//! Within a run, records have numbers without holes (`seq`) and times on a clock that
//! never jumps (`boottime_us`), so neither a jump of the wall clock nor the order of the
//! files matters. [`Boots`] puts records together to [pieces](Piece) of consecutive
//! numbers; [`assess`] says at the end what that covers.

mod assess;
mod host;
mod piece;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

pub use self::{
    assess::{BootCoverage, Gap, GapKind, assess},
    host::{Covered, HostCoverage, Now, hosts},
    piece::{Counted, Piece, Stretch},
};
use super::{
    subject::clipped,
    view::{SpotView, View},
};

/// Most boots that are told apart.
const MAX_BOOTS: usize = 20_000;

/// Most pieces that one boot may be in.
const MAX_PIECES: usize = 2_000;

/// How many of the pieces that came last are looked at for one that a record continues.
const NEAR: usize = 16;

/// Most names, instance ids and blind spots of a boot that are remembered.
const MAX_KINDS: usize = 64;

/// What came of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observed {
    /// It is of this boot.
    Of(u32),
    /// It was read before: a copy of the log is among the files.
    Twice,
    /// There were too many boots before it.
    TooMany,
}

/// A boot of a host.
#[derive(Debug, Default)]
pub struct Boot {
    /// The kernel's id of it; absent of a kernel that told none.
    pub id: Option<Box<str>>,
    /// Names of the host.
    pub names: BTreeSet<Box<str>>,
    /// Ids of the instance.
    pub instance_ids: BTreeSet<Box<str>>,
    /// Its region.
    pub region: Option<Box<str>>,
    /// Wall clock minus boot-time clock, µs, at the latest record.
    pub offset_us: i64,
    latest_us: u64,
    pieces: Vec<Piece>,
    /// The piece that the last record went to.
    current: usize,
    /// Records that found no room in a piece.
    pub ragged: u64,
    /// Blind spots that runs of this boot have told.
    pub blind_spots: BTreeMap<(Box<str>, Box<str>), ()>,
    /// Whether a run has told them at all.
    pub told_blind_spots: bool,
    /// Network namespaces that runs were limited to.
    pub netns: BTreeSet<u32>,
    /// v1 requests among the records.
    pub logged_v1: u64,
}

/// All boots of all hosts.
#[derive(Debug, Default)]
pub struct Boots {
    boots: Vec<Boot>,
    index: HashMap<Box<str>, u32>,
    last: Option<u32>,
    /// Records of boots that found no room.
    pub too_many: u64,
    /// Records that were there twice.
    pub twice: u64,
}

impl Boots {
    /// Puts a record in its place. `wall_us` is its `timestamp`; `in_scope` whether it
    /// is reported on: what was lost before that does not count.
    pub fn observe(&mut self, view: &View<'_>, wall_us: i64, in_scope: bool) -> Observed {
        let Some(number) = self.number(view) else {
            self.too_many += 1;
            return Observed::TooMany;
        };
        let boot = &mut self.boots[number as usize];
        if !boot.place(view, in_scope) {
            self.twice += 1;
            return Observed::Twice;
        }
        boot.learn(view, wall_us);
        Observed::Of(number)
    }

    /// The boots, by number.
    pub fn all(&self) -> &[Boot] {
        &self.boots
    }

    /// Puts together what was read in another order than it was written.
    pub fn settle(&mut self) {
        self.boots.iter_mut().for_each(Boot::settle);
    }

    fn number(&mut self, view: &View<'_>) -> Option<u32> {
        let id = view.boot_id.as_deref();
        // Of a kernel without an id, all that tells hosts apart is their name.
        let key = id.unwrap_or_else(|| {
            let host = view.host.as_ref();
            host.and_then(|host| host.name.as_deref()).unwrap_or("")
        });
        if let Some(last) = self.last
            && self.boots[last as usize].id.as_deref() == id
            && id.is_some()
        {
            return Some(last);
        }
        let key = if key.len() > 64 {
            let mut hasher = DefaultHasher::new();
            key.hash(&mut hasher);
            format!("{:x}", hasher.finish()).into()
        } else {
            std::borrow::Cow::from(key)
        };
        let number = match self.index.get(&*key) {
            Some(number) => *number,
            None => {
                let number = u32::try_from(self.boots.len()).ok()?;
                if self.boots.len() >= MAX_BOOTS {
                    return None;
                }
                self.index.insert((*key).into(), number);
                self.boots.push(Boot {
                    id: id.map(|_| (*key).into()),
                    ..Boot::default()
                });
                number
            }
        };
        self.last = Some(number);
        Some(number)
    }
}

impl Boot {
    /// Puts a record into a piece; false if it is there already.
    fn place(&mut self, view: &View<'_>, in_scope: bool) -> bool {
        if let Some(current) = self.pieces.get_mut(self.current)
            && current.continues_with(view)
        {
            current.push(view, in_scope);
            return true;
        }
        let from = self.pieces.len().saturating_sub(NEAR);
        let mut near = (from..self.pieces.len()).rev();
        if let Some(at) = near.find(|at| self.pieces[*at].continues_with(view)) {
            self.pieces[at].push(view, in_scope);
            self.current = at;
            return true;
        }
        if self.pieces.iter().any(|piece| piece.has(view)) {
            return false;
        }
        if self.pieces.len() >= MAX_PIECES && self.ragged == 0 {
            self.settle();
        }
        if self.pieces.len() >= MAX_PIECES {
            self.ragged += 1;
            return true;
        }
        self.pieces.push(Piece::of(view, in_scope));
        self.current = self.pieces.len() - 1;
        true
    }

    fn learn(&mut self, view: &View<'_>, wall_us: i64) {
        if view.boottime_us >= self.latest_us {
            self.latest_us = view.boottime_us;
            let boottime = i64::try_from(view.boottime_us).unwrap_or(i64::MAX);
            self.offset_us = wall_us.saturating_sub(boottime);
        }
        let host = view.host.as_ref();
        note(&mut self.names, host.and_then(|host| host.name.as_deref()));
        if let Some(cloud) = &view.cloud {
            note(&mut self.instance_ids, cloud.instance_id.as_deref());
            if self.region.is_none() {
                self.region = cloud
                    .region
                    .as_deref()
                    .map(|region| clipped(region, 64).into());
            }
        }
        if let Some(spots) = &view.blind_spots {
            self.told_blind_spots = true;
            spots.iter().for_each(|spot| self.learn_spot(spot));
        }
        if view.event.as_str() == "analyzer_started" {
            self.netns
                .extend(view.netns.filter(|_| self.netns.len() < MAX_KINDS));
        }
        let imds = view.imds.as_ref();
        self.logged_v1 += u64::from(imds.is_some_and(|imds| imds.version.as_str() == "v1"));
    }

    fn learn_spot(&mut self, spot: &SpotView<'_>) {
        if self.blind_spots.len() < MAX_KINDS {
            let detail = spot.detail.as_deref().unwrap_or_default();
            let spot = (clipped(&spot.kind, 64).into(), clipped(detail, 256).into());
            self.blind_spots.insert(spot, ());
        }
    }

    /// Joins pieces that follow each other.
    fn settle(&mut self) {
        let mut pieces = std::mem::take(&mut self.pieces);
        pieces.sort_by_key(|piece| (piece.seq.0, piece.time.from));
        let mut settled: Vec<Piece> = Vec::new();
        for piece in pieces {
            // Runs of one boot have the same numbers: the one whose end is nearest in time.
            let before = settled
                .iter_mut()
                .filter(|before| before.is_followed_by(&piece))
                .min_by_key(|before| piece.time.from.abs_diff(before.time.to));
            match before {
                Some(before) => before.join(piece),
                None => settled.push(piece),
            }
        }
        settled.sort_by_key(|piece| (piece.time.from, piece.seq.0));
        self.current = settled.len().saturating_sub(1);
        self.pieces = settled;
    }

    /// Wall-clock time of a moment of this boot, by the clock as it was set last, µs.
    pub fn wall_us(&self, boottime_us: u64) -> i64 {
        let boottime = i64::try_from(boottime_us).unwrap_or(i64::MAX);
        boottime.saturating_add(self.offset_us)
    }

    /// Boot-time clock at a moment of the wall clock, µs; 0 before the boot.
    pub fn boottime_us(&self, wall_us: i64) -> u64 {
        u64::try_from(wall_us.saturating_sub(self.offset_us)).unwrap_or(0)
    }
}

fn note(texts: &mut BTreeSet<Box<str>>, text: Option<&str>) {
    let Some(text) = text.filter(|text| !texts.contains(*text)) else {
        return;
    };
    if texts.len() < MAX_KINDS {
        texts.insert(clipped(text, 255).into());
    }
}

#[cfg(test)]
mod tests;
