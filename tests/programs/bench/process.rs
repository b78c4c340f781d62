//! What a process has used, from /proc.

use std::{fs, time::Duration};

use super::Failure;

/// Linux counts CPU time in hundredths of a second, whatever the kernel's own tick is.
const TICK: Duration = Duration::from_millis(10);

/// CPU time of a process, in user and system mode, of all its threads.
pub fn cpu(pid: u32) -> Result<Duration, Failure> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is the name in parentheses, which may hold anything; user and system time are the 14th and 15th.
    let after_name = stat.rsplit_once(')').map(|(_, rest)| rest).ok_or("/proc shows no name of a process")?;
    let ticks: Vec<u32> = after_name.split_whitespace().skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
    Ok(TICK * ticks.iter().sum::<u32>())
}

/// Makes the most memory of a process what it has now.
pub fn reset_peak(pid: u32) -> Result<(), Failure> {
    Ok(fs::write(format!("/proc/{pid}/clear_refs"), "5")?)
}
