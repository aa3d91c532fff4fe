//! Whether a replica serves: its ready path answers 2xx, and it is the replica itself that answers.

use super::blocking::blocking;
use super::listener::{Listener, listener_of};
use hyper::client::conn::http1;
use hyper::{Request, Uri, header};
use hyper_util::rt::TokioIo;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A ready path that takes longer than this does not answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// What a look at a replica's ready path showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It serves.
    Ready,
    /// It does not, for this reason.
    NotReady(String),
    /// Another process has the port.
    TakenBy(String),
}

/// Asks the ready path once. The listener's owner is only looked for while the replica has `not_proved` that the port
/// is its own, because that takes a walk through `/proc`.
pub(crate) async fn ask(port: u16, path: &str, group: i32, intent: &str, not_proved: bool) -> Answer {
    match timeout(ANSWER_WITHIN, get(port, path)).await {
        Err(_) => Answer::NotReady(format!("{path} does not answer within {} s", ANSWER_WITHIN.as_secs())),
        Ok(Err(reason)) => Answer::NotReady(reason),
        Ok(Ok(status)) if !(200..300).contains(&status) => Answer::NotReady(format!("{path} answers {status}")),
        Ok(Ok(_)) if not_proved => match owner(port, group, intent).await {
            Listener::Stranger(who) => Answer::TakenBy(who),
            Listener::Replica | Listener::Unknown => Answer::Ready,
        },
        Ok(Ok(_)) => Answer::Ready,
    }
}

/// Who listens on `port`, seen from a replica.
pub(crate) async fn owner(port: u16, group: i32, intent: &str) -> Listener {
    let intent = intent.to_owned();
    blocking(move || listener_of(port, group, &intent)).await.unwrap_or(Listener::Unknown)
}

/// The status of a GET on loopback.
async fn get(port: u16, path: &str) -> Result<u16, String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let uri: Uri = path.parse().map_err(|error| format!("ready path {path}: {error}"))?;
    let request = Request::get(uri)
        .header(header::HOST, address.to_string())
        .header(header::CONNECTION, "close")
        .body(String::new())
        .map_err(|error| error.to_string())?;
    let stream = TcpStream::connect(address).await.map_err(|error| format!("port {port}: {error}"))?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| format!("port {port}: {error}"))?;
    let mut exchange = pin!(sender.send_request(request));
    // The connection must be driven for the answer to come; it may end in the moment in which it hands the answer over.
    let answer = tokio::select! {
        answer = &mut exchange => answer,
        _ = connection => exchange.await,
    };
    answer.map(|response| response.status().as_u16()).map_err(|error| format!("port {port}: {error}"))
}
