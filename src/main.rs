//! `bosbase-watch`: see `bosbase_watch::cli`.

#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    bosbase_watch::cli::main()
}
