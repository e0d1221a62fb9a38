//! [`Access`]: who may read, and the check of each request.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, COOKIE};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::app::App;
use crate::error::Error;
use crate::problem::Problem;
use crate::token::{NewToken, TokenFile, TokenHash};

/// Who may read.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Access {
    /// Who has the token that [`Bound::url`](crate::Bound::url) holds. Each start makes a new one.
    StartToken,
    /// Who has a token of the file.
    Tokens(TokenFile),
    /// Everybody who reaches the server.
    Everybody,
}

/// The name of a token, for limits. A reader without a token has none.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Reader(pub(crate) Option<String>);

/// The tokens that are accepted.
#[derive(Debug)]
pub(crate) enum Tokens {
    Known(BTreeMap<TokenHash, String>),
    NotNeeded,
}

impl Tokens {
    /// The tokens, and the start token if one was made.
    pub(crate) fn of(access: Access) -> Result<(Self, Option<NewToken>), Error> {
        Ok(match access {
            Access::StartToken => {
                let token = NewToken::random()?;
                let known = BTreeMap::from([(token.hash(), "start".to_owned())]);
                (Self::Known(known), Some(token))
            }
            Access::Tokens(file) => {
                let known = file.into_tokens().into_iter().collect();
                (Self::Known(known), None)
            }
            Access::Everybody => (Self::NotNeeded, None),
        })
    }

    /// The reader with this token; `None` for a token that is not known.
    pub(crate) fn reader(&self, token: &str) -> Option<Reader> {
        match self {
            // The look-up compares hashes. Its duration tells nothing of a token whose hash nobody can choose.
            Self::Known(known) => {
                let name = known.get(&TokenHash::of(token))?;
                Some(Reader(Some(name.clone())))
            }
            Self::NotNeeded => Some(Reader(None)),
        }
    }
}

/// Lets requests with a valid token or session pass. Others get 401.
pub(crate) async fn check(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(reader) = reader(&app, request.headers()) else {
        return Problem::unauthorized().into_response();
    };
    request.extensions_mut().insert(reader);
    next.run(request).await
}

pub(crate) fn reader(app: &App, headers: &HeaderMap) -> Option<Reader> {
    if matches!(app.tokens, Tokens::NotNeeded) {
        return Some(Reader(None));
    }
    if let Some(token) = bearer(headers) {
        return app.tokens.reader(token);
    }
    app.sessions.reader(cookie(headers, &app.cookie)?)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim())
}

pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(COOKIE).into_iter();
    let mut pairs = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'));
    pairs.find_map(|pair| {
        let (found, value) = pair.trim().split_once('=')?;
        (found == name).then_some(value)
    })
}
