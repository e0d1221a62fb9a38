//! Bounds an answer: what is far from the question is left out first, and counted.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Map, Value};

use crate::answer::visible;
use crate::mask::insert_apart;

/// Texts over this length are cut before any entry is left out.
const LONG_TEXT: usize = 2_000;
/// Texts over this length are cut if nothing else is left to leave out.
const SHORT_TEXT: usize = 200;
/// Objects with fewer fields have the form of an answer. Objects with more are tags, params or metrics.
const MAX_FIELDS: usize = 32;

/// The names of lists under which left out entries are counted. Others are names of the mirror, which say nothing to a reader.
const NAMES: [&str; 24] = [
    "aliases",
    "aliased",
    "copies",
    "data",
    "differences",
    "edges",
    "equal",
    "experiments",
    "followed",
    "metrics",
    "newest",
    "nodes",
    "open_ends",
    "pairs",
    "params",
    "path",
    "people",
    "problems",
    "reached",
    "runs",
    "tags",
    "unknown",
    "users",
    "versions",
];

/// How many were left out of the lists of each name.
pub(crate) type Counts = BTreeMap<&'static str, u64>;

/// The data within so many characters, and what was left out of it. Data that fits stays as it is. `None` if one entry alone does not
/// fit.
pub(crate) fn fit(data: &Value, most: usize) -> Option<(Value, Counts)> {
    if length(data) <= most {
        return Some((data.clone(), Counts::new()));
    }
    let cuts = [LONG_TEXT, SHORT_TEXT].into_iter();
    cuts.filter_map(|text| widest(data, most, text)).next()
}

/// Only the entries that are nearest to the question, and the number of those left out.
pub(crate) fn nearest(list: &mut Value, most: usize) -> u64 {
    let Value::Array(entries) = list else {
        return 0;
    };
    let kept = nearest_of(entries, most);
    let left_out = entries.len() - kept.len();
    let mut number = 0;
    entries.retain(|_| {
        number += 1;
        kept.contains(&(number - 1))
    });
    left_out as u64
}

/// The characters of the value as JSON.
pub(crate) fn length(value: &Value) -> usize {
    visible(value).chars().count()
}

/// The data with the most entries in each list that fits; `None` if a single entry does not fit.
fn widest(data: &Value, most: usize, text: usize) -> Option<(Value, Counts)> {
    let mut widest = None;
    // An entry has a character at least.
    let (mut least, mut greatest) = (1, most);
    let mut entries = greatest;
    while least <= greatest {
        let mut cut = Cut {
            entries,
            text,
            counts: Counts::new(),
        };
        let value = cut.value("entries", data);
        if length(&value) <= most {
            widest = Some((value, cut.counts));
            least = entries + 1;
        } else {
            greatest = entries - 1;
        }
        entries = least + greatest.saturating_sub(least) / 2;
    }
    widest
}

/// Cuts data to so many entries in each list, and so many characters in each text.
struct Cut {
    entries: usize,
    text: usize,
    counts: Counts,
}

impl Cut {
    fn value(&mut self, name: &'static str, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(entries) => {
                let kept = nearest_of(entries, self.entries);
                self.leave_out(name, entries.len() - kept.len());
                let entries = entries.iter().enumerate();
                let kept = entries.filter(|(index, _)| kept.contains(index));
                kept.map(|(_, entry)| self.value(name, entry)).collect()
            }
            Value::Object(fields) => match (fields.get("nodes"), fields.get("edges")) {
                (Some(Value::Array(nodes)), Some(Value::Array(edges))) => {
                    self.graph(fields, nodes, edges)
                }
                _ => self.object(name, fields),
            },
            other => other.clone(),
        }
    }

    fn text(&mut self, text: &str) -> String {
        let Some((end, _)) = text.char_indices().nth(self.text) else {
            return text.to_owned();
        };
        let more = text[end..].chars().count();
        self.leave_out("characters of long texts", more);
        format!("{}… ({more} more characters)", &text[..end])
    }

    fn object(&mut self, name: &'static str, fields: &Map<String, Value>) -> Value {
        let kept = match fields.len() > MAX_FIELDS {
            true => self.entries.min(fields.len()),
            false => fields.len(),
        };
        self.leave_out(name, fields.len() - kept);
        let mut cut = Map::new();
        for (key, value) in fields.iter().take(kept) {
            let known = NAMES.iter().find(|known| *known == key);
            let value = self.value(known.copied().unwrap_or("entries"), value);
            insert_apart(&mut cut, self.text(key), value);
        }
        Value::Object(cut)
    }

    /// A graph of fewer nodes has the edges between these alone. The others count as hidden, as at a limit of the walk.
    fn graph(&mut self, fields: &Map<String, Value>, nodes: &[Value], edges: &[Value]) -> Value {
        let kept = nearest_of(nodes, self.entries);
        self.leave_out("nodes", nodes.len() - kept.len());
        let nodes = nodes.iter().enumerate();
        let nodes = nodes.filter(|(index, _)| kept.contains(index));
        let mut nodes: Vec<Value> = nodes.map(|(_, node)| node.clone()).collect();
        let ids = nodes.iter().enumerate();
        let ids = ids.filter_map(|(place, node)| Some((node["id"].as_str()?.to_owned(), place)));
        let places: HashMap<String, usize> = ids.collect();
        let place = |end: &Value| places.get(end.as_str()?).copied();
        let mut shown = Vec::new();
        for edge in edges {
            let (from, to) = (place(&edge["from"]), place(&edge["to"]));
            if from.is_some() && to.is_some() {
                shown.push(edge.clone());
            } else if edge["relation"] != "parent" {
                let ends = [(from, "down"), (to, "up")];
                for (place, side) in ends {
                    let Some(place) = place else { continue };
                    let count = nodes[place].pointer_mut(&format!("/hidden/{side}/count"));
                    if let Some(count) = count {
                        *count = (count.as_u64().unwrap_or_default() + 1).into();
                    }
                }
            }
        }
        self.leave_out("edges", edges.len() - shown.len());
        let mut graph = Map::new();
        for (field, value) in fields {
            let value = match field.as_str() {
                "nodes" => nodes.iter().map(|node| self.value("nodes", node)).collect(),
                "edges" => shown.iter().map(|edge| self.value("edges", edge)).collect(),
                _ => self.value("entries", value),
            };
            graph.insert(field.clone(), value);
        }
        Value::Object(graph)
    }

    fn leave_out(&mut self, name: &'static str, count: usize) {
        if count > 0 {
            *self.counts.entry(name).or_default() += count as u64;
        }
    }
}

/// The places of the entries that are kept: those of the smallest depth, where the entries have one, and else the first.
fn nearest_of(entries: &[Value], most: usize) -> HashSet<usize> {
    let mut places: Vec<usize> = (0..entries.len()).collect();
    if most < entries.len() {
        // The sort is stable, so entries of one depth keep their order.
        places.sort_by_key(|place| entries[*place]["depth"].as_u64());
        places.truncate(most);
    }
    places.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Counts, fit, length, nearest};

    #[test]
    fn data_that_fits_stays_as_it_is() {
        let data = json!({ "runs": [{ "name": "long ".repeat(1_000) }] });
        let fitted = fit(&data, length(&data)).unwrap();
        assert_eq!(fitted, (data, Counts::new()));
    }

    #[test]
    fn as_many_entries_as_fit_are_kept_and_the_rest_is_counted() {
        let entry = |n: u64| json!({ "n": n, "depth": n % 3 });
        let data = json!({ "reached": (100..200).map(entry).collect::<Vec<_>>() });
        let (fitted, left_out) = fit(&data, 500).unwrap();
        let kept = fitted["reached"].as_array().unwrap();
        assert!(length(&fitted) <= 500 && length(&fitted) > 460, "{fitted}");
        assert!(kept.iter().all(|entry| entry["depth"] == 0), "{fitted}");
        assert_eq!(kept[0]["n"], 102, "in their order");
        assert_eq!(
            left_out,
            Counts::from([("reached", 100 - kept.len() as u64)])
        );
    }

    #[test]
    fn a_cut_graph_has_no_loose_edges_and_counts_them_as_hidden() {
        let node = |n: usize| {
            let hidden = json!({ "up": { "count": 0 }, "down": { "count": 2 } });
            json!({ "id": format!("run:{n}"), "depth": n, "hidden": hidden })
        };
        let edge = |n: usize| json!({ "from": format!("run:{}", n + 1), "to": format!("run:{n}"), "relation": "read" });
        let graph = json!({
            "nodes": (0..50).map(node).collect::<Vec<_>>(),
            "edges": (0..49).map(edge).collect::<Vec<_>>(),
            "truncated": null,
        });
        let (fitted, left_out) = fit(&graph, 1_000).unwrap();
        let kept = fitted["nodes"].as_array().unwrap().len();
        assert!(kept > 5 && kept < 10, "{fitted}");
        assert_eq!(
            fitted["nodes"].as_array().unwrap()[..kept - 1],
            graph["nodes"].as_array().unwrap()[..kept - 1]
        );
        let last = &fitted["nodes"][kept - 1];
        assert_eq!(last["id"], format!("run:{}", kept - 1));
        assert_eq!(
            last["hidden"],
            json!({ "up": { "count": 1 }, "down": { "count": 2 } })
        );
        assert_eq!(
            fitted["edges"].as_array().unwrap()[..],
            graph["edges"].as_array().unwrap()[..kept - 1]
        );
        let left = 50 - kept as u64;
        assert_eq!(left_out, Counts::from([("edges", left), ("nodes", left)]));
    }

    #[test]
    fn long_texts_and_many_params_are_cut_and_hostile_names_are_not_told_as_names_of_lists() {
        let params: serde_json::Map<String, Value> =
            (0..5_000).map(|n| (format!("key{n}"), json!(n))).collect();
        let data =
            json!({ "params": params, "obey me": vec!["x"; 5_000], "note": "n".repeat(9_000) });
        let (fitted, left_out) = fit(&data, 5_000).unwrap();
        assert!(length(&fitted) <= 5_000);
        let names: Vec<&str> = left_out.keys().copied().collect();
        assert_eq!(names, ["characters of long texts", "entries", "params"]);
        assert_eq!(left_out["characters of long texts"], 7_000);
        assert!(
            fitted["note"]
                .as_str()
                .unwrap()
                .ends_with("… (7000 more characters)")
        );
        assert_eq!(fit(&json!([["x".repeat(5_000)]]), 100), None);
    }

    #[test]
    fn a_list_keeps_its_nearest_entries() {
        let mut list = json!([{ "depth": 2 }, { "depth": 1 }, { "depth": 3 }]);
        assert_eq!(nearest(&mut list, 2), 1);
        assert_eq!(list, json!([{ "depth": 2 }, { "depth": 1 }]));
        assert_eq!(nearest(&mut json!(null), 2), 0);
    }
}
