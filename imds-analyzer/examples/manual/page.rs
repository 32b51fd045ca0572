//! One man page out of one command.
//!
//! `clap_mangen` writes what it knows (name, synopsis, options). What stands below the
//! options in `--help` is text to it; here it becomes the sections that readers of man
//! pages look for.

use std::io::{self, Write};

use clap::Command;
use clap_mangen::Man;
use roff::{Roff, bold, roman};

use crate::PROGRAM;

/// Files that the program reads and writes when it is installed, and what they are.
const FILES: [(&str, &str); 3] = [
    (
        imds_analyzer::config::DEFAULT_PATH,
        "Configuration; every key is in it, with what it means and its default.",
    ),
    (
        "/var/log/imds-analyzer/imds-analyzer.log",
        "Records of the service, one JSON object a line. Root and the group imds-analyzer may read it.",
    ),
    (
        "/usr/share/imds-analyzer",
        "Configuration for the CloudWatch agent and logrotate, and the JSON Schema of the records.",
    ),
];

/// How the page of `command` is called: `imds-analyzer-run.1`.
pub(crate) fn file_name(command: &Command) -> String {
    format!("{}.1", name(command))
}

/// The page of `command`, one of `all`, of the day `date`.
pub(crate) fn render(command: &Command, all: &[Command], date: &str) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    let man = Man::new(command.clone())
        .title(name(command).to_uppercase())
        .section("1")
        .date(date)
        .source(format!("{PROGRAM} {}", env!("CARGO_PKG_VERSION")))
        .manual("imds-analyzer");
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    man.render_options_section(&mut page)?;
    let below = command
        .get_after_long_help()
        .or_else(|| command.get_after_help())
        .map(ToString::to_string)
        .unwrap_or_default();
    let mut rest = Roff::new();
    for paragraph in below.split("\n\n") {
        section(&mut rest, paragraph);
    }
    rest.control("SH", ["FILES"]);
    for (path, what) in FILES {
        rest.control("TP", [])
            .text([roman(path)])
            .text([roman(what)]);
    }
    see_also(&mut rest, command, all);
    page.write_all(rest.to_roff().as_bytes())?;
    Ok(page)
}

fn name(command: &Command) -> &str {
    command
        .get_display_name()
        .unwrap_or_else(|| command.get_name())
}

/// One paragraph of what stands below the options, as a section.
fn section(page: &mut Roff, paragraph: &str) {
    if let Some(examples) = paragraph.strip_prefix("Examples:\n") {
        page.control("SH", ["EXAMPLES"]);
        let mut is_command = false;
        for line in examples.lines() {
            // A command is indented by two, what it does by six.
            let was_command = is_command;
            is_command = !line.starts_with("      ");
            if is_command && !was_command {
                page.control("TP", []);
            }
            let text = line.trim_start();
            page.text([if is_command { bold(text) } else { roman(text) }]);
        }
    } else if let Some((before, codes)) = paragraph.split_once("Exit codes: ") {
        section(page, before.trim_end());
        page.control("SH", ["EXIT STATUS"]);
        text(page, codes);
    } else if !paragraph.trim().is_empty() {
        page.control("SH", ["NOTES"]);
        text(page, paragraph);
    }
}

fn text(page: &mut Roff, paragraph: &str) {
    for line in paragraph.lines() {
        page.text([roman(line)]);
    }
}

fn see_also(page: &mut Roff, command: &Command, all: &[Command]) {
    let others: Vec<&str> = all
        .iter()
        .map(name)
        .filter(|other| *other != name(command))
        .collect();
    page.control("SH", ["SEE ALSO"]);
    for other in others {
        page.text([bold(other), roman("(1),")]);
    }
    page.text([bold("journalctl"), roman("(1)")]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(paragraph: &str) -> String {
        let mut page = Roff::new();
        section(&mut page, paragraph);
        page.to_roff()
    }

    #[test]
    fn example_is_a_bold_command_and_what_it_does() {
        let page = rendered("Examples:\n  a run | b\n      Does it.\n  a check\n      Looks.");
        assert_eq!(
            page,
            ".SH EXAMPLES\n.TP\n\\fBa run | b\\fR\nDoes it.\n.TP\n\\fBa check\\fR\nLooks.\n"
        );
    }

    #[test]
    fn exit_codes_are_a_section_wherever_they_stand() {
        for paragraph in [
            "Exit codes: 0 done,\n1 failed.",
            "Ready.\nSays so. Exit codes: 0 done,\n1 failed.",
            "Ready.\nExit codes: 0 done,\n1 failed.",
        ] {
            let page = rendered(paragraph);
            assert!(
                page.ends_with(".SH \"EXIT STATUS\"\n0 done,\n1 failed.\n"),
                "{page}"
            );
        }
        assert!(rendered("Ready. Exit codes: 0").starts_with(".SH NOTES\nReady.\n"));
    }

    #[test]
    fn text_that_looks_like_a_request_of_roff_stays_text() {
        let page = rendered(".so /etc/passwd\n'quoted' and \\back");
        assert!(!page.contains("\n.so"), "{page}");
        assert!(!page.contains("\n'"), "{page}");
        assert!(page.contains(r"\\back"), "{page}");
    }
}
