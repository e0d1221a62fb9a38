//! The filter of the next page of a search: the runs that sort after the last run of a page.

use bson::raw::RawBsonRef;
use bson::{Bson, Document, doc};

use crate::node::Refused;
use crate::run::{Run, field};

/// The filter of the runs that sort after `run`, by `_id` or by `start_time` and `_id`.
pub(super) fn filter_after(sort: Option<&Document>, run: &Run) -> Result<Document, Refused> {
    let directions: Vec<(&str, Option<i32>)> = sort
        .into_iter()
        .flatten()
        .map(|(key, direction)| (key.as_str(), direction_of(direction)))
        .collect();
    match directions[..] {
        [(field::ID, Some(direction))] => Ok(doc! { field::ID: { beyond(direction): run.id() } }),
        [
            (field::START_TIME, Some(direction)),
            (field::ID, Some(same)),
        ] if direction == same => Ok(after_start(direction, run)),
        _ => Err(Refused::Unsupported {
            what: "`after` with this order",
            hint: "first sort by `_id`, or by `start_time` and `_id` in the same direction",
        }),
    }
}

/// MongoDB accepts 1 and -1 in every numeric type.
fn direction_of(direction: &Bson) -> Option<i32> {
    match direction {
        Bson::Int32(sign @ (-1 | 1)) => Some(*sign),
        Bson::Int64(-1) => Some(-1),
        Bson::Int64(1) => Some(1),
        Bson::Double(sign) if *sign == 1.0 => Some(1),
        Bson::Double(sign) if *sign == -1.0 => Some(-1),
        _ => None,
    }
}

/// MongoDB sorts missing values first, then texts (the times that a date cannot hold), then dates. `$lt` and `$gt` compare
/// within one type only, so the types that sort later need filters of their own.
fn after_start(direction: i32, run: &Run) -> Document {
    let time = match run.as_raw().get(field::START_TIME) {
        Ok(Some(RawBsonRef::DateTime(date))) => Bson::DateTime(date),
        Ok(Some(RawBsonRef::String(text))) => Bson::from(text),
        _ => Bson::Null,
    };
    let kinds = ["null", "string", "date"];
    let kind = match time {
        Bson::DateTime(_) => 2,
        Bson::String(_) => 1,
        _ => 0,
    };
    let further = if direction < 0 {
        &kinds[..kind]
    } else {
        &kinds[kind + 1..]
    };
    let mut alternatives =
        vec![doc! { field::START_TIME: time.clone(), field::ID: { beyond(direction): run.id() } }];
    if time != Bson::Null {
        alternatives.push(doc! { field::START_TIME: { beyond(direction): time } });
    }
    alternatives.extend(further.iter().map(|kind| match *kind {
        "null" => doc! { field::START_TIME: Bson::Null },
        kind => doc! { field::START_TIME: { "$type": kind } },
    }));
    doc! { "$or": alternatives }
}

fn beyond(direction: i32) -> &'static str {
    if direction < 0 { "$lt" } else { "$gt" }
}
