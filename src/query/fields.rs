//! Query builders for what a run has besides its lineage.

use std::ops::{Bound, RangeBounds};

use bson::{DateTime, Document, doc};

use super::test::{self, Root, Test};
use super::{Query, render};
use crate::lineage::Refused;
use crate::run::field;

impl Query {
    /// Runs of the experiment with this id or this name.
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
        self.with_filter(
            equal("exp.id", id_or_name)
                .map(|by_id| render::any([by_id, doc! { "exp.name": id_or_name }])),
        )
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
        self.with_filter(equal("exp.id", id))
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
        self.with_filter(equal("exp.name", name))
    }

    /// Runs in this state, in MLflow's own word.
    ///
    /// ```
    /// # use {bson::doc, runlineage::Query};
    /// assert_eq!(Query::new().with_status("FINISHED").render()?, doc! { "status": "FINISHED" });
    /// # Ok::<(), runlineage::Error>(())
    /// ```
    #[must_use]
    pub fn with_status(self, status: &str) -> Self {
        self.with_filter(equal(field::STATUS, status))
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
        self.with_filter(equal(field::USER, user))
    }

    /// The run of this id.
    ///
    /// ```
    /// # use {bson::doc, runlineage::Query};
    /// assert_eq!(Query::new().with_id("8f2c").render()?, doc! { "_id": "8f2c" });
    /// # Ok::<(), runlineage::Error>(())
    /// ```
    #[must_use]
    pub fn with_id(self, run_id: &str) -> Self {
        self.with_filter(equal(field::ID, run_id))
    }

    /// Runs of this name.
    ///
    /// ```
    /// # use {bson::doc, runlineage::Query};
    /// assert_eq!(Query::new().with_name("train").render()?, doc! { "name": "train" });
    /// # Ok::<(), runlineage::Error>(())
    /// ```
    #[must_use]
    pub fn with_name(self, name: &str) -> Self {
        self.with_filter(equal(field::NAME, name))
    }

    /// Runs whose name begins with this.
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
        self.with_filter(test::prefix(prefix).map(|tests| doc! { field::NAME: tests }))
    }

    /// Runs that started in this range of time.
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
        self.with_filter(time(field::START_TIME, &range))
    }

    /// Runs that ended in this range of time.
    ///
    /// ```
    /// # use {bson::{doc, DateTime}, runlineage::Query};
    /// let from = DateTime::from_millis(0);
    /// assert_eq!(Query::new().with_end_time(from..).render()?, doc! { "end_time": { "$gte": from } });
    /// # Ok::<(), runlineage::Error>(())
    /// ```
    #[must_use]
    pub fn with_end_time(self, range: impl RangeBounds<DateTime>) -> Self {
        self.with_filter(time(field::END_TIME, &range))
    }

    /// The children of this run: those with its id in the tag `mlflow.parentRunId`.
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
        self.with_filter(equal("tags.mlflow.parentRunId", run_id))
    }

    /// Runs with a tag that passes this test. No index serves it by itself.
    ///
    /// Text is compared with MLflow's own text, as in [`with_param`](Self::with_param); tags of MLflow itself, `mlflow.*`, are
    /// text and never numbers.
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
    pub fn with_tag(self, key: &str, test: impl Into<Test>) -> Self {
        self.with_filter(test.into().render(Root::Tags, key))
    }

    /// Runs with a param that passes this test. No index serves it by itself.
    ///
    /// A text is compared with MLflow's own text: `"1.10"` is not `"1.1"`. A number is compared with the number that the text
    /// is: `1.1` finds both. Beside `a.b`, a param `a` cannot be nested, and stands in `mirror.unnested`. As mlopus nests them, a dotted
    /// key also reaches into a JSON object or array under a shorter one: `a.b` finds the param `a` with `{"b": 1}`.
    ///
    /// ```
    /// # use {bson::doc, runlineage::{Query, Test}};
    /// // 1.10 is stored as the number 1.1, and its text apart.
    /// assert_eq!(
    ///     Query::new().with_param("lr", "1.10").render()?,
    ///     doc! { "mirror.text.params": { "$elemMatch": { "key": "lr", "value": "1.10" } } }
    /// );
    /// // The number 1.1 gives the text 1.1 back, where no other text is kept.
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
    ///     Query::new().with_param("lr", Test::gt(0.5)).render()?,
    ///     doc! { "$or": [
    ///         { "params.lr": over.clone() },
    ///         { "mirror.unnested.params": { "$elemMatch": { "key": "lr", "value": over } } },
    ///     ] }
    /// );
    /// # Ok::<(), runlineage::Error>(())
    /// ```
    #[must_use]
    pub fn with_param(self, key: &str, test: impl Into<Test>) -> Self {
        self.with_filter(test.into().render(Root::Params, key))
    }

    /// Runs with a metric whose last value passes this test. No index serves it by itself.
    ///
    /// ```
    /// # use {bson::doc, runlineage::{Query, Test}};
    /// assert_eq!(
    ///     Query::new().with_metric("auc", Test::gt(0.9)).render()?,
    ///     doc! { "$or": [
    ///         { "metrics.auc": { "$gt": 0.9 } },
    ///         { "mirror.unnested.metrics": { "$elemMatch": { "key": "auc", "value": { "$gt": 0.9 } } } },
    ///     ] }
    /// );
    /// # Ok::<(), runlineage::Error>(())
    /// ```
    #[must_use]
    pub fn with_metric(self, key: &str, test: impl Into<Test>) -> Self {
        self.with_filter(test.into().render(Root::Metrics, key))
    }

    /// Runs of which something could not be mirrored as it is.
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
        self.with_filter(Ok(doc! { "mirror.problems.key": { "$exists": true } }))
    }
}

fn equal(field: &'static str, text: &str) -> Result<Document, Refused> {
    if text.is_empty() {
        return Err(Refused::new(field, "it is empty, and no run has it so"));
    }
    Ok(doc! { field: text })
}

fn time(field: &'static str, range: &impl RangeBounds<DateTime>) -> Result<Document, Refused> {
    let mut tests = Document::new();
    match range.start_bound() {
        Bound::Included(from) => drop(tests.insert("$gte", *from)),
        Bound::Excluded(from) => drop(tests.insert("$gt", *from)),
        Bound::Unbounded => {}
    }
    match range.end_bound() {
        Bound::Included(to) => drop(tests.insert("$lte", *to)),
        Bound::Excluded(to) => drop(tests.insert("$lt", *to)),
        Bound::Unbounded => {}
    }
    if tests.is_empty() {
        return Err(Refused::new(field, "the range needs a start or an end"));
    }
    Ok(doc! { field: tests })
}
