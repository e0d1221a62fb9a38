//! Settings of the connection, after parsing: from files, and trimmed.

use std::env;

use runlineage::Error;

use super::{Args, ConnectionArgs};

impl Args {
    /// Reads missing URIs from the files that `MONGODB_URI_FILE` and `MLFLOW_TRACKING_URI_FILE` name. Trims settings, since files
    /// of secrets end with a line break. An empty setting counts as unset.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if a file cannot be read.
    pub(super) fn with_settings(mut self) -> Result<Self, Error> {
        let ConnectionArgs {
            mongodb_uri,
            tracking_uri,
            database,
            source,
            local,
        } = &mut self.connection;
        for setting in [&mut *mongodb_uri, tracking_uri, database, source] {
            *setting = setting.take().as_deref().and_then(trimmed);
        }
        if mongodb_uri.is_none() && !*local {
            *mongodb_uri = from_file("MONGODB_URI_FILE")?;
        }
        if tracking_uri.is_none() {
            *tracking_uri = from_file("MLFLOW_TRACKING_URI_FILE")?;
        }
        Ok(self)
    }
}

/// The text of the file that this variable names. `None` if either is empty.
fn from_file(variable: &'static str) -> Result<Option<String>, Error> {
    let Some(file) = env::var_os(variable).filter(|file| !file.is_empty()) else {
        return Ok(None);
    };
    let text = std::fs::read_to_string(&file).map_err(|error| {
        let reason = format!("cannot read {file:?}: {error}; name a file that holds the URI alone");
        Error::invalid_argument(variable, reason)
    })?;
    Ok(trimmed(&text))
}

fn trimmed(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}
