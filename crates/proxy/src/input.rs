//! What was read of a connection and not yet passed on.

use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The reading half of a connection, with what is read ahead.
#[derive(Debug)]
pub(crate) struct Input<R> {
    reader: R,
    data: Vec<u8>,
    start: usize,
    end: usize,
    /// The room that it has when nothing needs more.
    size: usize,
}

impl<R: AsyncRead + Unpin> Input<R> {
    pub(crate) fn new(reader: R, size: usize) -> Self {
        Self {
            reader,
            data: vec![0; size],
            start: 0,
            end: 0,
            size,
        }
    }

    /// What is there.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.data[self.start..self.end]
    }

    /// Forgets the first bytes: they are passed on.
    pub(crate) fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
            if self.data.len() > self.size {
                self.data = vec![0; self.size];
            }
        }
    }

    /// Reads more behind what is there; how much, 0 at the end. It may be given up at any
    /// moment: nothing is lost then. Where there is no room, room is made; who reads on
    /// without passing on has to look at the limit.
    pub(crate) async fn more(&mut self) -> io::Result<usize> {
        if self.end == self.data.len() {
            if self.start > 0 {
                self.data.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
            } else {
                self.data.resize(self.data.len() * 2, 0);
            }
        }
        let read = self.reader.read(&mut self.data[self.end..]).await?;
        self.end += read;
        Ok(read)
    }
}
