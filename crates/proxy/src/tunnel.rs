//! Two connections as one: what comes at one end goes out at the other, until both have ended.

use crate::input::Input;
use crate::side::{Side, pass_on};
use std::io;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

/// Passes on what is read ahead and all that follows, in both directions. The end of one
/// direction is told as such (`SHUT_WR`) and leaves the other alone. It is over when both have
/// ended, or when the client takes nothing more.
pub(crate) async fn tunnel<C, U>(client: &mut Side<C>, upstream: &mut Side<U>)
where
    C: AsyncRead + AsyncWrite,
    U: AsyncRead + AsyncWrite,
{
    // Dockerd may hang up while its last words lie unread here: that it takes no more is no
    // reason not to deliver them.
    let up = copy(&mut client.input, &mut upstream.output);
    let down = copy(&mut upstream.input, &mut client.output);
    tokio::pin!(up, down);
    let mut is_up = true;
    let mut is_down = true;
    while is_up || is_down {
        tokio::select! {
            ended = &mut up, if is_up => {
                is_up = false;
                if matches!(ended, Err(Broken::Read)) {
                    return;
                }
            }
            ended = &mut down, if is_down => {
                is_down = false;
                if ended.is_err() {
                    return;
                }
            }
        }
    }
}

/// Which end of a direction failed.
enum Broken {
    Read,
    Write,
}

async fn copy<R, W>(input: &mut Input<R>, output: &mut W) -> Result<(), Broken>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let written = |_: io::Error| Broken::Write;
    loop {
        let mut ready = input.bytes().len();
        if ready > 0 {
            let passed = pass_on(input, output, &mut ready).await;
            passed.map_err(written)?;
        }
        if input.more().await.map_err(|_| Broken::Read)? == 0 {
            return output.shutdown().await.map_err(written);
        }
    }
}
