//! Distinct values of a field, in MLflow's own text for tags and params.

use bson::{Bson, Document, doc};
use futures::stream::TryStreamExt;
use mongodb::action::Action as _;

use super::chooser::IndexChooser;
use super::collections::Collections;
use super::{MongoRunStore, failed};
use crate::error::Result;
use crate::query::{Field, Search};

impl MongoRunStore {
    /// The distinct values of a field among the runs that match, each once.
    ///
    /// A tag or a param whose decoded value does not convert back to MLflow's text is returned as that text: `1.10` and `1.1`
    /// are two values. In other fields, such as `inputs.models.name`, each element of an array is a value.
    ///
    /// # Errors
    /// As [`find_runs`](Self::find_runs); [`Error::Mongo`](crate::Error::Mongo) if the values exceed 16 MB.
    pub async fn distinct_values(
        &self,
        field: &Field,
        search: impl Into<Search> + Send,
    ) -> Result<Vec<Bson>> {
        let search = search.into();
        let Some(text) = field.text_expression() else {
            return self.distinct(&field.path(), search).await;
        };
        let choice = IndexChooser::for_all(self, &search).choose().await?;
        let pipeline = [
            doc! { "$match": &choice.filter },
            doc! { "$group": { "_id": { "text": text, "value": field.value_expression() } } },
            doc! { "$sort": { "_id": 1 } },
        ];
        let aggregate = async |hint| {
            let runs = Collections::of(self).runs();
            let cursor = runs
                .aggregate(pipeline.clone())
                .allow_disk_use(true)
                .optional(self.max_time_of(&search), |aggregate, time| {
                    aggregate.max_time(time)
                })
                .optional(hint, |aggregate, hint| aggregate.hint(hint))
                .await?;
            cursor.try_collect::<Vec<Document>>().await
        };
        let grouped = choice.send(aggregate).await;
        let grouped =
            grouped.map_err(|error| failed(format!("cannot list the values of {field}"), error))?;
        Ok(grouped.into_iter().filter_map(value).collect())
    }
}

/// The value of a group; `None` if the runs lack the key, or if the key is only a prefix of longer ones.
fn value(mut group: Document) -> Option<Bson> {
    let Some(Bson::Document(mut own)) = group.remove("_id") else {
        return None;
    };
    match (own.remove("text"), own.remove("value")) {
        (Some(text @ Bson::String(_)), _) => Some(text),
        (_, Some(Bson::Document(longer_keys))) if !longer_keys.is_empty() => None,
        (_, value) => value,
    }
}
