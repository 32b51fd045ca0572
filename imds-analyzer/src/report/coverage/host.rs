//! Boots, put together to hosts.

use std::collections::BTreeMap;

use super::{Boot, BootCoverage, Gap, GapKind, Stretch, assess};

/// How late after the kernel the analyzer may be there for the boot to count as watched
/// from its beginning, µs. The service starts before the network and cloud-init, which
/// is seconds; what starts with the other services comes after the first calls.
pub const FROM_THE_START_US: u64 = 30_000_000;

/// What the host that the report is made on says of itself.
#[derive(Clone, Debug, Default)]
pub struct Now {
    /// Its boot.
    pub boot_id: Option<String>,
    /// Its boot-time clock, µs.
    pub boottime_us: u64,
}

/// A boot of a host, and what is covered of it.
#[derive(Clone, Debug)]
pub struct Covered {
    /// Number of the boot in [`Boots`](super::Boots).
    pub number: u32,
    /// What is covered.
    pub coverage: BootCoverage,
    /// Whether the analyzer was there from the beginning of the boot.
    pub from_the_start: bool,
}

/// A host, as far as the logs tell.
#[derive(Clone, Debug, Default)]
pub struct HostCoverage {
    /// What it is called here: instance id, else name.
    pub label: String,
    /// Name of the host.
    pub name: Option<String>,
    /// Id of the instance.
    pub instance_id: Option<String>,
    /// Its region.
    pub region: Option<String>,
    /// Its boots, the oldest first.
    pub boots: Vec<Covered>,
    /// Time watched, µs.
    pub watched_us: u64,
}

/// The hosts of all boots of which something is reported on: `from_us` tells from when
/// on, `None` if nothing.
pub fn hosts(
    boots: &[Boot],
    from_us: impl Fn(&Boot) -> Option<u64>,
    now: &Now,
) -> Vec<HostCoverage> {
    let mut hosts: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let labels = Labels::new(boots);
    for (number, boot) in boots.iter().enumerate() {
        hosts.entry(labels.of(boot)).or_default().push(number);
    }
    let mut found = Vec::new();
    for (label, mut numbers) in hosts {
        numbers.sort_by_key(|number| (boots[*number].offset_us, *number));
        let mut host = HostCoverage {
            label,
            ..HostCoverage::default()
        };
        for (at, number) in numbers.iter().enumerate() {
            let boot = &boots[*number];
            host.learn(boot);
            let Some(from_us) = from_us(boot) else {
                continue;
            };
            let next = numbers.get(at + 1).map(|next| &boots[*next]);
            if let Some(coverage) = assess(boot, from_us) {
                host.add(*number, at > 0, boot, coverage, from_us, next, now);
            }
        }
        if !host.boots.is_empty() {
            found.push(host);
        }
    }
    found
}

impl HostCoverage {
    /// Boots that were watched from their beginning.
    pub fn boots_from_the_start(&self) -> u32 {
        let whole = self.boots.iter().filter(|boot| boot.from_the_start);
        u32::try_from(whole.count()).unwrap_or(u32::MAX)
    }

    fn learn(&mut self, boot: &Boot) {
        // Of several always the same.
        let last = |texts: &std::collections::BTreeSet<Box<str>>| {
            texts.iter().next_back().map(|text| text.to_string())
        };
        self.name = last(&boot.names).or(self.name.take());
        self.instance_id = last(&boot.instance_ids).or(self.instance_id.take());
        let region = boot.region.as_ref().map(|region| region.to_string());
        self.region = region.or(self.region.take());
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "what is known of a boot, each once"
    )]
    fn add(
        &mut self,
        number: usize,
        was_watched_before: bool,
        boot: &Boot,
        mut coverage: BootCoverage,
        from_us: u64,
        next: Option<&Boot>,
        now: &Now,
    ) {
        let started = coverage.started_us;
        let from_the_start =
            started.is_some_and(|at| at <= FROM_THE_START_US && from_us <= at.max(1));
        if let Some(started) = started
            && was_watched_before
            && started > FROM_THE_START_US
        {
            let before = Stretch {
                from: 0,
                to: started,
            };
            coverage.note_gap(GapKind::BeforeStart, before.clipped(from_us));
        }
        let patience = 3 * u64::from(coverage.interval_s) * 1_000_000;
        let last = coverage.last_us;
        if !coverage.stopped {
            let ended = match next {
                // Only the wall clock spans boots.
                Some(next) => Some((GapKind::EndedUntold, boot.boottime_us(next.wall_us(0)))),
                None => (now.boot_id.is_some() && now.boot_id.as_deref() == boot.id.as_deref())
                    .then_some((GapKind::SilentNow, now.boottime_us)),
            };
            if let Some((kind, to)) = ended
                && to > last.saturating_add(patience)
            {
                coverage.note_gap(kind, Stretch { from: last, to });
            }
        }
        coverage.gaps.sort_by_key(|gap: &Gap| gap.time);
        self.watched_us = self.watched_us.saturating_add(coverage.watched_us);
        self.boots.push(Covered {
            number: u32::try_from(number).unwrap_or(u32::MAX),
            coverage,
            from_the_start,
        });
    }
}

impl BootCoverage {
    fn note_gap(&mut self, kind: GapKind, time: Stretch) {
        if time.len_us() > 0 {
            self.gap_us = self.gap_us.saturating_add(time.len_us());
            self.gaps.push(Gap { time, kind });
        }
    }
}

/// What hosts are called. An instance may learn its id only after its first boot, and a
/// name may be given to several instances.
struct Labels {
    /// Instance id of the only instance of that name.
    of_names: BTreeMap<Box<str>, Option<Box<str>>>,
}

impl Labels {
    fn new(boots: &[Boot]) -> Self {
        let mut of_names: BTreeMap<Box<str>, Option<Box<str>>> = BTreeMap::new();
        for boot in boots {
            let Some(id) = boot.instance_ids.iter().next_back() else {
                continue;
            };
            for name in &boot.names {
                of_names
                    .entry(name.clone())
                    .and_modify(|known| *known = known.take().filter(|known| known == id))
                    .or_insert_with(|| Some(id.clone()));
            }
        }
        Self { of_names }
    }

    fn of(&self, boot: &Boot) -> String {
        let id = boot.instance_ids.iter().next_back();
        let by_name = || {
            let mut names = boot.names.iter().rev();
            names.find_map(|name| self.of_names.get(name)?.as_ref())
        };
        match id.or_else(by_name).or(boot.names.iter().next_back()) {
            Some(label) => label.to_string(),
            None => "a host without a name".to_owned(),
        }
    }
}
