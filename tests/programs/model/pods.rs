//! What becomes of pods, and what a look finds of them.

use crate::{
    state::{Life, Listed, PODS, Pod, PodSeen, StampId, State},
    token::{Token, Viewer},
    world::{Habit, World},
};

impl State {
    /// A pod starts in a free place with a token.
    pub fn start(&mut self, token: Token) {
        let Some(slot) = self.pods.iter().position(|pod| pod.life == Life::None) else { return };
        self.budget.starts = self.budget.starts.saturating_sub(1);
        self.pods[slot] = Pod { uid: self.born, life: Life::Running, holds: token, ..Pod::default() };
        self.born += 1;
        self.took(token);
    }

    pub(super) fn restart(&mut self, slot: usize, token: Token) {
        self.budget.restarts -= 1;
        self.pods[slot].holds = token;
        self.took(token);
    }

    /// A process was given a token by its kubelet.
    fn took(&mut self, token: Token) {
        if !self.is_alive(token) && self.killed & token.bit() == 0 {
            self.broke("S1 a pod starts with a token that was revoked");
        }
    }

    pub(super) fn end(&mut self, slot: usize) {
        self.pods[slot] = Pod::default();
    }

    pub(super) fn node(&mut self, ready: bool) {
        self.node_ready = ready;
        // Contact counts from when the node is back.
        self.pods.iter_mut().for_each(|pod| pod.contact = 0);
    }

    /// A tick passes for the pods that were deleted by force.
    pub(super) fn end_vanished(&mut self) {
        for slot in 0..PODS {
            if self.pods[slot].life == Life::Vanished && self.node_ready {
                // A kubelet that is in contact ends within a tick what the API server no longer has; the operator believes
                // it after two.
                if self.pods[slot].contact > 0 {
                    self.end(slot);
                } else {
                    self.pods[slot].contact = 1;
                    self.pods[slot].holds = Token::NONE;
                }
            }
        }
    }

    /// A tick passes for the kubelets that pull images: a try with an old value is over within two.
    pub(super) fn go_on_pulling(&mut self) {
        for pod in self.pods.iter_mut().filter(|pod| pod.life != Life::None) {
            if std::mem::replace(&mut pod.pulled, true) {
                pod.holds = Token::NONE;
            }
        }
    }

    /// Notes what pods and kubelets hold after an event.
    pub(super) fn note_holders(&mut self) {
        if self.pods.iter().all(|pod| pod.life == Life::None) {
            self.was_immutable = if self.target.immutable { self.target.carries } else { Token::NONE };
        }
        for pod in self.pods {
            if pod.life != Life::None {
                self.held |= pod.holds.bit();
            }
        }
    }
}

impl World {
    pub(super) fn force(&self, state: &mut State, slot: usize) {
        state.budget.forced -= 1;
        state.pods[slot].life = Life::Vanished;
        state.pods[slot].contact = 0;
        let watching = (0..self.replicas).filter(|replica| state.replicas[*replica].watching);
        state.pods[slot].seen = watching.fold(0, |seen, replica| seen | 1 << replica);
    }

    /// Pods, nodes and workloads as a replica finds them.
    pub(super) fn list(&self, state: &State, number: usize) -> Listed {
        if self.viewer(number) == Viewer::Stranger {
            return list_elsewhere(state);
        }
        let mut pods = [PodSeen::default(); PODS];
        for (place, pod) in pods.iter_mut().zip(state.pods) {
            let unseen = match pod.life {
                Life::Terminating => !self.keeps(Habit::CountTerminating),
                Life::Vanished => !self.keeps(Habit::Contact),
                Life::None | Life::Running => false,
            };
            if !unseen {
                let seen = pod.seen & 1 << number != 0;
                *place = PodSeen { uid: pod.uid, life: pod.life, contact: pod.contact, seen };
            }
        }
        Listed { pods, born: state.born, stamp: state.stamp, wanted: state.wanted, node_ready: state.node_ready }
    }
}

/// In the stranger's namespace there is nobody, or one pod that uses the copy.
fn list_elsewhere(state: &State) -> Listed {
    let mut pods = [PodSeen::default(); PODS];
    if state.copy_used {
        pods[0] = PodSeen { uid: 1, life: Life::Running, ..PodSeen::default() };
    }
    let born = 1 + u8::from(state.copy_used);
    Listed { pods, born, stamp: StampId::default(), wanted: state.copy_used, node_ready: true }
}
