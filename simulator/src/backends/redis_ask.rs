//! What Redis is asked by probes: any command, its answer as plain data.

use std::error::Error;

use redis::{Client, RedisResult, Value, aio::MultiplexedConnection};
use serde_json::{Map, Value as Json};

/// The name of our own connections, which no list of clients shows.
const OWN_NAME: &str = "chatwright-probe";
type Answer<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// The answer to a command, as it is typed or as a JSON list of its words; `HGETALL` gives an object, `CLIENT LIST` an array of objects.
/// `VALUE key` is no command of Redis: what the key holds, where a document names a key and no type.
pub(super) async fn answer(client: RedisResult<Client>, question: &str) -> Answer<Json> {
    let mut words = words(question)?;
    let mut connection = connect(client?).await?;
    if let [verb, key] = words.as_slice()
        && verb.eq_ignore_ascii_case("VALUE")
    {
        let Some(reader) = reader(&mut connection, key).await? else { return Ok(Json::Null) };
        words = reader;
    }
    let is = |at: usize, name: &str| words.get(at).is_some_and(|word| word.eq_ignore_ascii_case(name));
    let mut command = redis::Cmd::new();
    words.iter().for_each(|word| {
        command.arg(word);
    });
    let answer = plain(command.query_async::<Value>(&mut connection).await?);
    if is(0, "HGETALL") {
        return Ok(pairs(answer));
    }
    if is(0, "CLIENT") && is(1, "LIST") {
        return Ok(clients(answer.as_str().unwrap_or_default()));
    }
    Ok(answer)
}

/// A JSON list holds the words themselves; what is no text in it is written as JSON. Among words as they are typed, a JSON object or array goes
/// to the end.
fn words(question: &str) -> Answer<Vec<String>> {
    let mut rest = question.trim();
    if !rest.starts_with('[') {
        let mut words = Vec::new();
        while !rest.is_empty() {
            let end = if rest.starts_with(['{', '[']) { None } else { rest.find(char::is_whitespace) };
            let (word, behind) = rest.split_at(end.unwrap_or(rest.len()));
            words.push(word.to_owned());
            rest = behind.trim_start();
        }
        return Ok(words);
    }
    let word = |value: Json| match value {
        Json::String(text) => text,
        other @ (Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_)) => other.to_string(),
    };
    Ok(serde_json::from_str::<Vec<Json>>(rest)?.into_iter().map(word).collect())
}

/// The command that reads all of a key, if there is such a key.
async fn reader(connection: &mut MultiplexedConnection, key: &str) -> Answer<Option<Vec<String>>> {
    let kind: String = redis::cmd("TYPE").arg(key).query_async(connection).await?;
    let command: &[&str] = match kind.as_str() {
        "string" => &["GET", key],
        "hash" => &["HGETALL", key],
        "list" => &["LRANGE", key, "0", "-1"],
        "set" => &["SMEMBERS", key],
        "zset" => &["ZRANGE", key, "0", "-1"],
        _ => return Ok(None),
    };
    Ok(Some(command.iter().map(|word| (*word).to_owned()).collect()))
}

async fn connect(client: Client) -> Answer<MultiplexedConnection> {
    let mut connection = client.get_multiplexed_async_connection().await?;
    redis::cmd("CLIENT").arg("SETNAME").arg(OWN_NAME).query_async::<()>(&mut connection).await?;
    Ok(connection)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the library adds kinds of answers")]
fn plain(value: Value) -> Json {
    match value {
        Value::Int(number) => number.into(),
        Value::BulkString(bytes) => String::from_utf8_lossy(&bytes).into_owned().into(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => text.into(),
        Value::Okay => "OK".into(),
        Value::Array(items) | Value::Set(items) => items.into_iter().map(plain).collect(),
        Value::Map(fields) => fields.into_iter().map(|(name, value)| (shown(plain(name)), plain(value))).collect(),
        Value::Double(number) => number.into(),
        Value::Boolean(flag) => flag.into(),
        // Nothing, or nothing that an answer in the older protocol can be.
        _ => Json::Null,
    }
}

fn shown(value: Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A flat list of names and values as an object.
fn pairs(answer: Json) -> Json {
    let Json::Array(items) = answer else { return answer };
    let mut fields = Map::new();
    let mut items = items.into_iter();
    while let (Some(name), Some(value)) = (items.next(), items.next()) {
        fields.insert(shown(name), value);
    }
    Json::Object(fields)
}

/// `id=3 addr=127.0.0.1:1 name= sub=0 ...` per line; numbers are numbers. Our own connections are left out.
fn clients(text: &str) -> Json {
    let client = |line: &str| {
        let fields = line.split(' ').filter_map(|field| field.split_once('='));
        let field = |(name, value): (&str, &str)| {
            (name.to_owned(), value.parse::<i64>().map_or_else(|_| Json::from(value), Json::from))
        };
        fields.map(field).collect::<Map<_, _>>()
    };
    let others = text.lines().map(client).filter(|fields| fields.get("name").is_none_or(|name| name != OWN_NAME));
    others.map(Json::Object).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_question_is_split_at_blanks_or_given_as_a_list_of_words() {
        assert_eq!(words("HGETALL a b").expect("words"), ["HGETALL", "a", "b"]);
        let listed = r#"["PUBLISH", "chat", {"message": "two words"}, 7]"#;
        assert_eq!(words(listed).expect("words"), ["PUBLISH", "chat", r#"{"message":"two words"}"#, "7"]);
        assert_eq!(words("PUBLISH chat {\"a\": 1}").expect("words"), ["PUBLISH", "chat", "{\"a\": 1}"]);
        assert!(words("[1, 2").is_err());
    }

    #[test]
    fn a_list_of_clients_is_objects_without_our_own() {
        let text = format!("id=3 addr=1.2.3.4:5 name= sub=1 cmd=subscribe\nid=4 name={OWN_NAME} cmd=client|list\n");
        let expected = json!([{"id": 3, "addr": "1.2.3.4:5", "name": "", "sub": 1, "cmd": "subscribe"}]);
        assert_eq!(clients(&text), expected);
    }

    #[test]
    fn answers_are_plain_data() {
        let pair = Value::Array(vec![Value::BulkString(b"a".to_vec()), Value::Int(1)]);
        assert_eq!(pairs(plain(pair)), json!({"a": 1}));
        assert_eq!(plain(Value::Nil), Json::Null);
        assert_eq!(plain(Value::Okay), json!("OK"));
    }
}
