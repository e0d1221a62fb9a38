//! What single arguments hold, parsed once: models, artifacts, pairs, orders, durations, names of databases.

use std::str::FromStr;
use std::time::Duration;

use runlineage::RunId;

/// A model, and a version where one is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ModelArg {
    pub(crate) name: String,
    pub(crate) version: Option<String>,
    /// Stands for the version that MLflow's registry gives it now.
    pub(crate) alias: Option<String>,
}

/// A run, and a path in it where one is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ArtifactArg {
    pub(crate) run: RunId,
    pub(crate) path: Option<String>,
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PairArg {
    pub(crate) key: String,
    pub(crate) value: String,
}

/// A field to order by, and its direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SortArg {
    pub(crate) field: String,
    pub(crate) descending: bool,
}

impl FromStr for PairArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok(Self {
                key: key.to_owned(),
                value: value.to_owned(),
            }),
            _ => Err("write KEY=VALUE, such as optimizer=adam".into()),
        }
    }
}

pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    let duration = text.parse::<jiff::SignedDuration>().ok();
    let duration = duration.and_then(|duration| Duration::try_from(duration).ok());
    duration
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "write a number with its unit, such as 60s, 5m or 1h".to_owned())
}

/// A field of a document, by MongoDB's rules.
pub(super) fn parse_field(field: &str) -> Result<String, String> {
    let is_name = |part: &str| !part.is_empty() && !part.starts_with('$');
    if !field.split('.').all(is_name) || field.contains('\0') {
        return Err("write a field, such as start_time, metrics.auc or params.lr".into());
    }
    Ok(field.to_owned())
}

/// A database's name, by MongoDB's rules.
pub(super) fn parse_database(name: &str) -> Result<String, String> {
    let refused = |c: char| matches!(c, '/' | '\\' | '.' | ' ' | '"' | '$' | '\0');
    if name.is_empty() || name.len() > 63 || name.contains(refused) {
        return Err(
            "MongoDB names a database by 1 to 63 bytes without / \\ . \" $ and spaces, such as runlineage".into(),
        );
    }
    Ok(name.to_owned())
}

impl FromStr for SortArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (field, descending) = match text.strip_prefix('-') {
            Some(field) => (field, true),
            None => (text, false),
        };
        let field = parse_field(field)?;
        Ok(Self { field, descending })
    }
}

impl FromStr for ModelArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // An alias follows an @; a version is a number.
        let alias = text
            .strip_prefix("models:/")
            .and_then(|uri| uri.rsplit_once('@'))
            .filter(|(name, alias)| !name.is_empty() && !alias.is_empty() && !alias.contains('/'));
        if let Some((name, alias)) = alias {
            return Ok(Self {
                name: name.to_owned(),
                version: None,
                alias: Some(alias.to_owned()),
            });
        }
        let (name, version) = match text.strip_prefix("models:/") {
            Some(uri) => uri
                .rsplit_once('/')
                .map_or((uri, None), |(name, version)| (name, Some(version))),
            None => text
                .rsplit_once(':')
                .map_or((text, None), |(name, version)| (name, Some(version))),
        };
        if name.is_empty() {
            return Err(
                "the model's name is empty; write churn, churn:3 or models:/churn/3".into(),
            );
        }
        // The URI of something else, such as runs:/8f2c/model or s3://bucket/model.
        if version.is_some_and(|version| version.contains('/')) {
            return Err(
                "a version holds no slash; write churn, churn:3 or models:/churn/3, and an artifact of a run with --input-artifact or --output-artifact".into(),
            );
        }
        let version = version
            .filter(|version| !version.is_empty())
            .map(str::to_owned);
        Ok(Self {
            name: name.to_owned(),
            version,
            alias: None,
        })
    }
}

impl FromStr for ArtifactArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.strip_prefix("runs:/").unwrap_or(text);
        let (run, path) = text
            .split_once('/')
            .map_or((text, None), |(run, path)| (run, Some(path)));
        let run = run.parse::<RunId>().map_err(|_| {
            format!("{run:?} is no run id; write RUN_ID or RUN_ID/PATH, such as 8f2c61d04a7b4f0e9d3c5b6a7e8f9012/data/train.parquet")
        })?;
        let path = path
            .map(|path| path.trim_matches('/'))
            .filter(|path| !path.is_empty());
        Ok(Self {
            run,
            path: path.map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{ArtifactArg, ModelArg};

    #[test]
    fn a_model_splits_at_its_last_colon() {
        let parsed = |text: &str| text.parse::<ModelArg>().map(|arg| (arg.name, arg.version));
        let model =
            |name: &str, version: Option<&str>| Ok((name.to_owned(), version.map(str::to_owned)));
        assert_eq!(parsed("churn"), model("churn", None));
        assert_eq!(parsed("churn:3"), model("churn", Some("3")));
        assert_eq!(parsed("a:b:"), model("a:b", None));
        assert_eq!(parsed("models:/churn/3"), model("churn", Some("3")));
        assert_eq!(parsed("models:/churn"), model("churn", None));
        assert!(parsed(":3").is_err() && parsed("").is_err());
        let champion = "models:/churn@champion".parse::<ModelArg>();
        assert_eq!(
            champion.map(|arg| (arg.name, arg.version, arg.alias)),
            Ok(("churn".into(), None, Some("champion".into())))
        );
    }

    #[test]
    fn an_artifact_splits_at_its_first_slash() {
        let parsed = |text: &str| {
            let arg = text.parse::<ArtifactArg>();
            arg.map(|arg| (arg.run.to_string(), arg.path))
        };
        let artifact =
            |run: &str, path: Option<&str>| Ok((run.to_owned(), path.map(str::to_owned)));
        assert_eq!(
            parsed("77ab/data/x.parquet/"),
            artifact("77ab", Some("data/x.parquet"))
        );
        assert_eq!(parsed("runs:/77ab/data"), artifact("77ab", Some("data")));
        assert_eq!(parsed("77ab/"), artifact("77ab", None));
        assert!(parsed("/data").is_err());
    }
}
