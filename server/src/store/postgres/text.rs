//! PostgreSQL's text holds every character except U+0000, which a chat message may hold. That one is written in another way.

use std::borrow::Cow;

/// Begins what stands for another character: of the private use area, so nobody's text has it by chance; and where it has, it is doubled.
const ESCAPE: char = '\u{f8ff}';

/// Stands for U+0000 behind the escape.
const NUL: char = '0';

/// A text as PostgreSQL can hold it.
pub(super) fn held(text: &str) -> Cow<'_, str> {
    if !text.contains(['\0', ESCAPE]) {
        return Cow::Borrowed(text);
    }
    let mut held = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match character {
            '\0' => held.extend([ESCAPE, NUL]),
            ESCAPE => held.extend([ESCAPE, ESCAPE]),
            plain => held.push(plain),
        }
    }
    Cow::Owned(held)
}

/// A text as it was before it was [`held`].
pub(super) fn released(held: String) -> String {
    if !held.contains(ESCAPE) {
        return held;
    }
    let mut text = String::with_capacity(held.len());
    let mut characters = held.chars();
    while let Some(character) = characters.next() {
        match character {
            ESCAPE => text.extend(characters.next().map(|escaped| if escaped == NUL { '\0' } else { escaped })),
            plain => text.push(plain),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_comes_back_and_holds_no_nul() {
        for text in ["", "plain", "\0", "a\0b\0", "\u{f8ff}", "\u{f8ff}0", "\0\u{f8ff}\u{f8ff}\0", "0\u{f8ff}"] {
            let written = held(text).into_owned();
            assert!(!written.contains('\0'), "{text:?}");
            assert_eq!(released(written), text);
        }
    }
}
