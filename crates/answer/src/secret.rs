//! Masks credentials in storage addresses before they are shown.

use std::borrow::Cow;

const MASK: &str = "***";

/// A parameter whose name contains one of these is a secret. Names are compared in lower case, without hyphens and
/// underscores.
const SECRET_WORDS: [&str; 12] = [
    "signature",
    "token",
    "secret",
    "password",
    "passwd",
    "credential",
    "accesskey",
    "accountkey",
    "apikey",
    "privatekey",
    "authorization",
    "googleaccessid",
];

/// A parameter with exactly one of these names is a secret.
const SECRET_NAMES: [&str; 8] = ["sig", "key", "pwd", "pass", "auth", "sas", "code", "pw"];

/// The text with credentials masked in each address that it contains.
#[must_use]
pub fn masked(text: &str) -> Cow<'_, str> {
    if !text.contains("://") {
        return text.into();
    }
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, address) = rest.split_at(at + "://".len());
        let scheme = before.trim_end_matches("://");
        let scheme = scheme
            .rsplit(|c: char| !c.is_ascii_alphanumeric() && !"+-.".contains(c))
            .next();
        masked.push_str(before);
        let end = address
            .find(|c: char| c.is_whitespace() || "\"'<>`".contains(c))
            .unwrap_or(address.len());
        // A parameter of an address may hold another address.
        let end = address.find("://").map_or(end, |next| end.min(next));
        let (address, after) = address.split_at(end);
        mask_address(scheme.unwrap_or_default(), address, &mut masked);
        rest = after;
    }
    masked.push_str(rest);
    masked.into()
}

fn mask_address(scheme: &str, address: &str, masked: &mut String) {
    let path = match user_info(scheme, address) {
        Some(end) => {
            masked.push_str(MASK);
            &address[end..]
        }
        None => address,
    };
    let parameters = path.find(['?', '#']).unwrap_or(path.len());
    masked.push_str(&path[..parameters]);
    let mut rest = &path[parameters..];
    while !rest.is_empty() {
        let separator = rest.chars().next().map_or(0, char::len_utf8);
        masked.push_str(&rest[..separator]);
        rest = &rest[separator..];
        let end = rest.find(['&', ';', '#', '?']).unwrap_or(rest.len());
        let (parameter, after) = rest.split_at(end);
        match parameter.split_once('=') {
            Some((name, _)) if is_secret(name) => {
                masked.push_str(name);
                masked.push('=');
                masked.push_str(MASK);
            }
            _ => masked.push_str(parameter),
        }
        rest = after;
    }
}

/// The position of the `@` after credentials: a user with a password, or a token. A node's text has `%40` in its place.
fn user_info(scheme: &str, address: &str) -> Option<usize> {
    let last_at = |text: &str| text.rfind('@').max(text.rfind("%40"));
    let authority = address.find(['/', '?', '#']).unwrap_or(address.len());
    if let Some(at) = last_at(&address[..authority]) {
        let is_name = !address[..at].contains(':');
        // A user alone is not a secret, such as Azure's container or `git`. In a web address it may be a token.
        let is_web = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
        return (!is_name || is_web).then_some(at);
    }
    // S3 keys contain slashes, which some people do not encode. A number after the colon is a port.
    let (_, behind) = address[..authority].split_once(':')?;
    let is_port = behind.bytes().all(|byte| byte.is_ascii_digit());
    if is_port { None } else { last_at(address) }
}

fn is_secret(name: &str) -> bool {
    // A percent-encoded name may hide any word.
    if name.contains('%') {
        return true;
    }
    let name: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    SECRET_NAMES.contains(&name.as_str()) || SECRET_WORDS.iter().any(|secret| name.contains(secret))
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn credentials_in_addresses_are_masked() {
        for (stored, shown) in [
            ("s3://AKIA:wJalr@bucket/a/b", "s3://***@bucket/a/b"),
            ("s3://AKIA:wJ/al/r+x@bucket/a", "s3://***@bucket/a"),
            ("https://ghp_token@host/x", "https://***@host/x"),
            ("ftp://ana:p@w@host/x", "ftp://***@host/x"),
            (
                "https://b.s3.amazonaws.com/x?X-Amz-Credential=AKIA%2F1&versionId=7&X-Amz-Signature=ab#f",
                "https://b.s3.amazonaws.com/x?X-Amz-Credential=***&versionId=7&X-Amz-Signature=***#f",
            ),
            (
                "https://a.blob.core.windows.net/c?sv=2024&sig=a%2Bb%3D&se=1",
                "https://a.blob.core.windows.net/c?sv=2024&sig=***&se=1",
            ),
            (
                "s3://b?AWSAccessKeyId=A&token=t",
                "s3://b?AWSAccessKeyId=***&token=***",
            ),
            (
                "s3://b?aws_secret_access_key=A=B&x=1",
                "s3://b?aws_secret_access_key=***&x=1",
            ),
            ("gs://b/x#access_token=t", "gs://b/x#access_token=***"),
            ("s3://b?s%69g=t", "s3://b?s%69g=***"),
            (
                "from s3://k:s@b/x to s3://k:s@c",
                "from s3://***@b/x to s3://***@c",
            ),
            ("http://p?u=https://a:b@c/d", "http://p?u=https://***@c/d"),
            (
                "dataset:https://ana:pw%40host/x.csv@4f2a",
                "dataset:https://***%40host/x.csv@4f2a",
            ),
        ] {
            assert_eq!(masked(stored), shown);
        }
    }

    #[test]
    fn text_without_credentials_is_unchanged() {
        for text in [
            "s3://bucket/a/b@v1",
            "http://host:5000/a@b?version=3&region=eu",
            "abfss://container@account.dfs.core.windows.net/x",
            "ssh://git@host/x",
            "mlflow-artifacts:/1/2/artifacts",
            "file:///a:b/c@d",
            "a ://",
            "ana@host",
        ] {
            assert_eq!(masked(text), text);
        }
    }
}
