//! The processes that are measured.

use crate::fixture::fleet;
use bytes::Bytes;
use evenkeel_core::observe::ReplicaId;
use evenkeel_gateway::{Options, bind};
use evenkeel_wire::routes::{Route, RouteState, RouteTable, RouteVersion, TierRoutes};
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustix::process::{Pid, Signal, kill_process};
use std::convert::Infallible;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The answer of the upstream: as small as a short completion.
const ANSWER: &[u8] = br#"{"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"yes"}}],"usage":{"prompt_tokens":4,"completion_tokens":1}}"#;
const TOKEN: &[u8] = b"data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n";

/// All servers, ended when dropped.
pub(crate) struct Servers {
    pub(crate) upstream: SocketAddr,
    pub(crate) gateway: SocketAddr,
    pub(crate) nginx: SocketAddr,
    /// Only where `EVENKEEL_LITELLM` names its program.
    pub(crate) litellm: Option<SocketAddr>,
    ours: Vec<Child>,
    /// Told to stop: killed, they would leave their workers behind.
    others: Vec<Child>,
    /// Their configuration.
    _directory: tempfile::TempDir,
}

impl Servers {
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (upstream_process, upstream) = start_self(&["upstream"]);
        let (gateway_process, gateway) = start_self(&["gateway", &upstream.to_string()]);
        let (nginx_process, nginx) = start_nginx(directory.path(), upstream);
        let litellm = std::env::var_os("EVENKEEL_LITELLM").map(|it| start_litellm(&it, directory.path(), upstream));
        let (litellm_process, litellm) = litellm.unzip();
        let others = litellm_process.into_iter().chain([nginx_process]).collect();
        let ours = vec![upstream_process, gateway_process];
        Self { upstream, gateway, nginx, litellm, ours, others, _directory: directory }
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for child in &mut self.ours {
            let _ = child.kill();
            let _ = child.wait();
        }
        for child in &mut self.others {
            let _ = kill_process(Pid::from_child(child), Signal::TERM);
            let _ = child.wait();
        }
    }
}

/// Starts this program in another role; it prints its address.
fn start_self(arguments: &[&str]) -> (Child, SocketAddr) {
    let program = std::env::current_exe().unwrap();
    let mut child = Command::new(program).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (child, line.trim().parse().unwrap())
}

fn start_nginx(directory: &std::path::Path, upstream: SocketAddr) -> (Child, SocketAddr) {
    let address = free_address();
    let path = directory.display();
    let configuration = format!(
        "daemon off; pid {path}/pid; error_log {path}/error.log; worker_processes auto;
         events {{ worker_connections 4096; }}
         http {{ access_log off; client_body_temp_path {path}; proxy_temp_path {path}; fastcgi_temp_path {path};
           uwsgi_temp_path {path}; scgi_temp_path {path};
           upstream replicas {{ server {upstream}; keepalive 1024; }}
           server {{ listen {address}; keepalive_requests 1000000;
             location / {{ proxy_pass http://replicas; proxy_http_version 1.1; proxy_set_header Connection \"\";
               proxy_buffering off; }} }} }}"
    );
    let file = directory.join("nginx.conf");
    std::fs::write(&file, configuration).unwrap();
    let child = Command::new("nginx").arg("-c").arg(&file).stderr(Stdio::null()).spawn().expect("nginx is installed");
    wait_until_listening(address, "nginx");
    (child, address)
}

/// LiteLLM's proxy with two workers, as this machine has two cores, and one deployment. Its list of prices is the one that
/// it brings along, and it reports to nobody.
fn start_litellm(program: &std::ffi::OsStr, directory: &std::path::Path, upstream: SocketAddr) -> (Child, SocketAddr) {
    let address = free_address();
    let file = directory.join("litellm.yaml");
    let configuration = format!(
        "model_list: [{{model_name: gold, litellm_params: {{model: hosted_vllm/served, api_base: 'http://{upstream}/v1'}}}}]"
    );
    std::fs::write(&file, configuration).unwrap();
    let child = Command::new(program)
        .arg("--config")
        .arg(&file)
        .args(["--host", "127.0.0.1", "--num_workers", "2", "--telemetry", "False", "--port"])
        .arg(address.port().to_string())
        .env("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        .env("LITELLM_LOG", "ERROR")
        // Without a key, as the others are asked without one; it listens on loopback for as long as the bench runs.
        .env("LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY", "true")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("EVENKEEL_LITELLM names a program");
    wait_until_listening(address, "LiteLLM");
    (child, address)
}

fn free_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[expect(clippy::disallowed_methods, reason = "there is no runtime to block")]
fn wait_until_listening(address: SocketAddr, name: &str) {
    let began = Instant::now();
    while std::net::TcpStream::connect(address).is_err() {
        assert!(began.elapsed() < Duration::from_secs(120), "{name} does not listen");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn print_address(address: SocketAddr) {
    println!("{address}");
    std::io::stdout().flush().unwrap();
}

/// The role of a replica: one thread, a fixed answer, or a stream of a token every 100 ms when it is asked for one.
pub(crate) fn run_upstream() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        print_address(listener.local_addr().unwrap());
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            tokio::spawn(async move {
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service_fn(answer))
                    .await;
            });
        }
    });
}

async fn answer(request: Request<Incoming>) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
    let streamed = request.uri().path() == "/v1/completions";
    let _ = request.into_body().collect().await;
    if !streamed {
        let body = Full::new(Bytes::from_static(ANSWER)).boxed();
        return Ok(Response::builder().header("content-type", "application/json").body(body).unwrap());
    }
    let tokens = futures::stream::unfold(0, |sent| async move {
        if sent > 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Some((Ok::<_, Infallible>(Frame::data(Bytes::from_static(TOKEN))), sent + 1))
    });
    let body = BodyExt::boxed(StreamBody::new(SyncStream(Box::pin(tokens))));
    Ok(Response::builder().header("content-type", "text/event-stream").body(body).unwrap())
}

/// `BoxBody` wants `Sync`; a stream is only ever polled through a unique reference.
struct SyncStream<S>(std::pin::Pin<Box<S>>);

impl<S: futures::Stream> futures::Stream for SyncStream<S> {
    type Item = S::Item;
    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<S::Item>> {
        self.0.as_mut().poll_next(cx)
    }
}

/// The role of the gateway, with one replica for gold in a kept route table.
pub(crate) fn run_gateway(upstream: &str) {
    let directory = tempfile::tempdir().unwrap();
    let table = RouteTable {
        fleet: "game".into(),
        version: RouteVersion { epoch: 1, number: 1 },
        tiers: vec![TierRoutes { tier: "gold".into(), replicas: vec![route(upstream)] }],
    };
    std::fs::write(directory.path().join("gateway-routes.json"), serde_json::to_vec(&table).unwrap()).unwrap();
    let options = Options { state_directory: Some(directory.path().into()), ..Options::default() };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let bound = bind(&fleet(), options).await.unwrap();
        print_address(bound.address());
        bound.run(std::future::pending()).await;
    });
}

fn route(upstream: &str) -> Route {
    Route {
        id: ReplicaId("one".into()),
        url: format!("http://{upstream}"),
        served_model: "served-model".into(),
        max_outstanding: 10_000,
        state: RouteState::Serving,
    }
}
