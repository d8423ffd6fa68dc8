//! The command `torsade`; see `torsade --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    torsade::cli::main()
}
