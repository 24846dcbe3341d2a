//! The lines of an imported file, decoded from the encoding that its byte order mark declares.
//!
//! The mark says UTF-8 or UTF-16, as spreadsheets write it; without one the file is UTF-8. A line ends with `\n`,
//! `\r\n` or `\r`.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read};

use encoding_rs::Encoding;
use encoding_rs_io::DecodeReaderBytesBuilder;

/// The longest line, and the longest record, in bytes.
pub const MAX_BYTES: usize = 64 * 1024;

/// The lines of a file, each with its line break.
pub struct Lines {
    input: Box<dyn BufRead>,
    encoding: Option<&'static Encoding>,
    /// Lines that were put back.
    put_back: VecDeque<Vec<u8>>,
    number: u64,
}

impl Lines {
    /// Reads the byte order mark of a file.
    pub fn new(mut input: impl Read + 'static) -> io::Result<Lines> {
        let mut head = Vec::new();
        input.by_ref().take(3).read_to_end(&mut head)?;
        let marked = Encoding::for_bom(&head);
        let rest = head.split_off(marked.map_or(0, |(_, mark)| mark));
        let input = io::Cursor::new(rest).chain(input);
        let encoding = marked.map(|(encoding, _)| encoding).filter(|it| *it != encoding_rs::UTF_8);
        // UTF-8 is not decoded here, so that invalid bytes affect their own line alone.
        let input: Box<dyn BufRead> = match encoding {
            None => Box::new(BufReader::new(input)),
            Some(_) => Box::new(BufReader::new(
                DecodeReaderBytesBuilder::new().encoding(encoding).bom_override(false).build(input),
            )),
        };
        Ok(Lines { input, encoding, put_back: VecDeque::new(), number: 0 })
    }

    /// The encoding, where it is not UTF-8.
    pub fn encoding(&self) -> Option<&'static str> {
        self.encoding.map(Encoding::name)
    }

    /// The number of the last line; the first line is 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The next line; `None` at the end.
    pub fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let line = match self.put_back.pop_front() {
            Some(line) => Some(line),
            None => self.read()?,
        };
        self.number += u64::from(line.is_some());
        Ok(line)
    }

    /// Puts the last lines back.
    pub fn put_back(&mut self, lines: Vec<Vec<u8>>) {
        self.number -= lines.len() as u64;
        lines.into_iter().rev().for_each(|line| self.put_back.push_front(line));
    }

    /// The rest of the file.
    pub fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut rest: Vec<u8> = self.put_back.drain(..).flatten().collect();
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
            let taken = end.map_or(part.len(), |position| position + 1);
            let is_return = end.is_some_and(|position| part[position] == b'\r');
            line.extend_from_slice(&part[..taken]);
            self.input.consume(taken);
            if is_return && self.input.fill_buf()?.first() == Some(&b'\n') {
                line.push(b'\n');
                self.input.consume(1);
            }
            if end.is_some() {
                return Ok(Some(line));
            }
            if line.len() >= MAX_BYTES {
                let number = self.number + 1;
                return Err(io::Error::new(io::ErrorKind::InvalidData, format!("line {number} is too long")));
            }
        }
    }
}

/// A line without its line break.
pub fn without_break(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut lines = Lines::new(io::Cursor::new(bytes.to_vec())).unwrap();
        std::iter::from_fn(|| lines.next().unwrap()).collect()
    }

    #[test]
    fn a_line_ends_as_on_any_system() {
        assert_eq!(lines(b"a\r\nb\rc\n\nd"), [&b"a\r\n"[..], b"b\r", b"c\n", b"\n", b"d"]);
        assert_eq!(lines(b"").len(), 0);
    }

    #[test]
    fn a_byte_order_mark_declares_the_encoding() {
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
    fn a_line_without_break_is_no_line() {
        assert!(Lines::new(io::Cursor::new(vec![b'a'; 70_000])).unwrap().next().is_err());
    }

    #[test]
    fn lines_that_were_put_back_come_again_with_their_numbers() {
        let mut lines = Lines::new(&b"a\nb\nc\n"[..]).unwrap();
        let taken: Vec<_> = (0..2).map(|_| lines.next().unwrap().unwrap()).collect();
        lines.put_back(taken);
        assert_eq!((lines.number(), lines.next().unwrap().unwrap()), (0, b"a\n".to_vec()));
        assert_eq!((lines.number(), lines.rest().unwrap()), (1, b"b\nc\n".to_vec()));
    }
}
