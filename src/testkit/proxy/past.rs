//! Answers that were given before.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use axum::{
    body::{Body, Bytes},
    response::Response,
};
use http::{HeaderMap, StatusCode};

/// An answer that can be given again.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub(super) fn response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        (*response.status_mut(), *response.headers_mut()) = (self.status, self.headers);
        response
    }
}

/// The latest answers by request, and those that were the latest at one time.
#[derive(Default)]
pub(super) struct Past(Mutex<(HashMap<String, Answer>, HashMap<String, Answer>)>);

impl Past {
    pub(super) fn note(&self, uri: String, answer: &Answer) {
        self.lock().0.insert(uri, answer.clone());
    }

    pub(super) fn remember(&self) {
        let mut answers = self.lock();
        answers.1 = answers.0.clone();
    }

    pub(super) fn answer(&self, uri: &str) -> Option<Answer> {
        self.lock().1.get(uri).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, (HashMap<String, Answer>, HashMap<String, Answer>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
