//! A replica that behaves as it is told, and remembers what it was asked.

use bytes::Bytes;
use evenkeel_core::observe::ReplicaId;
use evenkeel_wire::routes::{Route, RouteState};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// How a replica answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Behavior {
    /// One JSON document.
    Answer,
    /// This status.
    Status(StatusCode),
    /// So many tokens as server-sent events, then `[DONE]`.
    Stream(usize),
    /// So many tokens, a tenth of a second apart, then `[DONE]`.
    Trickle(usize),
    /// One token, then the connection breaks.
    BreakAfterFirstToken,
    /// The connection breaks before the answer.
    Break,
    /// The same, but for the next request only; then `Answer`.
    BreakOnce,
    /// A head, and no body ever.
    HeadOnly,
    /// Nothing ever.
    Silence,
    /// Waits for `FakeReplica::let_go`, then one JSON document.
    Gated,
    /// One token, then waits for `FakeReplica::let_go`, then the end.
    GatedAfterFirstToken,
    /// One JSON document of so many bytes.
    Large(usize),
    /// 64 KiB pieces without end.
    Flood,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

#[derive(Debug)]
struct Shared {
    behavior: Mutex<Behavior>,
    asked: Mutex<Vec<Asked>>,
    gate: Arc<Semaphore>,
    connections: AtomicUsize,
    abandoned: AtomicUsize,
    pieces: AtomicUsize,
}

/// The replica.
#[derive(Debug)]
pub(crate) struct FakeReplica {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    serving: Option<tokio::task::JoinHandle<()>>,
}

impl FakeReplica {
    pub(crate) async fn start(name: &str, behavior: Behavior) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            behavior: Mutex::new(behavior),
            asked: Mutex::default(),
            gate: Arc::new(Semaphore::new(0)),
            connections: AtomicUsize::new(0),
            abandoned: AtomicUsize::new(0),
            pieces: AtomicUsize::new(0),
        });
        let serving = tokio::spawn(listen(listener, Arc::clone(&shared)));
        Self { name: name.into(), address, shared, serving: Some(serving) }
    }

    /// Its route, with two places.
    pub(crate) fn route(&self) -> Route {
        Route {
            id: ReplicaId(self.name.clone()),
            url: format!("http://{}", self.address),
            served_model: "served-model".into(),
            max_outstanding: 2,
            state: RouteState::Serving,
        }
    }

    pub(crate) fn draining(&self) -> Route {
        Route { state: RouteState::Draining, ..self.route() }
    }

    pub(crate) fn behave(&self, behavior: Behavior) {
        *self.shared.behavior.lock().unwrap() = behavior;
    }

    /// Answers `count` gated requests.
    pub(crate) fn let_go(&self, count: usize) {
        self.shared.gate.add_permits(count);
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// Forgets what it was asked.
    pub(crate) fn forget(&self) {
        self.shared.asked.lock().unwrap().clear();
    }

    /// Requests whose client left before the answer was whole.
    pub(crate) fn abandoned(&self) -> usize {
        self.shared.abandoned.load(Ordering::SeqCst)
    }

    /// Connections taken so far.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Pieces of a flood that were taken off our hands.
    pub(crate) fn pieces(&self) -> usize {
        self.shared.pieces.load(Ordering::SeqCst)
    }

    /// Listens again at the same address.
    pub(crate) async fn revive(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.serving = Some(tokio::spawn(listen(listener, Arc::clone(&self.shared))));
    }

    /// Ends as a killed process does: every connection breaks, no new one is taken.
    pub(crate) async fn kill(&mut self) {
        let serving = self.serving.take().unwrap();
        serving.abort();
        let _ = serving.await;
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        shared.connections.fetch_add(1, Ordering::SeqCst);
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service = service_fn(move |request| answer(request, Arc::clone(&shared)));
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// Breaks the connection.
#[derive(Debug)]
pub(crate) struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("broken on purpose")
    }
}

impl std::error::Error for Broken {}

async fn answer(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Script>, Broken> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Broken)?.to_bytes();
    let path = head.uri.path_and_query().unwrap().to_string();
    shared.asked.lock().unwrap().push(Asked { path, headers: head.headers, body });
    let behavior = *shared.behavior.lock().unwrap();
    if behavior == Behavior::BreakOnce {
        *shared.behavior.lock().unwrap() = Behavior::Answer;
    }
    let mut guard = Abandonment { shared: Arc::clone(&shared), over: false };
    match behavior {
        Behavior::Break | Behavior::BreakOnce => {
            guard.over = true;
            return Err(Broken);
        }
        Behavior::Silence => std::future::pending::<()>().await,
        Behavior::Gated => shared.gate.acquire().await.unwrap().forget(),
        _ => {}
    }
    let kind = match behavior {
        Behavior::Stream(_)
        | Behavior::Trickle(_)
        | Behavior::BreakAfterFirstToken
        | Behavior::GatedAfterFirstToken => "text/event-stream",
        _ => "application/json",
    };
    let status = if let Behavior::Status(status) = behavior { status } else { StatusCode::OK };
    let body = Script { behavior, sent: 0, guard, pause: None };
    Ok(Response::builder().status(status).header("content-type", kind).body(body).unwrap())
}

/// Counts a request as abandoned unless its answer was whole.
struct Abandonment {
    shared: Arc<Shared>,
    over: bool,
}

impl Drop for Abandonment {
    fn drop(&mut self) {
        if !self.over {
            self.shared.abandoned.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// A body by its behavior.
struct Script {
    behavior: Behavior,
    sent: usize,
    guard: Abandonment,
    pause: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

pub(crate) const DOCUMENT: &str =
    r#"{"object":"chat.completion","choices":[],"usage":{"prompt_tokens":11,"completion_tokens":5}}"#;
pub(crate) const TOKEN: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n";
const USAGE: &str =
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":3}}\n\ndata: [DONE]\n\n";

impl Script {
    fn next(&mut self) -> Option<Result<Bytes, Broken>> {
        let sent = self.sent;
        self.sent += 1;
        let last = |bytes: Vec<u8>| (sent == 0).then(|| Ok(bytes.into()));
        match self.behavior {
            Behavior::Stream(tokens) | Behavior::Trickle(tokens) if sent < tokens => {
                Some(Ok(Bytes::from_static(TOKEN.as_bytes())))
            }
            Behavior::Stream(tokens) | Behavior::Trickle(tokens) => {
                (sent == tokens).then(|| Ok(Bytes::from_static(USAGE.as_bytes())))
            }
            Behavior::BreakAfterFirstToken | Behavior::GatedAfterFirstToken if sent == 0 => {
                Some(Ok(Bytes::from_static(TOKEN.as_bytes())))
            }
            Behavior::BreakAfterFirstToken => Some(Err(Broken)),
            Behavior::GatedAfterFirstToken => None,
            Behavior::Flood => {
                self.guard.shared.pieces.fetch_add(1, Ordering::SeqCst);
                Some(Ok(Bytes::from_static(&[b'x'; 64 * 1024])))
            }
            Behavior::Large(bytes) => last(vec![b' '; bytes]),
            _ => last(DOCUMENT.into()),
        }
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = self.get_mut();
        if this.behavior == Behavior::HeadOnly {
            return Poll::Pending;
        }
        if this.sent == 1 || matches!(this.behavior, Behavior::Trickle(_)) && this.sent > 0 {
            let pause = this.pause.get_or_insert_with(|| pause(this.behavior, Arc::clone(&this.guard.shared.gate)));
            std::task::ready!(pause.as_mut().poll(cx));
            this.pause = None;
        }
        let next = this.next();
        this.guard.over = !matches!(next, Some(Ok(_)));
        Poll::Ready(next.map(|piece| piece.map(Frame::data)))
    }
}

/// What passes between the first piece and the next.
fn pause(behavior: Behavior, gate: Arc<Semaphore>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        match behavior {
            // A break that comes at once would overtake the token before it.
            Behavior::Trickle(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            Behavior::BreakAfterFirstToken => tokio::time::sleep(Duration::from_millis(50)).await,
            Behavior::GatedAfterFirstToken => gate.acquire().await.unwrap().forget(),
            _ => {}
        }
    })
}

/// A replica that gives these answers one after the other, whichever connection asks, and the last of them ever after. A
/// connection ends with the first answer that tells no length. Also tells how often it was asked.
pub(crate) async fn scripted_replica(name: &str, answers: &'static [&'static str]) -> (Route, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let asked = Arc::clone(&count);
            tokio::spawn(async move {
                let mut request = [0; 4_096];
                while let Ok(1..) = stream.read(&mut request).await {
                    let turn = asked.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
                    let _ = stream.write_all(answers[turn].as_bytes()).await;
                    if !answers[turn].contains("content-length") {
                        return;
                    }
                }
            });
        }
    });
    let served_model = "served-model".to_owned();
    let route = Route { id: ReplicaId(name.into()), url, served_model, max_outstanding: 8, state: RouteState::Serving };
    (route, asked)
}

/// A replica that sends these bytes to every request and closes.
pub(crate) async fn raw_replica(name: &str, answer: &'static str) -> Route {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4_096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    let served_model = "served-model".to_owned();
    Route { id: ReplicaId(name.into()), url, served_model, max_outstanding: 8, state: RouteState::Serving }
}
