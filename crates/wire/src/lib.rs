//! What Evenkeel's processes say to each other: route table, gateway report, intent.
