//! Where the operator's binary is that was built with a test or a program.

use std::path::{Path, PathBuf};

use super::Error;

/// The operator's binary: `named`, else the one that cargo built beside this test or program. A test causes it to be built, an example does not.
///
/// # Errors
/// It is not there; the message says how it is built.
pub fn operator(named: Option<PathBuf>) -> Result<PathBuf, Error> {
    let own = std::env::current_exe().map_err(Error::io("asking where this program is"))?;
    let beside = own.parent().and_then(Path::parent).map(|folder| folder.join("tokenturn"));
    let binary = named.or(beside).unwrap_or_default();
    if binary.is_file() {
        return Ok(binary);
    }
    let problem =
        format!("{} is missing; run the make target of this program, or set TOKENTURN_BINARY", binary.display());
    Err(Error::invalid("the operator is not built", problem))
}
