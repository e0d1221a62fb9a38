//! [`MlflowCode`]: the error codes of MLflow.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

/// The codes and their spelling, in one place.
macro_rules! codes {
    ($($(#[$doc:meta])* $code:ident = $spelling:literal,)*) => {
        /// MLflow's `error_code`, as its REST interface spells it.
        ///
        /// ```
        /// # use runlineage::MlflowCode;
        /// let code = MlflowCode::from("RESOURCE_DOES_NOT_EXIST");
        /// assert_eq!(code, MlflowCode::ResourceDoesNotExist);
        /// assert_eq!(code.to_string(), "RESOURCE_DOES_NOT_EXIST");
        /// ```
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum MlflowCode {
            $($(#[$doc])* $code,)*
            /// Any other code.
            Other(String),
        }

        impl MlflowCode {
            /// The code as MLflow spells it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$code => $spelling,)*
                    Self::Other(code) => code,
                }
            }
        }

        impl From<&str> for MlflowCode {
            fn from(text: &str) -> Self {
                match text {
                    $($spelling => Self::$code,)*
                    other => Self::Other(other.to_owned()),
                }
            }
        }
    };
}

codes! {
    /// The request is malformed.
    BadRequest = "BAD_REQUEST",
    /// The request took longer than the server allows.
    DeadlineExceeded = "DEADLINE_EXCEEDED",
    /// An administrator has disabled this feature.
    FeatureDisabled = "FEATURE_DISABLED",
    /// The server failed.
    InternalError = "INTERNAL_ERROR",
    /// An argument is invalid.
    InvalidParameterValue = "INVALID_PARAMETER_VALUE",
    /// The state of the resource forbids the request, such as that of a deleted run.
    InvalidState = "INVALID_STATE",
    /// The user lacks the permission.
    PermissionDenied = "PERMISSION_DENIED",
    /// Too many requests.
    RequestLimitExceeded = "REQUEST_LIMIT_EXCEEDED",
    /// A resource of this name or id exists already.
    ResourceAlreadyExists = "RESOURCE_ALREADY_EXISTS",
    /// The server does not show this user a resource of this name or id.
    ResourceDoesNotExist = "RESOURCE_DOES_NOT_EXIST",
    /// A quota is exhausted.
    ResourceExhausted = "RESOURCE_EXHAUSTED",
    /// The server is busy, or is starting.
    TemporarilyUnavailable = "TEMPORARILY_UNAVAILABLE",
    /// The server does not know the user.
    Unauthenticated = "UNAUTHENTICATED",
}

impl FromStr for MlflowCode {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.into())
    }
}

impl fmt::Display for MlflowCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::MlflowCode;

    #[test]
    fn a_code_prints_as_it_was_read_whether_it_is_known_or_not() {
        let known = ["RESOURCE_DOES_NOT_EXIST", "INTERNAL_ERROR", "INVALID_STATE"];
        for text in known {
            let code = MlflowCode::from(text);
            assert!(!matches!(code, MlflowCode::Other(_)), "{text}");
            assert_eq!(code.to_string(), text);
        }
        let other = MlflowCode::from("CODE_OF_A_LATER_MLFLOW");
        assert!(matches!(other, MlflowCode::Other(_)));
        assert_eq!(other.to_string(), "CODE_OF_A_LATER_MLFLOW");
    }
}
