//! A password that tests look for in all output.

/// Letters and digits only, so that no quoting or percent-encoding changes it.
pub(crate) const CANARY: &str = "c4n4ryXq7";

/// `ana:c4n4ryXq7` in base 64, as in a header of basic authentication.
pub(crate) const ENCODED: &str = "YW5hOmM0bjRyeVhxNw";

#[track_caller]
pub(crate) fn assert_hidden(where_: &str, text: &str) {
    for secret in [CANARY, ENCODED] {
        assert!(
            !text.contains(secret),
            "{where_} shows the password: {text}"
        );
    }
}
