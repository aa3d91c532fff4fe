//! Reading text line by line, plain or gzip, so that a file of millions of lines is never in memory as a whole.

use crate::series::SeriesError;
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read};
use std::path::Path;

/// A line longer than this is no line of any format read here: a request of a million prompt tokens takes 20 kB in the
/// longest of them. A file without line ends must not fill the memory.
const LONGEST_LINE_BYTES: u64 = 1 << 20;

/// How a gzip file begins (RFC 1952).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// UTF-8's byte order mark, with which some spreadsheets begin a file.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The lines of one source that say something: blank ones and comments (`#`) are left out.
pub(crate) struct Lines<'a> {
    source: Box<dyn BufRead + 'a>,
    /// The file's name where the source is a plain file, for what the operating system may say of it.
    plain_file: Option<String>,
    line: Vec<u8>,
    number: usize,
    limit_bytes: u64,
    read_bytes: u64,
}

impl<'a> Lines<'a> {
    /// The lines of a file, which may be gzip. More than `limit_bytes`, unpacked, are refused: a small gzip file can
    /// hold a very large one, and a path may name a device that never ends.
    pub(crate) fn open(path: &Path, limit_bytes: u64) -> Result<Lines<'static>, SeriesError> {
        let name = path.display().to_string();
        let unreadable = |source| SeriesError::Read { path: path.display().to_string(), source };
        let file = BufReader::new(File::open(path).map_err(unreadable)?);
        Lines::new(file, Some(name), limit_bytes).map_err(unreadable)
    }

    /// The same from memory.
    pub(crate) fn of_bytes(bytes: &'a [u8], limit_bytes: u64) -> Result<Self, SeriesError> {
        // Reading memory does not fail.
        Self::new(bytes, None, limit_bytes).map_err(SeriesError::Gzip)
    }

    fn new(mut source: impl BufRead + 'a, file: Option<String>, limit_bytes: u64) -> std::io::Result<Self> {
        let mut head = Vec::new();
        source.by_ref().take(GZIP_MAGIC.len() as u64).read_to_end(&mut head)?;
        let packed = head == GZIP_MAGIC;
        let whole = Cursor::new(head).chain(source);
        let source: Box<dyn BufRead + 'a> =
            if packed { Box::new(BufReader::new(MultiGzDecoder::new(whole))) } else { Box::new(whole) };
        let plain_file = file.filter(|_| !packed);
        Ok(Self { source, plain_file, line: Vec::new(), number: 0, limit_bytes, read_bytes: 0 })
    }

    /// The next line with its number, from 1, without the blanks about it; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<(usize, &str)>, SeriesError> {
        self.next_where(|first| !matches!(first, None | Some(b'#')))
    }

    /// The same in a format in which comments say something.
    pub(crate) fn next_or_comment(&mut self) -> Result<Option<(usize, &str)>, SeriesError> {
        self.next_where(|first| first.is_some())
    }

    /// The next line whose first byte, if any, is such a one.
    fn next_where(&mut self, such: impl Fn(Option<&u8>) -> bool) -> Result<Option<(usize, &str)>, SeriesError> {
        while self.read_line()? {
            if such(self.said().first()) {
                let line = self.number;
                let text = str::from_utf8(self.said()).map_err(|_| SeriesError::NotText { line })?;
                return Ok(Some((line, text)));
            }
        }
        Ok(None)
    }

    /// The line as it is to be understood.
    fn said(&self) -> &[u8] {
        let line = if self.number == 1 { self.line.strip_prefix(BYTE_ORDER_MARK) } else { None };
        line.unwrap_or(&self.line).trim_ascii()
    }

    /// Whether there was another line.
    fn read_line(&mut self) -> Result<bool, SeriesError> {
        self.line.clear();
        let mut source = (&mut self.source).take(LONGEST_LINE_BYTES + 1);
        let read = source.read_until(b'\n', &mut self.line).map_err(|error| self.failed(error))? as u64;
        self.number += 1;
        self.read_bytes += read;
        if self.read_bytes > self.limit_bytes {
            return Err(SeriesError::TooLarge { limit_bytes: self.limit_bytes });
        }
        if read > LONGEST_LINE_BYTES {
            return Err(SeriesError::LongLine { line: self.number, limit_bytes: LONGEST_LINE_BYTES });
        }
        Ok(read > 0)
    }

    fn failed(&self, source: std::io::Error) -> SeriesError {
        match &self.plain_file {
            Some(path) => SeriesError::Read { path: path.clone(), source },
            None => SeriesError::Gzip(source),
        }
    }
}

/// A line's beginning, for a message.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    pub(crate) fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn all(mut lines: Lines) -> Result<Vec<(usize, String)>, SeriesError> {
        let mut all = Vec::new();
        while let Some((number, text)) = lines.next()? {
            all.push((number, text.to_owned()));
        }
        Ok(all)
    }

    fn of(bytes: &[u8], limit_bytes: u64) -> Result<Vec<(usize, String)>, SeriesError> {
        all(Lines::of_bytes(bytes, limit_bytes)?)
    }

    #[test]
    fn blank_lines_and_comments_are_counted_and_left_out() {
        let seen = of(b"\xef\xbb\xbfa,b\n\n# a comment\r\n  1,2 \r\n3,4", 100).unwrap();
        assert_eq!(seen, [(1, "a,b".to_owned()), (4, "1,2".to_owned()), (5, "3,4".to_owned())]);
        assert_eq!(of(b"", 100).unwrap(), []);
    }

    #[test]
    fn gzip_is_recognized_by_its_content_and_may_come_in_parts() {
        let parts = [gzip("0,1\n300,"), gzip("2\n")].concat();
        assert_eq!(of(&parts, 100).unwrap(), of(b"0,1\n300,2\n", 100).unwrap());
    }

    #[test]
    fn a_small_gzip_file_cannot_fill_the_memory() {
        let refused = of(&gzip(&"0\n".repeat(10_000)), 1_000).unwrap_err();
        assert!(matches!(refused, SeriesError::TooLarge { limit_bytes: 1_000 }));
    }

    #[test]
    fn a_source_without_an_end_is_refused_and_not_read_into_memory_for_ever() {
        let endless = |byte| Lines::new(BufReader::new(std::io::repeat(byte)), None, 1 << 22).unwrap();
        assert!(matches!(all(endless(b'0')), Err(SeriesError::LongLine { line: 1, .. })));
        assert!(matches!(all(endless(b'\n')), Err(SeriesError::TooLarge { .. })));
    }

    #[test]
    fn a_gzip_file_cut_short_is_refused() {
        let whole = gzip("0,1\n300,2\n");
        assert!(matches!(of(&whole[..whole.len() - 9], 100), Err(SeriesError::Gzip(_))));
    }

    #[test]
    fn what_is_no_text_is_refused_with_its_line() {
        assert!(matches!(of(b"0,1\n\xff,2\n", 100), Err(SeriesError::NotText { line: 2 })));
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let Err(refused) = Lines::open(Path::new("/nowhere/players.csv"), 100) else { panic!("it is there") };
        assert!(refused.to_string().starts_with("cannot read /nowhere/players.csv: "), "{refused}");
    }
}
