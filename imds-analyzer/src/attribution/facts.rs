//! What the kernel side told of senders beside their chunks.

use std::hash::{BuildHasher as _, RandomState};

use super::{
    identity::Identity,
    recent::{Recent, Weight},
};
use crate::{
    capture::{Ancestor, Program, Task},
    redact,
};

/// Room for the facts of all senders, bytes. They are told again every second, so
/// forgetting them early costs little.
const MAX_BYTES: usize = 2 * 1024 * 1024;

/// Last argument of a list that the kernel side cut.
const CUT: &str = "…[truncated]";

/// What is known of one sender.
#[derive(Default)]
pub(super) struct Facts {
    pub(super) args: Option<Args>,
    /// Nearest first, and whether there were more.
    pub(super) ancestors: Option<(Vec<Ancestor>, bool)>,
    pub(super) program: Option<Program>,
}

/// Arguments as they were at the moment of a send.
pub(super) struct Args {
    /// Escaped and free of secrets, with a mark if they were cut.
    pub(super) shown: Vec<String>,
    /// Of all that was taken. A digest, so that no secret is kept.
    digest: u64,
    /// What was taken, bytes with the NULs between the arguments.
    taken: usize,
    cut: bool,
}

/// What a fact changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// It was known.
    Nothing,
    /// It was not known.
    Fact,
    /// Other arguments: the process has rewritten them.
    OtherArgs,
}

/// The facts of all senders.
pub(super) struct FactsOf {
    senders: Recent<Identity, Facts>,
    /// Its key is secret: no process can make arguments that look unchanged.
    hasher: RandomState,
}

impl FactsOf {
    pub(super) fn new() -> Self {
        Self {
            senders: Recent::new(MAX_BYTES),
            hasher: RandomState::new(),
        }
    }

    pub(super) fn get(&mut self, sender: &Identity) -> Option<&Facts> {
        self.senders.get(sender)
    }

    /// Takes note of arguments. Every stream tells them again, which must be cheap:
    /// to look for secrets is not.
    pub(super) fn note_args(&mut self, task: &Task, args: &[Vec<u8>], cut: bool) -> News {
        // No arguments: they could not be read, and /proc may still have them. No
        // process: it is not known who sends, and not always the same.
        if args.is_empty() || task.tgid == 0 {
            return News::Nothing;
        }
        let sender = Identity::from(task);
        let memory = args.join(&0);
        let digest = self.hasher.hash_one(memory.as_slice());
        let known = self.senders.get(&sender).and_then(|it| it.args.as_ref());
        let news = match known {
            Some(known) if known.digest == digest && known.cut == cut => return News::Nothing,
            Some(_) => News::OtherArgs,
            None => News::Fact,
        };
        let args = Args {
            shown: show(args, cut),
            digest,
            taken: memory.len(),
            cut,
        };
        let mut facts = self.senders.remove(&sender).unwrap_or_default();
        facts.args = Some(args);
        self.senders.insert(sender, facts);
        news
    }

    /// Takes note of ancestors.
    pub(super) fn note_ancestors(
        &mut self,
        task: &Task,
        ancestors: Vec<Ancestor>,
        truncated: bool,
    ) -> News {
        if task.tgid == 0 {
            return News::Nothing;
        }
        let sender = Identity::from(task);
        let known = self
            .senders
            .get(&sender)
            .and_then(|it| it.ancestors.as_ref());
        if known.is_some_and(|known| known.0 == ancestors && known.1 == truncated) {
            return News::Nothing;
        }
        let mut facts = self.senders.remove(&sender).unwrap_or_default();
        facts.ancestors = Some((ancestors, truncated));
        self.senders.insert(sender, facts);
        News::Fact
    }

    /// Takes note of what a sender runs, and where.
    pub(super) fn note_program(&mut self, task: &Task, program: Program) -> News {
        if task.tgid == 0 {
            return News::Nothing;
        }
        let sender = Identity::from(task);
        let known = self.senders.get(&sender).and_then(|it| it.program.as_ref());
        if known == Some(&program) {
            return News::Nothing;
        }
        let mut facts = self.senders.remove(&sender).unwrap_or_default();
        facts.program = Some(program);
        self.senders.insert(sender, facts);
        News::Fact
    }

    /// The arguments to show for a sender: the kernel's, or those of `/proc`, given
    /// if the same program is `live` there, where the kernel's are missing or are
    /// their cut beginning.
    pub(super) fn args(
        &mut self,
        sender: &Identity,
        live: Option<&[Vec<u8>]>,
    ) -> Option<Vec<String>> {
        let noted = self.senders.get(sender).and_then(|it| it.args.as_ref());
        let shown = match (noted, live) {
            (Some(noted), Some(live)) if noted.is_beginning_of(live, &self.hasher) => {
                redact::args(live)
            }
            (Some(noted), _) => noted.shown.clone(),
            (None, live) => redact::args(live?),
        };
        Some(shown).filter(|shown| !shown.is_empty())
    }
}

impl Args {
    fn is_beginning_of(&self, args: &[Vec<u8>], hasher: &RandomState) -> bool {
        // No longer than the beginning: it is cut there, too.
        let memory = args.join(&0);
        self.cut
            && memory.len() > self.taken
            && hasher.hash_one(&memory[..self.taken]) == self.digest
    }
}

fn show(args: &[Vec<u8>], cut: bool) -> Vec<String> {
    if !cut {
        return redact::args(args);
    }
    let mut whole = args.to_vec();
    if let Some(last) = whole.pop() {
        // Half of a secret has no shape to be known by, so the word that the cut
        // went through goes.
        let end = last.iter().rposition(u8::is_ascii_whitespace);
        whole.extend(end.map(|end| last[..end].to_vec()));
    }
    let mut shown = redact::args(&whole);
    shown.push(CUT.to_owned());
    shown
}

impl Weight for Facts {
    fn heap_bytes(&self) -> usize {
        let args = self.args.as_ref().map_or(0, |args| args.shown.heap_bytes());
        let ancestors = self.ancestors.as_ref().map_or(0, |(ancestors, _)| {
            ancestors.capacity() * size_of::<Ancestor>()
                + ancestors.iter().map(|it| it.name.capacity()).sum::<usize>()
        });
        let program = self.program.as_ref().map_or(0, |program| {
            let path = program.path.as_ref().map_or(0, Vec::capacity);
            path + program.cgroup.as_ref().map_or(0, Vec::capacity)
        });
        args + ancestors + program
    }
}
