//! [`Answer`]: what a walk found, as JSON and as a picture.

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use runlineage::graph::{Diff, Graph, Impact, Paths, Provenance};
use runlineage_answer::{LinkedGraph, Pages, ProvenanceFile, diff_file, graph_file, json_line};
use runlineage_draw::Format;

use crate::error::{exceptions, invalid, raised};

/// The formats of a diff, which is two graphs.
const DIFF_FORMATS: [Format; 3] = [Format::Svg, Format::Png, Format::Html];

/// What a walk found, and what a picture of it needs.
#[pyclass(frozen, module = "runlineage._native")]
pub(crate) struct Answer {
    pub(crate) found: Found,
    pub(crate) pages: Option<Pages>,
    /// The name of the mirror's source.
    pub(crate) source: Option<String>,
}

/// What a walk found.
pub(crate) enum Found {
    Graph(Graph),
    Impact(Impact),
    Paths(Paths),
    /// Whether all levels were walked, too.
    Provenance(Box<Provenance>, bool),
    Diff(Diff),
}

#[pymethods]
impl Answer {
    /// The answer as JSON, in the form that `--format json` of the program gives.
    fn json(&self, py: Python<'_>) -> PyResult<Vec<u8>> {
        let json = py.detach(|| match &self.found {
            Found::Graph(graph) => json_line(&LinkedGraph::of(graph, self.pages.as_ref())),
            Found::Impact(impact) => json_line(impact),
            Found::Paths(paths) => json_line(paths),
            Found::Provenance(provenance, is_whole) => {
                json_line(&ProvenanceFile::of(provenance, *is_whole))
            }
            Found::Diff(diff) => json_line(diff),
        });
        json.map_err(|error| exceptions::Error::new_err(error.to_string()))
    }

    /// The answer as a file of this format, and the characters for which a PNG has no glyph.
    fn draw<'py>(
        &self,
        py: Python<'py>,
        format: &str,
        fold: usize,
    ) -> PyResult<(Bound<'py, PyBytes>, Vec<char>)> {
        let format: Format = format.parse().map_err(raised)?;
        let pages = self.pages.as_ref();
        let of_graph =
            |graph: &Graph| graph_file(graph, pages, self.source.as_deref(), format, fold);
        let drawn = py.detach(|| match &self.found {
            _ if matches!(format, Format::Json | Format::Table) => None,
            Found::Graph(graph) => Some(of_graph(graph)),
            Found::Provenance(provenance, _) => Some(of_graph(&provenance.graph)),
            Found::Paths(paths) => {
                let mut graph = Graph::default();
                if let Some(path) = &paths.shortest {
                    graph.nodes.clone_from(&path.nodes);
                    graph.edges.clone_from(&path.edges);
                }
                Some(of_graph(&graph))
            }
            Found::Diff(diff) if DIFF_FORMATS.contains(&format) => {
                Some(diff_file(diff, pages, format, fold))
            }
            Found::Impact(_) | Found::Diff(_) => None,
        });
        let drawn = drawn.ok_or_else(|| {
            invalid(
                "format",
                format!("this answer cannot be written as {}", format.name()),
            )
        })?;
        let drawn = drawn.map_err(raised)?;
        Ok((PyBytes::new(py, &drawn.bytes), drawn.missing_glyphs))
    }
}

/// The name of the format that the name of a file tells.
#[pyfunction]
pub(crate) fn format_of(path: std::path::PathBuf) -> PyResult<&'static str> {
    Format::of_file(&path).map(Format::name).ok_or_else(|| {
        invalid(
            "path",
            format!(
                "the name {:?} does not tell the format; end it with .txt, .json, .csv, .svg, .png, .html, .dot, .mmd, .graphml or .ndjson",
                path.display().to_string()
            ),
        )
    })
}
