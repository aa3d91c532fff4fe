//! A gateway with a controller behind it and a client before it.

pub(crate) use crate::fixture::fleet;
use crate::replica::FakeReplica;
use bytes::Bytes;
use evenkeel_fleet::model::Fleet;
use evenkeel_gateway::{Bound, GatewayError, Options, StateError, bind};
use evenkeel_wire::report::{GatewayReport, TierReport};
use evenkeel_wire::routes::{Route, RouteTable, RouteVersion, TierRoutes};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

/// Nothing here takes nearly so long unless it is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The gateway under test.
pub(crate) struct Stage {
    pub(crate) address: SocketAddr,
    pub(crate) controller: Controller,
    running: JoinHandle<()>,
    shutdown: Option<oneshot::Sender<()>>,
    _state: Option<tempfile::TempDir>,
}

impl Stage {
    /// A gateway of the usual fleet.
    pub(crate) async fn open() -> Self {
        Self::open_with(&fleet(), Options::default()).await
    }

    /// A gateway with a controller of its own.
    pub(crate) async fn open_with(fleet: &Fleet, options: Options) -> Self {
        let controller = Controller::start().await;
        let url = Some(format!("http://{}", controller.address));
        Self::open_behind(controller, fleet, Options { controller_url: url, ..options }).await
    }

    /// A gateway beside this controller, whichever one `options` names.
    pub(crate) async fn open_behind(controller: Controller, fleet: &Fleet, options: Options) -> Self {
        let temporary = options.state_directory.is_none().then(|| tempfile::tempdir().unwrap());
        let own = temporary.as_ref().map(|directory| directory.path().join("state"));
        let bound = bind_soon(fleet, Options { state_directory: options.state_directory.or(own), ..options }).await;
        let address = bound.address();
        let (shutdown, ended) = oneshot::channel::<()>();
        let running = tokio::spawn(bound.run(async {
            let _ = ended.await;
        }));
        Self { address, controller, running, shutdown: Some(shutdown), _state: temporary }
    }

    /// A gateway that has these replicas for gold.
    pub(crate) async fn with_gold(replicas: &[&FakeReplica]) -> Self {
        let mut stage = Self::open().await;
        stage.route("gold", replicas.iter().map(|replica| replica.route()).collect()).await;
        stage
    }

    /// Publishes a table with `routes` for `tier`, keeping the other tiers, and waits until it is in force.
    pub(crate) async fn route(&mut self, tier: &str, routes: Vec<Route>) {
        let version = self.controller.publish(tier, routes);
        self.until(|report| report.applied == Some(version)).await;
    }

    pub(crate) async fn report(&self) -> GatewayReport {
        let answer = self.get("/gateway/report").await;
        assert_eq!(answer.status, StatusCode::OK);
        serde_json::from_slice(&answer.body).unwrap()
    }

    pub(crate) async fn tier(&self, name: &str) -> TierReport {
        self.report().await.tiers.into_iter().find(|tier| tier.tier == name).unwrap()
    }

    /// Waits until the report is as `expected`.
    pub(crate) async fn until(&self, expected: impl Fn(&GatewayReport) -> bool) -> GatewayReport {
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                let report = self.report().await;
                if expected(&report) {
                    return report;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        match waited.await {
            Ok(report) => report,
            Err(_) => panic!("waited in vain; last {:#?}", self.report().await),
        }
    }

    pub(crate) async fn until_tier(&self, name: &str, expected: impl Fn(&TierReport) -> bool) -> TierReport {
        let named = |tier: &&TierReport| tier.tier == name;
        let report = self.until(|report| report.tiers.iter().find(named).is_some_and(&expected)).await;
        report.tiers.iter().find(named).unwrap().clone()
    }

    pub(crate) async fn get(&self, path: &str) -> Whole {
        let request = Request::get(path).body(Full::default()).unwrap();
        self.send(request).await
    }

    /// A chat request for gold.
    pub(crate) async fn chat(&self) -> Whole {
        self.send(chat("gold")).await
    }

    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Whole {
        whole(self.begin(request).await).await
    }

    /// Sends and returns once the head of the answer is there.
    pub(crate) async fn begin(&self, request: Request<Full<Bytes>>) -> Answering {
        tokio::time::timeout(PATIENCE, begin(self.address, request)).await.expect("no answer in time")
    }

    /// The same in the background.
    pub(crate) fn begin_apart(&self, request: Request<Full<Bytes>>) -> JoinHandle<Whole> {
        let address = self.address;
        tokio::spawn(async move { whole(begin(address, request).await).await })
    }

    /// Sends bytes as they are and reads until the gateway closes.
    pub(crate) async fn raw(&self, request: impl AsRef<[u8]>) -> Told {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut reading, mut writing) = stream.into_split();
        let request = request.as_ref().to_owned();
        // The gateway may answer and close before it has read everything.
        let sending = tokio::spawn(async move {
            let _ = writing.write_all(&request).await;
            writing
        });
        let told = Told::read(&mut reading).await;
        sending.abort();
        told
    }

    /// Ends the gateway in order.
    pub(crate) async fn shut_down(mut self) -> Controller {
        self.shutdown.take().unwrap().send(()).unwrap();
        tokio::time::timeout(PATIENCE, self.running).await.expect("did not end").unwrap();
        self.controller
    }

    /// Ends the gateway as kill -9 does.
    pub(crate) async fn kill(self) -> Controller {
        self.running.abort();
        let _ = self.running.await;
        self.controller
    }
}

/// Binds; the tasks of a gateway that was just killed may still hold its state for a moment.
async fn bind_soon(fleet: &Fleet, options: Options) -> Bound {
    let waited = tokio::time::timeout(PATIENCE, async {
        loop {
            match bind(fleet, options.clone()).await {
                Ok(bound) => return bound,
                Err(GatewayError::State { error: StateError::InUse, .. }) => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err(error) => panic!("{error}"),
            }
        }
    });
    waited.await.expect("the state stayed locked")
}

/// A chat request whose body names `model`.
pub(crate) fn chat(model: &str) -> Request<Full<Bytes>> {
    let body = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"hello wide world"}}]}}"#);
    Request::post("/v1/chat/completions").header("content-type", "application/json").body(Full::from(body)).unwrap()
}

/// The same for gold, and the answer is to come as a stream.
pub(crate) fn streamed() -> Request<Full<Bytes>> {
    let mut request = chat("gold");
    *request.body_mut() = r#"{"model":"gold","stream":true,"messages":[]}"#.into();
    request
}

/// An answer whose body is still on the way, with the connection it comes over.
pub(crate) struct Answering {
    pub(crate) response: Response<Incoming>,
    /// Dropped, the client leaves.
    _connection: JoinSet<()>,
}

impl Answering {
    /// The next piece of the body.
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, hyper::Error>> {
        let frame = tokio::time::timeout(PATIENCE, self.response.frame()).await.expect("no piece in time");
        frame.map(|frame| frame.map(|frame| frame.into_data().unwrap()))
    }
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) status: StatusCode,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Bytes,
}

impl Whole {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

async fn begin(address: SocketAddr, mut request: Request<Full<Bytes>>) -> Answering {
    let stream = TcpStream::connect(address).await.unwrap();
    request.headers_mut().insert("host", address.to_string().parse().unwrap());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    let mut driven = JoinSet::new();
    driven.spawn(async move {
        let _ = connection.await;
    });
    let response = sender.send_request(request).await.unwrap();
    Answering { response, _connection: driven }
}

async fn whole(mut answering: Answering) -> Whole {
    let mut body = Vec::new();
    while let Some(piece) = answering.next().await {
        body.extend_from_slice(&piece.expect("the answer broke off"));
    }
    let (head, _) = answering.response.into_parts();
    Whole { status: head.status, headers: head.headers, body: body.into() }
}

/// What a gateway said on a connection until it closed it.
#[derive(Debug)]
pub(crate) struct Told(pub(crate) String);

impl Told {
    pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Self {
        let mut told = Vec::new();
        let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut told)).await;
        // What came before a reset counts.
        let _ = read.expect("the gateway did not close");
        Self(String::from_utf8(told).unwrap())
    }

    pub(crate) fn status(&self) -> &str {
        self.0.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).unwrap_or_else(|| panic!("no answer: {self:?}"))
    }

    /// The error's code, from OpenAI's form.
    pub(crate) fn code(&self) -> String {
        self.error()["code"].as_str().unwrap().to_owned()
    }

    pub(crate) fn error(&self) -> serde_json::Value {
        let (_, body) = self.0.split_once("\r\n\r\n").unwrap();
        let document: serde_json::Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("{self:?}"));
        assert!(document["error"]["message"].is_string(), "{document}");
        assert_eq!(document["error"]["type"], "invalid_request_error");
        document["error"].clone()
    }
}

/// A controller that publishes route tables.
pub(crate) struct Controller {
    pub(crate) address: SocketAddr,
    table: watch::Sender<RouteTable>,
    serving: JoinHandle<()>,
}

impl Controller {
    pub(crate) async fn start() -> Self {
        let (table, published) = watch::channel(RouteTable { fleet: "game".into(), ..RouteTable::default() });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(publish(listener, published));
        Self { address, table, serving }
    }

    /// Replaces `tier`'s routes in the next table.
    pub(crate) fn publish(&self, tier: &str, replicas: Vec<Route>) -> RouteVersion {
        let mut table = self.table.borrow().clone();
        table.tiers.retain(|routes| routes.tier != tier);
        table.tiers.push(TierRoutes { tier: tier.into(), replicas });
        table.version = RouteVersion { epoch: table.version.epoch, number: table.version.number + 1 };
        self.publish_table(table)
    }

    pub(crate) fn publish_table(&self, table: RouteTable) -> RouteVersion {
        let version = table.version;
        self.table.send_replace(table);
        version
    }

    pub(crate) fn table(&self) -> RouteTable {
        self.table.borrow().clone()
    }

    /// Ends; the table is remembered for `resume`.
    pub(crate) async fn stop(&mut self) {
        self.serving.abort();
        let _ = (&mut self.serving).await;
    }

    /// Listens again at the same address.
    pub(crate) async fn resume(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.serving = tokio::spawn(publish(listener, self.table.subscribe()));
    }
}

async fn publish(listener: TcpListener, table: watch::Receiver<RouteTable>) {
    let mut readers = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let table = table.clone();
        readers.spawn(async move {
            let service = service_fn(move |_: Request<Incoming>| {
                let mut table = table.clone();
                table.mark_changed();
                async move {
                    Ok::<_, Infallible>(Response::new(StreamBody::new(Box::pin(futures::stream::unfold(
                        table, next_table,
                    )))))
                }
            });
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

type Tables = watch::Receiver<RouteTable>;

/// The table as an event, once there is a newer one.
async fn next_table(mut table: Tables) -> Option<(Result<Frame<Bytes>, Infallible>, Tables)> {
    table.changed().await.ok()?;
    let text = serde_json::to_string(&*table.borrow_and_update()).unwrap();
    let event = format!("event: routes\ndata: {text}\n\n");
    Some((Ok(Frame::data(event.into())), table))
}

/// Waits until `expected` holds.
pub(crate) async fn eventually(what: &str, expected: impl Fn() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !expected() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(waited.await.is_ok(), "waited in vain: {what}");
}
