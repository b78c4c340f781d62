//! Asks kstatus, the library by which Flux and Helm wait for objects, what it says of them.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use serde::Deserialize;
use serde_json::Value;

use super::{Error, servers};

const WHAT: &str = "ask kstatus";

#[derive(Deserialize)]
struct Answer {
    status: String,
}

/// The kstatus of each object as it stands in the API: `InProgress`, `Current`, `Failed`, `Terminating` and so on.
pub fn of(objects: &[Value]) -> Result<Vec<String>, Error> {
    let program = servers::find("kstatus")?;
    let mut command = Command::new(program);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(Error::io(WHAT))?;
    let asked = serde_json::to_vec(objects).map_err(|problem| Error::invalid(WHAT, problem))?;
    // Dropped at the end of the statement, which ends the input.
    child.stdin.take().map_or(Ok(()), |mut input| input.write_all(&asked)).map_err(Error::io(WHAT))?;
    let output = child.wait_with_output().map_err(Error::io(WHAT))?;
    if !output.status.success() {
        return Err(Error::invalid(WHAT, String::from_utf8_lossy(&output.stderr)));
    }
    let answers = serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Answer>();
    answers.map(|answer| answer.map(|answer| answer.status).map_err(|problem| Error::invalid(WHAT, problem))).collect()
}
