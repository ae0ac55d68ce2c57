//! A connection that has become a console: bytes both ways, and the size of the window beside them.

use anyhow::{Context, Result};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, split};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::Call;
use super::connection::EngineConnection;

/// How many pieces of input wait at most.
const MAX_WAITING: usize = 16;

/// Where a console gets its input from, in a thread of its own.
#[derive(Debug, Clone)]
pub(crate) struct ConsoleInput(Sender<Vec<u8>>);

impl ConsoleInput {
    /// Waits until there is room, and hands on; says whether anybody takes input still.
    pub(crate) fn send(&self, bytes: &[u8]) -> bool {
        self.0.blocking_send(bytes.to_vec()).is_ok()
    }
}

/// The near side of a console.
pub(crate) struct Console<'a> {
    input: Receiver<Vec<u8>>,
    /// Takes what the far side prints.
    pub(crate) output: &'a mut dyn FnMut(&[u8]) -> Result<()>,
    /// Tells the window's rows and columns, where there is one.
    pub(crate) window: &'a dyn Fn() -> Option<(u16, u16)>,
    /// The path of the call that sets the size of the far side.
    pub(crate) resize: String,
    /// Whether it ended since this process is to end.
    pub(crate) interrupted: bool,
}

impl<'a> Console<'a> {
    /// Makes one, and what feeds it; the far side sees the end of its input when that is dropped.
    pub(crate) fn new(
        output: &'a mut dyn FnMut(&[u8]) -> Result<()>,
        window: &'a dyn Fn() -> Option<(u16, u16)>,
        resize: String,
    ) -> (Self, ConsoleInput) {
        let (sender, input) = channel(MAX_WAITING);
        let console = Self {
            input,
            output,
            window,
            resize,
            interrupted: false,
        };
        (console, ConsoleInput(sender))
    }

    /// Moves bytes until the far side ends. Its loss looks the same: who calls asks what became of it.
    pub(super) async fn run(
        &mut self,
        stream: TokioIo<Upgraded>,
        connection: &mut EngineConnection,
    ) -> Result<()> {
        let (mut reader, mut writer) = split(stream);
        let mut changed =
            signal(SignalKind::window_change()).context("following the window's size")?;
        let mut terminated = signal(SignalKind::terminate()).context("waiting for signals")?;
        let mut hung_up = signal(SignalKind::hangup()).context("waiting for signals")?;
        let (_, closed) = channel(1);
        let mut input = std::mem::replace(&mut self.input, closed);
        // before whatever is typed, which may ask for it
        self.follow_window(connection).await;
        let typing = tokio::spawn(async move {
            while let Some(bytes) = input.recv().await {
                if writer.write_all(&bytes).await.is_err() || writer.flush().await.is_err() {
                    return;
                }
            }
            // A far side that is gone needs no end of input.
            let _ = writer.shutdown().await;
        });
        let mut buffer = vec![0; 16 << 10];
        let result = loop {
            tokio::select! {
                _ = terminated.recv() => self.interrupted = true,
                _ = hung_up.recv() => self.interrupted = true,
                read = reader.read(&mut buffer) => match read {
                    Ok(0) | Err(_) => break Ok(()),
                    Ok(length) => {
                        if let Err(error) = (self.output)(&buffer[..length]) {
                            break Err(error);
                        }
                    }
                },
                _ = changed.recv() => self.follow_window(connection).await,
            }
            if self.interrupted {
                break Ok(());
            }
        };
        typing.abort();
        result
    }

    /// Sets the size of the far side. One that has just ended has none, which is no error.
    async fn follow_window(&self, connection: &mut EngineConnection) {
        let Some((rows, columns)) = (self.window)() else {
            return;
        };
        let call = Call::post(&self.resize)
            .query("h", &rows.to_string())
            .query("w", &columns.to_string());
        if let Ok(response) = connection.send(&call).await {
            let _ = connection.answer(response, &call).await;
        }
    }
}
