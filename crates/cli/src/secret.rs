//! Credentials in the addresses of storage, masked before people see them.

use std::borrow::Cow;

const MASK: &str = "***";

/// In whose name one of these is, a parameter of an address is taken for a secret; without hyphens and underscores, in
/// lower case.
const SECRET_NAMES: [&str; 12] = [
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

/// Parameters whose whole name this is.
const SHORT_SECRET_NAMES: [&str; 8] = ["sig", "key", "pwd", "pass", "auth", "sas", "code", "pw"];

/// The text, with what opens a storage masked in every address within it.
pub(crate) fn masked(text: &str) -> Cow<'_, str> {
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
        // An address may be within another one's parameter.
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

/// Where the `@` is behind a user and a password, or a token.
fn user_info(scheme: &str, address: &str) -> Option<usize> {
    let authority = address.find(['/', '?', '#']).unwrap_or(address.len());
    if let Some(at) = address[..authority].rfind('@') {
        let is_name = !address[..at].contains(':');
        // The container of Azure's storage, and users such as git's, are no secrets; of a web address, tokens are such.
        let is_web = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
        return (!is_name || is_web).then_some(at);
    }
    // Keys of S3 hold slashes, which some write as they are. A number behind the colon is a port.
    let (_, behind) = address[..authority].split_once(':')?;
    let is_port = behind.bytes().all(|byte| byte.is_ascii_digit());
    if is_port { None } else { address.rfind('@') }
}

fn is_secret(name: &str) -> bool {
    // An encoded letter hides what it is called.
    if name.contains('%') {
        return true;
    }
    let name: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    SHORT_SECRET_NAMES.contains(&name.as_str())
        || SECRET_NAMES.iter().any(|secret| name.contains(secret))
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn keys_and_secrets_are_masked_wherever_they_stand() {
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
        ] {
            assert_eq!(masked(stored), shown);
        }
    }

    #[test]
    fn what_holds_no_secret_stays() {
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
