//! Runs the operator against a real control plane: launcher, simulated node, consumers, history.
