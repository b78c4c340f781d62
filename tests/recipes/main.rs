//! The language of recipes: what is refused and where, and that no value ever leaves its place.

mod answers;
mod fuzz;
mod matrix;
mod mistakes;
mod places;
