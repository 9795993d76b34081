//! The server's door: listening, not listening, full. Each change takes effect in the kernel before the call returns.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use indexmap::IndexMap;
use rustix::io::Errno;
use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType, sockopt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

const BACKLOG: i32 = 4096;
/// More than a queue of one entry ever takes.
const FILLERS: usize = 16;

/// The door, and everybody who came through it.
pub(super) struct Door {
    address: SocketAddr,
    /// Holds the port while nobody listens: a port that is bound and does not listen refuses, and nobody else can take it.
    _holder: OwnedFd,
    listener: RefCell<Option<Rc<TcpListener>>>,
    live: RefCell<IndexMap<u64, (OwnedFd, AbortHandle)>>,
    /// Our own connections that keep the queue full.
    fillers: RefCell<Vec<OwnedFd>>,
    next: Cell<u64>,
}

fn bound(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = rustix::net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    sockopt::set_socket_reuseport(&socket, true)?;
    rustix::net::bind(&socket, &address)?;
    Ok(socket)
}

impl Door {
    /// Takes the port and listens.
    pub(super) fn open(address: SocketAddr) -> io::Result<Door> {
        let holder = bound(address)?;
        let door = Door {
            address,
            _holder: holder,
            listener: RefCell::default(),
            live: RefCell::default(),
            fillers: RefCell::default(),
            next: Cell::default(),
        };
        door.listen()?;
        Ok(door)
    }

    /// Whom to accept from; none while nobody listens.
    pub(super) fn listener(&self) -> Option<Rc<TcpListener>> {
        self.listener.borrow().clone()
    }

    /// Listens again.
    pub(super) fn listen(&self) -> io::Result<()> {
        let socket = bound(self.address)?;
        rustix::net::listen(&socket, BACKLOG)?;
        let listener = TcpListener::from_std(std::net::TcpListener::from(socket))?;
        *self.listener.borrow_mut() = Some(Rc::new(listener));
        Ok(())
    }

    /// Refuses from now on. Whoever is in the queue is reset.
    pub(super) fn close(&self) -> io::Result<()> {
        if let Some(listener) = self.listener.borrow_mut().take() {
            // Closing is not enough: somebody may hold it who is accepting.
            rustix::net::shutdown(&*listener, Shutdown::Read)?;
        }
        Ok(())
    }

    /// Makes the queue so short that nobody gets into it any more, and fills it.
    pub(super) fn fill(&self) -> io::Result<()> {
        let Some(listener) = self.listener() else { return Ok(()) };
        rustix::net::listen(&*listener, 0)?;
        let family = if self.address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        for _ in 0..FILLERS {
            let socket = rustix::net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
            match rustix::net::connect(&socket, &self.address) {
                Ok(()) | Err(Errno::INPROGRESS) => {}
                Err(errno) => return Err(errno.into()),
            }
            // Over loopback a connection is there at once, or it is not.
            if rustix::net::getpeername(&socket).is_err() {
                return Ok(());
            }
            self.fillers.borrow_mut().push(socket);
        }
        Err(io::Error::other("the queue of connections cannot be filled"))
    }

    /// Lets people in again after [`Door::fill`].
    pub(super) fn unfill(&self) -> io::Result<()> {
        self.fillers.borrow_mut().clear();
        self.listener().map_or(Ok(()), |listener| rustix::net::listen(&*listener, BACKLOG).map_err(io::Error::from))
    }

    /// Remembers a connection, so that it can be cut.
    pub(super) fn entered(&self, stream: &TcpStream) -> io::Result<(u64, OwnedFd)> {
        let number = self.next.get();
        self.next.set(number + 1);
        Ok((number, rustix::io::dup(stream)?))
    }

    pub(super) fn serve(&self, number: u64, handle: OwnedFd, task: AbortHandle) {
        self.live.borrow_mut().insert(number, (handle, task));
    }

    pub(super) fn left(&self, number: u64) {
        self.live.borrow_mut().swap_remove(&number);
    }

    pub(super) fn accepted(&self) -> u64 {
        self.next.get()
    }

    /// Resets every live connection.
    pub(super) fn cut(&self) {
        for (handle, task) in self.live.borrow_mut().drain(..).map(|(_, one)| one) {
            reset(&handle);
            reset(&handle);
            task.abort();
        }
    }
}

/// Resets a connection: the peer learns of it now, however many handles of it there are here.
pub(super) fn reset(socket: &impl std::os::fd::AsFd) {
    // Whoever is not connected any more needs no reset.
    let _ = rustix::net::connect_unspec(socket);
}
