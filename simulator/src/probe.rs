//! Asks each instance over REST what it says about each room: who is there, and what was said.

use std::time::Duration;

use bytes::Bytes;
use chatwright_client_sdk::protocol::vocabulary::RoomId;
use chatwright_conformance::target::{Adapt, Instance};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;

use crate::{history::What, promises::Promises};

/// An instance that takes longer than this for one answer has not converged yet.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// 1,000 messages of 4,096 characters with everything around them stay below.
const BODY_BYTES_MAX: usize = 32 << 20;

/// Asks questions.
pub(crate) struct Probe {
    client: Client<HttpConnector, Empty<Bytes>>,
    adapt: Adapt,
}

/// One question: about which room, under which name, with a token that every instance accepts.
pub(crate) struct Question {
    pub(crate) room: usize,
    pub(crate) name: RoomId,
    pub(crate) token: Option<String>,
}

impl Probe {
    pub(crate) fn new(adapt: Adapt) -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build_http(), adapt }
    }

    /// What this instance says about these rooms, as far as its dialect tells anything: a roster and a history each. What it does not say is
    /// left out.
    pub(crate) async fn ask(&self, instance: &Instance, promises: Promises, questions: &[Question]) -> Vec<What> {
        let mut answers = Vec::new();
        let number = instance.number;
        for question in questions {
            let (room, name) = (question.room, &question.name);
            if let Some(route) = promises.dialect.client.members {
                let body = self.get(instance, route.listener, &(route.target)(name), question).await;
                match body.and_then(|body| (route.decode)(&body).map_err(|problem| problem.to_string())) {
                    Ok(users) => {
                        let mut users: Vec<String> = users.iter().map(ToString::to_string).collect();
                        users.sort_unstable();
                        answers.push(What::Roster { instance: number, room, users });
                    }
                    Err(reason) => tracing::debug!(number, %name, %reason, "no roster"),
                }
            }
            if let Some(route) = promises.dialect.client.history.filter(|_| promises.stored) {
                let target = (route.target)(name, route.messages_max);
                let body = self.get(instance, route.listener, &target, question).await;
                match body.and_then(|body| (route.decode)(&body).map_err(|problem| problem.to_string())) {
                    Ok(messages) => {
                        let texts = messages.into_iter().map(|message| message.text).collect();
                        answers.push(What::Stored { instance: number, room, texts });
                    }
                    Err(reason) => tracing::debug!(number, %name, %reason, "no history"),
                }
            }
        }
        answers
    }

    async fn get(
        &self,
        instance: &Instance,
        listener: &str,
        route: &str,
        question: &Question,
    ) -> Result<Value, String> {
        let base = instance.listener(listener).unwrap_or_else(|| instance.main());
        let mut request = Request::get(format!("{base}{}", self.renamed(route)));
        if let Some(token) = &question.token {
            request = request.header(http::header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Empty::new()).map_err(|error| error.to_string())?;
        let answer = async {
            let response = self.client.request(request).await.map_err(|error| error.to_string())?;
            if response.status() != StatusCode::OK {
                return Err(format!("status {}", response.status()));
            }
            let body = Limited::new(response.into_body(), BODY_BYTES_MAX)
                .collect()
                .await
                .map_err(|error| error.to_string())?;
            serde_json::from_slice(&body.to_bytes()).map_err(|error| error.to_string())
        };
        tokio::time::timeout(ANSWER_WITHIN, answer).await.map_err(|_| "no answer in time".to_owned())?
    }

    fn renamed(&self, route: &str) -> String {
        let mut renamings = self.adapt.rename_routes.iter();
        let fitting =
            renamings.find_map(|(ours, theirs)| Some(format!("{theirs}{}", route.strip_prefix(ours.as_str())?)));
        fitting.unwrap_or_else(|| route.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn routes_are_asked_under_the_names_of_the_target() {
        let rename_routes = BTreeMap::from([("/api/chat".to_owned(), "/v2/rooms".to_owned())]);
        let probe = Probe::new(Adapt { rename_routes, ..Adapt::default() });
        assert_eq!(probe.renamed("/api/chat/a/users"), "/v2/rooms/a/users");
        assert_eq!(probe.renamed("/health"), "/health");
    }
}
