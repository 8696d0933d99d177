//! One POST at a time per polling session: a second one while the first is being received breaks the order of packets, and the protocol
//! ends such a session with 400. The engine does not notice it.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    body::Body,
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::Method;

use super::opening::bad_request;

/// Engine.IO's packet by which a client closes its session.
const CLOSE: &str = "1";

/// Sessions whose POST is being received; as many at most as there are connections. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Posts(Arc<Mutex<HashSet<String>>>);

/// The place of one POST; given back also when its sender goes away.
struct Place {
    posts: Posts,
    sid: String,
}

impl Posts {
    fn enter(&self, sid: &str) -> Option<Place> {
        let is_first = self.sids().insert(sid.to_owned());
        is_first.then(|| Place { posts: self.clone(), sid: sid.to_owned() })
    }

    fn sids(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner) // a set is whole whatever happened
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.posts.sids().remove(&self.sid);
    }
}

pub(super) async fn one_at_a_time(State(posts): State<Posts>, mut request: Request, next: Next) -> Response {
    let sid = request.uri().query().and_then(|query| query.split('&').find_map(|pair| pair.strip_prefix("sid=")));
    let Some(sid) = sid.filter(|_| request.method() == Method::POST) else {
        return next.run(request).await;
    };
    match posts.enter(sid) {
        Some(_place) => next.run(request).await,
        None => {
            *request.body_mut() = Body::from(CLOSE);
            next.run(request).await;
            bad_request()
        }
    }
}
