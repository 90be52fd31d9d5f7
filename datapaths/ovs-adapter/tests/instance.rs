//! A real Open vSwitch. Needs root and the package `openvswitch-switch`; without, every test here is reported
//! as ignored.

use libtest_mimic::{Arguments, Failed, Trial};
use netdev::{Namespace, create_veth};
use ovs_adapter::database::{Bridge, Port};
use ovs_adapter::{Flavour, Installation, Instance};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const BRIDGE: Bridge<'_> = Bridge {
    name: "br0",
    datapath_type: "netdev",
    other_config: &[],
};

fn main() {
    // SAFETY: has no preconditions.
    let is_root = unsafe { libc::geteuid() } == 0;
    let missing = match Installation::find(Flavour::Stock) {
        _ if !is_root => Some("privileges; run `cargo xtask test`".to_owned()),
        Err(error) => Some(error.to_string()),
        Ok(_) => None,
    };
    if let Some(missing) = &missing {
        eprintln!("ignored: {missing}");
    }
    let test = |name: &str, run: fn() -> Result<(), Failed>| {
        Trial::test(name, run).with_ignored_flag(missing.is_some())
    };
    let trials = vec![
        test("a_bridge_with_a_port_and_nothing_left", bridge),
        test("two_at_a_time", two),
        test("a_killed_switch_is_told", killed),
        test("an_interface_that_is_not_there_is_told", no_interface),
        test("a_refused_transaction_is_told", refused),
        test("a_broken_installation_is_told_with_its_log", broken),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn start(namespace: &Namespace) -> Result<Instance, Failed> {
    let installation = Installation::find(Flavour::Stock)?;
    Ok(Instance::start(&installation, namespace, None, &[])?)
}

fn is_alive(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

fn check(holds: bool, what: &str) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(what.into()) }
}

fn bridge() -> Result<(), Failed> {
    let (droplet, tester) = (Arc::new(Namespace::new()?), Arc::new(Namespace::new()?));
    let id = std::process::id();
    let (ours, theirs) = (format!("o{id}"), format!("p{id}"));
    let _pair = create_veth([(&droplet, &ours), (&tester, &theirs)], 1500)?;
    let instance = start(&droplet)?;
    let mut database = instance.database()?;
    check(
        database
            .interface_types()?
            .iter()
            .any(|kind| kind == "geneve"),
        "no type geneve",
    )?;
    let port = Port {
        name: ours.clone(),
        interface_type: "",
        options: Vec::new(),
        number: 7,
        mtu: None,
    };
    database.add_bridge(&BRIDGE, &[port])?;
    let shown = instance.control("dpif/show", &[])?;
    check(shown.contains("br0") && shown.contains(&ours), &shown)?;
    check(
        instance.management_socket("br0").exists(),
        "no place for OpenFlow",
    )?;
    let (pid, folder) = (instance.pid(), instance.folder().to_owned());
    drop(instance);
    check(!is_alive(pid), "ovs-vswitchd lives on")?;
    check(!folder.exists(), "its folder is still there")
}

fn two() -> Result<(), Failed> {
    let namespaces = [Namespace::new()?, Namespace::new()?];
    let instances = [start(&namespaces[0])?, start(&namespaces[1])?];
    for instance in &instances {
        instance.database()?.add_bridge(&BRIDGE, &[])?;
        check(
            instance.control("dpif/show", &[])?.contains("br0"),
            "no bridge",
        )?;
    }
    Ok(())
}

fn killed() -> Result<(), Failed> {
    let namespace = Namespace::new()?;
    let instance = start(&namespace)?;
    // SAFETY: a child of this process, which is not reaped before it ends.
    unsafe { libc::kill(instance.pid() as libc::pid_t, libc::SIGKILL) };
    let began = Instant::now();
    while instance.check().is_ok() && began.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let error = instance.control("dpif/show", &[]).err().ok_or("no error")?;
    let said = error.to_string();
    check(said.contains("ovs-vswitchd ended (signal: 9"), &said)
}

fn no_interface() -> Result<(), Failed> {
    let namespace = Namespace::new()?;
    let instance = start(&namespace)?;
    let port = Port {
        name: "nowhere".to_owned(),
        interface_type: "",
        options: Vec::new(),
        number: 1,
        mtu: None,
    };
    let added = instance.database()?.add_bridge(&BRIDGE, &[port]);
    let said = added.err().ok_or("no error")?.to_string();
    check(
        said.contains("nowhere") && said.contains("No such device"),
        &said,
    )
}

fn refused() -> Result<(), Failed> {
    let namespace = Namespace::new()?;
    let instance = start(&namespace)?;
    let mut database = instance.database()?;
    database.add_bridge(&BRIDGE, &[])?;
    let said = database
        .add_bridge(&BRIDGE, &[])
        .err()
        .ok_or("no error")?
        .to_string();
    check(said.contains("constraint violation"), &said)
}

fn broken() -> Result<(), Failed> {
    let namespace = Namespace::new()?;
    let mut installation = Installation::find(Flavour::Stock)?;
    // A program that takes other arguments, and so ends at once.
    installation.vswitchd = installation.ovsdb_server.clone();
    let said = Instance::start(&installation, &namespace, None, &[])
        .err()
        .ok_or("no error")?
        .to_string();
    check(
        said.starts_with("ovs-vswitchd ended (exit status: 1)"),
        &said,
    )
}
