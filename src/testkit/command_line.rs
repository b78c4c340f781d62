//! The command lines of the servers.

use std::path::Path;

use super::control_plane::ControlPlaneOptions;

/// Name of the administrator's kubeconfig in the folder of the control plane.
pub(super) const ADMIN_KUBECONFIG: &str = "admin.kubeconfig";

#[derive(Clone, Copy)]
pub(super) struct Ports {
    pub api: u16,
    pub etcd: u16,
    pub peer: u16,
}

/// What the command lines depend on.
pub(super) struct CommandLines<'a> {
    pub dir: &'a Path,
    pub ports: Ports,
    pub options: &'a ControlPlaneOptions,
}

impl CommandLines<'_> {
    pub(super) fn etcd(&self) -> Vec<String> {
        let Ports { etcd, peer, .. } = self.ports;
        let mut args = vec![
            format!("--data-dir={}", self.dir.join("etcd").display()),
            format!("--listen-client-urls=http://127.0.0.1:{etcd}"),
            format!("--advertise-client-urls=http://127.0.0.1:{etcd}"),
            format!("--listen-peer-urls=http://127.0.0.1:{peer}"),
            format!("--initial-advertise-peer-urls=http://127.0.0.1:{peer}"),
            format!("--initial-cluster=default=http://127.0.0.1:{peer}"),
        ];
        args.extend(self.options.fast_etcd.then(|| "--unsafe-no-fsync".to_owned()));
        args.extend(self.options.etcd_args.iter().cloned());
        args
    }

    pub(super) fn api_server(&self) -> Vec<String> {
        let dir = self.dir.display();
        let mut args = vec![
            format!("--etcd-servers=http://127.0.0.1:{}", self.ports.etcd),
            "--bind-address=127.0.0.1".to_owned(),
            "--advertise-address=127.0.0.1".to_owned(),
            format!("--secure-port={}", self.ports.api),
            format!("--cert-dir={dir}/certificates"),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!("--service-account-key-file={dir}/account.pub"),
            format!("--service-account-signing-key-file={dir}/account.key"),
            format!("--token-auth-file={dir}/users.csv"),
            "--authorization-mode=Node,RBAC".to_owned(),
            "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
            "--endpoint-reconciler-type=none".to_owned(),
            format!("--audit-policy-file={dir}/audit-policy.yaml"),
            format!("--audit-log-path={dir}/logs/audit.log"),
        ];
        args.extend(self.options.api_server_args.iter().cloned());
        args
    }

    pub(super) fn controller_manager(&self) -> Vec<String> {
        let dir = self.dir.display();
        let mut args = self.controller();
        args.push(format!("--service-account-private-key-file={dir}/account.key"));
        args.push(format!("--root-ca-file={dir}/certificates/apiserver.crt"));
        args.push("--controllers=*".to_owned());
        args.extend(self.options.controller_manager_args.iter().cloned());
        args
    }

    pub(super) fn scheduler(&self) -> Vec<String> {
        self.controller()
    }

    fn controller(&self) -> Vec<String> {
        vec![
            format!("--kubeconfig={}", self.dir.join(ADMIN_KUBECONFIG).display()),
            "--leader-elect=false".to_owned(),
            "--secure-port=0".to_owned(),
            "--kube-api-qps=500".to_owned(),
            "--kube-api-burst=1000".to_owned(),
        ]
    }
}
