//! Query builders for the fields, tags, params and metrics of a run.

use std::ops::{Bound, RangeBounds};

use bson::DateTime;

use super::attribute::{Attribute, TimeField};
use super::condition::Condition;
use super::data_key::Root;
use super::prefix::check_prefix;
use super::{Query, Term};
use crate::node::Refused;
use crate::run::ExperimentSelector;

impl Query {
    /// Runs whose field equals this text.
    pub(super) fn with_attribute(self, attribute: Attribute, text: &str) -> Self {
        self.with_term(equal(attribute, text))
    }

    pub(super) fn with_data(self, root: Root, key: &str, condition: Condition) -> Self {
        self.with_term(data(root, key, condition))
    }

    /// Runs of the experiment with this id or name.
    ///
    /// ```
    /// # use {bson::doc, runlineage::Query};
    /// assert_eq!(
    ///     Query::new().with_exp("churn").render()?,
    ///     doc! { "$or": [{ "exp.id": "churn" }, { "exp.name": "churn" }] }
    /// );
    /// # Ok::<(), runlineage::Error>(())
    /// ```
    #[must_use]
    pub fn with_exp(self, id_or_name: &str) -> Self {
        self.with_attribute(Attribute::Experiment, id_or_name)
    }

    /// Runs of the selected experiment.
    #[must_use]
    pub fn with_experiment(self, experiment: &ExperimentSelector) -> Self {
        match experiment {
            ExperimentSelector::Either(text) => self.with_exp(text),
            ExperimentSelector::Id(id) => self.with_exp_id(id),
            ExperimentSelector::Name(name) => self.with_exp_name(name),
        }
    }

    /// Runs of the experiment with this id.
    ///
    /// ```
    /// # use {bson::doc, runlineage::Query};
    /// assert_eq!(Query::new().with_exp_id("12").render()?, doc! { "exp.id": "12" });
    /// # Ok::<(), runlineage::Error>(())
    /// ```
    #[must_use]
    pub fn with_exp_id(self, id: &str) -> Self {
        self.with_attribute(Attribute::ExperimentId, id)
    }

    /// Runs of the experiment with this name.
    ///
    /// ```
    /// # use {bson::doc, runlineage::Query};
    /// assert_eq!(Query::new().with_exp_name("churn").render()?, doc! { "exp.name": "churn" });
    /// # Ok::<(), runlineage::Error>(())
    /// ```
    #[must_use]
    pub fn with_exp_name(self, name: &str) -> Self {
        self.with_attribute(Attribute::ExperimentName, name)
    }

    /// Runs with this status, such as `FINISHED`, as MLflow spells it.
    ///
    /// ```
    /// # use {bson::doc, runlineage::Query};
    /// assert_eq!(Query::new().with_status("FINISHED").render()?, doc! { "status": "FINISHED" });
    /// # Ok::<(), runlineage::Error>(())
    /// ```
    #[must_use]
    pub fn with_status(self, status: &str) -> Self {
        self.with_attribute(Attribute::Status, status)
    }

    /// Runs that this user started.
    ///
    /// ```
    /// # use {bson::doc, runlineage::Query};
    /// assert_eq!(Query::new().with_user("ana").render()?, doc! { "user": "ana" });
    /// # Ok::<(), runlineage::Error>(())
    /// ```
    #[must_use]
    pub fn with_user(self, user: &str) -> Self {
        self.with_attribute(Attribute::User, user)
    }

    /// The run with this id.
    ///
    /// ```
    /// # use {bson::doc, runlineage::Query};
    /// assert_eq!(Query::new().with_id("8f2c").render()?, doc! { "_id": "8f2c" });
    /// # Ok::<(), runlineage::Error>(())
    /// ```
    #[must_use]
    pub fn with_id(self, run_id: &str) -> Self {
        self.with_attribute(Attribute::Id, run_id)
    }

    /// Runs with this name.
    ///
    /// ```
    /// # use {bson::doc, runlineage::Query};
    /// assert_eq!(Query::new().with_name("train").render()?, doc! { "name": "train" });
    /// # Ok::<(), runlineage::Error>(())
    /// ```
    #[must_use]
    pub fn with_name(self, name: &str) -> Self {
        self.with_attribute(Attribute::Name, name)
    }

    /// Runs whose name begins with this prefix.
    ///
    /// ```
    /// # use {bson::doc, runlineage::Query};
    /// assert_eq!(
    ///     Query::new().with_name_prefix("train-").render()?,
    ///     doc! { "name": { "$gte": "train-", "$lt": "train." } }
    /// );
    /// # Ok::<(), runlineage::Error>(())
    /// ```
    #[must_use]
    pub fn with_name_prefix(self, prefix: &str) -> Self {
        let term = check_prefix(prefix).map(|()| Term::NamePrefix(prefix.to_owned()));
        self.with_term(term)
    }

    /// Runs whose start time lies in this range.
    ///
    /// ```
    /// # use {bson::{doc, DateTime}, runlineage::Query};
    /// let (from, to) = (DateTime::from_millis(0), DateTime::from_millis(1_000));
    /// assert_eq!(
    ///     Query::new().with_start_time(from..to).render()?,
    ///     doc! { "start_time": { "$gte": from, "$lt": to } }
    /// );
    /// # Ok::<(), runlineage::Error>(())
    /// ```
    #[must_use]
    pub fn with_start_time(self, range: impl RangeBounds<DateTime>) -> Self {
        self.with_term(time(TimeField::Start, &range))
    }

    /// Runs whose end time lies in this range.
    ///
    /// ```
    /// # use {bson::{doc, DateTime}, runlineage::Query};
    /// let from = DateTime::from_millis(0);
    /// assert_eq!(Query::new().with_end_time(from..).render()?, doc! { "end_time": { "$gte": from } });
    /// # Ok::<(), runlineage::Error>(())
    /// ```
    #[must_use]
    pub fn with_end_time(self, range: impl RangeBounds<DateTime>) -> Self {
        self.with_term(time(TimeField::End, &range))
    }

    /// The child runs of this run, whose tag `mlflow.parentRunId` holds its id.
    ///
    /// ```
    /// # use {bson::doc, runlineage::Query};
    /// assert_eq!(
    ///     Query::new().with_parent("8f2c").render()?,
    ///     doc! { "tags.mlflow.parentRunId": "8f2c" }
    /// );
    /// # Ok::<(), runlineage::Error>(())
    /// ```
    #[must_use]
    pub fn with_parent(self, run_id: &str) -> Self {
        self.with_attribute(Attribute::Parent, run_id)
    }

    /// Runs with a tag that meets this condition. Alone, it scans the whole collection.
    ///
    /// Texts and numbers compare as in [`with_param`](Self::with_param). The tags that MLflow sets itself, `mlflow.*`, are
    /// always texts.
    ///
    /// ```
    /// # use {bson::doc, runlineage::Query};
    /// assert_eq!(
    ///     Query::new().with_tag("mlflow.source.type", "LOCAL").render()?,
    ///     doc! { "$or": [
    ///         { "tags.mlflow.source.type": { "$eq": "LOCAL" } },
    ///         { "mirror.unnested.tags": { "$elemMatch": { "key": "mlflow.source.type", "value": { "$eq": "LOCAL" } } } },
    ///     ] }
    /// );
    /// # Ok::<(), runlineage::Error>(())
    /// ```
    #[must_use]
    pub fn with_tag(self, key: &str, condition: impl Into<Condition>) -> Self {
        self.with_data(Root::Tags, key, condition.into())
    }

    /// Runs with a param that meets this condition. Alone, it scans the whole collection.
    ///
    /// A text operand compares with the text in MLflow: `"1.10"` does not equal `"1.1"`. A number compares with the number
    /// that the text stands for: `1.1` finds both. A param `a` beside `a.b` cannot be nested, and the mirror keeps it in
    /// `mirror.unnested`. A dotted key also reaches into a JSON object or array, because mlopus nests keys in the same way:
    /// `a.b` finds the param `a` with the value `{"b": 1}`.
    ///
    /// ```
    /// # use {bson::doc, runlineage::Query, runlineage::query::Condition};
    /// // The mirror stores 1.10 as the number 1.1, and its text in `mirror.text`.
    /// assert_eq!(
    ///     Query::new().with_param("lr", "1.10").render()?,
    ///     doc! { "mirror.text.params": { "$elemMatch": { "key": "lr", "value": "1.10" } } }
    /// );
    /// // The number 1.1 encodes back into the text 1.1, unless `mirror.text` has another text.
    /// let number = doc! { "$eq": 1.1, "$type": "double", "$not": { "$type": "array" } };
    /// assert_eq!(
    ///     Query::new().with_param("lr", "1.1").render()?,
    ///     doc! { "$and": [
    ///         { "$or": [
    ///             { "params.lr": number.clone() },
    ///             { "mirror.unnested.params": { "$elemMatch": { "key": "lr", "value": number } } },
    ///         ] },
    ///         { "mirror.text.params.key": { "$ne": "lr" } },
    ///     ] }
    /// );
    /// let over = doc! { "$gt": 0.5, "$not": { "$type": "array" } };
    /// assert_eq!(
    ///     Query::new().with_param("lr", Condition::gt(0.5)).render()?,
    ///     doc! { "$or": [
    ///         { "params.lr": over.clone() },
    ///         { "mirror.unnested.params": { "$elemMatch": { "key": "lr", "value": over } } },
    ///     ] }
    /// );
    /// # Ok::<(), runlineage::Error>(())
    /// ```
    #[must_use]
    pub fn with_param(self, key: &str, condition: impl Into<Condition>) -> Self {
        self.with_data(Root::Params, key, condition.into())
    }

    /// Runs with a metric whose last value meets this condition. Alone, it scans the whole collection.
    ///
    /// ```
    /// # use {bson::doc, runlineage::Query, runlineage::query::Condition};
    /// assert_eq!(
    ///     Query::new().with_metric("auc", Condition::gt(0.9)).render()?,
    ///     doc! { "$or": [
    ///         { "metrics.auc": { "$gt": 0.9 } },
    ///         { "mirror.unnested.metrics": { "$elemMatch": { "key": "auc", "value": { "$gt": 0.9 } } } },
    ///     ] }
    /// );
    /// # Ok::<(), runlineage::Error>(())
    /// ```
    #[must_use]
    pub fn with_metric(self, key: &str, condition: impl Into<Condition>) -> Self {
        self.with_data(Root::Metrics, key, condition.into())
    }

    /// Runs for which the mirror recorded a problem: a value that it could not store unchanged.
    ///
    /// ```
    /// # use {bson::doc, runlineage::Query};
    /// assert_eq!(
    ///     Query::new().with_problems().render()?,
    ///     doc! { "mirror.problems.key": { "$exists": true } }
    /// );
    /// # Ok::<(), runlineage::Error>(())
    /// ```
    #[must_use]
    pub fn with_problems(self) -> Self {
        self.with_term(Ok(Term::Problems))
    }
}

fn equal(attribute: Attribute, text: &str) -> Result<Term, Refused> {
    if text.is_empty() {
        return Err(Refused::argument(
            attribute.path(),
            "the value must not be empty",
        ));
    }
    Ok(Term::Attribute(attribute, text.to_owned()))
}

fn data(root: Root, key: &str, condition: Condition) -> Result<Term, Refused> {
    Ok(Term::Data {
        root,
        key: key.to_owned(),
        filter: condition.render(root, key)?,
        condition,
    })
}

fn time(time_field: TimeField, range: &impl RangeBounds<DateTime>) -> Result<Term, Refused> {
    match (range.start_bound().cloned(), range.end_bound().cloned()) {
        (Bound::Unbounded, Bound::Unbounded) => Err(Refused::argument(
            time_field.path(),
            "the range needs a lower or an upper bound",
        )),
        (from, to) => Ok(Term::Time(time_field, from, to)),
    }
}
