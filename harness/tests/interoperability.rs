//! Datapaths side by side: what one sends the other must take, and the direct path must be found between them. Needs
//! root, the BPF programs and Open vSwitch; a test whose datapaths cannot run here is reported as ignored.
//!
//! In most tests two droplets share one veth pair as their underlay, and one of them is the bouncer. In the others the
//! test itself is the wire between three, and sees every frame on it.
//!
//! Nothing is decided by time: a frame is waited for, and a test fails by what comes or by nothing coming at all.

use datapath_api::difference::{self, Difference};
use datapath_api::{Datapath, DropletPorts, Running, VethPorts};
use datapath_kernel_xdp::KernelXdp;
use datapath_openflow::PROACTIVE;
use libtest_mimic::{Arguments, Failed, Trial};
use netdev::{Cpu, Interface, Namespace, PacketSocket, create_veth};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use topologies::frame::{self, FrameLen};
use topologies::oracle::{Oracle, Outcome};
use topologies::provision::{DirectPath, EndpointPort, Port, Provision};
use topologies::topology::{Parameters, Topology};
use topologies::traffic::Flow;
use topologies::vectors::Expected;

/// How long anything may take before it counts as not coming.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes of payload that devices carry.
const MTU: u32 = 1700;
/// The endpoint port that each host of an endpoint has.
const ENDPOINT: Port = Port::Endpoint(EndpointPort(0));
/// Lengths of inner frames in bytes.
const LENGTHS: [u16; 3] = [60, 571, 1514];

type Maker = fn() -> Box<dyn Datapath>;
const OPENFLOW: Maker = || Box::new(PROACTIVE);
const OVS_XDP: Maker = || Box::new(datapath_ovs_xdp::OVS_XDP);
const OVS_EBPF: Maker = || Box::new(datapath_ovs_ebpf::OVS_EBPF);
const OVS_EBPF_CORE: Maker = || Box::new(datapath_ovs_ebpf::OVS_EBPF_CORE);
const OVS_EBPF_XDP: Maker = || Box::new(datapath_ovs_ebpf::OVS_EBPF_XDP);
const KERNEL_XDP: Maker = || Box::new(KernelXdp::default());

fn main() {
    let mut trials = Vec::new();
    let mut add = |name: &str, makers: &[Maker], run: fn(&[Box<dyn Datapath>]) -> _| {
        let datapaths: Vec<_> = makers.iter().map(|maker| maker()).collect();
        let missing: Vec<_> = datapaths.iter().flat_map(|it| it.probe()).collect();
        if let Some(missing) = missing.first() {
            eprintln!("ignored, {name}: needs {missing}");
        }
        let trial = Trial::test(name, move || run(&datapaths));
        trials.push(trial.with_ignored_flag(!missing.is_empty()));
    };
    add("openflow_and_kernel_xdp", &[OPENFLOW, KERNEL_XDP], pair);
    add("kernel_xdp_and_openflow", &[KERNEL_XDP, OPENFLOW], pair);
    add("ovs_xdp_and_kernel_xdp", &[OVS_XDP, KERNEL_XDP], pair);
    add("kernel_xdp_and_ovs_xdp", &[KERNEL_XDP, OVS_XDP], pair);
    add("ovs_ebpf_and_kernel_xdp", &[OVS_EBPF, KERNEL_XDP], pair);
    add("kernel_xdp_and_ovs_ebpf", &[KERNEL_XDP, OVS_EBPF], pair);
    add("ovs_ebpf_and_openflow", &[OVS_EBPF, OPENFLOW], pair);
    add(
        "ovs_ebpf_core_and_kernel_xdp",
        &[OVS_EBPF_CORE, KERNEL_XDP],
        pair,
    );
    add(
        "ovs_ebpf_and_kernel_xdp_by_ovs_ebpf_xdp",
        &[OVS_EBPF, KERNEL_XDP, OVS_EBPF_XDP],
        by_bouncer,
    );
    add(
        "openflow_and_kernel_xdp_by_ovs_ebpf_core",
        &[OPENFLOW, KERNEL_XDP, OVS_EBPF_CORE],
        by_bouncer,
    );
    add(
        "openflow_and_kernel_xdp_by_kernel_xdp",
        &[OPENFLOW, KERNEL_XDP, KERNEL_XDP],
        by_bouncer,
    );
    add(
        "openflow_and_kernel_xdp_by_openflow",
        &[OPENFLOW, KERNEL_XDP, OPENFLOW],
        by_bouncer,
    );
    add(
        "ovs_xdp_and_kernel_xdp_by_openflow",
        &[OVS_XDP, KERNEL_XDP, OPENFLOW],
        by_bouncer,
    );
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// Endpoints on `left` and `right`; the bouncer of their network is either the latter or a droplet of its own.
fn topology(bouncer: &str) -> Result<Topology, Failed> {
    let droplet = |name: &str, number: u8, more: &str| {
        format!(
            "[[droplets]]\nname = \"{name}\"\nip = \"172.16.0.{number}\"\n\
             mac = \"02:00:ac:10:00:0{number}\"\n{more}\n"
        )
    };
    let endpoint = |name: &str, number: u8, droplet: &str| {
        format!(
            "[[endpoints]]\nname = \"{name}\"\nnetwork = \"green\"\nip = \"10.0.0.{number}\"\n\
             mac = \"02:00:0a:00:00:0{number}\"\ndroplet = \"{droplet}\"\n"
        )
    };
    let mut text = "description = \"Two hosts\"\ndirect_path = \"cold\"\n".to_owned();
    text += &droplet("left", 1, "under_test = true");
    text += &droplet("right", 2, "");
    if bouncer != "right" {
        text += &droplet(bouncer, 3, "");
    }
    text += "[[vpcs]]\nname = \"blue\"\nvni = 4096\n";
    text += &format!(
        "[[networks]]\nname = \"green\"\nvpc = \"blue\"\ncidr = \"10.0.0.0/16\"\nbouncers = [\"{bouncer}\"]\n"
    );
    text += &endpoint("client", 2, "left");
    text += &endpoint("server", 3, "right");
    text += "[[flows]]\nfrom = \"client\"\nto = \"server\"\n";
    Ok(Topology::parse("pair.toml", &text, Parameters::default())?)
}

/// A droplet that runs, its endpoint, and what it must do.
struct Node {
    provision: Provision,
    /// Where its packets lawfully differ from what the oracle says.
    differences: &'static [Difference],
    oracle: Oracle,
    /// Whether an Open vSwitch forwards.
    is_switch: bool,
    running: Box<dyn Running>,
    /// The far end of its endpoint port.
    endpoint: PacketSocket,
    /// The far end of its uplink, where the test is the wire.
    uplink: Option<PacketSocket>,
    /// Its own, and that of what is outside.
    _namespaces: [Arc<Namespace>; 2],
}

/// Names that no other device of this machine has: kernel threads of devices are told apart by them.
fn unique(kind: char) -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let counter = COUNTER.fetch_add(1, Ordering::Relaxed);
    format!("{kind}{:x}i{counter:x}", std::process::id())
}

/// A pair between two namespaces.
fn wire(one: &Arc<Namespace>, other: &Arc<Namespace>) -> Result<[Interface; 2], Failed> {
    let (near, far) = (unique('n'), unique('f'));
    Ok(create_veth(
        [(one, near.as_str()), (other, far.as_str())],
        MTU,
    )?)
}

/// Installs `datapath` as the droplet called `name`, on `cpu`, with `uplink`.
fn node(
    datapath: &dyn Datapath,
    topology: &Topology,
    name: &str,
    namespace: &Arc<Namespace>,
    uplink: Interface,
    cpu: Cpu,
) -> Result<Node, Failed> {
    let droplet = topology.droplet(name).ok_or("no such droplet")?;
    let provision = topology.provision(droplet);
    let outside = Arc::new(Namespace::new()?);
    let [near, far] = wire(namespace, &outside)?;
    // A device takes redirected frames only if it has a NAPI instance.
    far.enable_napi()?;
    let ports = DropletPorts::Veth(VethPorts {
        namespace: Arc::clone(namespace),
        uplink,
        endpoints: vec![near],
    });
    let running = datapath
        .install(ports, &provision, cpu)
        .map_err(|error| format!("{}: {error}", datapath.name()))?;
    Ok(Node {
        oracle: Oracle::new(&provision),
        is_switch: datapath.name() != KernelXdp::default().name(),
        provision,
        differences: datapath.declared_differences(),
        running,
        endpoint: PacketSocket::at(&far)?,
        uplink: None,
        _namespaces: [Arc::clone(namespace), outside],
    })
}

/// One that polls takes a processor whole, so that the others share another.
fn cpu(datapath: &dyn Datapath) -> Result<Cpu, Failed> {
    let cpus = netdev::allowed_cpus()?;
    let chosen = if datapath.polls_busily() {
        cpus.last()
    } else {
        cpus.first()
    };
    Ok(*chosen.ok_or("no processor")?)
}

/// A flow between the endpoints, and the opposite one.
fn flows(topology: &Topology) -> Result<[Flow; 2], Failed> {
    let traffic = topology.traffic();
    let there = traffic.first().ok_or("no flow")?.flows.flow(0);
    let back = Flow {
        src_ip: there.dst_ip,
        src_mac: there.dst_mac,
        dst_ip: there.src_ip,
        dst_mac: there.src_mac,
        src_port: there.dst_port,
        dst_port: there.src_port,
        ..there
    };
    Ok([there, back])
}

/// What leaves the droplet by the rules of the oracle.
fn expect(node: &mut Node, port: Port, frame: &[u8]) -> Result<(Port, Vec<u8>), Failed> {
    match node.oracle.inject(port, frame) {
        Outcome::Forward { port, frame } => Ok((port, frame)),
        other => Err(format!("the oracle forwards nothing: {other:?}").into()),
    }
}

/// The next IPv4 frame; what else the stacks of namespaces say is passed over.
fn next(socket: &PacketSocket, what: &str) -> Result<Vec<u8>, Failed> {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        if let Some(frame) = socket.wait(PATIENCE)?
            && frame.get(12..14) == Some(&[0x08, 0x00])
        {
            return Ok(frame);
        }
    }
    Err(format!("nothing came: {what}").into())
}

fn same(got: &[u8], expected: &[u8], what: &str) -> Result<(), Failed> {
    if got == expected {
        return Ok(());
    }
    Err(format!("{what}:\n     got {got:02x?}\nexpected {expected:02x?}").into())
}

/// An error unless droplet and oracle know the same direct paths.
fn knows(node: &mut Node, what: &str) -> Result<(), Failed> {
    let key = |path: &DirectPath| (path.vni.get(), path.ip.to_bits());
    let mut learned = node.running.direct_paths()?;
    learned.sort_by_key(key);
    if learned == node.oracle.direct_paths() {
        return Ok(());
    }
    let expected = node.oracle.direct_paths();
    Err(format!("direct paths of {what}: {learned:?}, expected {expected:?}").into())
}

/// Two droplets at the ends of one veth pair, the right one the bouncer.
fn pair(datapaths: &[Box<dyn Datapath>]) -> Result<(), Failed> {
    let topology = topology("right")?;
    let [one, other] = datapaths else {
        return Err("this takes two datapaths".into());
    };
    let spaces = [Arc::new(Namespace::new()?), Arc::new(Namespace::new()?)];
    let [near, far] = wire(&spaces[0], &spaces[1])?;
    let mut left = node(&**one, &topology, "left", &spaces[0], near, cpu(&**one)?)?;
    let mut right = node(
        &**other,
        &topology,
        "right",
        &spaces[1],
        far,
        cpu(&**other)?,
    )?;
    let [there, back] = flows(&topology)?;
    for round in 0..3 {
        for length in LENGTHS {
            for (flow, forth) in [(there, true), (back, false)] {
                let (from, to) = if forth {
                    (&mut left, &mut right)
                } else {
                    (&mut right, &mut left)
                };
                let what = format!("round {round}, {length} bytes, to the right: {forth}");
                let inner = frame::inner(&flow, FrameLen::try_from(length)?);
                from.endpoint.send(&inner)?;
                let (port, outer) = expect(from, ENDPOINT, &inner)?;
                let (delivered_at, delivered) = expect(to, Port::Uplink, &outer)?;
                if (port, delivered_at) != (Port::Uplink, ENDPOINT) {
                    return Err("the oracle takes another way".into());
                }
                let got = next(&to.endpoint, &what)?;
                same(&got, &delivered, &what)?;
            }
        }
    }
    knows(&mut left, "left")?;
    knows(&mut right, "right")?;
    if left.oracle.direct_paths().is_empty() {
        return Err("the left learned nothing".into());
    }
    end(left)?;
    end(right)
}

/// Two droplets and a bouncer, with the test as the wire between them.
fn by_bouncer(datapaths: &[Box<dyn Datapath>]) -> Result<(), Failed> {
    let topology = topology("bouncer")?;
    let cable = Arc::new(Namespace::new()?);
    let mut nodes = Vec::new();
    for (name, datapath) in ["left", "right", "bouncer"].into_iter().zip(datapaths) {
        let namespace = Arc::new(Namespace::new()?);
        let [near, far] = wire(&namespace, &cable)?;
        far.enable_napi()?;
        // A bouncer hosts nothing, and has no use for its endpoint port.
        let cpu = cpu(&**datapath)?;
        let mut node = node(&**datapath, &topology, name, &namespace, near, cpu)?;
        node.uplink = Some(PacketSocket::at(&far)?);
        nodes.push(node);
    }
    let [there, back] = flows(&topology)?;
    let inner = |flow: &Flow, length: u16| -> Result<Vec<u8>, Failed> {
        Ok(frame::inner(flow, FrameLen::try_from(length)?))
    };
    let (left, right, bouncer) = (0, 1, 2);
    let first = [left, bouncer, right];
    carry(&mut nodes, &inner(&there, 60)?, &first)?;
    // The first reply goes direct already: the frame before it named its sender.
    carry(&mut nodes, &inner(&back, 60)?, &[right, left])?;
    knows(&mut nodes[left], "left")?;
    knows(&mut nodes[right], "right")?;
    // A switch may still have the first flow's old way in its cache; it looks at that in the background.
    settle(&mut nodes, &inner(&there, 60)?, &[left, right], &first)?;
    for length in LENGTHS {
        carry(&mut nodes, &inner(&there, length)?, &[left, right])?;
        carry(&mut nodes, &inner(&back, length)?, &[right, left])?;
    }
    for (node, name) in nodes.iter_mut().zip(["left", "right", "bouncer"]) {
        knows(node, name)?;
    }
    nodes.into_iter().try_for_each(end)
}

/// Stops a droplet. What a switch counted inside must be readable before, and only grow.
fn end(mut node: Node) -> Result<(), Failed> {
    let early = node.running.counters()?.switch;
    let late = node.running.counters()?.switch;
    if let (Some(early), Some(late)) = (&early, &late) {
        let grew = late.since(early).is_some();
        if early.received == 0 || early.lookups() == 0 || early.flows.is_none() || !grew {
            return Err(format!("counters of the switch: {early:?}, later {late:?}").into());
        }
    }
    if node.is_switch != (early.is_some() && late.is_some()) {
        return Err("counters of a switch are absent, or of none are there".into());
    }
    Ok(node.running.stop()?)
}

/// Sends a frame from the first of `way` and carries it along, which must be its way, to the endpoint of the last.
fn carry(nodes: &mut [Node], inner: &[u8], way: &[usize]) -> Result<(), Failed> {
    let (taken, delivered) = travel(nodes, inner, way[0])?;
    if taken != way {
        return Err(format!("the frame went by {taken:?}, not by {way:?}").into());
    }
    // What the oracles make of the same frame, one after the other.
    let mut frame = inner.to_vec();
    for (index, node) in way.iter().enumerate() {
        let port = if index == 0 { ENDPOINT } else { Port::Uplink };
        let (out, next) = expect(&mut nodes[*node], port, &frame)?;
        let last = index + 1 == way.len();
        if (out == ENDPOINT) != last {
            return Err("the oracle takes another way".into());
        }
        let Some(got) = delivered.get(index) else {
            return Err("a frame is missing on the way".into());
        };
        let what = format!("leaving droplet {node} on the way {way:?}");
        let node = &nodes[*node];
        let forward = |frame: &[u8]| Outcome::Forward {
            port: out,
            frame: frame.to_vec(),
        };
        let lawful = difference::allow(
            node.differences,
            &node.provision,
            port,
            forward(&next).into(),
            &forward(got),
        );
        let Expected::Forward { frame: lawful, .. } = lawful else {
            return Err("what may differ is not that a frame is forwarded".into());
        };
        same(got, &lawful, &what)?;
        // The next one gets what really came.
        frame.clone_from(got);
    }
    Ok(())
}

/// Sends a frame until it goes `wanted`, and meanwhile `before`.
fn settle(
    nodes: &mut [Node],
    inner: &[u8],
    wanted: &[usize],
    before: &[usize],
) -> Result<(), Failed> {
    let began = Instant::now();
    loop {
        let (taken, _) = travel(nodes, inner, wanted[0])?;
        if taken == wanted {
            return Ok(());
        }
        if taken != before {
            return Err(format!("the frame went by {taken:?}").into());
        }
        if began.elapsed() > PATIENCE {
            return Err("the direct path is not taken".into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Sends a frame from an endpoint and carries it along until an endpoint gets it. Returns the droplets that it came by,
/// and how it left each.
fn travel(nodes: &[Node], inner: &[u8], from: usize) -> Result<(Vec<usize>, Vec<Vec<u8>>), Failed> {
    let (mut way, mut frames) = (vec![from], Vec::new());
    nodes[from].endpoint.send(inner)?;
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        let at = way[way.len() - 1];
        let node = &nodes[at];
        if let Some(frame) = ipv4(node.endpoint.receive()?) {
            frames.push(frame);
            return Ok((way, frames));
        }
        let Some(uplink) = &node.uplink else {
            return Err("no uplink".into());
        };
        if let Some(frame) = ipv4(uplink.wait(Duration::from_millis(1))?) {
            let to = frame.get(..6).unwrap_or_default();
            let mut hosts = nodes.iter();
            let Some(next) = hosts.position(|node| node.provision.host.mac.octets() == *to) else {
                return Err(format!("droplet {at} sends to nobody: {frame:02x?}").into());
            };
            if let Some(wire) = &nodes[next].uplink {
                wire.send(&frame)?;
            }
            way.push(next);
            frames.push(frame);
        }
    }
    Err(format!("the frame is lost after {way:?}").into())
}

/// Frames of IPv4 alone: stacks of namespaces say other things.
fn ipv4(frame: Option<Vec<u8>>) -> Option<Vec<u8>> {
    frame.filter(|frame| frame.get(12..14) == Some(&[0x08, 0x00]))
}
