//! Tokens: made from random bytes, stored as hashes only.

use std::fmt;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::error::Error;

/// A token has this many random bytes, far too many to guess.
const RANDOM_BYTES: usize = 32;
/// It tells people and scanners of leaked secrets what the text is.
const PREFIX: &str = "rl_";
/// The longest name of a token.
const MAX_NAME: usize = 100;

/// The SHA-256 of a token. A plain hash suffices: a token is random and long, so no list of likely tokens exists.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TokenHash([u8; 32]);

/// A token that was just made. Only its hash is kept.
#[derive(Clone)]
pub struct NewToken(String);

/// The tokens of a file: one `NAME HASH` a line. Empty lines and lines that begin with `#` say nothing.
#[derive(Debug, Clone)]
pub struct TokenFile {
    tokens: Vec<(TokenHash, String)>,
}

impl TokenHash {
    pub(crate) fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    fn parse(text: &str) -> Option<Self> {
        let mut hash = [0; 32];
        hex::decode_to_slice(text, &mut hash).ok()?;
        Some(Self(hash))
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash")
    }
}

impl fmt::Debug for NewToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewToken")
    }
}

impl NewToken {
    /// A new random token.
    ///
    /// # Errors
    /// [`Error::Random`] if the system gives no random bytes.
    pub fn random() -> Result<Self, Error> {
        let mut bytes = [0; RANDOM_BYTES];
        getrandom::fill(&mut bytes).map_err(|error| Error::Random {
            reason: error.to_string(),
        })?;
        Ok(Self(format!("{PREFIX}{}", hex::encode(bytes))))
    }

    /// The token itself. Show it once.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.0
    }

    pub(crate) fn hash(&self) -> TokenHash {
        TokenHash::of(&self.0)
    }

    /// Appends the hash of the token to a file, under this name. A new file is readable by its owner only.
    ///
    /// # Errors
    /// [`Error::TokenFile`] if the file cannot be written, or for a name that is empty, too long, taken, or has spaces.
    pub fn append_to(&self, file: &Path, name: &str) -> Result<(), Error> {
        let refused = |reason: String| Error::TokenFile {
            path: file.to_owned(),
            reason,
        };
        if name.is_empty()
            || name.len() > MAX_NAME
            || name.starts_with('#')
            || name.contains(|c: char| c.is_whitespace() || c.is_control())
        {
            return Err(refused(format!(
                "{name:?} cannot name a token; use 1 to {MAX_NAME} characters without spaces, such as ana"
            )));
        }
        let known = match file.exists() {
            true => TokenFile::read(file)?.tokens,
            false => Vec::new(),
        };
        if known.iter().any(|(_, other)| other == name) {
            return Err(refused(format!(
                "it has a token named {name:?}; remove its line first, or choose another name"
            )));
        }
        let line = format!("{name} {}\n", hex::encode(self.hash().0));
        let mut options = OpenOptions::new();
        let opened = options.append(true).create(true).mode(0o600).open(file);
        opened
            .and_then(|mut opened| opened.write_all(line.as_bytes()))
            .map_err(|error| refused(error.to_string()))
    }
}

impl TokenFile {
    /// Reads the names and the hashes.
    ///
    /// # Errors
    /// [`Error::TokenFile`] if the file cannot be read, holds no token, or has a line of another form.
    pub fn read(file: &Path) -> Result<Self, Error> {
        let refused = |reason: String| Error::TokenFile {
            path: file.to_owned(),
            reason,
        };
        let text = std::fs::read_to_string(file).map_err(|error| refused(error.to_string()))?;
        let mut tokens = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let mut words = line.split_whitespace();
            let token = match (words.next(), words.next(), words.next()) {
                (Some(name), Some(hash), None) => {
                    TokenHash::parse(hash).map(|hash| (hash, name.to_owned()))
                }
                _ => None,
            };
            // The line may hold a token itself, so the message does not repeat it.
            let token = token.ok_or_else(|| {
                refused(format!(
                    "line {} is not a name and a hash; `runlineage serve --new-token NAME --token-file FILE` writes such a line",
                    index + 1
                ))
            })?;
            tokens.push(token);
        }
        if tokens.is_empty() {
            return Err(refused(
                "it holds no token; make one with `runlineage serve --new-token NAME --token-file FILE`"
                    .to_owned(),
            ));
        }
        Ok(Self { tokens })
    }

    pub(crate) fn into_tokens(self) -> Vec<(TokenHash, String)> {
        self.tokens
    }
}

#[cfg(test)]
mod tests {
    use super::{NewToken, TokenFile, TokenHash};

    #[test]
    fn a_file_holds_hashes_and_never_tokens() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokens");
        let (ana, ben) = (NewToken::random().unwrap(), NewToken::random().unwrap());
        ana.append_to(&file, "ana").unwrap();
        ben.append_to(&file, "ben").unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(!text.contains(ana.secret()) && !text.contains(&ana.secret()[3..]));
        let tokens = TokenFile::read(&file).unwrap().into_tokens();
        assert_eq!(
            tokens,
            [
                (ana.hash(), "ana".to_owned()),
                (ben.hash(), "ben".to_owned())
            ]
        );
        assert_eq!(TokenHash::of(ana.secret()), ana.hash());
        let taken = ana.append_to(&file, "ana").unwrap_err().to_string();
        assert!(taken.contains("has a token named \"ana\""), "{taken}");
        assert!(ana.append_to(&file, "a b").is_err() && ana.append_to(&file, "").is_err());
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "others may not read the file");
    }

    #[test]
    fn a_line_of_another_form_is_refused_without_repeating_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokens");
        for text in [
            "",
            "# nothing\n\n",
            "rl_secret\n",
            "ana rl_secret\n",
            "ana 00 11\n",
        ] {
            std::fs::write(&file, text).unwrap();
            let refused = TokenFile::read(&file).unwrap_err().to_string();
            assert!(!refused.contains("secret"), "{refused}");
        }
    }
}
