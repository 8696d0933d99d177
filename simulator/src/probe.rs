//! Asks each instance over REST what it says about each room: who is there, and what was said.

use std::time::Duration;

use bytes::Bytes;
use chatwright_conformance::target::{Adapt, Instance};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::{Deserialize, de::DeserializeOwned};

use crate::history::What;

/// An instance that takes longer than this for one answer has not converged yet.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// 1,000 messages of 4,096 characters with everything around them stay below.
const BODY_BYTES_MAX: usize = 32 << 20;
/// As many messages as the dialect keeps.
const HISTORY_LIMIT: usize = 1_000;

/// Asks questions, with a token that every instance accepts.
pub(crate) struct Probe {
    client: Client<HttpConnector, Empty<Bytes>>,
    token: Option<String>,
    adapt: Adapt,
}

#[derive(Deserialize)]
struct UsersBody {
    users: Vec<String>,
}

#[derive(Deserialize)]
struct HistoryBody {
    messages: Vec<MessageBody>,
}

#[derive(Deserialize)]
struct MessageBody {
    message: String,
}

impl Probe {
    pub(crate) fn new(token: Option<String>, adapt: Adapt) -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build_http(), token, adapt }
    }

    /// What this instance says about these rooms: one roster and one history each. What it does not say is left out.
    pub(crate) async fn ask(&self, instance: &Instance, rooms: &[String]) -> Vec<What> {
        let mut answers = Vec::new();
        for (index, room) in rooms.iter().enumerate() {
            match self.users(instance, room).await {
                Ok(users) => answers.push(What::Roster { instance: instance.number, room: index, users }),
                Err(reason) => tracing::debug!(instance = instance.number, %room, %reason, "no roster"),
            }
            match self.history(instance, room).await {
                Ok(texts) => answers.push(What::Stored { instance: instance.number, room: index, texts }),
                Err(reason) => tracing::debug!(instance = instance.number, %room, %reason, "no history"),
            }
        }
        answers
    }

    async fn users(&self, instance: &Instance, room: &str) -> Result<Vec<String>, String> {
        let body: UsersBody = self.get(instance, &format!("/api/chat/{room}/users")).await?;
        let mut users = body.users;
        users.sort_unstable();
        Ok(users)
    }

    async fn history(&self, instance: &Instance, room: &str) -> Result<Vec<String>, String> {
        let body: HistoryBody = self.get(instance, &format!("/api/chat/{room}/history?limit={HISTORY_LIMIT}")).await?;
        Ok(body.messages.into_iter().map(|message| message.message).collect())
    }

    async fn get<T: DeserializeOwned>(&self, instance: &Instance, route: &str) -> Result<T, String> {
        let base = instance.listener("rest").unwrap_or_else(|| instance.main());
        let mut request = Request::get(format!("{base}{}", self.renamed(route)));
        if let Some(token) = &self.token {
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
        let probe = Probe::new(None, Adapt { rename_routes, ..Adapt::default() });
        assert_eq!(probe.renamed("/api/chat/a/users"), "/v2/rooms/a/users");
        assert_eq!(probe.renamed("/health"), "/health");
    }
}
