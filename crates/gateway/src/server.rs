//! Listening, one task a client connection, and ending in order.

use crate::asynchronous::{Store, dispatch};
use crate::client::{ClientLimits, converse};
use crate::error::GatewayError;
use crate::gateway::{Gateway, Patience};
use crate::reload::attend;
use crate::request::BodyPatience;
use crate::routes::{follow, look_for_replicas};
use crate::state::StateDirectory;
use crate::upstream::Origin;
use crate::workers::Workers;
use evenkeel_fleet::model::Fleet;
use std::fs::File;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Connections that the system makes before they are accepted; `net.core.somaxconn` bounds it. With the usual 128 some of a
/// crowd that comes at once are reset.
const BACKLOG: u32 = 4_096;
/// Pause after the process ran out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// File descriptors for everything but clients and their replicas: the listener, the controller, state, looks.
const OWN_FILES: u64 = 128;
/// Where no limit is set: what a semaphore holds, and more than a machine has ports.
const MOST_FILES: u64 = 1 << 20;
/// How often idle connections to replicas are looked through.
const IDLE_SWEEP: Duration = Duration::from_secs(1);

/// How one gateway runs, beside its fleet file.
#[derive(Clone, Debug)]
pub struct Options {
    /// Listens here instead of where the fleet file says.
    pub listen: Option<SocketAddr>,
    /// The fleet file, looked at every second: what changed in it is taken over. Without one, what the fleet says at the
    /// start stays in force.
    pub fleet_file: Option<PathBuf>,
    /// Base address of the controller, for example `http://127.0.0.1:7600`; without one, the routes kept from an
    /// earlier run are all there is.
    pub controller_url: Option<String>,
    /// Directory for what has to outlive the process: the last routes, and the queues of asynchronous tiers.
    pub state_directory: Option<PathBuf>,
    /// A replica that has not given an answer in one piece after this long is given up for another one; for streams
    /// `gateway.first_byte` of the fleet file is the limit, and ten times it while the replica is heard of.
    pub whole_answer_limit: Duration,
    /// A client that has not sent the whole head of its next request after this long is let go, whether it is slow or
    /// idle; much less would close connections that clients keep for their next request.
    pub head_limit: Duration,
    /// A client that sends nothing of a request's body for this long is not waited for.
    pub body_pause_limit: Duration,
    /// A client that has not sent the whole body after this long is not waited for, however steadily it sends.
    pub body_limit: Duration,
    /// Bytes of request bodies held at once, over all tiers, until their answers begin. What comes beyond waits for a
    /// second and is refused then. A room smaller than the fleet's largest body is made as large as that.
    pub body_room: u64,
    /// A client that takes nothing of its answer for this long is let go, so that it does not keep a replica's place.
    pub answer_pause_limit: Duration,
    /// Clients connected at once; further ones wait to be accepted. Without a number, as many as the process may open
    /// files for, with one to a replica each.
    pub most_clients: Option<usize>,
    /// On shutdown, how long requests in flight may take to end. Without a limit of its own, as long as a request may be
    /// held and the slowest replica of the fleet file may drain.
    pub shutdown_limit: Option<Duration>,
}

impl Default for Options {
    /// No fleet file, no controller, no state; ten minutes to an answer in one piece; a
    /// minute for a head, half a minute between pieces of a body and five for all of it; 256 MiB of bodies; a minute
    /// without taking anything of an answer.
    fn default() -> Self {
        Self {
            listen: None,
            fleet_file: None,
            controller_url: None,
            state_directory: None,
            whole_answer_limit: Duration::from_secs(600),
            head_limit: Duration::from_secs(60),
            body_pause_limit: Duration::from_secs(30),
            body_limit: Duration::from_secs(300),
            body_room: 256 * 1024 * 1024,
            answer_pause_limit: Duration::from_secs(60),
            most_clients: None,
            shutdown_limit: None,
        }
    }
}

/// A gateway that listens and is yet to answer.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
    gateway: Arc<Gateway>,
    controller: Option<Arc<Origin>>,
    fleet: Fleet,
    fleet_file: Option<PathBuf>,
    limits: ClientLimits,
    /// A permit for each client that may be connected.
    room: Arc<Semaphore>,
    workers: Workers,
    shutdown_limit: Option<Duration>,
    /// Locked until it is handed over.
    state: Option<StateDirectory>,
}

/// Runs the gateway of `fleet` until `shutdown` is there and the requests in flight have ended. Dropped before that, it
/// ends as if it were killed.
///
/// # Errors
/// When it cannot start.
pub async fn serve(
    fleet: Arc<Fleet>,
    options: Options,
    shutdown: impl Future<Output = ()>,
) -> Result<(), GatewayError> {
    bind(&fleet, options).await?.run(shutdown).await;
    Ok(())
}

/// Prepares the gateway of `fleet` and listens.
///
/// # Errors
/// When the address or the state directory cannot be used.
pub async fn bind(fleet: &Fleet, options: Options) -> Result<Bound, GatewayError> {
    let state = options
        .state_directory
        .as_ref()
        .map(|path| StateDirectory::open(path).map_err(|error| GatewayError::State { path: path.clone(), error }));
    let state = state.transpose()?;
    let controller = options.controller_url.map(|url| Origin::new(&url).ok_or(GatewayError::ControllerUrl(url)));
    let controller = controller.transpose()?.map(Arc::new);
    let patience = Patience {
        whole: options.whole_answer_limit,
        body: BodyPatience { pause: options.body_pause_limit, whole: options.body_limit },
    };
    let gateway = Gateway::new(fleet, state.as_ref(), patience, options.body_room)?;
    let address = options.listen.unwrap_or(fleet.gateway.listen);
    let listen = |error| GatewayError::Listen { address, error };
    let listener = listener_at(address).map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    let fleet_file = options.fleet_file;
    let shutdown_limit = options.shutdown_limit;
    let limits = ClientLimits { head: options.head_limit, answer_pause: options.answer_pause_limit };
    let room = Arc::new(Semaphore::new(options.most_clients.unwrap_or_else(most_clients)));
    let workers = Workers::start().map_err(GatewayError::NoThread)?;
    let (gateway, fleet) = (Arc::new(gateway), fleet.clone());
    Ok(Bound {
        listener,
        address,
        gateway,
        controller,
        fleet,
        fleet_file,
        limits,
        room,
        workers,
        shutdown_limit,
        state,
    })
}

impl Bound {
    /// Where it listens; the port is the real one where port 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `shutdown` is there and the requests in flight have ended.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) {
        // Everything runs in these sets, so that dropping this future ends it all.
        let mut background = self.start_background();
        let dispatchers = self.start_dispatchers();
        let (ending, ended) = watch::channel(false);
        let mut clients = JoinSet::new();
        tracing::info!(address = %self.address, "the gateway listens");
        tokio::select! {
            () = self.accept(&mut clients, &ended) => {}
            () = shutdown => {}
        }
        if let Err(error) = self.accept_those_that_wait(&mut clients, &ended) {
            tracing::warn!(%error, "some that have just connected are broken off");
        }
        drop(self.listener);
        ending.send_replace(true);
        tracing::info!(open = clients.len(), "the gateway takes no more connections and ends those that are open");
        let handing_over = hand_over(&self.gateway, dispatchers, self.state);
        let answering = async { while clients.join_next().await.is_some() {} };
        // What was handed over is kept until the last answer has ended.
        let limit = self.shutdown_limit.unwrap_or_else(|| self.gateway.in_force().longest_answer);
        let ended = timeout(limit, async { tokio::join!(handing_over, answering).0 }).await;
        if ended.is_err() {
            tracing::warn!(
                open = clients.len(),
                "ended with requests in flight, or before the disk had taken the state"
            );
        }
        clients.shutdown().await;
        background.shutdown().await;
    }

    /// What runs beside the requests.
    fn start_background(&self) -> JoinSet<()> {
        let mut background = JoinSet::new();
        background.spawn(attend(Arc::clone(&self.gateway), self.fleet_file.clone(), self.fleet.clone()));
        background.spawn(sweep_idle(Arc::clone(&self.gateway)));
        let gateway = Arc::clone(&self.gateway);
        background.spawn(async move { look_for_replicas(&gateway.routes).await });
        if let Some(controller) = self.controller.clone() {
            let gateway = Arc::clone(&self.gateway);
            background.spawn(async move { follow(controller, &gateway.routes).await });
        }
        background
    }

    /// What hands out the requests of asynchronous tiers.
    fn start_dispatchers(&self) -> JoinSet<()> {
        let mut dispatchers = JoinSet::new();
        for tier in &self.gateway.in_force().tiers {
            if let (Some(desk), Some(settings)) = (&self.gateway.desk, &tier.asynchronous) {
                dispatchers.spawn(dispatch(Arc::clone(desk), Arc::clone(tier), settings.clone()));
            }
        }
        dispatchers
    }

    /// The next client, once there is room for one.
    async fn next_client(&self) -> (io::Result<std::net::TcpStream>, Option<OwnedSemaphorePermit>) {
        // Nobody closes the semaphore, so there is a permit.
        let permit = Arc::clone(&self.room).acquire_owned().await.ok();
        let accepted = self.listener.accept().await.and_then(|(stream, _peer)| stream.into_std());
        (accepted, permit)
    }

    /// Serves one client on the next thread; the permit is its place.
    fn serve(
        &mut self,
        clients: &mut JoinSet<()>,
        stream: std::net::TcpStream,
        permit: Option<OwnedSemaphorePermit>,
        ended: watch::Receiver<bool>,
    ) {
        let (gateway, limits) = (Arc::clone(&self.gateway), self.limits);
        self.workers.spawn(clients, async move {
            // It is watched by the runtime in which it is made.
            match TcpStream::from_std(stream) {
                Ok(stream) => converse(stream, gateway, limits, ended).await,
                Err(error) => tracing::warn!(%error, "cannot serve a connection"),
            }
            drop(permit);
        });
    }

    /// Takes those for whom the system has made a connection already: closing the listener breaks them off. By plain system
    /// calls, as the runtime would pause after some and has its own idea of what is there.
    fn accept_those_that_wait(&mut self, clients: &mut JoinSet<()>, ended: &watch::Receiver<bool>) -> io::Result<()> {
        let listener = std::net::TcpListener::from(self.listener.as_fd().try_clone_to_owned()?);
        loop {
            match listener.accept() {
                Ok((stream, _peer)) => {
                    let permit = Arc::clone(&self.room).try_acquire_owned().map_err(io::Error::other)?;
                    stream.set_nonblocking(true)?;
                    self.serve(clients, stream, Some(permit), ended.clone());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if of_one_client(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Accepts forever.
    async fn accept(&mut self, clients: &mut JoinSet<()>, ended: &watch::Receiver<bool>) {
        loop {
            tokio::select! {
                (accepted, permit) = self.next_client() => match accepted {
                    Ok(stream) => self.serve(clients, stream, permit, ended.clone()),
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
                // Finished tasks are taken out as they end, or the set would grow without end.
                Some(_) = clients.join_next() => {}
            }
        }
    }
}

/// Leaves the state to the next gateway at once, for players wait at a closed door until it has it, while answers under way
/// take their time. Asynchronous requests under way go back to the queue: nobody waits for them at this door. What is given
/// back says, as long as it is kept, that answers are under way.
async fn hand_over(gateway: &Gateway, mut dispatchers: JoinSet<()>, state: Option<StateDirectory>) -> Option<File> {
    dispatchers.shutdown().await;
    if let Some(desk) = &gateway.desk {
        if let Err(error) = desk.ask(Store::give_all_back).await {
            tracing::warn!(%error, "requests under way are handed out again only after the next start");
        }
        desk.close().await;
    }
    gateway.routes.keep_for_the_next().await;
    let left = state?.leave();
    left.inspect_err(|error| tracing::warn!(%error, "the next gateway does not know that answers are under way here"))
        .ok()
}

/// What accept(2) passes on of a connection that broke while it waited: the next one may be well.
fn of_one_client(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let broken = [
        Errno::CONNABORTED,
        Errno::HOSTDOWN,
        Errno::HOSTUNREACH,
        Errno::INTR,
        Errno::NETDOWN,
        Errno::NETUNREACH,
        Errno::NOPROTOOPT,
        Errno::OPNOTSUPP,
        Errno::PROTO,
    ];
    Errno::from_io_error(error).is_some_and(|errno| broken.contains(&errno))
}

/// As a listener is made by default, but for the room for those that come at once.
fn listener_at(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// How many clients the process has file descriptors for: each may need a connection to a replica too.
fn most_clients() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let files = limit.map_or(MOST_FILES, |limit| limit.min(MOST_FILES));
    (files.saturating_sub(OWN_FILES) / 2).max(1) as usize
}

async fn sweep_idle(gateway: Arc<Gateway>) {
    loop {
        sleep(IDLE_SWEEP).await;
        gateway.in_force().all().iter().for_each(|tier| tier.close_idle());
    }
}
