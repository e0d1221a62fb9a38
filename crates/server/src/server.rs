//! [`Server`]: the settings, and the start.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use runlineage::MongoRunStore;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::access::{Access, Tokens};
use crate::answer::Pages;
use crate::app::{App, Limits};
use crate::connection;
use crate::error::Error;
use crate::mirror::LastFreshness;
use crate::monitor;
use crate::origin::Hosts;
use crate::rate::Rates;
use crate::router::router;
use crate::session::Sessions;
use crate::streams::{Scans, Streams};
use crate::token::NewToken;

/// How long the hidden counts of popular nodes are kept. They change little in this time.
const KEPT_COUNTS: Duration = Duration::from_secs(60);

/// The settings of a server for one mirror.
#[derive(Debug, Clone)]
#[must_use = "the server starts when it is bound and run"]
pub struct Server {
    store: MongoRunStore,
    address: SocketAddr,
    access: Access,
    hosts: Vec<String>,
    proxies: Vec<IpNet>,
    limits: Limits,
    rate: u32,
    tracking_uri: Option<String>,
    idle_timeout: Duration,
}

/// A server that has its address. Clients wait until it runs.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
    token: Option<NewToken>,
    app: App,
    idle_timeout: Duration,
}

impl Server {
    /// The port of the default address.
    pub const PORT: u16 = 8321;
    /// The default limit of requests in a second, for each token and each address.
    pub const RATE: u32 = 100;
    /// The default limit of the nodes of a graph.
    pub const MAX_NODES: usize = 20_000;
    /// The default time that MongoDB may work on one command.
    pub const MAX_TIME: Duration = Duration::from_secs(30);
    /// The default time for which a client may take nothing of an answer.
    pub const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

    /// A server on 127.0.0.1 that needs its start token.
    pub fn new(store: MongoRunStore) -> Self {
        Self {
            store,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, Self::PORT)),
            access: Access::StartToken,
            hosts: Vec::new(),
            proxies: Vec::new(),
            limits: Limits {
                max_time: Self::MAX_TIME,
                max_nodes: Self::MAX_NODES,
            },
            rate: Self::RATE,
            tracking_uri: None,
            idle_timeout: Self::IDLE_TIMEOUT,
        }
    }

    /// Listens on this address; port 0 takes a free port.
    pub fn listen(self, address: SocketAddr) -> Self {
        Self { address, ..self }
    }

    /// Who may read; by default who has the start token.
    pub fn access(self, access: Access) -> Self {
        Self { access, ..self }
    }

    /// Also answers requests to these hosts, without a port.
    pub fn allowed_hosts(self, hosts: impl IntoIterator<Item = String>) -> Self {
        Self {
            hosts: hosts.into_iter().collect(),
            ..self
        }
    }

    /// Believes these proxies which client they ask for.
    pub fn trusted_proxies(self, proxies: impl IntoIterator<Item = IpNet>) -> Self {
        Self {
            proxies: proxies.into_iter().collect(),
            ..self
        }
    }

    /// Links to MLflow at this address, where the mirror does not name another one.
    pub fn tracking_uri(self, uri: Option<String>) -> Self {
        Self {
            tracking_uri: uri,
            ..self
        }
    }

    /// Cuts off a client that takes nothing of an answer for this time. What it asked for stops then.
    pub fn idle_timeout(self, time: Duration) -> Self {
        Self {
            idle_timeout: time,
            ..self
        }
    }

    /// Limits how long MongoDB may work on one command.
    pub fn max_time(mut self, time: Duration) -> Self {
        self.limits.max_time = time;
        self
    }

    /// Limits the nodes of a graph, whatever a request asks for.
    pub fn max_nodes(mut self, nodes: usize) -> Self {
        self.limits.max_nodes = nodes;
        self
    }

    /// Limits the requests in a second, for each token and each address; 0 means no limit.
    pub fn rate(self, rate: u32) -> Self {
        Self { rate, ..self }
    }

    /// Takes the address.
    ///
    /// # Errors
    /// [`Error::Listen`] if the address is taken; [`Error::Open`] for an address that other computers reach, if the only token would
    /// be the start token.
    pub async fn bind(self) -> Result<Bound, Error> {
        let is_loopback = self.address.ip().is_loopback();
        if !is_loopback && matches!(self.access, Access::StartToken) {
            return Err(Error::Open {
                address: self.address,
            });
        }
        let is_private = is_loopback && self.hosts.is_empty() && self.proxies.is_empty();
        let (tokens, token) = Tokens::of(self.access)?;
        let failed = |source| Error::Listen {
            address: self.address,
            source,
        };
        let listener = TcpListener::bind(self.address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        // A name can be made to point to any address. An address in the header cannot.
        let own = (!address.ip().is_unspecified()).then(|| host_of(address.ip()));
        let app = App {
            store: self
                .store
                .with_max_time(self.limits.max_time)
                .with_kept_counts(KEPT_COUNTS),
            freshness: LastFreshness::default(),
            hosts: Hosts::of(self.hosts.into_iter().chain(own)),
            tokens,
            sessions: Sessions::default(),
            cookie: format!("runlineage-{}", address.port()),
            proxies: self.proxies,
            rates: Rates::new(self.rate),
            limits: self.limits,
            scans: Scans::default(),
            streams: Streams::default(),
            drawings: Arc::new(Semaphore::new(App::DRAWINGS as usize)),
            mlflow: self.tracking_uri.as_deref().and_then(Pages::address),
            is_private,
            metrics: monitor::metrics()?,
        };
        Ok(Bound {
            listener,
            address,
            token,
            app,
            idle_timeout: self.idle_timeout,
        })
    }
}

fn host_of(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

impl Bound {
    /// The address, with the port that was taken.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address for a browser. It holds the start token, in a part that browsers never send.
    #[must_use]
    pub fn url(&self) -> String {
        let address = self.address;
        match &self.token {
            Some(token) => format!("http://{address}/#token={}", token.secret()),
            None => format!("http://{address}/"),
        }
    }

    /// Answers requests until `stop` is ready, and finishes the answers that have begun.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let router = router(Arc::new(self.app));
        connection::serve(self.listener, router, self.idle_timeout, stop).await;
    }
}
