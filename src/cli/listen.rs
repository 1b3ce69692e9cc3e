//! What runs beside a command: the notifications of the plan; with `--listen`, a page, metrics and health of the split.

use super::args::Listen;
use super::exit::Exit;
use super::failure::Failed;
use super::next::copyable;
use super::notifying::begin_notifying;
use super::screen;
use super::telemetry::begin_exporting;
use crate::notify::Notifying;
use crate::telemetry::{Exporting, Namespace};
use crate::web::{Charting, ListenError, Listener, Server, Token};
use crate::worker::Split;
use std::path::Path;

/// Has the access token. It is in no option, because every user of a machine sees the command lines of its processes.
const TOKEN_VARIABLE: &str = "DYNASPLIT_LISTEN_TOKEN";

/// A port that is taken, if `--listen` asks for it, and what else shows the split to others.
#[derive(Debug)]
pub struct Listening {
    listener: Option<Listener>,
    emf: Option<Namespace>,
}

/// What runs beside a command.
#[derive(Debug)]
pub struct Serving {
    beside: Beside,
    notifying: Notifying,
    exporting: Exporting,
}

/// A server that runs, or what runs without `--listen`.
#[derive(Debug)]
enum Beside {
    /// It serves the split.
    Server(Server),
    /// It only adds samples for the charts.
    Charting(Charting),
    /// Nothing.
    Nothing,
}

impl Listening {
    /// Takes the port, before the command does anything: a port in use is reported at once.
    pub async fn begin(options: &Listen) -> Result<Self, Failed> {
        let emf = options.emf.clone();
        let Some(address) = options.listen else {
            return Ok(Self { listener: None, emf });
        };
        let token = token(options.listen_token_file.as_deref())?;
        let listener = Listener::bind(address, token).await.map_err(failed)?;
        Ok(Self {
            listener: Some(listener),
            emf,
        })
    }

    /// Sends the notifications of the plan. Serves the split, and says where.
    pub async fn serve(self, split: &Split) -> Serving {
        let exporting = begin_exporting(split, self.emf);
        Serving {
            beside: server(self.listener, split).map_or(Beside::Nothing, Beside::Server),
            notifying: begin_notifying(split).await,
            exporting,
        }
    }

    /// The same. Without `--listen`, it adds samples for the charts of `report`: for a command that runs as long as the
    /// split lasts.
    pub async fn serve_or_chart(self, split: &Split) -> Serving {
        let exporting = begin_exporting(split, self.emf);
        let beside = match server(self.listener, split) {
            Some(server) => Beside::Server(server),
            None => Beside::Charting(Charting::begin(split.clone())),
        };
        Serving {
            beside,
            notifying: begin_notifying(split).await,
            exporting,
        }
    }
}

impl Serving {
    /// Ends it.
    pub async fn end(self) {
        match self.beside {
            Beside::Server(server) => server.end().await,
            Beside::Charting(charting) => charting.end().await,
            Beside::Nothing => {}
        }
        self.notifying.end().await;
        self.exporting.end().await;
    }
}

fn server(listener: Option<Listener>, split: &Split) -> Option<Server> {
    let listener = listener?;
    screen::say(&format!("listening on http://{}", listener.address()));
    Some(listener.serve(split.clone(), |text| copyable(text).into_owned()))
}

fn token(file: Option<&Path>) -> Result<Option<Token>, Failed> {
    let (text, from) = match (file, std::env::var(TOKEN_VARIABLE)) {
        (Some(file), _) => {
            let text = std::fs::read_to_string(file).map_err(|error| {
                let what = format!(
                    "the file with the access token, {}, cannot be read: {error}",
                    file.display()
                );
                Failed::of(Exit::Usage, what)
            })?;
            (text, file.display().to_string())
        }
        (None, Ok(text)) => (text, TOKEN_VARIABLE.to_owned()),
        (None, Err(_)) => return Ok(None),
    };
    match Token::new(&text) {
        Ok(token) => Ok(Some(token)),
        Err(reason) => Err(Failed::of(Exit::Usage, format!("{from}: {reason}"))
            .hint("make a token, for example with `openssl rand -hex 24`")),
    }
}

fn failed(error: ListenError) -> Failed {
    let message = error.to_string();
    match error {
        ListenError::TokenNeeded(_) => Failed::of(Exit::Usage, message).hint(format!(
            "set the variable {TOKEN_VARIABLE}, give --listen-token-file FILE, or listen on 127.0.0.1"
        )),
        ListenError::InUse(_) => Failed::of(Exit::Failed, message)
            .hint("name another port with --listen; with port 0, the operating system chooses a free one"),
        ListenError::Refused { .. } => Failed::of(Exit::Failed, message)
            .hint("--listen takes an address of this machine; a port below 1024 may need privileges"),
    }
}
