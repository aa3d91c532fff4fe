//! Reads a stream of server-sent events (WHATWG HTML, section 9.2) that come from the controller.

/// A longer event is an error: no route table comes near.
const LARGEST_EVENT: usize = 16 * 1024 * 1024;

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// Its name; empty when it has none.
    pub(crate) name: String,
    /// Its data.
    pub(crate) data: String,
}

/// The stream is not one of events that we could follow.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EventError {
    /// Not UTF-8.
    #[error("the event stream is not UTF-8")]
    NotText,
    /// Too long.
    #[error("an event is longer than {LARGEST_EVENT} bytes")]
    TooLong,
}

/// Collects events across chunk boundaries.
#[derive(Debug, Default)]
pub(crate) struct EventReader {
    line: Vec<u8>,
    event: Event,
}

impl EventReader {
    /// Reads the next chunk and returns the events that it completes.
    pub(crate) fn read(&mut self, chunk: &[u8]) -> Result<Vec<Event>, EventError> {
        let mut complete = Vec::new();
        for piece in chunk.split_inclusive(|&byte| byte == b'\n') {
            self.line.extend_from_slice(piece);
            if self.line.len() + self.event.data.len() > LARGEST_EVENT {
                return Err(EventError::TooLong);
            }
            if piece.ends_with(b"\n") {
                complete.extend(self.finish_line()?);
            }
        }
        Ok(complete)
    }

    /// An empty line ends the event; every other one adds to it.
    fn finish_line(&mut self) -> Result<Option<Event>, EventError> {
        let line = std::mem::take(&mut self.line);
        let line = std::str::from_utf8(&line).map_err(|_| EventError::NotText)?.trim_end_matches(['\r', '\n']);
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return Ok((!event.data.is_empty()).then_some(event));
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event.name),
            "data" => {
                if !self.event.data.is_empty() {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            // Comments, ids and retry times do not matter here.
            _ => {}
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn events_are_the_same_wherever_the_stream_is_cut() {
        let stream = b": hello\n\nevent: routes\r\ndata: {\"a\":\r\ndata: 1}\r\n\r\ndata:x\n\n";
        let whole = EventReader::default().read(stream).unwrap();
        let event = |name: &str, data: &str| Event { name: name.into(), data: data.into() };
        assert_eq!(whole, [event("routes", "{\"a\":\n1}"), event("", "x")]);
        for cut in 0..stream.len() {
            let mut reader = EventReader::default();
            let (head, tail) = stream.split_at(cut);
            let mut events = reader.read(head).unwrap();
            events.extend(reader.read(tail).unwrap());
            assert_eq!(events, whole, "cut at {cut}");
        }
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut reader = EventReader::default();
        let chunk = vec![b'x'; 1024 * 1024];
        let refused = (0..20).any(|_| reader.read(&chunk) == Err(EventError::TooLong));
        assert!(refused);
    }
}
