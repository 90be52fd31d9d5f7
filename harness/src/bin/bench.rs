//! Compares datapaths of the Mizar overlay. See the README.

use std::process::ExitCode;

fn main() -> ExitCode {
    harness::cli::main()
}
