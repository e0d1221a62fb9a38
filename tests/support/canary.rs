//! A password that is found wherever it shows.

/// Would be found in any encoding of the text as a whole.
pub(crate) const CANARY: &str = "c4n4ryXq7";

/// `ana:c4n4ryXq7` in base 64, as it stands in a header.
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
