//! The thread that listens to the socket, and what it passes on to the one that forwards.

use anyhow::Context;
use dpdk_protocol::{Answer, Request, receive, send};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};

/// A question, and where its answer goes.
pub struct Order {
    pub request: Request,
    pub answer: Sender<Answer>,
}

/// What to do now.
pub enum Next {
    GoOn,
    Answer(Order),
    /// The other side closed the socket.
    End,
}

/// Orders as they come.
pub struct Inbox {
    orders: Receiver<Order>,
    socket: UnixStream,
    is_started: Arc<AtomicBool>,
}

impl Inbox {
    /// Looks whether there is an order, without waiting.
    #[inline]
    pub fn next(&self) -> Next {
        match self.orders.try_recv() {
            Ok(order) => Next::Answer(order),
            Err(TryRecvError::Empty) => Next::GoOn,
            Err(TryRecvError::Disconnected) => Next::End,
        }
    }

    /// Waits for an order; `None` when the other side closed the socket.
    pub fn wait(&self) -> Option<Order> {
        self.orders.recv().ok()
    }

    /// Says that the work is being done now.
    pub fn started(&self) -> anyhow::Result<()> {
        self.is_started.store(true, Ordering::Release);
        send(&mut &self.socket, &Answer::Started).context("answering")
    }
}

/// Listens to `socket`. Its end is the end of the inbox.
pub fn listen(socket: UnixStream) -> anyhow::Result<Inbox> {
    let (sender, orders) = channel();
    let is_started = Arc::new(AtomicBool::new(false));
    let started = Arc::clone(&is_started);
    let own = socket.try_clone().context("duplicating a socket")?;
    std::thread::Builder::new()
        .name("orders".to_owned())
        .spawn(move || {
            let mut socket = own;
            // An error means that the other side is gone, as does an end.
            while let Ok(Some(request)) = receive::<Request>(&mut socket) {
                let (answer, answered) = channel();
                if sender.send(Order { request, answer }).is_err() {
                    return;
                }
                let Ok(answer) = answered.recv() else {
                    return;
                };
                if send(&mut socket, &answer).is_err() {
                    return;
                }
            }
            if !started.load(Ordering::Acquire) {
                // A port may be waiting for its other side, and nothing but the end of the process ends that.
                std::process::exit(1);
            }
        })
        .context("starting a thread")?;
    Ok(Inbox {
        orders,
        socket,
        is_started,
    })
}
