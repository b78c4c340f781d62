//! Who uses the Secret, and when nobody can hold an old value of it any more.

pub mod consumers;
pub mod pickup;
pub mod usage;
