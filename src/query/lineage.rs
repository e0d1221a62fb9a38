//! Query builders for models, and for runs that read or wrote nothing.

use bson::{Document, doc};

use super::Query;
use crate::lineage::{Entry, Refused, Side};

impl Query {
    /// Runs that read this model; no version means any, and a model recorded without one too.
    ///
    /// ```
    /// # use {bson::doc, runlineage::Query};
    /// assert_eq!(
    ///     Query::new().with_input_model("churn", "3").render()?,
    ///     doc! { "inputs.models": { "$elemMatch": { "name": "churn", "version": "3" } } }
    /// );
    /// assert_eq!(
    ///     Query::new().with_input_model("churn", None).render()?,
    ///     doc! { "inputs.models.name": "churn" }
    /// );
    /// # Ok::<(), runlineage::Error>(())
    /// ```
    #[must_use]
    pub fn with_input_model<'a>(self, name: &str, version: impl Into<Option<&'a str>>) -> Self {
        self.with_entry(Entry::model(Side::Inputs, name, version.into()))
    }

    /// Runs that wrote this model; no version means any, and a model recorded without one too.
    ///
    /// ```
    /// # use {bson::doc, runlineage::Query};
    /// assert_eq!(
    ///     Query::new().with_output_model("churn", "3").render()?,
    ///     doc! { "outputs.models": { "$elemMatch": { "name": "churn", "version": "3" } } }
    /// );
    /// # Ok::<(), runlineage::Error>(())
    /// ```
    #[must_use]
    pub fn with_output_model<'a>(self, name: &str, version: impl Into<Option<&'a str>>) -> Self {
        self.with_entry(Entry::model(Side::Outputs, name, version.into()))
    }

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
        self.with_filter(model_versions(Side::Inputs, name, versions))
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
        self.with_filter(model_versions(Side::Outputs, name, versions))
    }

    /// Runs that read this model where no version is recorded.
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
        self.with_filter(model_without_version(Side::Inputs, name))
    }

    /// Runs that wrote this model where no version is recorded.
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
        self.with_filter(model_without_version(Side::Outputs, name))
    }

    /// Runs for which no input at all is recorded. No index serves it by itself.
    ///
    /// ```
    /// # use {bson::doc, runlineage::Query};
    /// assert_eq!(
    ///     Query::new().without_inputs().render()?,
    ///     doc! { "inputs.models.name": { "$exists": false }, "inputs.runs.id": { "$exists": false } }
    /// );
    /// # Ok::<(), runlineage::Error>(())
    /// ```
    #[must_use]
    pub fn without_inputs(self) -> Self {
        self.with_filter(Ok(nothing(Side::Inputs)))
    }

    /// Runs for which no output at all is recorded. No index serves it by itself.
    ///
    /// ```
    /// # use {bson::doc, runlineage::Query};
    /// assert_eq!(
    ///     Query::new().with_exp("churn").without_outputs().render()?,
    ///     doc! { "$and": [
    ///         { "$or": [{ "exp.id": "churn" }, { "exp.name": "churn" }] },
    ///         { "outputs.models.name": { "$exists": false }, "outputs.runs.id": { "$exists": false } },
    ///     ] }
    /// );
    /// # Ok::<(), runlineage::Error>(())
    /// ```
    #[must_use]
    pub fn without_outputs(self) -> Self {
        self.with_filter(Ok(nothing(Side::Outputs)))
    }
}

fn model_versions<V: Into<String>>(
    side: Side,
    name: &str,
    versions: impl IntoIterator<Item = V>,
) -> Result<Document, Refused> {
    let versions: Vec<String> = versions.into_iter().map(Into::into).collect();
    if versions.is_empty() || versions.iter().any(String::is_empty) {
        return Err(Refused::new(
            "model versions",
            "they need at least one, and none may be empty",
        ));
    }
    let model = Entry::model(side, name, None)?.key;
    Ok(
        doc! { format!("{side}.models"): { "$elemMatch": { "name": model, "version": { "$in": versions } } } },
    )
}

fn model_without_version(side: Side, name: &str) -> Result<Document, Refused> {
    let model = Entry::model(side, name, None)?.key;
    Ok(
        doc! { format!("{side}.models"): { "$elemMatch": { "name": model, "version": { "$exists": false } } } },
    )
}

fn nothing(side: Side) -> Document {
    doc! {
        format!("{side}.models.name"): { "$exists": false },
        format!("{side}.runs.id"): { "$exists": false },
    }
}
