//! What a stored run read and wrote: in place, or as a [`Lineage`].

use bson::raw::{RawArray, RawBsonRef};

use super::Run;
use crate::error::Result;
use crate::lineage::{Entry, Kind, Lineage, Side};

impl Run {
    /// What the run read and wrote.
    ///
    /// # Errors
    /// [`Error::Document`](crate::Error::Document) when a field of the lineage has another shape than this program writes.
    pub fn lineage(&self) -> Result<Lineage> {
        let mut lineage = Lineage::new();
        for side in Side::BOTH {
            for kind in Kind::BOTH {
                for entry in self.entries(side, kind) {
                    let (key, value) = entry?;
                    lineage.add(Entry {
                        side,
                        kind,
                        key: key.to_owned(),
                        value: value.map(str::to_owned),
                    });
                }
            }
        }
        Ok(lineage)
    }

    /// The models that the run read, each with its version where one is recorded; nothing is copied.
    ///
    /// ```
    /// # use bson::doc;
    /// # use runlineage::Run;
    /// let run = Run::try_from(&doc! {
    ///     "_id": "8f2c",
    ///     "inputs": { "models": [{ "name": "churn", "version": "3" }, { "name": "geo" }], "runs": [] },
    /// })?;
    /// let models: Vec<_> = run.input_models().collect::<runlineage::Result<_>>()?;
    /// assert_eq!(models, [("churn", Some("3")), ("geo", None)]);
    /// # Ok::<(), runlineage::Error>(())
    /// ```
    ///
    /// # Errors
    /// An item is an error as [`lineage`](Self::lineage) would be.
    pub fn input_models(&self) -> impl Iterator<Item = Result<(&str, Option<&str>)>> {
        self.entries(Side::Inputs, Kind::Models)
    }

    /// The models that the run wrote, each with its version where one is recorded; nothing is copied.
    ///
    /// # Errors
    /// An item is an error as [`lineage`](Self::lineage) would be.
    pub fn output_models(&self) -> impl Iterator<Item = Result<(&str, Option<&str>)>> {
        self.entries(Side::Outputs, Kind::Models)
    }

    /// The artifacts that the run read: the id of a run, and the path in it where one is recorded; nothing is copied.
    ///
    /// # Errors
    /// An item is an error as [`lineage`](Self::lineage) would be.
    pub fn input_artifacts(&self) -> impl Iterator<Item = Result<(&str, Option<&str>)>> {
        self.entries(Side::Inputs, Kind::Runs)
    }

    /// The artifacts that the run wrote: the id of a run, and the path in it where one is recorded; nothing is copied.
    ///
    /// # Errors
    /// An item is an error as [`lineage`](Self::lineage) would be.
    pub fn output_artifacts(&self) -> impl Iterator<Item = Result<(&str, Option<&str>)>> {
        self.entries(Side::Outputs, Kind::Runs)
    }

    fn entries(
        &self,
        side: Side,
        kind: Kind,
    ) -> impl Iterator<Item = Result<(&str, Option<&str>)>> {
        let (array, error) = match self.array(side, kind) {
            Ok(array) => (array, None),
            Err(error) => (None, Some(error)),
        };
        let elements = array.into_iter().flat_map(<&RawArray>::into_iter);
        let entries = elements.map(move |element| {
            let element = element.map_err(|error| self.malformed(error))?;
            self.entry(side, kind, element)
        });
        error.into_iter().map(Err).chain(entries)
    }

    fn array(&self, side: Side, kind: Kind) -> Result<Option<&RawArray>> {
        let document = &self.document;
        let side_field = document.get(side.as_str());
        let array = match side_field.map_err(|error| self.malformed(error))? {
            None => return Ok(None),
            Some(RawBsonRef::Document(side)) => side.get(kind.as_str()),
            Some(_) => return Err(self.malformed(format!("`{side}` is not a document"))),
        };
        match array.map_err(|error| self.malformed(error))? {
            None => Ok(None),
            Some(RawBsonRef::Array(array)) => Ok(Some(array)),
            Some(_) => Err(self.malformed(format!("`{side}.{kind}` is not an array"))),
        }
    }

    fn entry<'a>(
        &self,
        side: Side,
        kind: Kind,
        element: RawBsonRef<'a>,
    ) -> Result<(&'a str, Option<&'a str>)> {
        let entry = element.as_document().ok_or_else(|| {
            self.malformed(format!("an entry of `{side}.{kind}` is not a document"))
        })?;
        let key = entry.get_str(kind.key_field());
        let key = key.map_err(|error| self.malformed(error))?;
        let value = entry.get(kind.value_field());
        match value.map_err(|error| self.malformed(error))? {
            None | Some(RawBsonRef::Null) => Ok((key, None)),
            Some(RawBsonRef::String(value)) => Ok((key, Some(value))),
            Some(_) => {
                let field = kind.value_field();
                Err(self.malformed(format!("a `{field}` of `{side}.{kind}` is not a string")))
            }
        }
    }
}
