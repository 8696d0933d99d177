//! Values, patterns and texts as a case writes them: what is sent, and what an answer must look like.

use regex::Regex;
use serde_json::Number;

/// A dotted name: `$alice.id` is `["alice", "id"]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Path(pub Vec<String>);

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Characters as they are.
    Literal(String),
    /// `${name}`.
    Name(Path),
}

/// A text that may hold names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Template(pub Vec<Piece>);

impl Template {
    /// A text without names.
    #[must_use]
    pub fn literal(text: &str) -> Self {
        if text.is_empty() { Self::default() } else { Self(vec![Piece::Literal(text.to_owned())]) }
    }

    /// The text, if it holds no names.
    #[must_use]
    pub fn as_literal(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Piece::Literal(text)] => Some(text),
            [Piece::Name(_)] | [_, _, ..] => None,
        }
    }
}

/// A value to send.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`.
    Null,
    /// `true`, `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// `"text with ${name}"`.
    Text(Template),
    /// `[...]`.
    List(Vec<Value>),
    /// `{...}`.
    Object(Vec<(Template, Value)>),
    /// `$name`.
    Name(Path),
    /// A function.
    Call(Call),
}

/// A function of the case language.
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    /// `fresh()`, `fresh("a:b")`: a string that no other case has.
    Fresh(Option<Template>),
    /// `repeat("x", 4096)`: a text, or `repeat(hex(00), 4096)`: bytes.
    Repeat(Box<Value>, Box<Value>),
    /// `token(alice, exp=-1s, key=other, alg=none, drop=sub)`.
    Token(TokenCall),
    /// `now()`: milliseconds since the epoch.
    Now,
    /// `hex(00ff)`: bytes.
    Hex(String),
}

/// A token that is special in some way.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TokenCall {
    /// Whose.
    pub actor: String,
    /// `exp=-1s`.
    pub expires: Option<Span>,
    /// `key=other`: signed with a key that the target does not know.
    pub foreign_key: bool,
    /// `alg=none`, `alg=HS512`.
    pub algorithm: Option<String>,
    /// `drop=sub`: claims left out.
    pub dropped: Vec<String>,
    /// `claim.NAME=VALUE`: claims set.
    pub claims: Vec<(String, Value)>,
}

/// A sum of durations and clocks of the target: `2s`, `$timing.grace+500ms`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span(pub Vec<SpanTerm>);

/// One term of a span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpanTerm {
    /// Subtracted.
    pub minus: bool,
    /// What.
    pub amount: Amount,
}

/// A duration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Amount {
    /// Milliseconds.
    Millis(u64),
    /// `$timing.NAME`: a clock of the target.
    Clock(String),
    /// `$name`: a number of milliseconds that the case has bound.
    Name(Path),
}

/// What a type pattern demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `@any`.
    Any,
    /// `@string`.
    String,
    /// `@int`.
    Int,
    /// `@number`.
    Number,
    /// `@bool`.
    Bool,
    /// `@null`.
    Null,
    /// `@object`.
    Object,
    /// `@array`.
    Array,
    /// `@bytes`.
    Bytes,
    /// `@millis`.
    Millis,
    /// `@uuid`.
    Uuid,
    /// `@hex24`.
    Hex24,
    /// `@id`.
    Id,
}

/// All kinds with their names.
pub(crate) const KINDS: [(&str, Kind); 13] = [
    ("any", Kind::Any),
    ("string", Kind::String),
    ("int", Kind::Int),
    ("number", Kind::Number),
    ("bool", Kind::Bool),
    ("null", Kind::Null),
    ("object", Kind::Object),
    ("array", Kind::Array),
    ("bytes", Kind::Bytes),
    ("millis", Kind::Millis),
    ("uuid", Kind::Uuid),
    ("hex24", Kind::Hex24),
    ("id", Kind::Id),
];

/// Bounds, both included: a string's length in characters, an array's or the bytes' length, a number's value.
#[derive(Debug, Clone, PartialEq)]
pub struct Bounds {
    /// Not less.
    pub low: Option<Value>,
    /// Not more.
    pub high: Option<Value>,
}

/// What an answer must look like.
#[derive(Debug, Clone, PartialEq)]
pub enum Pattern {
    /// Equal to this.
    Value(Value),
    /// An object with these fields; `exact`: and no others.
    Object {
        /// No other fields.
        exact: bool,
        /// The fields.
        fields: Vec<(Template, Pattern)>,
    },
    /// `[...]`: exactly these.
    List(Vec<Pattern>),
    /// `[* ...]`: at least these, in any order.
    Holds(Vec<Pattern>),
    /// `[+ P]`: at least one element, each matching.
    Each(Box<Pattern>),
    /// `@kind`, `@kind(low..high)`.
    Kind {
        /// The type.
        kind: Kind,
        /// Its bounds.
        bounds: Option<Bounds>,
    },
    /// `~"regex"`.
    Regex(Expression),
    /// `~$name`: a string that holds the text of this name.
    Text(Path),
    /// `!P`.
    Not(Box<Pattern>),
    /// `P as $x`.
    As(Box<Pattern>, String),
    /// `P | P`.
    OneOf(Vec<Pattern>),
}

/// What the text of a packet, frame, header or body must look like.
#[derive(Debug, Clone, PartialEq)]
pub enum TextPattern {
    /// A pattern over the whole text: `~"regex"`, `"text"`, `@string(1..)`, `!"x"`.
    Pattern(Pattern),
    /// Bare: exactly this.
    Exact(Template),
    /// `40{"sid": @string}`: this, and then JSON that matches.
    Json(Template, Pattern),
}

/// Text or bytes to send.
#[derive(Debug, Clone, PartialEq)]
pub enum Payload {
    /// A quoted text, a function or a name.
    Value(Value),
    /// The rest of the line, or one word, as it stands.
    Bare(Template),
}

/// A regular expression, compiled when the case is read.
#[derive(Debug, Clone)]
pub struct Expression {
    /// As written.
    pub source: String,
    /// Ready to use.
    pub regex: Regex,
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}
