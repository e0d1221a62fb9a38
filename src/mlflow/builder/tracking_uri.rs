//! Parses a tracking URI, and names the forms that MLflow accepts and this program cannot use.

use percent_encoding::percent_decode_str;
use url::Url;

use super::setting::{Setting, trimmed};
use crate::error::{Error, Result};

const ARGUMENT: &str = "tracking URI";
const EXAMPLE: &str =
    "a tracking URI looks like http://localhost:5000 or https://mlflow.example.com/prefix";

/// The address of a server, and the credentials that the URI held.
pub(super) struct TrackingUri {
    pub(super) base: Url,
    pub(super) username: Option<Setting>,
    pub(super) password: Option<Setting>,
}

/// Parses the URI, and takes its credentials out of it, so that no error or log shows them.
pub(super) fn parse(text: &str) -> Result<TrackingUri> {
    let text = trimmed(text);
    let refused = |reason: String| Err(Error::invalid_argument(ARGUMENT, reason));
    // Checked first, because the parser silently drops line ends and tabs.
    Setting::new(text, ARGUMENT).check("it")?;
    if let Some(reason) = other_form(text) {
        return refused(format!("{reason}; {EXAMPLE}"));
    }
    let mut url = match Url::parse(text) {
        Ok(url) => url,
        Err(error) => return refused(format!("it is not a URL ({error}); {EXAMPLE}")),
    };
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        let reason = format!(
            "its scheme is {:?}, but lineage is read from a tracking server; {EXAMPLE}",
            url.scheme()
        );
        return refused(reason);
    }
    let decoded = |text: &str| {
        let decoded = percent_decode_str(text).decode_utf8_lossy();
        (!decoded.is_empty()).then(|| Setting::new(decoded, super::OF_URI))
    };
    let (username, password) = (decoded(url.username()), url.password().and_then(decoded));
    // Both fail only for URLs without a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(TrackingUri {
        base: url,
        username,
        password,
    })
}

/// Which other form the text has, and what to set instead. Shows nothing of the text but a plain host, because the text may hold
/// secrets.
fn other_form(text: &str) -> Option<String> {
    const SERVE: &str = "start a server on it with `mlflow server --backend-store-uri …` and give the address it prints, such as http://localhost:5000";
    if text.is_empty() {
        return Some("it is empty".into());
    }
    if text.starts_with(['"', '\'']) {
        return Some("it is in quotation marks; leave them out".into());
    }
    let lower = text.to_ascii_lowercase();
    let (scheme, rest) = match lower.split_once(':') {
        Some((scheme, rest)) => (scheme, Some(rest)),
        None => (lower.as_str(), None),
    };
    let dialect = scheme.split('+').next().unwrap_or_default();
    Some(match (dialect, rest) {
        ("http" | "https", Some(_)) => return None,
        ("databricks" | "databricks-uc" | "uc" | "uc-oss", _) => "this form selects Databricks, to which only MLflow's Python client can sign in; set the workspace's address, such as https://NAME.cloud.databricks.com, and an access token in MLFLOW_TRACKING_TOKEN".into(),
        ("file", _) => format!("it is a folder of MLflow's file store, not a server; {SERVE}"),
        ("sqlite" | "postgresql" | "postgres" | "mysql" | "mariadb" | "mssql" | "oracle", Some(_)) => {
            format!("it is the database behind a tracking server, not a server; {SERVE}")
        }
        ("s3" | "gs" | "gcs" | "wasb" | "wasbs" | "abfss" | "hdfs" | "dbfs" | "mlflow-artifacts" | "runs" | "models", Some(_)) => {
            "it is the URI of artifacts, not of a tracking server".into()
        }
        ("arn", Some(_)) => "it is an ARN of SageMaker, for which only a plug-in of MLflow's Python client can sign requests; set the address of a signing proxy".into(),
        ("mongodb" | "mongodb+srv", Some(_)) => "it is the URI of a MongoDB; pass it as --mongodb-uri (MONGODB_URI)".into(),
        // A drive of Windows.
        (drive, Some(rest)) if drive.len() == 1 && rest.starts_with(['\\', '/']) => {
            format!("it is a folder of MLflow's file store, not a server; {SERVE}")
        }
        _ if lower.starts_with(['.', '/', '~', '\\']) && !lower.starts_with("//") => {
            format!("it is a folder of MLflow's file store, not a server; {SERVE}")
        }
        _ => return without_scheme(text, SERVE),
    })
}

/// A host without `http://`, or a word that may be a folder.
fn without_scheme(text: &str, serve: &str) -> Option<String> {
    let text = text.strip_prefix("//").unwrap_or(text);
    let authority = text.split(['/', '?', '#']).next().unwrap_or_default();
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    let is_name = |host: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let bracketed = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        match bracketed {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => !host.is_empty() && host.chars().all(plain),
        }
    };
    if !is_name(host) || port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return None;
    }
    if port.is_none() && host != "localhost" && !host.contains('.') && !host.starts_with('[') {
        return Some(format!(
            "it has no scheme, so MLflow reads it as a folder. For a server, write its address with http:// or https://. For a folder, {serve}"
        ));
    }
    Some(format!(
        "it has no scheme; write http://{authority}, or https:// if the server uses TLS"
    ))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn each_form_that_mlflow_takes_is_named_with_what_to_give_instead() {
        for (uri, form, instead) in [
            ("", "empty", "http://localhost:5000"),
            (" \r\n", "empty", "http://localhost:5000"),
            ("databricks", "Databricks", "MLFLOW_TRACKING_TOKEN"),
            ("databricks://canary", "Databricks", "MLFLOW_TRACKING_TOKEN"),
            ("databricks-uc", "Databricks", "MLFLOW_TRACKING_TOKEN"),
            ("uc://canary", "Databricks", "MLFLOW_TRACKING_TOKEN"),
            ("uc:http://canary", "Databricks", "MLFLOW_TRACKING_TOKEN"),
            ("./canary", "file store", "mlflow server"),
            ("../canary", "file store", "mlflow server"),
            ("/canary/mlruns", "file store", "mlflow server"),
            ("~/canary", "file store", "mlflow server"),
            ("file:canary", "file store", "mlflow server"),
            ("file:///canary", "file store", "mlflow server"),
            ("C:\\canary", "file store", "mlflow server"),
            ("mlruns", "folder", "mlflow server"),
            ("sqlite:///canary.db", "database", "mlflow server"),
            ("postgresql://u:canary@h/db", "database", "mlflow server"),
            ("mysql+pymysql://u:canary@h/db", "database", "mlflow server"),
            ("mssql+pyodbc://u:canary@h/db", "database", "mlflow server"),
            ("s3://canary/x", "artifacts", "http://localhost:5000"),
            ("arn:aws:sagemaker:canary", "SageMaker", "signing proxy"),
            ("mongodb://u:canary@h/db", "MongoDB", "--mongodb-uri"),
            ("localhost:5000", "no scheme", "http://localhost:5000"),
            ("localhost", "no scheme", "http://localhost"),
            ("127.0.0.1:5000/x", "no scheme", "http://127.0.0.1:5000"),
            ("[::1]:5000", "no scheme", "http://[::1]:5000"),
            ("//ml.example.com", "no scheme", "http://ml.example.com"),
            ("ml.example.com", "no scheme", "http://ml.example.com"),
            ("\"http://canary\"", "quotation marks", "leave them out"),
            ("http://a\nb", "line end", "remove it"),
            ("http://", "not a URL", "http://localhost:5000"),
            ("ftp://u:canary@host/", "\"ftp\"", "http://localhost:5000"),
            ("u:canary@host", "\"u\"", "http://localhost:5000"),
        ] {
            let said = parse(uri).err().map(|error| error.to_string());
            let said = said.unwrap_or_else(|| panic!("{uri:?} is taken"));
            assert!(
                said.starts_with("tracking URI: ")
                    && said.contains(form)
                    && said.contains(instead)
                    && !said.contains("canary"),
                "{uri:?}: {said}"
            );
        }
    }

    #[test]
    fn a_servers_address_is_taken_with_what_people_paste_around_it() {
        for uri in [
            "http://localhost:5000",
            " HTTP://localhost:5000/\r\n",
            "\u{feff}http://u:p@localhost:5000/?x=1#/experiments/3",
        ] {
            let parsed = parse(uri).unwrap_or_else(|error| panic!("{uri:?}: {error}"));
            assert_eq!(parsed.base.as_str(), "http://localhost:5000/", "{uri:?}");
        }
    }
}
