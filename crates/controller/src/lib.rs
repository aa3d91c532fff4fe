//! Ports, the loop as a step function, and the journal.
