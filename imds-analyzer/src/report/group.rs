//! Callers, grouped by what an owner fixes, in bounded memory.
//!
//! Every request that is taken is counted in exactly one group, or in the one for all
//! others once there are [`MAX_GROUPS`]. Groups that only ever used tokens make room for
//! those that did not.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    moment::Moment,
    subject::{Subject, clipped},
    view::View,
};

/// Most groups that are kept apart.
pub const MAX_GROUPS: usize = 4_000;

/// How long after a boot a call is one at boot, minutes.
pub const AT_BOOT_MINUTES: u64 = 10;

/// Most different things that a group remembers of a kind: clients, users, paths.
const MAX_KINDS: usize = 8;

/// Longest sample, bytes.
const MAX_SAMPLE: usize = 600;

/// Why a v1 request had no token (`imds.cause` of a record).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Why {
    /// The cause, in the record's words; absent if the record has none.
    pub cause: Option<Box<str>>,
    /// Status of the refused token request.
    pub cause_status: Option<u16>,
    /// Library or tool that made the request.
    pub client: Option<Box<str>>,
    /// Its version.
    pub version: Option<Box<str>>,
}

/// A program that called, as an example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// How much it shows of what is wrong: v1 before what is unknown before v2.
    rank: u8,
    /// Arguments, joined by blanks.
    pub command_line: Option<String>,
    /// Names up to PID 1.
    pub lineage: Option<String>,
    /// Path of the executable.
    pub executable: Option<String>,
    /// What was asked for.
    pub path: Option<String>,
}

/// Requests by how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// All of them.
    pub requests: u64,
    /// Without a token.
    pub v1: u64,
    /// Of those, answered with a status from 200 to 299.
    pub v1_succeeded: u64,
    /// Of those, refused with 401, because v1 is off.
    pub v1_rejected: u64,
    /// With a token, or for one.
    pub v2: u64,
    /// Not read whole.
    pub unknown: u64,
    /// For a token.
    pub token_requests: u64,
    /// For role credentials.
    pub credentials: u64,
    /// Within the first minutes of a boot.
    pub at_boot: u64,
}

impl Counts {
    /// Calls without a token that were not refused: what breaks when v1 is turned off.
    pub fn v1_calls(&self) -> u64 {
        self.v1 - self.v1_rejected
    }

    /// Adds the counts of other requests.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.v1 += other.v1;
        self.v1_succeeded += other.v1_succeeded;
        self.v1_rejected += other.v1_rejected;
        self.v2 += other.v2;
        self.unknown += other.unknown;
        self.token_requests += other.token_requests;
        self.credentials += other.credentials;
        self.at_boot += other.at_boot;
    }

    /// What one request counts.
    fn of(view: &View<'_>) -> Self {
        let imds = view.imds.as_ref();
        let version = imds.map_or("", |imds| imds.version.as_str());
        let status = view.http.as_ref().and_then(|http| http.status);
        let rejected = imds.is_some_and(|imds| imds.rejected) || status == Some(401);
        let one = |yes: bool| u64::from(yes);
        let v1 = version == "v1";
        let early = view.boottime_us < AT_BOOT_MINUTES * 60_000_000;
        Self {
            requests: 1,
            v1: one(v1),
            v1_succeeded: one(v1 && !rejected && matches!(status, Some(200..=299))),
            v1_rejected: one(v1 && rejected),
            v2: one(version == "v2"),
            // A version that this program does not know is no better.
            unknown: one(!v1 && version != "v2"),
            token_requests: one(imds
                .and_then(|imds| imds.operation.as_deref())
                .is_some_and(|operation| operation == "token")),
            credentials: one(imds.and_then(|imds| imds.credentials) == Some(true)),
            at_boot: one(early),
        }
    }
}

/// Different texts, the first few of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Few {
    texts: BTreeSet<Box<str>>,
    /// There were more.
    pub more: bool,
}

impl Few {
    fn note(&mut self, text: Option<&str>) {
        let Some(text) = text.filter(|text| !text.is_empty()) else {
            return;
        };
        let text = clipped(text, 160);
        if self.texts.contains(&*text) {
            return;
        }
        if self.texts.len() < MAX_KINDS {
            self.texts.insert(text.into());
        } else {
            self.more = true;
        }
    }

    fn join(&mut self, other: Self) {
        other.texts.iter().for_each(|text| self.note(Some(text)));
        self.more |= other.more;
    }

    /// The texts, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(|text| &**text)
    }

    /// Whether this is the only one.
    fn is_only(&self, text: &str) -> bool {
        self.texts.len() == 1 && !self.more && self.texts.contains(text)
    }

    fn contains(&self, text: &str) -> bool {
        self.texts.contains(text)
    }
}

/// What callers of one group did.
#[derive(Clone, Debug)]
pub struct Group {
    /// How many requests.
    pub counts: Counts,
    /// First and last.
    pub first: Moment,
    /// First and last.
    pub last: Moment,
    /// Why there was no token, and how often.
    pub whys: BTreeMap<Why, u64>,
    /// v1 requests whose reason found no room there.
    pub other_whys: u64,
    /// Libraries and tools, with versions, of all requests.
    pub clients: Few,
    /// Status codes of v1 requests, and `closed` or `deadline` for none.
    pub v1_answers: BTreeMap<Box<str>, u64>,
    /// Targets of requests for credentials.
    pub credential_paths: Few,
    /// Why requests could not be read.
    pub unknown_reasons: Few,
    /// Paths of executables.
    pub executables: Few,
    /// Versions of the package.
    pub versions: Few,
    /// Users.
    pub users: Few,
    /// Containers they were in.
    pub containers: Few,
    /// Boots they ran in, as hosts are told by them.
    pub boots: BTreeSet<u32>,
    /// One of them.
    pub sample: Sample,
}

impl Group {
    fn new(view: &View<'_>, at: Moment) -> Self {
        Self {
            counts: Counts::default(),
            first: at,
            last: at,
            whys: BTreeMap::new(),
            other_whys: 0,
            clients: Few::default(),
            v1_answers: BTreeMap::new(),
            credential_paths: Few::default(),
            unknown_reasons: Few::default(),
            executables: Few::default(),
            versions: Few::default(),
            users: Few::default(),
            containers: Few::default(),
            boots: BTreeSet::new(),
            sample: Sample::of(view, 0),
        }
    }

    fn take(&mut self, view: &View<'_>, counts: &Counts, at: Moment) {
        self.counts.add(counts);
        self.first = self.first.min(at);
        self.last = self.last.max(at);
        if self.boots.len() < MAX_KINDS {
            self.boots.insert(at.boot);
        }
        let http = view.http.as_ref();
        let client = http.and_then(|http| http.client.as_ref());
        if let Some(client) = client {
            match client.version.as_deref() {
                Some(version) => self
                    .clients
                    .note(Some(&format!("{} {version}", &*client.name))),
                None => self.clients.note(Some(&client.name)),
            }
        }
        if let Some(process) = &view.process {
            self.executables.note(process.executable.as_deref());
            let package = process.package.as_ref();
            self.versions
                .note(package.and_then(|package| package.version.as_deref()));
            if let Some(user) = &process.user {
                match (user.name.as_deref(), user.id) {
                    (Some(name), _) => self.users.note(Some(name)),
                    (None, Some(id)) => self.users.note(Some(&format!("uid {id}"))),
                    (None, None) => {}
                }
            }
            if let Some(container) = &process.container {
                let name = container.name.as_deref();
                let short = &container.id[..container.id.floor_char_boundary(12)];
                self.containers.note(Some(name.unwrap_or(short)));
            }
        }
        if counts.credentials > 0 {
            self.credential_paths
                .note(http.and_then(|http| http.path.as_deref()));
        }
        if counts.unknown > 0 {
            let reason = view.imds.as_ref().and_then(|imds| imds.reason.as_deref());
            self.unknown_reasons
                .note(reason.or(Some("no reason given")));
        }
        if counts.v1 > 0 {
            self.take_v1(view);
        }
        let rank = if counts.v1 > 0 {
            2
        } else {
            u8::from(counts.unknown > 0)
        };
        if rank > self.sample.rank {
            self.sample = Sample::of(view, rank);
        }
    }

    fn take_v1(&mut self, view: &View<'_>) {
        let http = view.http.as_ref();
        let answer = match http.and_then(|http| http.status) {
            Some(status) => Some(status.to_string()),
            None => http
                .and_then(|http| http.no_response.as_deref())
                .map(|why| clipped(why, 40).into_owned()),
        };
        let answer = answer.unwrap_or_else(|| "unknown".to_owned());
        count_bounded(&mut self.v1_answers, answer.into(), 1);
        let client = http.and_then(|http| http.client.as_ref());
        let imds = view.imds.as_ref();
        let word = |text: Option<&str>| text.map(|text| clipped(text, 80).into());
        let why = Why {
            cause: word(imds.and_then(|imds| imds.cause.as_deref())),
            cause_status: imds.and_then(|imds| imds.cause_status),
            client: word(client.map(|client| &*client.name)),
            version: word(client.and_then(|client| client.version.as_deref())),
        };
        self.other_whys += count_bounded(&mut self.whys, why, 1);
    }

    fn join(&mut self, other: Self) {
        self.counts.add(&other.counts);
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        for (why, count) in other.whys {
            self.other_whys += count_bounded(&mut self.whys, why, count);
        }
        self.other_whys += other.other_whys;
        for (answer, count) in other.v1_answers {
            count_bounded(&mut self.v1_answers, answer, count);
        }
        self.clients.join(other.clients);
        self.credential_paths.join(other.credential_paths);
        self.unknown_reasons.join(other.unknown_reasons);
        self.executables.join(other.executables);
        self.versions.join(other.versions);
        self.users.join(other.users);
        self.containers.join(other.containers);
        let room = MAX_KINDS.saturating_sub(self.boots.len());
        self.boots.extend(other.boots.into_iter().take(room));
        if other.sample.rank > self.sample.rank {
            self.sample = other.sample;
        }
    }
}

/// Adds to a count, or gives it back if there is no room for another key.
fn count_bounded<K: Ord>(counts: &mut BTreeMap<K, u64>, key: K, count: u64) -> u64 {
    if let Some(counted) = counts.get_mut(&key) {
        *counted += count;
        return 0;
    }
    if counts.len() >= 2 * MAX_KINDS {
        return count;
    }
    counts.insert(key, count);
    0
}

impl Sample {
    fn of(view: &View<'_>, rank: u8) -> Self {
        let cut = |text: &str| clipped(text, MAX_SAMPLE).into_owned();
        let process = view.process.as_ref();
        let args = process.and_then(|process| process.args.as_ref());
        let path = view.http.as_ref().and_then(|http| http.path.as_deref());
        Self {
            rank,
            command_line: args.map(|args| {
                let mut line = String::new();
                for arg in args {
                    if line.len() > MAX_SAMPLE {
                        break;
                    }
                    if !line.is_empty() {
                        line.push(' ');
                    }
                    line.push_str(arg);
                }
                cut(&line)
            }),
            lineage: view.lineage.as_deref().map(cut),
            executable: process
                .and_then(|process| process.executable.as_deref())
                .map(cut),
            path: path.map(cut),
        }
    }
}

/// All callers.
#[derive(Debug, Default)]
pub struct Groups {
    groups: HashMap<Subject, Group>,
    /// Whether a group may be left that could make room.
    full_of_v1: bool,
    /// Those that found no room: how many requests, and when.
    pub others: Counts,
    /// Requests to other services than IMDS, which are in no group.
    pub other_services: u64,
    max: usize,
}

impl Groups {
    /// None yet.
    pub fn new() -> Self {
        Self::bounded(MAX_GROUPS)
    }

    fn bounded(max: usize) -> Self {
        Self {
            max,
            ..Self::default()
        }
    }

    /// Counts the record of a request.
    pub fn take(&mut self, view: &View<'_>, at: Moment) {
        let imds = view.imds.as_ref();
        if imds.is_some_and(|imds| imds.version.as_str() == "not_applicable") {
            self.other_services += 1;
            return;
        }
        let counts = Counts::of(view);
        let subject = Subject::of(view);
        if let Some(group) = self.groups.get_mut(&subject) {
            group.take(view, &counts, at);
            return;
        }
        if self.groups.len() >= self.max && !(counts.v2 == 0 && self.make_room()) {
            self.others.add(&counts);
            return;
        }
        let mut group = Group::new(view, at);
        group.take(view, &counts, at);
        self.groups.insert(subject, group);
    }

    /// Gives up a group that only used tokens. Each does so at most once, and nothing
    /// that comes in its place ever does, so that this stays cheap.
    fn make_room(&mut self) -> bool {
        if self.full_of_v1 {
            return false;
        }
        let with_tokens_only = |group: &Group| group.counts.v2 == group.counts.requests;
        let found = self
            .groups
            .iter()
            .filter(|(_, group)| with_tokens_only(group))
            .min_by(|(a, _), (b, _)| a.cmp(b))
            .map(|(subject, _)| subject.clone());
        match found.and_then(|subject| self.groups.remove(&subject)) {
            Some(group) => {
                self.others.add(&group.counts);
                true
            }
            None => {
                self.full_of_v1 = true;
                false
            }
        }
    }

    /// The groups, those with most to fix first.
    pub fn finish(mut self) -> (Vec<(Subject, Group)>, Counts) {
        self.join_late_packages();
        let others = self.others;
        let mut groups: Vec<_> = self.groups.into_iter().collect();
        groups.sort_by(|(a_subject, a), (b_subject, b)| {
            let weight = |group: &Group| {
                let counts = &group.counts;
                (counts.v1_calls(), counts.v1, counts.unknown, counts.v2)
            };
            weight(b).cmp(&weight(a)).then(a_subject.cmp(b_subject))
        });
        (groups, others)
    }

    /// The package of a program may have been found only after its first requests.
    /// These belong to it all the same, if the program is that package's alone.
    fn join_late_packages(&mut self) {
        use super::subject::Kind;
        let programs: Vec<Subject> = self
            .groups
            .keys()
            .filter(|subject| {
                matches!(
                    subject.kind,
                    Kind::Executable | Kind::Unit | Kind::Container
                )
            })
            .cloned()
            .collect();
        for program in programs {
            let Some(group) = self.groups.get(&program) else {
                continue;
            };
            let within = match program.kind {
                Kind::Container => Some(&program.name),
                _ => None,
            };
            let mut packages = self.groups.iter().filter(|(subject, package)| {
                subject.kind == Kind::Package
                    && subject.container.as_ref() == within
                    && group
                        .executables
                        .iter()
                        .all(|path| package.executables.contains(path))
            });
            let only = match (packages.next(), packages.next()) {
                (Some((subject, _)), None) => subject.clone(),
                _ => continue,
            };
            let one_path = group.executables.iter().next().map(str::to_owned);
            if !one_path.is_some_and(|path| group.executables.is_only(&path)) {
                continue;
            }
            if let (Some(early), Some(package)) =
                (self.groups.remove(&program), self.groups.get_mut(&only))
            {
                package.join(early);
            }
        }
    }
}

#[cfg(test)]
mod tests;
