//! Answers questions, one after the other.

use std::{
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, SyncSender},
    time::{Duration, Instant},
};

use super::{
    Message,
    budget::Budget,
    container, package,
    question::{Ask, Found, Inside, Question},
    root::{ContainerRoot, Root},
    rpm::Rpm,
    user,
};

/// How long one search in files may take.
const SEARCH_WITHIN: Duration = Duration::from_secs(2);

/// Reads the host's and the containers' files.
pub(super) struct Worker {
    root: PathBuf,
    /// Time for questions about the host, and about what containers have made: the
    /// one must not starve the other.
    host: Budget,
    containers: Budget,
}

impl Worker {
    pub(super) fn new(root: PathBuf) -> Self {
        let now = Instant::now();
        Self {
            root,
            host: Budget::new(now),
            containers: Budget::new(now),
        }
    }

    /// Answers until nobody asks, or nobody listens.
    pub(super) fn answer_all(mut self, asked: &Receiver<Ask>, answers: &SyncSender<Message>) {
        let mut rpm = None;
        for ask in asked {
            let found = self.within_budget(&ask, &mut rpm);
            if answers.send(Message::Answer(ask.question, found)).is_err() {
                return;
            }
        }
    }

    fn within_budget(&mut self, ask: &Ask, rpm: &mut Option<Option<Rpm>>) -> Found {
        let start = Instant::now();
        let budget = if ask.pids.is_empty() {
            &mut self.host
        } else {
            &mut self.containers
        };
        if !budget.allows(start) {
            return Found::NotNow;
        }
        let found = answer(&self.root, ask, rpm);
        let took = start.elapsed();
        budget.spend(took);
        found.unwrap_or_else(|| nothing_after(took))
    }
}

/// What it means that nothing was found: a search that was given up, as while a host
/// boots and its disk is busy, is worth another.
fn nothing_after(took: Duration) -> Found {
    if took < SEARCH_WITHIN {
        Found::Nothing
    } else {
        Found::NotNow
    }
}

/// `rpm` is looked for when it is first needed.
fn answer(root_path: &Path, ask: &Ask, rpm: &mut Option<Option<Rpm>>) -> Option<Found> {
    let deadline = Instant::now() + SEARCH_WITHIN;
    let root = Root::open(root_path).ok()?;
    let container = |inside: &Inside| ContainerRoot::of(&root_path.join("proc"), &ask.pids, inside);
    match &ask.question {
        Question::Package {
            inside: None,
            path,
            file,
        } => {
            let rpm = rpm.get_or_insert_with(|| Rpm::of_host(&root)).as_mut();
            package::owner(&root, path, *file, rpm, deadline).map(Found::Package)
        }
        Question::Package {
            inside: Some(inside),
            path,
            file,
        } => {
            let container = container(inside)?;
            package::owner(&container.root, path, *file, None, deadline).map(Found::Package)
        }
        Question::Container { runtime, id } => container::names(&root, runtime.as_deref(), id)
            .map(|names| Found::Names(Box::new(names))),
        Question::User { inside, uid } => user::name(&container(inside)?, *uid).map(Found::User),
    }
}

#[cfg(test)]
mod tests;
