//! RotatedTokens that are changed, made and deleted all the time.

use serde_json::{Value, json};

use crate::{Failure, attacker::Field, scene::rotated_token};

pub async fn rotate_now(field: &Field<'_>) -> Result<(), Failure> {
    for name in ["now-0", "now-1"] {
        field.recipe(name, &field.own_recipe(name)).await?;
        field.issued(name).await?;
    }
    for round in 0..field.plan.number(150, 1_200) {
        for name in ["now-0", "now-1"] {
            field.rotate(name, &format!("{round}-{}", "x".repeat(round % 5 * 1_000))).await?;
        }
    }
    field.hold().await;
    field.victims_go_on().await
}

/// Under other names each time, so that whatever is kept by name grows.
pub async fn come_and_go(field: &Field<'_>) -> Result<(), Failure> {
    for round in 0..field.plan.number(3, 20) {
        let name = |place: usize| format!("round-{round}-{place}");
        let made = (0..30).map(|place| {
            let provider = if place % 3 == 0 { json!({"name": name(place)}) } else { json!({"name": "nobody"}) };
            rotated_token(&name(place), &provider)
        });
        field.create_all("RotatedToken", made).await;
        for place in (0..30).step_by(3) {
            field.provider(&name(place), &field.own_recipe(&name(place))).await?;
        }
        if round % 2 == 0 {
            field.hold().await;
        }
        for place in 0..30 {
            field.delete("RotatedToken", &name(place)).await?;
        }
        for place in (0..30).step_by(3) {
            field.delete("TokenProvider", &name(place)).await?;
        }
    }
    Ok(())
}

/// Until it is over the operator goes on putting its own back, and no further.
pub async fn finalizers(field: &Field<'_>) -> Result<(), Failure> {
    for name in ["final-0", "final-1"] {
        field.recipe(name, &field.own_recipe(name)).await?;
        field.issued(name).await?;
    }
    let many: Vec<Value> = (0..200).map(|number| json!(format!("example.com/f-{number}"))).collect();
    for round in 0..field.plan.number(20, 100) {
        for name in ["final-0", "final-1"] {
            let finalizers = if round % 2 == 0 { json!(many) } else { json!(null) };
            field.patch("RotatedToken", name, &json!({"metadata": {"finalizers": finalizers}})).await?;
        }
    }
    field.hold().await;
    for name in ["final-0", "final-1"] {
        let own = json!({"metadata": {"finalizers": ["tokenturn.dev/tokens-alive"]}});
        field.patch("RotatedToken", name, &own).await?;
    }
    Ok(())
}

pub async fn one_secret(field: &Field<'_>) -> Result<(), Failure> {
    field.provider("own", &field.own_recipe("own")).await?;
    let number = field.plan.number(30, 150);
    let made = (0..number).map(|place| {
        let mut token = rotated_token(&format!("one-{place}"), &json!({"name": "own"}));
        token["spec"]["secret"]["name"] = json!("one");
        token
    });
    field.create_all("RotatedToken", made).await;
    field.hold().await;
    for place in 0..number {
        field.rotate(&format!("one-{place}"), "1").await?;
    }
    field.hold().await;
    let minted = field.scene.rival.minted(&field.place("own"));
    if minted > number { Err(format!("{minted} tokens were minted for one Secret").into()) } else { Ok(()) }
}
