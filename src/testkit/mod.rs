//! Runs the operator against a real control plane: launcher, simulated node, consumers, history.
//!
//! Everything here is for tests, the demo and the bench; the released binary does not contain it.
//! Real are etcd, the API server, its controllers and the operator process. Simulated are the node
//! and what runs in its containers: [`node`] reads Secrets as a kubelet does, [`consumer`] calls the
//! API server with the token that a container holds, and [`history`] is the judge. [`kubelet`] is a real
//! node, which shows that the simulated one does what it should.

pub mod audit;
pub mod binary;
pub mod chart;
mod command_line;
pub mod consumer;
pub mod contract;
pub mod control_plane;
pub mod error;
pub mod event;
pub mod history;
pub mod install;
pub mod keycloak;
pub mod kstatus;
pub mod kubeconfig;
pub mod kubelet;
pub mod looks;
pub mod node;
pub mod operator;
pub mod process;
pub mod proxied;
pub mod proxy;
pub mod recipe_example;
pub mod servers;
pub mod shared;
pub mod wait;
pub mod workspace;
pub mod world;

pub use audit::AuditEvent;
pub use control_plane::{Audit, Backup, ControlPlane, ControlPlaneOptions, Restore};
pub use error::Error;
pub use event::{Call, Counts, Event, Outcome, Seat, Token};
pub use history::History;
pub use keycloak::{Keycloak, Realm};
pub use kubelet::{Equipment, KubeletNode};
pub use node::{NodeOptions, SimulatedNode};
pub use operator::{OperatorOptions, OperatorProcess};
pub use proxy::Proxy;
pub use shared::{SharedControlPlane, TestNamespace};
