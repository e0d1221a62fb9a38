//! `mcp`: what an assistant's program gets, by the client of the protocol's own SDK over the real program.

mod answers;
mod bounds;
mod hostile;
mod protocol;
mod unknown_names;

use rmcp::ServiceExt as _;
use rmcp::model::{CallToolRequestParams, Tool};
use rmcp::service::{RoleClient, RunningService, ServiceError};
use rmcp::transport::TokioChildProcess;
use serde_json::Value;

use crate::support::program::runlineage;

/// A client, and the program that it has started.
pub(crate) struct Client {
    service: RunningService<RoleClient, ()>,
}

/// What a tool answered.
#[derive(Debug)]
struct Asked {
    is_error: bool,
    json: Value,
    text: String,
}

impl Client {
    pub(crate) async fn start(mongodb: &str, args: &[&str]) -> Self {
        let own = ["mcp", "--mongodb-uri", mongodb];
        Self::of(runlineage(own.iter().chain(args))).await
    }

    pub(crate) async fn of(command: std::process::Command) -> Self {
        let process = TokioChildProcess::new(tokio::process::Command::from(command));
        let service = ().serve(process.expect("the program starts")).await;
        Self {
            service: service.expect("the program answers as the protocol demands"),
        }
    }

    pub(crate) async fn tools(&self) -> Vec<Tool> {
        self.service.list_all_tools().await.expect("a list")
    }

    async fn call(&self, tool: &str, arguments: Value) -> Result<Asked, ServiceError> {
        let Value::Object(arguments) = arguments else {
            panic!("arguments are an object")
        };
        let request = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        let answer = self.service.call_tool(request).await?;
        let text = match &answer.content[..] {
            [content] => content.as_text().expect("a text").text.clone(),
            contents => panic!("{contents:?}"),
        };
        let json = answer.structured_content.expect("structured content");
        let parsed: Value = serde_json::from_str(&text).expect("the text is JSON");
        assert_eq!(parsed, json, "the text says the same as the structure");
        Ok(Asked {
            is_error: answer.is_error == Some(true),
            json,
            text,
        })
    }

    /// The answer of a tool, which must not be an error.
    pub(crate) async fn ask(&self, tool: &str, arguments: Value) -> Value {
        let asked = self.call(tool, arguments.clone()).await.expect("an answer");
        assert!(!asked.is_error, "{tool} {arguments}: {}", asked.text);
        asked.json
    }

    /// The error of a tool.
    async fn refused(&self, tool: &str, arguments: Value) -> Value {
        let asked = self.call(tool, arguments.clone()).await.expect("an answer");
        assert!(asked.is_error, "{tool} {arguments}: {}", asked.text);
        assert!(asked.json["error"]["message"].is_string(), "{}", asked.text);
        asked.json
    }

    pub(crate) async fn stop(self) {
        self.service.cancel().await.expect("the client ends");
    }
}

/// What was left out of an answer, summed by what it was.
fn left_out(answer: &Value, what: &str) -> u64 {
    let left_out = answer["left_out"].as_array().expect("a list");
    let of_it = left_out.iter().filter(|left_out| left_out["what"] == what);
    of_it
        .filter_map(|left_out| left_out["count"].as_u64())
        .sum()
}

/// The nodes and conditions that ask for the nearest names.
fn nearest(of: &Value) -> Vec<&str> {
    let nearest = of["nearest"].as_array().expect("a list").iter();
    nearest
        .filter_map(|near| near["node"].as_str().or(near["where"].as_str()))
        .collect()
}
