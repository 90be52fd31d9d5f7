//! Compares datapaths of the Mizar overlay. See the README.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Here, where another commit costs no more than linking anew.
    harness::cli::main(option_env!("BENCH_COMMIT"))
}
