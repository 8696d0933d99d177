//! A fuzzer of one page that runs on any toolchain: stored inputs are bent, joined and cut at random, and whatever makes a target do what it
//! has not done before is bent further. One seed decides everything; `CHATWRIGHT_FUZZ_SEED` is another one, `CHATWRIGHT_FUZZ_SECONDS` a longer run.
//!
//! A corpus is a text file of one input a line, with `\xNN` for bytes that are no printable ASCII, `\\`, and `#` before a remark.

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hasher as _},
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

/// Between two parts of an input that is a stream; no UTF-8 has this byte.
pub(crate) const BETWEEN: u8 = 0xff;
/// Before a part that is binary; no UTF-8 has this byte.
pub(crate) const BINARY: u8 = 0xfe;

/// How long each target is tried where nobody says otherwise: all of them together must not hold up whoever runs the tests.
const SECONDS: u64 = 2;
/// Bytes of an input: more would only be slower.
const INPUT_BYTES_MAX: usize = 4096;
/// Inputs that are kept because they were new.
const KEPT_MAX: usize = 4096;
/// Changes of one input before it is tried.
const CHANGES_MAX: u64 = 6;

/// What a target did with an input, as far as it tells inputs apart.
pub(crate) struct Seen(DefaultHasher);

impl Seen {
    pub(crate) fn note(&mut self, what: impl std::hash::Hash) {
        what.hash(&mut self.0);
    }
}

/// The parts of an input that is a stream: texts, and binary ones.
pub(crate) fn parts(input: &[u8]) -> impl Iterator<Item = Result<String, &[u8]>> {
    input.split(|byte| *byte == BETWEEN).map(|part| match part.split_first() {
        Some((&BINARY, bytes)) => Err(bytes),
        Some(_) | None => Ok(String::from_utf8_lossy(part).into_owned()),
    })
}

/// Tries a target with everything that is stored, and then with what becomes of that.
///
/// # Panics
/// When the target does, with the input as a line for the corpus.
pub(crate) fn run(corpus: &str, words: &[&str], target: impl Fn(&[u8], &mut Seen)) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let (seed, seconds) =
        (number("CHATWRIGHT_FUZZ_SEED").unwrap_or(1), number("CHATWRIGHT_FUZZ_SECONDS").unwrap_or(SECONDS));
    let mut inputs: Vec<Vec<u8>> =
        corpus.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(read).collect();
    assert!(!inputs.is_empty(), "a corpus has inputs");
    let mut known = HashSet::new();
    for input in &inputs {
        known.insert(outcome(&target, input, seed));
    }
    let (mut dice, until) = (Dice(seed | 1), Instant::now() + Duration::from_secs(seconds));
    while Instant::now() < until {
        let input = dice.bent(&inputs, words);
        let outcome = outcome(&target, &input, seed);
        if known.len() < KEPT_MAX && known.insert(outcome) {
            inputs.push(input);
        }
    }
}

fn outcome(target: &impl Fn(&[u8], &mut Seen), input: &[u8], seed: u64) -> u64 {
    let tried = catch_unwind(AssertUnwindSafe(|| {
        let mut seen = Seen(DefaultHasher::new());
        target(input, &mut seen);
        seen.0.finish()
    }));
    tried.unwrap_or_else(|_| panic!("seed {seed}; a line for the corpus, so that it stays mended:\n{}", written(input)))
}

/// Chance, from a seed (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end.max(1) as u64).unwrap_or(0)
    }

    fn bent(&mut self, inputs: &[Vec<u8>], words: &[&str]) -> Vec<u8> {
        let mut input = inputs[self.below(inputs.len())].clone();
        for _ in 0..=self.below(CHANGES_MAX as usize) {
            self.change(&mut input, inputs, words);
        }
        input.truncate(INPUT_BYTES_MAX);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, inputs: &[Vec<u8>], words: &[&str]) {
        let at = self.below(input.len() + 1);
        let end = at + self.below(input.len() - at + 1);
        match self.below(7) {
            0 if at < input.len() => input[at] ^= 1 << self.below(8),
            1 if at < input.len() => input[at] = u8::try_from(self.below(256)).unwrap_or(0),
            2 => drop(input.drain(at..end)),
            3 => {
                let again = input[at..end].to_vec();
                input.splice(at..at, again);
            }
            4 => {
                let other = &inputs[self.below(inputs.len())];
                let from = self.below(other.len() + 1);
                input.splice(at..end, other[from..].iter().copied());
            }
            5 => input.insert(at, BETWEEN),
            _ => {
                let word = words[self.below(words.len())];
                input.splice(at..at, word.bytes());
            }
        }
    }
}

fn read(line: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = line.as_bytes();
    while let [first, behind @ ..] = rest {
        rest = behind;
        if *first != b'\\' {
            bytes.push(*first);
            continue;
        }
        match rest {
            [b'x', high, low, behind @ ..] => {
                let digits = [*high, *low];
                let digits = str::from_utf8(&digits).expect("two digits");
                bytes.push(u8::from_str_radix(digits, 16).expect("\\xNN with two hexadecimal digits"));
                rest = behind;
            }
            [other, behind @ ..] => {
                bytes.push(*other);
                rest = behind;
            }
            [] => panic!("a corpus line ends in a backslash: {line}"),
        }
    }
    bytes
}

fn written(input: &[u8]) -> String {
    let each = |byte: &u8| match byte {
        b'\\' => "\\\\".to_owned(),
        b' '..=b'~' => char::from(*byte).to_string(),
        _ => format!("\\x{byte:02x}"),
    };
    input.iter().map(each).collect()
}
