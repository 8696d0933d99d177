//! The case language: its data, its parser, its printer, and how patterns match.

mod act;
mod ast;
mod cursor;
mod eval;
mod json;
mod json_value;
mod matching;
mod names;
mod parse;
mod parse_header;
mod parse_options;
mod parse_pattern;
mod parse_serve;
mod parse_step;
mod parse_value;
mod parse_world;
mod print;
mod print_value;
mod serve;
mod value;

pub use act::{
    Act, Answered, Arrives, Body, BodyPattern, ExpectMode, Expected, Incoming, Outgoing, Request, StatusPattern, Tail,
};
pub use ast::{ActorName, Asked, Case, ConnectOptions, Own, Step, StepAct, Transport, WorldVerb};
pub use cursor::CaseError;
pub use eval::{Scope, bytes_of, eval, eval_span, eval_template, eval_text};
pub(crate) use eval::{eval_millis, eval_url, percent_encoded};
pub use matching::{Bindings, Mismatch, match_pattern, match_text};
pub(crate) use matching::{clipped, recorded};
pub(crate) use names::facts;
pub use parse::{parse_case, parse_steps};
pub use serve::{Serve, Starting};
pub use value::{
    Amount, Bounds, Call, Expression, Kind, Path, Pattern, Payload, Piece, Span, SpanTerm, Template, TextPattern,
    TokenCall, Value,
};

#[cfg(test)]
mod grammar_tests;
#[cfg(test)]
mod matching_tests;
