//! Writes what is checked in and made from the command line's definition: the
//! completions and the man pages.
//!
//! ```sh
//! cargo run --example generate
//! ```
//!
//! The tests compare, so nobody can forget it.

#[path = "../tests/support/generated.rs"]
mod generated;

use std::path::Path;
use std::{fs, io};

fn main() -> io::Result<()> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in generated::FOLDERS {
        let folder = top.join(folder);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir(&folder)?;
    }
    for (file, content) in generated::files() {
        fs::write(top.join(file), content)?;
    }
    Ok(())
}
