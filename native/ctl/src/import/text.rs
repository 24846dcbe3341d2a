//! The text of a file that is imported, line by line, in whatever encoding it says it has.
//!
//! A mark at the beginning says UTF-8 or UTF-16, as spreadsheets write it; without one it is UTF-8. A line ends with
//! `\n`, `\r\n` or `\r`.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read};

use encoding_rs::Encoding;
use encoding_rs_io::DecodeReaderBytesBuilder;

/// Bytes of the longest line, and of the lines that one record may have.
pub const LONGEST: usize = 64 * 1024;

/// The lines of a file, each with its end.
pub struct Text {
    input: Box<dyn BufRead>,
    encoding: Option<&'static Encoding>,
    /// Lines that were read and not taken.
    waiting: VecDeque<Vec<u8>>,
    number: u64,
}

impl Text {
    /// From the beginning of a file.
    pub fn new(mut input: impl Read + 'static) -> io::Result<Text> {
        let mut head = Vec::new();
        input.by_ref().take(3).read_to_end(&mut head)?;
        let marked = Encoding::for_bom(&head);
        let rest = head.split_off(marked.map_or(0, |(_, mark)| mark));
        let input = io::Cursor::new(rest).chain(input);
        let encoding = marked.map(|(encoding, _)| encoding).filter(|it| *it != encoding_rs::UTF_8);
        // What is no UTF-8 is left, so that it spoils its own line and no other.
        let input: Box<dyn BufRead> = match encoding {
            None => Box::new(BufReader::new(input)),
            Some(_) => Box::new(BufReader::new(
                DecodeReaderBytesBuilder::new().encoding(encoding).bom_override(false).build(input),
            )),
        };
        Ok(Text { input, encoding, waiting: VecDeque::new(), number: 0 })
    }

    /// The encoding, where it is not UTF-8.
    pub fn encoding(&self) -> Option<&'static str> {
        self.encoding.map(Encoding::name)
    }

    /// The number of the line that was taken last; the first is 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The next line; `None` at the end.
    pub fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let line = match self.waiting.pop_front() {
            Some(line) => Some(line),
            None => self.read()?,
        };
        self.number += u64::from(line.is_some());
        Ok(line)
    }

    /// Takes lines back, the last of those that were taken.
    pub fn put_back(&mut self, lines: Vec<Vec<u8>>) {
        self.number -= lines.len() as u64;
        lines.into_iter().rev().for_each(|line| self.waiting.push_front(line));
    }

    /// All that is left.
    pub fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut rest: Vec<u8> = self.waiting.drain(..).flatten().collect();
        self.input.read_to_end(&mut rest)?;
        Ok(rest)
    }

    fn read(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        loop {
            let part = self.input.fill_buf()?;
            if part.is_empty() {
                return Ok((!line.is_empty()).then_some(line));
            }
            let end = part.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let taken = end.map_or(part.len(), |place| place + 1);
            let returned = end.is_some_and(|place| part[place] == b'\r');
            line.extend_from_slice(&part[..taken]);
            self.input.consume(taken);
            if returned && self.input.fill_buf()?.first() == Some(&b'\n') {
                line.push(b'\n');
                self.input.consume(1);
            }
            if end.is_some() {
                return Ok(Some(line));
            }
            if line.len() >= LONGEST {
                let number = self.number + 1;
                return Err(io::Error::new(io::ErrorKind::InvalidData, format!("line {number} is too long")));
            }
        }
    }
}

/// A line without its end.
pub fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut text = Text::new(io::Cursor::new(bytes.to_vec())).unwrap();
        std::iter::from_fn(|| text.next().unwrap()).collect()
    }

    #[test]
    fn a_line_ends_as_any_system_ends_it() {
        assert_eq!(lines(b"a\r\nb\rc\n\nd"), [&b"a\r\n"[..], b"b\r", b"c\n", b"\n", b"d"]);
        assert_eq!(lines(b"").len(), 0);
    }

    #[test]
    fn a_mark_says_the_encoding() {
        let text = "dömain\nx";
        let wide = |bytes: fn(u16) -> [u8; 2]| {
            "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(bytes).collect::<Vec<u8>>()
        };
        let wanted = ["dömain\n".as_bytes(), b"x"];
        assert_eq!(lines(text.as_bytes()), wanted);
        assert_eq!(lines(format!("\u{feff}{text}").as_bytes()), wanted);
        assert_eq!(lines(&wide(u16::to_le_bytes)), wanted);
        assert_eq!(lines(&wide(u16::to_be_bytes)), wanted);
        assert_eq!(lines(b"\xff\xfea").last().unwrap(), "\u{fffd}".as_bytes(), "half a character");
        assert_eq!(lines(b"a\xf3\n"), [b"a\xf3\n"]);
    }

    #[test]
    fn a_line_without_end_is_no_line() {
        assert!(Text::new(io::Cursor::new(vec![b'a'; 70_000])).unwrap().next().is_err());
    }

    #[test]
    fn what_was_put_back_comes_again_under_its_number() {
        let mut text = Text::new(&b"a\nb\nc\n"[..]).unwrap();
        let taken: Vec<_> = (0..2).map(|_| text.next().unwrap().unwrap()).collect();
        text.put_back(taken);
        assert_eq!((text.number(), text.next().unwrap().unwrap()), (0, b"a\n".to_vec()));
        assert_eq!((text.number(), text.rest().unwrap()), (1, b"b\nc\n".to_vec()));
    }
}
