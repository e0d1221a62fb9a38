//! The builders that are named after a kind, such as `with_input_model`. `Lineage`, `Query` and `Registration` share them.

/// Adds the named builders to a type with `fn with_node(self, Direction, Result<Node, Refused>) -> Self`.
///
/// `read` and `wrote` begin the documentation of each builder. `absent` completes its clause "no version …" or "no path …".
macro_rules! named_builders {
    (read: $read:literal, wrote: $wrote:literal, absent: $absent:literal) => {
        #[doc = concat!($read, " this node, of any kind that a run can read.")]
        #[must_use]
        pub fn with_input(self, node: $crate::node::Node) -> Self {
            self.with_node($crate::node::Direction::Input, Ok(node))
        }

        #[doc = concat!($wrote, " this node, of any kind that a run can write.")]
        #[must_use]
        pub fn with_output(self, node: $crate::node::Node) -> Self {
            self.with_node($crate::node::Direction::Output, Ok(node))
        }

        #[doc = concat!($read, " this model; no version ", $absent, ".")]
        #[must_use]
        pub fn with_input_model<'a>(self, name: &str, version: impl Into<Option<&'a str>>) -> Self {
            let node = $crate::node::Node::checked($crate::node::Kind::MODEL, name, version.into());
            self.with_node($crate::node::Direction::Input, node)
        }

        #[doc = concat!($wrote, " this model; no version ", $absent, ".")]
        #[must_use]
        pub fn with_output_model<'a>(
            self,
            name: &str,
            version: impl Into<Option<&'a str>>,
        ) -> Self {
            let node = $crate::node::Node::checked($crate::node::Kind::MODEL, name, version.into());
            self.with_node($crate::node::Direction::Output, node)
        }

        #[doc = concat!($read, " this path of this run, without its leading and trailing slashes; no path ", $absent, ".")]
        #[must_use]
        pub fn with_input_artifact<'a>(
            self,
            run_id: &str,
            path: impl Into<Option<&'a str>>,
        ) -> Self {
            let node = $crate::node::Node::checked($crate::node::Kind::ARTIFACT, run_id, path.into());
            self.with_node($crate::node::Direction::Input, node)
        }

        #[doc = concat!($wrote, " this path of this run, without its leading and trailing slashes; no path ", $absent, ".")]
        #[must_use]
        pub fn with_output_artifact<'a>(
            self,
            run_id: &str,
            path: impl Into<Option<&'a str>>,
        ) -> Self {
            let node = $crate::node::Node::checked($crate::node::Kind::ARTIFACT, run_id, path.into());
            self.with_node($crate::node::Direction::Output, node)
        }

        #[doc = concat!($read, " this dataset; no digest ", $absent, ".")]
        #[must_use]
        pub fn with_input_dataset<'a>(
            self,
            name: &str,
            digest: impl Into<Option<&'a str>>,
        ) -> Self {
            let node = $crate::node::Node::checked($crate::node::Kind::DATASET, name, digest.into());
            self.with_node($crate::node::Direction::Input, node)
        }

        #[doc = concat!($read, " this logged model.")]
        #[must_use]
        pub fn with_input_logged_model(self, id: &str) -> Self {
            let node = $crate::node::Node::checked($crate::node::Kind::LOGGED_MODEL, id, None);
            self.with_node($crate::node::Direction::Input, node)
        }

        #[doc = concat!($wrote, " this logged model.")]
        #[must_use]
        pub fn with_output_logged_model(self, id: &str) -> Self {
            let node = $crate::node::Node::checked($crate::node::Kind::LOGGED_MODEL, id, None);
            self.with_node($crate::node::Direction::Output, node)
        }

        #[doc = concat!($read, " this prompt; no version ", $absent, ".")]
        #[must_use]
        pub fn with_input_prompt<'a>(
            self,
            name: &str,
            version: impl Into<Option<&'a str>>,
        ) -> Self {
            let node = $crate::node::Node::checked($crate::node::Kind::PROMPT, name, version.into());
            self.with_node($crate::node::Direction::Input, node)
        }
    };
}

pub(crate) use named_builders;
