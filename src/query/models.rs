//! Query builders for versions of models, and for runs without inputs or outputs.

use super::{Query, Term};
use crate::node::{Direction, Kind, Node, Refused};

impl Query {
    /// Runs that read any of these versions of this model.
    ///
    /// ```
    /// # use {bson::doc, runlineage::Query};
    /// assert_eq!(
    ///     Query::new().with_input_model_versions("churn", ["2", "3"]).render()?,
    ///     doc! { "inputs.models": { "$elemMatch": { "name": "churn", "version": { "$in": ["2", "3"] } } } }
    /// );
    /// # Ok::<(), runlineage::Error>(())
    /// ```
    #[must_use]
    pub fn with_input_model_versions<V: Into<String>>(
        self,
        name: &str,
        versions: impl IntoIterator<Item = V>,
    ) -> Self {
        self.with_term(versions_of(Direction::Input, name, versions))
    }

    /// Runs that wrote any of these versions of this model.
    ///
    /// ```
    /// # use {bson::doc, runlineage::Query};
    /// assert_eq!(
    ///     Query::new().with_output_model_versions("churn", ["2", "3"]).render()?,
    ///     doc! { "outputs.models": { "$elemMatch": { "name": "churn", "version": { "$in": ["2", "3"] } } } }
    /// );
    /// # Ok::<(), runlineage::Error>(())
    /// ```
    #[must_use]
    pub fn with_output_model_versions<V: Into<String>>(
        self,
        name: &str,
        versions: impl IntoIterator<Item = V>,
    ) -> Self {
        self.with_term(versions_of(Direction::Output, name, versions))
    }

    /// Runs whose lineage has this model without a version among the inputs.
    ///
    /// ```
    /// # use {bson::doc, runlineage::Query};
    /// assert_eq!(
    ///     Query::new().with_input_model_without_version("churn").render()?,
    ///     doc! { "inputs.models": { "$elemMatch": { "name": "churn", "version": { "$exists": false } } } }
    /// );
    /// # Ok::<(), runlineage::Error>(())
    /// ```
    #[must_use]
    pub fn with_input_model_without_version(self, name: &str) -> Self {
        self.with_term(without_version(Direction::Input, name))
    }

    /// Runs whose lineage has this model without a version among the outputs.
    ///
    /// ```
    /// # use {bson::doc, runlineage::Query};
    /// assert_eq!(
    ///     Query::new().with_output_model_without_version("churn").render()?,
    ///     doc! { "outputs.models": { "$elemMatch": { "name": "churn", "version": { "$exists": false } } } }
    /// );
    /// # Ok::<(), runlineage::Error>(())
    /// ```
    #[must_use]
    pub fn with_output_model_without_version(self, name: &str) -> Self {
        self.with_term(without_version(Direction::Output, name))
    }

    /// Runs without any recorded input. Alone, it scans the whole collection.
    ///
    /// ```
    /// # use {bson::doc, runlineage::Query};
    /// assert_eq!(
    ///     Query::new().without_inputs().render()?,
    ///     doc! {
    ///         "inputs.models.name": { "$exists": false },
    ///         "inputs.runs.id": { "$exists": false },
    ///         "inputs.datasets.name": { "$exists": false },
    ///         "inputs.logged_models.id": { "$exists": false },
    ///         "inputs.prompts.name": { "$exists": false },
    ///     }
    /// );
    /// # Ok::<(), runlineage::Error>(())
    /// ```
    #[must_use]
    pub fn without_inputs(self) -> Self {
        self.with_term(Ok(Term::NoReference(Direction::Input)))
    }

    /// Runs without any recorded output. Alone, it scans the whole collection.
    ///
    /// ```
    /// # use {bson::doc, runlineage::Query};
    /// assert_eq!(
    ///     Query::new().with_exp("churn").without_outputs().render()?,
    ///     doc! { "$and": [
    ///         { "$or": [{ "exp.id": "churn" }, { "exp.name": "churn" }] },
    ///         {
    ///             "outputs.models.name": { "$exists": false },
    ///             "outputs.runs.id": { "$exists": false },
    ///             "outputs.logged_models.id": { "$exists": false },
    ///         },
    ///     ] }
    /// );
    /// # Ok::<(), runlineage::Error>(())
    /// ```
    #[must_use]
    pub fn without_outputs(self) -> Self {
        self.with_term(Ok(Term::NoReference(Direction::Output)))
    }
}

fn versions_of<V: Into<String>>(
    direction: Direction,
    name: &str,
    versions: impl IntoIterator<Item = V>,
) -> Result<Term, Refused> {
    let versions: Vec<String> = versions.into_iter().map(Into::into).collect();
    if versions.is_empty() || versions.iter().any(String::is_empty) {
        return Err(Refused::argument(
            "model versions",
            "at least one version is required, and none may be empty",
        ));
    }
    let model = Node::checked(Kind::MODEL, name, versions.first().map(String::as_str))?;
    if versions.len() == 1 {
        return Ok(Term::Node {
            direction,
            node: model,
        });
    }
    Ok(Term::OneOf {
        direction,
        kind: Kind::MODEL,
        key: name.to_owned(),
        details: versions,
    })
}

fn without_version(direction: Direction, name: &str) -> Result<Term, Refused> {
    Node::checked(Kind::MODEL, name, None)?;
    Ok(Term::WithoutDetail {
        direction,
        kind: Kind::MODEL,
        key: name.to_owned(),
    })
}
