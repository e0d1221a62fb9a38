//! [`App`]: what all requests share.

use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use metrics_exporter_prometheus::PrometheusHandle;
use runlineage::MongoRunStore;
use tokio::sync::Semaphore;

use crate::access::Tokens;
use crate::mirror::LastFreshness;
use crate::origin::Hosts;
use crate::rate::Rates;
use crate::session::Sessions;
use crate::streams::{Scans, Streams};

/// What all requests share.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) store: MongoRunStore,
    pub(crate) freshness: LastFreshness,
    pub(crate) hosts: Hosts,
    pub(crate) tokens: Tokens,
    pub(crate) sessions: Sessions,
    /// The name of the cookie. Browsers send a cookie to every port of a host, so the port is part of the name.
    pub(crate) cookie: String,
    pub(crate) proxies: Vec<IpNet>,
    pub(crate) rates: Rates,
    pub(crate) limits: Limits,
    pub(crate) scans: Scans,
    pub(crate) streams: Streams,
    /// The places for drawings in progress.
    pub(crate) drawings: Arc<Semaphore>,
    /// The address of MLflow, where the mirror does not name it.
    pub(crate) mlflow: Option<String>,
    /// Whether only programs of this computer reach the server, and no proxy asks for others.
    pub(crate) is_private: bool,
    pub(crate) metrics: PrometheusHandle,
}

/// Limits that no request exceeds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// How long MongoDB may work on one command.
    pub(crate) max_time: Duration,
    /// The nodes of one graph.
    pub(crate) max_nodes: usize,
}

impl App {
    /// How many pictures are drawn at once.
    pub(crate) const DRAWINGS: u32 = 2;
}
