//! The lineage flags: one for each kind of node and each direction, and one for paths in any run.

use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Args, Command, FromArgMatches};
use runlineage::lineage::{Detail, Direction, Kind, NodeArg};

/// The clap group of the node flags.
pub(crate) const GROUP: &str = "lineage";

/// The nodes of the lineage flags, such as `--input-model`, in the order of the table of kinds.
#[derive(Debug, Default, Clone)]
pub(crate) struct LineageArgs {
    pub(crate) nodes: Vec<(Direction, NodeArg)>,
}

/// The paths of `--input-path` and `--output-path`, which match artifacts of any run.
#[derive(Debug, Default, Clone)]
pub(crate) struct PathArgs {
    pub(crate) paths: Vec<(Direction, String)>,
}

impl LineageArgs {
    pub(crate) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Whether a model is named by an alias, a stage or `latest`.
    pub(crate) fn has_pointers(&self) -> bool {
        let mut nodes = self.nodes.iter();
        nodes.any(|(_, node)| matches!(node, NodeArg::Pointer(_)))
    }
}

/// Each kind with each direction in which runs refer to it.
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
        Direction::Input => "read",
        Direction::Output => "wrote",
    }
}

fn capitalised(noun: &str) -> String {
    let (first, rest) = noun.split_at(noun.chars().next().map_or(0, char::len_utf8));
    first.to_uppercase() + rest
}

fn node_flags(kinds: impl Iterator<Item = Kind>) -> Vec<Arg> {
    let flag = |(kind, direction): (Kind, Direction)| {
        let spec = kind.spec();
        let noun = capitalised(&spec.noun.replace('-', " "));
        let verb = verb(direction);
        let help = match direction {
            Direction::Input => format!("{noun} that the run {verb}: {}. Repeatable", spec.example),
            Direction::Output => format!("{noun} that the run {verb}. Repeatable"),
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

/// Each direction, with the word of a flag that asks for a detail of any key, such as `path`.
fn path_flags() -> impl Iterator<Item = (Direction, &'static str)> {
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
                    "{} that the run {verb}, among the artifacts of any run. With a slash at the end: everything below it. Repeatable",
                    capitalised(word)
                ))
        };
        command.args(path_flags().map(flag))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for PathArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let paths = path_flags().flat_map(|(direction, word)| {
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
        is_mlopus: false,
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
    fn a_new_kind_gets_a_flag_for_its_direction_only() {
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
            help.contains("--input-made-up <BRAND>")
                && help.contains("Made up that the run read: acme"),
            "{help}"
        );
    }
}
