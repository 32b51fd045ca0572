//! CloudWatch Logs Insights as SQL, as far as `docs/cloudwatch.md` uses it.
//!
//! Each command becomes a SELECT around the one before. What is not known here, a field
//! that no record has above all, is an error, so a query that is understood means the
//! same in both languages.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

/// Fields that records have, by their dotted names, with their type in SQL.
pub(super) type Fields = BTreeMap<String, &'static str>;

/// Words that mean the same in both languages.
const WORDS: [&str; 6] = ["and", "or", "not", "as", "asc", "desc"];
/// Functions that do.
const FUNCTIONS: [&str; 4] = ["count", "sum", "min", "max"];

/// The fields of the JSON Schema's records, and `@timestamp`, which is their time.
pub(super) fn fields(schema: &Value) -> Result<Fields> {
    let mut fields = Fields::from([("@timestamp".to_owned(), "VARCHAR")]);
    for event in schema["oneOf"].as_array().context("oneOf")? {
        walk(schema, event, "", &mut fields)?;
    }
    Ok(fields)
}

fn walk(schema: &Value, of: &Value, name: &str, fields: &mut Fields) -> Result<()> {
    if let Some(reference) = of["$ref"].as_str() {
        let target = schema.pointer(reference.trim_start_matches('#'));
        return walk(schema, target.context("a reference")?, name, fields);
    }
    if let Some(properties) = of["properties"].as_object() {
        for (key, value) in properties {
            let name = match name {
                "" => key.clone(),
                above => format!("{above}.{key}"),
            };
            walk(schema, value, &name, fields)?;
        }
        return Ok(());
    }
    let kind = match of["type"].as_str() {
        Some("integer" | "number") => "BIGINT",
        _ => "VARCHAR",
    };
    fields.insert(name.to_owned(), kind);
    Ok(())
}

/// A query in SQL on the table `records`.
///
/// # Errors
///
/// What is not understood.
pub(super) fn to_sql(query: &str, fields: &Fields) -> Result<String> {
    let tokens = tokens(query)?;
    let mut known: Vec<String> = fields.keys().cloned().collect();
    let mut sql = "records".to_owned();
    for stage in tokens.split(|token| *token == Token::Sign("|".to_owned())) {
        let (command, rest) = match stage.split_first() {
            Some((Token::Word(command), rest)) => (command.as_str(), rest),
            _ => bail!("a command is missing"),
        };
        sql = match command {
            "filter" => format!("(SELECT * FROM {sql} WHERE {})", expression(rest, &known)?),
            "sort" => format!(
                "(SELECT * FROM {sql} ORDER BY {})",
                expression(rest, &known)?
            ),
            "limit" => match rest {
                [Token::Number(number)] => format!("(SELECT * FROM {sql} LIMIT {number})"),
                _ => bail!("limit takes a number"),
            },
            "stats" => {
                let by = rest
                    .iter()
                    .position(|token| *token == Token::Word("by".into()));
                let (results, groups) = rest.split_at(by.context("stats … by")?);
                let groups = &groups[1..];
                let results_sql = expression(results, &known)?;
                let groups_sql = expression(groups, &known)?;
                known = names_after(results, groups);
                format!("(SELECT {groups_sql}, {results_sql} FROM {sql} GROUP BY {groups_sql})")
            }
            other => bail!("no such command: {other}"),
        };
    }
    Ok(format!("SELECT * FROM {sql}"))
}

/// The names that results and groups of `stats` have for the commands after it.
fn names_after(results: &[Token], groups: &[Token]) -> Vec<String> {
    let is_as = |token: &Token| *token == Token::Word("as".into());
    let aliases = results
        .windows(2)
        .filter(|pair| is_as(&pair[0]))
        .map(|pair| &pair[1]);
    let names = aliases.chain(groups);
    names
        .filter_map(|token| match token {
            Token::Word(name) | Token::Quoted(name) => Some(name.clone()),
            _ => None,
        })
        .collect()
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    /// A field in back quotes.
    Quoted(String),
    Text(String),
    Number(String),
    Sign(String),
}

fn tokens(query: &str) -> Result<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = query.trim_start();
    while let Some(first) = rest.chars().next() {
        let end_of = |belongs: fn(char) -> bool| rest.find(|c| !belongs(c)).unwrap_or(rest.len());
        let (token, length) = match first {
            '"' | '`' => {
                let inner = rest[1..].split(first).next().unwrap_or_default();
                ensure!(rest[1..].len() > inner.len(), "a quote without its end");
                let token = match first {
                    '"' => Token::Text(inner.to_owned()),
                    _ => Token::Quoted(inner.to_owned()),
                };
                (token, inner.len() + 2)
            }
            '0'..='9' => {
                let end = end_of(|c| c.is_ascii_digit());
                (Token::Number(rest[..end].to_owned()), end)
            }
            '@' | 'a'..='z' | 'A'..='Z' | '_' => {
                let end = end_of(|c| c.is_ascii_alphanumeric() || "@._".contains(c));
                (Token::Word(rest[..end].to_owned()), end)
            }
            '<' | '>' | '=' | '!' => {
                let end = end_of(|c| "<>=!".contains(c));
                (Token::Sign(rest[..end].to_owned()), end)
            }
            '|' | '(' | ')' | '[' | ']' | ',' | '*' => (Token::Sign(first.to_string()), 1),
            other => bail!("not understood: {other}"),
        };
        tokens.push(token);
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

fn expression(tokens: &[Token], known: &[String]) -> Result<String> {
    let mut sql: Vec<String> = Vec::new();
    // Of each open parenthesis, what has to stand after its end.
    let mut open = Vec::new();
    let mut tokens = tokens.iter().peekable();
    while let Some(token) = tokens.next() {
        let is_call = tokens.peek() == Some(&&Token::Sign("(".into()));
        let part = match token {
            Token::Text(text) => format!("'{}'", text.replace('\'', "''")),
            Token::Number(number) => number.clone(),
            Token::Quoted(name) => field(name, known)?,
            Token::Word(word) if is_call && FUNCTIONS.contains(&word.as_str()) => word.clone(),
            Token::Word(word) if is_call && word == "count_distinct" => {
                tokens.next();
                open.push("");
                "count(DISTINCT".to_owned()
            }
            Token::Word(word) if is_call && word == "ispresent" => {
                tokens.next();
                open.push(" IS NOT NULL");
                "(".to_owned()
            }
            Token::Word(word) if word == "in" => "IN".to_owned(),
            Token::Word(word) if word == "as" => match tokens.next() {
                Some(Token::Word(alias)) => format!("AS \"{alias}\""),
                _ => bail!("a name is missing after `as`"),
            },
            Token::Word(word) if WORDS.contains(&word.as_str()) => word.to_uppercase(),
            Token::Word(name) => field(name, known)?,
            Token::Sign(sign) => match sign.as_str() {
                "(" => {
                    open.push("");
                    "(".to_owned()
                }
                ")" => format!(")  {}", open.pop().context("a parenthesis too much")?),
                "[" => "(".to_owned(),
                "]" => ")".to_owned(),
                "=" | "!=" | "<" | "<=" | ">" | ">=" | "," | "*" => sign.clone(),
                other => bail!("not understood: {other}"),
            },
        };
        sql.push(part);
    }
    ensure!(open.is_empty(), "a parenthesis is missing");
    Ok(sql.join(" "))
}

fn field(name: &str, known: &[String]) -> Result<String> {
    ensure!(
        known.iter().any(|field| field == name),
        "no record has a field `{name}`"
    );
    Ok(format!("\"{name}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sql(query: &str) -> Result<String> {
        let fields = ["event", "a.b", "n", "@timestamp"].map(|name| (name.to_owned(), "VARCHAR"));
        to_sql(query, &fields.into())
    }

    #[test]
    fn each_command_is_a_select_around_the_one_before() {
        let query = "filter event = \"it's\" and ispresent(a.b) and n in [1, 2]\n\
                     | stats count(*) as calls, count_distinct(n) as kinds by a.b\n\
                     | filter calls >= 3 | sort calls desc | limit 5";
        let expected = "SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT \"a.b\", \
             count ( * )   AS \"calls\" , count(DISTINCT \"n\" )   AS \"kinds\" FROM (SELECT * FROM records \
             WHERE \"event\" = 'it''s' AND ( \"a.b\" )   IS NOT NULL AND \"n\" IN ( 1 , 2 )) GROUP BY \"a.b\") \
             WHERE \"calls\" >= 3) ORDER BY \"calls\" DESC) LIMIT 5)";
        assert_eq!(sql(query).unwrap(), expected);
    }

    #[test]
    fn field_that_no_record_has_is_refused() {
        for query in [
            "filter evnt = \"x\"",
            "stats count(*) as calls by a.c",
            "stats count(*) as calls by a.b | sort n desc",
            "filter `a` = 1",
        ] {
            let error = sql(query).unwrap_err().to_string();
            assert!(error.starts_with("no record has a field"), "{error}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for query in [
            "parse event",
            "filter event like /x/",
            "limit x",
            "filter (n = 1",
            "",
        ] {
            assert!(sql(query).is_err(), "{query}");
        }
    }
}
