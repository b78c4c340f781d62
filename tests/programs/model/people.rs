//! What people do to targets and records, and which looks are out of date after that.

use crate::{
    state::{RecordId, State, Target},
    token::{Object, Token, Viewer},
    world::bases,
};

impl State {
    pub(super) fn freeze(&mut self) {
        self.budget.freezes -= 1;
        self.target.immutable = true;
        self.was_immutable = self.target.carries;
        self.target_changed();
    }

    pub(super) fn delete_target(&mut self) {
        self.budget.deletes -= 1;
        self.target = self.target.deleted();
        self.target_changed();
    }

    pub(super) fn revert(&mut self, token: Token) {
        self.budget.reverts -= 1;
        self.target.carries = token;
        self.readable[0] |= token.bit();
        self.target_changed();
    }

    pub(super) fn copy_target(&mut self) {
        self.budget.copies -= 1;
        (self.copy, self.copy_used) = (self.target, true);
        self.copy_changed();
    }

    pub(super) fn delete_copy(&mut self) {
        (self.copy, self.copy_used) = (Target::default(), false);
        self.copy_changed();
    }

    pub(super) fn restore(&mut self, of: Object, target: bool) {
        self.budget.restores -= 1;
        self.go_back(of, self[of].backup);
        if target {
            self.target = self.backup_target;
            let carried = self.target.carries;
            self.readable[0] |= carried.bit();
            // Who restores a Secret with a dead token gives it to the pods.
            self.killed |= carried.bit() & !self.alive;
            self.target_changed();
        }
    }

    pub(super) fn go_back(&mut self, of: Object, record: RecordId) {
        self[of].record = record;
        self[of].went_back = true;
        self.record_changed(of);
    }

    /// Everybody who has read the target holds an old version now.
    pub(super) fn target_changed(&mut self) {
        let readers = bases(self).filter(|base| base.viewer != Viewer::Stranger);
        readers.for_each(|base| base.target_changed = true);
    }

    pub(super) fn copy_changed(&mut self) {
        let readers = bases(self).filter(|base| base.viewer == Viewer::Stranger);
        readers.for_each(|base| base.target_changed = true);
    }

    /// Everybody who has read the record holds an old version now.
    pub(super) fn record_changed(&mut self, of: Object) {
        bases(self).filter(|base| base.viewer.object() == of).for_each(|base| base.record_changed = true);
    }
}
