//! The texts of nodes: the form that a node prints, and the forms that users and MLflow write.

use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_decode_str;

use super::Node;
use super::kinds::Kind;
use crate::error::{Error, Result};

/// A node that a user names, either in full, or as the model version that an alias, a stage or `latest` points to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeArg {
    /// The node.
    Node(Node),
    /// A model version that MLflow's registry has to resolve.
    Pointer(ModelPointer),
}

/// An alias, a stage or `latest` of a model. MLflow's registry resolves it to the version that it points to at that moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModelPointer {
    /// The model's name.
    pub name: String,
    /// The alias, the stage or `latest`.
    pub to: PointsTo,
}

/// The ways in which MLflow points to a model version without its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PointsTo {
    /// An alias, as in `models:/churn@champion`.
    Alias(String),
    /// A stage, as in `models:/churn/Production`.
    Stage(String),
    /// The newest version, as in `models:/churn/latest`.
    Latest,
}

impl Kind {
    /// Parses a node of this kind from the text of a user, such as the value of `--input-model`.
    ///
    /// # Errors
    /// A message with the accepted forms.
    pub fn read(self, text: &str) -> Result<NodeArg, String> {
        (self.spec().read)(self, text)
    }
}

pub(super) fn read_run(kind: Kind, text: &str) -> Result<NodeArg, String> {
    let id = text.strip_prefix("runs:/").unwrap_or(text);
    run_node(kind, id.trim_end_matches('/'), None)
}

/// Parses NAME, NAME:VERSION, or a model URI of MLflow. The last colon separates the name from the version.
pub(super) fn read_model(kind: Kind, text: &str) -> Result<NodeArg, String> {
    if let Some(uri) = text.strip_prefix("models:/") {
        return read_model_uri(kind, uri);
    }
    let (name, version) = split_last(text, ':');
    // The URI of something else, such as runs:/8f2c/model or s3://bucket/model.
    if version.is_some_and(|version| version.contains('/')) {
        return Err("a model version has no slash; write churn, churn:3 or models:/churn/3; for an artifact of a run, use --input-artifact or --output-artifact".into());
    }
    node(kind, name, version)
}

/// Parses the part of a model URI after `models:/`: NAME/VERSION, NAME/STAGE, NAME/latest or NAME@ALIAS. NAME alone means any
/// version.
fn read_model_uri(kind: Kind, uri: &str) -> Result<NodeArg, String> {
    let pointer = |name: &str, to: PointsTo| {
        Ok(NodeArg::Pointer(ModelPointer {
            name: name.to_owned(),
            to,
        }))
    };
    let uri = uri.trim_matches('/');
    match uri.split_once('/') {
        Some((_, version)) if version.contains('/') => Err(format!(
            "models:/{uri} is not a model URI of MLflow; write models:/NAME/VERSION or models:/NAME@ALIAS"
        )),
        Some((name, _)) if name.is_empty() => node(kind, name, None),
        Some((name, version)) if version.bytes().all(|byte| byte.is_ascii_digit()) => {
            node(kind, name, Some(version))
        }
        Some((name, version)) if version.eq_ignore_ascii_case("latest") => {
            pointer(name, PointsTo::Latest)
        }
        Some((name, stage)) => pointer(name, PointsTo::Stage(stage.to_owned())),
        None if is_logged_model(uri) => Err(format!(
            "models:/{uri} is a logged model, not a registered one; write NAME:VERSION or models:/NAME/VERSION, or use --input-logged-model or --output-logged-model"
        )),
        None => match uri.rsplit_once('@') {
            Some((name, alias)) if !name.is_empty() && !alias.is_empty() => {
                pointer(name, PointsTo::Alias(alias.to_owned()))
            }
            _ => node(kind, uri, None),
        },
    }
}

/// MLflow names logged models `m-` and 32 hexadecimal digits.
fn is_logged_model(name: &str) -> bool {
    let digits = name.strip_prefix("m-").unwrap_or_default();
    digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// NAME or NAME@DIGEST, of which the last `@` splits: a digest holds none.
pub(super) fn read_dataset(kind: Kind, text: &str) -> Result<NodeArg, String> {
    let (name, digest) = split_last(text, '@');
    node(kind, name, digest)
}

/// The id of a logged model, or MLflow's URI of it.
pub(super) fn read_logged_model(kind: Kind, text: &str) -> Result<NodeArg, String> {
    let id = text.strip_prefix("models:/").unwrap_or(text);
    if id.contains('/') || id.contains('@') || id.contains(':') {
        return Err(format!(
            "{text:?} is no logged model; write {}, and a version of a registered model with --input-model or --output-model",
            kind.spec().example
        ));
    }
    node(kind, id, None)
}

/// NAME or NAME:VERSION, of which the last colon splits, or MLflow's URI of a prompt's version.
pub(super) fn read_prompt(kind: Kind, text: &str) -> Result<NodeArg, String> {
    let Some(uri) = text.strip_prefix("prompts:/") else {
        let (name, version) = split_last(text, ':');
        return node(kind, name, version);
    };
    let uri = uri.trim_matches('/');
    match uri.rsplit_once('/') {
        Some((name, version)) if version.bytes().all(|byte| byte.is_ascii_digit()) => {
            node(kind, name, Some(version))
        }
        None if !uri.contains('@') => node(kind, uri, None),
        _ => Err(format!(
            "prompts:/{uri} names no version of a prompt; write NAME:VERSION or prompts:/NAME/VERSION"
        )),
    }
}

fn split_last(text: &str, separator: char) -> (&str, Option<&str>) {
    match text.rsplit_once(separator) {
        Some((key, detail)) => (key, Some(detail)),
        None => (text, None),
    }
}

/// Parses RUN_ID or RUN_ID/PATH, with or without `runs:/`. The first slash separates the run from the path.
pub(super) fn read_artifact(kind: Kind, text: &str) -> Result<NodeArg, String> {
    let text = text.strip_prefix("runs:/").unwrap_or(text);
    match text.split_once('/') {
        Some((run, path)) => run_node(kind, run, Some(path)),
        None => run_node(kind, text, None),
    }
}

/// Whether a text can be the id of a run: letters, digits, `_` and `-`, at most 256 bytes.
pub(crate) fn is_run_id(text: &str) -> bool {
    let allowed = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    !text.is_empty() && text.len() <= 256 && text.chars().all(allowed)
}

fn run_node(kind: Kind, run: &str, path: Option<&str>) -> Result<NodeArg, String> {
    if !is_run_id(run) {
        let spec = kind.spec();
        return Err(format!(
            "{run:?} is not a valid run id; write {}, such as {}",
            spec.value_name, spec.example
        ));
    }
    node(kind, run, path)
}

fn node(kind: Kind, key: &str, detail: Option<&str>) -> Result<NodeArg, String> {
    let node = Node::checked(kind, key, detail);
    let node = node.map_err(|_| {
        let spec = kind.spec();
        format!("the {} is empty; write {}", spec.key_means, spec.example)
    })?;
    Ok(NodeArg::Node(node))
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spec = self.kind.spec();
        write!(f, "{}:", spec.noun)?;
        let Some(detail) = spec.detail else {
            return encode(f, &self.key, None);
        };
        encode(f, &self.key, Some(detail.separator))?;
        let Some(value) = &self.detail else {
            return Ok(());
        };
        write!(f, "{}", detail.separator)?;
        // The first separator ends the key, so the later ones of a path need no encoding.
        encode(f, value, (!detail.is_path).then_some(detail.separator))
    }
}

fn encode(f: &mut fmt::Formatter<'_>, part: &str, separator: Option<char>) -> fmt::Result {
    for c in part.chars() {
        if c == '%' || Some(c) == separator {
            write!(f, "%{:02X}", u32::from(c))?;
        } else {
            write!(f, "{c}")?;
        }
    }
    Ok(())
}

impl FromStr for Node {
    type Err = Error;

    /// Parses the printed form, and MLflow's `runs:/…`, `models:/NAME/VERSION`, `models:/m-…` and `prompts:/NAME/VERSION`.
    fn from_str(text: &str) -> Result<Self> {
        let refused = |reason: String| Error::invalid_argument("node", reason);
        let arg = if let Some(path) = text.strip_prefix("runs:/") {
            let kind = match path.trim_end_matches('/').contains('/') {
                true => Kind::ARTIFACT,
                false => Kind::RUN,
            };
            kind.read(text)
        } else if let Some(uri) = text.strip_prefix("models:/") {
            match is_logged_model(uri) {
                true => Kind::LOGGED_MODEL.read(text),
                false => Kind::MODEL.read(text),
            }
        } else if text.starts_with("prompts:/") {
            Kind::PROMPT.read(text)
        } else {
            return parse(text).map_err(refused);
        };
        match arg.map_err(refused)? {
            NodeArg::Node(node) => Ok(node),
            NodeArg::Pointer(pointer) => Err(refused(format!(
                "{text:?} is not a fixed version, because MLflow's registry can change it; write model:{}:VERSION",
                pointer.name
            ))),
        }
    }
}

fn parse(text: &str) -> Result<Node, String> {
    let known = || {
        let nouns: Vec<String> = Kind::all()
            .map(|kind| format!("{}:{}", kind, kind.spec().value_name))
            .collect();
        format!("{text:?} is not a node; write {}", nouns.join(", "))
    };
    let (noun, rest) = text.split_once(':').ok_or_else(known)?;
    let kind = Kind::of_noun(noun).ok_or_else(known)?;
    let decode = |part: &str| {
        let decoded = percent_decode_str(part).decode_utf8();
        decoded.map(std::borrow::Cow::into_owned).map_err(|_| {
            format!("the percent-encoded bytes in {text:?} are not UTF-8; encode the text again")
        })
    };
    let (key, detail) = match kind.spec().detail {
        Some(detail) => match rest.split_once(detail.separator) {
            Some((key, value)) => (decode(key)?, Some(decode(value)?)),
            None => (decode(rest)?, None),
        },
        None => (decode(rest)?, None),
    };
    Node::checked(kind, &key, detail.as_deref())
        .map_err(|_| format!("{text:?}: the {} is empty", kind.spec().key_means))
}

impl fmt::Display for ModelPointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match &self.to {
            PointsTo::Alias(alias) => write!(f, "models:/{name}@{alias}"),
            PointsTo::Stage(stage) => write!(f, "models:/{name}/{stage}"),
            PointsTo::Latest => write!(f, "models:/{name}/latest"),
        }
    }
}
