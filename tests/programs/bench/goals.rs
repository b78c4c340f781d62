//! What each figure is to reach. A goal that is missed is printed and is no failure.

pub enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

/// The goal of a key of the JSON line, if there is one.
pub fn of(key: &str) -> Option<Goal> {
    let at_most = match key {
        "rotations_per_s" => return Some(Goal::AtLeast(25.0)),
        "same_writes_ratio" => return Some(Goal::AtLeast(0.8)),
        "cpu_ms_rotation" => 5.5,
        "cpu_ms_first" | "cpu_ms_first_100" | "cpu_ms_first_1000" | "cpu_ms_first_10000" => 3.0,
        "cpu_ms_rotation_pods_300" => 6.0,
        "cpu_ms_rotation_pods_2000" => 8.0,
        "rss_mib_1000" => 26.0,
        "rss_mib_10000" => 64.0,
        "rss_mib_pods_2000" => 48.0,
        "due_ms_p50" => 40.0,
        "due_ms_p99" => 60.0,
        "restart_s_1000" => 2.0,
        "restart_s_10000" => 15.0,
        "restart_writes" | "idle_writes" => 0.0,
        "failover_s" => 12.0,
        "provider_calls" => 9.0,
        "protocol_writes" => 6.0,
        "stamp_writes" => 1.0,
        "status_writes" => 3.0,
        "event_writes" => 4.0,
        _ => return None,
    };
    Some(Goal::AtMost(at_most))
}

impl Goal {
    pub fn is_met(&self, value: f64) -> bool {
        // Averages of whole numbers: what is over is over by more than this.
        match self {
            Self::AtLeast(goal) => value >= goal - 1e-9,
            Self::AtMost(goal) => value <= goal + 1e-9,
        }
    }

    pub fn describe(&self) -> String {
        match self {
            Self::AtLeast(goal) => format!("at least {goal}"),
            Self::AtMost(goal) => format!("at most {goal}"),
        }
    }
}
