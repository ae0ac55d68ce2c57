//! `rcons`: the console of a container.
//!
//! A container that was made with a terminal is attached to; one without gets a shell with a terminal of its own. Keys go
//! to the engine as they are typed, and it is the engine that ends the session on Ctrl-E c . as in xCAT. When the engine
//! is lost, a console that was attached is attached again: the container goes on meanwhile.

use std::io::{IsTerminal, Read, Write, stderr, stdin, stdout};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use definitions::terminal::escaped;
use definitions::{Noderange, ProcessArguments};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use serde_json::{Value, json};

use crate::cluster::{Cluster, ClusterArgs, EngineHost};
use crate::engine::{Call, Console, ConsoleInput, EngineAnswer, EngineApi};
use crate::fanout::lock;

/// What leaves a console, as the engine writes it, and as it is typed.
const LEAVE: &str = "ctrl-e,c,.";
const LEAVE_TYPED: &[u8] = b"\x05c.";
/// How long an engine that was lost may stay away.
const RETURN_TIMEOUT: Duration = Duration::from_secs(120);
/// How often it is tried meanwhile.
const RETURN_INTERVAL: Duration = Duration::from_millis(500);

/// Open the console of a container
///
/// Ctrl-E c . leaves it; the container goes on. A container that was made without a terminal gets a shell beside what it
/// runs.
#[derive(Debug, clap::Parser)]
#[command(name = "rcons", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Args {
    #[command(flatten)]
    cluster: ClusterArgs,

    /// The container
    #[arg(value_name = "NODE")]
    node: Noderange,

    /// Run this beside what the container runs, with a terminal of its own; /bin/sh where it has no terminal
    #[arg(long, value_name = "COMMAND")]
    exec: Option<ProcessArguments>,

    /// Say how the console would be opened, as JSON, and open none
    #[arg(long)]
    json: bool,

    /// Say how the console would be opened, and open none
    #[arg(long)]
    dry_run: bool,
}

const EXAMPLES: &str = "\
Examples:
  rcons web01                        the terminal of the container; Ctrl-E c . leaves it
  rcons web01 --exec 'bash -l'       a shell beside what it runs

Exit status: that of what ran in the console, where it ended; 0 when it was left; 1 when there is none; 2 wrong usage.";

/// Runs `rcons`.
///
/// # Errors
/// When there is no console, or it is lost for good.
pub fn run(args: Args) -> Result<ExitCode> {
    let cluster = Cluster::load(&args.cluster)?;
    let nodes = cluster.select(&args.node)?;
    let [node] = nodes.as_slice() else {
        bail!(
            "a console is of one node, and the node range names {}",
            nodes.len()
        )
    };
    let host = cluster.host_of(node).with_context(|| node.name.clone())?;
    let session = ConsoleSession::open(&node.name, host, args.exec);
    let mut session = session.with_context(|| node.name.clone())?;
    if args.json || args.dry_run {
        return session.preview(args.json);
    }
    ensure!(
        stdin().is_terminal() && stdout().is_terminal(),
        "standard input and output are to be a terminal"
    );
    let told = format!("{}: Ctrl-E c . leaves the console", node.name);
    writeln!(stderr(), "{}", escaped(&told, '\n'))?;
    let code = {
        let _raw = RawTerminal::enter()?;
        session.talk()
    };
    let code = code.with_context(|| node.name.clone())?;
    Ok(ExitCode::from(code))
}

/// How a console is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
enum ConsoleWay {
    /// To the terminal that the container has.
    Attach {
        /// Whether the container reads what is typed.
        takes_input: bool,
    },
    /// To a program beside what it runs.
    Exec(Vec<String>),
}

/// A console of one container.
#[derive(Debug)]
struct ConsoleSession {
    node: String,
    host: EngineHost,
    engine: EngineApi,
    way: ConsoleWay,
}

/// How a session ended.
enum ConsoleEnding {
    /// The keys that leave it were typed, or this process is to end.
    Left,
    /// What ran in it ended.
    Ended(u8),
    /// The engine is gone, and what runs goes on.
    Lost,
}

impl ConsoleSession {
    fn open(node: &str, host: EngineHost, exec: Option<ProcessArguments>) -> Result<Self> {
        let mut engine = EngineApi::connect(&host.endpoint)?;
        let found = engine.inspect(node)?.succeeded()?;
        let state = found["State"]["Status"].as_str().unwrap_or("unknown");
        // An engine opens a console of one that does not run, too, and then is silent.
        match state {
            "running" => {}
            "paused" => bail!("it is paused: rpower {node} unpause"),
            state => bail!("it is not running (its state is {state}): rpower {node} start"),
        }
        let way = match (exec, found["Config"]["Tty"] == true) {
            (Some(command), _) => ConsoleWay::Exec(command.words().to_vec()),
            (None, false) => ConsoleWay::Exec(vec!["/bin/sh".to_owned()]),
            (None, true) => ConsoleWay::Attach {
                takes_input: found["Config"]["OpenStdin"] == true,
            },
        };
        Ok(Self {
            node: node.to_owned(),
            host,
            engine,
            way,
        })
    }

    /// Says what would be opened.
    fn preview(&self, as_json: bool) -> Result<ExitCode> {
        let (how, command) = match &self.way {
            ConsoleWay::Attach { takes_input: true } => ("attached to its terminal", None),
            ConsoleWay::Attach { takes_input: false } => {
                ("attached to its terminal, which takes no input", None)
            }
            ConsoleWay::Exec(words) => ("by a program of its own", Some(words)),
        };
        let mut out = stdout().lock();
        if as_json {
            let document = json!({
                "node": self.node,
                "host": self.host.name,
                "attached": command.is_none(),
                "command": command,
            });
            writeln!(out, "{}", escaped(&format!("{document:#}"), '\n'))?;
        } else {
            let program = command.map(|words| format!(": {}", words.join(" ")));
            let line = format!("{}: {how}{}", self.node, program.unwrap_or_default());
            writeln!(out, "{}", escaped(&line, '\t'))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Stays with the console until it is left, or what runs in it ends.
    fn talk(&mut self) -> Result<u8> {
        let keyboard = Keyboard::start();
        loop {
            match self.once(&keyboard)? {
                ConsoleEnding::Left => return Ok(0),
                ConsoleEnding::Ended(code) => return Ok(code),
                ConsoleEnding::Lost if matches!(self.way, ConsoleWay::Attach { .. }) => {
                    write!(stderr(), "\r\n[the engine is gone; waiting for it]\r\n")?;
                    self.wait_for_engine()?;
                    write!(stderr(), "[attached again]\r\n")?;
                }
                ConsoleEnding::Lost => {
                    bail!("the engine was lost, and with it what ran in the console")
                }
            }
        }
    }

    /// Opens the console once, and finds out how it ended.
    fn once(&mut self, keyboard: &Keyboard) -> Result<ConsoleEnding> {
        let (call, exec) = self.call()?;
        let resize = match &exec {
            Some(id) => format!("/exec/{id}/resize"),
            None => format!("/containers/{}/resize", self.node),
        };
        let mut output = |bytes: &[u8]| {
            let mut out = stdout().lock();
            out.write_all(bytes).and_then(|()| out.flush())?;
            Ok(())
        };
        let (mut console, input) = Console::new(&mut output, &window, resize);
        keyboard.feed(input);
        let ended = self.engine.console(&call, &mut console);
        keyboard.rest();
        if keyboard.left() || console.interrupted {
            return Ok(ConsoleEnding::Left);
        }
        ended?;
        match exec {
            Some(id) => self.exec_ending(&id),
            None => self.ending(),
        }
    }

    /// Makes the call that opens the console; an exec has an identity.
    fn call(&mut self) -> Result<(Call, Option<String>)> {
        match &self.way {
            ConsoleWay::Attach { takes_input } => {
                let input = if *takes_input { "1" } else { "0" };
                let call = Call::post(format!("/containers/{}/attach", self.node))
                    .query("stream", "1")
                    .query("stdin", input)
                    .query("stdout", "1")
                    .query("stderr", "1")
                    .query("detachKeys", LEAVE);
                Ok((call.upgrading(), None))
            }
            ConsoleWay::Exec(words) => {
                let body = json!({
                    "AttachStdin": true, "AttachStdout": true, "AttachStderr": true, "Tty": true,
                    "Cmd": words, "DetachKeys": LEAVE,
                });
                let call = Call::post(format!("/containers/{}/exec", self.node)).body(body);
                let made = self.engine.ask(&call)?.succeeded()?;
                let id = made["Id"].as_str().context("the engine names no exec")?;
                let call = Call::post(format!("/exec/{id}/start"))
                    .body(json!({ "Detach": false, "Tty": true }))
                    .upgrading();
                Ok((call, Some(id.to_owned())))
            }
        }
    }

    /// Asks what became of the container.
    fn ending(&mut self) -> Result<ConsoleEnding> {
        let found = self.engine.inspect(&self.node);
        let Ok(Ok(found)) = found.map(EngineAnswer::succeeded) else {
            return Ok(ConsoleEnding::Lost);
        };
        Ok(if found["State"]["Running"] == true {
            ConsoleEnding::Lost
        } else {
            ConsoleEnding::Ended(code(&found["State"]["ExitCode"]))
        })
    }

    /// Asks what became of a program beside it; the engine may tell a moment later that it ended.
    fn exec_ending(&mut self, id: &str) -> Result<ConsoleEnding> {
        let deadline = Instant::now() + Duration::from_secs(2);
        while let Ok(answer) = self.engine.ask(&Call::get(format!("/exec/{id}/json"))) {
            let Ok(found) = answer.succeeded() else { break };
            if found["Running"] != true {
                return Ok(ConsoleEnding::Ended(code(&found["ExitCode"])));
            }
            if Instant::now() >= deadline {
                break;
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(ConsoleEnding::Lost)
    }

    /// Waits until the engine answers again and the container runs.
    fn wait_for_engine(&mut self) -> Result<()> {
        let deadline = Instant::now() + RETURN_TIMEOUT;
        loop {
            match EngineApi::connect(&self.host.endpoint) {
                Ok(engine) => {
                    self.engine = engine;
                    return Ok(());
                }
                Err(error) if Instant::now() >= deadline => {
                    return Err(error).context("waiting for the engine to come back");
                }
                Err(_) => thread::sleep(RETURN_INTERVAL),
            }
        }
    }
}

/// Reads an exit code, of which processes have one byte.
fn code(value: &Value) -> u8 {
    let code = value.as_i64().unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}

/// Tells the rows and columns of the window.
fn window() -> Option<(u16, u16)> {
    let size = tcgetwinsize(stdout()).ok()?;
    (size.ws_row > 0 && size.ws_col > 0).then_some((size.ws_row, size.ws_col))
}

/// What is typed, read by a thread of its own for the whole session.
#[derive(Debug)]
struct Keyboard {
    typed: Arc<Mutex<Typed>>,
    left: Arc<AtomicBool>,
}

/// Where keys go: to the console, or, while there is none, to the next one.
#[derive(Debug, Default)]
struct Typed {
    console: Option<ConsoleInput>,
    waiting: Vec<u8>,
}

impl Typed {
    /// How many keys wait at most.
    const MAX_WAITING: usize = 4096;
}

impl Keyboard {
    fn start() -> Self {
        let keyboard = Self {
            typed: Arc::default(),
            left: Arc::default(),
        };
        let (typed, left) = (Arc::clone(&keyboard.typed), Arc::clone(&keyboard.left));
        thread::spawn(move || {
            let (mut buffer, mut last) = ([0; 4096], Vec::new());
            while let Ok(length @ 1..) = stdin().lock().read(&mut buffer) {
                let keys = &buffer[..length];
                last.extend_from_slice(keys);
                let leaves = |window: &[u8]| window == LEAVE_TYPED;
                if last.windows(LEAVE_TYPED.len()).any(leaves) {
                    left.store(true, Ordering::Relaxed);
                }
                last.drain(..last.len().saturating_sub(LEAVE_TYPED.len() - 1));
                let console = {
                    let mut typed = lock(&typed);
                    let room = Typed::MAX_WAITING.saturating_sub(typed.waiting.len());
                    if typed.console.is_none() {
                        typed.waiting.extend_from_slice(&keys[..length.min(room)]);
                    }
                    typed.console.clone()
                };
                // Without the lock: a console that takes no more for a while keeps nobody else waiting.
                if let Some(console) = console {
                    console.send(keys);
                }
            }
            // The terminal is gone: so is the session.
            left.store(true, Ordering::Relaxed);
            lock(&typed).console.take();
        });
        keyboard
    }

    fn feed(&self, console: ConsoleInput) {
        let mut typed = lock(&self.typed);
        let waiting = std::mem::take(&mut typed.waiting);
        if !waiting.is_empty() {
            console.send(&waiting);
        }
        typed.console = Some(console);
    }

    fn rest(&self) {
        lock(&self.typed).console.take();
    }

    fn left(&self) -> bool {
        self.left.load(Ordering::Relaxed)
    }
}

/// A terminal that hands on keys as they are typed; it is as before when this is dropped.
struct RawTerminal(Termios);

impl RawTerminal {
    fn enter() -> Result<Self> {
        let before = tcgetattr(stdin()).context("reading the terminal's mode")?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(stdin(), OptionalActions::Drain, &raw).context("setting the terminal's mode")?;
        Ok(Self(before))
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // A terminal that is gone needs no mode.
        let _ = tcsetattr(stdin(), OptionalActions::Drain, &self.0);
    }
}
