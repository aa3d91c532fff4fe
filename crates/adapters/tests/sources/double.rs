//! An HTTP server that answers as a test tells it to, and remembers what it was asked.

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The next answer, or the one for all further requests.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
    pub(crate) after: Duration,
}

impl Answer {
    pub(crate) fn ok(body: impl Into<String>) -> Self {
        Self::status(StatusCode::OK, body)
    }

    pub(crate) fn status(status: StatusCode, body: impl Into<String>) -> Self {
        Self { status, headers: Vec::new(), body: body.into(), after: Duration::ZERO }
    }

    pub(crate) fn late(self, after: Duration) -> Self {
        Self { after, ..self }
    }
}

/// A request that came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

#[derive(Debug, Default)]
struct Script {
    once: VecDeque<Answer>,
    always: Option<Answer>,
    asked: Vec<Asked>,
}

/// The server; it ends with the test.
pub(crate) struct Double {
    pub(crate) url: String,
    script: Arc<Mutex<Script>>,
    serving: JoinHandle<()>,
}

impl Double {
    pub(crate) async fn answering(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let script = Arc::new(Mutex::new(Script { always: Some(answer), ..Script::default() }));
        let shared = Arc::clone(&script);
        let app = Router::new()
            .fallback(move |uri, headers, body| answered(Arc::clone(&shared), Asked { uri, headers, body }));
        let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap_or_default() });
        Self { url, script, serving }
    }

    /// From now on.
    pub(crate) fn answer(&self, answer: Answer) {
        self.script.lock().unwrap().always = Some(answer);
    }

    /// To the next request only.
    pub(crate) fn answer_once(&self, answer: Answer) {
        self.script.lock().unwrap().once.push_back(answer);
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.script.lock().unwrap().asked.clone()
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answered(script: Arc<Mutex<Script>>, asked: Asked) -> Response {
    let answer = {
        let mut script = script.lock().unwrap();
        script.asked.push(asked);
        script.once.pop_front().or_else(|| script.always.clone()).unwrap()
    };
    tokio::time::sleep(answer.after).await;
    let mut response = (answer.status, answer.body).into_response();
    for (name, value) in answer.headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}
