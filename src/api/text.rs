//! How much of what others wrote may stand where people read it, and in which form.
//!
//! Names, annotations, answers of providers, of API servers and of what stands before them end up in log lines, Events and
//! conditions. Each of them goes through [`line()`]: one line, of bounded length, without characters that do something to a terminal.

/// Most bytes of the note of an Event: what the API accepts.
pub const NOTE: usize = 1024;

/// Most bytes of the message of a condition. The API accepts 32 KiB; nobody reads that.
pub const CONDITION: usize = 4096;

/// Most bytes of one field of a log line.
pub const LOGGED: usize = 2048;

/// Most bytes of a sentence of another program inside a message.
pub const SENTENCE: usize = 512;

/// What stands at the end of a text that was cut.
const CUT: &str = "… (cut)";

/// A text as one line of at most `most` bytes.
#[must_use]
pub fn line(text: &str, most: usize) -> String {
    let mut line = String::with_capacity(text.len().min(most));
    for character in text.trim_end().chars() {
        let character = if is_harmless(character) { character } else { ' ' };
        if line.len() + character.len_utf8() > most {
            let mut keep = most.saturating_sub(CUT.len());
            while !line.is_char_boundary(keep) {
                keep -= 1;
            }
            line.truncate(keep);
            line.push_str(CUT);
            return line;
        }
        line.push(character);
    }
    line
}

/// Neither a control character, nor one that breaks lines or turns the direction of writing around.
fn is_harmless(character: char) -> bool {
    !character.is_control()
        && !matches!(character, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_one_line_of_bounded_length() {
        assert_eq!(line("as it is", NOTE), "as it is");
        assert_eq!(line("two\nlines\r\n\u{1b}[31mred\u{202e}", NOTE), "two lines   [31mred ");
        for text in ["ä".repeat(600), "x".repeat(1025), "\u{1f600}".repeat(100_000)] {
            let cut = line(&text, NOTE);
            assert!(cut.len() <= NOTE && cut.len() > NOTE - 16 && cut.ends_with(CUT), "{cut}");
        }
        assert_eq!(line(&"x".repeat(NOTE), NOTE).len(), NOTE);
        assert!(!line(&"x".repeat(NOTE), NOTE).contains(CUT));
    }
}
