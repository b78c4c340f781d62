//! The test kit itself: if the simulated node were wrong, every other end-to-end test would be.

mod contact;
mod contract;
mod ending;
mod pickup;
mod proxy;
mod scene;
mod servers;
