//! The flags of lineage: those of a node and of a path, for each kind of the table that stands on a side of a run.

use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Args, Command, FromArgMatches};
use runlineage::lineage::{Detail, Direction, Kind, NodeArg};

/// The group of all flags of nodes.
pub(crate) const GROUP: &str = "lineage";

/// Nodes on either side of a run, in the order of the table.
#[derive(Debug, Default, Clone)]
pub(crate) struct LineageArgs {
    pub(crate) nodes: Vec<(Direction, NodeArg)>,
}

/// Paths on either side, of whatever run.
#[derive(Debug, Default, Clone)]
pub(crate) struct PathArgs {
    pub(crate) paths: Vec<(Direction, String)>,
}

impl LineageArgs {
    pub(crate) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }
}

/// Each kind beside each side that it stands on.
fn places(kinds: impl Iterator<Item = Kind>) -> impl Iterator<Item = (Kind, Direction)> {
    kinds.flat_map(|kind| {
        kind.spec()
            .directions
            .iter()
            .map(move |direction| (kind, *direction))
    })
}

fn verb(direction: Direction) -> &'static str {
    match direction {
        Direction::Input => "Read",
        Direction::Output => "Wrote",
    }
}

fn node_flags(kinds: impl Iterator<Item = Kind>) -> Vec<Arg> {
    let flag = |(kind, direction): (Kind, Direction)| {
        let spec = kind.spec();
        let noun = spec.noun.replace('-', " ");
        let help = match direction {
            Direction::Input => format!("Read this {noun}: {}; repeatable", spec.example),
            Direction::Output => format!("Wrote this {noun}; repeatable"),
        };
        Arg::new(kind.flag(direction))
            .long(kind.flag(direction))
            .value_name(spec.value_name)
            .value_parser(move |text: &str| kind.read(text))
            .action(ArgAction::Append)
            .help_heading("Lineage")
            .help(help)
    };
    places(kinds).map(flag).collect()
}

fn path_flag(direction: Direction, word: &str) -> String {
    format!("{direction}-{word}")
}

/// Each side, and the word for a detail of whatever key there.
fn path_places() -> impl Iterator<Item = (Direction, &'static str)> {
    places(Kind::all()).filter_map(|(kind, direction)| {
        let Detail { of_any_key, .. } = kind.spec().detail?;
        Some((direction, of_any_key?))
    })
}

impl Args for LineageArgs {
    fn augment_args(command: Command) -> Command {
        let flags = node_flags(Kind::all());
        let ids: Vec<_> = flags.iter().map(|flag| flag.get_id().clone()).collect();
        command
            .args(flags)
            .group(ArgGroup::new(GROUP).args(ids).multiple(true))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for LineageArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let nodes = places(Kind::all()).flat_map(|(kind, direction)| {
            let values = matches.get_many::<NodeArg>(&kind.flag(direction));
            values
                .into_iter()
                .flatten()
                .map(move |node| (direction, node.clone()))
        });
        Ok(Self {
            nodes: nodes.collect(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for PathArgs {
    fn augment_args(command: Command) -> Command {
        let flag = |(direction, word): (Direction, &str)| {
            let verb = verb(direction);
            Arg::new(path_flag(direction, word))
                .long(path_flag(direction, word))
                .value_name("PATH[/]")
                .action(ArgAction::Append)
                .help_heading("Lineage")
                .help(format!(
                    "{verb} this {word}, of whatever run; with a slash in the end, or anything under it; repeatable"
                ))
        };
        command.args(path_places().map(flag))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for PathArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let paths = path_places().flat_map(|(direction, word)| {
            let values = matches.get_many::<String>(&path_flag(direction, word));
            values
                .into_iter()
                .flatten()
                .map(move |path| (direction, path.clone()))
        });
        Ok(Self {
            paths: paths.collect(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Command;
    use runlineage::lineage::{Direction, Kind, KindSpec, Node, NodeArg};

    use super::node_flags;

    const GADGET: Kind = Kind::new(&KindSpec {
        noun: "made-up",
        directions: &[Direction::Input],
        field: "gadgets",
        key: "brand",
        key_means: "brand",
        detail: None,
        read: |kind, text| {
            Ok(NodeArg::Node(
                Node::new(kind, text, None).map_err(|error| error.to_string())?,
            ))
        },
        value_name: "BRAND",
        example: "acme",
    });

    #[test]
    fn a_made_up_kind_has_a_flag_on_the_side_it_stands_on() {
        let command = || Command::new("find").args(node_flags(Kind::all().chain([GADGET])));
        let matches = command().try_get_matches_from(["find", "--input-made-up", "acme"]);
        let matches = matches.unwrap();
        let node = matches.get_one::<NodeArg>("input-made-up").unwrap();
        assert_eq!(
            *node,
            NodeArg::Node(Node::new(GADGET, "acme", None).unwrap())
        );
        let refused = command().try_get_matches_from(["find", "--output-made-up", "acme"]);
        assert!(refused.is_err());
        let help = command().render_help().to_string();
        assert!(
            help.contains("--input-made-up <BRAND>") && help.contains("Read this made up: acme"),
            "{help}"
        );
    }
}
