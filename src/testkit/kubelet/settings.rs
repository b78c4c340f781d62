//! The settings of containerd and kubelet, for a machine that shares its kernel with others.

use std::path::Path;

use serde_json::{Value, json};

/// containerd with folders of its own. The snapshotter copies, so that it works on every file system.
pub(super) fn containerd(dir: &Path, pause_image: &str) -> String {
    let dir = dir.display();
    format!(
        r#"version = 2
root = "{dir}/containerd/root"
state = "{dir}/containerd/state"
[grpc]
address = "{dir}/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
path = "{dir}/opt"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{pause_image}"
disable_apparmor = true
disable_hugetlb_controller = true
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "native"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{dir}/cni"
"#
    )
}

/// A network that no pod uses, as all of them are on the host's; without one the node does not become Ready.
pub(super) fn network() -> Value {
    json!({"cniVersion": "0.4.0", "name": "unused", "plugins": [{
        "type": "ptp",
        "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.99.0.0/16"}]]},
    }]})
}

/// What matters to tokens is left as it is by default: sync period and the way in which Secrets are followed.
pub(super) fn kubelet(dir: &Path, cgroup: &str) -> Value {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": format!("unix://{}/containerd.sock", dir.display()),
        "volumePluginDir": dir.join("volume-plugins"),
        // The host's cgroups are not ours to arrange.
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{cgroup}"),
        "cgroupsPerQOS": false,
        "enforceNodeAllocatable": [],
        "failCgroupV1": false,
        "failSwapOn": false,
        "localStorageCapacityIsolation": false,
        "makeIPTablesUtilChains": false,
        // Nobody asks this kubelet anything, so it needs no port.
        "enableServer": false,
        "readOnlyPort": 0,
        "healthzPort": 0,
        // A disk that others fill is no reason to evict.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "100Mi"},
        // A silent node is noticed within seconds.
        "nodeLeaseDurationSeconds": 8,
        "maxPods": 500,
    })
}
