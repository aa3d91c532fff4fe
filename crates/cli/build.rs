//! The page is embedded: a changed or new file in it means a new binary.

fn main() {
    println!("cargo:rerun-if-changed=page");
}
