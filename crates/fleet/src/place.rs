//! Places in the file.

/// Where something stands in the file: line and column count from one, in characters; the rest is the byte range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) offset: usize,
    pub(crate) length: usize,
}

impl Place {
    /// The file's first character, for mistakes that have no better place.
    pub(crate) const START: Self = Self { line: 1, column: 1, offset: 0, length: 0 };
}
