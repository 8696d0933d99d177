//! Probes: what a backend holds or an instance has printed, asked again until it is as expected or the deadline has passed.

use std::time::Duration;

use serde_json::Value as Json;
use tokio::time::{Instant, sleep, timeout};

use super::{Blame, Go, Player, Site, Stop};
use crate::{
    case::{Asked, Bindings, Pattern, Step, Tail, clipped, eval_text, match_pattern},
    datum::Datum,
    target::{AskError, Control, Subject},
};

/// What a server writes behind a confirmation is there soon; asking more often costs more than it shows.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(50);
/// A backend that takes longer to answer one question is not there.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

impl Player<'_> {
    pub(super) async fn ask(&mut self, asked: &Asked, (says, tail): (&Pattern, &Tail), step: &Step, site: &Site) -> Go {
        let Some(control) = self.stage.target.control.clone() else {
            return Err(Stop::Unplayable("nothing here can be asked: chatwright did not start it".to_owned()));
        };
        let until = Instant::now() + self.patience(tail)?;
        let shown = step.to_string();
        self.recorder.note("", &shown, Some(step.line));
        loop {
            let (got, why) = match self.look(control.as_ref(), asked).await? {
                Err(reason) => (reason, String::new()),
                Ok(answer) => {
                    let datum = Datum::from(unfolded(answer));
                    let mut bound = Bindings::new();
                    match match_pattern(says, &datum, &self.names, &mut bound) {
                        Ok(()) => {
                            bound.into_iter().for_each(|(name, datum)| self.names.bind(&name, datum));
                            self.recorder.note("", &format!("it says {}", clipped(datum.to_string())), Some(step.line));
                            return Ok(());
                        }
                        Err(mismatch) => (datum.to_string(), mismatch.to_string()),
                    }
                }
            };
            if Instant::now() >= until {
                let got = clipped(got);
                self.recorder.note("", &format!("it says {got}"), Some(step.line));
                let expected = says.to_string();
                return Err(self.failure(site, Blame { line: step.line, step: &shown, tail, expected, got, why }));
            }
            sleep(ASK_AGAIN_AFTER).await;
        }
    }

    /// One look; the inner error is what an answer could not be had for.
    async fn look(&self, control: &dyn Control, asked: &Asked) -> Go<Result<Json, String>> {
        let (name, question) = match asked {
            Asked::Log => {
                let lines = self.stage.target.instances().iter();
                let lines = lines.flat_map(|instance| control.last_lines(&Subject::Instance(instance.number)));
                return Ok(Ok(lines.map(Json::String).collect()));
            }
            Asked::Backend { name, question } => (name, eval_text(question, &self.names).map_err(Stop::Unplayable)?),
        };
        let subject = Subject::Backend(name.clone());
        match timeout(ANSWER_TIMEOUT, control.ask(&subject, &question)).await {
            Ok(Ok(answer)) => Ok(Ok(answer)),
            Ok(Err(AskError::Unable)) => Err(Stop::Unplayable(format!("nothing here can ask the backend {name}"))),
            Ok(Err(AskError::Failed(reason))) => Ok(Err(reason)),
            Err(_) => Ok(Err(format!("no answer within {ANSWER_TIMEOUT:?}"))),
        }
    }
}

/// Texts that hold a JSON object or array, as they are kept in lists, columns and logs, are shown as that.
fn unfolded(value: Json) -> Json {
    match value {
        Json::String(text) if text.starts_with(['{', '[']) => match serde_json::from_str::<Json>(&text) {
            Ok(inner) => unfolded(inner),
            Err(_) => Json::String(text),
        },
        Json::Array(items) => items.into_iter().map(unfolded).collect(),
        Json::Object(fields) => fields.into_iter().map(|(name, value)| (name, unfolded(value))).collect(),
        other @ (Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_)) => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::unfolded;

    #[test]
    fn json_inside_texts_is_shown_and_other_text_is_left_alone() {
        let kept = json!([r#"{"a":["{\"b\":1}"]}"#, "[no json", "plain", 7, null]);
        assert_eq!(unfolded(kept), json!([{"a": [{"b": 1}]}, "[no json", "plain", 7, null]));
    }
}
