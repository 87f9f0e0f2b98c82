//! A stream whose writes leave by themselves. TLS and WebSocket take bytes into buffers of their own and
//! wait for a flush; a connection writes when there is something to say and then only reads. So what is
//! owed is flushed before every read.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Reader and writer must be the same task, as the halves of a split stream in one `select!` are.
pub(super) struct Eager<S> {
    stream: S,
    owes: bool,
}

impl<S> Eager<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            owes: false,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Eager<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.owes {
            match Pin::new(&mut self.stream).poll_flush(cx) {
                Poll::Ready(flushed) => {
                    flushed?;
                    self.owes = false;
                }
                // The peer does not read. It may still speak.
                Poll::Pending => {}
            }
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Eager<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, buf))?;
        self.owes = true;
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.owes = false;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, BufStream};

    #[tokio::test]
    async fn what_was_written_reaches_a_peer_that_is_only_listened_to() {
        let (near, mut far) = tokio::io::duplex(64);
        let mut eager = Eager::new(BufStream::new(near));
        eager.write_all(b"welcome").await.expect("it is open");
        let mut answer = [0; 2];
        let mut heard = [0; 7];
        let (read, told) = tokio::join!(eager.read_exact(&mut answer), async {
            far.read_exact(&mut heard).await?;
            far.write_all(b"hi").await
        });
        read.and(told.map(|()| 0)).expect("both are there");
        assert_eq!((&heard, &answer), (b"welcome", b"hi"));
    }
}
