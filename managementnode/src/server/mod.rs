//! `slipwayd`: the daemon that nodes talk to.
//!
//! ```text
//! connection ─> limits (may it be?) ─> tls (who is it?) ─> http (what does it ask?) ─┬─> files
//!                                                                                    ├─> states
//! a report in xCAT's form ────────────────────────────────────────────> states       └─> the signer, on its socket
//! ```
//!
//! It reads no authority's key and runs as a user of its own. Everything that others can make grow is bounded in
//! [`limits`]. This directory alone knows hyper, tokio and rustls.

mod api;
mod cli;
mod content;
mod files;
mod http;
mod limits;
mod listeners;
mod nodes;
mod page;
mod plain;
mod probe;
mod signer;
mod stopping;
mod stream;
mod tls;

use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result};
use definitions::states::ReportedState;
use hyper::body::{Body, Incoming};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

pub use cli::Args;
use cli::Verb;
use content::Content;
use files::Tree;
use http::{Caller, Service};
use limits::{
    BEGIN, Connections, DRAIN, HANDSHAKE, HEAD, MAX_FIELDS, MAX_HEAD, MAX_READERS, MAX_REPORT,
    REPORT,
};
use listeners::SocketProtocol;
use nodes::KnownNodes;
use plain::{Begun, Rest};
use signer::{SignerClient, SocketClient};
use stopping::Stopping;
use stream::{Counting, Progress};
use tls::Tls;

use crate::editor;
use crate::states::States;

/// Runs `slipwayd` until it is told to end.
///
/// # Errors
/// When it cannot begin.
pub fn run(args: Args) -> Result<ExitCode> {
    if let Some(Verb::Editor { config, socket }) = &args.verb {
        editor::run(&config.catalog(), socket.as_deref())?;
        return Ok(ExitCode::SUCCESS);
    }
    if args.probe {
        return probe(&args);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    runtime.context("starting")?.block_on(serve(args))
}

/// Asks the daemon that runs whether it answers.
fn probe(args: &Args) -> Result<ExitCode> {
    probe::by_http(args.http)?;
    if let Some(credentials) = &args.credentials {
        let master = args.config.catalog().site()?.master;
        let master = master.context("the site has no master, as which nodes know this machine")?;
        for address in &args.tls {
            probe::by_tls(*address, credentials, &master)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn serve(args: Args) -> Result<ExitCode> {
    let catalog = args.config.catalog();
    let installdir = catalog.site()?.install_dir();
    let tls = args.credentials.as_deref().map(Tls::load).transpose()?;
    let service = Arc::new(Service {
        tree: Tree::open(installdir.path())?,
        nodes: KnownNodes::load(catalog)?,
        states: Mutex::new(States::open(&args.state)?),
        root: tls.as_ref().map(|tls| tls.root.clone()),
        readers: Arc::new(Semaphore::new(MAX_READERS)),
        signer: SignerClient::new(args.signer.clone()),
        editor: SocketClient::new("editor", args.editor.clone()),
    });
    let mut wanted = vec![
        (args.http, SocketProtocol::Http),
        (args.reports, SocketProtocol::Reports),
    ];
    wanted.extend(
        args.tls
            .iter()
            .map(|address| (*address, SocketProtocol::Tls)),
    );
    if tls.is_none() {
        eprintln!("slipwayd: no --credentials: nodes cannot enrol, and there is no TLS");
        wanted.retain(|(_, protocol)| *protocol != SocketProtocol::Tls);
    }
    let (stop, stopping) = Stopping::new();
    let listening = Listening {
        service,
        tls,
        connections: Connections::new(args.max_connections, args.max_per_address),
        stopping,
    };
    for (listener, protocol) in listeners::open(&wanted)? {
        if protocol == SocketProtocol::Tls && listening.tls.is_none() {
            continue;
        }
        let name = protocol.name();
        let opening = || format!("listening for {name}");
        let address = listener.local_addr().with_context(opening)?;
        listener.set_nonblocking(true).with_context(opening)?;
        let listener = TcpListener::from_std(listener).with_context(opening)?;
        eprintln!("slipwayd: {name} on {address}");
        tokio::spawn(accept(listener, protocol, listening.clone()));
    }
    drop(listening);
    eprintln!("slipwayd: serving {}", installdir.path().display());
    let (mut end, mut interrupt) = (
        signal(SignalKind::terminate()).context("setting a handler for signals")?,
        signal(SignalKind::interrupt()).context("setting a handler for signals")?,
    );
    tokio::select! {
        _ = end.recv() => {}
        _ = interrupt.recv() => {}
    }
    // What was asked before is answered still; who connects now is the next process's.
    let _ = stop.send(true);
    let _ = timeout(DRAIN, stop.closed()).await;
    Ok(ExitCode::SUCCESS)
}

/// What all listeners share.
#[derive(Clone)]
struct Listening {
    service: Arc<Service>,
    tls: Option<Tls>,
    connections: Connections,
    /// Whoever has it is waited for when the daemon is told to end.
    stopping: Stopping,
}

async fn accept(listener: TcpListener, protocol: SocketProtocol, mut listening: Listening) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = listening.stopping.told() => return,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // A client that is gone again is nothing; without descriptors, waiting is all that helps.
                if !matches!(
                    error.kind(),
                    ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset
                ) {
                    eprintln!("slipwayd: accepting a connection: {error}");
                    sleep(Duration::from_millis(100)).await;
                }
                continue;
            }
        };
        let Some(counted) = listening.connections.admit(peer.ip().to_canonical()) else {
            continue;
        };
        let listening = listening.clone();
        tokio::spawn(async move {
            connection(stream, peer, protocol, listening).await;
            drop(counted);
        });
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    protocol: SocketProtocol,
    listening: Listening,
) {
    let _ = stream.set_nodelay(true);
    let (service, stopping) = (listening.service, listening.stopping);
    let mut caller = Caller {
        address: peer.ip().to_canonical(),
        is_tls: false,
        peer: None,
    };
    match (protocol, listening.tls) {
        (SocketProtocol::Http, _) => answer_plain(stream, caller, service, stopping).await,
        (SocketProtocol::Reports, _) => {
            let _ = timeout(REPORT, report(stream, caller, service)).await;
        }
        (SocketProtocol::Tls, Some(tls)) => {
            let Ok(Ok(stream)) = timeout(HANDSHAKE, tls.acceptor.accept(stream)).await else {
                return;
            };
            caller.is_tls = true;
            let chain = stream.get_ref().1.peer_certificates();
            caller.peer = chain.and_then(|chain| tls.peer(chain));
            answer(stream, caller, service, stopping).await;
        }
        (SocketProtocol::Tls, None) => {}
    }
}

/// Answers requests for files on a plain connection, then whatever else comes.
async fn answer_plain(
    mut stream: TcpStream,
    caller: Caller,
    service: Arc<Service>,
    mut stopping: Stopping,
) {
    let progress = Progress::default();
    let node = || Arc::clone(&service).node(caller.clone());
    let rest = tokio::select! {
        rest = plain::serve(&mut stream, &service.tree, node, &progress, &mut stopping) => rest,
        () = progress.stalled() => return,
    };
    if let Rest::Request(read) = rest {
        answer(Begun::new(read, stream), caller, service, stopping).await;
    }
}

/// Answers requests until the connection ends, or nothing moves on it.
async fn answer<S>(stream: S, caller: Caller, service: Arc<Service>, mut stopping: Stopping)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let progress = Progress::default();
    let stream = TokioIo::new(Counting::new(stream, progress.clone()));
    let service = service_fn(move |request| {
        let (service, caller) = (Arc::clone(&service), caller.clone());
        async move { Ok::<_, Infallible>(answer_request(service, caller, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_headers(MAX_FIELDS)
        .max_buf_size(MAX_HEAD)
        .serve_connection(stream, service);
    let (mut connection, mut stalled) = (pin!(connection), pin!(progress.stalled()));
    let mut is_last = false;
    loop {
        tokio::select! {
            // What went wrong on a connection is its client's to know.
            _ = connection.as_mut() => return,
            () = stalled.as_mut() => return,
            () = is_to_end(&mut stopping, &progress), if !is_last => {
                is_last = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// Answers a request. Whoever refuses one may not have read its body, and hyper ends the connection then: a client that is
/// not told would send its next request into it.
async fn answer_request(
    service: Arc<Service>,
    caller: Caller,
    request: Request<Incoming>,
) -> Response<Content> {
    let has_body = !request.body().is_end_stream();
    let mut response = service.answer(caller, request).await;
    if has_body && !response.status().is_success() {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    response
}

/// Returns when the daemon is told to end and the connection has begun: hyper would close one that has not, although its
/// request is on its way.
async fn is_to_end(stopping: &mut Stopping, progress: &Progress) {
    stopping.told().await;
    let _ = timeout(BEGIN, progress.begun()).await;
}

/// Hears a report in xCAT's form: we say `ready`, the node `installstatus STATE`, we `done`.
async fn report(mut stream: TcpStream, caller: Caller, service: Arc<Service>) -> Result<()> {
    stream.write_all(b"ready\n").await?;
    let (read, mut write) = stream.split();
    let mut line = String::new();
    BufReader::new(read.take(MAX_REPORT))
        .read_line(&mut line)
        .await?;
    let state = line
        .trim()
        .strip_prefix("installstatus ")
        .and_then(ReportedState::parse);
    if let Some(state) = state {
        let recorded =
            tokio::task::spawn_blocking(move || service.record(&caller, state, Vec::new())).await?;
        if let Err(error) = recorded {
            http::log(&format!("{error:#}"));
        }
    }
    write.write_all(b"done\n").await?;
    Ok(())
}
