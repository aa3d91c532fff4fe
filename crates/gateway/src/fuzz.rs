//! For fuzzing only (feature `fuzz`): each function takes any bytes, and panics where a reader of the gateway breaks what
//! it promises.

use crate::client::{Oracle, Requests};
use crate::framing::Progress;
use crate::measure::SseReader;
use crate::request::{Document, ServedModel};
use crate::upstream::take_head;
use bytes::{Bytes, BytesMut};
use http::Method;

/// The parser takes its time over each byte of a head, so longer inputs are cut.
const LONGEST_HEADS: usize = 2 * 1024;

/// What a client sends: where one request ends and the next begins, the watcher of heads and the parser agree. Where they
/// did not, a request could be smuggled past the watcher.
pub fn client_heads(data: &[u8]) {
    let data = data.get(..LONGEST_HEADS).unwrap_or(data);
    let (followed, refused_at) = followed_ends(data);
    for (index, end) in Oracle::request_ends(data).into_iter().enumerate() {
        if refused_at.is_some_and(|at| end > at) {
            break;
        }
        assert_eq!(followed.get(index), Some(&end), "the parser saw request {index} end at another place");
    }
    // However the bytes come, the same is refused.
    for cut in [1, data.len() / 2, data.len().saturating_sub(1)] {
        let (one, other) = data.split_at(cut.min(data.len()));
        let mut requests = Requests::default();
        let first = requests.follow(one).map_err(|refused| refused.at);
        let found = first.and_then(|()| requests.follow(other).map_err(|refused| one.len() + refused.at));
        assert_eq!(found.err(), refused_at, "cut at {cut}");
    }
}

/// Where each request ends for the watcher, and where the head stands that it refuses.
fn followed_ends(data: &[u8]) -> (Vec<usize>, Option<usize>) {
    let (mut requests, mut ends, mut begun) = (Requests::default(), Vec::new(), false);
    for (at, byte) in data.iter().enumerate() {
        if requests.follow(&[*byte]).is_err() {
            return (ends, Some(at));
        }
        // Empty lines between two requests are none.
        begun |= !matches!(byte, b'\r' | b'\n');
        if begun && !requests.is_inside() {
            ends.push(at + 1);
            begun = false;
        }
    }
    (ends, None)
}

/// What a replica sends: the same head, body and end, however the bytes come.
pub fn replica_answer(data: &[u8]) {
    let (first, rest) = data.split_first().unwrap_or((&0, &[]));
    let method = if first & 1 == 0 { Method::POST } else { Method::HEAD };
    let whole = answer(rest, rest.len().max(1), &method);
    // Each piece is looked through for a head's end from its start, so long answers come in fewer pieces.
    let least = 1 + rest.len() / 4_096;
    for size in [least, least + 6, least + usize::from(*first)] {
        assert_eq!(answer(rest, size, &method), whole, "in pieces of {size}");
    }
    if let Ok(answer) = &whole {
        assert!(answer.body.len() <= rest.len(), "a body that nobody sent");
    }
}

/// What came of an answer.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: Option<u16>,
    headers: usize,
    body: Vec<u8>,
    whole: bool,
    left: usize,
}

fn answer(data: &[u8], size: usize, method: &Method) -> Result<Answer, &'static str> {
    let mut answer = Answer { status: None, headers: 0, body: Vec::new(), whole: false, left: 0 };
    let (mut buffer, mut progress) = (BytesMut::new(), None::<Progress>);
    for piece in data.chunks(size) {
        buffer.extend_from_slice(piece);
        if progress.is_none()
            && let Some(head) = take_head(&mut buffer, method).map_err(|malformed| malformed.0)?
        {
            (answer.status, answer.headers) = (Some(head.status.as_u16()), head.headers.len());
            progress = Some(head.progress());
        }
        while let Some(progress) = &mut progress
            && let Some(data) = progress.take(&mut buffer).map_err(|malformed| malformed.0)?
        {
            assert!(!data.is_empty(), "an empty piece looks like an end");
            answer.body.extend_from_slice(&data);
        }
    }
    answer.whole = progress.is_some_and(|mut progress| progress.end());
    answer.left = buffer.len();
    Ok(answer)
}

/// A streamed answer: the same tokens and usage, however the bytes come.
pub fn token_stream(data: &[u8]) {
    let whole = SseReader::default().read(data);
    assert!(whole.tokens <= data.len() as u64, "more tokens than bytes");
    for size in [1, 3, 61] {
        let (mut reader, mut tokens, mut usage) = (SseReader::default(), 0, None);
        for piece in data.chunks(size) {
            let seen = reader.read(piece);
            tokens += seen.tokens;
            usage = seen.usage.or(usage);
        }
        assert_eq!((tokens, usage), (whole.tokens, whole.usage), "in pieces of {size}");
    }
}

/// A request's body: with the model's name replaced it is the same document with another name, for whoever reads it.
pub fn request_body(data: &[u8]) {
    let body = Bytes::copy_from_slice(data);
    let Ok(document) = Document::read(&body) else { return };
    let served = ServedModel::new("Qwen \"3B\"\u{e9}");
    let sent = document.with_model(&body, &served);
    let again = Document::read(&sent);
    assert!(again.is_ok(), "what is sent on cannot be read: {again:?}");
    let Ok(again) = again else { return };
    let renamed = document.model.as_ref().map(|_| served.name.as_str());
    assert_eq!(again.model.as_deref(), renamed, "another name than the served one");
    assert_eq!((again.prompt_tokens, again.streamed), (document.prompt_tokens, document.streamed));
    let plain = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).ok();
    if let (Some(mut before), Some(after)) = (plain(&body), plain(&sent)) {
        // Another reader finds the same name before, so no tier is asked for a model that another reader would not see.
        assert_eq!(before.get("model").and_then(|it| it.as_str()), document.model.as_deref());
        if document.model.is_some() {
            before["model"] = served.name.into();
        }
        assert_eq!(before, after, "more than the name has changed");
    }
}
