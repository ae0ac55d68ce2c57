//! The signer and the editor, asked on their sockets.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::limits::{MAX_ANSWER, MAX_QUESTIONS, MAX_STANDINGS, QUESTION, STANDING};
use crate::trust::{Answer, Question, ShownCertificate};

/// A process that is asked on its socket.
#[derive(Debug)]
pub(super) struct SocketClient {
    /// What it is called.
    name: &'static str,
    socket: PathBuf,
    turns: Semaphore,
}

impl SocketClient {
    pub(super) fn new(name: &'static str, socket: PathBuf) -> Self {
        let turns = Semaphore::new(MAX_QUESTIONS);
        Self {
            name,
            socket,
            turns,
        }
    }

    /// Asks it.
    ///
    /// # Errors
    /// When it does not answer in time.
    pub(super) async fn ask<Q: Serialize, A: DeserializeOwned>(&self, question: &Q) -> Result<A> {
        let asking = || format!("asking the {} on {}", self.name, self.socket.display());
        let asked = async {
            let _turn = self.turns.acquire().await?;
            let mut stream = UnixStream::connect(&self.socket).await?;
            let line = serde_json::to_string(question)? + "\n";
            stream.write_all(line.as_bytes()).await?;
            let mut text = String::new();
            stream.take(MAX_ANSWER).read_to_string(&mut text).await?;
            Ok(serde_json::from_str(&text)?)
        };
        let answered: Result<_> = timeout(QUESTION, asked).await.with_context(asking)?;
        answered.with_context(asking)
    }
}

/// The signer.
#[derive(Debug)]
pub(super) struct SignerClient {
    client: SocketClient,
    /// Which certificates count, and since when that is known.
    standings: Mutex<HashMap<String, (bool, Instant)>>,
}

impl SignerClient {
    pub(super) fn new(socket: PathBuf) -> Self {
        Self {
            client: SocketClient::new("signer", socket),
            standings: Mutex::new(HashMap::new()),
        }
    }

    /// Asks the signer.
    ///
    /// # Errors
    /// When it does not answer in time.
    pub(super) async fn ask(&self, question: &Question) -> Result<Answer> {
        self.client.ask(question).await
    }

    /// Says whether a certificate is on record and not revoked, as of a few seconds ago at most.
    ///
    /// # Errors
    /// When the signer does not say.
    pub(super) async fn is_valid(&self, shown: ShownCertificate) -> Result<bool> {
        let serial = shown.serial.clone();
        let known = {
            let standings = self
                .standings
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            standings.get(&serial).copied()
        };
        if let Some((stands, since)) = known
            && since.elapsed() < STANDING
        {
            return Ok(stands);
        }
        let question = Question::Standing(shown);
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
        standings.insert(serial, (stands, Instant::now()));
        Ok(stands)
    }
}
