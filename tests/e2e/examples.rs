//! Every example is what the API server accepts, word for word: no field that it does not know, none that is missing.

use std::{fs, path::Path};

use kube::{
    Api,
    api::{DynamicObject, Patch, PatchParams},
    core::{ApiResource, GroupVersionKind},
};
use tokenturn::testkit::install;

use crate::world::{Outcome, World};

#[tokio::test(flavor = "multi_thread")]
async fn every_example_is_accepted() -> Outcome {
    let world = World::without_operator("examples").await?;
    let client = world.space.client();
    let strict = PatchParams { force: true, ..PatchParams::apply("examples").dry_run().validation_strict() };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut applied = 0;
    for folder in fs::read_dir(root)?.map(|entry| entry.map(|entry| entry.path())) {
        let folder = folder?;
        for file in folder.is_dir().then(|| fs::read_dir(&folder)).transpose()?.into_iter().flatten() {
            let file = file?.path();
            for mut object in install::documents(&fs::read_to_string(&file)?)? {
                let types = object.types.clone().ok_or("an object without a kind")?;
                let kind = GroupVersionKind::try_from(&types)?;
                if kind.group != "tokenturn.dev" {
                    continue;
                }
                let name = object.metadata.name.clone().ok_or("an object without a name")?;
                let resource = ApiResource::from_gvk(&kind);
                let api: Api<DynamicObject> = match kind.kind.as_str() {
                    "ClusterTokenProvider" => Api::all_with(client.clone(), &resource),
                    _ => {
                        object.metadata.namespace = Some(world.space.name().to_owned());
                        Api::namespaced_with(client.clone(), world.space.name(), &resource)
                    }
                };
                let accepted = api.patch(&name, &strict, &Patch::Apply(&object)).await;
                accepted.map_err(|error| format!("{}: {error}", file.display()))?;
                applied += 1;
            }
        }
    }
    assert!(applied >= 30, "{applied}");
    Ok(())
}
