//! [`Frame`]: runs as the columns of a data frame.

use std::collections::HashMap;

use bson::raw::RawBsonRef;
use bson::{Bson, DateTime};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString};
use runlineage::lineage::Direction;
use runlineage::{Data, Run};

use crate::values;

/// What pandas takes for "no time".
const NO_TIME: i64 = i64::MIN;

/// Runs as columns: those of MLflow's `search_runs`, and the lineage beside them.
///
/// It is filled without the interpreter's lock, since most of the work is to parse the runs.
pub(crate) struct Frame {
    runs: usize,
    /// Whether tags and params are values, not MLflow's texts.
    decoded: bool,
    texts: [(&'static str, Texts); 4],
    times: [(&'static str, Vec<i64>); 2],
    metrics: Keyed<Numbers>,
    params: Keyed<Cells>,
    tags: Keyed<Cells>,
    lineage: [(Direction, Lists); 2],
}

/// A column of texts, of which each row has one or none.
#[derive(Default)]
struct Texts {
    text: String,
    /// Where the text of each row ends; `None` for a row without one.
    ends: Vec<Option<usize>>,
}

/// A column of lists of texts.
#[derive(Default)]
struct Lists {
    texts: Texts,
    /// How many texts there are up to the end of each row.
    ends: Vec<usize>,
}

#[derive(Default)]
struct Numbers(Vec<f64>);

/// A column of tags or params.
enum Cells {
    Texts(Texts),
    Values(Vec<Option<Bson>>),
}

/// The columns of one field, such as `params`, in the order in which they first occur.
struct Keyed<C> {
    data: Data,
    numbers: HashMap<String, usize>,
    columns: Vec<C>,
    names: Vec<String>,
    /// The runs mostly have the same keys in the same order, so the next column is a good guess.
    guess: usize,
}

/// A column with a cell for each run; a run may leave its cell out.
trait Column {
    fn new(decoded: bool) -> Self;
    /// Leaves out the cells up to this row.
    fn fill(&mut self, rows: usize);
}

impl Frame {
    pub(crate) fn new(decoded: bool) -> Self {
        let texts = ["run_id", "experiment_id", "status", "artifact_uri"];
        Self {
            runs: 0,
            decoded,
            texts: texts.map(|name| (name, Texts::default())),
            times: ["start_time", "end_time"].map(|name| (name, Vec::new())),
            metrics: Keyed::new(Data::Metrics),
            params: Keyed::new(Data::Params),
            tags: Keyed::new(Data::Tags),
            lineage: Direction::BOTH.map(|direction| (direction, Lists::default())),
        }
    }

    pub(crate) fn push(&mut self, run: &Run) -> runlineage::Result<()> {
        let row = self.runs;
        let document = run.as_raw();
        let experiment = document.get_document("exp").ok();
        let values = [
            Some(run.id()),
            experiment.and_then(|experiment| experiment.get_str("id").ok()),
            run.status(),
            run.artifact_uri(),
        ];
        for ((_, column), value) in self.texts.iter_mut().zip(values) {
            column.push(value);
        }
        for ((name, column), time) in self
            .times
            .iter_mut()
            .zip([run.start_time(), run.end_time()])
        {
            let millis = time.map(DateTime::timestamp_millis);
            column.push(
                millis
                    .or_else(|| out_of_range(run, name))
                    .unwrap_or(NO_TIME),
            );
        }
        self.metrics.begin();
        Data::Metrics.each(run, |value| {
            let column = self.metrics.column(value.key(), row, false);
            column.0.push(value.number().unwrap_or(f64::NAN));
        })?;
        for keyed in [&mut self.params, &mut self.tags] {
            keyed.begin();
            keyed.data.each(run, |value| {
                match keyed.column(value.key(), row, self.decoded) {
                    Cells::Texts(texts) => texts.push(Some(&value.text())),
                    Cells::Values(values) => values.push(Some(value.value())),
                }
            })?;
        }
        let lineage = run.lineage()?;
        for (direction, column) in &mut self.lineage {
            for node in lineage.side(*direction).nodes() {
                column.texts.push(Some(&node.to_string()));
            }
            column.ends.push(column.texts.ends.len());
        }
        self.runs += 1;
        Ok(())
    }

    /// How many runs it holds.
    pub(crate) fn len(&self) -> usize {
        self.runs
    }

    /// The columns: name, type and values. The values of times and numbers are the bytes of their array.
    pub(crate) fn into_columns(
        mut self,
        py: Python<'_>,
    ) -> PyResult<Vec<(String, &'static str, Bound<'_, PyAny>)>> {
        let mut columns = Vec::new();
        for (name, texts) in self.texts {
            columns.push((name.to_owned(), "text", texts.into_list(py)?.into_any()));
        }
        for (name, times) in self.times {
            let bytes: Vec<u8> = times.iter().flat_map(|time| time.to_ne_bytes()).collect();
            columns.push((name.to_owned(), "time", PyBytes::new(py, &bytes).into_any()));
        }
        self.metrics.fill(self.runs);
        for (name, Numbers(numbers)) in self.metrics.sorted() {
            let bytes: Vec<u8> = numbers
                .iter()
                .flat_map(|number| number.to_ne_bytes())
                .collect();
            columns.push((name, "number", PyBytes::new(py, &bytes).into_any()));
        }
        for mut keyed in [self.params, self.tags] {
            keyed.fill(self.runs);
            for (name, cells) in keyed.sorted() {
                let (kind, list) = match cells {
                    Cells::Texts(texts) => ("text", texts.into_list(py)?),
                    Cells::Values(cells) => ("value", values_list(py, &cells)?),
                };
                columns.push((name, kind, list.into_any()));
            }
        }
        for (direction, lists) in self.lineage {
            let list = lists.into_list(py)?;
            columns.push((direction.field().to_owned(), "value", list.into_any()));
        }
        Ok(columns)
    }
}

/// A time that BSON's readers cannot hold is stored as the text of its milliseconds.
fn out_of_range(run: &Run, name: &str) -> Option<i64> {
    match run.as_raw().get(name) {
        Ok(Some(RawBsonRef::String(millis))) => millis.parse().ok(),
        _ => None,
    }
}

fn values_list<'py>(py: Python<'py>, cells: &[Option<Bson>]) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for cell in cells {
        match cell {
            Some(cell) => list.append(values::bson(py, cell)?)?,
            None => list.append(py.None())?,
        }
    }
    Ok(list)
}

impl Texts {
    fn push(&mut self, text: Option<&str>) {
        self.text.push_str(text.unwrap_or_default());
        self.ends.push(text.map(|_| self.text.len()));
    }

    fn into_list(self, py: Python<'_>) -> PyResult<Bound<'_, PyList>> {
        PyList::new(py, self.to_python(py))
    }

    /// The text of each row, or `None`. Equal neighbours, such as a status, share one object.
    fn to_python<'a, 'py>(
        &'a self,
        py: Python<'py>,
    ) -> impl ExactSizeIterator<Item = Option<Bound<'py, PyString>>> + use<'a, 'py> {
        let mut start = 0;
        let mut last: Option<(&str, Bound<'py, PyString>)> = None;
        self.ends.iter().map(move |end| {
            let text = &self.text[start..(*end)?];
            start = (*end)?;
            match &last {
                Some((same, shared)) if *same == text => Some(shared.clone()),
                _ => {
                    let made = PyString::new(py, text);
                    last = Some((text, made.clone()));
                    Some(made)
                }
            }
        })
    }
}

impl Lists {
    fn into_list(self, py: Python<'_>) -> PyResult<Bound<'_, PyList>> {
        let texts: Vec<_> = self.texts.to_python(py).collect();
        let mut start = 0;
        let lists = self.ends.iter().map(|end| {
            let list = PyList::new(py, &texts[start..*end]);
            start = *end;
            list
        });
        PyList::new(py, lists.collect::<PyResult<Vec<_>>>()?)
    }
}

impl<C: Column> Keyed<C> {
    fn new(data: Data) -> Self {
        Self {
            data,
            numbers: HashMap::new(),
            columns: Vec::new(),
            names: Vec::new(),
            guess: 0,
        }
    }

    /// Before the keys of the next run.
    fn begin(&mut self) {
        self.guess = 0;
    }

    /// The column of this key, filled up to this row.
    fn column(&mut self, key: &str, row: usize, decoded: bool) -> &mut C {
        let guessed = self.names.get(self.guess).is_some_and(|name| name == key);
        let number = match guessed {
            true => self.guess,
            false => match self.numbers.get(key) {
                Some(number) => *number,
                None => {
                    let number = self.columns.len();
                    self.numbers.insert(key.to_owned(), number);
                    self.names.push(key.to_owned());
                    self.columns.push(C::new(decoded));
                    number
                }
            },
        };
        self.guess = number + 1;
        let column = &mut self.columns[number];
        column.fill(row);
        column
    }

    fn fill(&mut self, rows: usize) {
        for column in &mut self.columns {
            column.fill(rows);
        }
    }

    /// The columns by name.
    fn sorted(self) -> Vec<(String, C)> {
        let mut columns: Vec<_> = self.names.into_iter().zip(self.columns).collect();
        columns.sort_by(|(a, _), (b, _)| a.cmp(b));
        let named = |(key, column)| (format!("{}.{key}", self.data.name()), column);
        columns.into_iter().map(named).collect()
    }
}

impl Column for Numbers {
    fn new(_: bool) -> Self {
        Self::default()
    }

    fn fill(&mut self, rows: usize) {
        self.0.resize(rows, f64::NAN);
    }
}

impl Column for Cells {
    fn new(decoded: bool) -> Self {
        match decoded {
            true => Self::Values(Vec::new()),
            false => Self::Texts(Texts::default()),
        }
    }

    fn fill(&mut self, rows: usize) {
        match self {
            Self::Texts(texts) => texts.ends.resize(rows, None),
            Self::Values(values) => values.resize(rows, None),
        }
    }
}
