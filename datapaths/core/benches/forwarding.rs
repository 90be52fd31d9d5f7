//! What the core costs a frame: deciding and applying, over native tables, without any I/O.
//!
//! Each iteration makes a frame for an endpoint picked at random, decides about it and applies the
//! verdict. Making the frame (the random number, copying a template of 60 or 174 bytes, writing the
//! endpoint's addresses) is no part of a datapath's work; it is measured alone as `restore`, and
//! `encap/open/4096` minus `restore/plain/4096`, or `decap`, `hop` and `divide` minus
//! `restore/encapsulated`, is the core's own cost. Nothing makes an iteration wait for the one before, so
//! these are costs at full load, where the processor overlaps the lookups of several frames.
//!
//! The number of endpoints is how many table entries are visited: up to Mizar's capacities, which are
//! 50,000 for the direct-path cache (that `encap` looks up, and that the sender to `decap` needs) and
//! 65,537 known endpoints, the client among them, for the bouncer of `hop`. `divide` knows networks and no
//! endpoints, so that without policy only its connection tracking sees their number. `policed` enforces a
//! rule by port and prefix on each of them. Connections are remembered either way, in a cache that has
//! 50,000 entries as well, and with more endpoints evicts.
//!
//! `flagged` and `short` are packets of direct paths that say so by a flag of return-to-sender, and by the short header.
//!
//! `divide/guarded/N` has an access list of N rules in the way, each of a source and a range of ports of its own, of which the last one
//! matches; there are 4,096 endpoints.
//!
//! Run with `cargo bench -p mizar-core --bench forwarding [FILTER]`, on a machine that does nothing else.

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput};
use mizar_core::frame::Slice;
use mizar_core::tables::Attachment;
use mizar_core::verdict::{Agent, Changes, Transit};
use mizar_core::{Tables, agent, apply, transit};
use mizar_tables::{Entries, Native};
use mizar_wire::geneve::{DIRECT_PATH, ENCAPSULATION_LEN, SHORT_ENCAPSULATION_LEN};
use mizar_wire::{Ipv4, Vni, ipv4};
use std::error::Error;
use std::hint::black_box;
use topologies::catalogue;
use topologies::frame::{self, FrameLen};
use topologies::provision::{
    Access, Acl, AclRule, Cidr, CidrRule, Extensions, PolicySet, PortRange, PortRule, Provision,
    Rules, Service,
};
use topologies::topology::{EndpointRange, Parameters, Topology};
use topologies::traffic::Direction;

/// Room in front of a frame for outer headers, and for the longest frame here.
const HEADROOM: usize = 128;
const CAPACITY: usize = 512;
/// Where return-to-sender has its flags.
const RETURN_FLAGS_AT: usize = 54;
/// Where an inner frame has the destination's address.
const DST_IP_AT: usize = 30;
/// The destination port of flows, which policy allows.
const PORT: u16 = 7;

/// What a droplet does in one of the catalogue's topologies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Encap,
    Decap,
    Hop,
    Divide,
}

impl Role {
    const ALL: [Self; 4] = [Self::Encap, Self::Decap, Self::Hop, Self::Divide];

    /// The topology's name.
    fn name(self) -> &'static str {
        match self {
            Self::Encap => "encap",
            Self::Decap => "decap",
            Self::Hop => "hop",
            Self::Divide => "divide",
        }
    }

    /// One endpoint, a network full of them, and as many as there may be.
    fn endpoints(self) -> [u32; 3] {
        match self {
            Self::Encap | Self::Decap => [1, 4_096, 50_000],
            Self::Hop => [1, 4_096, 65_536],
            Self::Divide => [1, 4_096, 65_537],
        }
    }
}

/// A frame's memory, aligned like a cache line.
#[repr(align(64))]
struct Memory([u8; CAPACITY]);

/// Makes one frame after another in the same memory.
struct Source {
    memory: Memory,
    template: Vec<u8>,
    /// Where the inner frame starts in the template.
    inner_at: usize,
    destinations: EndpointRange,
    random: u64,
}

impl Source {
    /// A frame to a random destination. Checksums are those of the template; the core trusts them.
    #[inline(always)]
    fn restore(&mut self) {
        // Xorshift (Marsaglia 2003): one number costs about a nanosecond.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let index = ((self.random >> 32) * u64::from(self.destinations.count)) >> 32;
        let frame = &mut self.memory.0[HEADROOM..HEADROOM + self.template.len()];
        frame.copy_from_slice(&self.template);
        let inner = &mut frame[self.inner_at..];
        inner[..6].copy_from_slice(&self.destinations.mac(index as u32).octets());
        inner[DST_IP_AT..DST_IP_AT + 4]
            .copy_from_slice(&self.destinations.ip(index as u32).octets());
    }

    #[inline(always)]
    fn frame(&mut self) -> &mut [u8] {
        &mut self.memory.0[HEADROOM..HEADROOM + self.template.len()]
    }

    /// The frame and room for outer headers in front.
    #[inline(always)]
    fn with_room(&mut self, outer_len: usize) -> &mut [u8] {
        &mut self.memory.0[HEADROOM - outer_len..HEADROOM + self.template.len()]
    }
}

/// A droplet and the frames that are for it.
struct Bench {
    role: Role,
    tables: Native,
    attachment: Attachment,
    source: Source,
}

impl Bench {
    fn new(role: Role, endpoints: u32, policed: bool) -> Result<Self, Box<dyn Error>> {
        Self::with_rules(role, endpoints, policed, 0)
    }

    /// On a direct path, of which packets say that it is one: by a flag, or by the short header.
    fn on_a_direct_path(
        role: Role,
        endpoints: u32,
        has_short_header: bool,
    ) -> Result<Self, Box<dyn Error>> {
        let topology = catalogue::find(role.name(), Parameters::new(endpoints, endpoints)?)?;
        let topology = topology.with_extensions(Extensions {
            invalidation: true,
            short_header: has_short_header,
            ..Extensions::default()
        });
        let mut bench = Self::of(role, &topology, |_, _| Ok(()))?;
        let traffic = topology.traffic();
        let direction = traffic.first().ok_or("no flow crosses the droplet")?;
        let flow = direction.flows.flow(0);
        if let Some(outer) = direction.outer_fields(&flow) {
            let inner = frame::inner(&flow, FrameLen::MIN);
            if has_short_header {
                bench.source.template = frame::with_short_header(&outer, &inner);
                bench.source.inner_at = SHORT_ENCAPSULATION_LEN;
            } else {
                bench.source.template[RETURN_FLAGS_AT] = DIRECT_PATH;
            }
        }
        bench.check()
    }

    /// With an access list of so many rules; none of no rules.
    fn with_rules(
        role: Role,
        endpoints: u32,
        policed: bool,
        rules: u16,
    ) -> Result<Self, Box<dyn Error>> {
        let parameters = Parameters::new(endpoints, endpoints)?;
        let topology = catalogue::find(role.name(), parameters)?;
        let with_rules = |provision: &mut Provision, direction: &Direction| {
            if policed {
                let (source, destinations) = (direction.flows.source, direction.flows.destination);
                police(role, provision, direction.vni, source, destinations)?;
            }
            if rules > 0 {
                guard(provision, direction.vni, rules)?;
            }
            Ok(())
        };
        Self::of(role, &topology, with_rules)?.check()
    }

    /// A droplet of `topology`, with what `change` makes of its tables.
    fn of(
        role: Role,
        topology: &Topology,
        change: impl FnOnce(&mut Provision, &Direction) -> Result<(), Box<dyn Error>>,
    ) -> Result<Self, Box<dyn Error>> {
        let traffic = topology.traffic();
        let direction = traffic.first().ok_or("no flow crosses the droplet")?;
        let mut provision =
            topology.provision(topology.under_test().ok_or("no droplet is under test")?);
        let destinations = direction.flows.destination;
        change(&mut provision, direction)?;
        let tables = Native::new(&Entries::encode(&provision)?);
        Ok(Self {
            role,
            attachment: tables.attachment(0),
            tables,
            source: Source {
                memory: Memory([0; CAPACITY]),
                template: direction.frame(0, FrameLen::MIN),
                inner_at: if direction.encapsulated_in {
                    ENCAPSULATION_LEN
                } else {
                    0
                },
                destinations,
                random: 0x2545_f491_4f6c_dd1d,
            },
        })
    }

    /// What is not forwarded as its role has it must not be measured.
    fn check(mut self) -> Result<Self, Box<dyn Error>> {
        for _ in 0..1_000 {
            if self.step().is_none() {
                let endpoints = self.source.destinations.count;
                let role = self.role.name();
                return Err(format!("{role} with {endpoints} endpoints refuses frames").into());
            }
        }
        Ok(self)
    }

    /// One frame. Nothing if it is not forwarded as the role has it.
    #[inline(always)]
    fn step(&mut self) -> Option<()> {
        self.source.restore();
        if self.role == Role::Encap {
            self.encapsulate()
        } else {
            self.transit()
        }
    }

    #[inline(always)]
    fn encapsulate(&mut self) -> Option<()> {
        let frame = Slice::new(self.source.frame()).ok()?;
        let Agent::Encapsulate(plan) = agent::agent(&frame, &self.attachment, &mut self.tables)
        else {
            return None;
        };
        let droplet = self.tables.droplet();
        let mut frame = Slice::new(self.source.with_room(plan.outer_len())).ok()?;
        apply::encapsulate(&mut frame, &droplet, &plan)
    }

    #[inline(always)]
    fn transit(&mut self) -> Option<()> {
        let mut changes = Changes::default();
        let mut frame = Slice::new(self.source.frame()).ok()?;
        match transit::transit(&frame, &mut self.tables, &mut changes) {
            Transit::Deliver { .. } if self.role == Role::Decap => {
                apply::deliver(&mut frame, &changes)
            }
            Transit::Forward { next, .. } if self.role != Role::Decap => {
                apply::forward(&mut frame, &next, &changes)
            }
            _ => None,
        }
    }
}

/// Enforces policy on the endpoints of the flows: what the client sends where its agent is measured, what
/// the servers receive elsewhere.
fn police(
    role: Role,
    provision: &mut Provision,
    vni: Vni,
    source: EndpointRange,
    destinations: EndpointRange,
) -> Result<(), Box<dyn Error>> {
    let remote: Cidr = "10.0.0.0/8".parse()?;
    let (rules, local) = match role {
        Role::Encap => (&mut provision.egress, source),
        _ => (&mut provision.ingress, destinations),
    };
    let policies = PolicySet(1);
    *rules = Rules::default();
    for local in (0..local.count).map(|index| local.ip(index)) {
        rules.enforced.push((vni, local));
        rules.ports.push(PortRule {
            vni,
            local,
            protocol: ipv4::UDP,
            port: PORT,
            policies,
        });
        rules.cidr_primary.push(CidrRule {
            vni,
            local,
            remote,
            policies,
        });
    }
    Ok(())
}

/// A list that denies, rule after rule, what nobody sends, and allows by its last one what all send.
fn guard(provision: &mut Provision, vni: Vni, rules: u16) -> Result<(), Box<dyn Error>> {
    let everything: Cidr = "0.0.0.0/0".parse()?;
    let denies = |index: u16| -> Result<AclRule, Box<dyn Error>> {
        let [high, low] = index.to_be_bytes();
        Ok(AclRule {
            access: Access::Deny,
            from: Cidr::new(Ipv4::from_octets([10, 128, high, low]), 32).ok_or("no prefix")?,
            to: everything,
            service: Service::Udp(PortRange {
                first: 1_000 + index,
                last: 2_000 + 3 * index,
            }),
        })
    };
    let last = AclRule {
        access: Access::Allow,
        from: "10.0.0.0/8".parse()?,
        to: everything,
        service: Service::Udp(PortRange {
            first: 1,
            last: 1_023,
        }),
    };
    let rules = (1..rules).map(denies).chain([Ok(last)]);
    let rules: Vec<_> = rules.collect::<Result<_, _>>()?;
    for network in &provision.networks {
        provision.acls.push(Acl {
            vni,
            network: network.cidr,
            default: Access::Deny,
            rules: rules.clone(),
        });
    }
    Ok(())
}

/// One frame after the other.
fn steps(group: &mut BenchmarkGroup<'_, WallTime>, id: BenchmarkId, bench: &mut Bench) {
    group.bench_function(id, |b| {
        b.iter(|| {
            let forwarded = black_box(bench.step());
            // With the longest outer headers there are.
            black_box(bench.source.with_room(ENCAPSULATION_LEN));
            forwarded
        });
    });
}

fn measure(criterion: &mut Criterion) -> Result<(), Box<dyn Error>> {
    for (name, role) in [("plain", Role::Encap), ("encapsulated", Role::Hop)] {
        let mut group = criterion.benchmark_group("restore");
        group.throughput(Throughput::Elements(1));
        for endpoints in role.endpoints() {
            let mut bench = Bench::new(role, endpoints, false)?;
            group.bench_function(BenchmarkId::new(name, endpoints), |b| {
                b.iter(|| {
                    bench.source.restore();
                    black_box(bench.source.frame());
                });
            });
        }
        group.finish();
    }
    for role in Role::ALL {
        let mut group = criterion.benchmark_group(role.name());
        group.throughput(Throughput::Elements(1));
        for (name, policed) in [("open", false), ("policed", true)] {
            for endpoints in role.endpoints() {
                let mut bench = Bench::new(role, endpoints, policed)?;
                steps(&mut group, BenchmarkId::new(name, endpoints), &mut bench);
            }
        }
        group.finish();
    }
    for role in [Role::Encap, Role::Decap] {
        let mut group = criterion.benchmark_group(role.name());
        group.throughput(Throughput::Elements(1));
        for (name, has_short_header) in [("flagged", false), ("short", true)] {
            for endpoints in role.endpoints() {
                let mut bench = Bench::on_a_direct_path(role, endpoints, has_short_header)?;
                steps(&mut group, BenchmarkId::new(name, endpoints), &mut bench);
            }
        }
        group.finish();
    }
    let mut group = criterion.benchmark_group("divide");
    group.throughput(Throughput::Elements(1));
    for rules in [1, 10, 100, 1_000] {
        let mut bench = Bench::with_rules(Role::Divide, 4_096, false, rules)?;
        steps(&mut group, BenchmarkId::new("guarded", rules), &mut bench);
    }
    group.finish();
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut criterion = Criterion::default().configure_from_args();
    measure(&mut criterion)?;
    criterion.final_summary();
    Ok(())
}
