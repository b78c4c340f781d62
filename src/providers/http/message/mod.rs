//! Requests as they are written, and answers as they are read. Pure, but for the room that answers take.

pub mod answer;
pub(super) mod body;
pub(super) mod code;
pub mod content;
pub mod dpop;
pub mod link;
pub(super) mod paging;
pub(super) mod redirect;
pub mod render;
pub mod wait;
