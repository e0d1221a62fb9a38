//! Texts from outside, as variables and secret files hold them: trimmed, or refused before anything is sent.

use crate::error::{Error, Result};

/// A text, and where it came from: errors name the place, never the text.
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

    /// A setting that a server would refuse, or misread, for its control characters is refused here.
    pub(super) fn check(&self, what: &str) -> Result<()> {
        check(self.origin, what, &self.value)
    }
}

/// The variable without the white space around it; `None` where it is unset, or set to nothing.
pub(super) fn variable(name: &'static str) -> Result<Option<Setting>> {
    let value = read(name)?;
    let value = value.as_deref().map(trimmed);
    let value = value.filter(|value| !value.is_empty());
    value
        .map(|value| {
            check(name, "its value", value)?;
            Ok(Setting::new(value, name))
        })
        .transpose()
}

/// A variable that holds a password: its line end goes, its spaces may belong to it.
pub(super) fn password_variable(name: &'static str) -> Result<Option<Setting>> {
    let value = read(name)?;
    let value = value.as_deref().map(password);
    let value = value.filter(|value| !value.is_empty());
    Ok(value.map(|value| Setting::new(value, name)))
}

/// A password as the file of a secret holds it: with a line end, or the spaces before one.
fn password(text: &str) -> &str {
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

/// What the environment holds, set to nothing or not.
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
        '\r' => "a carriage return (CR), as files with Windows line ends have it".to_owned(),
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
    use super::{check, password, trimmed};

    #[test]
    fn what_a_secret_file_adds_goes_and_what_a_password_holds_stays() {
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
            assert_eq!(password(text), expected, "{text:?}");
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
