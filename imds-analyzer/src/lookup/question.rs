//! What can be asked about a caller, and what the answer adds to its record.

use super::container::ContainerNames;
use crate::{
    attribution::recent::Weight,
    record::{FileId, Package, Process},
};

/// Most processes that are tried to find a container's root.
const MAX_TRIED: usize = 8;

/// A question whose answer is the same for everybody who asks it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Question {
    /// Whose is the executable at this path?
    Package {
        inside: Option<Inside>,
        path: String,
        file: FileId,
    },
    /// What is this container called?
    Container { runtime: Option<String>, id: String },
    /// What is this user of the host called in there?
    User { inside: Inside, uid: u32 },
}

/// A container whose files are to be read. The files of a container in a container
/// are its own, so its id is part of the question.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Inside {
    pub(super) id: String,
    pub(super) inner_id: Option<String>,
}

/// A question, and processes through which a container can be found: those nearest to
/// its beginning first, as a process deep inside may have another root.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) question: Question,
    pub(super) pids: Vec<u32>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    Package(Package),
    Names(Box<ContainerNames>),
    User(String),
    /// There was no time to look.
    NotNow,
}

impl Question {
    /// All that can be asked about a process.
    pub(super) fn about(process: &Process, packages: bool) -> Vec<Self> {
        let mut questions = Vec::new();
        let inside = match &process.container {
            // Its id, and all that is in it, is somebody's word.
            Some(container) if container.delegated => return questions,
            Some(container) => Some(Inside {
                id: container.id.clone(),
                inner_id: container.inner_id.clone(),
            }),
            None => None,
        };
        if packages
            && process.executable_state.is_none()
            && let (Some(path), Some(file)) = (&process.executable, process.executable_file)
            && is_plain(path)
        {
            questions.push(Self::Package {
                inside: inside.clone(),
                path: path.clone(),
                file,
            });
        }
        if let Some(container) = &process.container {
            let has_state = container.id.len() == 64
                && container.id.bytes().all(|byte| byte.is_ascii_hexdigit());
            if has_state {
                questions.push(Self::Container {
                    runtime: container.runtime.clone(),
                    id: container.id.clone(),
                });
            }
        }
        if let (Some(inside), None) = (inside, &process.user.name) {
            let uid = process.user.id;
            questions.push(Self::User { inside, uid });
        }
        questions
    }

    /// This question, about a process whose ancestors are `above`, nearest first.
    pub(super) fn ask(&self, pid: u32, above: &[u32]) -> Ask {
        let pids = match self {
            Self::Container { .. } | Self::Package { inside: None, .. } => Vec::new(),
            Self::Package { .. } | Self::User { .. } => {
                let nearest = above.iter().take(MAX_TRIED - 1);
                nearest.rev().copied().chain([pid]).collect()
            }
        };
        Ask {
            question: self.clone(),
            pids,
        }
    }
}

/// Whether a path is what the file system has: nothing escaped, replaced or cut.
fn is_plain(path: &str) -> bool {
    path.starts_with('/') && !path.contains(['\\', '…', '['])
}

impl Found {
    /// Adds the answer to a record.
    pub(super) fn describe(&self, process: &mut Process) {
        match self {
            Self::Nothing | Self::NotNow => {}
            Self::Package(package) => process.package = Some(package.clone()),
            Self::Names(names) => names.describe(process),
            Self::User(name) => process.user.name = Some(name.clone()),
        }
    }
}

impl Weight for Found {
    fn heap_bytes(&self) -> usize {
        match self {
            Self::Nothing | Self::NotNow => 0,
            Self::Package(package) => {
                package.name.heap_bytes()
                    + package.version.heap_bytes()
                    + package.manager.heap_bytes()
            }
            Self::Names(names) => size_of::<ContainerNames>() + names.heap_bytes(),
            Self::User(name) => name.heap_bytes(),
        }
    }
}

impl Weight for Question {
    fn heap_bytes(&self) -> usize {
        match self {
            Self::Package { inside, path, .. } => inside.heap_bytes() + path.heap_bytes(),
            Self::Container { runtime, id } => runtime.heap_bytes() + id.heap_bytes(),
            Self::User { inside, .. } => inside.heap_bytes(),
        }
    }
}

impl Weight for Inside {
    fn heap_bytes(&self) -> usize {
        self.id.heap_bytes() + self.inner_id.heap_bytes()
    }
}
