//! `bosbase-watch`: see `bosbase_watch::cli`.

fn main() -> std::process::ExitCode {
    bosbase_watch::cli::main()
}
