//! The cases: a table to which one adds a row.

mod rolled;

use futures::future::BoxFuture;

use crate::{Failure, report::Row, say, scene::Scene, stage::Stage};

/// One case. The claim is one of the simulated node's, in plain words.
pub struct Case {
    pub name: &'static str,
    pub claim: &'static str,
    /// What was measured, if the claim holds.
    run: for<'a> fn(&'a Stage<'a>) -> BoxFuture<'a, Result<String, Failure>>,
}

/// Run at the same time, each in a namespace of its own.
pub const TOGETHER: [Case; 1] = [Case {
    name: "env",
    claim: "a variable is read when the container starts, and never again",
    run: |stage| Box::pin(rolled::env(stage)),
}];

impl Case {
    /// Runs the case; a failure of it is a row of the table.
    pub async fn show(&self, scene: &Scene) -> Row {
        let mut row = Row { case: self.name, shown: Ok(self.claim), measured: String::new(), calls: 0, refused: 0 };
        let stage =
            Stage::new(scene, &self.name.to_lowercase().replace(' ', "-"), scene.node.equipment().clone()).await;
        let stage = match stage {
            Ok(stage) => stage,
            Err(error) => {
                row.shown = Err(error.to_string());
                return row;
            }
        };
        match (self.run)(&stage).await {
            Ok(measured) => row.measured = measured,
            Err(error) => row.shown = Err(error.to_string()),
        }
        row.calls = scene.history.accepted(&stage.namespace);
        row.refused = scene.history.refused(&stage.namespace);
        let how = if row.is_good() { "done" } else { "FAILED" };
        say(&format!("{how}: {} ({})", self.name, row.measured));
        row
    }
}
