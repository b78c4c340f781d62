//! The language of recipes: what is refused and where, and that no value ever leaves its place.

mod fuzz;
mod matrix;
mod mistakes;
