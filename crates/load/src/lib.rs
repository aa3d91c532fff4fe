//! Open-loop traffic over HTTP, with its own lag and a summary.
