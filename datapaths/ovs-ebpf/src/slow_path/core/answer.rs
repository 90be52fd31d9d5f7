//! Upcalls, answered by the core: the packet goes on as the core wrote it, and a flow is entered for the next ones.

use super::flow;
use super::numbers::{self, STACK, TUNNEL, UPLINK};
use crate::kind::Kind;
use crate::notation::{Action, Match};
use crate::slow_path::renewal;
use crate::slow_path::upcalls::Answer;
use crate::table::{self, FlowTable};
use datapath_api::{Counters, Error};
use foldhash::{HashMap, HashMapExt};
use megaflow::Key;
use megaflow::map::{At, Upcall};
use mizar_core::reason::Reason;
use mizar_tables::{Entries, Native};
use mizar_wire::{Be16, Ipv4, Vni};
use netdev::PacketSocket;
use ovs_adapter::droplet::MARKER;
use ovs_adapter::reactive::judge::{Judge, Judged, Leaves, News, addresses};
use ovs_adapter::reactive::{self, is_denial};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use topologies::provision::DirectPath;

/// A flow is not entered again within this time: its first packets come here one after another.
const AGAIN: Duration = Duration::from_millis(200);
/// How long a flow stays that no packet follows.
const IDLE: Duration = Duration::from_secs(60);
/// How often such are looked for.
const SWEEP: Duration = Duration::from_secs(5);

/// A flow to be entered.
struct NewFlow {
    kind: Kind,
    asks: Match,
    does: Vec<Action>,
    /// What its packets are forwarded by.
    destination: (Vni, Ipv4),
}

/// A frame to be sent, and the flow for others like it.
struct Outgoing {
    port: u32,
    kind: Kind,
    frame: Vec<u8>,
    flow: Option<NewFlow>,
}

/// See the module's documentation.
pub struct Answerer {
    judge: Judge,
    sockets: HashMap<u32, PacketSocket>,
    flows: Arc<Mutex<FlowTable>>,
    outgoing: Vec<Outgoing>,
    /// Whether markers are sent back, and the stack's own frames are kept from the wire: for single frames.
    marks: bool,
    counters: Counters,
    /// Refused packets by reason.
    refused: [u64; Reason::COUNT],
    not_taken: u64,
    /// Flows by network and address that their packets are forwarded by.
    by_destination: HashMap<(Vni, Ipv4), Vec<At>>,
    /// Whether any flow was ever rewritten.
    rewrites: bool,
    swept: Instant,
}

impl Answerer {
    /// With these tables, and a socket for each port.
    pub fn new(
        tables: Native,
        sockets: HashMap<u32, PacketSocket>,
        flows: Arc<Mutex<FlowTable>>,
        marks: bool,
    ) -> Self {
        Self {
            judge: Judge::new(tables),
            sockets,
            flows,
            outgoing: Vec::new(),
            marks,
            counters: Counters::default(),
            refused: [0; Reason::COUNT],
            not_taken: 0,
            by_destination: HashMap::new(),
            rewrites: false,
            swept: Instant::now(),
        }
    }

    /// What became of the packets that came here.
    pub fn counters(&self) -> Counters {
        let mut counters = self.counters.clone();
        let reasons = Reason::ALL
            .iter()
            .map(|reason| reason.text())
            .zip(self.refused);
        let all = reasons.chain([("not taken by a port", self.not_taken)]);
        let occurred = all.filter(|(_, count)| *count > 0);
        counters.refused = occurred
            .map(|(reason, count)| (reason.to_owned(), count))
            .collect();
        counters
    }

    /// Takes these tables. What was learned stays, and all flows go: they follow from the old ones.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn update(&mut self, entries: &Entries) -> Result<(), Error> {
        self.judge.update(entries);
        let mut flows = self.flows.lock().unwrap_or_else(PoisonError::into_inner);
        for at in self.by_destination.drain().flat_map(|(_, flows)| flows) {
            flows.delete_at(at).map_err(failed)?;
        }
        Ok(())
    }

    /// The direct paths, in no order.
    pub fn direct_paths(&self) -> Vec<DirectPath> {
        self.judge.direct_paths()
    }

    /// Sends what is to be sent, all at once, so that who receives it is woken once; and then enters flows, so that no packet
    /// overtakes the first of its flow.
    fn carry_out(&mut self) -> Result<(), Error> {
        let mut outgoing = std::mem::take(&mut self.outgoing);
        for Outgoing {
            port, kind, frame, ..
        } in &outgoing
        {
            let Some(socket) = self.sockets.get(port) else {
                continue;
            };
            let counters = &mut self.counters;
            let count = match kind {
                _ if !socket.offer(frame)? => &mut self.not_taken,
                Kind::Passed => &mut counters.passed,
                Kind::Delivered => &mut counters.delivered,
                Kind::Forwarded => &mut counters.forwarded,
                Kind::Encapsulated => &mut counters.encapsulated,
                Kind::Dropped | Kind::Uncounted => continue,
            };
            *count += 1;
        }
        for outgoing in outgoing.drain(..) {
            if let Some(flow) = outgoing.flow {
                self.enter(flow).map_err(failed)?;
            }
        }
        // Its memory serves again.
        self.outgoing = outgoing;
        Ok(())
    }

    fn send(&mut self, port: u32, kind: Kind, frame: Vec<u8>, flow: Option<NewFlow>) {
        self.outgoing.push(Outgoing {
            port,
            kind,
            frame,
            flow,
        });
    }

    /// Deletes flows that no longer hold.
    fn forget(&mut self, news: &News) -> Result<(), table::Error> {
        let flows = Arc::clone(&self.flows);
        let mut flows = flows.lock().unwrap_or_else(PoisonError::into_inner);
        for destination in &news.changed {
            for at in self
                .by_destination
                .remove(destination)
                .into_iter()
                .flatten()
            {
                flows.delete_at(at)?;
            }
        }
        self.rewrites |= !news.rewritten.is_empty();
        if news.moved.is_empty() && news.rewritten.is_empty() {
            return Ok(());
        }
        // Flows of packets with the old host, for which they say nothing new. A rewritten packet may come from an address
        // that is not its own, so with such all of the network go. What an endpoint here sends may teach as well, if this
        // droplet is its own next hop. And flows from before a flow was rewritten.
        let rewrites = self.rewrites;
        let is_over = |key: &Key| {
            let moved = |(vni, src): &(Vni, Ipv4)| {
                (key.tunnel_flags == 0 || key.vni == vni.get()) && (rewrites || key.ip_src == *src)
            };
            news.moved.iter().any(moved) || news.rewritten.contains(&(key.ip_src, key.ip_dst))
        };
        for of_destination in self.by_destination.values_mut() {
            let over = |at: &mut At| flows.key_at(*at).is_none_or(|key| is_over(&key));
            let over: Vec<_> = of_destination.extract_if(.., over).collect();
            for at in over {
                flows.delete_at(at)?;
            }
        }
        Ok(())
    }

    /// Enters a flow, unless that was done a moment ago.
    fn enter(&mut self, flow: NewFlow) -> Result<(), table::Error> {
        let NewFlow {
            kind,
            asks,
            does,
            destination,
        } = flow;
        let mut flows = self.flows.lock().unwrap_or_else(PoisonError::into_inner);
        let age = flows.age(&asks);
        if age.is_some_and(|age| age < AGAIN) {
            return Ok(());
        }
        let at = match flows.enter_as(kind, &asks, &does, Some(renewal(&asks))) {
            Ok(at) => at,
            Err(table::Error::Kernel(error)) => return Err(table::Error::Kernel(error)),
            // Its packets come here then, one by one.
            Err(error) => {
                tracing::debug!(%error, "no flow is entered");
                return Ok(());
            }
        };
        self.by_destination.entry(destination).or_default().push(at);
        Ok(())
    }

    /// The stack has something to say: it all goes to the wire.
    fn said(&mut self, frame: &[u8]) {
        if self.marks {
            return;
        }
        let asks = Match {
            key: Key {
                in_port: STACK,
                ..Key::ZERO
            },
            mask: Key {
                in_port: u32::MAX,
                ..Key::ZERO
            },
        };
        let flow = NewFlow {
            kind: Kind::Uncounted,
            asks,
            does: vec![Action::Output(UPLINK)],
            destination: (Vni::default(), Ipv4::default()),
        };
        self.send(UPLINK, Kind::Uncounted, frame.to_vec(), Some(flow));
    }

    /// Sends a packet on, with a flow for others like it.
    fn judged(
        &mut self,
        upcall: &Upcall,
        frame: &[u8],
        vni: Vni,
        judged: Result<Judged, Reason>,
        news: &News,
    ) -> Result<(), Error> {
        if !news.is_empty() {
            // What was decided before must not come after what it may contradict.
            self.carry_out()?;
            self.forget(news).map_err(failed)?;
        }
        let key = &upcall.key;
        let judged = match judged {
            Ok(judged) => flow::with_headers_anew(judged),
            Err(reason) => {
                self.refused[reason as usize] += 1;
                if is_denial(reason)
                    && let Some(asks) = flow::asks(key)
                {
                    let flow = NewFlow {
                        kind: Kind::Dropped,
                        asks,
                        does: Vec::new(),
                        destination: (vni, key.ip_dst),
                    };
                    self.enter(flow).map_err(failed)?;
                }
                return Ok(());
            }
        };
        let (port, kind) = match judged.leaves {
            Leaves::Stack => (STACK, Kind::Passed),
            Leaves::Endpoint(port) => (numbers::endpoint(port), Kind::Delivered),
            Leaves::Uplink { .. } if judged.kind == reactive::Kind::Forwarded => {
                (UPLINK, Kind::Forwarded)
            }
            Leaves::Uplink { .. } => (UPLINK, Kind::Encapsulated),
        };
        let flow = new_flow(upcall, frame, vni, &judged, (port, kind), news);
        self.send(port, kind, judged.frame, flow);
        Ok(())
    }
}

/// The flow for packets like one that became this, if there can be one.
fn new_flow(
    upcall: &Upcall,
    frame: &[u8],
    vni: Vni,
    judged: &Judged,
    (port, kind): (u32, Kind),
    news: &News,
) -> Option<NewFlow> {
    let key = &upcall.key;
    let is_tunnelled = port == UPLINK;
    let leaves = judged.frame.as_slice();
    let inner = if is_tunnelled {
        leaves.get(flow::outer_len(leaves)?..)?
    } else {
        leaves
    };
    let (_, dst) = addresses(inner)?;
    // What this very packet taught: the next one of its flow is decided about in another way.
    let is_old =
        news.changed.contains(&(vni, dst)) || news.rewritten.contains(&(key.ip_src, key.ip_dst));
    let is_modified =
        key.in_port == TUNNEL && flow::is_modify(frame) || is_tunnelled && flow::is_modify(leaves);
    let came_back = key.in_port == TUNNEL && flow::came_back(frame);
    if is_old || is_modified || came_back {
        return None;
    }
    let came = frame.get(flow::inner_at(key)..)?;
    Some(NewFlow {
        kind,
        asks: flow::asks(key)?,
        does: flow::does(came, leaves, is_tunnelled, port)?,
        destination: (vni, dst),
    })
}

impl Answer for Answerer {
    fn answer(&mut self, upcall: &Upcall, frame: &[u8]) -> Result<(), Error> {
        let key = &upcall.key;
        if self.marks && key.eth_type == Be16::new(MARKER) {
            self.send(upcall.port, Kind::Uncounted, frame.to_vec(), None);
            return Ok(());
        }
        let mut news = News::default();
        match upcall.port {
            STACK => {
                self.said(frame);
                Ok(())
            }
            UPLINK => {
                let judged = self.judge.arrived(frame, &mut news);
                let vni = Vni::new(key.vni).unwrap_or_default();
                self.judged(upcall, frame, vni, judged, &news)
            }
            port => {
                let endpoint = numbers::of_endpoint(port);
                let judged = self.judge.sent(endpoint, frame, &mut news);
                let vni = self.judge.network_of(endpoint);
                self.judged(upcall, frame, vni, judged, &news)
            }
        }
    }

    fn tidy(&mut self) -> Result<(), Error> {
        self.carry_out()?;
        if self.swept.elapsed() < SWEEP {
            return Ok(());
        }
        self.swept = Instant::now();
        let mut flows = self.flows.lock().unwrap_or_else(PoisonError::into_inner);
        for of_destination in self.by_destination.values_mut() {
            // Some were replaced, or evicted.
            let is_idle = |at: &mut At| flows.idle_at(*at).is_none_or(|idle| idle > IDLE);
            let over: Vec<_> = of_destination.extract_if(.., is_idle).collect();
            for at in over {
                flows.delete_at(at).map_err(failed)?;
            }
        }
        self.by_destination.retain(|_, flows| !flows.is_empty());
        flows.sort_masks();
        Ok(())
    }
}

fn failed(error: table::Error) -> Error {
    Error::failed("entering a flow of the core", error)
}
