//! What an owner fixes: the thing that callers are grouped by.
//!
//! A program that only does what others tell it (an interpreter, a shell, curl) is
//! nobody's to fix, and neither is its package: the script is. So the package counts
//! only for a program of its own, then the unit (but not cron's, which runs everybody's
//! jobs), then the container, then the script, and the executable at last.

use super::view::{AncestorView, ProcessView, Text, View};

/// Longest name, bytes. What is cut keeps its beginning.
pub const MAX_NAME: usize = 256;

/// How many ancestors are asked for a script.
const MAX_ANCESTORS: usize = 8;

/// Interpreters and shells, by the beginning of their name: `python3.11`.
const INTERPRETERS: [&str; 17] = [
    "python", "perl", "ruby", "node", "nodejs", "java", "php", "lua", "Rscript", "tclsh", "bash",
    "dash", "zsh", "ksh", "sh", "pwsh", "busybox",
];

/// Programs that ask what their command line says, for whoever runs them.
const TOOLS: [&str; 8] = [
    "curl", "wget", "http", "https", "nc", "ncat", "socat", "telnet",
];

/// Programs that only run others, on the way up to a script.
const LAUNCHERS: [&str; 9] = [
    "env", "sudo", "su", "timeout", "nice", "ionice", "flock", "xargs", "runuser",
];

/// Units that run what is not theirs.
const SHARED_UNITS: [&str; 13] = [
    "cron.service",
    "crond.service",
    "atd.service",
    "anacron.service",
    "ssh.service",
    "sshd.service",
    "init.scope",
    "containerd.service",
    "docker.service",
    "crio.service",
    "kubelet.service",
    "podman.service",
    "amazon-ssm-agent.service",
];

/// What kind of thing it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A package of the distribution.
    Package,
    /// A systemd unit.
    Unit,
    /// A container, by its image where that is known.
    Container,
    /// A script.
    Script,
    /// A program.
    Executable,
    /// Nothing is known of the caller.
    Unknown,
}

impl Kind {
    /// Its name, for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Package => "package",
            Self::Unit => "unit",
            Self::Container => "container",
            Self::Script => "script",
            Self::Executable => "program",
            Self::Unknown => "unknown caller",
        }
    }
}

/// What an owner fixes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject {
    /// What kind of thing.
    pub kind: Kind,
    /// Its name: of the package, the unit, the image, or a path.
    pub name: Box<str>,
    /// The container it is in, unless it is one.
    pub container: Option<Box<str>>,
}

impl Subject {
    /// The subject of a request.
    pub fn of(view: &View<'_>) -> Self {
        let Some(process) = &view.process else {
            return Self::new(Kind::Unknown, "", None);
        };
        let container = container_name(process);
        let within = container.as_deref();
        let executable = process.executable.as_deref();
        let program = base_name(executable.or(process.name.as_deref()).unwrap_or_default());
        let is_borrowed = is_interpreter(program) || TOOLS.contains(&program);
        if let (Some(package), false) = (&process.package, is_borrowed) {
            return Self::new(Kind::Package, &package.name, within);
        }
        if let (Some(unit), None) = (unit(process), within) {
            return Self::new(Kind::Unit, unit, None);
        }
        if let Some(name) = within {
            return Self::new(Kind::Container, name, None);
        }
        if is_borrowed && let Some(script) = script(process, program, view) {
            return Self::new(Kind::Script, &script, None);
        }
        match executable.or(process.name.as_deref()) {
            Some(path) => Self::new(Kind::Executable, path, None),
            None => Self::new(Kind::Unknown, "", None),
        }
    }

    fn new(kind: Kind, name: &str, container: Option<&str>) -> Self {
        Self {
            kind,
            name: clipped(name, MAX_NAME).into(),
            container: container.map(|name| clipped(name, MAX_NAME).into()),
        }
    }

    /// For people: `package awscli in container web:1`.
    pub fn title(&self) -> String {
        let mut title = self.kind.as_str().to_owned();
        if !self.name.is_empty() {
            title = format!("{title} {}", self.name);
        }
        match &self.container {
            Some(container) => format!("{title} in container {container}"),
            None => title,
        }
    }
}

/// The beginning of `text`, at most `max` bytes of it, and a mark if that is not all.
pub fn clipped(text: &str, max: usize) -> std::borrow::Cow<'_, str> {
    if text.len() <= max {
        return text.into();
    }
    format!("{}…", &text[..text.floor_char_boundary(max)]).into()
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// `python3.11`, `ruby2.7`, `perl5.36.0`: a name and a version.
fn is_interpreter(program: &str) -> bool {
    let name = program.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    INTERPRETERS.contains(&name)
}

fn unit<'a>(process: &'a ProcessView<'_>) -> Option<&'a str> {
    let own = process.systemd_user_unit.as_deref();
    let unit = own.or(process.systemd_unit.as_deref())?;
    let is_shared = SHARED_UNITS.contains(&unit)
        || (unit.starts_with("session-") && unit.ends_with(".scope"))
        || (unit.starts_with("user@") && own.is_none());
    (!is_shared).then_some(unit)
}

/// The image, or what else outlives a container's id.
fn container_name(process: &ProcessView<'_>) -> Option<String> {
    let join = |a: &Option<Text<'_>>, b: &Option<Text<'_>>| match (a, b) {
        (Some(a), Some(b)) => Some(format!("{}/{}", a.as_str(), b.as_str())),
        _ => None,
    };
    let container = process.container.as_ref();
    container
        .and_then(|container| container.image.as_deref().map(str::to_owned))
        .or_else(|| {
            let ecs = process.ecs.as_ref()?;
            join(&ecs.task_definition, &ecs.container_name)
        })
        .or_else(|| {
            let pod = process.kubernetes.as_ref()?;
            join(&pod.namespace, &pod.container_name)
        })
        .or_else(|| container?.name.as_deref().map(str::to_owned))
        .or_else(|| Some(container?.id.as_str().to_owned()))
}

/// The script that a borrowed program runs, or for which it runs.
fn script(process: &ProcessView<'_>, program: &str, view: &View<'_>) -> Option<String> {
    if is_interpreter(program) {
        let args = process.args.as_deref().unwrap_or_default();
        let words = args.iter().skip(1).map(Text::as_str);
        if let Some(script) = script_in(program, words) {
            return Some(script);
        }
    }
    let ancestors: Vec<AncestorView<'_>> = view
        .ancestors
        .and_then(|raw| serde_json::from_str(raw.get()).ok())?;
    for ancestor in ancestors.iter().take(MAX_ANCESTORS) {
        let line = ancestor.command_line.as_deref().unwrap_or_default();
        let path = ancestor.executable.as_deref();
        let program = base_name(path.unwrap_or_else(|| line.split(' ').next().unwrap_or_default()));
        if is_interpreter(program) {
            if let Some(script) = script_in(program, line.split(' ').skip(1)) {
                return Some(script);
            }
        } else if !LAUNCHERS.contains(&program) && !TOOLS.contains(&program) {
            // A daemon: cron, sshd, systemd.
            break;
        }
    }
    None
}

/// The script among the arguments of an interpreter: the first that is no option. Of
/// `-m MODULE` and `-jar FILE` that. A script that stands in an argument itself
/// (`-c`, `-e`) is named as what it is, without its text.
fn script_in<'a>(program: &str, mut words: impl Iterator<Item = &'a str>) -> Option<String> {
    let program = program.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    while let Some(word) = words.next() {
        match (program, word) {
            ("python", "-m") => return Some(format!("python -m {}", words.next()?)),
            ("java", "-jar") => return words.next().map(str::to_owned),
            ("java", "-cp" | "-classpath" | "--class-path" | "-p" | "--module-path")
            | ("python", "-W" | "-X")
            | ("node" | "nodejs", "-r" | "--require" | "--import")
            | ("ruby" | "perl", "-I")
            | ("php", "-d") => drop(words.next()),
            ("php", "-f") => return words.next().map(str::to_owned),
            (
                _,
                "-c" | "-e" | "-E" | "-r" | "--eval" | "-p" | "--print" | "-lc" | "-ec" | "-xc",
            ) => {
                return None;
            }
            (_, word) if word.starts_with(['-', '+']) || word.is_empty() => {}
            (_, word) => return Some(word.to_owned()),
        }
    }
    None
}

#[cfg(test)]
mod tests;
