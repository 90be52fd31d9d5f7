//! Every golden vector through the loaded BPF programs, by `BPF_PROG_TEST_RUN`; and what the verifier does to load them.

use aya::programs::loaded_programs;
use datapath_api::{Datapath, DropletPorts};
use datapath_kernel_xdp::KernelXdp;
use libtest_mimic::{Arguments, Failed, Trial};
use mizar_wire::{Mac, Vni};
use netdev::Cpu;
use std::net::Ipv4Addr;
use topologies::provision::{
    Access, Acl, AclRule, Cidr, CidrError, Extensions, Host, PortRange, Provision, Service,
};
use topologies::vectors::{self, Vector, VectorsError};

fn main() -> Result<(), VectorsError> {
    let missing = KernelXdp::default().probe();
    for missing in &missing {
        eprintln!("ignored: needs {missing}");
    }
    let replays = vectors::parse(vectors::BUILT_IN)?
        .into_iter()
        .map(|vector| Trial::test(vector.name.clone(), move || replay(&vector)));
    let others = [
        Trial::test("the_verifier_has_room", the_verifier_has_room),
        Trial::test("extensions_are_not_added", extensions_are_not_added),
        Trial::test("the_longest_list_may_come_later", longest_list),
    ];
    let trials = replays
        .chain(others)
        .map(|trial| trial.with_ignored_flag(!missing.is_empty()))
        .collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn replay(vector: &Vector) -> Result<(), Failed> {
    let datapath = KernelXdp::default();
    let mut droplet = datapath.install(DropletPorts::Detached, &vector.provision, Cpu(0))?;
    for (number, step) in vector.steps.iter().enumerate() {
        let outcome = droplet.inject(step.ingress, &step.input)?;
        if !step.expected.matches(&outcome) {
            return Err(format!("step {number}: {:?}, not {outcome:?}", step.expected).into());
        }
    }
    let mut learned = droplet.direct_paths()?;
    learned.sort_by_key(|path| (path.vni, path.ip.to_bits()));
    let mut expected = vector.direct_paths_after.clone();
    expected.sort_by_key(|path| (path.vni, path.ip.to_bits()));
    if learned != expected {
        return Err(format!("direct paths are {learned:?}, not {expected:?}").into());
    }
    Ok(())
}

/// A droplet without neighbours that has all extensions.
fn extended() -> Provision {
    let host = Host {
        ip: Ipv4Addr::new(172, 16, 0, 1).into(),
        mac: Mac::default(),
    };
    Provision {
        extensions: Extensions::ALL,
        ..Provision::new(host)
    }
}

/// The programs of a droplet have no code for those that it was installed without: that is said, and nothing done by halves.
fn extensions_are_not_added() -> Result<(), Failed> {
    let stock = Provision {
        extensions: Extensions::default(),
        ..extended()
    };
    let datapath = KernelXdp::default();
    let mut droplet = datapath.install(DropletPorts::Detached, &stock, Cpu(0))?;
    if droplet.update(&extended()).is_ok() {
        return Err("a stock droplet took extensions".into());
    }
    droplet.update(&stock)?;
    droplet.stop()?;
    let mut droplet = datapath.install(DropletPorts::Detached, &extended(), Cpu(0))?;
    droplet.update(&stock)?;
    droplet.update(&extended())?;
    droplet.stop()?;
    Ok(())
}

/// A list of as many rules as there may be, of ranges of ports that are as many prefixes as a range can be, comes to a droplet
/// that had none, is replaced by another one, and goes.
fn longest_list() -> Result<(), Failed> {
    let vni = Vni::new(7).ok_or("no such VNI")?;
    let network: Cidr = "10.0.1.0/24".parse()?;
    let list = |access| {
        let rule = |index: u16| {
            Ok(AclRule {
                access,
                from: format!("10.1.{}.{}/32", index / 256, index % 256).parse()?,
                to: format!("10.0.1.{}/32", index % 256).parse()?,
                service: Service::Tcp(PortRange {
                    first: 1 + 2 * index,
                    last: 65_534 - 2 * index,
                }),
            })
        };
        let rules = (0..Acl::RULES as u16).map(rule);
        Ok::<_, Failed>(Acl {
            vni,
            network,
            default: Access::Deny,
            rules: rules.collect::<Result<_, CidrError>>()?,
        })
    };
    let without = extended();
    let with = |access| {
        Ok::<_, Failed>(Provision {
            acls: vec![list(access)?],
            ..extended()
        })
    };
    let datapath = KernelXdp::default();
    let mut droplet = datapath.install(DropletPorts::Detached, &without, Cpu(0))?;
    for provision in [
        with(Access::Allow)?,
        with(Access::Deny)?,
        without,
        with(Access::Allow)?,
    ] {
        droplet.update(&provision)?;
    }
    droplet.stop()?;
    Ok(())
}

/// Other versions of the kernel look at more of the same program, and this one at more after the next change of the core.
fn the_verifier_has_room() -> Result<(), Failed> {
    /// `BPF_COMPLEXITY_LIMIT_INSNS` of include/linux/bpf_verifier.h.
    const LIMIT: u32 = 1_000_000;
    let droplet = KernelXdp::default().install(DropletPorts::Detached, &extended(), Cpu(0))?;
    let mut found = Vec::new();
    for program in loaded_programs() {
        let program = program?;
        let name = program.name_as_str().unwrap_or_default().to_owned();
        if name.starts_with("mizar_") {
            let instructions = program.verified_instruction_count();
            found.push((name, instructions.ok_or("the kernel does not tell")?));
        }
    }
    droplet.stop()?;
    found.sort();
    eprintln!("{found:?}");
    if found.len() < 4 {
        return Err(format!("not all programs are there: {found:?}").into());
    }
    match found
        .iter()
        .find(|(_, instructions)| *instructions > LIMIT / 2)
    {
        Some((name, instructions)) => Err(format!("{name}: {instructions} instructions").into()),
        None => Ok(()),
    }
}
