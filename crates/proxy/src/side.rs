//! One of the two connections between which is passed on.

use crate::input::Input;
use std::io;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};

/// A connection: its two halves are used at once.
#[derive(Debug)]
pub(crate) struct Side<S> {
    pub(crate) input: Input<ReadHalf<S>>,
    pub(crate) output: WriteHalf<S>,
}

impl<S: AsyncRead + AsyncWrite> Side<S> {
    pub(crate) fn new(stream: S, buffer: usize) -> Self {
        let (reader, output) = tokio::io::split(stream);
        Self {
            input: Input::new(reader, buffer),
            output,
        }
    }
}

/// Writes the first `ready` bytes of what is read ahead. It may be given up at any moment:
/// what is written is consumed, and `ready` counts what is not.
pub(crate) async fn pass_on<R, W>(
    input: &mut Input<R>,
    output: &mut W,
    ready: &mut usize,
) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    while *ready > 0 {
        let written = output.write(&input.bytes()[..*ready]).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        input.consume(written);
        *ready -= written;
    }
    output.flush().await
}
