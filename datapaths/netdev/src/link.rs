//! veth pairs.

use crate::namespace::Namespace;
use crate::thread::{Cpu, Tid, Urgency};
use crate::{Error, ethtool};
use futures_util::TryStreamExt;
use rtnetlink::packet_core::DefaultNla;
use rtnetlink::packet_route::link::{LinkAttribute, LinkMessage};
use rtnetlink::{Handle, LinkUnspec, LinkVeth};
use std::collections::HashSet;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;

/// A device: one end of a veth pair, if nothing else is said.
#[derive(Debug, Clone)]
pub struct Interface {
    namespace: Arc<Namespace>,
    name: String,
    index: u32,
}

/// The link of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Link {
    /// Both ends are up.
    pub is_up: bool,
    /// How often it was lost so far.
    pub losses: u32,
}

impl Link {
    /// As `IFLA_CARRIER` and `IFLA_CARRIER_DOWN_COUNT` of include/uapi/linux/if_link.h say.
    fn of(message: &LinkMessage) -> Self {
        let mut link = Self::default();
        for attribute in &message.attributes {
            match attribute {
                LinkAttribute::Carrier(carrier) => link.is_up = *carrier != 0,
                LinkAttribute::CarrierDownCount(count) => link.losses = *count,
                _ => {}
            }
        }
        link
    }
}

impl Interface {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its index within its namespace.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// The namespace it lives in.
    pub fn namespace(&self) -> &Arc<Namespace> {
        &self.namespace
    }

    /// Gives the device a NAPI instance although it carries no XDP program in the driver: a veth has one only
    /// for either such a program or generic receive offload, and takes redirected frames only with one. Frames stay as
    /// they are on the wire: the offload joins none.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn enable_napi(&self) -> Result<(), Error> {
        // `IFLA_GRO_MAX_SIZE` of include/uapi/linux/if_link.h, Linux 5.19; joined frames are longer than any such size.
        const MOST_JOINED: (u16, u32) = (58, 1);
        self.enable_gro()?;
        self.namespace.run(|| {
            on_netlink(async |handle| {
                let (kind, most) = MOST_JOINED;
                let bound = DefaultNla::new(kind, most.to_ne_bytes().to_vec());
                let bounded = LinkUnspec::new_with_index(self.index)
                    .append_extra_attribute(LinkAttribute::Other(bound))
                    .build();
                let doing = || format!("having {} join no frames", self.name);
                change(&handle, bounded, doing).await
            })
        })?
    }

    /// Has the kernel join TCP segments that arrive at the device, as it does for a host (generic receive offload). A veth
    /// has a NAPI instance then.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn enable_gro(&self) -> Result<(), Error> {
        self.namespace.run(|| ethtool::enable_gro(&self.name))?
    }

    /// Its link; nothing if the device is gone.
    ///
    /// # Errors
    /// Where the kernel does not tell.
    pub fn link(&self) -> Result<Option<Link>, Error> {
        let doing = || format!("asking for the link of {}", self.name);
        self.namespace.run(|| {
            on_netlink(async |handle| {
                let mut links = handle.link().get().match_index(self.index).execute();
                match links.try_next().await {
                    Ok(link) => Ok(link.as_ref().map(Link::of)),
                    Err(rtnetlink::Error::NetlinkError(error))
                        if error.raw_code() == -libc::ENODEV =>
                    {
                        Ok(None)
                    }
                    Err(error) => Err(netlink(doing(), error)),
                }
            })
        })?
    }

    /// Gives the device's receive side a kernel thread of its own, pinned to `cpu` and going before others
    /// there. The device must carry an XDP program: before, it has no NAPI instance.
    ///
    /// # Errors
    /// Where the kernel cannot (before Linux 5.12), or refuses.
    pub fn thread_napi(&self, cpu: Cpu, urgency: Urgency) -> Result<Vec<Tid>, Error> {
        let prefix = format!("napi/{}-", self.name);
        let before: HashSet<Tid> = Tid::kernel_threads(&prefix).collect();
        self.namespace.with_sysfs(|sysfs| {
            let path = sysfs.join(format!("class/net/{}/threaded", self.name));
            std::fs::write(path, "1")
                .map_err(|e| Error::io(format!("switching {} to threaded NAPI", self.name), e))
        })?;
        let threads: Vec<Tid> = Tid::kernel_threads(&prefix)
            .filter(|tid| !before.contains(tid))
            .collect();
        if threads.is_empty() {
            return Err(Error::NoNapiThread(self.name.clone()));
        }
        for thread in &threads {
            thread.pin(cpu)?;
            thread.prioritise(urgency)?;
        }
        Ok(threads)
    }
}

/// A device of `namespace` that somebody else made.
///
/// # Errors
/// Where there is no such device.
pub fn device(namespace: &Arc<Namespace>, name: &str) -> Result<Interface, Error> {
    let index = namespace.run(|| on_netlink(async |handle| find(&handle, name).await))??;
    Ok(Interface {
        namespace: Arc::clone(namespace),
        name: name.to_owned(),
        index,
    })
}

/// Sets a device up.
///
/// # Errors
/// Where the kernel refuses.
pub fn set_up(interface: &Interface) -> Result<(), Error> {
    interface.namespace.run(|| {
        on_netlink(async |handle| {
            let up = LinkUnspec::new_with_index(interface.index).up().build();
            change(&handle, up, || format!("setting {} up", interface.name)).await
        })
    })?
}

/// Sets a device down, so that its other end has no link.
///
/// # Errors
/// Where the kernel refuses.
pub fn set_down(interface: &Interface) -> Result<(), Error> {
    interface.namespace.run(|| {
        on_netlink(async |handle| {
            let down = LinkUnspec::new_with_index(interface.index).down().build();
            change(&handle, down, || format!("setting {} down", interface.name)).await
        })
    })?
}

/// Sets a device of `namespace` up and gives it an IPv4 address with a prefix of `length` bits.
///
/// # Errors
/// Where there is no such device, or the kernel refuses.
pub fn set_up_with_address(
    namespace: &Namespace,
    name: &str,
    address: std::net::Ipv4Addr,
    length: u8,
) -> Result<(), Error> {
    namespace.run(|| {
        on_netlink(async |handle| {
            let index = find(&handle, name).await?;
            let doing = || format!("giving {name} the address {address}/{length}");
            handle
                .address()
                .add(index, address.into(), length)
                .execute()
                .await
                .map_err(|e| netlink(doing(), e))?;
            let up = LinkUnspec::new_with_index(index).up().build();
            change(&handle, up, || format!("setting {name} up")).await
        })
    })?
}

/// Gives a device its Ethernet address.
///
/// # Errors
/// Where the kernel refuses.
pub fn set_hardware_address(interface: &Interface, address: [u8; 6]) -> Result<(), Error> {
    interface.namespace.run(|| {
        on_netlink(async |handle| {
            let with_address = LinkUnspec::new_with_index(interface.index)
                .address(address.to_vec())
                .build();
            let doing = || format!("giving {} an Ethernet address", interface.name);
            change(&handle, with_address, doing).await
        })
    })?
}

/// Tells the stack of `namespace` for good which Ethernet address a neighbour at device `name` has.
///
/// # Errors
/// Where there is no such device, or the kernel refuses.
pub fn add_neighbour(
    namespace: &Namespace,
    name: &str,
    address: std::net::Ipv4Addr,
    hardware: [u8; 6],
) -> Result<(), Error> {
    namespace.run(|| {
        on_netlink(async |handle| {
            let index = find(&handle, name).await?;
            let doing = || format!("telling {name} of the neighbour {address}");
            handle
                .neighbours()
                .add(index, address.into())
                .link_local_address(&hardware)
                .replace()
                .execute()
                .await
                .map_err(|e| netlink(doing(), e))
        })
    })?
}

/// Makes a veth pair with one end in each namespace, both up, with this MTU in bytes, and with every
/// offload off: a datapath must see the frames as they are on a wire.
///
/// # Errors
/// Where the kernel refuses.
pub fn create_veth(ends: [(&Arc<Namespace>, &str); 2], mtu: u32) -> Result<[Interface; 2], Error> {
    let [(first, first_name), (second, second_name)] = ends;
    first.run(|| {
        on_netlink(async |handle| {
            let pair = LinkVeth::new(first_name, second_name).mtu(mtu).build();
            let doing = || format!("making the veth pair {first_name} and {second_name}");
            handle
                .link()
                .add(pair)
                .execute()
                .await
                .map_err(|e| netlink(doing(), e))?;
            let index = find(&handle, second_name).await?;
            let moved = LinkUnspec::new_with_index(index)
                .setns_by_fd(second.as_fd().as_raw_fd())
                .build();
            let doing = || format!("moving {second_name} to its namespace");
            change(&handle, moved, doing).await
        })
    })??;
    let first = prepare(first, first_name, mtu)?;
    let second = prepare(second, second_name, mtu)?;
    Ok([first, second])
}

fn prepare(namespace: &Arc<Namespace>, name: &str, mtu: u32) -> Result<Interface, Error> {
    let index = namespace.run(|| {
        ethtool::disable_offloads(name)?;
        on_netlink(async |handle| {
            let index = find(&handle, name).await?;
            let up = LinkUnspec::new_with_index(index).mtu(mtu).up().build();
            change(&handle, up, || format!("setting {name} up")).await?;
            Ok(index)
        })
    })??;
    Ok(Interface {
        namespace: Arc::clone(namespace),
        name: name.to_owned(),
        index,
    })
}

pub(crate) fn netlink(doing: String, source: rtnetlink::Error) -> Error {
    Error::Netlink { doing, source }
}

/// Changes a device.
pub(crate) async fn change(
    handle: &Handle,
    message: LinkMessage,
    doing: impl FnOnce() -> String,
) -> Result<(), Error> {
    let changed = handle.link().set(message).execute().await;
    changed.map_err(|e| netlink(doing(), e))
}

async fn find(handle: &Handle, name: &str) -> Result<u32, Error> {
    let mut links = handle.link().get().match_name(name.to_owned()).execute();
    let doing = || format!("looking for {name}");
    match links.try_next().await.map_err(|e| netlink(doing(), e))? {
        Some(link) => Ok(link.header.index),
        None => Err(Error::NoInterface(name.to_owned())),
    }
}

/// Runs `work` with a netlink socket in the namespace of the calling thread.
pub(crate) fn on_netlink<R>(
    work: impl AsyncFnOnce(Handle) -> Result<R, Error>,
) -> Result<R, Error> {
    let doing = || "opening a netlink socket";
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .map_err(|e| Error::io(doing(), e))?;
    runtime.block_on(async {
        let (connection, handle, _) =
            rtnetlink::new_connection().map_err(|e| Error::io(doing(), e))?;
        let pump = tokio::spawn(connection);
        let result = work(handle).await;
        pump.abort();
        result
    })
}
