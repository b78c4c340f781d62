//! One attack after the other, or some at the same time, and what the judge says of each of these waves.

use std::time::Duration;

use futures::future::{join_all, try_join_all};

use super::{
    Failure, args::Plan, attacker::Field, attacks::Attack, generator, judge::Judge, operator::Operator, scene::Scene,
};

/// How long an attack may take at most, whatever it waits for.
const ATTACK_LIMIT: Duration = Duration::from_secs(150);

/// The rows in waves of so many, with rows of one theme in different waves.
pub fn of<'a>(rows: &[&'a Attack], size: usize) -> Vec<Vec<&'a Attack>> {
    let mut waves = vec![Vec::new(); rows.len().div_ceil(size)];
    let number = waves.len();
    for (place, row) in rows.iter().enumerate() {
        waves[place % number].push(*row);
    }
    waves
}

/// Rows of the table that are carried out at the same time.
pub async fn stand(
    scene: &Scene,
    plan: &Plan,
    operator: &mut Operator,
    judge: &mut Judge,
    rows: &[&Attack],
) -> Result<(), Failure> {
    let names: Vec<&str> = rows.iter().map(|row| row.name).collect();
    judge.open(&names.join(" + "), operator);
    let mut fields = Vec::new();
    for _ in rows {
        fields.push((judge.number(), operator.port()));
    }
    let fields = try_join_all(fields.into_iter().map(|(number, port)| Field::open(scene, plan, port, number))).await?;
    let attacks = rows.iter().zip(&fields).map(|(row, field)| async {
        let outcome = tokio::time::timeout(ATTACK_LIMIT, (row.run)(field)).await;
        outcome.unwrap_or_else(|_| Err(format!("{} took more than {ATTACK_LIMIT:?}", row.name).into()))
    });
    for outcome in tended(scene, operator, judge, join_all(attacks)).await? {
        judge.outcome(outcome);
    }
    judge.look(scene, operator).await?;
    tended(scene, operator, judge, try_join_all(fields.into_iter().map(Field::close))).await??;
    judge.close(scene, operator).await
}

/// One generated attack; gives the number of what was generated for it.
pub async fn generated(
    scene: &Scene,
    plan: &Plan,
    operator: &mut Operator,
    judge: &mut Judge,
    seed: u64,
) -> Result<usize, Failure> {
    judge.open(&format!("generated --seed {seed:x}"), operator);
    let field = Field::open(scene, plan, operator.port(), judge.number()).await?;
    let mut number = 0;
    let attack = tokio::time::timeout(ATTACK_LIMIT, generator::attack(&field, seed, &mut number));
    let outcome = tended(scene, operator, judge, attack).await?;
    judge.outcome(outcome.unwrap_or_else(|_| Err(format!("took more than {ATTACK_LIMIT:?}").into())));
    judge.look(scene, operator).await?;
    tended(scene, operator, judge, field.close()).await??;
    judge.close(scene, operator).await?;
    Ok(number)
}

/// Waits for something while the operator's process is tended.
async fn tended<T>(
    scene: &Scene,
    operator: &mut Operator,
    judge: &mut Judge,
    work: impl Future<Output = T>,
) -> Result<T, Failure> {
    let mut work = Box::pin(work);
    let mut clock = tokio::time::interval(Duration::from_millis(100));
    loop {
        tokio::select! {
            done = &mut work => return Ok(done),
            _ = clock.tick() => judge.tend(scene, operator).await?,
        }
    }
}
