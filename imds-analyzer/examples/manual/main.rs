//! Writes the man pages and the shell completions of imds-analyzer.
//!
//!     cargo run --example manual -- DIRECTORY 2026-11-22
//!
//! Both come from [`imds_analyzer::cli`], so they say what `--help` says. It is an
//! example and no subcommand because nobody needs it on a host: what it links is not
//! in the released binary. `cargo xtask dist` runs it.

mod page;

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use clap::{Command, CommandFactory as _};
use clap_complete::Shell;
use imds_analyzer::cli::Cli;

const PROGRAM: &str = "imds-analyzer";
const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [directory, date] = &words[..] else {
        eprintln!("usage: manual DIRECTORY DATE");
        return ExitCode::from(2);
    };
    match write(Path::new(directory), date) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("manual: cannot write to {directory}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Writes one page for each command, and one file for each shell.
fn write(directory: &Path, date: &str) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(directory)?;
    let commands = commands();
    for command in &commands {
        let text = page::render(command, &commands, date)?;
        fs::write(directory.join(page::file_name(command)), text)?;
    }
    for shell in SHELLS {
        clap_complete::generate_to(shell, &mut Cli::command(), PROGRAM, directory)?;
    }
    Ok(())
}

/// The program and every subcommand that is shown, those of subcommands included, in
/// the order of `--help`.
fn commands() -> Vec<Command> {
    // `help` needs no page; each page's own words are what it would print.
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    let mut commands = Vec::new();
    // A stack, the first subcommand on top.
    let mut rest = vec![program];
    while let Some(command) = rest.pop() {
        let shown = command.get_subcommands().filter(|sub| !sub.is_hide_set());
        rest.extend(shown.cloned().collect::<Vec<_>>().into_iter().rev());
        commands.push(command);
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_with_its_examples() {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), "2026-11-22").unwrap();
        let names: Vec<String> = commands().iter().map(page::file_name).collect();
        assert_eq!(names[0], "imds-analyzer.1");
        assert!(names.contains(&"imds-analyzer-run.1".into()), "{names:?}");
        assert!(!names.contains(&"imds-analyzer-help.1".into()), "{names:?}");
        for name in names {
            let page = fs::read_to_string(directory.path().join(&name)).unwrap();
            for section in ["NAME", "SYNOPSIS", "EXAMPLES", "\"EXIT STATUS\"", "FILES"] {
                let heading = format!(".SH {section}\n");
                assert!(page.contains(&heading), "{name} has no {section}: {page}");
            }
        }
    }

    #[test]
    fn every_shell_completes_every_command() {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), "2026-11-22").unwrap();
        for file in ["imds-analyzer.bash", "_imds-analyzer", "imds-analyzer.fish"] {
            let text = fs::read_to_string(directory.path().join(file)).unwrap();
            for command in &commands()[1..] {
                assert!(text.contains(command.get_name()), "{file}: {command}");
            }
        }
    }
}
