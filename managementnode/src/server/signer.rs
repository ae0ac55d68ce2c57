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

use super::limits::{MAX_ANSWER, MAX_QUESTIONS, MAX_VALIDITY, QUESTION, VALIDITY_TTL};
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
    validity: Mutex<HashMap<String, (bool, Instant)>>,
}

impl SignerClient {
    pub(super) fn new(socket: PathBuf) -> Self {
        Self {
            client: SocketClient::new("signer", socket),
            validity: Mutex::new(HashMap::new()),
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
            let validity = self.validity.lock().unwrap_or_else(PoisonError::into_inner);
            validity.get(&serial).copied()
        };
        if let Some((is_valid, since)) = known
            && since.elapsed() < VALIDITY_TTL
        {
            return Ok(is_valid);
        }
        let question = Question::IsValid(shown);
        let Answer::IsValid(is_valid) = self.ask(&question).await? else {
            bail!("the signer does not say whether a certificate counts");
        };
        let mut validity = self.validity.lock().unwrap_or_else(PoisonError::into_inner);
        if validity.len() >= MAX_VALIDITY {
            validity.clear();
        }
        validity.insert(serial, (is_valid, Instant::now()));
        Ok(is_valid)
    }
}
