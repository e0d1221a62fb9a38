//! [`Setting`]: a text from a variable or a secret file, trimmed, or refused before any request.

use crate::error::{Error, Result};

/// A text and its origin. Errors name the origin, never the text.
#[derive(Clone)]
pub(super) struct Setting {
    pub(super) value: String,
    pub(super) origin: &'static str,
}

impl Setting {
    pub(super) fn new(value: impl Into<String>, origin: &'static str) -> Self {
        Self {
            value: value.into(),
            origin,
        }
    }

    /// Refuses control characters, which a server would refuse or misread.
    pub(super) fn check(&self, what: &str) -> Result<()> {
        check(self.origin, what, &self.value)
    }
}

/// The variable's value without white space around it. `None` when it is unset or empty.
pub(super) fn variable(name: &'static str) -> Result<Option<Setting>> {
    checked(name, read(name)?)
}

/// The variable's value, else the text of the file that the second variable names, without white space around it.
pub(super) fn secret(name: &'static str, file: &'static str) -> Result<Option<Setting>> {
    match variable(name)? {
        None => checked(file, contents(file)?),
        set => Ok(set),
    }
}

/// As [`secret`], but only the line end is removed, since spaces may belong to a password.
pub(super) fn password(name: &'static str, file: &'static str) -> Result<Option<Setting>> {
    let without_line_end = |origin, text: Option<String>| {
        let value = text.as_deref().map(without_line_end);
        let value = value.filter(|value| !value.is_empty());
        value.map(|value| Setting::new(value, origin))
    };
    match without_line_end(name, read(name)?) {
        None => Ok(without_line_end(file, contents(file)?)),
        set => Ok(set),
    }
}

fn checked(origin: &'static str, text: Option<String>) -> Result<Option<Setting>> {
    let value = text.as_deref().map(trimmed);
    let value = value.filter(|value| !value.is_empty());
    value
        .map(|value| {
            check(origin, "its value", value)?;
            Ok(Setting::new(value, origin))
        })
        .transpose()
}

/// The text of the file that this variable names.
fn contents(variable_of_file: &'static str) -> Result<Option<String>> {
    let Some(path) = variable(variable_of_file)? else {
        return Ok(None);
    };
    let text = std::fs::read_to_string(&path.value).map_err(|error| {
        let reason = format!(
            "cannot read {:?}: {error}; name a file that holds the secret alone",
            path.value
        );
        Error::invalid_argument(variable_of_file, reason)
    })?;
    Ok(Some(text))
}

/// The password in the text of a secret file, which may end in a line end with spaces before it.
fn without_line_end(text: &str) -> &str {
    let text = text.trim_start_matches(BYTE_ORDER_MARK);
    if text.ends_with(['\r', '\n']) {
        text.trim_end()
    } else {
        text
    }
}

const BYTE_ORDER_MARK: char = '\u{feff}';

pub(super) fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || matches!(c, BYTE_ORDER_MARK | '\u{200b}'))
}

/// The value of a variable, which may be empty.
fn read(name: &'static str) -> Result<Option<String>> {
    let value = std::env::var_os(name).map(std::ffi::OsString::into_string);
    value
        .transpose()
        .map_err(|_| Error::invalid_argument(name, "its value is not UTF-8 text"))
}

fn check(argument: &'static str, what: &str, text: &str) -> Result<()> {
    let Some(control) = text.chars().find(|c| c.is_control()) else {
        return Ok(());
    };
    let named = match control {
        '\r' => "a carriage return (CR), as in files with Windows line ends".to_owned(),
        '\n' => "a line end".to_owned(),
        other => format!("the control character U+{:04X}", u32::from(other)),
    };
    Err(Error::invalid_argument(
        argument,
        format!("{what} holds {named}; remove it"),
    ))
}

#[cfg(test)]
mod tests {
    use super::{check, trimmed, without_line_end};

    #[test]
    fn line_ends_of_secret_files_are_removed_and_spaces_of_passwords_are_kept() {
        for (text, expected) in [
            ("pw", "pw"),
            ("pw\n", "pw"),
            ("pw\r\n", "pw"),
            ("pw\r", "pw"),
            ("pw \t\n\n", "pw"),
            ("\u{feff}pw\n", "pw"),
            (" p w ", " p w "),
            ("\n", ""),
        ] {
            assert_eq!(without_line_end(text), expected, "{text:?}");
        }
        assert_eq!(trimmed("\u{feff} team a\u{a0}\r\n"), "team a");
    }

    #[test]
    fn control_characters_are_refused_by_name_and_the_text_is_not_shown() {
        for (text, expected) in [
            ("canary\rx", "(CR)"),
            ("canary\nx", "a line end"),
            ("canary\0", "U+0000"),
            ("canary\u{1b}[", "U+001B"),
        ] {
            let error = check("MLFLOW_TRACKING_PASSWORD", "the password", text);
            let said = error.expect_err(text).to_string();
            assert!(
                said.contains(expected) && !said.contains("canary"),
                "{said}"
            );
        }
        check("password", "the password", "p ä ß").expect("they are no control characters");
    }
}
