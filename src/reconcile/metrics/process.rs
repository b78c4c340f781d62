//! What the process uses, under the names that Prometheus's client libraries use. From `/proc`; where there is none,
//! none is exported.

use std::{
    fs,
    sync::atomic::AtomicU64,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{TypedMetric, counter::ConstCounter, gauge::Gauge},
};

/// Linux counts processor time for programs in hundredths of a second, on every architecture that the image is built
/// for.
const TICKS_PER_SECOND: f64 = 100.0;

/// Asks for everything at each scrape.
#[derive(Debug)]
pub struct Process {
    started: Duration,
}

impl Default for Process {
    /// The process has just started.
    fn default() -> Self {
        Self { started: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() }
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let memory = fs::read_to_string("/proc/self/status").ok().and_then(|status| resident_bytes(&status));
        let cpu = fs::read_to_string("/proc/self/stat").ok().and_then(|stat| cpu_seconds(&stat));
        // The folder that is read is open too.
        let open = fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count().saturating_sub(1));
        let limit = fs::read_to_string("/proc/self/limits").ok().and_then(|limits| most_files(&limits));
        let mut gauge = |name: &str, help: &str, value: f64| {
            let gauge = Gauge::<f64, AtomicU64>::default();
            gauge.set(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, Gauge::<f64, AtomicU64>::TYPE)?)
        };
        gauge("process_start_time_seconds", "When the process started.", self.started.as_secs_f64())?;
        if let Some(memory) = memory {
            gauge("process_resident_memory_bytes", "Resident memory.", memory)?;
        }
        #[expect(clippy::cast_precision_loss, reason = "no process has 2^52 open files")]
        if let Some(open) = open {
            gauge("process_open_fds", "Open file descriptors.", open as f64)?;
        }
        if let Some(limit) = limit {
            gauge("process_max_fds", "Most file descriptors that may be open.", limit)?;
        }
        if let Some(cpu) = cpu {
            let counter = ConstCounter::new(cpu);
            let descriptor = encoder.encode_descriptor(
                "process_cpu_seconds",
                "Processor time, user and system.",
                None,
                ConstCounter::<f64>::TYPE,
            )?;
            counter.encode(descriptor)?;
        }
        Ok(())
    }
}

/// From `/proc/self/status`.
fn resident_bytes(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<f64>().ok().map(|kib| kib * 1024.0)
}

/// From `/proc/self/stat`: the 14th and the 15th field. The second is a name in parentheses that can hold anything.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut ticks = after_name.split_whitespace().skip(11).map(|field| field.parse::<f64>().ok());
    Some((ticks.next()?? + ticks.next()??) / TICKS_PER_SECOND)
}

/// From `/proc/self/limits`: the soft limit.
fn most_files(limits: &str) -> Option<f64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_proc_are_read() {
        assert_eq!(resident_bytes("VmHWM:\t 90 kB\nVmRSS:\t    1234 kB\n"), Some(1_263_616.0));
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 500 0 0 0 250 150 0 0 20 0 4 0 100 1000 200";
        assert_eq!(cpu_seconds(stat), Some(4.0));
        assert_eq!(
            most_files("Limit  Soft  Hard\nMax open files            1024                 524288  files\n"),
            Some(1024.0)
        );
        assert_eq!(
            (resident_bytes(""), cpu_seconds("42 (a) S 1"), most_files("Max open files unlimited")),
            (None, None, None)
        );
    }
}
