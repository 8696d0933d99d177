//! Probes: what a backend holds or publishes and an instance has printed, asked again until it is as expected or the deadline has passed.

use std::{collections::VecDeque, time::Duration};

use serde_json::Value as Json;
use tokio::time::{Instant, sleep, timeout};

use super::{Blame, Go, Player, Site, Stop};
use crate::{
    case::{Asked, Bindings, Pattern, Payload, Step, Tail, clipped, eval_text, match_pattern},
    datum::Datum,
    target::{AskError, BoxFuture, Control, Published, Subject},
};

/// What a server writes behind a confirmation is there soon; asking more often costs more than it shows.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(50);
/// A backend that takes longer to answer one question is not there.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Of what was heard the newest are kept: far more than a case can mean.
const HEARD_MAX: usize = 10_000;

/// What was published at a backend since the case listens there.
#[derive(Default)]
pub(super) struct Heard {
    sources: Vec<Published>,
    texts: VecDeque<Json>,
}

impl Heard {
    fn take_in(&mut self) -> Json {
        for source in &mut self.sources {
            self.texts.extend(std::iter::from_fn(|| source.try_recv().ok()));
        }
        self.texts.drain(..self.texts.len().saturating_sub(HEARD_MAX));
        self.texts.iter().cloned().collect()
    }
}

impl Player<'_> {
    pub(super) async fn ask(&mut self, asked: &Asked, (says, tail): (&Pattern, &Tail), step: &Step, site: &Site) -> Go {
        let control = self.stage.target.control.clone();
        let until = Instant::now() + self.patience(tail)?;
        let shown = step.to_string();
        self.recorder.note("", &shown, Some(step.line));
        loop {
            let (got, why) = match self.look(control.as_deref(), asked).await? {
                Err(reason) => (reason, String::new()),
                Ok(answer) => {
                    let datum = answer;
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
                return Err(
                    self.failure(site, Blame { line: step.line, step: &shown, tail, expected, got, timed: false, why })
                );
            }
            sleep(ASK_AGAIN_AFTER).await;
        }
    }

    /// Returns when nothing that is published from now on can be missed.
    pub(super) async fn listen(&mut self, backend: &str, channel: &Payload, step: &Step) -> Go {
        let Some(control) = self.stage.target.control.clone() else {
            return Err(Stop::Unplayable("nothing here can be listened to: chatwright did not start it".to_owned()));
        };
        self.recorder.note("", &step.to_string(), Some(step.line));
        let channel = eval_text(channel, &self.names).map_err(Stop::Unplayable)?;
        let subject = Subject::Backend(backend.to_owned());
        let source = bounded(backend, control.listen(&subject, &channel)).await?;
        let source = source.map_err(|reason| Stop::Unplayable(format!("cannot listen to {backend}: {reason}")))?;
        self.heard.entry(backend.to_owned()).or_default().sources.push(source);
        Ok(())
    }

    /// One look; the inner error is what an answer could not be had for.
    async fn look(&mut self, control: Option<&dyn Control>, asked: &Asked) -> Go<Result<Datum, String>> {
        if let (Asked::Ear, Some(served)) = (asked, &self.served) {
            return Ok(Ok(served.door.heard()));
        }
        let Some(control) = control else {
            return Err(Stop::Unplayable("nothing here can be asked: chatwright did not start it".to_owned()));
        };
        self.look_at(control, asked).await.map(|answer| answer.map(Datum::from))
    }

    async fn look_at(&mut self, control: &dyn Control, asked: &Asked) -> Go<Result<Json, String>> {
        let (name, question) = match asked {
            Asked::Log => {
                let lines = self.stage.target.instances().iter();
                let lines = lines.flat_map(|instance| control.last_lines(&Subject::Instance(instance.number)));
                return Ok(Ok(lines.flat_map(shown_line).collect()));
            }
            Asked::Heard { backend } => {
                let Some(heard) = self.heard.get_mut(backend) else {
                    return Err(Stop::Unplayable(format!("`backend {backend} listens CHANNEL` has to come first")));
                };
                return Ok(Ok(unfolded(heard.take_in())));
            }
            Asked::Ear => {
                let Some(ear) = &self.stage.target.ear else {
                    return Err(Stop::Unplayable("only a case with an instance of its own has an ear".to_owned()));
                };
                return Ok(Ok(ear.heard().into_iter().map(Json::String).collect()));
            }
            Asked::Backend { name, question } => (name, eval_text(question, &self.names).map_err(Stop::Unplayable)?),
        };
        let subject = Subject::Backend(name.clone());
        bounded(name, control.ask(&subject, &question)).await.map(|answer| answer.map(unfolded))
    }
}

/// The inner error is what an answer could not be had for.
async fn bounded<T>(backend: &str, answer: BoxFuture<'_, Result<T, AskError>>) -> Go<Result<T, String>> {
    match timeout(ANSWER_TIMEOUT, answer).await {
        Ok(Ok(answer)) => Ok(Ok(answer)),
        Ok(Err(AskError::Unable)) => Err(Stop::Unplayable(format!("nothing here can ask the backend {backend}"))),
        Ok(Err(AskError::Failed(reason))) => Ok(Err(reason)),
        Err(_) => Ok(Err(format!("no answer within {ANSWER_TIMEOUT:?}"))),
    }
}

/// A line as it was printed, and behind it what it says where it is JSON: so that neither a text nor a field can hide.
fn shown_line(line: String) -> Vec<Json> {
    match unfolded(Json::String(line.clone())) {
        Json::String(_) => vec![Json::String(line)],
        read @ (Json::Object(_) | Json::Array(_) | Json::Null | Json::Bool(_) | Json::Number(_)) => {
            vec![Json::String(line), read]
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

    use super::{shown_line, unfolded};

    #[test]
    fn json_inside_texts_is_shown_and_other_text_is_left_alone() {
        let kept = json!([r#"{"a":["{\"b\":1}"]}"#, "[no json", "plain", 7, null]);
        assert_eq!(unfolded(kept), json!([{"a": [{"b": 1}]}, "[no json", "plain", 7, null]));
    }

    #[test]
    fn a_line_of_json_is_shown_as_it_was_printed_and_as_what_it_says() {
        let line = r#"{"level":"INFO"}"#;
        assert_eq!(shown_line(line.to_owned()), [json!(line), json!({"level": "INFO"})]);
        assert_eq!(shown_line("plain".to_owned()), [json!("plain")]);
    }
}
