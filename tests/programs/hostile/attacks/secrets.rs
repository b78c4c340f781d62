//! Secrets that say they belong to somebody else, or to nobody.

use serde_json::{Value, json};

use crate::{Failure, attacker::Field, canary::CANARY};

/// A Secret with labels and annotations of ours.
pub fn labelled(name: &str, role: &str, uid: &str, owner: &str) -> Value {
    json!({
        "metadata": {
            "name": name,
            "labels": {
                "app.kubernetes.io/managed-by": "tokenturn", "tokenturn.dev/role": role, "tokenturn.dev/owner-uid": uid,
            },
            "annotations": {"tokenturn.dev/owner-name": owner, "tokenturn.dev/generation": "1.1"},
        },
        "stringData": {"token": format!("{CANARY}-of-the-attacker")},
    })
}

/// A UID that nothing has.
pub fn nobodys(number: usize) -> String {
    format!("00000000-0000-4000-8000-{number:012x}")
}

pub async fn target_forged(field: &Field<'_>) -> Result<(), Failure> {
    for (number, victim) in field.scene.victims.iter().enumerate() {
        for (place, owner) in [victim.name.as_str(), "nobody", "", "attacker/../x"].into_iter().enumerate() {
            field
                .create("Secret", &labelled(&format!("forged-{number}-{place}"), "target", &victim.uid, owner))
                .await?;
        }
    }
    field.hold_long().await;
    field.victims_rotate().await
}

pub async fn bound_forged(field: &Field<'_>) -> Result<(), Failure> {
    for victim in &field.scene.victims {
        let install = "00000000";
        for (place, name) in [
            format!("tokenturn-{install}-{}-1-1", victim.uid),
            format!("tokenturn-{install}-{}-9007199254740992-9007199254740992", victim.uid),
            victim.name.clone(),
        ]
        .into_iter()
        .enumerate()
        {
            field.create("Secret", &labelled(&name, "bound-token", &victim.uid, &victim.name)).await?;
            let mut changed = labelled(&format!("{name}-{place}"), "bound-token", &victim.uid, &victim.name);
            changed["metadata"]["annotations"]["tokenturn.dev/owner-namespace"] = json!(victim.namespace);
            field.create("Secret", &changed).await?;
            field.delete("Secret", &name).await?;
        }
    }
    field.victims_rotate().await
}

/// As it is now, by an administrator's backup or replication: the attacker could not read it.
pub async fn copied(field: &Field<'_>) -> Result<(), Failure> {
    for victim in &field.scene.victims {
        let path = format!("{}/{}", crate::scene::path(&victim.namespace, "Secret"), victim.name);
        let original = crate::scene::get(&field.scene.client, &path).await?.ok_or("a victim's Secret is missing")?;
        let copy = json!({
            "metadata": {
                "name": victim.name, "labels": original["metadata"]["labels"],
                "annotations": original["metadata"]["annotations"],
            },
            "data": original["data"], "type": original["type"],
        });
        field.create("Secret", &copy).await?;
    }
    field.hold_long().await;
    field.victims_rotate().await
}

pub async fn adopted(field: &Field<'_>) -> Result<(), Failure> {
    for victim in &field.scene.victims {
        let name = format!("adopted-{}", victim.name);
        let mut secret = labelled(&name, "target", &victim.uid, &victim.name);
        secret["metadata"]["annotations"]["tokenturn.dev/adopt"] = json!(name);
        secret["metadata"]["annotations"]["tokenturn.dev/orphaned-token"] =
            json!(format!("tokenturn-00000000-{}-1-1", victim.uid));
        field.create("Secret", &secret).await?;
        field.recipe(&name, &field.own_recipe("adopted")).await?;
    }
    field.victims_rotate().await
}

pub async fn long_names(field: &Field<'_>) -> Result<(), Failure> {
    let long = "x".repeat(200_000);
    let secrets = (0..field.plan.number(40, 120)).map(|number| {
        let role = if number % 2 == 0 { "target" } else { "bound-token" };
        labelled(&format!("long-{number}"), role, &nobodys(number), &format!("{number}{long}"))
    });
    field.create_all("Secret", secrets).await;
    field.hold().await;
    field.hold().await;
    Ok(())
}

pub async fn many_owners(field: &Field<'_>) -> Result<(), Failure> {
    let secrets = (0..field.plan.number(400, 2_000)).map(|number| {
        let role = if number % 2 == 0 { "target" } else { "bound-token" };
        labelled(&format!("many-{number}"), role, &nobodys(number), &format!("nobody-{number}"))
    });
    field.create_all("Secret", secrets).await;
    field.hold().await;
    Ok(())
}

pub async fn flicker(field: &Field<'_>) -> Result<(), Failure> {
    field.create("Secret", &labelled("flicker", "target", &nobodys(0), "nobody")).await?;
    for number in 0..field.plan.number(200, 1_500) {
        let role = ["target", "bound-token", "record", "nothing"][number % 4];
        let change = json!({"metadata": {
            "labels": {"tokenturn.dev/role": role, "tokenturn.dev/owner-uid": nobodys(number)},
            "annotations": {"tokenturn.dev/owner-name": format!("nobody-{number}")},
        }});
        field.patch("Secret", "flicker", &change).await?;
    }
    field.hold().await;
    Ok(())
}
