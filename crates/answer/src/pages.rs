//! Links to pages of MLflow.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
use runlineage::graph::GraphNode;
use runlineage::{MlflowClient, Run};

/// Characters that a URL parameter need not encode.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// The address of an MLflow server, and one of its workspaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pages {
    address: String,
    workspace: Option<String>,
}

impl Pages {
    /// The pages of the mirrored MLflow, at the first known of: `address`, the address in the name of the source, and what `named`
    /// gives.
    pub fn of(
        address: Option<&str>,
        source: Option<&str>,
        named: impl FnOnce() -> Option<String>,
    ) -> Option<Self> {
        let source = source.unwrap_or_default();
        let (known, workspace) = match source.split_once(" workspace ") {
            Some((known, workspace)) => (known, Some(workspace.to_owned())),
            None => (source, None),
        };
        let known = Some(known).filter(|known| known.starts_with("http"));
        let address = address.or(known).map(str::to_owned).or_else(named)?;
        Some(Self {
            address: address.trim_end_matches('/').to_owned(),
            workspace,
        })
    }

    /// The address that a tracking URI names; `None` for one that is not valid.
    #[must_use]
    pub fn address(tracking_uri: &str) -> Option<String> {
        let client = MlflowClient::builder(tracking_uri).build().ok()?;
        Some(client.address().to_owned())
    }

    /// The page of a run.
    pub fn run(&self, run: &Run) -> Option<String> {
        let experiment = run.exp()?.id;
        Some(self.page(&format!("experiments/{experiment}/runs/{}", run.id())))
    }

    /// The page of a node of a graph, if MLflow has one.
    pub fn node(&self, shown: &GraphNode) -> Option<String> {
        let (node, key) = (&shown.node, shown.node.key());
        if let Some(run) = &shown.run {
            let experiment = &run.experiment.as_ref()?.id;
            let (experiment, run) = (encoded(experiment), encoded(key));
            return Some(self.page(&format!("experiments/{experiment}/runs/{run}")));
        }
        if let Some(model) = &shown.logged_model {
            return Some(self.logged_model(model.experiment.as_deref()?, key));
        }
        // A version that the registry does not have, such as a deleted one, has no page.
        let version = shown.version.as_ref().and(node.detail());
        let version = version.filter(|_| !shown.is_deleted);
        version.map(|version| self.version(key, version))
    }

    /// The page of a registered model.
    pub fn model(&self, name: &str) -> String {
        self.page(&format!("models/{}", encoded(name)))
    }

    /// The page of a version of a registered model.
    pub fn version(&self, name: &str, version: &str) -> String {
        self.page(&format!(
            "models/{}/versions/{}",
            encoded(name),
            encoded(version)
        ))
    }

    /// The page of a logged model.
    pub fn logged_model(&self, experiment: &str, id: &str) -> String {
        self.page(&format!("experiments/{experiment}/models/{id}"))
    }

    fn page(&self, path: &str) -> String {
        let address = &self.address;
        let workspace = self.workspace.as_deref();
        let workspace = workspace.map(|workspace| format!("?workspace={}", encoded(workspace)));
        format!("{address}/#/{path}{}", workspace.unwrap_or_default())
    }
}

fn encoded(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, PLAIN)
}

#[cfg(test)]
mod tests {
    use bson::doc;
    use runlineage::Run;

    use super::Pages;

    #[test]
    fn a_link_names_the_workspace() {
        let run = Run::try_from(&doc! { "_id": "8f2c", "exp": { "id": "12", "name": "churn" } });
        let run = run.unwrap();
        let page = |workspace: Option<&str>| {
            let workspace = workspace.map(str::to_owned);
            let address = "http://host:5000".to_owned();
            Pages { address, workspace }.run(&run).unwrap()
        };
        assert_eq!(page(None), "http://host:5000/#/experiments/12/runs/8f2c");
        assert_eq!(
            page(Some("team a/b")),
            "http://host:5000/#/experiments/12/runs/8f2c?workspace=team%20a%2Fb"
        );
    }
}
