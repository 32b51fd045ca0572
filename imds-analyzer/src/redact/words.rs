//! Secrets in sequences of words: a process's arguments, and the words of a shell
//! script that is one of them.

use std::ops::Range;

use super::pairs::{is_reference, split_at_byte};
use super::{Spans, names};

/// How many scripts within scripts are taken apart.
const MAX_DEPTH: usize = 4;

/// Options whose value is `user:password`.
const LOGIN_OPTIONS: [&str; 8] = [
    "-u",
    "-U",
    "--user",
    "--proxy-user",
    "--preproxy-user",
    "--userpwd",
    "--creds",
    "--login",
];

/// Options that take a password, and the programs where they do; elsewhere they
/// mean something harmless.
const PASSWORD_OPTIONS: [(&str, &[&str]); 7] = [
    (
        "-p",
        &[
            "sshpass",
            "mongo",
            "mongosh",
            "mongodump",
            "mongorestore",
            "login",
            "az",
        ],
    ),
    ("-b", &["curl"]), // cookies
    ("-a", &["redis-cli", "http", "https"]),
    (
        "-w",
        &[
            "ldapsearch",
            "ldapadd",
            "ldapmodify",
            "ldapdelete",
            "ldapwhoami",
            "ldappasswd",
        ],
    ),
    ("-P", &["zip", "unzip", "sqlcmd", "bcp"]),
    ("-k", &["openssl"]),
    ("-K", &["openssl"]),
];

/// Programs that take a password right behind `-p`.
const ATTACHED_PASSWORD: [&str; 10] = [
    "sshpass",
    "mysql",
    "mysqldump",
    "mysqladmin",
    "mariadb",
    "mariadb-dump",
    "mariadb-admin",
    "7z",
    "7za",
    "mongo",
];

/// A word and where it is.
#[derive(Clone, Copy)]
struct Word<'a> {
    text: &'a [u8],
    /// Which argument it is in, and where there.
    arg: usize,
    offset: usize,
    /// A separator of commands is before it.
    begins_command: bool,
}

/// What the last word says of the next.
#[derive(Clone, Copy, PartialEq)]
enum Next {
    Anything,
    /// A secret, because of an option.
    Secret,
    /// A secret or the name of its scheme, because of a header's name.
    Header,
    /// `user:password`.
    Login,
    /// A secret if it looks like a token.
    Token,
}

/// Finds secrets in arguments; `spans` has an element for each.
pub(super) fn find(args: &[&[u8]], spans: &mut [Spans]) {
    let mut words = args.iter().enumerate().map(|(arg, text)| Word {
        text,
        arg,
        offset: 0,
        begins_command: arg == 0,
    });
    sequence(&mut words, spans, 0);
}

fn sequence<'a>(words: &mut dyn Iterator<Item = Word<'a>>, spans: &mut [Spans], depth: usize) {
    let mut next = Next::Anything;
    let mut program: &[u8] = b"";
    let mut before: &[u8] = b"";
    for word in words {
        let word = if depth > 0 { word.unquoted() } else { word };
        let text = word.text;
        let script = depth > 0 || text.iter().any(u8::is_ascii_whitespace);
        let mut expected = std::mem::replace(&mut next, Next::Anything);
        if word.begins_command {
            expected = Next::Anything;
        }
        let is_secret = match expected {
            Next::Header if names::is_scheme(text) => {
                next = Next::Header;
                continue;
            }
            Next::Secret | Next::Header => !looks_like_option(text),
            Next::Token => looks_like_token(text),
            Next::Anything | Next::Login => false,
        };
        if is_secret {
            if !(depth > 0 && is_reference(text)) {
                word.redact(0..text.len(), spans);
            }
            continue;
        }
        if expected == Next::Login {
            word.redact_login(0, spans);
        }
        let command = is_command_option(before);
        next = word.judge(script, command, program, spans);
        if next == Next::Anything {
            word.attached(program, spans);
        }
        let name = text.rsplit(|&byte| byte == b'/').next().unwrap_or(text);
        if is_program_with_password(name) {
            program = name;
        }
        if depth < MAX_DEPTH
            && text
                .iter()
                .any(|b| b.is_ascii_whitespace() || b"\"'\\".contains(b))
        {
            let mut inner = shell_words(text).map(|(begins_command, range)| Word {
                text: &text[range.clone()],
                arg: word.arg,
                offset: word.offset + range.start,
                begins_command,
            });
            sequence(&mut inner, spans, depth + 1);
        }
        before = text;
    }
}

impl Word<'_> {
    fn redact(self, range: Range<usize>, spans: &mut [Spans]) {
        spans[self.arg].push(self.offset + range.start..self.offset + range.end);
    }

    /// Redacts the password of `user:password`, which begins at `start`. Two
    /// numbers are a user and a group.
    fn redact_login(self, start: usize, spans: &mut [Spans]) {
        let Some((user, password)) = split_at_byte(&self.text[start..], b':') else {
            return;
        };
        let numbers = [user, password]
            .iter()
            .all(|text| text.iter().all(u8::is_ascii_digit));
        if !numbers && !password.starts_with(b"//") && !is_reference(password) {
            self.redact(start + user.len() + 1..self.text.len(), spans);
        }
    }

    /// Redacts the value of a word that is `name=value` or `name: value`, up to
    /// the word's end, and tells what the next word is.
    fn judge(self, script: bool, command: bool, program: &[u8], spans: &mut [Spans]) -> Next {
        let text = self.text;
        let lead = text
            .iter()
            .take_while(|byte| b"-\"'\\$".contains(byte))
            .count();
        let name = text[lead..]
            .iter()
            .take_while(|&&byte| names::is_name_byte(byte))
            .count();
        let (separator, name) = (lead + name, &text[lead..lead + name]);
        // `name : value`
        let space = leading_space(&text[separator..]);
        let spaced_colon = text.get(separator + space) == Some(&b':');
        let separator = if spaced_colon {
            separator + space
        } else {
            separator
        };
        let value = separator + 1;
        let option = text.starts_with(b"-");
        match text.get(separator) {
            None if option && names::is_secret(name) => Next::Secret,
            None if is_variable(name) && !self.begins_command => Next::Secret,
            None if option && is_login_option(text) => Next::Login,
            None if option && is_password_option(text, program) => Next::Secret,
            None if names::is_scheme(name) && !name.eq_ignore_ascii_case(b"token") => Next::Token,
            Some(b'=') if names::is_secret(name) => {
                let literal = !script || !is_reference(&text[value..]);
                if literal && !(command && script) {
                    self.redact(value..text.len(), spans);
                }
                Next::Anything
            }
            Some(b'=') if is_login_option(&text[..separator]) => {
                self.redact_login(value, spans);
                Next::Anything
            }
            Some(b':') if names::is_secret(name) && !text[value..].starts_with(b"//") => {
                let blank = |byte: &u8| byte.is_ascii_whitespace() || b"\"'\\".contains(byte);
                if text[value..].iter().all(blank) {
                    return Next::Header;
                }
                if !(script && is_reference(&text[value..])) {
                    self.redact(value + leading_space(&text[value..])..text.len(), spans);
                }
                if names::is_scheme(text[value..].trim_ascii()) {
                    Next::Header
                } else {
                    Next::Anything
                }
            }
            _ => Next::Anything,
        }
    }

    /// Redacts what is attached to a short option: `-uuser:password`,
    /// `-pPASSWORD`.
    fn attached(self, program: &[u8], spans: &mut [Spans]) {
        let text = self.text;
        if (text.starts_with(b"-u") || text.starts_with(b"-U")) && text.len() > 2 {
            self.redact_login(2, spans);
        }
        let known = ATTACHED_PASSWORD
            .iter()
            .any(|name| name.as_bytes() == program);
        if known && text.starts_with(b"-p") && text.len() > 2 {
            self.redact(2..text.len(), spans);
        }
    }

    /// The word without the quotes that enclose it.
    fn unquoted(self) -> Self {
        let text = self.text;
        let quoted = |mark: &[u8]| {
            text.len() >= 2 * mark.len() && text.starts_with(mark) && text.ends_with(mark)
        };
        let mark = [&b"\\\""[..], b"\\'", b"\"", b"'"]
            .into_iter()
            .find(|mark| quoted(mark));
        let length = mark.map_or(0, <[u8]>::len);
        let text = &text[length..text.len() - length];
        Self {
            text,
            offset: self.offset + length,
            ..self
        }
    }
}

/// The words of a shell script, with their quotes, and whether each begins a
/// command. Quoting is followed as far as it decides where a word ends; escaped
/// quotes, as in a script within a script, are quotes.
fn shell_words(text: &[u8]) -> impl Iterator<Item = (bool, Range<usize>)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let mut begins_command = at == 0;
        while let Some(&byte) = text.get(at) {
            if text[at..].starts_with(b"\\\n") {
                at += 2;
            } else if ends_word(byte) {
                begins_command |= !matches!(byte, b' ' | b'\t');
                at += 1;
            } else {
                break;
            }
        }
        let start = at;
        while let Some(&byte) = text.get(at) {
            let escaped = byte == b'\\' && matches!(text.get(at + 1), Some(b'"' | b'\''));
            match byte {
                _ if escaped => {
                    let quote = [b'\\', text[at + 1]];
                    let close = memchr::memmem::find(&text[at + 2..], &quote);
                    at += close.map_or(2, |close| close + 4);
                }
                b'\\' => at += 2,
                b'\'' => {
                    let close = memchr::memchr(b'\'', &text[at + 1..]);
                    at = close.map_or(text.len(), |close| at + close + 2);
                }
                b'"' => at = double_quote_end(text, at + 1),
                _ if ends_word(byte) => break,
                _ => at += 1,
            }
        }
        at = at.min(text.len());
        (start < at).then_some((begins_command, start..at))
    })
}

fn double_quote_end(text: &[u8], mut at: usize) -> usize {
    while let Some(&byte) = text.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

fn ends_word(byte: u8) -> bool {
    byte.is_ascii_whitespace() || b";|&()<>`".contains(&byte)
}

fn leading_space(text: &[u8]) -> usize {
    text.len() - text.trim_ascii_start().len()
}

/// Whether a word without a value of its own names a secret that follows it:
/// `aws configure set aws_session_token …`, `set -x TOKEN …`, `password …`. Other
/// single words (`create secret generic`) are too common for that.
fn is_variable(name: &[u8]) -> bool {
    let upper = !name.iter().any(u8::is_ascii_lowercase);
    let password = name == b"password" || name == b"passphrase";
    (name.contains(&b'_') || upper || password) && names::is_secret(name)
}

/// Whether the next argument is a script: `-c`, `-ec`, `-lc`.
fn is_command_option(text: &[u8]) -> bool {
    matches!(text, [b'-', letters @ .., b'c'] if letters.iter().all(u8::is_ascii_lowercase))
}

fn is_login_option(text: &[u8]) -> bool {
    let known = LOGIN_OPTIONS.iter().any(|option| option.as_bytes() == text);
    // `-sSu`
    let cluster = matches!(text, [b'-', letters @ .., b'u']
        if letters.len() <= 6 && letters.iter().all(u8::is_ascii_alphabetic));
    known || cluster
}

fn is_password_option(text: &[u8], program: &[u8]) -> bool {
    PASSWORD_OPTIONS.iter().any(|(option, programs)| {
        option.as_bytes() == text && programs.iter().any(|name| name.as_bytes() == program)
    })
}

fn is_program_with_password(name: &[u8]) -> bool {
    let separate = PASSWORD_OPTIONS
        .iter()
        .flat_map(|(_, programs)| programs.iter());
    separate
        .chain(&ATTACHED_PASSWORD)
        .any(|program| program.as_bytes() == name)
}

/// Whether this is an option rather than the value of the one before it.
fn looks_like_option(text: &[u8]) -> bool {
    match text {
        [b'-', letter] => letter.is_ascii_alphabetic(),
        [b'-', b'-', name @ ..] => {
            let name = name.split(|&byte| byte == b'=').next().unwrap_or(name);
            !name.is_empty()
                && name
                    .iter()
                    .all(|&byte| byte.is_ascii_lowercase() || byte == b'-')
        }
        _ => false,
    }
}

/// Whether this could be what follows the name of an authentication scheme.
fn looks_like_token(text: &[u8]) -> bool {
    let token = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=_-.~".contains(byte);
    text.len() >= 8
        && text.iter().all(token)
        && text
            .iter()
            .any(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}
