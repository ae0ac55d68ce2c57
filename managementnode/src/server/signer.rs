//! The signer, asked on its socket.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::limits::{MAX_BODY, MAX_QUESTIONS, MAX_STANDINGS, QUESTION, STANDING};
use crate::trust::{Answer, Question};

/// The signer.
#[derive(Debug)]
pub(super) struct SignerClient {
    socket: PathBuf,
    turns: Semaphore,
    /// Which certificates count, and since when that is known.
    standings: Mutex<HashMap<String, (bool, Instant)>>,
}

impl SignerClient {
    pub(super) fn new(socket: PathBuf) -> Self {
        Self {
            socket,
            turns: Semaphore::new(MAX_QUESTIONS),
            standings: Mutex::new(HashMap::new()),
        }
    }

    /// Asks the signer.
    ///
    /// # Errors
    /// When it does not answer in time.
    pub(super) async fn ask(&self, question: &Question) -> Result<Answer> {
        let asking = || format!("asking the signer on {}", self.socket.display());
        let asked = async {
            let _turn = self.turns.acquire().await?;
            let mut stream = UnixStream::connect(&self.socket).await?;
            let line = serde_json::to_string(question)? + "\n";
            stream.write_all(line.as_bytes()).await?;
            let mut text = String::new();
            stream
                .take(MAX_BODY as u64)
                .read_to_string(&mut text)
                .await?;
            Ok(serde_json::from_str(&text)?)
        };
        let answered: Result<_> = timeout(QUESTION, asked).await.with_context(asking)?;
        answered.with_context(asking)
    }

    /// Says whether a certificate is on record and not revoked, as of a few seconds ago at most.
    ///
    /// # Errors
    /// When the signer does not say.
    pub(super) async fn is_valid(&self, serial: &str) -> Result<bool> {
        let known = {
            let standings = self
                .standings
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            standings.get(serial).copied()
        };
        if let Some((stands, since)) = known
            && since.elapsed() < STANDING
        {
            return Ok(stands);
        }
        let question = Question::Standing(serial.to_owned());
        let Answer::Standing(stands) = self.ask(&question).await? else {
            bail!("the signer does not say whether a certificate counts");
        };
        let mut standings = self
            .standings
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if standings.len() >= MAX_STANDINGS {
            standings.clear();
        }
        standings.insert(serial.to_owned(), (stands, Instant::now()));
        Ok(stands)
    }
}
