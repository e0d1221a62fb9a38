//! Mirrors an MLflow server, and prints the runs that used a version of a model.
//!
//! ```sh
//! cargo run --example quickstart -- http://localhost:5000 mongodb://localhost:27017/runlineage churn 2
//! ```

use futures::TryStreamExt;
use runlineage::sync::SyncJob;
use runlineage::{MlflowClient, MongoRunStore, Query};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [tracking_uri, mongodb_uri, model, version] = args.as_slice() else {
        return Err("usage: quickstart TRACKING_URI MONGODB_URI MODEL VERSION".into());
    };
    let mlflow = MlflowClient::new(tracking_uri)?;
    let store = MongoRunStore::connect(mongodb_uri).await?;

    let report = SyncJob::new(&mlflow, &store).run(|_| {}).await?;
    println!(
        "{} runs mirrored, {} of them new",
        report.seen, report.written
    );

    let query = Query::new().with_input_model(model, version.as_str());
    let mut runs = store.find_runs(query).await?;
    while let Some(run) = runs.try_next().await? {
        println!("{} {}", run.id(), run.name().unwrap_or("(no name)"));
    }
    Ok(())
}
