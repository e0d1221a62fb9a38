//! The search, order and columns that the flags of `find` ask for.

use bson::{DateTime, Document};
use runlineage::lineage::{Direction, NodeArg};
use runlineage::query::Order;
use runlineage::{Origin, Query, Search};
use runlineage_server::answer::{NamedColumn, parse_condition};

use super::super::Result;
use super::named::Named;
use crate::args::{FindArgs, Format};
use crate::connect::usage;
use crate::date;

const COLUMNS: [&str; 6] = ["_id", "name", "exp.name", "status", "start_time", "user"];
const TABLE_LIMIT: u32 = 100;
/// Exports are meant for programs. The limit is far above one screen, and far below what fills a disk unnoticed.
const EXPORT_LIMIT: u32 = 1_000_000;

/// The parsed flags of `find`.
pub(super) struct FlagSearch {
    /// Without order and limit.
    pub(super) search: Search,
    pub(super) filter: Document,
    pub(super) named: Named,
    pub(super) since: Option<DateTime>,
    pub(super) orders: Vec<Order>,
    pub(super) columns: Vec<NamedColumn>,
    /// 0: no limit.
    pub(super) limit: u32,
}

impl FlagSearch {
    pub(super) fn of(args: &FindArgs) -> Result<Self> {
        let since = args.since.as_deref();
        let since = since
            .map(|since| date::parse("--since", since))
            .transpose()?;
        let flags = query(args, since);
        let condition = args
            .condition
            .as_deref()
            .map(|condition| parse_condition("--where", condition))
            .transpose()?;
        let mut search = Search::from(&flags);
        let mut names = Query::new();
        if let Some(condition) = condition {
            let condition = match origin(args) {
                Some(origin) => condition.of_origin(origin),
                None => condition,
            };
            search = search.and(condition.search);
            names = condition.names;
        }
        Ok(Self {
            filter: search.filter()?,
            search,
            named: Named {
                flags,
                condition: names,
            },
            since,
            orders: orders(args)?,
            columns: columns(args)?,
            limit: args.limit.unwrap_or(match args.format {
                Format::Table => TABLE_LIMIT,
                _ => EXPORT_LIMIT,
            }),
        })
    }
}

fn query(args: &FindArgs, since: Option<DateTime>) -> Query {
    let mut query = Query::new();
    for (direction, node) in &args.lineage.nodes {
        let NodeArg::Node(node) = node.clone() else {
            continue;
        };
        query = match direction {
            Direction::Input => query.with_input(node),
            Direction::Output => query.with_output(node),
        };
    }
    for (direction, path) in &args.paths.paths {
        query = match (direction, path.strip_suffix('/')) {
            (Direction::Input, Some(folder)) => query.with_input_path_under(folder),
            (Direction::Input, None) => query.with_input_path(path),
            (Direction::Output, Some(folder)) => query.with_output_path_under(folder),
            (Direction::Output, None) => query.with_output_path(path),
        };
    }
    if let Some(origin) = origin(args) {
        query = query.of_origin(origin);
    }
    if !args.exp.is_empty() {
        query = query.with_any_of(args.exp.iter().map(|exp| Query::new().with_experiment(exp)));
    }
    if !args.status.is_empty() {
        let status = |status: &String| Query::new().with_status(&status.to_uppercase());
        query = query.with_any_of(args.status.iter().map(status));
    }
    if let Some(since) = since {
        query = query.with_start_time(since..);
    }
    for tag in &args.tag {
        query = query.with_tag(&tag.key, tag.value.as_str());
    }
    for param in &args.param {
        query = query.with_param(&param.key, param.value.as_str());
    }
    if let Some(parent) = &args.parent {
        query = query.with_parent(parent.as_str());
    }
    if args.problems {
        query = query.with_problems();
    }
    query
}

/// The origin to which `--origin` or `--declared-only` limits lineage.
fn origin(args: &FindArgs) -> Option<Origin> {
    let declared = args.declared_only.then_some(Origin::Tag);
    args.origin.or(declared)
}

/// The fields of `--sort`; naming a field twice is an error.
fn orders(args: &FindArgs) -> Result<Vec<Order>> {
    for (index, order) in args.sort.iter().enumerate() {
        let earlier = &args.sort[..index];
        if earlier.iter().any(|other| other.field() == order.field()) {
            let reason = format!(
                "{} is named twice; name each field once, such as --sort -start_time --sort name",
                order.field()
            );
            return Err(usage("--sort", reason).into());
        }
    }
    Ok(args.sort.clone())
}

fn columns(args: &FindArgs) -> Result<Vec<NamedColumn>> {
    let mut columns = if args.columns.is_empty() {
        let columns = COLUMNS.iter().map(|column| column.parse());
        columns.collect::<Result<_, _>>()?
    } else {
        args.columns.clone()
    };
    if args.ui_url.is_some() && !columns.contains(&NamedColumn::link()) {
        columns.push(NamedColumn::link());
    }
    Ok(columns)
}
