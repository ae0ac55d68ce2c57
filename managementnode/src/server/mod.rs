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

mod cli;
mod files;
mod http;
mod limits;
mod nodes;
mod probe;
mod signer;
mod stream;
mod tls;

use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result};
use definitions::terminal::escaped;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

pub use cli::Args;
use files::Tree;
use http::{Caller, Service};
use limits::{Connections, HANDSHAKE, HEAD, MAX_FIELDS, MAX_HEAD, MAX_REPORT, REPORT};
use nodes::KnownNodes;
use signer::SignerClient;
use stream::{Counting, Progress};
use tls::Tls;

use crate::states::{ReportedState, States};
use crate::trust::holder;

/// Runs `slipwayd` until it is told to end.
///
/// # Errors
/// When it cannot begin.
pub fn run(args: Args) -> Result<ExitCode> {
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
        probe::by_tls(args.tls, credentials, &master)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What a listener does with its connections.
#[derive(Clone)]
enum Speaks {
    Http,
    Tls(TlsAcceptor),
    /// xCAT's `installstatus`.
    Reports,
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
        signer: SignerClient::new(args.signer.clone()),
    });
    let mut listeners = vec![(args.http, Speaks::Http), (args.reports, Speaks::Reports)];
    match tls {
        Some(tls) => listeners.push((args.tls, Speaks::Tls(tls.acceptor))),
        None => eprintln!("slipwayd: no --credentials: nodes cannot enrol, and there is no TLS"),
    }
    let connections = Connections::default();
    for (address, speaks) in listeners {
        let listener = TcpListener::bind(address).await;
        let listener = listener.with_context(|| format!("listening on {address}"))?;
        let address = listener
            .local_addr()
            .with_context(|| format!("listening on {address}"))?;
        let name = match speaks {
            Speaks::Http => "http",
            Speaks::Tls(_) => "tls",
            Speaks::Reports => "reports",
        };
        eprintln!("slipwayd: {name} on {address}");
        tokio::spawn(accept(
            listener,
            speaks,
            Arc::clone(&service),
            connections.clone(),
        ));
    }
    eprintln!("slipwayd: serving {}", installdir.path().display());
    let (mut end, mut interrupt) = (
        signal(SignalKind::terminate()).context("setting a handler for signals")?,
        signal(SignalKind::interrupt()).context("setting a handler for signals")?,
    );
    tokio::select! {
        _ = end.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(ExitCode::SUCCESS)
}

async fn accept(
    listener: TcpListener,
    speaks: Speaks,
    service: Arc<Service>,
    connections: Connections,
) {
    loop {
        let (stream, peer) = match listener.accept().await {
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
        let Some(counted) = connections.admit(peer.ip().to_canonical()) else {
            continue;
        };
        let (speaks, service) = (speaks.clone(), Arc::clone(&service));
        tokio::spawn(async move {
            connection(stream, peer, speaks, service).await;
            drop(counted);
        });
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, speaks: Speaks, service: Arc<Service>) {
    let _ = stream.set_nodelay(true);
    let mut caller = Caller {
        address: peer.ip().to_canonical(),
        is_tls: false,
        certificate: None,
    };
    match speaks {
        Speaks::Http => answer(stream, caller, service).await,
        Speaks::Reports => {
            let _ = timeout(REPORT, report(stream, caller, service)).await;
        }
        Speaks::Tls(acceptor) => {
            let Ok(Ok(stream)) = timeout(HANDSHAKE, acceptor.accept(stream)).await else {
                return;
            };
            caller.is_tls = true;
            let chain = stream.get_ref().1.peer_certificates();
            caller.certificate = chain.and_then(<[_]>::first).and_then(|own| holder(own));
            answer(stream, caller, service).await;
        }
    }
}

/// Answers requests until the connection ends, or nothing moves on it.
async fn answer<S>(stream: S, caller: Caller, service: Arc<Service>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let progress = Progress::default();
    let stream = TokioIo::new(Counting::new(stream, progress.clone()));
    let service = service_fn(move |request| {
        let (service, caller) = (Arc::clone(&service), caller.clone());
        async move { Ok::<_, Infallible>(service.answer(caller, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_headers(MAX_FIELDS)
        .max_buf_size(MAX_HEAD)
        .serve_connection(stream, service);
    tokio::select! {
        // What went wrong on a connection is its client's to know.
        _ = connection => {}
        () = progress.stalled() => {}
    }
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
            eprintln!("slipwayd: {}", escaped(&format!("{error:#}"), '\t'));
        }
    }
    write.write_all(b"done\n").await?;
    Ok(())
}
